"""Half-cell curves as data: voltage of one electrode against lithium, from a file.

Only the order of a file decides what its axis means: the voltage of an electrode falls
as lithium goes in, so where the voltage falls along the axis, the axis is lithiation,
and where it rises, one minus the axis is.
"""

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.model import Column
from battlife.model.learned import Model

POINTS: Final = 1001
"""Of the table a curve becomes: a thousandth of the lithiation apart, finer than the
steepest part of graphite, which falls from 1 to 0.3 V over three hundredths."""
FEWEST: Final = 20
"""Points of a curve: its plateaus and steps need several each."""
BACK_V: Final = 0.02
"""A curve that rises by more than this against its fall is none of an electrode."""
LONGEST: Final = 50_000_000
"""Bytes of a file: a half-cell test of a year at 1 Hz."""

VOLTAGES: Final = frozenset(
    {"v", "u", "volts", "voltage", "voltage_v", "ocv", "ocv_v", "ocp", "ocp_v"}
    | {"potential", "potential_v", "volt", "ewe/v", "voltage/v", "voltage (v)"}
)
AXES: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(("stoichiometry", "sto", "lithiation", "x", "y"), "stoichiometry")
    | dict.fromkeys(("soc", "soc_percent", "soc (%)", "soc/%", "dod"), "soc")
    | dict.fromkeys(
        ("ah", "mah", "capacity", "capacity_ah", "charge_ah", "capacity (ah)", "q"),
        "charge",
    )
)
"""Names of columns, in the order in which one is chosen."""


@dataclass(frozen=True, eq=False)
class HalfCell:
    """Voltage of one electrode over its lithiation, falling.

    Attributes
    ----------
    first, last : lithiation at either end of the table
    voltage_v : (POINTS,) V at equal distances
    axis : "stoichiometry", "soc" or "charge": what the file's axis was. Of the last
        two, lithiation counts from the delithiated end of the file
    sha256 : of the file, or of the Model
    """

    first: float
    last: float
    voltage_v: Column
    axis: str
    sha256: str

    @property
    def step(self) -> float:
        """Distance of two points of the table."""
        return (self.last - self.first) / (self.voltage_v.size - 1)


def read_curve(path: str) -> tuple[Column, Column, str, str]:
    """Return (axis, V, kind of axis, sha256) of a text file with two columns or more.

    Parameters
    ----------
    path : CSV with a comma, semicolon or tab; the columns are found by their heading,
        or are the first two where there is none

    Raises
    ------
    InputError
        Not there, not text, no such columns, too few numbers.
    """
    try:
        size = Path(path).stat().st_size
        if size > LONGEST:
            raise InputError(f"{path}: {size} bytes are no half-cell curve")
        content = Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(
            f"{path}: not readable as a curve: {error}",
            "a CSV file with a stoichiometry, SOC or Ah column and a voltage column",
        ) from error
    lines = [line for line in text.splitlines() if line.strip() and line[0] != "#"]
    if not lines:
        raise InputError(f"{path}: empty", "a curve needs two columns of numbers")
    mark = next((m for m in ";\t" if m in lines[0]), ",")
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=mark))
    except csv.Error as error:
        raise InputError(f"{path}: not readable as a curve: {error}") from error
    names = [name.strip().lower() for name in rows[0]]
    kind = "stoichiometry"
    at_axis, at_volt = 0, 1
    if _number(rows[0][0], mark) is None:
        rows = rows[1:]
        volts = [i for i, name in enumerate(names) if name in VOLTAGES]
        axes = [names.index(name) for name in AXES if name in names]
        axes = [i for i in axes if i not in volts]
        if not volts or not axes:
            raise InputError(
                f"{path}: no voltage or no axis among the columns {', '.join(names)}",
                "name them e.g. stoichiometry (or soc, or Ah) and voltage_v",
            )
        at_axis, at_volt = axes[0], volts[0]
        kind = AXES[names[at_axis]]
    pairs = [
        (_number(row[at_axis], mark), _number(row[at_volt], mark))
        for row in rows
        if len(row) > max(at_axis, at_volt)
    ]
    known = [(x, v) for x, v in pairs if x is not None and v is not None]
    table = np.array(known, dtype=np.float64).reshape(-1, 2)
    if table.shape[0] < FEWEST:
        raise InputError(
            f"{path}: {table.shape[0]} points are too few for a curve",
            f"at least {FEWEST} rows of numbers",
        )
    digest = hashlib.sha256(content).hexdigest()
    return table[:, 0].copy(), table[:, 1].copy(), kind, digest


