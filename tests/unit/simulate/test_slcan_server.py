"""The SLCAN adapter, byte by byte, and what happens on the bus behind it."""

from collections.abc import Sequence

import pytest

from battlife.simulate.can_bus import (
    FILLER_ID,
    FULL_LOAD_HZ,
    Broadcast,
    BusFrame,
    CanBus,
    PackView,
    Schedule,
)
from battlife.simulate.faults import Disturbance
from battlife.simulate.pack_model import PackModel
from battlife.simulate.slcan_server import SlcanServer, parsed, written

MARK = b"t7FD8424C2D53494D554C\r"  # 0x7FD, "BL-SIMUL"


class Speaker:
    """Repeats a numbered message each 100 ms and answers each frame with one."""

    def __init__(self, *, has_crc: bool = False) -> None:
        self.writes: list[bytes] = []
        self.taken: list[BusFrame] = []
        self.broadcasts = [
            Broadcast(0x100, 0.1, lambda n: bytes([n, 0]), has_crc=has_crc)
        ]

    def awake(self, now_s: float) -> bool:
        return True

    def take(self, frame: BusFrame, now_s: float) -> Sequence[BusFrame]:
        self.taken.append(frame)
        return [BusFrame(0x200, b"\x01")]

    def due(self, now_s: float) -> Sequence[BusFrame]:
        return ()


def adapter(
    *faults: str, node: Speaker | None = None, fd: bool = False, bus_load: float = 0.0
) -> SlcanServer:
    view = PackView(PackModel())
    chosen = frozenset(faults)
    bus = CanBus(node or Speaker(), view, faults=chosen, fd=fd, bus_load=bus_load)
    return SlcanServer(bus, Disturbance(chosen & {"noise", "wrong_baud"}, 0))


def opened(server: SlcanServer, setup: bytes = b"S6\rO\r") -> SlcanServer:
    assert server.take(setup, 0.0).endswith(MARK)
    return server


def test_what_python_can_sends_first() -> None:
    # bitrate=500000: C, S6, an empty command, and O twice.
    server = adapter()
    assert server.take(b"C\rS6\r\rO\rO\r", 0.0) == b"\a\r\r\r" + MARK + b"\a"
    assert server.take(b"V\rN\r", 0.0) == b"V0000\rNSIMU\r"
    assert server.take(b"C\r", 0.0) == b"\r"


@pytest.mark.parametrize(
    "command",
    [b"S", b"SA", b"s12", b"s12G4", b"Q", b"Z2", b"Y2", b"F", b"t1230", b"x" * 500],
)
def test_a_closed_adapter_refuses(command: bytes) -> None:
    server = adapter()
    assert server.take(command + b"\r", 0.0) == b"\a"
    assert server.take(b"V\r", 0.0) == b"V0000\r"


@pytest.mark.parametrize(
    "command",
    [
        b"S6",
        b"Z1",
        b"t12",
        b"t8000",
        b"t1239",
        b"t12320",
        b"t1232ABCDEF",
        b"tXYZ0",
        b"T200000000",
        b"r123100",
        b"d1239",
        b"O",
    ],
)
def test_an_open_adapter_refuses(command: bytes) -> None:
    node = Speaker()
    server = opened(adapter(node=node))
    assert server.take(command + b"\r", 0.0) == b"\a"
    assert node.taken == []


def test_frames_go_to_the_bus_and_answers_come_back() -> None:
    node = Speaker()
    server = opened(adapter(node=node))
    assert server.take(b"t79B30221", 0.0) == b""  # in pieces
    assert server.take(b"01\rT18DADBF11aa\r", 0.0) == (b"z\rt200101\rZ\rt200101\r")
    assert server.take(b"r1234\rR000001238\r", 0.0) == (b"z\rt200101\rZ\rt200101\r")
    assert node.taken == [
        BusFrame(0x79B, bytes.fromhex("022101")),
        BusFrame(0x18DADBF1, b"\xaa", extended=True),
        BusFrame(0x123, b"", remote=True),
        BusFrame(0x123, b"", extended=True, remote=True),
    ]


def test_a_listener_cannot_send() -> None:
    server = adapter()
    assert server.take(b"S6\rL\r", 0.0) == b"\r\r" + MARK
    assert server.take(b"t1230\r", 0.0) == b"\a"
    assert server.due(0.05) == b"t7FD8424C2D53494D554C\rt10020000\r"


def test_can_fd_frames_on_a_bus_that_takes_them() -> None:
    node = Speaker()
    server = opened(adapter(node=node, fd=True), b"S6\rY2\rO\r")
    assert server.take(b"b1239" + b"11" * 12 + b"\r", 0.0)[:2] == b"z\r"
    assert server.take(b"D000001230\r", 0.0)[:2] == b"Z\r"
    assert node.taken == [
        BusFrame(0x123, b"\x11" * 12, fd=True),
        BusFrame(0x123, b"", extended=True, fd=True),
    ]


