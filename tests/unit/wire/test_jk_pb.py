"""JK PB: frames of real devices, over RS485 and Bluetooth.

V19 is a PB2A16S20P of esphome-jk-bms (tests, frames_jk02_32s_v19.h), V11 a B2A8S20P,
V10 a B2A24S20P (docs/pdus); the values beside them are those of their tests. The RS485
envelope is that of bms-docs/JKBMS-PB.md (dbus-serialbattery).
"""

import math

import pytest

from battlife.errors import InputError
from battlife.model import SIMULATED_LINE, Allow, Frame, Reading
from battlife.readers import open_frames
from battlife.wire import decode, protocol
from battlife.wire._jk_frames import CELLS_24, CELLS_32, FLOATS, proven
from battlife.wire.checksums import crc16_modbus, sum8
from jk_samples import ABOUT_V19, SETTINGS_V19, STATUS_V10, STATUS_V11, STATUS_V19
from support import DATASETS

PB = protocol("jk_pb", address=2)
REGISTERS = {1: 0x1E, 2: 0x20, 3: 0x1C}


def ask(address: int, kind: int = 2) -> bytes:
    body = bytes([address, 0x10, 0x16, REGISTERS[kind], 0, 1, 2, 0, 0])
    return body + crc16_modbus(body).to_bytes(2, "little")


def answer(address: int, frame: bytes) -> bytes:
    ack = bytes([address, 0x10, 0x16, REGISTERS[frame[4]], 0, 1])
    crc = crc16_modbus(ack).to_bytes(2, "little")
    return frame + b"\0" + ack + crc + b"\0"


def changed(frame: bytes, at: int, new: bytes) -> bytes:
    body = frame[:at] + new + frame[at + len(new) : 299]
    return body + bytes([sum8(body)])


def said(*chunks: bytes, sent: bytes = b""):
    frames = [Frame(0.1 + i, "p", "rx", c) for i, c in enumerate(chunks)]
    if sent:
        frames.insert(0, Frame(0.0, "p", "tx", sent))
    return decode(PB, frames)


def test_requests_are_those_of_the_vendors_master():
    about, settings, status = PB.requests({})
    first = protocol("jk_pb").requests({})[2]  # as in bms/jkbms_pb.py, address 1
    assert first.data.hex() == "011016200001020000d6f1"
    assert [r.name for r in (about, settings, status)] == [
        "about",
        "settings",
        "status",
    ]
    assert math.isinf(about.every_s) and status.gap_s >= 0.1
    assert {r.allow for r in PB.permitted} == {Allow.READ} and PB.probes == ()
    assert (settings.data, about.data) == (ask(2, 1), ask(2, 3))


def test_status_over_rs485():
    (reading,) = said(answer(2, STATUS_V19), sent=ask(2)).readings
    assert (reading.device, reading.message) == ("2", "status")
    assert reading.raw[:300] == STATUS_V19 and reading.raw[301] == 2
    values = reading.values
    assert values["cell_voltage_v"][0] == 3.381 and values["cell_voltage_v"][9] == 3.374
    assert len(values["cell_voltage_v"]) == 16
    assert values["voltage_v"] == 54.028 and values["current_a"] == -0.727
    assert values["temperature_degc"] == (11.9, 12.7, 12.6, 11.4)
    assert values["jk_mosfet_temperature_degc"] == 12.8
    assert values["soc"] == 1.0 and values["reported_soh"] == 1.0
    assert values["remaining_capacity_ah"] == 312.898
    assert values["full_capacity_ah"] == 314.0 and values["cycle_count"] == 5
    assert values["jk_runtime_s"] == 3609276
    assert values["charge_enabled"] is True and values["discharge_enabled"] is True
    assert values["fault_codes"] == () and reading.notices == ()
    assert values["jk_wire_resistance_ohm"][:2] == (0.060, 0.064)


