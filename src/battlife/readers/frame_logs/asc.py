"""Vector ASC, as CANoe, CANalyzer and their imitators write it.

Source: the format as python-can's and cantools' documentation describe it, and real
logs. Lines of other events (status, statistics, triggers, reassembled J1939) hold no
frame of the bus.
"""

import re
from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from battlife.model.frame import MAX_CAN_ID, MAX_EXTENDED_ID, Direction, Frame
from battlife.readers.frame_logs.findings import BadRecord, Findings, LogReader
from battlife.readers.frame_logs.lines import (
    CAN_BYTES,
    FD_LENGTHS,
    line_frames,
    matches,
    nanoseconds,
    number,
    other_line,
)

_HEADER: Final = re.compile(
    r"\s*(date\b|base\b|(no )?internal events|begin\b|end\b|//|previous log)",
    re.IGNORECASE,
)
_EVENT: Final = re.compile(
    r"\s*[0-9]+\.[0-9]+\s+(Start of measurement|log direct|log trigger|"
    r"CAN\s+[0-9]+\s+Status|[0-9]+\s+Statistic:|(CANFD\s+)?[0-9]+\s+J1939TP|"
    r"(CANFD\s+)?[0-9]+\s+SV:|SV:|TFS:|EE\b|Lin\b|Li\b|FR\b|ETH\b|[0-9]+\s+SYS)",
    re.IGNORECASE,
)
_DIRECTIONS: Final[dict[str, Direction]] = {"rx": "rx", "tx": "tx", "txrq": "tx"}
_MOST_AFTER_FD: Final = 12
"""Words that CANoe writes behind the bytes of a CAN FD frame: durations, bit timing."""
_FLAG_REMOTE: Final = 0x10
_FLAG_FD: Final = 0x1000


class _Asc:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._base = 16
        self._relative = False
        self._clock_ns = 0
        self._open = False
        findings.starts_at(0)

    def tells_length(self, line: str) -> bool:
        """Return True for hexadecimal data: a byte that lost a digit is told."""
        del line
        return self._base == 16

    def frames(self, line: str) -> Iterable[Frame]:
        if _HEADER.match(line):
            self._header(line.strip())
            return ()
        words = line.split()
        if len(words) < 2 or "." not in words[0]:
            raise BadRecord("no time")
        time_ns = nanoseconds(words[0])
        if self._relative:
            time_ns += self._clock_ns
            self._clock_ns = time_ns
        if _EVENT.match(line):
            return other_line(self._findings, line)
        fd = words[1] == "CANFD"
        words = words[2:] if fd else words[1:]
        if len(words) < 2 or not words[0].isdigit():
            raise BadRecord("no channel")
        if "ErrorFrame" in words[1:3]:
            time_s = self._findings.seconds(time_ns)
            sent: Direction = "tx" if words[1].lower().startswith("tx") else "rx"
            return (Frame(time_s, words[0], sent, b"", 0, False, fd, "error"),)
        return (self._fd(time_ns, words) if fd else self._classic(time_ns, words),)

    def end(self) -> None:
        """Note a block that was begun and not ended."""
        if self._open:
            self._findings.count(
                "not_closed",
                "the log has no end of its trigger block",
                "logging was interrupted, or the end is cut off",
            )

    def _header(self, line: str) -> None:
        words = line.lower().split()
        if words[0] == "date":
            self._start(line[5:].strip())
        elif words[0] == "base" and len(words) > 1:
            if words[1] not in ("hex", "dec"):
                raise BadRecord("neither base hex nor base dec")
            self._base = 16 if words[1] == "hex" else 10
            self._relative = "relative" in words
        elif words[0] == "begin":
            self._open = True
        elif words[0] == "end":
            self._open = False

    def _start(self, text: str) -> None:
        if text.endswith(("GMT", "UTC")):
            try:
                self._findings.start_utc = parsedate_to_datetime(text).astimezone(UTC)
                return
            except ValueError:
                pass
        self._findings.local_start(text)

    def _id(self, word: str) -> tuple[int, bool]:
        extended = word[-1:] in "xX"
        most = MAX_EXTENDED_ID if extended else MAX_CAN_ID
        digits = word[:-1] if extended else word
        return number(digits, self._base, most, "identifier"), extended

    def _bytes(self, words: list[str], length: int) -> bytes:
        if len(words) < length:
            raise BadRecord(f"{len(words)} bytes where {length} are announced")
        if self._base == 16 and any(len(word) != 2 for word in words[:length]):
            raise BadRecord("a byte that is not two digits")
        return bytes(number(w, self._base, 255, "byte") for w in words[:length])

    def _classic(self, time_ns: int, words: list[str]) -> Frame:
        if len(words) < 4:
            raise BadRecord("too short")
        channel, name, direction, kind = words[:4]
        way = _DIRECTIONS.get(direction.lower())
        if way is None or kind not in ("d", "r"):
            raise BadRecord("no direction or kind")
        identifier, extended = self._id(name)
        data = b""
        if kind == "d":
            if len(words) < 5:
                raise BadRecord("no length")
            length = number(words[4], self._base, 15, "length")
            length = min(length, CAN_BYTES)
            data = self._bytes(words[5:], length)
            _ends(words[5 + length :], ("Length", "BitCount", "ID"))
        return Frame(
            self._findings.seconds(time_ns),
            channel,
            way,
            data,
            identifier,
            extended,
            False,
            "data" if kind == "d" else "remote",
        )

    def _fd(self, time_ns: int, words: list[str]) -> Frame:
        if len(words) < 7:
            raise BadRecord("too short")
        channel, direction, name = words[:3]
        way = _DIRECTIONS.get(direction.lower())
        if way is None:
            raise BadRecord("no direction")
        identifier, extended = self._id(name)
        # A symbolic name may stand before the two flags.
        rest = words[3:]
        if rest[0] not in ("0", "1") or rest[1] not in ("0", "1"):
            rest = rest[1:]
        if len(rest) < 4 or rest[0] not in ("0", "1") or rest[1] not in ("0", "1"):
            raise BadRecord("no flags")
        # CANoe writes the length code in hexadecimal whatever the base is.
        code = number(rest[2], 16, 15, "length code")
        length = number(rest[3], 10, 64, "length")
        after = rest[4 + length :]
        if len(after) > _MOST_AFTER_FD or any("." in word for word in after):
            raise BadRecord("more than a frame")
        flags = number(after[2], 16, 0xFFFFFFFF, "flags") if len(after) > 2 else 0
        fd = length > CAN_BYTES or not flags or bool(flags & _FLAG_FD)
        remote = bool(flags & _FLAG_REMOTE)
        if length and length != (FD_LENGTHS[code] if fd else min(code, CAN_BYTES)):
            raise BadRecord(f"{length} bytes of a length code {code}")
        if not length and code and not remote:
            raise BadRecord(f"no bytes of a length code {code}")
        return Frame(
            self._findings.seconds(time_ns),
            channel,
            way,
            self._bytes(rest[4:], length),
            identifier,
            extended,
            fd,
            "remote" if remote else "data",
        )


def _ends(words: list[str], allowed: tuple[str, ...]) -> None:
    """Refuse what follows the bytes of a frame and is not said of it."""
    if words and words[0] not in allowed:
        raise BadRecord("more than the announced bytes")


READER: Final = LogReader(
    "vector_asc",
    "Vector ASC (CANoe, CANalyzer, SavvyCAN)",
    matches(rb"^[ \t]*(base[ \t]+(hex|dec)\b|begin triggerblock)"),
    line_frames(_Asc),
)
