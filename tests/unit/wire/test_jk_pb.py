"""JK PB: frames of real devices, over RS485 and Bluetooth.

V19 is a PB2A16S20P of esphome-jk-bms (tests, frames_jk02_32s_v19.h), V11 a B2A8S20P,
V10 a B2A24S20P (docs/pdus); the values beside them are those of their tests. The RS485
envelope is that of bms-docs/JKBMS-PB.md (dbus-serialbattery).

THREE_* were captured, with their acknowledgements, on the RS485 bus of a PB2A16S20P
with address 3 (dbus-serialbattery, tests of bms/jkbms_pb.py); MASTER on the cable of
a pack whose owner states 52.036 V, 7.98 A discharging, 63 % and 191 cycles.
"""

import math

import pytest

from battlife.errors import InputError
from battlife.model import SIMULATED_LINE, Allow, Frame, Reading
from battlife.readers import open_frames
from battlife.wire import decode, protocol
from battlife.wire._jk_frames import CELLS_24, CELLS_32, FLOATS, proven
from battlife.wire.checksums import crc16_modbus, sum8
from jk_samples import (
    ABOUT_V19,
    ACK_V15,
    ASK_V15,
    SETTINGS_V19,
    STATUS_V10,
    STATUS_V11,
    STATUS_V15,
    STATUS_V19,
)
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


def test_an_answer_captured_on_an_rs485_bus():
    assert ASK_V15 == ask(3) == protocol("jk_pb", address=3).requests({})[2].data
    for front in (b"", ASK_V15, b"\0"):  # the adapter may echo what was sent
        found = said(front + STATUS_V15 + b"\0" + ACK_V15 + b"\0", sent=ASK_V15)
        assert found.rejected == ()
        (reading,) = found.readings
        assert reading.device == "3" and reading.raw == STATUS_V15 + b"\0" + ACK_V15
        values = reading.values
        assert values["voltage_v"] == 52.695 and values["current_a"] == 0.0
        assert values["soc"] == 0.55  # of 280 Ah: 154 Ah
        assert values["full_capacity_ah"] == 280.0 and values["cycle_count"] == 62
        assert values["remaining_capacity_ah"] == pytest.approx(154, abs=1.5)
        assert sum(values["cell_voltage_v"]) == pytest.approx(52.695, abs=0.05)
        assert values["temperature_degc"] == (19.5, 19.8, 19.4, 19.9)


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
    assert found["jk_device_name"] == found["serial_number"]  # its owner gave no name
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


def record(text: str) -> bytes:
    """Return a record; "00*8" are eight zeros."""
    data = b""
    for word in text.split():
        run, _, times = word.partition("*")
        data += bytes.fromhex(run) * int(times or 1)
    assert len(data) == 300 and sum8(data[:299]) == data[299]
    return data


