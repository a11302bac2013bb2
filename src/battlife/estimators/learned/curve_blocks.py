"""Curves as coefficients, and what learners make of them: components of each curve.

The small components of a smooth curve say as much of health as the large ones, but by
their size no learner would look at them. Each curve of a lot is turned into its own
principal components, each of unit variance, as many as the curve may have that are more
than noise; what is no curve stays as it is.

References
----------
Jolliffe, Principal Component Analysis (2nd ed., Springer, 2002), §2.3 (unit variance).
Abramowitz, Stegun, Handbook of Mathematical Functions (1964), ch. 22 (Legendre).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial import legendre

from battlife.estimators.learned.scaling import Arrays
from battlife.model._arrays import Column


@dataclass(frozen=True)
class Block:
    """Coefficients of one curve.

    Attributes
    ----------
    width : coefficients, zero where a curve has too few points for them
    components : that are kept of them at most
    """

    width: int
    components: int


CHARGE_BLOCK: Final = Block(16, 9)
"""Over 0.3 V the fifteenth order follows a feature 30 mV wide, narrower than any peak
of the incremental capacity of a full cell. Nine components: the charge, place, width
and height of each of two peaks, and two for the ends."""
RELAXATION_BLOCK: Final = Block(8, 4)
"""Two relaxations with a size and a time each."""
LAYOUT: Final = (CHARGE_BLOCK, RELAXATION_BLOCK)
"""Of the features of curves, in order; columns that are no curve follow."""
LEAST: Final = 1e-7
"""Of the largest, below which a component is rounding."""


def coefficients(curve: Column, at: Column, width: int) -> Column:
    """Return (n, width) coefficients in orthonormal Legendre polynomials.

    Parameters
    ----------
    curve : (n, m)
    at : (m,) where its points lie, from -1 to 1
    width : coefficients wanted; those that m points cannot tell are zero
    """
    order = min(width, (curve.shape[1] + 1) // 2) - 1
    basis = legendre.legvander(at, order) * np.sqrt(np.arange(order + 1) + 0.5)
    found = np.zeros((len(curve), width))
    found[:, : order + 1] = curve @ np.linalg.pinv(basis).T
    return found


def fit_components(features: Column) -> Arrays:
    """Return what :func:`components` needs of (n, p) features of a lot."""
    arrays: dict[str, Column] = {}
    begin = 0
    for k, block in enumerate(LAYOUT):
        part = features[:, begin : begin + block.width]
        begin += block.width
        middle = part.mean(axis=0)
        _, s, vt = np.linalg.svd(part - middle, full_matrices=False)
        kept = max(1, int((s[: block.components] > LEAST * s[0]).sum()))
        # A curve that is not there is one component that is always zero.
        size = s[:kept] / np.sqrt(len(part)) if s[0] > 0 else np.ones(1)
        arrays[f"middle{k}"] = middle
        arrays[f"axes{k}"] = vt[:kept].T / size
    return arrays


def components(arrays: Arrays, features: Column) -> Column:
    """Return (n, c) components of unit variance, and the columns that are no curve."""
    parts, begin = [], 0
    for k, block in enumerate(LAYOUT):
        part = features[:, begin : begin + block.width]
        begin += block.width
        parts.append((part - arrays[f"middle{k}"]) @ arrays[f"axes{k}"])
    return np.column_stack([*parts, features[:, begin:]])
