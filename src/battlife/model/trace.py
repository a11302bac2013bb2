"""Time-aligned columns from one unit under test."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.errors import InputError
from battlife.model._arrays import Column, IndexColumn, frozen_floats, frozen_indices
from battlife.model.provenance import Provenance, Step
from battlife.quantities import QUANTITIES

STEP_KINDS: Final[tuple[str, ...]] = (
    "rest",
    "charge",
    "discharge",
    "impedance",
    "other",
)
"""What a step does; a StepTable stores the index into this tuple."""

CHECK_WINDOW: Final = 1 << 18
"""Samples looked at at a time."""

STEP_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "start_s": "s",
        "duration_s": "s",
        "segment": "1",
        "cycle_index": "1",
        "step_index": "1",
        "start_voltage_v": "V",
        "end_voltage_v": "V",
        "max_voltage_v": "V",
        "start_current_a": "A",
        "end_current_a": "A",
        "charge_capacity_ah": "Ah",
        "discharge_capacity_ah": "Ah",
        "charge_energy_wh": "Wh",
        "discharge_energy_wh": "Wh",
        "start_temperature_degc": "degC",
        "end_temperature_degc": "degC",
        "max_temperature_degc": "degC",
        "ambient_temperature_degc": "degC",
    }
)
"""Columns a StepTable may hold and their units. `segment` is the index of the
trace segment that holds the samples of the step, NaN if there are none; capacities
and energies are unsigned; currents are positive while charging."""


@dataclass(frozen=True, eq=False)
class StepTable:
    """One row per step, where the source has steps of its own.

    Attributes
    ----------
    kind : (m,) index into :data:`STEP_KINDS`
    columns : (m,) each, names from :data:`STEP_COLUMNS`; NaN where missing
    """

    kind: IndexColumn
    columns: Mapping[str, Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = frozen_indices(self.kind)
        if kind.ndim != 1:
            raise InputError(f"step kinds must be one-dimensional, not {kind.ndim}-D")
        if kind.size and (kind.min() < 0 or kind.max() >= len(STEP_KINDS)):
            raise InputError("unknown step kind", f"known: {', '.join(STEP_KINDS)}")
        columns: dict[str, Column] = {}
        for name, values in self.columns.items():
            if name not in STEP_COLUMNS:
                raise InputError(
                    f"unknown step column {name!r}",
                    f"known: {', '.join(STEP_COLUMNS)}",
                )
            column = frozen_floats(values)
            if column.shape != kind.shape:
                raise InputError(
                    f"step column {name!r} has shape {column.shape}, "
                    f"the table has {kind.size} rows"
                )
            columns[name] = column
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "columns", MappingProxyType(columns))

    def __len__(self) -> int:
        return int(self.kind.size)

    def column(self, name: str) -> Column:
        """Return the (m,) column `name`, all NaN if the source does not give it."""
        if name not in STEP_COLUMNS:
            raise KeyError(name)
        if name in self.columns:
            return self.columns[name]
        return frozen_floats(np.full(self.kind.size, np.nan))


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One impedance spectrum.

    Attributes
    ----------
    frequency_hz : (m,) Hz, in the order measured
    z_re_ohm : (m,) ohm, real part
    z_im_ohm : (m,) ohm, imaginary part; negative where the cell is capacitive
    time_s : s since the start of the trace, NaN if unknown
    voltage_v : V at which it was taken, NaN if unknown
    temperature_degc : degC, NaN if unknown
    """

    frequency_hz: Column
    z_re_ohm: Column
    z_im_ohm: Column
    time_s: float = float("nan")
    voltage_v: float = float("nan")
    temperature_degc: float = float("nan")

    def __post_init__(self) -> None:
        arrays = {
            n: frozen_floats(getattr(self, n))
            for n in ("frequency_hz", "z_re_ohm", "z_im_ohm")
        }
        shapes = {a.shape for a in arrays.values()}
        if len(shapes) != 1 or any(a.ndim != 1 for a in arrays.values()):
            raise InputError(f"spectrum arrays must be 1-D of one length, not {shapes}")
        for name, array in arrays.items():
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return int(self.frequency_hz.size)


