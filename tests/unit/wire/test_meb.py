"""Volkswagen MEB: real answers (OBDb/Volkswagen-ID.4 tests, Battery-Emulator)."""

import math

import pytest

from battlife.errors import InputError
from battlife.model import Allow, Frame
from battlife.wire import decode, protocol
from ev_frames import one, segments
from support import shared

MEB = protocol("meb")
ANSWER = 0x17FE007B


def said(payload: str, device=MEB, identifier=ANSWER, fd=False):
    frames = segments(bytes.fromhex(payload), identifier, extended=True, fd=fd)
    got = decode(device, frames)
    assert not got.rejected, got.rejected
    (reading,) = got.readings
    return reading


@pytest.mark.parametrize(
    ("payload", "values"),
    [
        ("621E3B 0526", {"voltage_v": 329.5}),
        ("621E3E 0002479E", {"meb_dc2_current_a": -5.94}),
        ("621E3D 000249F0", {"current_a": 0.0}),
        (
            "621E0E 02D8 0005",
            {"meb_temperature_max_degc": 11.375, "meb_hottest_sensor": 5.0},
        ),
        ("621E33 374C 000A", {"meb_max_cell_v": 3.4560546875, "meb_max_cell": 10.0}),
        # Scales of Battery-Emulator MEB-BATTERY.cpp
        (
            "621E0F FF80 0003",
            {"meb_temperature_min_degc": -2.0, "meb_coldest_sensor": 3.0},
        ),
        ("62028C A0", {"soc": 0.64}),
        ("6250CE 251C", {"reported_soh": 0.95}),
        ("621E2C 1B58", {"meb_max_cell_soc": 0.7}),
        ("621E36 3390", {"meb_voltage_before_contactors_v": 412.5}),
        ("621E1B 03E8", {"meb_charge_limit_a": 200.0}),
        ("621E3B FFFF", {}),
        ("62028C FF", {}),
    ],
)
def test_values(payload, values):
    got = said(payload).values
    assert set(got) == set(values)
    for name, value in values.items():
        assert got[name] == pytest.approx(value)


def test_counters():
    values = said("621E32 FFFF0000 00020000 00800000 FF900000").values
    assert values["energy_throughput_wh"] == pytest.approx(0x800000 * 0.11650853)
    assert values["meb_discharge_energy_wh"] == pytest.approx(0x700000 * 0.11650853)
    assert values["meb_charge_counts"] == 0x20000


def test_a_cell():
    reading = said("621E40 0918")
    assert reading.message == "cell_1"
    assert reading.values == {"cell_voltage_v": (3.328,)}


def test_a_sensor():
    reading = said("621EAE 0177")
    assert reading.values == {"temperature_degc": (6.875,)}
    temperatures = said("621EBD 0177").values["temperature_degc"]
    assert len(temperatures) == 16 and math.isnan(temperatures[0])


def test_places_without_a_cell():
    assert said("621E94 0FFE").values == {"meb_cell_85_fitted": False}
    fitted = said("621E94 0918").values
    assert fitted["meb_cell_85_fitted"] is True
    assert len(fitted["cell_voltage_v"]) == 85 and fitted["cell_voltage_v"][84] == 3.328
    assert said("621EAB 0FFE").values == {}
    # Every pack has the first 84: there it is a cell without a measurement.
    missing = said("621E41 0FFF").values["cell_voltage_v"]
    assert len(missing) == 2 and math.isnan(missing[1])


def cells_asked(known):
    names = [r.name for r in MEB.requests(known)]
    return sum(n.startswith("cell_") for n in names)


@pytest.mark.parametrize(
    ("known", "n"),
    [
        ({}, 85),
        ({"meb_cell_85_fitted": False}, 84),
        ({"meb_cell_85_fitted": True}, 97),
        ({"meb_cell_85_fitted": True, "meb_cell_97_fitted": False}, 96),
        ({"meb_cell_85_fitted": True, "meb_cell_97_fitted": True}, 108),
    ],
)
def test_the_pack_tells_how_many_cells_to_ask_for(known, n):
    assert cells_asked(known) == n