def half_cell(
    axis: Column, voltage_v: Column, kind: str, sha256: str, name: str
) -> HalfCell:
    """Return the table of a curve.

    Parameters
    ----------
    axis, voltage_v : (n,) in the order measured, and V
    kind : as in :class:`HalfCell`
    sha256 : of the source
    name : of the source, for messages

    Raises
    ------
    InputError
        Axis without width or outside 0 to 1, absurd or not one-way voltages.
    """
    order = np.argsort(axis, kind="stable")
    x, v = axis[order], voltage_v[order]
    x, first = np.unique(x, return_index=True)
    v = np.add.reduceat(v, first) / np.diff(np.append(first, v.size))
    if x.size < FEWEST or not np.isfinite(x).all() or not np.isfinite(v).all():
        raise InputError(f"{name}: fewer than {FEWEST} different points of a curve")
    if v.min() < -1.0 or v.max() > 6.0:
        raise InputError(
            f"{name}: {v.min():g} to {v.max():g} V is no potential against lithium"
        )
    if kind == "charge":
        x = (x - x[0]) / (x[-1] - x[0])
    elif kind == "soc" and x[-1] > 1.5:
        x = x / 100.0
    if x[0] < -1e-6 or x[-1] > 1.0 + 1e-6:
        raise InputError(
            f"{name}: the axis runs from {x[0]:g} to {x[-1]:g}, beyond 0 to 1",
            "a stoichiometry or SOC is a fraction; name a charge axis Ah",
        )
    edge = max(x.size // 20, 1)
    if np.median(v[:edge]) < np.median(v[-edge:]):
        x, v = 1.0 - x[::-1], v[::-1]
    falling = np.minimum.accumulate(v)
    if float((v - falling).max()) > BACK_V:
        raise InputError(
            f"{name}: the voltage goes up and down by {(v - falling).max():.3g} V",
            "a half-cell curve is one slow charge or discharge",
        )
    grid = np.linspace(x[0], x[-1], POINTS)
    table = np.ascontiguousarray(np.interp(grid, x, falling))
    return HalfCell(float(x[0]), float(x[-1]), table, kind, sha256)


def electrodes(
    positive: str | None, negative: str | None, model: Model | None
) -> tuple[HalfCell, HalfCell] | None:
    """Return the curves of the positive and the negative, None if one is missing.

    Parameters
    ----------
    positive, negative : files; they outrank the model
    model : arrays ``positive/stoichiometry``, ``positive/voltage_v`` and so on

    Raises
    ------
    InputError
        A file or the model cannot be read as a curve, or the two are exchanged.
    """
    found: list[HalfCell] = []
    for name, path in (("positive", positive), ("negative", negative)):
        if path is not None:
            found.append(half_cell(*read_curve(path), path))
        elif model is not None:
            found.append(
                half_cell(
                    model.array(f"{name}/stoichiometry"),
                    model.array(f"{name}/voltage_v"),
                    "stoichiometry",
                    model.sha256,
                    f"model, {name}",
                )
            )
        else:
            return None
    plus, minus = found
    if not float(np.median(plus.voltage_v)) > float(np.median(minus.voltage_v)):
        raise InputError(
            "the positive electrode lies below the negative one",
            "exchange the files of positive= and negative=",
        )
    return plus, minus


def _number(text: str, mark: str) -> float | None:
    shown = text.strip().replace(",", ".") if mark != "," else text.strip()
    try:
        value = float(shown)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
