"""The compiled SLCAN bridge: every command, and no frame lost in silence.

Here it runs in lockstep, in emulated time alone; test_slcan_drivers.py puts the real
drivers of the host on its serial port. What the bus really carried is the model's own
count, which the firmware cannot see.
"""

from collections.abc import Callable

import pytest

from battlife.drivers.slcan_bus import parsed

RATES = {"S4": 125_000, "S5": 250_000, "S6": 500_000}
OVERRUN, RX_FULL, TX_FULL = 0x08, 0x01, 0x02
WARNING, PASSIVE, ARBITRATION, BUS_ERROR = 0x04, 0x20, 0x40, 0x80
BELL, OK = b"\a", b"\r"

Start = Callable[..., "Bridge"]


class Bridge:
    """The bridge on a bus, spoken to in lines."""

    def __init__(self, rig, rate: int = 500_000) -> None:
        self.rig = rig
        self.can(f"bitrate {rate}")
        rig.run_ms(3)

    def can(self, words: str) -> str:
        return self.rig.command(f"can {words}")

    def say(self, line: str, wait_ms: float = 2.0) -> bytes:
        self.rig.write(line.encode() + b"\r")
        self.rig.run_ms(wait_ms)
        return self.rig.read()

    def open(self, code: str = "S6", how: str = "O") -> "Bridge":
        assert self.say(code) + self.say(how) == OK + OK
        return self

    def run_until_unsent(self) -> None:
        while int(self.can("unsent")):
            self.rig.run_ms(2)
        self.rig.run_ms(25)  # the queues empty into the serial line

    def flags(self) -> int:
        answer = self.say("F")
        assert answer[:1] + answer[3:] == b"F\r"
        return int(answer[1:3], 16)

    def chip(self) -> dict[str, int]:
        return dict(
            (key, int(value))
            for key, value in (w.split("=") for w in self.can("chip").split())
        )


@pytest.fixture
def bridge(lockstep) -> Start:
    def start(board: str = "m328p", rate: int = 500_000) -> Bridge:
        return Bridge(lockstep("slcan_bridge", board), rate)

    return start


def counters(lines: bytes) -> list[int]:
    """Return the counter that `can load` put in each frame; all must be whole."""
    numbers = []
    for line in lines.removesuffix(b"\r").split(b"\r"):
        message = parsed(line)
        assert message is not None, line
        number = bytes(message.data[:4])
        assert bytes(message.data[4:]) == bytes(b ^ 0xFF for b in number)
        numbers.append(int.from_bytes(number, "big"))
    return numbers


def increasing(numbers: list[int]) -> bool:
    return all(a < b for a, b in zip(numbers, numbers[1:], strict=False))


CLOSED = {
    **{line: OK for line in ("", "S0", "S3", "S8", "S9", "s031C", "s0014")},
    **{line: OK for line in ("Z0", "X1", "W1", "W0", "M00000000", "mFFFFFFFF")},
    "V": b"V1010\r",
    "N": b"NBL01\r",
    # S7 is 800 kbit/s to one, 750 to another; what an open channel takes; CAN FD
    **{line: BELL for line in ("S7", "S", "SA", "S66", "s03", "s03000", "s031G")},
    **{line: BELL for line in ("C", "F", "P", "A", "Q1", "t1230", "T000001230")},
    **{line: BELL for line in ("Y2", "Y5", "d1230", "U0", "U7", "Z3", "M123", "?")},
    "t" * 60: BELL,
    "Vx": BELL,
}
OPEN = {
    "": OK,
    "V": b"V1010\r",
    "N": b"NBL01\r",
    "F": b"F00\r",
    "t1230": b"z\r",
    "t7FF81122334455667788": b"z\r",
    "tabc1fe": BELL,  # 0xABC has twelve bits
    "t12321fE0": b"z\r",
    "t1232AbcD": b"z\r",
    "T1FFFFFFF3112233": b"Z\r",
    "T200000000": BELL,
    "r1238": b"z\r",
    "R000001230": b"Z\r",
    **{line: BELL for line in ("O", "L", "S6", "s031C", "X0", "Z1", "M00000000")},
    **{
        line: BELL for line in ("t", "t12", "t123", "t1239", "t1231", "t12311", "tG230")
    },
    **{line: BELL for line in ("t12311g", "t1234112233445", "r123811", "P", "A", "Q3")},
    **{
        line: BELL
        for line in ("d1230", "D000001230", "b1230", "B000001230", "Y2", "U1")
    },
}


