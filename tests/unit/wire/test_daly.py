"""Daly over UART and CAN: real frames, and answers of several frames."""

from battlife.model import SIMULATED_LINE, Frame
from battlife.wire import decode, protocol
from battlife.wire.checksums import sum8

# The example of the vendor's description; dbus-serialbattery issues 212 and 215.
PACK = bytes.fromhex("A501900802FC000075A1000052")
CAN_PACK = (0x18904001, bytes.fromhex("01070000753002BC"))
CAN_EXTREMES = (0x18914001, bytes.fromhex("0CE0010CDE04FFFF"))


def frame(command: int, data: bytes, board: int = 1) -> bytes:
    body = bytes([0xA5, board, command, 8]) + data
    return body + bytes([sum8(body)])


COUNTS = frame(0x94, bytes([4, 2, 0, 0, 0, 0, 17, 0]))
CELLS = frame(0x95, bytes.fromhex("010CE00CE10CE2FF")) + frame(
    0x95, bytes.fromhex("020CE3AAAABBBBFF")
)
SENSORS = frame(0x96, bytes([1, 60, 61, 0, 0, 0, 0, 0]))


def said(data: bytes, step: int = 1 << 20):
    chunks = [data[i : i + step] for i in range(0, len(data), step)]
    frames = [Frame(float(i), "p", "rx", c) for i, c in enumerate(chunks)]
    return decode(protocol("daly_uart"), frames)


def can(*frames: tuple[int, bytes]):
    return decode(
        protocol("daly_can"),
        [Frame(0.0, "c", "rx", d, i, extended=True) for i, d in frames],
    )


def test_the_vendors_example_discharges():
    (reading,) = said(PACK).readings
    assert reading.values == {"voltage_v": 76.4, "current_a": -11.3, "soc": 0.0}
    assert reading.device == "1" and reading.raw == PACK


def test_real_can_frames():
    pack, extremes = can(CAN_PACK, CAN_EXTREMES).readings
    assert pack.values == {"voltage_v": 26.3, "current_a": 0.0, "soc": 0.7}
    assert extremes.values["daly_cell_voltage_max_v"] == 3.296
    assert extremes.values["daly_cell_min_number"] == 4
    assert extremes.values["daly_cell_voltage_min_v"] == 3.294


def test_cells_come_when_the_last_frame_has_come_and_padding_is_no_cell():
    found = said(COUNTS + CELLS + SENSORS)
    counts, cells, sensors = found.readings
    assert counts.values["cycle_count"] == 17
    assert cells.values["cell_voltage_v"] == (3.296, 3.297, 3.298, 3.299)
    assert sensors.values["temperature_degc"] == (20.0, 21.0)
    assert not found.rejected


def test_cells_without_counts_or_with_a_lost_frame_are_refused():
    assert "counts" in said(CELLS).rejected[0].error.hint
    lost = said(COUNTS + frame(0x95, bytes([1] * 8)) + frame(0x95, bytes([3] * 8)))
    assert [r.message for r in lost.readings] == ["counts"]
    assert "out of order" in lost.rejected[0].error.message


def test_two_boards_between_each_other():
    second = [frame(0x94, bytes([3, 1, 0, 0, 0, 0, 0, 0]), 2)]
    second.append(frame(0x95, bytes.fromhex("010BB80BB90BBAFF"), 2))
    data = COUNTS + second[0] + CELLS[:13] + second[1] + CELLS[13:]
    cells = {r.device: r.values for r in said(data).readings if r.message == "cells"}
    assert cells["1"]["cell_voltage_v"] == (3.296, 3.297, 3.298, 3.299)
    assert cells["2"]["cell_voltage_v"] == (3.0, 3.001, 3.002)


def test_fragments_echo_junk_and_mark_change_nothing():
    asked = b"".join(r.data for r in protocol("daly_uart").permitted)
    data = b"\xa5\x00" + SIMULATED_LINE + asked + COUNTS + CELLS + PACK
    whole, bytewise = said(data), said(data, 1)
    assert [r.values for r in whole.readings] == [r.values for r in bytewise.readings]
    assert [r.message for r in whole.readings] == ["counts", "cells", "pack"]


def test_no_flipped_bit_or_truncation_gives_a_value():
    for bit in range(8 * len(PACK)):
        damaged = bytearray(PACK)
        damaged[bit // 8] ^= 1 << bit % 8
        assert said(bytes(damaged)).readings == (), bit
    assert all(said(PACK[:n]).readings == () for n in range(len(PACK)))


def test_alarms_are_named_and_a_short_is_critical():
    (reading,) = said(frame(0x98, bytes([1, 0, 0, 0, 0, 0, 4, 0]))).readings
    assert reading.values["fault_codes"] == (
        "cell over-voltage level 1",
        "short circuit",
    )
    assert reading.notices[0].code == "critical_fault_code"


def test_every_request_reads():
    """The commands that switch or set are not among what may leave."""
    for name in ("daly_uart", "daly_can"):
        for request in protocol(name).permitted:
            command = (request.identifier or request.data[2] << 16) >> 16 & 0xFF
            assert command in (*range(0x90, 0x99), 0x50)


def test_an_answer_of_several_frames_keeps_them_all():
    cells = said(COUNTS + CELLS).readings[1]
    assert cells.raw == CELLS
    on_can = can(
        (0x18944001, COUNTS[4:12]),
        (0x18954001, CELLS[4:12]),
        (0x18954001, CELLS[17:25]),
    ).readings[1]
    assert on_can.values == cells.values
    assert on_can.raw == CELLS[4:12] + CELLS[17:25]


def test_date_and_battery_code():
    (date,) = said(frame(0x53, bytes([0, 0, 23, 4, 29, 0, 0, 0]))).readings
    assert date.values == {"daly_manufactured": "2023-04-29"}
    text = b"BT20230429-0001" + bytes(20)
    parts = [bytes([i + 1]) + text[7 * i : 7 * i + 7] for i in range(5)]
    code = b"".join(frame(0x57, part) for part in parts)
    (reading,) = said(code).readings
    assert reading.values == {"daly_battery_code": "BT20230429-0001"}
    assert reading.raw == code
    lost = said(code[:26] + code[39:])
    assert lost.readings == () and len(lost.rejected) == 1


def test_cells_that_are_hot_forbid_handling():
    (reading,) = said(frame(0x98, bytes([0, 0b1010, 0, 0, 0, 0, 0, 0]))).readings
    assert reading.values["fault_codes"] == (
        "charge over-temperature level 2",
        "charge under-temperature level 2",
    )
    assert [n.code for n in reading.notices] == ["critical_fault_code"]
