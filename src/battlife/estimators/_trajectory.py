"""A capacity over cycles, and what its past says: levels, slopes, a knee.

Everything here looks at one history and nothing behind its end. Slopes are fade per
cycle as fractions of the nominal capacity, positive where capacity is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.estimators.soh import alike, doubtful
from battlife.kernels.hinge import break_scan
from battlife.model import Column, Estimate

FEWEST: Final = 10
"""Capacities below which a slope and its scatter are not told apart: five in each of
two windows."""
FEWEST_FOR_KNEE: Final = 20
"""Capacities from its highest on below which a knee is not asked for: two lines and a
break take four parameters, and neighbours resemble each other."""
LATE_SHARE: Final = 0.25
"""Share of a history whose slope is that of now; at least FEW_LATE capacities."""
FEW_LATE: Final = 5
STEEPER: Final = 1.5
"""A later slope of at least this many times the earlier is a knee. Attia et al., J.
Electrochem. Soc. 169 (2022) 060517 count knees with ratios from about two; below
one and a half a curve and its scatter give breaks everywhere."""
SURE: Final = 0.99
"""Bound of a knee's probability: two straight lines are a model of the curve, so no
history makes either answer certain."""
LEAST_SCATTER: Final = 0.005
"""Of the capacity: repeated discharges of one cell agree no better than half a percent
(NASA 24 degC, CALCE), whatever a few smooth ones say."""
SLOWEST: Final = 10.0
"""A slope of a window counts no less than the mean slope of the history over this:
capacity that recovers for a while is no cell without end."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Capacity of one unit over its cycles.

    Attributes
    ----------
    cycle : (m,) increasing
    capacity_ah : (m,) Ah
    """

    cycle: Column
    capacity_ah: Column

    def until(self, cycle: float) -> "Trajectory":
        """Return the part with cycles not above `cycle`."""
        stop = int(np.searchsorted(self.cycle, cycle, side="right"))
        return Trajectory(self.cycle[:stop], self.capacity_ah[:stop])


def trajectory_of(capacities: Sequence[Estimate]) -> tuple[Trajectory, int]:
    """Return the discharges comparable with the last one, and how many were not.

    Comparable are those accepted without doubt, of the same kind and height of load,
    to the same cut-off, and at the same temperature as the last accepted one.
    """
    usable = [
        e
        for e in capacities
        if e.status == "ok" and e.cycle is not None and not doubtful(e)
    ]
    like = [e for e in usable if alike(e, usable[-1])]
    cycle = np.array([float(e.cycle or 0) for e in like])
    values = [e.measurements["discharge_capacity_ah"].value for e in like]
    capacity = np.array([float(np.mean(v)) for v in values])
    return Trajectory(cycle, capacity), len(capacities) - len(like)


def without_outliers(trajectory: Trajectory) -> Trajectory:
    """Return it without capacities far below or above both neighbourhoods.

    A capacity is left out where it differs from the median of the last five before it
    by five times the scatter of such differences so far (Hampel's rule, with the past
    alone), unless the two before it were left out too: three in a row are a
    change of the cell.
    """
    value = trajectory.capacity_ah
    if not value.size:
        return trajectory
    least = LEAST_SCATTER * float(np.median(value[:5]))
    kept: list[int] = []
    dropped = since = 0
    moves: list[float] = []
    for k in range(value.size):
        past = value[kept[since:][-5:]]
        if past.size < 5:
            kept.append(k)
            continue
        move = float(value[k] - np.median(past))
        usual = float(np.median(moves)) if len(moves) > 4 else move
        scatter = 1.4826 * float(np.median(np.abs(np.array([*moves, move]) - usual)))
        if abs(move - usual) <= 5.0 * max(scatter, least):
            moves.append(move)
        elif dropped < 2:
            dropped += 1
            continue
        else:
            since = len(kept)
        dropped = 0
        kept.append(k)
    return Trajectory(trajectory.cycle[kept], value[kept])


@dataclass(frozen=True)
class Past:
    """What a history says at its end.

    Attributes
    ----------
    n_points : capacities it rests on
    span_cycles : cycles from the first to the last
    first, now : level at its beginning and its end, fractions of nominal
    late, half, whole : fade per cycle in the last quarter, the last half, all of it
    u_late : standard uncertainty of `late` from the scatter
    scatter : standard deviation of one capacity around the late line
    """

    n_points: int
    span_cycles: float
    first: float
    now: float
    late: float
    half: float
    whole: float
    u_late: float
    scatter: float


def past_of(trajectory: Trajectory, nominal_ah: float) -> Past | None:
    """Return what a history says, None where it is too short for FEWEST capacities."""
    x = trajectory.cycle
    y = trajectory.capacity_ah / nominal_ah
    m = x.size
    if m < FEWEST:
        return None
    span = float(x[-1] - x[0])
    n_late = max(FEW_LATE, round(LATE_SHARE * m))
    _, now, late, u_late, scatter = _line(x[-n_late:], y[-n_late:])
    _, _, half, _, _ = _line(x[-max(FEW_LATE, m // 2) :], y[-max(FEW_LATE, m // 2) :])
    _, _, whole, _, _ = _line(x, y)
    first = float(np.median(y[:3]))
    return Past(m, span, first, now, late, half, whole, u_late, scatter)


def _line(x: Column, y: Column) -> tuple[float, float, float, float, float]:
    """Return level at the first and the last x, fade, its uncertainty, scatter."""
    mean_x, mean_y = float(x.mean()), float(y.mean())
    dx = x - mean_x
    sxx = float(np.sum(dx * dx))
    slope = float(np.sum(dx * (y - mean_y))) / sxx
    left = y - mean_y - slope * dx
    scatter = float(np.sqrt(np.sum(left * left) / max(x.size - 2, 1)))
    start = mean_y + slope * float(x[0] - mean_x)
    end = mean_y + slope * float(x[-1] - mean_x)
    return start, end, -slope, scatter / float(np.sqrt(sxx)), scatter


@dataclass(frozen=True)
class Knee:
    """Whether a history has a knee, and where.

    Attributes
    ----------
    probability : that the later slope is STEEPER times the earlier, at most SURE; NaN
        where the history is too short to ask
    cycle : its most probable place, NaN where no break can be fitted
    low, high : central 90 % of its place given that there is one
    before, after : fade per cycle on either side at that place
    """

    probability: float
    cycle: float
    low: float
    high: float
    before: float
    after: float


def knee_of(trajectory: Trajectory, nominal_ah: float) -> Knee:
    """Return the posterior of a knee in a history, by two lines against one.

    Each place of the break weighs by its profile likelihood, with the sample size
    reduced for neighbouring residuals that resemble each other (lag-1), and the two
    models by the Bayesian information criterion (Schwarz, Ann. Stat. 6 (1978) 461):
    the broken line has one slope more, and its place is averaged over. A break into a
    slope that is not STEEPER counts against a knee. What lies before the highest
    capacity is left out: a cell that first gains has no knee where it begins to lose.

    Parameters
    ----------
    trajectory : at least FEWEST capacities
    nominal_ah : Ah
    """
    top = _summit(trajectory.capacity_ah)
    x, y = trajectory.cycle[top:], trajectory.capacity_ah[top:] / nominal_ah
    sse, before, after = break_scan(x, y)
    seen = np.flatnonzero(np.isfinite(sse))
    if not seen.size or x.size < FEWEST_FOR_KNEE:
        return Knee(*(float("nan"),) * 6)
    dx = x - x.mean()
    slope = float(np.sum(dx * (y - y.mean())) / np.sum(dx * dx))
    line = float(np.sum((y - y.mean() - slope * dx) ** 2))
    best = seen[int(np.argmin(sse[seen]))]
    floor = max(float(sse[best]), 1e-12 * x.size)
    independent = _independent(x, y, int(best), float(before[best]), float(after[best]))
    # ln likelihood relative to the best break; one slope more costs half a log.
    places = -0.5 * independent * np.log(np.maximum(sse[seen], floor) / floor)
    alone = -0.5 * independent * float(np.log(max(line, floor) / floor))
    weight = np.exp(places)
    # Fade before may be nothing: then any real fade after it is a knee. A real gain
    # before it is not: that is where ageing begins.
    noise = 2.0 * np.sqrt(floor / x.size)
    knee = -after[seen] >= STEEPER * np.maximum(-before[seen], 0.0)
    knee &= -after[seen] * (x[-1] - x[seen]) > noise
    knee &= before[seen] * (x[seen] - x[0]) < noise
    cost = float(np.sqrt(independent))
    with_knee = float(weight[knee].sum()) / seen.size / cost
    without = float(weight[~knee].sum()) / seen.size / cost + float(np.exp(alone))
    probability = with_knee / (with_knee + without)
    chosen = weight * knee if knee.any() else weight
    share = np.cumsum(chosen) / chosen.sum()
    at = seen[int(np.argmax(chosen))]
    first, last = (
        int(seen[min(int(np.searchsorted(share, q)), seen.size - 1)])
        for q in (0.05, 0.95)
    )
    # A break may lie anywhere up to the neighbours of the places that were tried.
    low, high = x[first - 1], x[last + 1]
    return Knee(
        min(max(probability, 1.0 - SURE), SURE),
        float(x[at]),
        float(low),
        float(high),
        -float(before[at]),
        -float(after[at]),
    )


def _summit(capacity_ah: Column) -> int:
    """Return where the capacity, as a median of three, is highest."""
    if capacity_ah.size < 3:
        return 0
    three = np.stack([capacity_ah[:-2], capacity_ah[1:-1], capacity_ah[2:]])
    middle = np.median(three, axis=0)
    at = int(np.argmax(middle))
    return 0 if at == 0 else at + 1


def _independent(
    x: Column, y: Column, at: int, slope_before: float, slope_after: float
) -> float:
    """Return the number of independent residuals around the best broken line.

    (1 - r) / (1 + r) of them (Bayley, Hammersley, J. R. Stat. Soc. Suppl. 8 (1946)
    184), r the correlation of neighbours; at least four, as many as parameters.
    """
    bent = slope_before * x + (slope_after - slope_before) * np.maximum(x - x[at], 0.0)
    left = y - bent
    left = left - left.mean()
    power = float(np.sum(left * left))
    if power <= 0.0:
        return float(x.size)
    r = min(max(float(np.sum(left[1:] * left[:-1])) / power, 0.0), 0.95)
    return max(x.size * (1.0 - r) / (1.0 + r), 4.0)