@pytest.mark.parametrize("board", ["m328p", "m2560"])
def test_every_command(bridge: Start, board: str) -> None:
    b = bridge(board)
    assert b.say("O") == BELL  # no bit rate yet
    assert {line: b.say(line) for line in CLOSED} == CLOSED
    b.open()
    assert {line: b.say(line) for line in OPEN} == OPEN
    assert b.can("sent") == (
        "123# 7FF#1122334455667788 123#1FE0 123#ABCD 1FFFFFFF#112233 123#R8 00000123#R0"
    )
    assert b.flags() == 0
    assert b.say("C") == OK
    assert b.say("C") == BELL


def test_a_refused_rate_leaves_none(bridge: Start) -> None:
    b = bridge()
    assert b.say("S6") + b.say("S7") + b.say("O") == OK + BELL + BELL
    # A timing the chip cannot make: phase 2 of one quantum.
    assert b.say("S6") + b.say("s0300") + b.say("O") == OK + OK + BELL


@pytest.mark.parametrize(
    ("command", "rate"),
    [("S0", 10_000), ("S1", 20_000), ("S2", 50_000), ("S3", 100_000), ("S4", 125_000)]
    + [("S5", 250_000), ("S6", 500_000), ("S8", 1_000_000), ("S9", 83_333)]
    + [("s001C", 500_000), ("s4914", 100_000), ("s3F7F", 5_000), ("s0012", 1_333_333)],
)
def test_bit_rates_are_those_of_the_chip(
    bridge: Start, command: str, rate: int
) -> None:
    b = bridge().open(command)
    assert b.chip()["bit_rate"] == rate


def test_frames_of_every_kind_reach_the_host(bridge: Start) -> None:
    b = bridge().open()
    for frame in ("123#11AA", "7FF#", "1FFFFFFF#0102030405060708", "123#R4"):
        assert b.can(f"send {frame}") == "ok"
    b.can("send 00000123#R8")
    b.rig.run_ms(3)
    assert b.rig.read() == b"t123211AA\rt7FF0\rT1FFFFFFF80102030405060708\r" + (
        b"r1234\rR000001238\r"
    )


@pytest.mark.parametrize("board", ["m328p", "m2560"])
@pytest.mark.parametrize("code", RATES)
def test_a_full_bus_reaches_the_host(bridge: Start, board: str, code: str) -> None:
    b = bridge(board, RATES[code]).open(code)
    b.can("load 300 0 123 8")
    b.run_until_unsent()
    assert counters(b.rig.read()) == list(range(300))
    assert b.flags() == 0
    assert b.chip()["lost"] == 0


def test_more_than_the_line_carries_is_said(bridge: Start) -> None:
    b = bridge(rate=1_000_000).open("S8")
    b.can("load 600 0 123 8")
    b.run_until_unsent()
    came = counters(b.rig.read())
    assert increasing(came)
    assert len(came) + b.chip()["lost"] == 600
    assert b.chip()["lost"] > 0
    assert b.flags() == OVERRUN | RX_FULL
    assert b.flags() == 0  # told once


@pytest.mark.parametrize("board", ["m328p", "m2560"])
@pytest.mark.parametrize("code", RATES)
def test_each_line_sent_back_to_back_is_answered(
    bridge: Start, board: str, code: str
) -> None:
    b = bridge(board, RATES[code]).open(code)
    lines = [f"t1238{i:08X}{i ^ 0xFFFFFFFF:08X}" for i in range(300)]
    b.rig.write("".join(f"{line}\r" for line in lines).encode())
    b.rig.run_ms(250)
    answers = b.rig.read()
    sent = b.can("sent").split()
    n_taken, n_refused = answers.count(b"z\r"), answers.count(BELL)
    assert (n_taken + n_refused, len(sent)) == (300, n_taken)
    assert sent == sorted(sent)  # in their order, each of them once
    assert {f"t1238{frame[4:]}" for frame in sent} <= set(lines)
    assert b.flags() == (TX_FULL if n_refused else 0)
    assert n_refused > 0  # or this test would show nothing
    assert b.rig.stat()["uart_overruns"] == 0


