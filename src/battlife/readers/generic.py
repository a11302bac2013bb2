"""Any table whose header is understood: delimited text no mapping claims, Parquet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from battlife.errors import FormatError
from battlife.model import Reader, Trace
from battlife.readers import lvm, mapped, neware_csv, per_cycle, tables, texts
from battlife.readers.columns import meaning

_NUMBER = re.compile(r"[-+]?\d[\d.,:]*([eE][-+]?\d+)?")

NOT_OURS = (
    "EXPLAIN",
    "ZPLOT",
    "Z60W Data File",
    "<Application>",
    "CH Instruments",
    "$FILEVERSION",
    "BUSMASTER",
    "base hex",
    "LabVIEW Measurement",
)
"""Texts that open files of instruments and buses with readers of their own."""


@dataclass(frozen=True)
class DelimitedText:
    """Reads delimited text by the names and units in its header."""

    name: str = "delimited_text"
    description: str = "any .csv, .tsv or .txt whose header names time, V or A"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether a header is understood and no other text reader claims it."""
        if is_foreign(head, name):
            return False
        lines = texts.split_lines(texts.decode(head))
        layout = tables.find_header(lines, _score)
        if layout is None:
            return False
        # A document that lists column names has no numbers below them.
        below = [s for s in lines[layout.header_line + 1 :] if s.strip()][:2]
        return any(
            sum(is_number(f) for f in s.split(layout.delimiter)) >= 2 for s in below
        )

    def read(self, path: Path) -> Sequence[Trace]:
        """Read a file, one Trace per unit.

        Raises
        ------
        InputError
            No time, or a unit that is neither stated nor provable.
        """
        reader = mapped.MappedReader(mapped.TableMapping(self.name, self.description))
        return reader.read(path)


def is_foreign(head: bytes, name: str) -> bool:
    """Say whether a file is no text, or one that another reader of text claims."""
    if head.startswith(mapped.PARQUET_MAGIC) or head[:512].count(b"\0") > 260:
        return True
    text = texts.decode(head)
    if text[:512].count("\0") or any(t in text for t in NOT_OURS):
        return True
    others: tuple[Reader, ...] = (
        *mapped.READERS,
        neware_csv.READER,
        lvm.READER,
        per_cycle.READER,
    )
    return any(r.recognises(head, name) for r in others)


def is_number(text: str) -> bool:
    """Say whether a field is written as a number or a clock."""
    return _NUMBER.fullmatch(text.strip().strip('"')) is not None


def _score(fields: Sequence[str]) -> int:
    found = {m.quantity for m in map(meaning, fields) if m is not None}
    timed = found & {"time_s", "unix_time_s", "date_time"}
    return len(found) if timed and found & {"voltage_v", "current_a"} else 0


@dataclass(frozen=True)
class ParquetTable:
    """Reads Parquet by its column names."""

    name: str = "parquet"
    description: str = "Parquet with BDF or other understood column names"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the magic number is Parquet's."""
        return head.startswith(mapped.PARQUET_MAGIC)

    def read(self, path: Path) -> Sequence[Trace]:
        """Read a file, one Trace per unit.

        Raises
        ------
        InputError
            Damaged, or no time, or a unit that is neither stated nor provable.
        FormatError
            It is not Parquet.
        """
        with path.open("rb") as file:
            if file.read(4) != mapped.PARQUET_MAGIC:
                raise FormatError(f"{path}: not a Parquet file")
        reader = mapped.MappedReader(mapped.TableMapping(self.name, self.description))
        return reader.read(path)


TEXT = DelimitedText()
READERS = (TEXT, ParquetTable())
