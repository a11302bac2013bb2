"""SLCAN of the firmware, compiled for this computer, beside a model written here.

The model is made of regular expressions after LAWICEL's CAN232 manual V3 and bit
strings after the SJA1000's data sheet (acceptance filter, bus timing).
"""

import re
from typing import Any

import pytest
from host_core import Buffer, core, number_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("core_built", "no_undefined_behaviour")

LINE_MAX = number_of("SLCAN_LINE_MAX")
FRAME_MAX = number_of("SLCAN_FRAME_MAX")
RATES = {0: 10e3, 1: 20e3, 2: 50e3, 3: 100e3, 4: 125e3, 5: 250e3, 6: 500e3, 8: 1e6}
RATES[9] = 1e6 / 12  # 83.3 kbit/s
NORMAL, LISTEN = "SLCAN_NORMAL", "SLCAN_LISTEN"

H = "[0-9A-Fa-f]"
STANDARD, EXTENDED = f"[0-7]{H}{{2}}", f"[01]{H}{{7}}"
ALWAYS = {r"": "ACCEPT", r"V": "VERSION", r"N": "SERIAL"}
CLOSED = {
    r"S[0-689]": "ACCEPT",
    rf"s{H}{{4}}": "ACCEPT",
    rf"[Mm]{H}{{8}}": "ACCEPT",
    r"[WX][01]": "ACCEPT",
    r"Z[0-2]": "ACCEPT",
    r"U[0-6]": "UART",
}
OPEN = {r"C": "CLOSE", r"F": "FLAGS", r"Q[0-2]": "STORE"}
POLLED = {r"P": "POLL", r"A": "POLL_ALL"}
SENT = [rf"r{STANDARD}[0-8]", rf"R{EXTENDED}[0-8]"]
SENT += [rf"t{STANDARD}{n}{H}{{{2 * n}}}" for n in range(9)]
SENT += [rf"T{EXTENDED}{n}{H}{{{2 * n}}}" for n in range(9)]


def matches(rules: Any, line: str) -> str | None:
    return next((rule for rule in rules if re.fullmatch(rule, line)), None)


class Model:
    """What a channel remembers and answers."""

    def __init__(self) -> None:
        self.mode, self.has_rate, self.auto_poll = "SLCAN_CLOSED", False, True

    def command(self, line: str) -> str:
        rules = dict(ALWAYS)
        if self.mode == "SLCAN_CLOSED":
            rules |= CLOSED | ({"O|L": "OPEN"} if self.has_rate else {})
        else:
            rules |= OPEN | ({} if self.auto_poll else POLLED)
            rules |= dict.fromkeys(SENT, "SEND") if self.mode == NORMAL else {}
        rule = matches(rules, line)
        action = rules[rule] if rule is not None else "REFUSE"
        if self.mode == "SLCAN_CLOSED" and line[:1] in ("S", "s"):
            self.has_rate = action == "ACCEPT"
        if action == "ACCEPT" and line[:1] == "X":
            self.auto_poll = line[1] == "1"
        if action == "OPEN":
            self.mode = NORMAL if line == "O" else LISTEN
        if action == "CLOSE":
            self.mode = "SLCAN_CLOSED"
        return action


class Channel:
    """The compiled one; carries out `close` as the program around it does."""

    def __init__(self, *lines: str) -> None:
        self.lib, self.ffi = core()
        self.c = self.ffi.new("slcan_t *")
        self.lib.slcan_init(self.c)
        for line in lines:
            assert self.command(line) != "REFUSE"

    @property
    def mode(self) -> str:
        return str(self.ffi.string(self.ffi.cast("slcan_mode_t", self.c.mode)))

    def command(self, line: str) -> str:
        data = self.ffi.new("uint8_t[]", list(line.encode("latin-1")))
        code = self.lib.slcan_command(self.c, data, len(line))
        name = str(self.ffi.string(self.ffi.cast("slcan_action_t", code)))
        if name == "SLCAN_CLOSE":
            self.c.mode = self.lib.SLCAN_CLOSED
        return name.removeprefix("SLCAN_")

    def line_of(self, frame: dict[str, Any]) -> str:
        out = Buffer(FRAME_MAX)
        made = self.ffi.new("can_frame_t *", frame)
        return out.take(self.lib.slcan_frame_line(self.c, made, out.at)).decode()


