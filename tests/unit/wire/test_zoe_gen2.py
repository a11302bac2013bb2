"""Zoe of the second generation."""

import math

import pytest

from battlife.errors import InputError
from battlife.model import Allow, Frame
from battlife.wire import decode, protocol
from ev_frames import one, segments

ZOE = protocol("zoe_gen2")
ANSWER = 0x18DAF1DB


def said(payload: str, device=ZOE, identifier=ANSWER):
    got = decode(device, segments(bytes.fromhex(payload), identifier, extended=True))
    assert not got.rejected, got.rejected
    (reading,) = got.readings
    return reading


def test_the_current_of_a_real_pack():
    # Battery-Emulator issue #2819: 7F80 is 32640, no current.
    frames = [
        Frame(0.0, "c", "tx", bytes.fromhex("0322925D00000000"), 0x18DADBF1, True),
        Frame(0.1, "c", "rx", bytes.fromhex("0562925D7F80AAAA"), ANSWER, True),
    ]
    (reading,) = decode(ZOE, frames).readings
    assert reading.message == "current" and reading.values == {"current_a": 0.0}
    assert reading.raw == bytes.fromhex("62925D7F80")


@pytest.mark.parametrize(
    ("payload", "values"),
    [
        # Scales of CanZE LBC_FieldsPh2.csv: value = (raw - offset) * resolution.
        ("62925D7F60", {"current_a": -1.0}),
        ("629001 1C84", {"soc": 0.7}),
        ("629002 1B58", {"zoe_usable_soc": 0.7}),
        ("629003 2454", {"reported_soh": 0.93}),
        ("629005 0E74", {"voltage_v": 370.0}),
        ("629006 0005C800", {"zoe_cell_sum_v": 370.0}),
        ("629007 0F00", {"zoe_max_cell_v": 3.75}),
        ("629009 0EC0", {"zoe_min_cell_v": 3.6875}),
        ("62900D 0000BB58", {"zoe_instant_current_a": -1.0}),
        ("62900F 157C", {"max_discharge_power_w": 55_000}),
        ("629018 1194", {"max_charge_power_w": 45_000}),
        ("629012 03C0", {"zoe_temperature_avg_degc": 20.0}),
        ("62901A 02", {"interlock_closed": True}),
        ("62901A 01", {"interlock_closed": False}),
        ("62901A 03", {}),
        ("6291C8 00A410", {"zoe_available_energy_wh": 42_000}),
        ("6291CF 80186A00", {"zoe_mileage_km": 50_000}),
        ("629210 0123", {"zoe_full_charges": 291}),
        ("6291C6 0190", {"zoe_charge_dcr_ohm": 0.1}),
        ("629129 000005", {"zoe_failed_slaves": (1, 3)}),
        ("6291CA 01", {"zoe_main_relay_requested": True}),
        ("62901B 3456 3731 41", {"serial_number": "4V71A"}),
    ],
)
def test_values(payload, values):
    got = said(payload).values
    assert set(got) == set(values)
    for name, value in values.items():
        assert got[name] == (pytest.approx(value) if type(value) is float else value)


@pytest.mark.parametrize("did", ["9001", "9003", "9005", "925D", "9012"])
def test_all_ones_are_no_value(did):
    assert said(f"62{did}FFFF").values == {}


@pytest.mark.parametrize(
    ("did", "cell"),
    [
        ("9021", 1),
        ("903F", 31),
        ("9041", 32),
        ("905F", 62),
        ("9061", 63),
        ("907F", 93),
        ("9081", 94),
        ("9083", 96),
    ],
)
def test_places_of_cells(did, cell):
    reading = said(f"62{did}0F00")
    assert reading.message == f"cell_{cell}"
    cells = reading.values["cell_voltage_v"]
    assert len(cells) == 96 and cells[cell - 1] == 3.75
    assert sum(not math.isnan(v) for v in cells) == 1


def test_a_cell_without_value():
    cells = said("629021FFFF").values["cell_voltage_v"]
    assert all(math.isnan(v) for v in cells)


@pytest.mark.parametrize(("did", "sensor"), [("9131", 1), ("913F", 15), ("9141", 16)])
def test_places_of_sensors(did, sensor):
    temperatures = said(f"62{did}03C8").values["temperature_degc"]
    assert len(temperatures) == sensor and temperatures[-1] == 20.5


def test_all_cells_together():
    frames = []
    for i, request in enumerate(r for r in ZOE.requests({}) if "cell_" in r.name):
        if request.name.startswith("cell_") and request.name != "cell_sum":
            payload = b"\x62" + request.data[1:] + (3840 + i).to_bytes(2, "big")
            frames += segments(payload, ANSWER, extended=True)
    cells = decode(ZOE, frames).merged()["cell_voltage_v"]
    assert len(cells) == 96 and not any(math.isnan(v) for v in cells)
    assert cells == tuple(sorted(cells))


def test_balancing_counts_from_the_last_bit():
    values = said("62912B 80 0000000000000000 0000 01").values
    cells = (1.0, *94 * (0.0,), 1.0)
    assert values == {"balancing": True, "zoe_balancing_cells": cells}
    assert said("62912B" + "00" * 12).values["balancing"] is False


def test_a_busbar_in_failure_forbids_handling():
    reading = said("6291CC 000002")
    assert reading.values == {"zoe_failed_busbars": (2,)}
    assert [n.code for n in reading.notices] == ["critical_fault_code"]
    assert not said("6291CC 000000").notices


def test_fault_codes():
    reading = said("5902FF 0AA600 2F 33D700 50 33D900 0B")
    assert reading.values == {"fault_codes": ("P0AA6", "P33D9")}
    assert "P0AA6" in reading.notices[0].message


def test_a_refusal_names_what_was_asked():
    frames = [
        Frame(0.0, "c", "tx", bytes.fromhex("0322903F00000000"), 0x18DADBF1, True),
        Frame(0.1, "c", "rx", bytes.fromhex("037F2231AAAAAAAA"), ANSWER, True),
    ]
    (rejected,) = decode(ZOE, frames).rejected
    assert rejected.message == "cell_31"


def test_11_bit_frames_are_others():
    got = decode(ZOE, one("0562925D7F80AAAA", 0x7BB))
    assert not got.readings and not got.rejected


def test_the_second_lbc():
    second = protocol("zoe_gen2", address=2)
    assert {r.identifier for r in second.requests({})} == {0x18DADCF1}
    assert said("629005 0E74", second, 0x18DAF1DC).device == "2"
    with pytest.raises(InputError):
        protocol("zoe_gen2", address=0)


def test_what_may_be_sent():
    permitted = list(ZOE.permitted)
    for request in (*ZOE.requests({}), *ZOE.probes, *ZOE.clear_faults, *ZOE.keep_alive):
        assert request in permitted
    assert ZOE.requests({})[0].data == bytes.fromhex("1003")
    assert len({r.name for r in ZOE.requests({})}) == len(ZOE.requests({}))
    assert {r.allow for r in ZOE.probes} == {Allow.READ}
    services = {r.data[0] for r in permitted if r.allow is Allow.READ}
    assert services == {0x10, 0x19, 0x22}
    assert {r.data.hex() for r in ZOE.keep_alive} == {
        "c140b25d0001ffe3",
        "c1405db20001ffe3",
    }
