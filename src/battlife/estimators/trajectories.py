"""Learn from whole trajectories of a lot how many cycles remain: a Model for `knee`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.estimators._remaining import (
    FEATURES,
    LAYOUT,
    LEAST_LOSS,
    METHOD,
    design,
    features,
)
from battlife.estimators._trajectory import (
    FEWEST,
    Trajectory,
    past_of,
    without_outliers,
)
from battlife.estimators.learned.conformal import group_quantile, promised
from battlife.estimators.learned.domain import fit_domain
from battlife.model import Column, IndexColumn, Source
from battlife.model.learned import Model

FEWEST_CELLS: Final = 5
"""Trajectories below which leaving one out leaves too little to learn from."""
THRESHOLDS: Final = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
SHARES: Final = (0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.92, 0.97)
"""Shares of the life to a threshold at which a trajectory is looked at."""
PENALTIES: Final = (1e-3, 1e-2, 1e-1, 1.0)
SPREAD_PENALTY: Final = 0.1
"""On standardised features; the spread is a scale, conformal scores mend its level."""
LEAST_ERROR: Final = 0.02
"""Error of a logarithm below which a residual is luck: 2 % of the cycles to go."""
CONFIRMED: Final = 3
"""Capacities in a row below a threshold that make it crossed; fewer do at the end of a
trajectory, where a test stops at its threshold."""
DOMAIN_FOLDS: Final = 10
"""Groups of cells left out to see how far from a lot its own cells lie."""


@dataclass(frozen=True, eq=False)
class _Rows:
    values: Column
    truth: Column
    unit: IndexColumn


def crossing_cycle(trajectory: Trajectory, limit_ah: float) -> float:
    """Return the cycle at which a trajectory stays below a limit in Ah, NaN if none."""
    below = trajectory.capacity_ah < limit_ah
    for k in range(below.size):
        if below[k : k + CONFIRMED].all():
            return float(trajectory.cycle[k])
    return float("nan")


def calibrate_trajectories(
    trajectories: Mapping[str, Trajectory],
    nominal_ah: float,
    *,
    chemistry: str = "",
    coverage: float = 0.9,
    sources: Sequence[Source] = (),
    software: str = "",
) -> Model:
    """Return a Model of how the cells of a lot lose capacity.

    The penalty is chosen, and the interval and the domain are set, by leaving one
    cell out; every cell weighs the same.

    Parameters
    ----------
    trajectories : whole trajectories by unit; cycles of one unit increase
    nominal_ah : Ah, of every unit
    chemistry : of the lot, "" if unknown
    coverage : of the interval; fewer cells than promise it give a lower one, stated
    sources : files they come from
    software : version that calibrates

    Raises
    ------
    InputError
        Fewer than FEWEST_CELLS units reach a threshold, or a bad coverage.
    """
    if not 0.5 <= coverage < 1.0:
        raise InputError(f"coverage={coverage:g} must be at least 0.5 and below 1")
    if not nominal_ah > 0.0:
        raise InputError(f"nominal_ah={nominal_ah:g} must be positive")
    rows, names, thresholds = _rows(trajectories, nominal_ah)
    n_units = len(names)
    if n_units < FEWEST_CELLS:
        raise InputError(
            f"{n_units} of {len(trajectories)} trajectories can be learned from: each "
            f"must lose capacity down to a threshold over {FEWEST} discharges or more",
            f"give at least {FEWEST_CELLS} units cycled to below 90 % of nominal",
        )
    share = promised(n_units, coverage)
    centre = rows.values.mean(axis=0)
    scale = np.maximum(rows.values.std(axis=0), 1e-9)
    z = (rows.values - centre) / scale
    wide = design(z)
    weight = 1.0 / np.bincount(rows.unit)[rows.unit]
    left_out = [_left_out(wide, rows, weight, p) for p in PENALTIES]
    errors = [float(np.sum(weight * np.abs(e))) for e in left_out]
    best = int(np.argmin(errors))
    slopes, level = _ridge(wide, rows.truth, weight, PENALTIES[best])
    size = np.log(np.maximum(np.abs(left_out[best]), LEAST_ERROR))
    # The spread too must be of a cell left out, or its own errors would narrow it.
    around = size - _left_out(z, _Rows(z, size, rows.unit), weight, SPREAD_PENALTY)
    scores = np.abs(left_out[best]) / np.exp(around)
    spread_slopes, spread_level = _ridge(z, size, weight, SPREAD_PENALTY)
    arrays = {
        "centre": centre,
        "scale": scale,
        "lowest": z.min(axis=0),
        "highest": z.max(axis=0),
        "slopes": slopes,
        "level": np.array([level]),
        "spread_slopes": spread_slopes,
        "spread_level": np.array([spread_level]),
        "reach": np.array([group_quantile(scores, rows.unit, share)]),
        "coverage": np.array([share]),
        "nominal_ah": np.array([nominal_ah]),
        "thresholds": thresholds,
    }
    domain = fit_domain(rows.values, rows.unit, rows.unit % DOMAIN_FOLDS)
    arrays |= {f"domain/{name}": array for name, array in domain.items()}
    return Model(
        METHOD,
        LAYOUT,
        "remaining_cycles",
        "1",
        attributes={
            "chemistry": chemistry,
            "n_units": n_units,
            "penalty": PENALTIES[best],
            "mean_error_of_logarithm": errors[best] / n_units,
        },
        arrays=arrays,
        texts={"units": names, "features": FEATURES},
        sources=tuple(sources),
        software=software,
    )


def _rows(
    trajectories: Mapping[str, Trajectory], nominal_ah: float
) -> tuple[_Rows, tuple[str, ...], Column]:
    values: list[Column] = []
    truth: list[float] = []
    unit: list[int] = []
    names: list[str] = []
    reached: set[float] = set()
    for name, trajectory in sorted(trajectories.items()):
        clean = without_outliers(trajectory)
        before = len(truth)
        for threshold in THRESHOLDS:
            end = crossing_cycle(trajectory, threshold * nominal_ah)
            if not np.isfinite(end):
                continue
            for cycle in {
                float(clean.until(share * end).cycle[-1:].sum()) for share in SHARES
            }:
                past = past_of(clean.until(cycle), nominal_ah)
                if past is None or not _usable(past.first, past.now, threshold):
                    continue
                if past.whole <= 0.0 or cycle >= end:
                    continue
                values.append(features(past, threshold))
                truth.append(float(np.log(end - cycle)))
                unit.append(len(names))
                reached.add(threshold)
        if len(truth) > before:
            names.append(name)
    table = np.array(values) if values else np.empty((0, len(FEATURES)))
    order = np.lexsort((*table.T, np.array(unit, dtype=np.int64)))
    edges = np.array([min(reached), max(reached)]) if reached else np.empty(2)
    rows = _Rows(
        table[order], np.array(truth)[order], np.array(unit, dtype=np.int64)[order]
    )
    return rows, tuple(names), edges


def _usable(first: float, now: float, threshold: float) -> bool:
    return now > threshold and first - now >= LEAST_LOSS


def _ridge(
    x: Column, y: Column, weight: Column, penalty: float
) -> tuple[Column, float]:
    """Return (slopes, level) that minimise the weighted squares and the penalty."""
    total = weight.sum()
    mean_x = (weight[:, None] * x).sum(axis=0) / total
    mean_y = float((weight * y).sum() / total)
    d = x - mean_x
    square = (d * weight[:, None]).T @ d / total
    product = (d * weight[:, None]).T @ (y - mean_y) / total
    slopes = np.linalg.solve(square + penalty * np.eye(x.shape[1]), product)
    return slopes, mean_y - float(mean_x @ slopes)


def _left_out(x: Column, rows: _Rows, weight: Column, penalty: float) -> Column:
    """Return (n,) truth minus prediction of the model without the row's own unit.

    Sums of squares are kept by unit, so that leaving one out is a subtraction.
    """
    y = rows.truth
    ones = np.ones((x.shape[0], 1))
    full = np.hstack([x, ones])
    units = int(rows.unit.max()) + 1
    k = full.shape[1]
    square = np.empty((units, k, k))
    product = np.empty((units, k))
    for unit in range(units):
        own = rows.unit == unit
        weighted = full[own] * weight[own, None]
        square[unit] = weighted.T @ full[own]
        product[unit] = weighted.T @ y[own]
    all_square, all_product = square.sum(axis=0), product.sum(axis=0)
    result = np.empty(x.shape[0])
    # The level is not penalised; x is nearly centred, so this is _ridge.
    shrink = np.diag([*([penalty * (units - 1)] * (k - 1)), 0.0])
    for unit in range(units):
        own = rows.unit == unit
        beta = np.linalg.solve(
            all_square - square[unit] + shrink, all_product - product[unit]
        )
        result[own] = y[own] - full[own] @ beta
    return result
