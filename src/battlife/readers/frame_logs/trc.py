"""PEAK .trc, versions 1.0 to 2.1.

Source: "PEAK CAN TRC File Format" (PEAK-System, public PDF). Messages are numbered,
so a lost line is told.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from battlife.model.frame import (
    MAX_CAN_ID,
    MAX_EXTENDED_ID,
    Direction,
    Frame,
    FrameKind,
)
from battlife.readers.frame_logs.findings import BadRecord, Findings, LogReader
from battlife.readers.frame_logs.lines import (
    CAN_BYTES,
    FD_LENGTHS,
    hex_bytes,
    line_frames,
    matches,
    nanoseconds,
    number,
    other_line,
)

_MS: Final = 1_000_000
_OLE_DAY_0: Final = datetime(1899, 12, 30)
_VERSION: Final = re.compile(r"\s*;\$FILEVERSION=([12])\.([0-9])\s*")
_START: Final = re.compile(r"\s*;\$STARTTIME=([0-9]{1,6}(?:\.[0-9]+)?)\s*")
_COLUMNS: Final = re.compile(r"\s*;\$COLUMNS=([A-Za-z](?:,[A-Za-z])*)\s*")
# What stands in each column of version 1.x, behind "number)".
_OLD: Final = {
    (1, 0): "OILD",
    (1, 1): "OdILD",
    (1, 2): "OBdILD",
    (1, 3): "OBdIRLD",
}
_V2: Final = "NOTIdLD"
_FRAME_TYPES: Final = {"DT": False, "FD": True, "FB": True, "FE": True, "BI": True}
_OTHER_TYPES: Final = frozenset({"ST", "EC", "EV", "WA"})
_SHORT_ID: Final = 4
_LONG_ID: Final = 8


class _Trc:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._version = (1, 0)
        self._columns = _OLD[1, 0]
        self._last_number: int | None = None
        findings.starts_at(0)

    def tells_length(self, line: str) -> bool:
        """Return True: each line has its data length."""
        del line
        return True

    def frames(self, line: str) -> Iterable[Frame]:
        if line.lstrip().startswith(";"):
            self._header(line)
            return ()
        words = line.split()
        count = len(self._columns)
        if self._version[0] == 1:
            if not words[0].endswith(")"):
                raise BadRecord("no message number")
            words[0] = words[0][:-1]
            kinds = "N" + self._columns
            count += 1
        else:
            kinds = self._columns
        # The data is the last column and the only one of several words.
        at = count - 1 if kinds.endswith("D") else count
        if len(words) < at:
            raise BadRecord("too short")
        field = dict(zip(kinds, words[:at], strict=False))
        self._numbered(field.get("N"))
        return self._frame(field, words[at:], line)

    def end(self) -> None:
        """Nothing marks the end of a trace."""

    def _header(self, line: str) -> None:
        found = _VERSION.fullmatch(line)
        if found is not None:
            self._version = (int(found[1]), int(found[2]))
            if self._version[0] == 1:
                if self._version not in _OLD:
                    raise self._findings.refused(
                        f"PEAK trace of version 1.{found[2]}, which is not known",
                        "save it as version 2.1",
                    )
                self._columns = _OLD[self._version]
            else:
                self._columns = _V2
        found = _COLUMNS.fullmatch(line)
        if found is not None:
            letters = found[1].replace(",", "")
            if not set("OTI") <= set(letters) or len(set(letters)) < len(letters):
                raise self._findings.refused(
                    f"columns {letters}: no time, type or identifier",
                    "the header of the trace is damaged",
                )
            self._columns = letters
        found = _START.fullmatch(line)
        if found is not None:
            # Days since 30 December 1899, on the clock of the computer.
            start = _OLE_DAY_0 + timedelta(days=float(found[1]))
            self._findings.local_start(start.isoformat(" ", "milliseconds"))

    def _numbered(self, text: str | None) -> None:
        if text is None:
            return
        this = number(text, 10, 1 << 40, "message number")
        last, self._last_number = self._last_number, this
        if last is not None and this != last + 1:
            self._findings.count(
                "messages_missing",
                "message numbers jump: lines are missing",
                f"{last} is followed by {this}",
            )

    def _frame(
        self, field: dict[str, str], tail: list[str], line: str
    ) -> Iterable[Frame]:
        kind = field.get("T", "DT")
        if kind in _OTHER_TYPES or field["I"] == "FFFFFFFF":
            # Of version 1: warnings and status have an identifier no frame can have.
            return other_line(self._findings, line)
        way = field.get("d", "Rx").lower()
        if way in ("error", "warng"):
            return other_line(self._findings, line)
        if way not in ("rx", "tx"):
            raise BadRecord(f"{ascii(way)} is no direction")
        direction: Direction = "tx" if way == "tx" else "rx"
        time_ns = nanoseconds(field["O"], _MS)
        channel = field.get("B", "")
        if kind == "ER":
            time_s = self._findings.seconds(time_ns)
            return (Frame(time_s, channel, direction, b"", 0, False, False, "error"),)
        if kind != "RR" and kind not in _FRAME_TYPES:
            raise BadRecord(f"{ascii(kind)} is no message type")
        digits = len(field["I"])
        if not _SHORT_ID <= digits <= _LONG_ID:
            raise BadRecord("an identifier has 4 or 8 digits")
        # PEAK fills up to 4 or 8 digits; some writers leave out the zeros in front.
        extended = digits > _SHORT_ID
        most = MAX_EXTENDED_ID if extended else MAX_CAN_ID
        identifier = number(field["I"], 16, most, "identifier")
        fd = _FRAME_TYPES.get(kind, False)
        length = _length(field, fd)
        remote = kind == "RR" or tail[:1] == ["RTR"]
        data = b"" if remote else hex_bytes(" ".join(tail), length)
        what: FrameKind = "remote" if remote else "data"
        time_s = self._findings.seconds(time_ns)
        return (
            Frame(time_s, channel, direction, data, identifier, extended, fd, what),
        )


def _length(field: dict[str, str], fd: bool) -> int:
    """Return the number of bytes: column l gives it, column L its length code."""
    if "l" in field:
        return number(field["l"], 10, 64, "length")
    if "L" not in field:
        raise BadRecord("no length")
    code = number(field["L"], 10, 15, "length code")
    return FD_LENGTHS[code] if fd else min(code, CAN_BYTES)


READER: Final = LogReader(
    "peak_trc",
    "PEAK trace .trc, versions 1.0 to 2.1 (PCAN-View, PCAN-Explorer)",
    matches(
        rb"^[ \t]*;\$(FILEVERSION|STARTTIME)=",
        rb"^[ \t]*;[ \t]*Message Number\b",
        rb"^[ \t]*1\)[ \t]+[0-9.]+[ \t]+(Rx|Tx)?[ \t]*[0-9A-F]{4}([0-9A-F]{4})?"
        rb"[ \t]+[0-8]\b",
    ),
    line_frames(_Trc),
)
