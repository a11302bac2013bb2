"""A learner for few units with spectra: many smooth values over a logarithmic axis.

With a handful of units a flexible learner takes what sets one of them apart for ageing.
Two rigid ones are averaged. One is a straight line through a single slope of the values
over their axis: it has not the size of the electrodes, and says where the sweep stands
on an arc, which grows and slows as a cell ages. Which slope, is chosen by leaving each
unit out in turn. The other is partial least squares with few components over all
values. Rows of the line count so that units are equal.

References
----------
Wold, Sjöström, Eriksson, Chemom. Intell. Lab. Syst. 58 (2001) 109 (PLS).
Bates, Granger, Oper. Res. Q. 20 (1969) 451 (equal shares where errors are unknown).
Stone, J. R. Stat. Soc. B 36 (1974) 111 (choice by leaving out).
"""

from typing import Final

import numpy as np

from battlife.estimators.learned.scaling import Arrays, scaling, standardised
from battlife.model._arrays import Column, IndexColumn

COMPONENTS: Final = 3
"""Of the partial least squares: arc, tail, and how they are placed on the sweep."""


HALF_WIDTH: Final = 2
"""Of a slope, in points to either side: half a decade of a sweep of ten per decade."""


def fit_line_and_components(
    features: Column, truth: Column, groups: IndexColumn
) -> Arrays:
    """Return both as one linear form of the standardised slope and features.

    Parameters
    ----------
    features : (n, p) values over an evenly spaced axis
    truth : (n,)
    groups : (n,) number of the unit
    """
    slopes = _slopes(features)
    place = _best(slopes, truth, groups)
    seen = np.column_stack([slopes[:, place], features])
    arrays = scaling(seen, truth)
    z = standardised(seen, arrays)
    mean, spread = arrays["truth"]
    y = (truth - mean) / spread
    weight = 1.0 / np.bincount(groups)[groups]
    weight /= weight.sum()
    line = _line(z[:, 0], y, weight)
    along, level = _components(z[:, 1:], y)
    weights = 0.5 * np.concatenate([[line[1]], along])
    constant = 0.5 * (line[0] + level)
    residual = y - constant - z @ weights
    return arrays | {
        "place": np.array([float(place)]),
        "weights": weights,
        "constant": np.array([constant]),
        "spread": np.array([np.sqrt(weight @ residual**2)]),
    }


def predict_line_and_components(
    arrays: Arrays, features: Column
) -> tuple[Column, Column]:
    """Return (m,) values and their (m,) spread."""
    slope = _slopes(features)[:, int(arrays["place"][0])]
    z = standardised(np.column_stack([slope, features]), arrays)
    mean, spread = arrays["truth"]
    value = mean + spread * (arrays["constant"][0] + z @ arrays["weights"])
    return value, np.full(value.size, spread * arrays["spread"][0])


def _slopes(values: Column) -> Column:
    """Return (n, q) least-squares slopes of (n, p) values around each inner point."""
    half = min(HALF_WIDTH, (values.shape[1] - 1) // 2)
    if half < 1:
        return values
    steps = np.arange(-half, half + 1)
    windows = np.lib.stride_tricks.sliding_window_view(values, steps.size, axis=1)
    found: Column = windows @ (steps / (steps**2).sum())
    return found


def _best(slopes: Column, truth: Column, groups: IndexColumn) -> int:
    """Return the slope whose line errs least on units left out, units equal."""
    units = np.unique(groups)
    counts = np.bincount(groups)
    error = np.zeros(slopes.shape[1])
    for unit in units if units.size > 1 else ():
        out = groups == unit
        weight = 1.0 / counts[groups[~out]]
        weight /= weight.sum()
        x, y = slopes[~out], truth[~out]
        x0, y0 = weight @ x, float(weight @ y)
        across = weight @ (x - x0) ** 2
        tilt = (weight * (y - y0)) @ (x - x0) / np.maximum(across, 1e-300)
        off = y0 + (slopes[out] - x0) * tilt - truth[out][:, None]
        error += (off**2).mean(axis=0)
    return int(error.argmin())


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
