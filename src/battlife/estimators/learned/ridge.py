"""Linear and second-order ridge regression, its penalty chosen on units left out.

References
----------
Hoerl, Kennard, Technometrics 12 (1970) 55 (ridge regression).
Golub, Heath, Wahba, Technometrics 21 (1979) 215 (left-out errors in closed form).
"""

from typing import Final

import numpy as np

from battlife.estimators.learned.scaling import Arrays, scaling, standardised
from battlife.model._arrays import Column, IndexColumn

PENALTIES: Final = tuple(10.0**k for k in range(-6, 4))
"""Tried, per row, on standardised features and target."""
OUTLIER: Final = 6.0
"""A row whose error is this many times the usual one is left out and the rest fitted
again: of normal errors one in 5e8 is larger."""


def expanded(z: Column, order: int) -> Column:
    """Return the (n, p) columns and, for order 2, all products of two of them."""
    if order == 1:
        return z
    i, j = np.triu_indices(z.shape[1])
    return np.hstack([z, z[:, i] * z[:, j]])


def fit_ridge(
    features: Column, truth: Column, groups: IndexColumn, order: int
) -> Arrays:
    """Return a fitted ridge of the order given; groups are the units left out."""
    arrays = scaling(features, truth)
    mean, spread = arrays["truth"]
    target = (truth - mean) / spread
    x = expanded(standardised(features, arrays), order)
    middle = x.mean(axis=0)
    width = x.std(axis=0)
    width = np.where(width > 0, width, np.inf)
    x = (x - middle) / width
    keep = np.ones(truth.size, dtype=bool)
    for _ in range(2):
        v, s, _ = np.linalg.svd(x[keep], full_matrices=False)
        w = s**2
        offset = target[keep].mean()
        y = target[keep] - offset
        scores = [_left_out(w, v, y, groups[keep], p) for p in PENALTIES]
        penalty = PENALTIES[int(np.argmin(scores))] * float(keep.sum())
        weights = x[keep].T @ (v @ ((v.T @ y) / (w + penalty)))
        error = target - offset - x @ weights
        usual = 1.4826 * float(np.median(np.abs(error[keep])))
        if not usual > 0 or (np.abs(error[keep]) <= OUTLIER * usual).all():
            break
        keep = np.abs(error) <= OUTLIER * usual
    return arrays | {
        "middle": middle,
        "width": width,
        "weights": weights,
        "offset": np.array([offset]),
        "spread": np.array([float(np.sqrt(min(scores)))]),
    }


def predict_ridge(arrays: Arrays, features: Column, order: int) -> Column:
    """Return (n,) values and their (n,) spreads."""
    x = expanded(standardised(features, arrays), order)
    x = (x - arrays["middle"]) / arrays["width"]
    mean, spread = arrays["truth"]
    value: Column = mean + spread * (arrays["offset"] + x @ arrays["weights"])
    return value


def _left_out(
    w: Column, v: Column, target: Column, groups: IndexColumn, penalty: float
) -> float:
    """Return the mean squared error of units left out, in closed form by block."""
    root = v * np.sqrt(w / (w + penalty * target.size))
    error = target - root @ (root.T @ target)
    total = 0.0
    for group in np.unique(groups):
        rows = groups == group
        block = (1.0 + 1e-9) * np.eye(int(rows.sum())) - root[rows] @ root[rows].T
        total += float((np.linalg.solve(block, error[rows]) ** 2).sum())
    return total / target.size
