"""Curves and resistances of a cell from records of current and voltage.

With the charge passed on the axis the open-circuit curve and the instantaneous
resistance are sums of hat functions, and each RC element one column once its time
constant is given: linear least squares, with the time constants searched on a grid by
the error on blocks that were left out.

References
----------
G. L. Plett, Battery Management Systems, vol. 1, Artech House 2015, 2.10 and 2.11
(parameters from an OCV and a dynamic test). P. H. C. Eilers and B. D. Marx,
Statistical Science 11 (1996) 89, doi 10.1214/ss/1038425655 (penalised splines).
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from battlife.errors import EstimateError
from battlife.model import Column, IndexColumn, Trace

ROWS: Final = 12_000
"""Samples taken into one fit: a hundred per unknown, evenly over the record."""
FAST_S: Final = (3.0, 6.0, 12.0, 25.0, 50.0)
SLOW_S: Final = (100.0, 200.0, 400.0, 800.0)
"""Time constants tried, a factor of two apart: charge transfer takes seconds,
diffusion minutes (Plett, vol. 1, 2.4)."""
BLOCK_S: Final = 120.0
FOLDS: Final = 3
"""Blocks left out in turn, every third: longer than the fast elements remember, short
of what the curve changes over (3 % at 1C), and parts of the cycle a profile repeats
(360 s for DST), so that one load is judged by what was fitted to others."""
SMOOTHNESS: Final = 10.0
"""Penalty on the second difference of the curve, in units of the mean information of a
knot; at 10 the step of a plateau (tanh, 18 mV high, 3 % wide) is met within 0.06 mV
rms over 8,600 samples without noise."""
INTERIOR: Final = (0.08, 0.97)
"""Share of the charge within which a residual says how well a model describes."""
OHMIC_KNOTS: Final = np.array([0.0, 0.05, 0.1, 0.2, 0.5, 1.0])


@dataclass(frozen=True, eq=False)
class Joined:
    """A trace as one record: its segments one after the other, the cell idle between.

    Attributes
    ----------
    time_s, current_a, voltage_v, charge_ah : (n,), no value missing in charge_ah
    """

    time_s: Column
    current_a: Column
    voltage_v: Column
    charge_ah: Column


@dataclass(frozen=True, eq=False)
class Polarisation:
    """What a dynamic record says of a cell.

    Attributes
    ----------
    knots : (m,) share of the charge range, 0 at the lowest
    ocv_v : (m,) V, between the branches if hysteresis was fitted or taken off before
    r0_ohm : (len(OHMIC_KNOTS),) ohm
    rc_ohm, rc_s : (2,) ohm, s
    hysteresis_v : V, 0 where none was fitted
    rmse_v : of the fit, within INTERIOR
    left_out_v : rms on the blocks that were left out, within INTERIOR
    lasting_v : rms of the means of those blocks, each left out in turn
    n : samples
    """

    knots: Column
    ocv_v: Column
    r0_ohm: Column
    rc_ohm: Column
    rc_s: Column
    hysteresis_v: float
    rmse_v: float
    left_out_v: float
    lasting_v: float
    n: int


def joined(trace: Trace, cells_in_series: int, efficiency: float = 1.0) -> Joined:
    """Return a trace as one record of one cell.

    Parameters
    ----------
    efficiency : share of the charge put in that is there

    Raises
    ------
    EstimateError
        It has no current or no voltage, or a current is missing: the charge is then
        not known.
    """
    for name in ("current_a", "voltage_v"):
        if not np.isfinite(trace.columns.get(name, np.empty(0))).any():
            raise EstimateError(
                f"{trace.unit_id}: the trace has no {name}",
                "a cell model needs current and voltage over time",
                (f"{name.partition('_')[0]}_missing",),
            )
    current = trace.column("current_a")
    if not np.isfinite(current).all():
        raise EstimateError(
            f"{trace.unit_id}: {int((~np.isfinite(current)).sum())} currents are "
            "missing",
            "calibrate with a record without gaps",
            ("sample_missing",),
        )
    step = np.diff(trace.time_s, prepend=trace.time_s[:1])
    mean = 0.5 * (current + np.concatenate([current[:1], current[:-1]]))
    step[trace.segment_start] = 0.0
    stored = np.where(mean > 0, efficiency * mean, mean)
    return Joined(
        np.ascontiguousarray(np.cumsum(step)),
        current,
        np.ascontiguousarray(trace.column("voltage_v") / cells_in_series),
        np.cumsum(step * stored) / 3600.0,
    )


def fit(
    record: Joined,
    share: Column,
    first: int,
    stop: int,
    beside: Column | None = None,
    slow: tuple[Column, Column, Column] | None = None,
) -> Polarisation:
    """Fit a curve and an equivalent circuit to part of a record.

    Parameters
    ----------
    record : the whole, so that what came before is in the RC elements
    share : (n,) the axis of the curve, 0..1
    first, stop : half-open range of samples that are fitted
    beside : (n,) hysteresis as a share of its level, whose level is then fitted
    slow : (p,) each of share, V and A of a slow charge, which runs along the upper
        branch, or where hysteresis was taken off between them, and whose current is
        in every RC element

    Raises
    ------
    EstimateError
        Fewer than 200 samples, or a current that never changes.
    """
    used = np.arange(first, stop)[np.isfinite(record.voltage_v[first:stop])]
    if used.size > ROWS:
        used = used[np.linspace(0, used.size - 1, ROWS).astype(int)]
    if used.size < 200 or np.ptp(record.current_a[used]) < 1e-3:
        raise EstimateError(
            "too little of the record changes its current to tell resistance from "
            "the open-circuit voltage",
            "calibrate with a drive cycle or pulses",
            ("dynamic_missing",),
        )
    knots = np.concatenate([np.arange(0.0, 0.1, 0.01), np.arange(0.1, 1.001, 0.02)])
    x, y = share[used], record.voltage_v[used]
    current = record.current_a[used]
    fixed = np.hstack([_hats(x, knots), _hats(x, OHMIC_KNOTS) * current[:, None]])
    if beside is not None:
        fixed = np.hstack([fixed, beside[used, None]])
    inside = (x > INTERIOR[0]) & (x < INTERIOR[1])
    block = (record.time_s[used] // BLOCK_S).astype(int)
    left = block % FOLDS == FOLDS - 1
    best: tuple[float, float, float] | None = None
    for fast, long in product(FAST_S, SLOW_S):
        columns = np.hstack([fixed, _relaxed(record, used, (fast, long))])
        found = _solve(*_with(columns[~left], y[~left], knots, slow), knots)
        judged = inside & left if (inside & left).any() else inside
        error = float(np.sqrt(np.mean((y - columns @ found)[judged] ** 2)))
        if best is None or error < best[0]:
            best = (error, fast, long)
    if best is None or not np.isfinite(best[0]):
        raise EstimateError(
            "the record cannot be fitted", "use another one", ("dynamic_missing",)
        )
    _, fast, long = best
    columns = np.hstack([fixed, _relaxed(record, used, (fast, long))])
    apart = np.empty(y.size)
    for fold in range(FOLDS):
        out = block % FOLDS == fold
        part = _solve(*_with(columns[~out], y[~out], knots, slow), knots)
        apart[out] = (y - columns @ part)[out]
    found = _solve(*_with(columns, y, knots, slow), knots)
    residual = (y - columns @ found)[inside]
    m = knots.size
    r0 = found[m : m + OHMIC_KNOTS.size]
    if not (np.median(r0) > 0):
        raise EstimateError(
            "the voltage falls where the current rises: its sign is wrong",
            "state the sign of the current in a mapping",
            ("wrong_sign",),
        )
    return Polarisation(
        knots,
        found[:m],
        np.maximum(r0, 0.2 * float(np.median(r0))),
        np.maximum(found[-2:], 0.0),
        np.array([fast, long]),
        max(float(found[-3]), 0.0) if beside is not None else 0.0,
        float(np.sqrt(np.mean(residual**2))) if residual.size else float("nan"),
        float(np.sqrt(np.mean(apart[inside] ** 2))) if inside.any() else float("nan"),
        _block_rms(apart[inside], block[inside]),
        int(used.size),
    )


def _block_rms(residual: Column, block: IndexColumn) -> float:
    """Return the rms of the means of blocks, NaN where there are none."""
    if not residual.size:
        return float("nan")
    count = np.bincount(block)
    mean = np.bincount(block, residual)[count > 0] / count[count > 0]
    return float(np.sqrt(np.mean(mean**2)))


def _with(
    columns: Column,
    y: Column,
    knots: Column,
    slow: tuple[Column, Column, Column] | None,
) -> tuple[Column, Column]:
    """Return the equations with those of a slow charge, as heavy as all the others."""
    if slow is None:
        return columns, y
    share, volt, current = slow
    rows = [_hats(share, knots), _hats(share, OHMIC_KNOTS) * current[:, None]]
    if columns.shape[1] > knots.size + OHMIC_KNOTS.size + 2:
        rows.append(np.ones((share.size, 1)))
    rows.append(np.repeat(current[:, None], 2, axis=1))
    inside = (share > INTERIOR[0]) & (share < INTERIOR[1])
    weight = np.sqrt(y.size / max(share.size, 1)) * inside
    return (
        np.vstack([columns, np.hstack(rows) * weight[:, None]]),
        np.concatenate([y, volt * weight]),
    )


def _relaxed(record: Joined, used: IndexColumn, taus: tuple[float, ...]) -> Column:
    from battlife.kernels.cell_filter import relaxed_current

    n = record.time_s.size
    columns: Column = np.column_stack(
        [
            relaxed_current(record.time_s, record.current_a, 0, n, tau)[used]
            for tau in taus
        ]
    )
    return columns


def _hats(x: Column, knots: Column) -> Column:
    """Return (n, m) hat functions, constant beyond the ends."""
    eye = np.eye(knots.size)
    columns: Column = np.column_stack([np.interp(x, knots, row) for row in eye])
    return columns


def _solve(columns: Column, y: Column, knots: Column) -> Column:
    """Return the coefficients, the first ones smooth over the knots."""
    m = knots.size
    normal: Column = columns.T @ columns
    weight = SMOOTHNESS * np.trace(normal[:m, :m]) / m / 100.0
    second = np.diff(np.eye(m), 2, axis=0)
    normal[:m, :m] += weight * second.T @ second
    normal = normal + 1e-9 * np.trace(normal) / normal.shape[0] * np.eye(
        normal.shape[0]
    )
    found: Column = np.asarray(np.linalg.solve(normal, columns.T @ y), np.float64)
    return found
