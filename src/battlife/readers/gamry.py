"""Gamry Framework .dta: labelled facts, then tables with a row of units."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Severity, Trace
from battlife.readers.shape import shaped
from battlife.readers.spectrum import Rows, fewer, spectrum_trace, unfinished
from battlife.readers.texts import read_text

_UNITS: Final = {
    "T": "s",
    "Time": "s",
    "Vf": "V",
    "Vdc": "V",
    "Im": "A",
    "Idc": "A",
    "Freq": "Hz",
    "Zreal": "ohm",
    "Zimag": "ohm",
    "Temp": "deg C",
}
"""Column and the unit it must have; a voltage may name its reference after it."""
_ANODIC: Final = "1"
"""CONVENTION 1: anodic current is positive; 0: cathodic current is positive."""


@dataclass
class _Table:
    name: str
    declared: int
    units: Sequence[str]
    rows: Rows


class GamryReader:
    """Reads Gamry curves and impedance.

    The working electrode is taken to be the positive terminal of the cell, so anodic
    current charges it.
    """

    name = "gamry"
    description = "Gamry Framework .dta"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the head opens with Gamry's EXPLAIN."""
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        return start.startswith(b"EXPLAIN") and b"\nTAG\t" in head.replace(b"\r", b"")

    def read(self, path: Path) -> Sequence[Trace]:
        """Read the measured curves, or the spectrum, of a file.

        The open-circuit record before the experiment (OCVCURVE) is not part of it.

        Raises
        ------
        InputError
            No table with rows, or a column in another unit.
        """
        text = read_text(path)
        tables, facts = _parse(text)
        header = {
            "start_time": f"{facts.get('DATE', '')} {facts.get('TIME', '')}",
            "instrument": facts.get("PSTAT", ""),
            "procedure": facts.get("TITLE", ""),
        }
        chosen = [t for t in tables if t.name.startswith("ZCURVE")] or [
            t for t in tables if t.name.startswith("CURVE")
        ]
        chosen = [t for t in chosen if t.rows.values]
        others = [t.name for t in tables if t.rows.values]
        if not chosen:
            raise InputError(
                f"{path}: no CURVE or ZCURVE table holds rows"
                + (f"; it has {', '.join(others)}" if others else ""),
                "name the file of the single charge or discharge"
                if others
                else "was the experiment interrupted?",
            )
        notices: list[Notice] = list(unfinished(text))
        for table in chosen:
            _check_units(path, table.rows.names, table.units)
            notices += table.rows.notices()
            notices += fewer(
                len(table.rows.values), table.declared, f"rows in {table.name}"
            )
        if facts.get("EXPERIMENTABORTED", "F") == "T":
            notices.append(
                Notice("aborted", "the operator aborted the experiment before its end")
            )
        skipped = [t.name for t in tables if t not in chosen]
        if skipped:
            notices.append(
                Notice(
                    "tables_left_out",
                    f"tables not part of the experiment: {', '.join(skipped)}",
                    Severity.INFO,
                )
            )
        sign = 1.0 if facts.get("CONVENTION", _ANODIC) == _ANODIC else -1.0
        notices.append(
            Notice(
                "potentiostat_sign",
                "potentiostat record: the working electrode is taken as the cell's "
                "positive terminal, anodic current as charging",
                Severity.INFO,
            )
        )
        if chosen[0].name.startswith("ZCURVE"):
            return (_impedance(path, chosen, sign, header, notices),)
        if not all("T" in t.rows.names for t in chosen):
            raise InputError(
                f"{path}: table {chosen[0].name} has no time T: no record of samples",
                "name the file of the single charge or discharge",
            )
        columns = {
            "voltage_v": _joined(chosen, "Vf"),
            "current_a": sign * _joined(chosen, "Im"),
        }
        temperature = _joined(chosen, "Temp")
        # Without a thermocouple Gamry writes a value below absolute zero.
        columns["temperature_degc"] = np.where(
            temperature > -273.15, temperature, np.nan
        )
        return (
            shaped(
                path.stem,
                _joined(chosen, "T"),
                columns,
                header=header,
                notices=notices,
            ),
        )


def _impedance(
    path: Path,
    tables: Sequence[_Table],
    sign: float,
    header: dict[str, str],
    notices: list[Notice],
) -> Trace:
    return spectrum_trace(
        path,
        [
            (t.rows.column("Freq"), t.rows.column("Zreal"), t.rows.column("Zimag"))
            for t in tables
        ],
        time_s=[t.rows.column("Time") for t in tables],
        columns={
            "voltage_v": _joined(tables, "Vdc"),
            "current_a": sign * _joined(tables, "Idc"),
        },
        header=header,
        notices=notices,
    )


def _joined(tables: Sequence[_Table], name: str) -> Column:
    return np.concatenate([t.rows.column(name) for t in tables])


def _parse(text: str) -> tuple[list[_Table], dict[str, str]]:
    """Return the tables and the facts between them."""
    tables: list[_Table] = []
    facts: dict[str, str] = {}
    lines = text.splitlines()
    comma = ",00000E" in text or any(
        len(f := line.split("\t")) > 2
        and f[1] in ("QUANT", "POTEN")
        and "," in f[2]
        and "." not in f[2]
        for line in lines
    )
    at = 0
    while at < len(lines):
        fields = lines[at].split("\t")
        at += 1
        if len(fields) >= 2 and fields[1] == "TABLE":
            count = fields[2].strip() if len(fields) > 2 else ""
            names = lines[at].split("\t")[1:] if at < len(lines) else []
            units = lines[at + 1].split("\t")[1:] if at + 1 < len(lines) else []
            at += 2
            rows = Rows([n.strip() for n in names])
            while at < len(lines) and lines[at].startswith("\t"):
                if lines[at].strip():
                    rows.add(lines[at].split("\t")[1:], comma)
                at += 1
            declared = int(count) if count.isdigit() else 0
            tables.append(_Table(fields[0], declared, units, rows))
        elif len(fields) >= 3 and fields[0]:
            facts.setdefault(fields[0], fields[2].strip())
    return tables, facts


def _check_units(path: Path, names: Sequence[str], units: Sequence[str]) -> None:
    for name, unit in zip(names, units, strict=False):
        expected = _UNITS.get(name.strip())
        if expected is None:
            continue
        known = unit.strip().lower() if expected == "s" else unit.strip()
        if known != expected and not unit.startswith(expected + " vs"):
            raise InputError(
                f"{path}: column {name.strip()} is in {unit.strip()!r}, expected "
                f"{expected!r}",
                "export it in Gamry's default units",
            )


READER = GamryReader()