letters = st.text("0123456789ABCDEFabcdef", max_size=24)
garbage = st.text(st.characters(max_codepoint=255), max_size=LINE_MAX + 4)
commands = st.one_of(
    st.sampled_from(["", "V", "N", "S6", "S7", "S8", "s4014", "O", "L", "C", "F"]),
    st.sampled_from(["P", "A", "X0", "X1", "Z1", "Z2", "W0", "W1", "U6", "Q1", "Y2"]),
    st.sampled_from(SENT + [*CLOSED, *OPEN]).flatmap(
        lambda rule: st.from_regex(rule, fullmatch=True)
    ),
    st.tuples(st.sampled_from("tTrRdDbBSsMmWXZUQOLCFPAVN"), letters).map("".join),
    garbage,
)
frames = st.booleans().flatmap(
    lambda extended: st.fixed_dictionaries(
        {
            "id": st.integers(0, 2**29 - 1 if extended else 2**11 - 1),
            "stamp": st.integers(0, 2**32 - 1),
            "extended": st.just(extended),
            "remote": st.booleans(),
            "dlc": st.integers(0, 8),
            "data": st.lists(st.integers(0, 255), min_size=8, max_size=8),
        }
    )
)


def text_of(frame: dict[str, Any], stamps: int = 0) -> str:
    """Return the line of a frame, without its CR."""
    line = "tTrR"[frame["extended"] + 2 * frame["remote"]]
    line += f"{frame['id']:0{8 if frame['extended'] else 3}X}{frame['dlc']}"
    if not frame["remote"]:
        line += bytes(frame["data"][: frame["dlc"]]).hex().upper()
    if stamps == 1:
        line += f"{frame['stamp'] % 60_000:04X}"
    if stamps == 2:
        line += f"{frame['stamp']:08X}"
    return line


@settings(deadline=None, max_examples=100)
@given(
    st.lists(commands, max_size=25), st.sampled_from(["", "S6 O", "S6 L", "X0 S1 O"])
)
@example(["S6", "S7", "O", "S6", "O", "O", "C", "C", "O"], "")
@example(["T" + "F" * 8 + "0", "t8000", "t1239", "t12" + "\xb1" + "0"], "S6 O")
@example(
    ["T0000000G0", "t12311", "t123100", "t1231G0", "t12310G", "t1/30", "t1@30"], "S6 O"
)
@example(
    ["P", "A", "PP", "AA", "CC", "FF", "V1", "N1", "Q", "Q3", "X0", "Z1"], "X0 S1 O"
)
@example(
    ["s40G4", "s404", "M0000000G", "m0", "W2", "W", "X2", "Z3", "U7", "O", "t"], ""
)
@example(["P", "A", "S6", "t1230", "T000000000", "z", "d1230", "Y2"], "S6 L")
@example(["t" + "1" * (LINE_MAX + 3), "1" * LINE_MAX, "OO", "LL", "S", "S66"], "S6")
def test_any_lines_are_taken_as_the_model_takes_them(lines, before):
    channel, model = Channel(), Model()
    for line in [*before.split(), *lines]:
        assert channel.command(line) == model.command(line), line
        assert channel.mode == model.mode
        assert channel.c.has_rate == model.has_rate
        assert channel.c.auto_poll == model.auto_poll


@pytest.mark.parametrize("code", range(16))
def test_rates_are_those_of_the_list_or_none(code):
    channel = Channel("S6")
    action = channel.command(f"S{code:X}")
    assert action == ("ACCEPT" if code in RATES else "REFUSE")
    if code in RATES:
        quantum_s = 2 * ((channel.c.btr0 & 0x3F) + 1) / 16e6
        before, after = (channel.c.btr1 & 0x0F) + 1, (channel.c.btr1 >> 4 & 7) + 1
        assert 1 / quantum_s / (1 + before + after) == pytest.approx(RATES[code])
        assert 0.74 < (1 + before) / (1 + before + after) < 0.89  # the sample
        assert (channel.c.btr0 >> 6) + 1 <= after  # the jump fits
    else:
        assert channel.command("O") == "REFUSE"  # not at the rate before it


