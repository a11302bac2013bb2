"""What a BMS claims against what its own record counts."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.estimators._chance import normal_tail
from battlife.estimators._uncertainty import SECONDS_PER_HOUR
from battlife.kernels.charge import cumulative_charge
from battlife.model import Column, Pack, Trace

FRESH: Final = 0.995
"""A claimed state of health from which a unit says that it is new."""
USED_CYCLES: Final = 50.0
"""Full cycles after which no cell is as new: see FADE."""
FADE: Final = (3e-4, 0.7)
"""Loss per cycle of cells in use, median and standard deviation of its logarithm: 20 %
in 670 cycles, between 20 % in 170 and in 2700 for nine of ten cells, the range of data
sheets and of the cells in docs/knee.md."""
FEWEST_CLAIMS: Final = 3
"""Samples that must repeat a claim: one may be misread."""
LEAST_SWING: Final = 0.05
"""Change of the reported state of charge below which no capacity follows from it."""
CELL_TOLERANCE: Final = 0.05
"""Standard uncertainty of a BMS's state of charge over a part of its range: SOC errors
of 5 % are what makers allow, and they enter a capacity from a part of the range."""
STATED: Final = ("full_capacity_ah", "design_capacity_ah")


@dataclass(frozen=True)
class Claim:
    """One comparison of what is claimed with what is counted.

    Attributes
    ----------
    value, u : counted over claimed, and its standard uncertainty
    claimed, counted : the two, Ah or fractions
    chance : that sound data part as far
    """

    value: float
    u: float
    claimed: float
    counted: float
    chance: float


def _known(trace: Trace, name: str) -> Column:
    column = trace.columns.get(name)
    if column is None:
        return np.empty(0)
    return column[np.isfinite(column)]


def _last(trace: Trace, name: str) -> float:
    column = _known(trace, name)
    return float(column[-1]) if column.size >= FEWEST_CLAIMS else float("nan")


def cycles_of(trace: Trace) -> float:
    """Return full cycles a unit claims or its throughput shows, NaN if neither."""
    cycles = _last(trace, "cycle_count")
    design = _last(trace, "design_capacity_ah")
    throughput = _last(trace, "charge_throughput_ah")
    if np.isfinite(throughput) and np.isfinite(design) and design > 0:
        cycles = float(np.nanmax([cycles, throughput / design]))
    return cycles


def reset(trace: Trace) -> Claim | None:
    """Return the claim of being new against the cycles counted, None if none is made.

    The chance is that of a cell which loses less than the claim admits.
    """
    health = _last(trace, "reported_soh")
    if not np.isfinite(health):
        full, design = (_last(trace, n) for n in STATED)
        health = full / design if design > 0 else float("nan")
    cycles = cycles_of(trace)
    if not np.isfinite(health) or not np.isfinite(cycles) or health <= 0:
        return None
    expected = max(1.0 - cycles * FADE[0], 0.0)
    u = max(cycles * FADE[0] * FADE[1], 1e-3)
    chance = 1.0
    if health >= FRESH and cycles >= USED_CYCLES:
        admitted = max(1.0 - FRESH, 1.0 - health)
        z = (np.log(cycles * FADE[0]) - np.log(admitted)) / FADE[1]
        chance = normal_tail(float(z))
    return Claim(expected / health, u, health, expected, chance)


def counted_capacity(trace: Trace, pack: Pack, sensor_a: float) -> Claim | None:
    """Return the capacity that follows from counted charge per reported SOC.

    Held against the full capacity the BMS reports, else against its claimed health of
    the rated one. None where nothing is claimed, or the charge moved too little.

    Parameters
    ----------
    trace : with soc and current
    pack : may state the rated capacity
    sensor_a : A, standard uncertainty of the current's offset
    """
    soc = trace.columns.get("soc")
    current = trace.columns.get("current_a")
    claimed = _last(trace, "full_capacity_ah")
    if not np.isfinite(claimed):
        rated = pack.nominal_ah or _last(trace, "design_capacity_ah")
        claimed = rated * _last(trace, "reported_soh")
    if soc is None or current is None or not claimed > 0:
        return None
    span = max(trace.segments(), key=lambda s: s.stop - s.start)
    time = np.ascontiguousarray(trace.time_s[span])
    charge = cumulative_charge(time, np.ascontiguousarray(current[span]), 0, time.size)
    seen = np.isfinite(charge) & np.isfinite(soc[span])
    if np.count_nonzero(seen) < 10:
        return None
    x, y = soc[span][seen], charge[seen]
    swing = float(np.ptp(x))
    if swing < LEAST_SWING:
        return None
    at = [int(np.argmin(x)), int(np.argmax(x))]
    counted = float((y[at[1]] - y[at[0]]) / (x[at[1]] - x[at[0]]))
    hours = abs(float(time[seen][at[1]] - time[seen][at[0]])) / SECONDS_PER_HOUR
    if not counted > 0:
        return Claim(counted / claimed, CELL_TOLERANCE, claimed, counted, 1e-6)
    # An error of SOC at either end, and the ammeter's offset over the time between.
    relative = float(
        np.hypot(
            np.sqrt(2.0) * CELL_TOLERANCE * max(swing, 0.2) / swing,
            sensor_a * hours / (swing * claimed),
        )
    )
    ratio = counted / claimed
    z = abs(ratio - 1.0) / relative
    return Claim(ratio, relative, claimed, counted, 2.0 * normal_tail(z))
