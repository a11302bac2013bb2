"""Logs of can-utils' candump, with and without -l, and what imitates them.

Source: can-utils lib.c and candump.c (their formats); Battery-Emulator writes
``(75.518) RX6 5A2 [8] 22 0B …``, direction and bus in the place of the interface.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from battlife.model.frame import (
    MAX_CAN_ID,
    MAX_EXTENDED_ID,
    Direction,
    Frame,
    FrameKind,
)
from battlife.readers.frame_logs.findings import (
    EPOCH,
    NS,
    BadRecord,
    Findings,
    LogReader,
)
from battlife.readers.frame_logs.lines import (
    CAN_BYTES,
    FD_LENGTHS,
    hex_bytes,
    line_frames,
    matches,
    nanoseconds,
)

_ERROR_FLAG: Final = 0x2000_0000
_SHORT_ID: Final = 3
_TIME: Final = r"\s*\(\s*(?P<time>[0-9][0-9 .:T-]{0,30})\)\s+"
_COMPACT: Final = re.compile(
    _TIME + r"(?P<bus>\S{1,40})\s+(?P<id>[0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})"
    r"(?P<body>#[0-9A-Za-z._#]{0,200})(?:\s+(?P<dir>[RT]))?\s*"
)
_PLAIN: Final = re.compile(
    r"(?:" + _TIME + r")?\s*(?P<bus>[A-Za-z]\S{0,39})\s+"
    r"(?:(?P<dir>RX|TX)\s+[B-]\s+[E-]\s+)?"
    r"(?P<id>[0-9A-Fa-f]{1,8})\s+\[(?P<len>[0-9]{1,2})\]\s*(?P<rest>.{0,400})"
)
_DIRECTED: Final = re.compile(r"(RX|TX)([0-9]{0,3})")
_TEXT_COLUMN: Final = re.compile(r"\s+'.*'\s*$")


class _Candump:
    """Both forms; a file may have been put together from several."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._timeless = False

    def tells_length(self, line: str) -> bool:
        """Return True for the plain form, which says ``[8]``."""
        return _PLAIN.fullmatch(line) is not None

    def frames(self, line: str) -> Iterable[Frame]:
        found = _COMPACT.fullmatch(line)
        if found is not None:
            return (self._compact(found),)
        found = _PLAIN.fullmatch(line)
        if found is not None:
            return (self._plain(found),)
        raise BadRecord("neither candump -l nor candump")

    def end(self) -> None:
        """Nothing marks the end of a candump log."""

    def _time_s(self, text: str | None) -> float:
        if text is None:
            if not self._timeless:
                self._timeless = True
                self._findings.count(
                    "no_times", "the log gives no times", "every frame is at 0 s"
                )
            return 0.0
        text = text.strip()
        if "-" in text:
            # candump -t A: a date of the local clock, whose zone is not said.
            try:
                moment = datetime.fromisoformat(text.replace("T", " "))
            except ValueError:
                raise BadRecord(f"{ascii(text)} is no time") from None
            self._findings.count(
                "start_without_zone",
                "times are of a local clock without a time zone",
                text,
            )
            since = moment.replace(tzinfo=UTC) - EPOCH
            seconds = since.days * 86400 + since.seconds
            # Kept below 1980, so that no start in UTC is concluded from it.
            local_ns = seconds * NS + since.microseconds * 1000
            return self._findings.seconds(local_ns - 10**19)
        return self._findings.seconds(nanoseconds(text))

    def _compact(self, found: re.Match[str]) -> Frame:
        identifier, extended, kind = _identifier(found["id"], len(found["id"]))
        body = found["body"]
        fd = False
        data = b""
        if body.startswith("##"):
            fd = True
            if len(body) < 3:
                raise BadRecord("the flags of a CAN FD frame are missing")
            data = hex_bytes(body[3:].replace(".", ""))
            if len(data) not in FD_LENGTHS:
                raise BadRecord(f"{len(data)} bytes are no CAN FD length")
        elif body[1:2] in ("R", "r"):
            if not re.fullmatch(r"#[Rr][0-9]?(_[0-9A-Fa-f])?", body):
                raise BadRecord("no remote frame")
            kind = "remote"
        else:
            text, _, code = body[1:].partition("_")
            if code and not re.fullmatch("[9A-Fa-f]", code):
                raise BadRecord("no length code")
            data = hex_bytes(text.replace(".", ""))
            if len(data) > CAN_BYTES:
                raise BadRecord(f"{len(data)} bytes in a CAN frame")
        time_s = self._time_s(found["time"])
        direction: Direction = "tx" if found["dir"] == "T" else "rx"
        return Frame(
            time_s, found["bus"], direction, data, identifier, extended, fd, kind
        )

    def _plain(self, found: re.Match[str]) -> Frame:
        identifier, extended, kind = _identifier(found["id"], len(found["id"]))
        length = int(found["len"])
        fd = len(found["len"]) == 2 or length > CAN_BYTES
        rest = found["rest"]
        data = b""
        if rest.lower().startswith("remote request"):
            kind = "remote"
        else:
            if kind == "error":
                rest = rest.replace("ERRORFRAME", "")
            rest = _TEXT_COLUMN.sub("", rest)
            data = hex_bytes(rest, length)
        if length > CAN_BYTES and length not in FD_LENGTHS:
            raise BadRecord(f"{length} bytes are no CAN FD length")
        channel = found["bus"]
        direction: Direction = "tx" if found["dir"] == "TX" else "rx"
        directed = _DIRECTED.fullmatch(channel)
        if directed is not None:
            direction = "tx" if directed[1] == "TX" else "rx"
            channel = directed[2]
        time_s = self._time_s(found["time"])
        return Frame(time_s, channel, direction, data, identifier, extended, fd, kind)


def _identifier(text: str, digits: int) -> tuple[int, bool, FrameKind]:
    value = int(text, 16)
    if digits > _SHORT_ID:
        if value & _ERROR_FLAG:
            return value & MAX_EXTENDED_ID, False, "error"
        if value > MAX_EXTENDED_ID:
            raise BadRecord(f"{text} is no identifier")
        return value, True, "data"
    if value > MAX_CAN_ID:
        raise BadRecord(f"{text} is no identifier")
    return value, False, "data"


READER: Final = LogReader(
    "candump",
    "candump of can-utils (-l and plain), Battery-Emulator log",
    matches(
        rb"^[ \t]*\([ \t]*\d+[.:]\d+\)[ \t]+\S+[ \t]+[0-9A-Fa-f]{3,8}#",
        rb"^[ \t]*(\([0-9 .:-]{3,30}\)[ \t]+)?[A-Za-z][A-Za-z0-9_.]{0,15}[ \t]+"
        rb"((RX|TX)[ \t]+[B-][ \t]+[E-][ \t]+)?[0-9A-Fa-f]{1,8}[ \t]+\[\d{1,2}\]"
        rb"(([ \t]+[0-9A-Fa-f]{2})+|[ \t]+remote request|[ \t]*)\b",
    ),
    line_frames(_Candump),
)
