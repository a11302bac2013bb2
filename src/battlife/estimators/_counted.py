"""What the tester's own counters say of the samples of one discharge."""

from typing import Final

import numpy as np

from battlife.estimators._scales import resolution
from battlife.model import Column, Trace

APART: Final = 0.03
"""Relative difference of counter and integral over one discharge from which it is no
measure of health, whatever explains it. Counters of sound testers stay within 2 %."""
QUANTA: Final = 3.0
"""Quanta of a counter by which it may part from the integral: one at either end, and
one for the interval in which it was reset."""

RESET: Final = 0.1
"""A signed counter that falls to a tenth from one sample to the next was reset."""


def counters_disagree(
    trace: Trace, start: int, stop: int, charged_ah: float, discharged_ah: float
) -> bool:
    """Say whether a counter parts from the integral over samples start..stop.

    Only a counter that moved speaks; one that is reset goes on from its new value.

    Parameters
    ----------
    trace : its counters are ``discharge_capacity_ah``, ``step_capacity_ah`` (unsigned)
        and ``net_capacity_ah`` (signed)
    start, stop : samples, both included
    charged_ah, discharged_ah : integral of the current over them, both unsigned
    """
    expected = {
        "discharge_capacity_ah": discharged_ah,
        "step_capacity_ah": discharged_ah + charged_ah,
        "net_capacity_ah": abs(discharged_ah - charged_ah),
    }
    for name, integral in expected.items():
        column = trace.columns.get(name)
        if column is None:
            continue
        counted = _counted_ah(column[start : stop + 1], signed=name.startswith("net"))
        apart = abs(counted - integral)
        larger = max(counted, integral)
        slack = QUANTA * resolution(column)
        if counted > 0 and apart > max(APART * larger, slack):
            return True
    return False


def _counted_ah(column: Column, *, signed: bool) -> float:
    known = column[np.isfinite(column)]
    if known.size < 2:
        return 0.0
    change, before, after = np.diff(known), known[:-1], known[1:]
    if signed:
        reset = np.abs(after) < RESET * np.abs(before)
        return abs(float(np.where(reset, after, change).sum()))
    return float(np.where(change < 0, np.maximum(after, 0.0), change).sum())