@settings(deadline=None)
@given(frames, st.booleans())
def test_a_frame_of_the_host_is_read(frame, lower):
    channel = Channel("S6", "O")
    line = text_of(frame)
    line = line[0] + (line[1:].lower() if lower else line[1:])
    assert channel.command(line) == "SEND"
    read = channel.c.frame
    for name in ("id", "extended", "remote", "dlc"):
        assert getattr(read, name) == frame[name]
    if not frame["remote"]:
        assert list(read.data)[: frame["dlc"]] == frame["data"][: frame["dlc"]]
    out = Buffer(2)
    told = out.take(channel.lib.slcan_sent(channel.c, out.at))
    assert told == (b"Z\r" if frame["extended"] else b"z\r")
    channel.c.auto_poll = False
    assert out.take(channel.lib.slcan_sent(channel.c, out.at)) == b"\r"


@settings(deadline=None)
@given(frames, st.sampled_from([0, 1, 2]))
def test_a_received_frame_is_written_as_defined_and_comes_back(frame, stamps):
    channel = Channel(f"Z{stamps}", "S6", "O")
    line = channel.line_of(frame)
    assert line == text_of(frame, stamps) + "\r"
    digits = (0, 4, 8)[stamps]
    assert channel.command(line[: len(line) - 1 - digits]) == "SEND"
    assert channel.line_of({**frame, "stamp": 0})[:4] == line[:4]


@pytest.mark.parametrize("flags", [0, 0x29, 0xAF, 0xFF])
def test_flags_are_two_digits(flags):
    lib, _ = core()
    out = Buffer(4)
    assert out.take(lib.slcan_flags_line(flags, out.at)) == b"F%02X\r" % flags


# -- acceptance filters, as strings of bits; "-" is a bit that no filter looks at


def bits(number: int, width: int) -> str:
    return f"{number:0{width}b}"


def passes(seen: str, code: str, mask: str) -> bool:
    return all(
        m == "1" or s in ("-", c) for s, c, m in zip(seen, code, mask, strict=True)
    )


def accepted(frame: dict[str, Any], code: int, mask: int, single: bool) -> bool:
    c, m = bits(code, 32), bits(mask, 32)
    remote = str(int(frame["remote"]))
    n_data = 0 if frame["remote"] else frame["dlc"]
    data = [bits(b, 8) if i < n_data else "-" * 8 for i, b in enumerate(frame["data"])]
    if frame["extended"]:
        name = bits(frame["id"], 29)
        if single:
            return passes(name + remote + "--", c, m)
        return any(passes(name[:16], c[i : i + 16], m[i : i + 16]) for i in (0, 16))
    name = bits(frame["id"], 11) + remote
    if single:
        return passes(name + "----" + data[0] + data[1], c, m)
    first, second = name + data[0], name
    # The first one's last four bits are in the last register's lower half.
    return passes(first, c[:16] + c[28:], m[:16] + m[28:]) or passes(
        second, c[16:28], m[16:28]
    )


@settings(deadline=None, max_examples=200)
@given(frames, st.data(), st.booleans())
def test_frames_pass_the_filters_as_in_the_data_sheet(frame, data, single):
    near = frame["id"] << 3 if frame["extended"] else frame["id"] << 21
    code = near ^ data.draw(st.one_of(st.just(0), st.integers(0, 2**32 - 1)))
    if data.draw(st.booleans()):
        code = code >> 16 | (code & 0xFFFF) << 16
    mask = data.draw(
        st.one_of(
            st.sampled_from([0, 2**32 - 1, 0xFFFF0000, 0x0000FFFF, 0x001FFFFF]),
            st.integers(0, 2**32 - 1),
            st.integers(0, 31).map(lambda i: (2**32 - 1) ^ 1 << i),
        )
    )
    channel = Channel(f"W{int(single)}", f"M{code:08X}", f"m{mask:08x}")
    made = channel.ffi.new("can_frame_t *", frame)
    expected = accepted(frame, code, mask, single)
    assert bool(channel.lib.slcan_accepts(channel.c, made)) == expected