@dataclass(frozen=True, eq=False)
class Trace:
    """Time-aligned columns from one unit under test.

    Immutable: every array is read-only, C-contiguous float64. A change makes a new
    Trace with one more step in its provenance (:meth:`changed`).

    Attributes
    ----------
    unit_id : identity of the unit under test
    start_utc : moment of time_s = 0, timezone-aware, None if the source has none
    time_s : (n,) s since the start, never decreasing within a segment
    segment_start : (k,) index of the first sample of each segment; [0] commonly
    columns : pack quantity (n,), cell quantity (n_cells, n); names from
        :data:`battlife.quantities.QUANTITIES`; NaN is missing
    steps : the source's own steps, None if it has none
    spectra : impedance spectra
    provenance : source, hash, calibration, steps, notices

    Raises
    ------
    InputError
        Unknown name, length mismatch, or time that decreases within a segment.
    """

    unit_id: str
    start_utc: datetime | None
    time_s: Column
    segment_start: IndexColumn
    columns: Mapping[str, Column]
    steps: StepTable | None = None
    spectra: tuple[Spectrum, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if not self.unit_id.strip():
            raise InputError("a unit needs an id", "give --unit ID or a units.toml")
        if self.start_utc is not None and self.start_utc.tzinfo is None:
            raise ValueError("start_utc must be timezone-aware")
        time_s = frozen_floats(self.time_s)
        if time_s.ndim != 1:
            raise InputError(f"time must be one-dimensional, not {time_s.ndim}-D")
        starts = _checked_segments(self.segment_start, time_s.size)
        _check_clock(time_s, starts)
        columns = {
            name: _checked_column(name, values, time_s.size)
            for name, values in self.columns.items()
        }
        object.__setattr__(self, "time_s", time_s)
        object.__setattr__(self, "segment_start", starts)
        object.__setattr__(self, "columns", MappingProxyType(columns))
        object.__setattr__(self, "spectra", tuple(self.spectra))

    @property
    def n_samples(self) -> int:
        """Number of samples n."""
        return int(self.time_s.size)

    @property
    def n_segments(self) -> int:
        """Number of segments k."""
        return int(self.segment_start.size)

    @property
    def duration_s(self) -> float:
        """Sum of the segments' spans in s; gaps between segments do not count."""
        return float(
            sum(self.time_s[s.stop - 1] - self.time_s[s.start] for s in self.segments())
        )

    def segments(self) -> tuple[slice, ...]:
        """Return one slice of samples per segment."""
        edges = [*self.segment_start.tolist(), self.n_samples]
        return tuple(
            slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True) if b > a
        )

    def column(self, name: str) -> Column:
        """Return column `name`.

        Raises
        ------
        InputError
            The trace has no such column.
        """
        if name == "time_s":
            return self.time_s
        try:
            return self.columns[name]
        except KeyError:
            raise InputError(
                f"{self.unit_id}: the trace has no {name}",
                f"it has: {', '.join(sorted(self.columns)) or 'no columns'}",
            ) from None

    def changed(self, step: Step, **fields: object) -> "Trace":
        """Return a copy with `fields` replaced and `step` added to its provenance."""
        base = fields.pop("provenance", self.provenance)
        assert isinstance(base, Provenance)
        return replace(self, provenance=base.with_step(step), **fields)  # type: ignore[arg-type]


def _check_clock(time_s: Column, starts: IndexColumn) -> None:
    """Raise unless time is finite and never decreases within a segment.

    By window, because a column may be mapped from a file larger than memory.
    """
    for begin in range(0, time_s.size, CHECK_WINDOW):
        # One sample before the window, so that no step between two is missed.
        first = max(begin - 1, 0)
        window = time_s[first : begin + CHECK_WINDOW]
        bad = np.flatnonzero(~np.isfinite(window))
        if bad.size:
            raise InputError(f"time is not a number at sample {first + int(bad[0])}")
        decreasing = np.flatnonzero(np.diff(window) < 0) + 1 + first
        inside = decreasing[~np.isin(decreasing, starts)]
        if inside.size:
            row = int(inside[0])
            raise InputError(
                f"time goes back within a segment at sample {row}: "
                f"{time_s[row - 1]:g} s, then {time_s[row]:g} s",
                "a reader must start a segment where time goes back",
            )


def _checked_segments(starts: npt.ArrayLike, n: int) -> IndexColumn:
    array = frozen_indices(starts)
    if array.ndim != 1 or array.size == 0 or array[0] != 0:
        raise InputError("segment_start must be one-dimensional and begin with 0")
    if (np.diff(array) <= 0).any() or (array[-1] >= n and array[-1] != 0):
        raise InputError(f"segment_start must increase and stay below {n} samples")
    return array


def _checked_column(name: str, values: npt.ArrayLike, n: int) -> Column:
    quantity = QUANTITIES.get(name)
    if quantity is None or name == "time_s":
        raise InputError(
            f"unknown column {name!r}", "the names are in battlife.quantities"
        )
    column = frozen_floats(values)
    if quantity.per_cell:
        if column.ndim != 2 or column.shape[1] != n:
            raise InputError(
                f"column {name!r} has shape {column.shape}, expected (n_cells, {n})"
            )
    elif column.shape != (n,):
        raise InputError(f"column {name!r} has shape {column.shape}, expected ({n},)")
    return column
