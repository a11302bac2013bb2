"""Many filters side by side, one for each state of charge the cell may begin with.

The curve of an LFP cell is flat between two knees: from a wide start one filter takes
the slope of one place for all and settles on a wrong side. A bank of filters, each
begun within a narrow range, and weighted by how likely each found the voltages, keeps
every possibility the data leave open, and its quantiles are the bound.

References
----------
D. L. Alspach and H. W. Sorenson, IEEE Trans. Automatic Control 17 (1972) 439, doi
10.1109/TAC.1972.1100034 (Gaussian sums).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.estimators._cell_model import CellAt
from battlife.model import Column

COMPONENTS: Final = 48
"""Filters of an unknown start, 2 % apart: within one, the curve of LFP has one slope.
A wider one takes the changes of its own slope for knowledge of where it is."""
KEPT: Final = 40_000
"""Samples of which bounds are computed; of a longer record every second, third, ..."""
ALIGNED_ENDS: Final = 0.02
"""A start may lie beyond full and empty by twice what these repeat to."""
OVERLAP: Final = 0.7
"""Standard deviation of a component over the distance of two: their sum is flat within
0.03 % (Gaussians at distance a with sd 0.7 a)."""
REACH: Final = 2.5
"""Standard deviations around a stated start that the bank spans."""
LONGEST_S: Final = 60.0
"""A gap in the record beyond which a missing current is charge that nobody counted."""
UNMEASURED: Final = 0.5
"""Of the doubt in a resistance at another temperature, what does not follow one factor
(one element faster, another slower)."""
UNMEASURED_S: Final = 60.0
"""How long such an error lasts: between the fast and the slow elements (seconds,
minutes). Chosen with simulated cells at 5 degC."""
BEFORE_RATE: Final = 0.5
"""1/h; a cell may have been loaded or charged at that rate right before the record,
and be relaxing from it."""

Kernel = Callable[..., Column]


@dataclass(frozen=True)
class Tuning:
    """What the filter allows for; chosen on simulated cells, never on a scored one.

    Attributes
    ----------
    floor_v : V, what any voltage is off by for `correlation_s`: relaxation after a
        load that two RC elements do not follow; the fits at hand leave 3 mV rms
    polarisation_share : the same as a share of the polarisation
    correlation_s : s, how long such an error lasts
    away_share : standard deviation of hysteresis as a share of its distance from its
        branch, of which the model of one state and one rate knows the ends alone
    usual_s : s, over which a load is compared with that of the model's records
    aligned : standard deviation of the state of charge itself: full and empty repeat
        to 1 % of the capacity
    decay : of the error of the curve per unit of state of charge: it lasts for 5 %
    r_walk : of the resistances' share per root second: 0.1 in an hour, as a cell warms
    bias_walk : of the current offset per root second, as a share of 1C
    memory_s : s, over which innovations are compared with their variance
    least_r, most_r : limits of the resistances' share
    """

    floor_v: float = 0.003
    polarisation_share: float = 0.03
    correlation_s: float = 15.0
    away_share: float = 0.25
    usual_s: float = 600.0
    aligned: float = 0.01
    decay: float = 20.0
    r_walk: float = 1.7e-3
    bias_walk: float = 1e-5
    memory_s: float = 300.0
    least_r: float = -0.7
    most_r: float = 5.0


TUNING: Final = Tuning()


@dataclass(frozen=True, eq=False)
class Start:
    """What is known before the first sample.

    Attributes
    ----------
    soc, soc_sd : of the state of charge; soc None: nothing
    bias_a : standard deviation of the current offset in A
    capacity_share : standard deviation of the capacity as a share
    noise_v : standard deviation of a voltage reading in V
    """

    soc: float | None
    soc_sd: float
    bias_a: float
    capacity_share: float
    noise_v: float


@dataclass(frozen=True, eq=False)
class Tracked:
    """What a bank knew of one segment.

    Attributes
    ----------
    every : samples of which one is in what follows
    soc, soc_sd, low, high : (m,) state of charge and its bound
    residual_v, residual_sd_v : (m,) innovation of the likeliest component
    resistance_share : (m,) of the likeliest component
    end_soc : (4,) mean, standard deviation, low and high at the last sample
    end, end_var : (6,) mean and variance of z, h, d, r, b, q at the last sample
    consistency : mean of the squared normalised innovations
    """

    every: int
    soc: Column
    soc_sd: Column
    low: Column
    high: Column
    residual_v: Column
    residual_sd_v: Column
    resistance_share: Column
    end_soc: Column
    end: Column
    end_var: Column
    consistency: float


def components(start: Start) -> tuple[Column, Column, Column]:
    """Return (means, standard deviations, log weights) of the filters at the start."""
    if start.soc is None:
        mean = np.linspace(-ALIGNED_ENDS, 1.0 + ALIGNED_ENDS, COMPONENTS)
        width = OVERLAP / (COMPONENTS - 1)
        return mean, np.full(mean.size, width), np.zeros(mean.size)
    low = max(start.soc - REACH * start.soc_sd, -ALIGNED_ENDS)
    high = min(start.soc + REACH * start.soc_sd, 1.0 + ALIGNED_ENDS)
    count = min(int(np.ceil((high - low) * (COMPONENTS - 1))) + 1, COMPONENTS)
    if count < 2 or not low < high:
        return np.array([start.soc]), np.array([start.soc_sd]), np.zeros(1)
    mean = np.linspace(low, high, count)
    sd = np.full(count, OVERLAP * (high - low) / (count - 1))
    return mean, sd, -0.5 * ((mean - start.soc) / start.soc_sd) ** 2


def track(
    kernel: Kernel,
    cell: CellAt,
    time_s: Column,
    current_a: Column,
    voltage_v: Column,
    start: Start,
    coverage: float,
) -> Tracked:
    """Run a bank of filters over one segment.

    Parameters
    ----------
    kernel : of the extended or the sigma-point filter
    cell : at the temperature of the segment
    time_s, current_a, voltage_v : (n,) of the segment; NaN is missing
    start : what is known before
    coverage : probability the bound is to hold
    """
    from battlife.kernels._cell_step import BEYOND
    from battlife.kernels.cell_filter import relaxed_current
    from battlife.kernels.mixture import mixture_bounds

    n = time_s.size
    every = -(-n // KEPT)
    relaxing = np.zeros(n)
    for ohm, tau_s in cell.rc:
        if ohm > 0:
            relaxing += ohm * relaxed_current(time_s, current_a, 0, n, tau_s)
    r_relaxing = sum(ohm for ohm, _ in cell.rc)
    r_total = float(np.median(cell.curves[2])) + r_relaxing
    unusual = relaxed_current(time_s, current_a - cell.load_a, 0, n, TUNING.usual_s)
    lasting = cell.lasting_share * r_total * np.abs(unusual)
    unmeasured = UNMEASURED * cell.r_doubt
    part = unmeasured**2 / (unmeasured**2 + TUNING.polarisation_share**2)
    lasts_s = (1.0 - part) * TUNING.correlation_s + part * UNMEASURED_S
    scale_a = float(np.nanmax(np.abs(current_a), initial=0.0))
    settings = np.array(
        [
            cell.capacity_ah,
            cell.efficiency,
            cell.hysteresis_rate,
            TUNING.decay,
            start.noise_v,
            float(np.hypot(TUNING.polarisation_share, unmeasured)),
            lasts_s,
            TUNING.away_share,
            TUNING.r_walk,
            TUNING.bias_walk * cell.capacity_ah,
            TUNING.memory_s,
            scale_a,
            LONGEST_S,
            TUNING.least_r,
            TUNING.most_r,
            TUNING.floor_v,
            r_relaxing * BEFORE_RATE * cell.capacity_ah,
            max(tau_s for _, tau_s in cell.rc),
        ]
    )
    means, sds, weights = components(start)
    found = []
    for mean, sd in zip(means, sds, strict=True):
        place = (mean - cell.grid[0]) * cell.grid[1]
        at = np.arange(cell.curves.shape[1])
        gap, error = (float(np.interp(place, at, cell.curves[k])) for k in (1, 3))
        spread = np.array(
            [
                sd,
                gap,
                error,
                cell.r_spread,
                start.bias_a,
                start.capacity_share,
            ]
        )
        state = np.array([mean, 0.0, 0.0, 0.0, 0.0, 0.0])
        found.append(
            kernel(
                time_s,
                current_a,
                voltage_v,
                relaxing,
                lasting,
                0,
                every,
                cell.curves,
                cell.grid,
                settings,
                state,
                spread,
            )
        )
    rows = np.stack(found, axis=-1)  # (6, m + 3, c)
    z, zz, innovation, variance, r, loglik = rows[:, :-3]
    logs = np.ascontiguousarray(weights + loglik)
    bounds = mixture_bounds(
        logs,
        np.ascontiguousarray(z),
        np.ascontiguousarray(zz + TUNING.aligned**2),
        coverage,
        -BEYOND,
        1.0 + BEYOND,
    )
    best = logs.argmax(axis=1)
    pick = (np.arange(best.size), best)
    final = weights + rows[0, -1]
    share = np.exp(final - final.max())
    share /= share.sum()
    ends, variances = rows[:, -3], rows[:, -2]
    end = ends @ share
    end_var = ((variances + (ends - end[:, None]) ** 2) * share).sum(axis=1)
    last = int(final.argmax())
    spread_end = np.ascontiguousarray(variances[:1] + TUNING.aligned**2)
    at_end = mixture_bounds(
        final[None],
        np.ascontiguousarray(ends[:1]),
        spread_end,
        coverage,
        -BEYOND,
        1.0 + BEYOND,
    )[:, 0]
    seen = np.isfinite(innovation[:, last])
    ratio = innovation[seen, last] ** 2 / variance[seen, last]
    soc, soc_sd, low, high = bounds
    soc = np.clip(soc, 0.0, 1.0)
    at_end[0] = np.clip(at_end[0], 0.0, 1.0)
    return Tracked(
        every=every,
        soc=soc,
        soc_sd=soc_sd,
        low=low,
        high=high,
        residual_v=innovation[pick],
        residual_sd_v=np.sqrt(variance[pick]),
        resistance_share=r[pick],
        end_soc=at_end,
        end=end,
        end_var=end_var,
        consistency=float(ratio.mean()) if ratio.size else float("nan"),
    )
