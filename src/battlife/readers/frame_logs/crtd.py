"""CRTD, the log of the Open Vehicle Monitoring System.

Source: docs.openvehicles.com, "CRTD CAN Log Format": seconds, kind of record,
identifier, bytes; kinds R11, R29, T11, T29 are frames, with the bus in front.
"""

import re
from collections.abc import Iterable
from typing import Final

from battlife.model.frame import MAX_CAN_ID, MAX_EXTENDED_ID, Direction, Frame
from battlife.readers.frame_logs.findings import BadRecord, Findings, LogReader
from battlife.readers.frame_logs.lines import (
    CAN_BYTES,
    hex_bytes,
    line_frames,
    matches,
    nanoseconds,
    number,
    other_line,
)

_RECORD: Final = re.compile(
    r"\s*([0-9]+(?:\.[0-9]+)?)\s+([0-9]{0,2})([RT])(11|29)\s+([0-9A-Fa-f]{1,8})"
    r"(?:\s+(.*))?"
)
_OTHER: Final = re.compile(r"\s*[0-9]+(?:\.[0-9]+)?\s+[0-9]{0,2}(C[A-Z]{2})\b.*")
_LOSS: Final = re.compile(r"\b(overflow|lost|dropped)\b", re.IGNORECASE)


class _Crtd:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def tells_length(self, line: str) -> bool:
        """Return False: nothing says how many bytes a frame has."""
        del line
        return False

    def frames(self, line: str) -> Iterable[Frame]:
        found = _RECORD.fullmatch(line)
        if found is None:
            if _OTHER.fullmatch(line):
                if _LOSS.search(line):
                    self._findings.count(
                        "frames_lost", "the logger says it lost frames", line[:60]
                    )
                return other_line(self._findings, line)
            raise BadRecord("no CRTD record")
        extended = found[4] == "29"
        most = MAX_EXTENDED_ID if extended else MAX_CAN_ID
        identifier = number(found[5], 16, most, "identifier")
        data = hex_bytes(found[6] or "")
        if len(data) > CAN_BYTES:
            raise BadRecord(f"{len(data)} bytes in a CAN frame")
        direction: Direction = "tx" if found[3] == "T" else "rx"
        time_s = self._findings.seconds(nanoseconds(found[1]))
        return (Frame(time_s, found[2], direction, data, identifier, extended),)

    def end(self) -> None:
        """Nothing marks the end of the log."""


READER: Final = LogReader(
    "crtd",
    "CRTD (Open Vehicle Monitoring System)",
    matches(
        rb"^[ \t]*\d+(\.\d+)?[ \t]+\d{0,2}[RT](11|29)[ \t]+[0-9A-Fa-f]{1,8}\b",
        rb"\A[ \t]*\d+(\.\d+)?[ \t]+\d{0,2}CXX\b",
    ),
    line_frames(_Crtd),
)
