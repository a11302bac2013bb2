"""Intervals that cover a physical unit as often as they say.

Rows of one unit are not exchangeable with rows of others, units are: each unit has
one vote, shared among its rows, and the unit to come one more, at infinity.

References
----------
Dunn, Wasserman, Ramdas, J. Am. Stat. Assoc. 118 (2023) 2491 (pooled by group).
Lei et al., J. Am. Stat. Assoc. 113 (2018) 1094 (scores divided by a spread).
"""

import numpy as np

from battlife.model._arrays import Column, IndexColumn


def promised(n_units: int, coverage: float) -> float:
    """Return the coverage that so many units can promise: at most n / (n + 1)."""
    return min(coverage, n_units / (n_units + 1))


def group_quantile(scores: Column, groups: IndexColumn, coverage: float) -> float:
    """Return the score that a row of a new unit stays below with probability coverage.

    Parameters
    ----------
    scores : (n,) not NaN
    groups : (n,) number of the physical unit
    coverage : in (0, 1)

    Returns
    -------
    The quantile; infinity where there are too few units to promise it.
    """
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    weight = 1.0 / sizes[index][order] / (sizes.size + 1)
    reached = np.cumsum(weight) >= coverage - 1e-12
    if not reached.any():
        return float("inf")
    return float(scores[order][int(np.argmax(reached))])
