"""JBD: real frames with the values their devices' logs print."""

import re

import pytest

from battlife.errors import ProtocolError
from battlife.model import SIMULATED_LINE, Frame
from battlife.wire import decode, protocol
from support import DATASETS, shared

# mr-manuel/venus-os_dbus-serialbattery issue 265, and aiobmsble tests.
BASIC = bytes.fromhex(
    "DD03001D0587000074FB759401572E9D00000000000061630304030BEC0BDB0BD5F83177"
)
CELLS = bytes.fromhex("DD0400080DD20DD20DD40DD6FC7677")
SECOND = bytes.fromhex(
    "DD03001D0618FEE101F201F4002A2C7C00000000000080640304030B8B0B8A0B84F88477"
)
JBD = protocol("jbd_uart")


def said(*chunks: bytes):
    return decode(JBD, [Frame(float(i), "p", "rx", c) for i, c in enumerate(chunks)])


def test_the_first_real_frame():
    (reading,) = said(BASIC).readings
    values = reading.values
    assert reading.message == "basic" and reading.raw == BASIC
    assert values["voltage_v"] == 14.15 and values["current_a"] == 0.0
    assert values["remaining_capacity_ah"] == 299.47
    assert values["design_capacity_ah"] == 301.0
    assert values["cycle_count"] == 343 and values["soc"] == 0.99
    assert values["jbd_manufactured"] == "2023-04-29"
    assert values["temperature_degc"] == (32.1, 30.4, 29.8)
    assert values["charge_enabled"] is True and values["discharge_enabled"] is True
    assert values["fault_codes"] == () and values["balancing"] is False


def test_discharge_is_negative():
    (reading,) = said(SECOND).readings
    assert reading.values["current_a"] == -2.87
    assert reading.values["voltage_v"] == 15.6
    assert reading.values["temperature_degc"] == (22.4, 22.3, 21.7)


def test_cells():
    (reading,) = said(CELLS).readings
    assert reading.values["cell_voltage_v"] == (3.538, 3.538, 3.540, 3.542)


@pytest.mark.parametrize("raw", [BASIC, CELLS, SECOND])
def test_any_fragmentation_with_junk_echo_and_mark_gives_the_same(raw):
    asked = b"".join(r.data for r in JBD.permitted)
    stream = b"\x00\xdd\xff" + SIMULATED_LINE + asked + raw
    whole = said(stream).readings
    pieces = said(*[stream[i : i + 1] for i in range(len(stream))]).readings
    assert [r.values for r in whole] == [r.values for r in pieces]
    assert len(whole) == 1 and whole[0].raw == raw


@pytest.mark.parametrize("raw", [BASIC, CELLS, SECOND])
def test_no_flipped_bit_and_no_truncation_gives_a_value(raw):
    for bit in range(8 * len(raw)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        assert said(bytes(damaged)).readings == (), bit
    for length in range(len(raw)):
        assert said(raw[:length]).readings == ()


def test_a_right_message_after_a_damaged_one_is_found():
    damaged = BASIC[:10] + BASIC[11:]
    found = said(damaged + CELLS)
    assert [r.message for r in found.readings] == ["cells"]
    assert isinstance(found.rejected[0].error, ProtocolError)


def test_an_error_answer_is_rejected():
    raw = bytes.fromhex("DD0380000000" + "77")
    (rejected,) = said(
        b"\xdd\x03\x80\x00" + (-0x80 & 0xFFFF).to_bytes(2) + b"w"
    ).rejected
    assert "error 80" in rejected.error.message and rejected.message == "basic"
    assert said(raw).readings == ()


def test_protections_are_named_and_a_short_is_critical():
    data = bytearray(BASIC[4:-3])
    data[16:18] = (0b100_0000_0001).to_bytes(2)
    body = b"\x00" + bytes([len(data)]) + data
    raw = b"\xdd\x03" + body + (-sum(body) & 0xFFFF).to_bytes(2) + b"w"
    (reading,) = said(raw).readings
    assert reading.values["fault_codes"] == ("cell over-voltage", "short circuit")
    assert [n.code for n in reading.notices] == ["critical_fault_code"]


def test_bytes_behind_the_sensors_are_left_alone():
    """Chins packs answer with 5 to 7 bytes more, which echo other fields."""
    data = BASIC[4:-3] + bytes.fromhex("0074FB7594")
    body = b"\x00" + bytes([len(data)]) + data
    raw = b"\xdd\x03" + body + (-sum(body) & 0xFFFF).to_bytes(2) + b"w"
    (reading,) = said(raw).readings
    assert reading.values == said(BASIC).readings[0].values


def test_hot_cells_forbid_handling():
    data = bytearray(BASIC[4:-3])
    data[16:18] = (0b0101_0000).to_bytes(2)
    body = b"\x00" + bytes([len(data)]) + data
    raw = b"\xdd\x03" + body + (-sum(body) & 0xFFFF).to_bytes(2) + b"w"
    (reading,) = said(raw).readings
    assert [n.code for n in reading.notices] == ["critical_fault_code"] * 2


def captures():
    folder = DATASETS / "captures" / "jbd"
    return sorted(folder.glob("*.txt")) or sorted(shared("bms_serial").glob("*.txt"))


def test_the_captures_of_real_devices_decode():
    """Every answer 03, 04, 05 in the text captures; the dead pack reads 0 V."""
    count = 0
    for path in captures():
        for token in re.findall(
            r"<<< ((?:[0-9A-F]{2}:)+[0-9A-F]{2})", path.read_text()
        ):
            raw = bytes.fromhex(token.replace(":", ""))
            if raw[:1] == b"\xdd" and raw[1] in (3, 4, 5):
                found = said(raw)
                assert len(found.readings) == 1 and not found.rejected, path
                count += len(found.readings)
    assert count == 7
