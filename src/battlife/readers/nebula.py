"""Step table of a Nebula cycler: Chinese headers, one row per step, no samples."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from battlife.errors import InputError
from battlife.model import STEP_KINDS, Column, Notice, Severity, StepTable, Trace
from battlife.readers.shape import shaped

_TYPE, _STATE, _START, _DURATION = "工步类型", "状态", "绝对时间", "持续时间"
_CHANNEL: Final = "通道"

_QUANTITIES: Final[Mapping[str, tuple[str, str]]] = {
    "循环": ("cycle_index", ""),
    "步次": ("step_index", ""),
    "起始电压": ("start_voltage_v", "V"),
    "结束电压": ("end_voltage_v", "V"),
    "最大电压": ("max_voltage_v", "V"),
    "起始电流": ("start_current_a", "A"),
    "结束电流": ("end_current_a", "A"),
    "充电容量": ("charge_capacity_ah", "Ah"),
    "放电容量": ("discharge_capacity_ah", "Ah"),
    "充电能量": ("charge_energy_wh", "Wh"),
    "放电能量": ("discharge_energy_wh", "Wh"),
    "开始温度1": ("start_temperature_degc", "℃"),
    "结束温度1": ("end_temperature_degc", "℃"),
    "最大温度1": ("max_temperature_degc", "℃"),
}
"""Column of the export to step column and unit. Discharge capacity, energy and
current are negative in the file; capacities are stored unsigned."""
_UNSIGNED: Final = (
    "charge_capacity_ah",
    "discharge_capacity_ah",
    "charge_energy_wh",
    "discharge_energy_wh",
)
_NEEDED: Final = (
    "start_voltage_v",
    "end_voltage_v",
    "start_current_a",
    "charge_capacity_ah",
    "discharge_capacity_ah",
)
_CLOCK: Final = re.compile(r"^(\d+):(\d{1,2}):(\d{1,2})(?:[.:](\d{1,3}))?$")


def is_header(row: Sequence[Any]) -> bool:
    """Say whether a row is the header of this export."""
    names = {_split(str(cell))[0] for cell in row}
    return {_TYPE, _STATE, _START, "起始电压", "放电容量"} <= names


def trace(path: Path, rows: list[list[Any]]) -> Trace:
    """Return a Trace of no samples whose StepTable has one row per step.

    Raises
    ------
    InputError
        A column is missing or in an unknown unit, or no row holds a step.
    """
    header = [_split(str(cell)) for cell in rows[0]]
    place = {name: i for i, (name, _) in reversed(list(enumerate(header)))}
    body = rows[1:]
    kept = [row for row in body if _filled(row, place)]
    if not kept:
        raise InputError(f"{path}: the step table holds no step")
    notices: list[Notice] = []
    lost = [i for i, row in enumerate(body) if not _filled(row, place)]
    if lost:
        notices.append(
            Notice(
                "missing_records",
                f"{len(lost)} of {len(body)} step rows are empty, first at row "
                f"index {lost[0]}; they are kept out",
            )
        )
    columns: dict[str, Column] = {}
    for name, (quantity, unit) in _QUANTITIES.items():
        if name not in place:
            continue
        at = place[name]
        if header[at][1] != unit:
            raise InputError(
                f"{path}: column {name} is in {header[at][1]!r}, expected {unit!r}",
                "export it in V, A, Ah, Wh and ℃",
            )
        columns[quantity] = _numbers([row[at] for row in kept])
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise InputError(
            f"{path}: the step table has no {', '.join(missing)}",
            "export all columns",
        )
    for quantity in _UNSIGNED:
        if quantity in columns:
            columns[quantity] = np.abs(columns[quantity])
    moments = [_moment(row[place[_START]]) for row in kept]
    first = next((m for m in moments if m is not None), None)
    if first is not None:
        columns["start_s"] = np.array(
            [np.nan if m is None else (m - first).total_seconds() for m in moments]
        )
        notices.extend(_late(columns["start_s"]))
    if _DURATION in place:
        columns["duration_s"] = np.array(
            [_duration(row[place[_DURATION]]) for row in kept]
        )
    kind = np.array([_kind(row, place) for row in kept])
    notices.extend(_wrong_sign(kind, columns["start_current_a"]))
    notices.append(
        Notice(
            "steps_only",
            f"the export holds {len(kept)} steps and no samples",
            Severity.INFO,
        )
    )
    facts: dict[str, object] = {}
    if first is not None:
        facts["start_time"] = first.isoformat(sep=" ")
    if _CHANNEL in place:
        facts["channel"] = f"{_numbers([kept[0][place[_CHANNEL]]])[0]:g}"
    return shaped(
        path.stem,
        [],
        {},
        header=facts,
        notices=notices,
        steps=StepTable(kind, columns),
    )


def _split(cell: str) -> tuple[str, str]:
    name, _, unit = cell.strip().partition("(")
    return name.strip(), unit.rstrip(")").strip()


def _filled(row: Sequence[Any], place: Mapping[str, int]) -> bool:
    """Say whether a row is a step: it has a type and a voltage."""
    return bool(str(row[place[_TYPE]]).strip() and str(row[place["起始电压"]]).strip())


def _kind(row: Sequence[Any], place: Mapping[str, int]) -> int:
    text = f"{row[place[_TYPE]]} {row[place[_STATE]]}"
    for word, kind in (("放电", "discharge"), ("充电", "charge"), ("静置", "rest")):
        if word in text:
            return STEP_KINDS.index(kind)
    return STEP_KINDS.index("other")


def _numbers(cells: Sequence[Any]) -> Column:
    values = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        try:
            values[i] = float(cell)
        except (TypeError, ValueError):
            continue
    return values


def _moment(cell: object) -> datetime | None:
    if isinstance(cell, datetime):
        return cell
    try:
        return datetime.fromisoformat(str(cell).strip())
    except ValueError:
        return None


def _duration(cell: object) -> float:
    match = _CLOCK.match(str(cell).strip())
    if match is None:
        return float("nan")
    milli = float((match[4] or "0").ljust(3, "0")) / 1000.0
    return int(match[1]) * 3600.0 + int(match[2]) * 60.0 + int(match[3]) + milli


def _late(start_s: Column) -> tuple[Notice, ...]:
    back = np.flatnonzero(np.diff(start_s) < 0)
    if not back.size:
        return ()
    return (
        Notice(
            "time_goes_back",
            f"{back.size} steps start before the step ahead of them, first at step "
            f"row {int(back[0]) + 1}",
        ),
    )


def _wrong_sign(kind: np.ndarray[Any, Any], current_a: Column) -> tuple[Notice, ...]:
    charge = (kind == STEP_KINDS.index("charge")) & (current_a < 0)
    discharge = (kind == STEP_KINDS.index("discharge")) & (current_a > 0)
    wrong = int((charge | discharge).sum())
    if not wrong:
        return ()
    return (
        Notice(
            "sign_suspect",
            f"{wrong} steps have a current against their own type",
            Severity.SUSPECT,
        ),
    )