@pytest.mark.parametrize("code", RATES)
def test_both_ways_at_once_nothing_is_lost_in_silence(bridge: Start, code: str) -> None:
    b = bridge(rate=RATES[code]).open(code)
    b.can("load 300 0 200 8")
    lines = [f"t1238{i:08X}{i ^ 0xFFFFFFFF:08X}\r" for i in range(300)]
    b.rig.write("".join(lines).encode())
    b.run_until_unsent()
    b.rig.run_ms(150)
    text = b.rig.read()
    n_taken, n_refused = text.count(b"z\r"), text.count(BELL)
    came = counters(text.replace(BELL, b"").replace(b"z\r", b""))
    assert increasing(came)
    n_lost = b.chip()["lost"]
    assert len(came) + n_lost == 300
    sent = b.can("sent").split()
    assert sent == sorted(sent)
    assert (n_taken + n_refused, len(sent)) == (300, n_taken)
    flags = b.flags()
    assert bool(flags & OVERRUN) == bool(n_lost)
    assert bool(flags & TX_FULL) == bool(n_refused)


def test_the_order_holds_whatever_the_identifiers(bridge: Start) -> None:
    b = bridge(rate=125_000).open("S4")
    frames = [f"{0x700 - 0x37 * i:03X}#{i:02X}" for i in range(30)]
    for start in range(0, 30, 6):
        for frame in frames[start : start + 6]:
            b.rig.write(f"t{frame[:3]}1{frame[4:]}\r".encode())
        b.rig.run_ms(3)
    b.rig.run_ms(30)
    assert b.can("sent").split() == frames


def test_nobody_acknowledges(bridge: Start) -> None:
    b = bridge().open()
    b.can("ack 0")
    b.rig.write(b"t1230\r" * 40)
    b.rig.run_ms(100)
    n_taken = b.rig.read().count(b"z\r")
    assert 16 <= n_taken < 40  # the rest waits in the serial ring
    b.rig.run_ms(600)
    answers = b.rig.read()
    assert n_taken + answers.count(BELL) == 40
    flags = b.flags()
    assert flags == TX_FULL | WARNING | PASSIVE | BUS_ERROR
    assert b.say("C", 600) == BELL  # what was taken could not all leave
    b.can("ack 1")
    b.open()
    assert b.say("t1230") == b"z\r"
    assert b.can("sent") == "123#"


def test_bus_off_and_back(bridge: Start) -> None:
    b = bridge().open()
    b.can("fault 1")
    assert b.say("t1230", 5) == b"z\r"
    assert b.flags() & BUS_ERROR
    b.can("fault 0")
    b.rig.run_ms(10)
    assert b.can("sent") == "123#"
    b.flags()
    assert b.flags() == 0


@pytest.mark.parametrize("letter", ["O", "L"])
def test_a_chip_that_was_reset_is_said_until_it_is_opened_again(
    bridge: Start, letter: str
) -> None:
    b = bridge()
    assert b.say("S6") == b.say(letter) == b"\r"
    assert b.flags() == 0
    b.can("reset")
    b.can("load 5 1000 123 8")
    b.rig.run_ms(10)
    assert b.rig.read() == b""
    assert b.flags() == b.flags() == OVERRUN | BUS_ERROR
    b.say("C", 20)
    b.can("load 0 1000 123 8")
    assert b.say(letter) == b"\r"
    assert b.flags() == 0


def test_close_waits_for_what_was_taken(bridge: Start) -> None:
    b = bridge(rate=125_000).open("S4")
    b.rig.write(b"t12381122334455667788\r" * 9 + b"C\r")
    b.rig.run_ms(30)
    assert b.rig.read() == b"z\r" * 9 + OK
    assert len(b.can("sent").split()) == 9
    assert b.chip()["mode"] == 4  # configuration: off the bus


def test_listen_only(bridge: Start) -> None:
    b = bridge().open(how="L")
    assert b.chip()["mode"] == 3
    assert b.say("t1230") == BELL
    b.can("send 123#01")
    b.rig.run_ms(2)
    assert b.rig.read() == b"t123101\r"
    b.can("ack 0")  # now only we could acknowledge, and must not
    b.can("send 124#02")
    b.rig.run_ms(5)
    assert (b.can("unsent"), b.rig.read()) == ("1", b"")


