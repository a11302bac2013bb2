"""LabVIEW measurement files (.lvm), with or without their header block."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from battlife.errors import InputError
from battlife.model import Notice, Provenance, Trace
from battlife.readers import mapped, tables, texts

TEMPERATURES = (
    "temperature_degc",
    "temperature_2_degc",
    "temperature_3_degc",
    "temperature_4_degc",
)
_END = "***End_of_Header***"
_BARE_ROW = re.compile(r"^(\t-?\d+[.,]\d+)+\t?$")


@dataclass(frozen=True)
class LvmReader:
    """Reads LabVIEW .lvm.

    Attributes
    ----------
    period_s : s between records of a file without a time column; None if unknown
    quantities : what its columns are, in order
    """

    period_s: float | None = None
    quantities: tuple[str, ...] = TEMPERATURES
    name: str = "labview_lvm"
    description: str = "LabVIEW .lvm; one without time needs period_s in units.toml"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether it opens as LabVIEW writes it, or is a bare table named .lvm."""
        text = texts.decode(head)
        if text.startswith("LabVIEW Measurement"):
            return True
        first = texts.split_lines(text)[0].rstrip()
        return name.lower().endswith(".lvm") and _BARE_ROW.match(first) is not None

    def read(self, path: Path) -> Sequence[Trace]:
        """Read a file into one Trace.

        Raises
        ------
        InputError
            There is no time column and no `period_s`, or no table.
        """
        lines = texts.split_lines(texts.read_text(path))
        if lines[0].startswith("LabVIEW Measurement"):
            return self._with_header(path, lines)
        return [self._bare(path, lines)]

    def _with_header(self, path: Path, lines: list[str]) -> Sequence[Trace]:
        ends = [i for i, line in enumerate(lines) if line.startswith(_END)]
        if not ends:
            raise InputError(
                f"{path}: the header has no end", "was the file cut short?"
            )
        if len(ends) > 2:
            raise InputError(
                f"{path}: {len(ends) - 1} tables in one file", "save one per file"
            )
        columns = {"X_Value": ("time_s", "s")}
        mapping = mapped.TableMapping(self.name, self.description, columns=columns)
        reader = mapped.MappedReader(mapping)
        return reader.read(path)

    def _bare(self, path: Path, lines: list[str]) -> Trace:
        width = len(lines[0].rstrip().split("\t"))
        names = ("", *(f"column {n}" for n in range(2, width + 1)))
        layout = tables.Layout("\t", tables.find_decimal(lines, "\t"), -1, names)
        table = tables.parse_table(lines, layout, 0)
        wanted = table.names[1:]
        if self.period_s is None:
            raise InputError(
                f"{path}: {len(table)} rows of {len(wanted)} columns without time or "
                "names: when they were measured is not in the file",
                "state period_s (seconds from row to row) of this file in units.toml",
            )
        if not (np.isfinite(self.period_s) and self.period_s > 0):
            raise InputError(f"period_s must be positive, not {self.period_s}")
        if len(wanted) > len(self.quantities):
            raise InputError(
                f"{path}: {len(wanted)} columns, {len(self.quantities)} are known"
            )
        columns = {}
        notices = list(table.notices)
        for quantity, name in zip(self.quantities, wanted, strict=False):
            columns[quantity], bad = table.numbers(name)
            if bad:
                notices.append(
                    Notice(
                        "unreadable_values",
                        f"{name}: {len(bad)} values are not numbers and count as "
                        f"missing; the first is in line {table.lines[bad[0]]}",
                    )
                )
        notices.append(
            Notice(
                "columns_assumed",
                f"the file names no column: taken as {', '.join(columns)}, one row "
                f"each {self.period_s:g} s",
            )
        )
        return Trace(
            unit_id=path.stem,
            start_utc=None,
            time_s=np.arange(len(table), dtype=np.float64) * self.period_s,
            segment_start=np.zeros(1, dtype=np.int64),
            columns=columns,
            steps=None,
            spectra=(),
            provenance=Provenance(notices=tuple(notices)),
        )


READER = LvmReader()
