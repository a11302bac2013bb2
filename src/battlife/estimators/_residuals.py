"""What residuals say of the uncertainty of a fit."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_RELATED: Final = 0.98
"""Correlation of neighbouring residuals that is still taken into account; beyond it a
model does not fit, and no factor would make its uncertainty right."""


def related(runs: Sequence[Floats]) -> float:
    """Return by what factor related residuals raise the variance of a parameter.

    (1 + r)/(1 - r) with the correlation r of neighbouring residuals: the effective
    number of observations is that much smaller.

    Parameters
    ----------
    runs : (m,) each, residuals in the order of frequency or time

    References
    ----------
    Bayley, Hammersley, J. R. Stat. Soc. 8 (1946) 184, doi 10.2307/2983560.
    """
    power = sum(float(run @ run) for run in runs)
    if not power > 0.0:
        return 1.0
    neighbours = sum(float(run[:-1] @ run[1:]) for run in runs)
    r = min(max(neighbours / power, 0.0), MOST_RELATED)
    return (1.0 + r) / (1.0 - r)