def test_another_bit_rate_is_a_bus_error(bridge: Start) -> None:
    b = bridge(rate=250_000).open("S6")
    b.can("load 5 1000 123 8")
    b.rig.run_ms(10)
    assert b.rig.read() == b""
    assert b.flags() & BUS_ERROR


def test_lost_arbitration_is_said_and_the_frame_still_leaves(bridge: Start) -> None:
    b = bridge().open()
    b.can("load 20 0 100 8")
    assert b.say("t7000", 10).count(b"z\r") == 1
    assert b.can("sent") == "700#"
    assert b.flags() == ARBITRATION


def test_stamps(bridge: Start) -> None:
    for code, scale, digits in (("Z1", 1e3, 4), ("Z2", 1e6, 8)):
        b = bridge()
        assert b.say(code) == OK
        b.open()
        stamps = []
        for _ in range(3):
            b.can("send 123#01")
            b.rig.run_ms(70)
            line = b.rig.read()
            assert len(line) == 8 + digits
            stamps.append(int(line[7:-1], 16))
        assert stamps[2] - stamps[0] == pytest.approx(0.14 * scale, abs=1e-3 * scale)
        # From the reset, which was some milliseconds before.
        assert stamps[0] / scale == pytest.approx(b.rig.time_s - 0.21, abs=0.003)


def test_polling(bridge: Start) -> None:
    b = bridge()
    assert b.say("X0") == OK
    b.open()
    for i in range(24):
        b.can(f"send 123#{i:02X}")
    b.rig.run_ms(10)
    assert b.rig.read() == b""
    assert b.say("P") == b"t123100\r"
    assert b.say("t1230") == OK  # without z
    assert b.say("A", 10) == b"".join(b"t1231%02X\r" % i for i in range(1, 24)) + b"A\r"
    assert b.say("P") + b.say("A") == OK + b"A\r"
    assert b.flags() == 0


@pytest.mark.parametrize(
    ("settings", "passing"),
    [
        # One identifier in each of the two filters; RTR and data do not matter.
        (["M24602460", "m001F001F"], "123#01 123#R2"),
        (["M2460FFFF", "m001FFFFF"], "123#01 124#02 123#R2 00924000#01 12345678#02"),
        (["W1", "M24600100", "m001F00FF"], "123#01 123#R2"),
        (["W1", "M91A2B3C0", "m00000007"], "12345678#02"),
        (["M91A291A2", "m00000000"], "12345678#02"),
    ],
)
def test_filters(bridge: Start, settings: list[str], passing: str) -> None:
    b = bridge()
    for line in settings:
        assert b.say(line) == OK
    b.open()
    for frame in "123#01 124#02 123#R2 00924000#01 12345678#02".split():
        b.can(f"send {frame}")
    b.rig.run_ms(5)
    came = []
    for line in b.rig.read().split(b"\r")[:-1]:
        message = parsed(line)
        assert message is not None
        digits = 8 if message.is_extended_id else 3
        data = f"R{message.dlc}" if message.is_remote_frame else message.data.hex()
        came.append(f"{message.arbitration_id:0{digits}X}#{data.upper()}")
    assert came == passing.split()


def test_stored_settings_open_after_a_reset(bridge: Start) -> None:
    b = bridge(rate=125_000)
    b.say("Z1")
    b.open("S4")
    assert b.say("Q2", 80) == OK
    assert b.rig.command("reset 1") == "ok"
    b.rig.run_ms(5)
    b.can("send 123#01")
    b.rig.run_ms(3)
    assert b.rig.read()[:7] == b"t123101"
    assert b.chip()["mode"] == 3
    assert b.say("Q0", 10) == OK
    b.rig.command("reset 1")
    b.rig.run_ms(5)
    assert b.say("t1230") == BELL
    assert b.chip()["mode"] == 4


def test_serial_speed(bridge: Start) -> None:
    b = bridge()
    assert b.say("U1", 20) == OK
    b.rig.write(b"\r")  # 117 647 bit/s: 85 us there, 85 us back
    b.rig.run_ms(0.08)
    assert b.rig.read() == b""
    b.rig.run_ms(0.2)
    assert b.rig.read() == OK
