"""Comma-separated bus logs: GVRET (SavvyCAN) and python-can.

Sources: SavvyCAN framefileio.cpp and python-can's CSVWriter, as facts, and real logs.
"""

import binascii
from collections.abc import Iterable
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
    line_frames,
    matches,
    nanoseconds,
    number,
)

_US: Final = 1000
_GVRET: Final = ("Time Stamp", "ID", "Extended", "Bus", "LEN")
_GVRET_DIRECTED: Final = ("Time Stamp", "ID", "Extended", "Dir", "Bus", "LEN")
_PYTHON_CAN: Final = (
    "timestamp",
    "arbitration_id",
    "extended",
    "remote",
    "error",
    "dlc",
    "data",
)


class _Gvret:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._columns: tuple[str, ...] = ()

    def tells_length(self, line: str) -> bool:
        """Return True: each line has its length."""
        del line
        return True

    def frames(self, line: str) -> Iterable[Frame]:
        cells = [cell.strip() for cell in line.split(",")]
        if cells[0] == "Time Stamp":
            for columns in (_GVRET_DIRECTED, _GVRET):
                if tuple(cells[: len(columns)]) == columns:
                    self._columns = columns
                    return ()
            raise self._findings.refused(
                f"the columns {', '.join(cells[:7])} are not those of GVRET",
                "export the log from SavvyCAN as GVRET, or as candump",
            )
        if not self._columns:
            raise BadRecord("no header above")
        if len(cells) < len(self._columns):
            raise BadRecord("too few columns")
        field = dict(zip(self._columns, cells, strict=False))
        extended = _flag(field["Extended"])
        most = MAX_EXTENDED_ID if extended else MAX_CAN_ID
        identifier = number(field["ID"], 16, most, "identifier")
        length = number(field["LEN"], 10, 64, "length")
        if length not in FD_LENGTHS:
            raise BadRecord(f"{length} bytes are no length of a frame")
        # SavvyCAN fills up to eight columns with 00 whatever the length is.
        given = cells[len(self._columns) :]
        if len(given) < length or any(len(c) != 2 for c in given[:length]):
            raise BadRecord(f"not {length} bytes of two digits")
        if any(cell for cell in given[max(length, CAN_BYTES) :]):
            raise BadRecord("more bytes than announced")
        data = bytes(number(c, 16, 255, "byte") for c in given[:length])
        direction: Direction = "rx"
        if "Dir" in field:
            if field["Dir"].lower() not in ("rx", "tx"):
                raise BadRecord("no direction")
            direction = "tx" if field["Dir"].lower() == "tx" else "rx"
        time_s = self._findings.seconds(nanoseconds(field["Time Stamp"], _US))
        fd = length > CAN_BYTES
        return (Frame(time_s, field["Bus"], direction, data, identifier, extended, fd),)

    def end(self) -> None:
        """Nothing marks the end of the log."""


class _PythonCan:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def tells_length(self, line: str) -> bool:
        """Return True: each line has its length."""
        del line
        return True

    def frames(self, line: str) -> Iterable[Frame]:
        cells = line.strip().split(",")
        if tuple(cells) == _PYTHON_CAN:
            return ()
        if len(cells) != len(_PYTHON_CAN):
            raise BadRecord(f"{len(cells)} columns where {len(_PYTHON_CAN)} are")
        field = dict(zip(_PYTHON_CAN, cells, strict=True))
        extended, remote, error = (
            _flag(field[name]) for name in ("extended", "remote", "error")
        )
        most = MAX_EXTENDED_ID if extended or error else MAX_CAN_ID
        identifier = number(field["arbitration_id"], 16, most, "identifier")
        length = number(field["dlc"], 10, 64, "length")
        try:
            data = binascii.a2b_base64(
                field["data"].encode("latin-1"), strict_mode=True
            )
        except binascii.Error:
            raise BadRecord("the data is no base64") from None
        if len(data) != length and not (remote or error):
            raise BadRecord(f"{len(data)} bytes where {length} are announced")
        time_s = self._findings.seconds(nanoseconds(field["timestamp"]))
        kind: FrameKind = "error" if error else "remote" if remote else "data"
        fd = len(data) > CAN_BYTES
        return (Frame(time_s, "", "rx", data, identifier, extended, fd, kind),)

    def end(self) -> None:
        """Nothing marks the end of the log."""


def _flag(text: str) -> bool:
    value = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    if value is None:
        raise BadRecord(f"{ascii(text[:20])} is neither true nor false")
    return value


GVRET: Final = LogReader(
    "gvret_csv",
    "GVRET .csv (SavvyCAN)",
    matches(rb"^Time Stamp,ID,Extended,(Dir,)?Bus,LEN"),
    line_frames(_Gvret),
)
PYTHON_CAN: Final = LogReader(
    "python_can_csv",
    "python-can .csv (data in base64)",
    matches(rb"\Atimestamp,arbitration_id,extended,remote,error,dlc,data\r?\n"),
    line_frames(_PythonCan),
)