def test_nothing_is_said_while_the_channel_is_closed() -> None:
    server = adapter()
    assert server.due(0.0) == b""
    opened(server)
    assert b"t1002" in server.due(0.1)
    server.take(b"C\r", 0.1)
    assert server.due(0.5) == b""


def test_another_bit_rate_hears_errors_only() -> None:
    node = Speaker()
    server = adapter(node=node)
    server.take(b"S5\rO\r", 0.0)
    assert server.due(0.3) == b""
    assert server.take(b"t1230\r", 0.3) == b"\a"
    assert server.take(b"F\r", 0.3) == b"F80\r"
    assert node.taken == []
    # 8 MHz, prescaler 1, 16 quanta: 500 kbit/s by the registers.
    server.take(b"C\rs001C\rO\r", 0.4)
    assert b"t1002" in server.due(0.5)


def test_time_stamps() -> None:
    server = adapter()
    server.take(b"S6\rZ1\rO\r", 0.0)
    server.due(0.0)
    assert server.due(0.25).startswith(b"t1002010000FA\r")
    assert written(BusFrame(1, b""), 61.5) == b"t001005DC\r"


def test_a_backlog_drops_whole_frames_and_says_so() -> None:
    server = opened(adapter(bus_load=1.0))
    server.due(0.0)
    server.backlog = (1 << 15) - 50
    lines = server.due(0.1)
    assert 0 < len(lines) <= 50 and lines.endswith(b"\r")
    assert server.take(b"F\r", 0.1) == b"F09\r"
    assert server.take(b"F\r", 0.1) == b"F00\r"


def test_lost_frames_of_the_bus_are_in_the_flags() -> None:
    server = opened(adapter("dropped_frames"))
    numbers = []
    for i in range(20):
        numbers += [
            int(line[5:7], 16)
            for line in server.due(i * 0.1 + 0.001).split(b"\r")
            if line.startswith(b"t1002")
        ]
    assert numbers == [n for n in range(20) if n % 4 != 3]
    assert server.take(b"F\r", 2.0) == b"F08\r"
    assert server.take(b"F\r", 2.0) == b"F00\r"


def test_a_corrupted_frame_is_one_that_can_be_noticed() -> None:
    with_crc = opened(adapter("corrupted_frames", node=Speaker(has_crc=True)))
    without = opened(adapter("corrupted_frames"))
    for server in (with_crc, without):
        for i in range(3):
            server.due(i * 0.1 + 0.001)
    assert b"t10020310\r" in with_crc.due(0.301)  # its last byte is the checksum
    (line,) = (x for x in without.due(0.301).split(b"\r") if x.startswith(b"t100"))
    assert parsed(line) is None


def test_silence_leaves_the_mark() -> None:
    server = opened(adapter("silence"))
    assert b"t1002" in server.due(4.99)
    late = b"".join(server.due(5 + i / 10) for i in range(20))
    assert b"t1002" not in late and late.count(MARK) == 2
    assert server.take(b"t1230\r", 6.0) == b"z\r"  # sent, and nobody answers


def test_noise_and_wrong_baud_are_on_the_line() -> None:
    clean = adapter().take(b"V\r" * 3, 0.0)
    assert adapter("noise").take(b"V\r" * 3, 0.0) != clean
    assert b"V0000" not in adapter("wrong_baud").take(b"V\r" * 3, 0.0)


def test_a_full_bus_has_four_thousand_frames_a_second() -> None:
    server = opened(adapter(bus_load=1.0))
    text = b"".join(server.due(i * 0.005) for i in range(401))
    lines = text.split(b"\r")
    filler = [x for x in lines if x.startswith(b"t%03X8" % FILLER_ID)]
    assert len(lines) / 2 == pytest.approx(FULL_LOAD_HZ, rel=0.01)
    numbers = [int(x[5:13], 16) for x in filler]
    assert numbers == list(range(len(filler)))


def test_a_bus_that_nobody_heard_goes_on_with_the_present() -> None:
    schedule = Schedule([Broadcast(1, 0.01, lambda n: bytes([n & 0xFF]))])
    assert len(schedule.due(0.0)) == 1
    assert len(schedule.due(3600.0)) <= 27
    assert len(schedule.due(3600.01)) == 1


def test_lower_identifiers_win_and_periods_are_kept() -> None:
    schedule = Schedule(
        [Broadcast(0x200, 0.1, lambda n: b""), Broadcast(0x100, 0.05, lambda n: b"")]
    )
    frames = [f.identifier for i in range(101) for f in schedule.due(i / 100)]
    assert frames[:2] == [0x100, 0x200]
    assert frames.count(0x100) in (20, 21) and frames.count(0x200) in (10, 11)


def test_what_was_received_is_kept_to_the_byte() -> None:
    server = opened(adapter())
    server.take(b"t1", 0.0)
    server.take(b"\xff\x00\r", 0.0)
    assert server.received == b"S6\rO\rt1\xff\x00\r"