THREE_STATUS = record(
    "55aaeb900200dd0cdd0cdd0cdd0cdd0cdd0cde0cdd0cde0cde0cde0cde0cde0c "
    "dd0cde0cdd0c 00*32 "
    "ffff0000dd0c01000100330034003f0042004d00580066007100770071006600 "
    "62005a004400400036 00*33 cb0000000000d7cd 00*10 c300c6 00*8 "
    "37535e0200c04504003e00000086b70901640000000422e5020101 00*14 "
    "ff00010000009703000000001671404000000000951400000001010100060000 "
    "b4e3af0000000000cb00c200c7009703863ec40b100900008051010000000302 00*8 "
    "01feff7fdc2f0101b0cf07000021"
)
THREE_SETTINGS = record(
    "55aaeb900100ac0d00008c0a0000550b0000420e0000740d000005000000750d "
    "0000540b00007a0d0000160d0000c409000060ea0000030000003c000000a086 "
    "01002c0100003c00000005000000d00700005e010000400100005e0100004001 "
    "0000320000004600000020030000bc0200001000000001000000010000000100 "
    "0000c0450400dc050000700d 00*130 03 00*7 "
    "60e316000033000a18feffffff9fe99d030000000034"
)
THREE_ABOUT = record(
    "55aaeb9003004a4b5f5042324131365332305000000031354100000000003135 "
    "2e34310000001c29e5021600000042423032 00*12 31323334 00*12 "
    "3234303931340000343031313934393134383000303030004a4b2d424d53 00*10 "
    "313336393133 00*10 4a4b2d424d53 00*10 "
    "ffffffff8fe99d0300000000901f00000000c0d8e7fe3f000001 00*9 04ff67 00*14 ff0f "
    "00*14 01ff67 00*13 09080001640000005f0000003c00000032 00*12 2f00000a78011e "
    "00*17 fe9fe9ff0f 00*7 f6"
)
MASTER_STATUS = record(
    "55aaeb900200b60cb50cb40cb40cb10cb40cb40cb30cb60cb50cb60cb60cb50c "
    "b30cb30cb30c 00*32 "
    "ffff0000b40c0500000444004300450042004500420045004200450044004600 "
    "430046004400470044 00*33 6f010000000044cb00000b560600d4e0ffff69016601 00*7 "
    "3f313a020070820300bf0000000af0a0026400000023ba51020101 00*14 "
    "ff0001000000b6030000150044303e4000000000531400000001010100060100 "
    "baaf0f00000000006f0172017301ba037890770c950800008051010000000301 00*8 "
    "01feff7fdc2f0101b00f00000089"
)


def test_a_bus_as_it_was_captured():
    stream = (
        bytes.fromhex("031016200001020000cf91")
        + THREE_SETTINGS
        + bytes.fromhex("000310161e0001646500")
        + THREE_STATUS
        + bytes.fromhex("0003101620000105a900")
        + THREE_ABOUT
        + bytes.fromhex("000310161c0001c5a500")
    )
    found = said(stream)
    assert found.rejected == ()
    messages = [(r.device, r.message) for r in found.readings]
    assert messages == [("3", "settings"), ("3", "status"), ("3", "about")]
    values = found.merged("3")
    assert values["cell_voltage_v"][:7] == (3.293,) * 6 + (3.294,)
    assert sum(values["cell_voltage_v"]) == pytest.approx(52.695, abs=0.02)
    assert values["voltage_v"] == 52.695 and values["current_a"] == 0.0
    assert values["temperature_degc"] == (19.5, 19.8, 19.4, 19.9)
    assert values["jk_mosfet_temperature_degc"] == 20.3
    assert values["soc"] == 0.55 and values["remaining_capacity_ah"] == 155.219
    assert values["full_capacity_ah"] == 280.0 == values["design_capacity_ah"]
    assert values["cycle_count"] == 62 and values["charge_throughput_ah"] == 17414.022
    assert values["jk_n_cells"] == 16 and values["jk_model"] == "JK_PB2A16S20P"
    assert values["hardware_version"] == "15A"
    assert values["software_version"] == "15.41"


def test_address_0_acknowledges_without_a_byte_between():
    (reading,) = said(MASTER_STATUS + bytes.fromhex("001016200001059a")).readings
    values = reading.values
    assert reading.device == "0" and reading.raw[:300] == MASTER_STATUS
    assert len(reading.raw) == 308
    assert values["voltage_v"] == 52.036 and values["current_a"] == -7.98
    assert values["soc"] == 0.63 and values["cycle_count"] == 191
    assert sum(values["cell_voltage_v"]) == pytest.approx(52.036, abs=0.03)
    assert values["temperature_degc"] == (36.1, 35.8, 37.0, 37.1)


def test_a_sensor_that_reads_nothing_is_missing():
    # Byte 214 is FF in this frame: it tells nothing.
    frame = changed(MASTER_STATUS, 258, bytes(2))
    (reading,) = said(answer(2, frame)).readings
    assert reading.values["temperature_degc"][:3] == (36.1, 35.8, 37.0)
    assert math.isnan(reading.values["temperature_degc"][3])