def test_settings_and_about():
    found = said(answer(2, SETTINGS_V19) + answer(2, ABOUT_V19)).merged("2")
    assert found["design_capacity_ah"] == 314.0 and found["jk_n_cells"] == 16
    assert found["jk_cell_over_voltage_v"] == 3.65
    assert found["jk_cell_under_voltage_v"] == 2.6
    assert found["jk_max_discharge_current_a"] == 100.0
    assert found["jk_model"] == "JK-PB2A16S20P\0\0\x10".split("\0")[0]
    assert found["hardware_version"] == "19A" and found["software_version"] == "19.27"
    assert found["serial_number"] == "506177F49000674"
    assert found["jk_power_on_count"] == 16
    assert not any("1234" in str(v) for v in found.values())  # its passwords


@pytest.mark.parametrize(
    ("frame", "layout", "expected"),
    [
        (
            STATUS_V11,
            CELLS_32,
            {
                "voltage_v": 26.381,
                "temperature_degc": (29.7, 29.8),
                "soc": 0.69,
                "cycle_count": 0,
                "n": 8,
            },
        ),
        (
            STATUS_V10,
            CELLS_24,
            {
                "voltage_v": 78.735,
                "temperature_degc": (20.7, 20.7),
                "soc": 0.85,
                "cycle_count": 0,
                "n": 24,
            },
        ),
    ],
)
def test_the_numbers_tell_the_layout_of_a_bluetooth_frame(frame, layout, expected):
    assert proven(frame) == (layout,)
    (reading,) = said(frame).readings
    values = reading.values
    assert reading.device == "" and reading.raw == frame
    assert values["voltage_v"] == expected["voltage_v"]
    assert len(values["cell_voltage_v"]) == expected["n"]
    assert values["soc"] == expected["soc"]
    assert values["cycle_count"] == expected["cycle_count"]
    fitted = tuple(t for t in values["temperature_degc"] if not math.isnan(t))
    assert fitted == expected["temperature_degc"]
    assert sum(values["cell_voltage_v"]) == pytest.approx(values["voltage_v"], rel=2e-3)


def test_a_frame_of_no_proven_layout_is_refused():
    odd = changed(STATUS_V10, 118, (50_000).to_bytes(4, "little"))
    (rejected,) = said(odd).rejected
    assert "no layout is proven" in rejected.error.message and rejected.error.hint
    # One that was proven before holds for the same conversation.
    found = said(STATUS_V10, odd)
    assert [r.values["voltage_v"] for r in found.readings] == [78.735, 50.0]


def test_a_frame_belongs_to_whoever_acknowledges_right_behind_it():
    both = said(ask(2) + answer(2, STATUS_V19) + ask(3) + answer(3, STATUS_V11))
    assert [r.device for r in both.readings] == ["2", "3"]
    # The bus master speaks of itself without being asked: nobody acknowledges.
    found = said(answer(2, STATUS_V19) + STATUS_V11 + ask(4) + STATUS_V10, sent=ask(2))
    assert [r.device for r in found.readings] == ["2"]
    assert [r.message for r in found.rejected] == ["", ""]
    gap = said(STATUS_V19 + b"\0\0\0" + answer(2, STATUS_V19)[301:], sent=ask(2))
    assert gap.readings == () and len(gap.rejected) == 1


def test_lost_bytes_never_join_two_answers():
    """One byte of checksum: without care every 256th such pair would pass."""
    whole = answer(2, STATUS_V19) + answer(2, STATUS_V11)
    for start in range(4, 299, 7):
        for n_lost in (1, 3, 9, 10, 11, 40, 250):
            damaged = whole[:start] + whole[start + n_lost :]
            for reading in said(damaged, sent=ask(2)).readings:
                assert reading.raw[:300] in (STATUS_V19, STATUS_V11)


@pytest.mark.parametrize("n", [1, 2, 7, 20, 299, 301, 309])
def test_any_fragmentation_with_junk_echo_and_mark_gives_the_same(n):
    stream = b"\x55\xaa\x55" + SIMULATED_LINE + ask(2) + answer(2, STATUS_V19)
    (whole,) = said(stream).readings
    (split,) = said(*(stream[i : i + n] for i in range(0, len(stream), n))).readings
    assert (whole.values, whole.device) == (split.values, "2")


