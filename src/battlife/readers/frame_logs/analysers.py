"""Text logs of CAN analysers: BUSMASTER, Microchip, Car Bus Analyzer.

Source: their logs, and SavvyCAN's exporters of the same formats, as facts.
"""

import re
from collections.abc import Iterable
from typing import Final

from battlife.model import Severity
from battlife.model.frame import (
    MAX_CAN_ID,
    MAX_EXTENDED_ID,
    Direction,
    Frame,
    FrameKind,
)
from battlife.readers.frame_logs.findings import NS, BadRecord, Findings, LogReader
from battlife.readers.frame_logs.lines import (
    CAN_BYTES,
    hex_bytes,
    line_frames,
    matches,
    nanoseconds,
    number,
    other_line,
)

_MS: Final = 1_000_000
_DAY_NS: Final = 86400 * NS

_BUSMASTER: Final = re.compile(
    r"([0-9]{1,3}):([0-5]?[0-9]):([0-5]?[0-9]):([0-9]{1,6})\s+(Rx|Tx)\s+([0-9]{1,3})\s+"
    r"(?:0x)?([0-9A-Fa-f]{1,10})\s+(s|x|sr|xr)\s+([0-9])\s*(.*)"
)


class _Busmaster:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._base = 16
        self._clock = False
        self._days = 0
        self._last_ns = 0
        self._stopped = False

    def tells_length(self, line: str) -> bool:
        """Return True for hexadecimal data: a byte that lost a digit is told."""
        del line
        return self._base == 16

    def frames(self, line: str) -> Iterable[Frame]:
        if line.startswith("***"):
            self._header(line.strip("* \r"))
            return ()
        found = _BUSMASTER.fullmatch(line)
        if found is None:
            if re.match(r"[0-9:]+\s+(ERR|Rx ERR|Tx ERR)\b", line):
                return other_line(self._findings, line)
            raise BadRecord("no BUSMASTER line")
        extended = found[8].startswith("x")
        most = MAX_EXTENDED_ID if extended else MAX_CAN_ID
        identifier = number(found[7], self._base, most, "identifier")
        length = number(found[9], 10, CAN_BYTES, "length")
        kind: FrameKind = "remote" if found[8].endswith("r") else "data"
        data = b"" if kind == "remote" else self._bytes(found[10], length)
        direction: Direction = "tx" if found[5] == "Tx" else "rx"
        time_s = self._findings.seconds(self._time_ns(found))
        return (
            Frame(time_s, found[6], direction, data, identifier, extended, False, kind),
        )

    def end(self) -> None:
        """Note a session that was not ended."""
        if not self._stopped:
            self._findings.count(
                "not_closed",
                "the log has no end of its session",
                "logging was interrupted, the end is cut off, or an export left it out",
                Severity.INFO,
            )

    def _header(self, text: str) -> None:
        words = text.upper()
        if words == "DEC":
            self._base = 10
        elif words == "HEX":
            self._base = 16
        elif words == "SYSTEM MODE":
            self._clock = True
        elif words == "RELATIVE MODE":
            raise self._findings.refused(
                "times are relative to the frame before, per message",
                "log again in system or absolute time mode",
            )
        elif words.startswith("START DATE AND TIME"):
            self._findings.local_start(text[len("START DATE AND TIME") :])
        elif "STOP LOGGING SESSION" in words:
            self._stopped = True

    def _bytes(self, text: str, length: int) -> bytes:
        if self._base == 16:
            return hex_bytes(text, length)
        words = text.split()
        if len(words) != length:
            raise BadRecord(f"{len(words)} bytes where {length} are announced")
        return bytes(number(word, 10, 255, "byte") for word in words)

    def _time_ns(self, found: re.Match[str]) -> int:
        hours, minutes, seconds = int(found[1]), int(found[2]), int(found[3])
        now = nanoseconds(f"{seconds}.{found[4]}") + (hours * 60 + minutes) * 60 * NS
        now += self._days * _DAY_NS
        if self._clock and now < self._last_ns - _DAY_NS // 2:
            # The clock of a day went through midnight.
            self._days += 1
            now += _DAY_NS
        self._last_ns = now
        return now


