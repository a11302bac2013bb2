"""Bytes of a serial line written as hex: one run of bytes per line.

``>>> DD:A5:03:…`` was sent and ``<<< DD:03:…`` received; a line of nothing but bytes
(``0xA5, 0x40``, ``A5:5A:``, ``A5 5A``, ``A55A``) was received. What stands before an
arrow (the log line of a program) and behind "#" is passed over.
"""

import re
from collections.abc import Iterable
from typing import Final

from battlife.model import Direction, Frame, Severity
from battlife.readers.frame_logs.findings import NS, BadRecord, Findings, LogReader
from battlife.readers.frame_logs.lines import line_frames, matches, other_line

_DAY_NS: Final = 86400 * NS
_ARROW: Final = re.compile(r"(>>>|<<<)([^<>#]*)")
_BYTE: Final = r"(?:0[xX])?[0-9A-Fa-f]{2}"
_BYTES: Final = re.compile(rf"\s*{_BYTE}(?:[\s:,;-]{{1,3}}{_BYTE})*[\s:,;]*")
_SOLID: Final = re.compile(r"\s*(?:0[xX])?((?:[0-9A-Fa-f]{2}){4,})\s*")
_PAIR: Final = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{2})")
_CUT: Final = re.compile(
    rf"\s*{_BYTE}(?:[\s:,;-]{{1,3}}{_BYTE}){{3,}}[\s:,;-]*0?[xX]?"
    r"[0-9A-Fa-f]?\s*"
)
_LENGTH_NOTE: Final = re.compile(r"\s*\([0-9]{1,5}\)\s*$")
_CLOCK: Final = re.compile(
    r"\s*\[?([0-2][0-9]):([0-5][0-9]):([0-5][0-9])(?:[.,]([0-9]{1,6}))?\]?(?=[\[\s])"
)


class _HexText:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._days = 0
        self._last_ns = 0
        self._timed = False

    def tells_length(self, line: str) -> bool:
        """Return True: bytes may be cut anywhere, the checksum of a message tells."""
        del line
        return True

    def frames(self, line: str) -> Iterable[Frame]:
        if line.lstrip().startswith("#"):
            return ()
        clock = _CLOCK.match(line)
        arrows = list(_ARROW.finditer(line))
        if arrows:
            time_s = self._time_s(clock)
            return [
                self._frame(time_s, "tx" if arrow[1] == ">>>" else "rx", arrow[2])
                for arrow in arrows
                if _PAIR.search(arrow[2])
            ]
        text = (line[clock.end() :] if clock is not None else line).split("#")[0]
        if _BYTES.fullmatch(text) or _SOLID.fullmatch(text) or _CUT.fullmatch(text):
            return (self._frame(self._time_s(clock), "rx", text),)
        return other_line(self._findings, line)

    def end(self) -> None:
        """Say what the frames have no time of."""
        if not self._timed and self._findings.n_frames:
            self._findings.count(
                "no_times",
                "the log gives no times",
                "every run of bytes is at 0 s",
                Severity.INFO,
            )

    def _frame(self, time_s: float, direction: Direction, text: str) -> Frame:
        text = _LENGTH_NOTE.sub("", text)
        solid = _SOLID.fullmatch(text)
        if solid is not None:
            data = bytes.fromhex(solid[1])
        elif _BYTES.fullmatch(text):
            data = bytes.fromhex("".join(_PAIR.findall(text)))
        else:
            raise BadRecord(f"{ascii(text[-20:])} are no whole bytes")
        return Frame(time_s, "", direction, data)

    def _time_s(self, clock: re.Match[str] | None) -> float:
        if clock is None:
            return self._findings.seconds(self._last_ns) if self._timed else 0.0
        self._timed = True
        hours, minutes, seconds = (int(clock[i]) for i in (1, 2, 3))
        of_day = ((hours * 60 + minutes) * 60 + seconds) * NS
        if clock[4]:
            of_day += int(clock[4].ljust(9, "0"))
        now = of_day + self._days * _DAY_NS
        if now < self._last_ns - _DAY_NS // 2:
            # The clock of a day went through midnight.
            self._days += 1
            now += _DAY_NS
        self._last_ns = now
        return self._findings.seconds(now)


# Bytes without one letter may as well be decimal columns.
_LETTER: Final = rb"\b(?=[0-9 :,]{0,200}[A-Fa-fxX])"
_SHORT: Final = rb"(?:0[xX])?[0-9A-Fa-f]{2}"

READER: Final = LogReader(
    "hex_text",
    "bytes of a serial line as hex text, one run per line (>>> sent, <<< received)",
    matches(
        rb"(>>>|<<<)[ \t]*" + _SHORT + rb"[: ,]",
        rb"^[ \t]*"
        + _LETTER
        + rb"(?:"
        + _SHORT
        + rb"[ :,][ \t]*){4,}"
        + _SHORT
        + rb"[ :,\t]*\r?$",
        rb"^[ \t]*" + _LETTER + rb"(?:" + _SHORT + rb"[ :,][ \t]*){40,}",
    ),
    line_frames(_HexText),
)
