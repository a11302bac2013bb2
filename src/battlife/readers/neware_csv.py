"""Neware hierarchical .csv: rows of cycles, steps and records in one file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from battlife.errors import InputError
from battlife.model import STEP_KINDS, Column, StepTable, Trace
from battlife.readers import clocks, tables, texts
from battlife.readers.choosing import Given
from battlife.readers.columns import checked_conversion, conversion, direction, plain
from battlife.readers.splitting import split_units

_RECORD_HEADER = re.compile(r'^,,["\s]*(DataPoint|Record|数据|记录)')
_STEP_COLUMNS = {
    "step time": "duration_s",
    "oneset volt": "start_voltage_v",
    "onset volt": "start_voltage_v",
    "start volt": "start_voltage_v",
    "end voltage": "end_voltage_v",
    "end volt": "end_voltage_v",
}


@dataclass(frozen=True)
class NewareHierarchicalCsv:
    """Reads the Neware export that nests records in steps in cycles."""

    name: str = "neware_csv"
    description: str = "Neware .csv export with cycle, step and record rows"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the three header lines are there."""
        lines = texts.split_lines(texts.decode(head))[:20]
        return any(_RECORD_HEADER.match(line) for line in lines)

    def read(self, path: Path) -> Sequence[Trace]:
        """Read a file into one Trace with the tester's own steps.

        Raises
        ------
        InputError
            The header lines or the records are missing.
        """
        lines = texts.split_lines(texts.read_text(path))
        top = next(
            (i for i, s in enumerate(lines[:100]) if _RECORD_HEADER.match(s)), None
        )
        if top is None or top < 2:
            raise InputError(f"{path}: the three header lines are not there")
        step_names = tables.split_fields(lines[top - 1], ",")[1:]
        cycle_names = tables.split_fields(lines[top - 2], ",")
        cycle_width = max((i for i, n in enumerate(cycle_names, 1) if n), default=1)
        records: list[str] = []
        cycles: list[float] = []
        indices: list[float] = []
        steps: list[list[str]] = []
        step_cycles: list[float] = []
        cycle = step = float("nan")
        for line in lines[top + 1 :]:
            is_record = line.startswith(",,")
            records.append(line if is_record else "")
            if not is_record and line.strip():
                fields = tables.split_fields(line, ",")
                if fields[0]:
                    cycle = _number(fields[0])
                    fields = fields[cycle_width:]
                else:
                    fields = fields[1:]
                if len(fields) > 2 and fields[0]:
                    step = _number(fields[0])
                    steps.append(fields)
                    step_cycles.append(cycle)
            cycles.append(cycle)
            indices.append(step)
        names = tuple(tables.split_fields(lines[top].rstrip(), ","))
        while names and not names[-1]:
            names = names[:-1]
        layout = tables.Layout(",", ".", top, names)
        table = tables.parse_table([*lines[: top + 1], *records], layout, top + 1)
        states = _states(steps, step_names)
        table = _with_counts(table, top + 2, cycles, indices, states)
        traces = split_units(table, Given(path.stem))
        own = _step_table(step_names, steps, step_cycles)
        return [replace(t, steps=own if len(traces) == 1 else None) for t in traces]


def _with_counts(
    table: tables.Table,
    first: int,
    cycles: list[float],
    steps: list[float],
    states: Mapping[float, str],
) -> tables.Table:
    import polars as pl

    rows = np.asarray(table.lines) - first
    kept = np.array(steps)[rows].tolist()
    frame = table.frame.with_columns(
        pl.Series("Cycle Index", np.array(cycles)[rows]),
        pl.Series("Step Index", kept),
        pl.Series("Step Type", [states.get(s, "") for s in kept]),
    )
    return replace(table, names=tuple(frame.columns), frame=frame)


def _states(steps: list[list[str]], names: list[str]) -> dict[float, str]:
    """Return the type of each step by its number, where one number has one type."""
    found: dict[float, set[str]] = {}
    at = _type_column(names)
    for row in steps:
        if len(row) > at:
            found.setdefault(_number(row[0]), set()).add(row[at])
    return {number: kinds.pop() for number, kinds in found.items() if len(kinds) == 1}


def _type_column(names: list[str]) -> int:
    known = ("step type", "step name", "工步类型", "工步名称")
    return next((i for i, n in enumerate(names) if plain(n) in known), 2)


def _step_table(
    names: list[str], rows: list[list[str]], cycles: list[float]
) -> StepTable:
    import polars as pl

    kinds: list[int] = []
    kind_at = _type_column(names)
    for row in rows:
        text = row[kind_at].lower() if len(row) > kind_at else ""
        way = direction(text)
        kind = {1: "charge", -1: "discharge"}.get(
            way, "rest" if "rest" in text else "other"
        )
        kinds.append(STEP_KINDS.index(kind))
    columns: dict[str, Column] = {
        "cycle_index": np.array(cycles),
        "step_index": np.array([_number(r[0]) for r in rows]),
    }
    for position, header in enumerate(names):
        name, _, unit = header.partition("(")
        unit = unit.rstrip(")")
        texts = [r[position] if len(r) > position else "" for r in rows]
        known = plain(name)
        if known == "step time":
            columns["duration_s"] = clocks.durations_s(
                pl.Series(texts, dtype=pl.String)
            )
        elif known in _STEP_COLUMNS:
            if conversion("voltage_v", unit) is None:
                continue
            factor, _ = checked_conversion("voltage_v", unit, header)
            columns[_STEP_COLUMNS[known]] = (
                np.array([_number(t) for t in texts]) * factor
            )
        elif known in ("capacity", "energy"):
            quantity = "step_capacity_ah" if known == "capacity" else "step_energy_wh"
            if conversion(quantity, unit) is None:
                continue
            factor, _ = checked_conversion(quantity, unit, header)
            values = np.abs(np.array([_number(t) for t in texts])) * factor
            ending = "capacity_ah" if known == "capacity" else "energy_wh"
            for kind in ("charge", "discharge"):
                own = np.array(kinds) == STEP_KINDS.index(kind)
                columns[f"{kind}_{ending}"] = np.where(own, values, np.nan)
    return StepTable(np.array(kinds, dtype=np.int64), columns)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


READER = NewareHierarchicalCsv()
