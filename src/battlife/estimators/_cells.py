"""How each cell of a pack departs from its neighbours, and by what cause.

The departure of a cell from the median cell is split into an offset, what goes with
the current (resistance), with the slow current (polarisation), with the charge
(capacity) and with time alone (a leak). Which of these a record can tell apart depends
on what its current does; what cannot be told apart is not told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.errors import EstimateError
from battlife.estimators._scales import current_threshold, resolution, sampled
from battlife.estimators._uncertainty import RECTANGULAR, SECONDS_PER_HOUR
from battlife.kernels.cells import cell_median, departure_sums, low_pass
from battlife.kernels.charge import cumulative_charge
from battlife.model import Column, Trace

BLOCKS: Final = 8
"""Parts of a record left out in turn (jackknife): seven degrees of freedom."""
SLOW_S: Final = 60.0
"""Time constant of the slow current: polarisation of large cells takes tens of
seconds to minutes."""
FEWEST: Final = 40
"""Samples of a record in which causes are told apart: five per block."""
COLLINEAR: Final = 100.0
"""Variance inflation 1 / (1 - R^2) above which two causes are not told apart; ten is
the usual warning (Belsley, Kuh, Welsch, Regression Diagnostics, 1980, 3.2), and the
jackknife already shows what inflation costs."""
DEGREE: Final = 5
"""Of the polynomial that stands for the open-circuit voltage over a record's charge:
three bends, as many as a graphite cell shows."""
STANDS_OUT: Final = 5.0
"""Uncertainties by which a coefficient of the median cell must differ from nothing."""
FEWEST_AT_ALL: Final = 3
"""Samples from which cells are compared at all."""
FEWEST_CELLS: Final = 3
"""With two cells neither is the odd one."""
DROPPED_FIRST: Final = ("slow", "time", "charge", "current")
"""Causes in the order in which they are given up."""


@dataclass(frozen=True, eq=False)
class Departures:
    """What a record says of each cell.

    Attributes
    ----------
    span : samples used
    value, u : per cause (n_cells,): "offset" V, "current" ohm, "charge" V/Ah, "time"
        V/s; standard uncertainties from the jackknife; NaN where a cell has no value
    pack : per cause value and uncertainty of the median cell: "current" ohm, "charge"
        V/Ah
    quantum_v : V, step of the cell voltages
    median_v : (m,) V, the median cell over `span`
    charge_ah : (m,) Ah since the start of `span`, NaN without current
    rest : (m,) bool, samples without load
    """

    span: slice
    value: Mapping[str, Column]
    u: Mapping[str, Column]
    pack: Mapping[str, tuple[float, float]]
    quantum_v: float
    median_v: Column
    charge_ah: Column
    rest: npt.NDArray[np.bool_]

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.value["offset"].size)


def departures(trace: Trace, *, with_time: bool) -> Departures:
    """Return how the cells of a trace depart from their median.

    The segment with the most samples is used.

    Parameters
    ----------
    trace : with cell voltages
    with_time : whether a drift in time is a cause; without it what time does is taken
        for what charge does

    Raises
    ------
    EstimateError
        No cell voltages, fewer than FEWEST_CELLS, too few samples, or a median cell
        whose voltage falls while it is charged.
    """
    cells = trace.columns.get("cell_voltage_v", np.empty((0, 0)))
    if not np.isfinite(cells).any():
        raise EstimateError(
            f"{trace.unit_id}: the trace has no cell voltages",
            "record the voltage of each cell",
            ("cell_voltage_missing",),
        )
    if cells.shape[0] < FEWEST_CELLS:
        raise EstimateError(
            f"{trace.unit_id}: {cells.shape[0]} cells: neighbours cannot vote",
            f"a comparison needs {FEWEST_CELLS} cells or more",
            ("too_few_cells",),
        )
    span = max(trace.segments(), key=lambda s: s.stop - s.start)
    values = np.ascontiguousarray(cells[:, span])
    median = cell_median(values)
    known = np.isfinite(median)
    if np.count_nonzero(known) < FEWEST_AT_ALL:
        raise EstimateError(
            f"{trace.unit_id}: fewer than {FEWEST_AT_ALL} samples of the cells",
            "record longer",
            ("record_too_short",),
        )
    if np.count_nonzero(known) < FEWEST:
        return _few(trace, span, values[:, known], median)
    time = np.ascontiguousarray(trace.time_s[span])
    current = _current(trace, span)
    charge = cumulative_charge(time, current, 0, time.size)
    pack, slope = _pack(time, current, charge, median)
    if "current" in pack and pack["current"][0] < 0.0:
        raise EstimateError(
            f"{trace.unit_id}: the voltage falls while the current charges",
            "is the sign of the current right? positive charges",
            ("wrong_sign",),
        )
    causes = _causes(time, current, charge, pack, slope, with_time)
    value, u = solved(values, median, causes)
    threshold = current_threshold(current)
    return Departures(
        span,
        value,
        u,
        pack,
        _quantum(values),
        median,
        charge,
        np.abs(current) <= threshold,
    )


def _few(trace: Trace, span: slice, values: Column, median: Column) -> Departures:
    """Return the offsets alone, of a record too short to tell causes apart."""
    having = np.isfinite(values).any(axis=1)
    offset = np.full(values.shape[0], np.nan)
    u = np.full(values.shape[0], np.nan)
    apart = values - median[np.isfinite(median)]
    offset[having] = np.nanmedian(apart[having], axis=1)
    u[having] = np.nanstd(apart[having], axis=1)
    current = _current(trace, span)
    return Departures(
        span,
        {"offset": offset},
        {"offset": u},
        {},
        _quantum(values),
        median,
        np.full(median.size, np.nan),
        np.abs(current) <= current_threshold(current),
    )


def _current(trace: Trace, span: slice) -> Column:
    current = trace.columns.get("current_a")
    if current is None:
        return np.full(span.stop - span.start, np.nan)
    return np.ascontiguousarray(current[span])


def _quantum(values: Column) -> float:
    """Return the step of the cell voltages in V, the finest of a few cells."""
    steps = [resolution(sampled(row)) for row in values[:8]]
    known = [s for s in steps if s > 0]
    return min(known) if known else resolution(values.ravel())


def _pack(
    time: Column, current: Column, charge: Column, median: Column
) -> tuple[dict[str, tuple[float, float]], Column]:
    """Return resistance and slope of the median cell, and the slope's course.

    The voltage is split into the current, the slow current and a polynomial of the
    charge. What does not stand out from its own uncertainty is left out.

    Returns
    -------
    pack : "current" ohm and "charge" V/Ah with their uncertainties, where known
    slope : (m,) slope of voltage over charge relative to its mean, 1 where unknown
    """
    flat = np.ones(time.size)
    if np.isfinite(current).sum() <= 0.9 * current.size:
        return {}, flat
    causes = {"current": current, "slow": low_pass(time, current, SLOW_S)}
    reach = float(np.nanmax(np.abs(charge))) if np.isfinite(charge).any() else 0.0
    moved = charge - np.nanmean(charge) if reach > 0 else charge
    degrees = 0
    if reach > 0 and np.isfinite(charge).sum() > 0.9 * charge.size:
        half = max(float(np.nanmax(np.abs(moved))), 1e-12)
        degrees = DEGREE
        causes |= {f"charge^{k}": (moved / half) ** k for k in range(1, DEGREE + 1)}
    if not _varies(current):
        return {}, flat
    names, whole, left_out = _jackknifed(
        median[None, :], np.zeros(time.size), _centred(causes)
    )
    u = jackknife_uncertainty(left_out)
    at = names.index("current")
    pack: dict[str, tuple[float, float]] = {}
    if not abs(whole[0, at]) > STANDS_OUT * u[0, at]:
        return pack, flat
    pack["current"] = (float(whole[0, at]), float(u[0, at]))
    if not degrees:
        return pack, flat
    powers = np.array([names.index(f"charge^{k}") for k in range(1, DEGREE + 1)])
    slopes = np.array(
        [k * (moved / half) ** (k - 1) / half for k in range(1, DEGREE + 1)]
    )
    mean_slopes = np.nanmean(slopes, axis=1)
    rise = float(np.sum(whole[0, powers] * mean_slopes))
    u_rise = float(
        jackknife_uncertainty((left_out[:, 0, powers] * mean_slopes).sum(axis=1))
    )
    if not rise > STANDS_OUT * u_rise:
        return pack, flat
    pack["charge"] = (rise, u_rise)
    local = (whole[0, powers, None] * slopes).sum(axis=0) / rise
    # A polynomial may bend beyond what a cell does: within a fifth and five means.
    course = np.where(np.isfinite(local), np.clip(local, 0.2, 5.0), 1.0)
    return pack, course


def _varies(current: Column) -> bool:
    """Say whether a current loads the pack for FEWEST samples, and not always alike.

    An ammeter that flickers by a step at rest is no load.
    """
    seen = np.abs(current[np.isfinite(current)])
    largest = float(seen.max(initial=0.0))
    loaded = int(np.count_nonzero(seen > 0.5 * largest))
    steps = np.unique(seen[seen > 0.0])
    flicker = steps.size < 2 and loaded < 0.05 * seen.size
    return largest > 0.0 and FEWEST <= loaded and not flicker


def _centred(causes: Mapping[str, Column]) -> dict[str, Column]:
    return {n: c - np.nanmean(c) for n, c in causes.items()}


def _causes(
    time: Column,
    current: Column,
    charge: Column,
    pack: Mapping[str, tuple[float, float]],
    slope: Column,
    with_time: bool,
) -> dict[str, Column]:
    """Return the columns that a departure is split into, those that can be told apart.

    A cell that is ahead in charge departs in proportion to the slope of the voltage:
    so do the columns of charge and time, and the offset ("level").
    """
    level = slope / np.mean(slope)
    causes = {"time": (time - np.mean(time)) * level}
    if "current" in pack:
        causes["current"] = current - np.nanmean(current)
        causes["slow"] = low_pass(time, current, SLOW_S)
        causes["slow"] = causes["slow"] - np.nanmean(causes["slow"])
    if "charge" in pack:
        causes["charge"] = (charge - np.nanmean(charge)) * level
    if not with_time:
        del causes["time"]
    return {"level": level, **_separable(causes)}


def _separable(causes: Mapping[str, Column]) -> dict[str, Column]:
    """Return the causes that a record tells apart, giving up the least wanted."""
    kept = dict(causes)
    while len(kept) > 1:
        table = np.array(list(kept.values()))
        table = table[:, np.isfinite(table).all(axis=0)]
        if table.shape[1] < FEWEST:
            return {}
        table = table - table.mean(axis=1, keepdims=True)
        scale = np.sqrt((table**2).mean(axis=1))
        if not (scale > 0).all():
            return {n: c for (n, c), s in zip(kept.items(), scale, strict=True) if s}
        table /= scale[:, None]
        inflation = np.diag(
            np.linalg.pinv(table @ table.T / table.shape[1], rcond=1e-12)
        )
        blurred = {
            n for n, v in zip(kept, inflation, strict=True) if not v <= COLLINEAR
        }
        singular = np.linalg.cond(table @ table.T / table.shape[1]) > 1e10
        if not blurred and not singular:
            break
        candidates = [n for n in DROPPED_FIRST if n in (blurred or set(kept))]
        del kept[candidates[0]]
    return kept


def solved(
    values: Column, median: Column, causes: Mapping[str, Column]
) -> tuple[dict[str, Column], dict[str, Column]]:
    """Return coefficients and jackknife uncertainties per cause, (n_cells,) each."""
    names, whole, left_out = _jackknifed(values, median, causes)
    u = jackknife_uncertainty(left_out)
    return (
        {n: whole[:, k] for k, n in enumerate(names)},
        {n: u[:, k] for k, n in enumerate(names)},
    )


def jackknife_uncertainty(left_out: Column) -> Column:
    """Return u from the results with each block left out, (BLOCKS, …)."""
    spread = left_out - left_out.mean(axis=0)
    u: Column = np.sqrt((BLOCKS - 1) / BLOCKS * (spread**2).sum(axis=0))
    return u


def _jackknifed(
    values: Column, median: Column, causes: Mapping[str, Column]
) -> tuple[list[str], Column, Column]:
    """Return names, coefficients (n_cells, p), and those without each block.

    "current" is the sum of the quick and the slow part: what a long pulse sees.
    """
    course = causes.get("level", np.ones(values.shape[1]))
    names = ["offset", *(n for n in causes if n != "level")]
    columns = [course, *(c for n, c in causes.items() if n != "level")]
    scale = np.array(
        [1.0, *(float(np.sqrt(np.nanmean(c**2))) or 1.0 for c in columns[1:])]
    )
    table = np.ascontiguousarray(np.array(columns) / scale[:, None])
    sums = departure_sums(np.ascontiguousarray(values), median, table, BLOCKS)
    p = len(names)
    parts = sums.reshape(values.shape[0], BLOCKS, -1)
    total = parts.sum(axis=1)
    whole = _coefficients(total, p) / scale
    left_out = np.stack(
        [_coefficients(total - parts[:, b], p) / scale for b in range(BLOCKS)]
    )
    if "slow" in causes and "current" in causes:
        i, j = names.index("current"), names.index("slow")
        whole[:, i] += whole[:, j]
        left_out[:, :, i] += left_out[:, :, j]
    return names, whole, left_out


def _coefficients(sums: Column, p: int) -> Column:
    """Return (m, p) solutions of the problems in (m, p (p + 1) / 2 + p + 2) sums."""
    pairs = p * (p + 1) // 2
    rows, columns = np.triu_indices(p)
    square = np.zeros((sums.shape[0], p, p))
    square[:, rows, columns] = sums[:, :pairs]
    square[:, columns, rows] = sums[:, :pairs]
    result = np.full((sums.shape[0], p), np.nan)
    for k in range(sums.shape[0]):
        if sums[k, -1] < p + 1 or not np.isfinite(sums[k]).all():
            continue
        try:
            result[k] = np.linalg.solve(square[k], sums[k, pairs : pairs + p])
        except np.linalg.LinAlgError:
            continue
    return result


def offset_uncertainty(found: Departures, sensor_v: float) -> Column:
    """Return u of each offset in V: scatter, the step of the recorder, the channel."""
    step = found.quantum_v / RECTANGULAR
    u: Column = np.sqrt(found.u["offset"] ** 2 + step**2 + sensor_v**2)
    return u


def leak_a(found: Departures) -> tuple[Column, Column] | None:
    """Return the current in A each cell loses beside its neighbours, and its u.

    Positive discharges. None where the slope of voltage over charge, or the drift in
    time, is not known.
    """
    slope, u_slope = found.pack.get("charge", (0.0, 0.0))
    if "time" not in found.value or slope <= 3.0 * u_slope:
        return None
    drift = found.value["time"] * SECONDS_PER_HOUR
    leak = -drift / slope
    u = np.hypot(found.u["time"] * SECONDS_PER_HOUR / slope, leak * u_slope / slope)
    return leak, u