@pytest.mark.parametrize("frame", [STATUS_V19, SETTINGS_V19, ABOUT_V19])
def test_no_flipped_bit_gives_another_value(frame):
    raw = answer(2, frame)
    (true,) = said(raw, sent=ask(2)).readings
    for bit in range(8 * len(raw)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        for reading in said(bytes(damaged), sent=ask(2)).readings:
            assert reading.values == true.values and reading.device == "2", bit
    for length in range(len(raw) - 1):
        assert said(raw[:length], sent=ask(2)).readings == ()


def test_alarms_are_named_and_some_forbid_handling():
    frame = changed(STATUS_V19, 166, (1 << 4 | 1 << 14 | 1 << 25).to_bytes(4, "little"))
    (reading,) = said(answer(2, frame)).readings
    assert reading.values["fault_codes"] == (
        "cell over-voltage",
        "discharge short circuit",
        "alarm bit 25",
    )
    assert [n.code for n in reading.notices] == ["critical_fault_code"]
    # In the layout of 24 cells: number of cells and cell over-voltage, as the vendor's
    # app names 14 00 (esphome-jk-bms).
    frame = changed(STATUS_V10, 136, b"\x14\x00")
    (reading,) = said(frame).readings
    assert reading.values["fault_codes"] == ("number of cells", "cell over-voltage")


def test_what_is_not_fitted_is_missing():
    frame = changed(STATUS_V19, 214, bytes([0b0000_0110]))
    values = said(answer(2, frame)).readings[0].values
    assert values["temperature_degc"][:2] == (11.9, 12.7)
    assert all(math.isnan(t) for t in values["temperature_degc"][2:])
    assert math.isnan(values["jk_mosfet_temperature_degc"])
    frame = changed(STATUS_V19, 70, (0xFFFD).to_bytes(4, "little"))
    cells = said(answer(2, frame)).readings[0].values["cell_voltage_v"]
    assert math.isnan(cells[1]) and cells[2] == 3.375
    frame = changed(STATUS_V19, 173, b"\xff")
    assert math.isnan(said(answer(2, frame)).readings[0].values["soc"])


def test_settings_of_no_known_layout_are_refused():
    frame = changed(SETTINGS_V19, 114, bytes(4))
    (rejected,) = said(answer(2, frame)).rejected
    assert rejected.message == "settings" and rejected.device == "2"


def test_addresses():
    with pytest.raises(InputError):
        protocol("jk_pb", address=16)


@pytest.mark.parametrize(
    ("name", "counts", "layout", "pack_v"),
    [
        (
            "btsnoop_hci_jk-b2a16s_hw30_sw330.log",
            {"status": 49, "settings": 1, "about": 1},
            FLOATS,
            (54.31, 54.36),
        ),
        (
            "btsnoop_hci_jk-bd6a24s10p_hw8x_sw806g.log",
            {"status": 53, "settings": 3, "about": 1},
            CELLS_24,
            (48.20, 48.22),
        ),
    ],
)
def test_every_frame_of_the_bluetooth_captures_decodes(name, counts, layout, pack_v):
    found = decode(PB, open_frames(DATASETS / "captures" / "jk" / name))
    assert found.rejected == ()
    messages = [r.message for r in found.readings]
    assert {m: messages.count(m) for m in set(messages)} == counts
    for reading in found.readings:
        if reading.message == "status":
            assert proven(reading.raw) == (layout,)
            assert pack_v[0] < reading.values["voltage_v"] < pack_v[1]
            assert len(reading.values["cell_voltage_v"]) == 16
    about = next(
        r for r in found.readings if isinstance(r, Reading) and "jk_model" in r.values
    )
    assert (
        about.values["jk_model"] in name.upper()
        or "BD6A24S10P" in about.values["jk_model"]
    )
