"""Sheets of an Arbin workbook: Info or Global_Info, and Channel_... with samples."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Trace
from battlife.readers.shape import TEMPERATURES, gap_notice, shaped

Rows = list[list[Any]]

_CHANNEL: Final = re.compile(r"^Channel[_ ](\d+(?:-\d+)?)(?:[_ ](\d+))?$")
_HEADER: Final = re.compile(r"^(?P<name>[^(]+?)_*(?:\((?P<unit>[^)]*)\))?(?:_\d+)?$")

_QUANTITIES: Final[Mapping[str, tuple[str, str]]] = {
    "test_time": ("time_s", "s"),
    "step_time": ("step_time_s", "s"),
    "step_index": ("step_index", ""),
    "cycle_index": ("cycle_index", ""),
    "current": ("current_a", "A"),
    "voltage": ("voltage_v", "V"),
    "power": ("power_w", "W"),
    "charge_capacity": ("charge_capacity_ah", "Ah"),
    "discharge_capacity": ("discharge_capacity_ah", "Ah"),
    "charge_energy": ("charge_energy_wh", "Wh"),
    "discharge_energy": ("discharge_energy_wh", "Wh"),
    "internal_resistance": ("internal_resistance_ohm", "Ohm"),
}
"""Arbin's column name to quantity and the unit its factor of 1 belongs to."""
_PREFIX: Final = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "k": 1e3}
_FACTS: Final = {
    "start_datetime": "start_time",
    "schedule_file_name": "procedure",
    "creator": "operator",
    "comments": "comment",
    "software_version": "software_version",
    "item_id": "serial_number",
}


def is_channel(name: str) -> bool:
    """Say whether a sheet of this name holds samples."""
    return _CHANNEL.match(name) is not None


def wanted(name: str) -> bool:
    """Say whether a sheet of this name is read."""
    return is_channel(name) or name in ("Info", "Global_Info")


def traces(path: Path, sheets: Sequence[tuple[str, Rows]]) -> tuple[Trace, ...]:
    """Return one Trace per channel; several sheets of a channel continue each other.

    Raises
    ------
    InputError
        No samples, or columns that are not Arbin's.
    """
    channels: dict[str, list[tuple[int, Rows]]] = {}
    info: Rows = []
    for name, rows in sheets:
        match = _CHANNEL.match(name)
        if match:
            place = (int(match[2] or 0), rows)
            channels.setdefault(match[1], []).append(place)
        elif wanted(name):
            info = rows
    found = []
    for channel, parts in channels.items():
        parts.sort(key=lambda part: part[0])
        stem = path.stem if len(channels) == 1 else f"{path.stem}_{channel}"
        facts = {**_facts(info, channel), "channel": channel}
        found.append(_trace(path, stem, [rows for _, rows in parts], facts))
    return tuple(found)


def _trace(path: Path, stem: str, parts: list[Rows], facts: dict[str, str]) -> Trace:
    header = parts[0][0] if parts[0] else []
    if any(rows and rows[0] != header for rows in parts[1:]):
        raise InputError(
            f"{path}: the sheets of channel {facts['channel']} have different columns",
            "export each sheet on its own",
        )
    rows = [row for part in parts for row in part[1:]]
    notices: list[Notice] = []
    columns = _columns(path, [str(cell) for cell in header], rows, notices)
    for needed in ("time_s", "voltage_v"):
        if needed not in columns:
            raise InputError(
                f"{path}: channel {facts['channel']} has no column for {needed}",
                "Arbin names them Test_Time(s) and Voltage(V)",
            )
    time_s = columns.pop("time_s")
    if not time_s.size:
        raise InputError(f"{path}: channel {facts['channel']} holds no samples")
    resistance = columns.get("internal_resistance_ohm")
    if resistance is not None:
        # Arbin writes 0 until the first measurement of a resistance.
        columns["internal_resistance_ohm"] = np.where(
            resistance == 0, np.nan, resistance
        )
    return shaped(
        facts.get("serial_number") or stem,
        time_s,
        columns,
        header=facts,
        notices=notices,
    )


def _columns(
    path: Path, header: list[str], rows: Rows, notices: list[Notice]
) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    sensors = iter(TEMPERATURES)
    for text, cells in zip(header, zip(*rows, strict=True), strict=False):
        match = _HEADER.match(text.strip().replace(" ", "_"))
        name = match["name"].lower() if match else ""
        unit = (match["unit"] or "").strip("_") if match else ""
        if name == "data_point":
            notices.extend(gap_notice(_numbers(cells, text, notices), text))
        elif name in _QUANTITIES:
            quantity, base = _QUANTITIES[name]
            factor = _factor(path, text, unit, base)
            if quantity not in columns:
                values = _numbers(cells, text, notices)
                columns[quantity] = values if factor == 1 else values * factor
        elif "temperature" in name and unit.lower() in ("c", "℃", "°c", "degc"):
            sensor = next(sensors, None)
            if sensor is not None:
                columns[sensor] = _numbers(cells, text, notices)
    return columns


def _factor(path: Path, header: str, unit: str, base: str) -> float:
    if unit.lower() == base.lower():
        return 1.0
    if base and unit.lower().endswith(base.lower()):
        prefix = unit[: -len(base)]
        if prefix in _PREFIX and base != "s":
            return _PREFIX[prefix]
    raise InputError(
        f"{path}: column {header!r} is in {unit or 'no unit'!r}, expected {base!r}",
        "export it with Arbin's default units",
    )


def _numbers(cells: Sequence[Any], name: str, notices: list[Notice]) -> Column:
    try:
        return np.array(cells, dtype=np.float64)
    except (TypeError, ValueError):
        pass
    values = np.full(len(cells), np.nan)
    unreadable = 0
    for i, cell in enumerate(cells):
        if cell == "":
            continue
        try:
            values[i] = float(cell)
        except (TypeError, ValueError):
            unreadable += 1
    if unreadable:
        notices.append(
            Notice("unreadable_cells", f"{name}: {unreadable} cells are not numbers")
        )
    return values


def _facts(info: Rows, channel: str) -> dict[str, str]:
    """Return what the information sheet states about a channel."""
    for place, row in enumerate(info):
        if row and row[0] == "Channel":
            names = [str(cell).strip().lower().replace(" ", "_") for cell in row]
            for values in info[place + 1 :]:
                if _plain(values[0]) == channel:
                    return {
                        _FACTS[name]: _plain(value)
                        for name, value in zip(names, values, strict=False)
                        if name in _FACTS and _plain(value)
                    }
    return {}


def _plain(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