@pytest.mark.parametrize("n_cells", [84, 96, 108])
def test_all_cells_of_a_pack(n_cells):
    known: dict = {}
    for _ in range(3):  # cycles
        frames = []
        for request in MEB.requests(known):
            number = request.name.removeprefix("cell_")
            if number.isdigit():
                raw = 2300 + int(number) if int(number) <= n_cells else 0xFFE
                payload = b"\x62" + request.data[1:] + raw.to_bytes(2, "big")
                frames += segments(payload, ANSWER, extended=True)
        known |= decode(MEB, frames).merged()
    cells = known["cell_voltage_v"]
    assert len(cells) == n_cells
    assert cells == tuple((3300 + i + 1) / 1000 for i in range(n_cells))


def test_isolation():
    # 200 counts of 5 kohm, balancing "active".
    data = bytearray(8)
    data[1], data[2], data[3] = 1 << 6, 200 << 1 & 0xFF, 200 >> 7
    values = decode(MEB, one(data.hex(), 0x1A555550, extended=True)).readings[0].values
    assert values == {"isolation_ohm": 1_000_000, "balancing": True}
    data[2], data[3] = 0xFF, 0x1F
    values = decode(MEB, one(data.hex(), 0x1A555550, extended=True)).readings[0].values
    assert "isolation_ohm" not in values


BMS_11 = "12E5817878B88BBB"


def test_a_real_broadcast_with_its_checksum():
    # Battery-Emulator test/can_log_based/can_logs/19_Meb_crc.txt
    (reading,) = decode(MEB, one(BMS_11, 0x16A954A6, extended=True)).readings
    assert reading.values["meb_max_cell_v"] == 4.0
    assert reading.values["meb_min_cell_v"] == 4.0
    assert reading.values["meb_temperature_max_degc"] == 20


def test_that_log_whole():
    text = shared("exports/can_battery_emulator_log/19_Meb_crc.txt").read_text()
    frames = []
    for line in text.splitlines():
        parts = line.split()
        identifier = int(parts[2], 16)
        frames.append(
            Frame(
                float(parts[0].strip("()")),
                parts[1],
                "rx",
                bytes.fromhex("".join(parts[4:])),
                identifier,
                identifier > 0x7FF,
            )
        )
    got = decode(MEB, frames)
    assert len(frames) == 5 and not got.rejected
    assert [r.message for r in got.readings] == ["broadcast_BMS_11"]


def test_one_flipped_bit_is_found():
    for bit in range(64):
        raw = (int(BMS_11, 16) ^ 1 << bit).to_bytes(8, "big")
        got = decode(MEB, one(raw.hex(), 0x16A954A6, extended=True))
        assert not got.readings and got.rejected[0].message == "broadcast_BMS_11"


def test_fault_codes():
    assert said("5902FF").values == {"fault_codes": ()}
    reading = said("5902FF 0AA600 2F")
    assert reading.values == {"fault_codes": ("P0AA6",)}
    assert reading.notices[0].code == "critical_fault_code"


def test_can_fd():
    fd = protocol("meb", address=0x1C40007B)
    assert all(r.fd and r.answer == 0x1C42007B for r in fd.requests({}))
    payload = "621E32 FFFF0000 00020000 00800000 FF900000"
    reading = said(payload, fd, 0x1C42007B, fd=True)
    assert reading.identifier == 0x1C42007B
    # A log is decoded whichever of the two the tester used.
    assert said(payload, MEB, 0x1C42007B, fd=True).values == reading.values
    with pytest.raises(InputError, match="no address 0x7E4"):
        protocol("meb", address=0x7E4)


def test_what_may_be_sent():
    permitted = list(MEB.permitted)
    for request in (*MEB.requests({}), *MEB.probes):
        assert request in permitted
    assert {r.allow for r in permitted} == {Allow.READ}
    assert {r.data[0] for r in permitted} == {0x19, 0x22}
    assert not MEB.clear_faults and not MEB.keep_alive