_MICROCHIP: Final = re.compile(
    r"([0-9]{1,12});(RX|TX);0x([0-9A-Fa-f]{1,8});([0-8]);((?:0x[0-9A-Fa-f]{2};)*)\s*"
)


class _Microchip:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def tells_length(self, line: str) -> bool:
        """Return True: each line has its length."""
        del line
        return True

    def frames(self, line: str) -> Iterable[Frame]:
        if not line[0].isdigit():
            if line.startswith("Logging Started:"):
                self._findings.local_start(line.partition(":")[2])
            elif not re.match(r"//|Microchip|CAN BUS|SavvyCAN|Logging", line):
                raise BadRecord("no Microchip line")
            return ()
        found = _MICROCHIP.fullmatch(line)
        if found is None:
            raise BadRecord("no Microchip line")
        identifier = number(found[3], 16, MAX_EXTENDED_ID, "identifier")
        text = found[5].replace("0x", "").replace(";", " ")
        data = hex_bytes(text, int(found[4]))
        time_s = self._findings.seconds(nanoseconds(found[1], _MS))
        direction: Direction = "tx" if found[2] == "TX" else "rx"
        extended = identifier > MAX_CAN_ID
        return (Frame(time_s, "", direction, data, identifier, extended),)

    def end(self) -> None:
        """Nothing marks the end of the log."""


_CAR_BUS_HEAD: Final = re.compile(
    r"@ TEXT @ \d+ @ \d+ @ \d+ @ (\d+) @ (\d+) @ [0-9:.]+ @"
)
_CAR_BUS: Final = re.compile(
    r"([0-9]+,[0-9]{1,6})\t([0-9]{1,3})\t([0-9A-F]{4})\t([0-9A-F]{3}|[0-9A-F]{8})\t"
    r"([0-8])\t([0-9A-F ]*)\t[0-9A-F]{8}\t.*",
    re.DOTALL,
)


class _CarBus:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._announced: int | None = None
        self._seen = 0

    def tells_length(self, line: str) -> bool:
        """Return True: each record has its length."""
        del line
        return True

    def frames(self, line: str) -> Iterable[Frame]:
        head = _CAR_BUS_HEAD.fullmatch(line)
        if head is not None:
            self._announced = int(head[1])
            return ()
        found = _CAR_BUS.fullmatch(line)
        if found is None:
            raise BadRecord("no Car Bus Analyzer record")
        extended = len(found[4]) > 3
        most = MAX_EXTENDED_ID if extended else MAX_CAN_ID
        identifier = number(found[4], 16, most, "identifier")
        data = hex_bytes(found[6], int(found[5]))
        self._seen += 1
        time_s = self._findings.seconds(nanoseconds(found[1].replace(",", ".")))
        return (Frame(time_s, found[2], "rx", data, identifier, extended),)

    def end(self) -> None:
        """Compare with the number of records that the head announces."""
        if self._announced is None:
            self._findings.damage("the head of the log is missing", "first line")
        elif self._announced != self._seen:
            self._findings.cut(
                "the log announces another number of records",
                f"{self._announced}, and {self._seen} are readable",
            )


BUSMASTER: Final = LogReader(
    "busmaster",
    "BUSMASTER .log (also Kvaser hardware)",
    matches(rb"^\*{3}BUSMASTER"),
    line_frames(_Busmaster),
)
MICROCHIP: Final = LogReader(
    "microchip_can",
    "Microchip CAN BUS Analyzer .log",
    matches(rb"Microchip Technology Inc\.\s{1,4}CAN BUS"),
    line_frames(_Microchip),
)
CAR_BUS: Final = LogReader(
    "car_bus_analyzer",
    "Car Bus Analyzer .trc (one record per carriage return)",
    matches(rb"\A@ TEXT @ \d+ @ \d+ @"),
    line_frames(_CarBus, newline=b"\r"),
)
