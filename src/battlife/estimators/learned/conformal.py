"""Intervals that cover a physical unit as often as they say.

Rows of one unit are not exchangeable with rows of others, units are: each unit has one
vote, shared among its rows. How far a score must be carried beyond its plain quantile
so that a unit to come is covered is found by leaving each unit out of the quantile;
where even the largest score of the others holds too few, the lot cannot promise that
much, and :func:`promised` says what it can.

References
----------
Dunn, Wasserman, Ramdas, J. Am. Stat. Assoc. 118 (2023) 2491 (pooled by group).
Lei et al., J. Am. Stat. Assoc. 113 (2018) 1094 (scores divided by a spread).
Barber et al., Ann. Stat. 49 (2021) 486 (left out in turn).
"""

from typing import Final

import numpy as np

from battlife.model._arrays import Column, IndexColumn

LEVELS: Final = 100
"""Steps between the coverage asked for and all, at which levels are tried."""
FEWEST_UNITS: Final = 5
"""With fewer, leaving one out says too little of how units differ."""


def promised(n_units: int, coverage: float) -> float:
    """Return the coverage that so many units can promise, whatever they are like."""
    return min(coverage, n_units / (n_units + 1))


def group_quantile(scores: Column, groups: IndexColumn, coverage: float) -> float:
    """Return the score that a row of a new unit stays below with probability coverage.

    The unit to come has a vote too, at infinity: the promise holds whatever units are
    like, at the price of wide intervals.

    Parameters
    ----------
    scores : (n,) not NaN
    groups : (n,) number of the physical unit
    coverage : in (0, 1)

    Returns
    -------
    The quantile; infinity where there are too few units to promise it.
    """
    sizes = np.unique(groups, return_counts=True)[1]
    share = coverage * (sizes.size + 1) / sizes.size
    return (
        float("inf") if share > 1.0 + 1e-12 else share_quantile(scores, groups, share)
    )


def share_quantile(scores: Column, groups: IndexColumn, share: float) -> float:
    """Return the score that a share of the (n,) rows stays below, units equal."""
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    weight = np.cumsum(1.0 / sizes[index][order]) / sizes.size
    at = int(np.searchsorted(weight, share - 1e-12))
    return float(scores[order][min(at, scores.size - 1)])


def unit_quantile(
    scores: Column, groups: IndexColumn, coverage: float
) -> tuple[float, float]:
    """Return the score below which a row of a new unit stays, and how often it does.

    Parameters
    ----------
    scores : (n,) not NaN
    groups : (n,) number of the physical unit
    coverage : asked for, in (0, 1)

    Returns
    -------
    (score, coverage); the coverage is lower than asked for where there are too few
    units, and the score then is the largest.
    """
    units, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if units.size < FEWEST_UNITS:
        return float(scores.max()), promised(units.size, coverage)
    order = np.argsort(scores, kind="stable")
    ranked, owner = scores[order], index[order]
    weight = 1.0 / sizes[owner]
    levels = np.linspace(coverage, 1.0, LEVELS)
    held = np.zeros(LEVELS)
    for unit in range(units.size):
        mine = owner == unit
        others = ranked[~mine]
        reached = np.cumsum(weight[~mine]) / (units.size - 1)
        at = np.searchsorted(reached, levels - 1e-12).clip(max=others.size - 1)
        held += np.searchsorted(ranked[mine], others[at], side="right") / sizes[unit]
    held /= units.size
    enough = np.flatnonzero(held >= coverage)
    if not enough.size:
        most = promised(units.size, coverage)
        return float(ranked[-1]), min(most, float(held[-1]))
    level = float(levels[enough[0]])
    found = share_quantile(scores, groups, level)
    if promised(units.size, coverage) < coverage:
        # Of so few, the unit to come may be the worst: a share of 1 in n + 1 is open.
        return found, level * units.size / (units.size + 1)
    return found, coverage
