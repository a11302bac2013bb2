"""Learners for few units and many smooth features.

With a handful of units a flexible learner takes what sets one of them apart for ageing.
Two rigid ones are averaged: a straight line through the first feature, and partial
least squares with few components over the others. Rows count so that units are equal.

References
----------
Wold, Sjöström, Eriksson, Chemom. Intell. Lab. Syst. 58 (2001) 109 (PLS).
Bates, Granger, Oper. Res. Q. 20 (1969) 451 (equal shares where errors are unknown).
"""

from typing import Final

import numpy as np

from battlife.estimators.learned.scaling import Arrays, scaling, standardised
from battlife.model._arrays import Column, IndexColumn

COMPONENTS: Final = 3
"""Of the partial least squares: arc, tail, and how they are placed on the sweep."""


def fit_line_and_components(
    features: Column, truth: Column, groups: IndexColumn
) -> Arrays:
    """Return both as one linear form of the standardised features.

    Parameters
    ----------
    features : (n, p), the first one on its own
    truth : (n,)
    groups : (n,) number of the unit
    """
    arrays = scaling(features, truth)
    z = standardised(features, arrays)
    mean, spread = arrays["truth"]
    y = (truth - mean) / spread
    weight = 1.0 / np.bincount(groups)[groups]
    weight /= weight.sum()
    line = _line(z[:, 0], y, weight)
    slopes, level = _components(z[:, 1:], y)
    if z.shape[1] == 1:
        slopes, level, half = np.zeros(0), 0.0, 1.0
    else:
        half = 0.5
    weights = np.concatenate([[half * line[1]], (1 - half) * slopes])
    constant = half * line[0] + (1 - half) * level
    residual = y - constant - z @ weights
    return arrays | {
        "weights": weights,
        "constant": np.array([constant]),
        "spread": np.array([np.sqrt(weight @ residual**2)]),
    }


def predict_line_and_components(
    arrays: Arrays, features: Column
) -> tuple[Column, Column]:
    """Return (m,) values and their (m,) spread."""
    z = standardised(features, arrays)
    mean, spread = arrays["truth"]
    value = mean + spread * (arrays["constant"][0] + z @ arrays["weights"])
    return value, np.full(value.size, spread * arrays["spread"][0])


def _line(x: Column, y: Column, weight: Column) -> tuple[float, float]:
    """Return constant and slope of the weighted straight line."""
    x0, y0 = float(weight @ x), float(weight @ y)
    across = float(weight @ (x - x0) ** 2)
    slope = float(weight @ ((x - x0) * (y - y0))) / across if across > 0 else 0.0
    return y0 - slope * x0, slope


def _components(x: Column, y: Column) -> tuple[Column, float]:
    """Return slopes and constant of partial least squares for one truth."""
    middle, level = x.mean(axis=0), float(y.mean())
    rest, target = x - middle, y - level
    directions, loadings, shares = [], [], []
    for _ in range(min(COMPONENTS, x.shape[1], max(len(x) - 1, 0))):
        w = rest.T @ target
        size = float(np.sqrt(w @ w))
        if size < 1e-12:
            break
        w = w / size
        t = rest @ w
        square = float(t @ t)
        p = rest.T @ t / square
        share = float(target @ t) / square
        rest = rest - np.outer(t, p)
        target = target - share * t
        directions.append(w)
        loadings.append(p)
        shares.append(share)
    if not directions:
        return np.zeros(x.shape[1]), level
    w, p = np.array(directions).T, np.array(loadings).T
    slopes: Column = w @ np.linalg.solve(p.T @ w, np.array(shares))
    return slopes, level - float(middle @ slopes)
