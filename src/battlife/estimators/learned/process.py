"""A Gaussian process: a smooth part, and a linear one whose slopes vary slowly.

k(a, b) = s1 Matern52(|a - b| / l)
        + s2 (1 + sum_d v_d a_d b_d / p) exp(-|Za - Zb|^2 / 2)

with a length l_d and a slope weight v_d for every feature; Z are the leading principal
components of the lot, each with a length. Of a used cell whose state of charge is not
known, those components hold the state of charge: what a resistance says of health
depends on it. Lengths and weights are the most probable ones under broad priors.

References
----------
Rasmussen, Williams, Gaussian Processes for Machine Learning (MIT Press, 2006):
eq. 2.23 to 2.26 (prediction), 4.17 (Matern 5/2), 5.9 (gradient), §5.4.2 (left out).
Gelfand, Kim, Sirmans, Banerjee, J. Am. Stat. Assoc. 98 (2003) 387 (varying slopes).
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from battlife.estimators.learned.scaling import Arrays, scaling, standardised
from battlife.model._arrays import Column, IndexColumn

LENGTHS_ROWS: Final = 300
"""Rows that lengths and weights are found on: the cost goes with the cube, and on
pulse tables of 600 rows the error left out was the same as with all of them."""
SOLVED_ROWS: Final = 1500
"""Rows a prediction is made from at most, for the same reason."""
COMPONENTS: Final = 2
MEMBERS: Final = 3
STEPS: Final = 40
"""Of the optimiser; more changed the error left out by less than its scatter."""
JITTER: Final = 1e-8
OUTLIER: Final = 5.0
"""Beyond so many standard deviations a row counts less, as much as brings it there."""
BLOCK: Final = 4096
"""Rows predicted at once, so that memory stays small."""

_Prior: TypeAlias = tuple[Column, Column, list[tuple[float, float]]]


def fit_process(features: Column, truth: Column, groups: IndexColumn) -> Arrays:
    """Return a fitted process; of a large lot, rows spread evenly over it are used."""
    del groups  # rows of a unit share its truth, so a unit's own error is not seen
    arrays, x, y, axes = _placed(features, truth)
    some = _spread(len(x), LENGTHS_ROWS)
    return arrays | {"seen": x, "axes": axes} | _solved(x, y, axes, some)


def predict_process(arrays: Arrays, features: Column) -> tuple[Column, Column]:
    """Return (n,) values and (n,) standard deviations of the truth."""
    return _predicted(arrays, ("",), features)


def fit_processes(features: Column, truth: Column, groups: IndexColumn) -> Arrays:
    """Return several processes on the same rows, their lengths each from other ones.

    Lengths found on a few tens of units are themselves uncertain; the mean over several
    of them is less so than any.
    """
    del groups
    arrays, x, y, axes = _placed(features, truth)
    found = arrays | {"seen": x, "axes": axes}
    for member in range(MEMBERS):
        rng = np.random.default_rng(member)
        some = np.sort(
            rng.choice(len(x), min(len(x), LENGTHS_ROWS), replace=False)
        ).astype(np.int64)
        solved = _solved(x, y, axes, some)
        found |= {f"{member}/{name}": array for name, array in solved.items()}
    return found


def predict_processes(arrays: Arrays, features: Column) -> tuple[Column, Column]:
    """Return (n,) means over the processes and (n,) standard deviations of the truth.

    The variance is the mean of theirs and that among them.
    """
    return _predicted(arrays, tuple(f"{k}/" for k in range(MEMBERS)), features)


def _placed(
    features: Column, truth: Column
) -> tuple[dict[str, Column], Column, Column, Column]:
    """Return the scaling, the rows solved for and their truth, scaled, and the axes."""
    arrays = scaling(features, truth)
    mean, spread = arrays["truth"]
    rows = _spread(truth.size, SOLVED_ROWS)
    x = standardised(features, arrays)[rows]
    return arrays, x, (truth[rows] - mean) / spread, _axes(x)


def _solved(x: Column, y: Column, axes: Column, some: IndexColumn) -> dict[str, Column]:
    """Return what predicts from all rows, with the lengths that some of them give."""
    theta = _lengths(x[some], y[some], axes)
    k = _kernel(theta, axes, x, x)[0]
    noise = np.full(len(x), np.exp(2 * theta[-1]) + JITTER)
    for _ in range(2):
        root = np.linalg.cholesky(k + np.diag(noise))
        inverse = np.linalg.inv(root)
        alpha = inverse.T @ (inverse @ y)
        # Error of each row from all others, in its own standard deviations.
        off = np.abs(alpha) / np.sqrt((inverse**2).sum(axis=0))
        if (off <= OUTLIER).all():
            break
        noise = noise * np.maximum(1.0, off / OUTLIER) ** 2
    return {"alpha": alpha, "inverse_root": inverse, "theta": theta}


def _predicted(
    arrays: Arrays, members: tuple[str, ...], features: Column
) -> tuple[Column, Column]:
    mean, spread = arrays["truth"]
    axes, seen = arrays["axes"], arrays["seen"]
    value = np.empty((len(members), len(features)))
    variance = np.empty_like(value)
    for start in range(0, len(features), BLOCK):
        part = slice(start, start + BLOCK)
        x = standardised(features[part], arrays)
        for place, member in enumerate(members):
            theta = arrays[f"{member}theta"]
            k = _kernel(theta, axes, x, seen)[0]
            value[place, part] = k @ arrays[f"{member}alpha"]
            half = k @ arrays[f"{member}inverse_root"].T
            own = _own(theta, x) + np.exp(2 * theta[-1])
            variance[place, part] = own - (half**2).sum(axis=1)
    whole = np.maximum(variance, 1e-12).mean(axis=0) + value.var(axis=0)
    return mean + spread * value.mean(axis=0), spread * np.sqrt(whole)


def _spread(n: int, most: int) -> IndexColumn:
    """Return at most `most` of n rows, chosen once and for all by a fixed shuffle."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, most, replace=False))


def _axes(x: Column) -> Column:
    """Return (p, c) the leading components, each of unit variance over the lot."""
    _, s, vt = np.linalg.svd(x, full_matrices=False)
    kept = max(1, min(COMPONENTS, int((s > 1e-9 * s[0]).sum())))
    scaled: Column = vt[:kept].T / np.maximum(s[:kept] / np.sqrt(len(x)), 1e-12)
    return scaled


def _split(theta: Column, p: int) -> tuple[Column, Column, Column, Column]:
    weights = np.exp(-2 * theta[:p])
    slopes = np.exp(2 * theta[p : 2 * p])
    along = np.exp(-2 * theta[2 * p : -3])
    return weights, slopes, along, np.exp(2 * theta[-3:])


def _square(a: Column, b: Column, weights: Column) -> Column:
    a, b = a * np.sqrt(weights), b * np.sqrt(weights)
    square: Column = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.maximum(square, 0.0)


def _kernel(
    theta: Column, axes: Column, a: Column, b: Column
) -> tuple[Column, Column, Column, Column, Column]:
    """Return the covariance, Matern and its slope, linear part and its envelope."""
    p = a.shape[1]
    weights, slopes, along, (smooth, linear, _) = _split(theta, p)
    r = np.sqrt(5 * _square(a, b, weights))
    decay = np.exp(-r)
    matern = (1 + r + r * r / 3) * decay
    line = 1 + (a * slopes) @ b.T / p
    envelope = np.exp(-0.5 * _square(a @ axes, b @ axes, along))
    whole: Column = smooth * matern + linear * line * envelope
    return whole, matern, -5 / 6 * (1 + r) * decay, line, envelope


def _own(theta: Column, x: Column) -> Column:
    p = x.shape[1]
    _, slopes, _, (smooth, linear, _) = _split(theta, p)
    own: Column = smooth + linear * (1 + (x**2 * slopes).sum(axis=1) / p)
    return own


def _prior(p: int, components: int) -> _Prior:
    """Return middle, spread and bounds of the logarithms that theta holds.

    Standardised features vary over a few units, so lengths of 3 and 2 are about as
    long as the lot; noise begins at a fifth of the spread of the truth.
    """
    middle = np.concatenate(
        [
            np.full(p, np.log(3.0)),
            np.zeros(p),
            np.full(components, np.log(2.0)),
            np.log([1.0, 0.5, 0.2]),
        ]
    )
    width = np.concatenate(
        [np.ones(p), np.full(p, 0.7), np.ones(components), np.full(3, 1.5)]
    )
    bounds = [(-3.0, 6.0)] * p + [(-5.0, 5.0)] * p + [(-2.0, 5.0)] * components
    return middle, width, [*bounds, (-6.0, 4.0), (-6.0, 4.0), (-5.0, 2.0)]


def _lengths(x: Column, y: Column, axes: Column) -> Column:
    from scipy.optimize import minimize

    middle, width, bounds = _prior(x.shape[1], axes.shape[1])
    improbable = _improbability(x, y, axes, middle, width)
    found: Any = minimize(
        improbable,
        middle,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": STEPS},
    )
    theta: Column = np.asarray(found.x, dtype=np.float64)
    return theta if np.isfinite(theta).all() else middle


def _improbability(
    x: Column, y: Column, axes: Column, middle: Column, width: Column
) -> Callable[[Column], tuple[float, Column]]:
    """Return the negative logarithm of the posterior of theta, with its gradient."""
    from scipy.linalg.lapack import dpotrf, dpotri

    z = x @ axes
    p = x.shape[1]

    def by_length(m: Column, points: Column) -> Column:
        slope: Column = 2 * (
            (m.sum(axis=1)[:, None] * points**2).sum(axis=0)
            - (points * (m @ points)).sum(axis=0)
        )
        return slope

    def improbable(theta: Column) -> tuple[float, Column]:
        weights, slopes, along, (smooth, linear, noise) = _split(theta, p)
        k, matern, falling, line, envelope = _kernel(theta, axes, x, x)
        k = k + (noise + JITTER) * np.eye(len(x))
        root, failed = dpotrf(k, lower=1)
        if failed:
            return 1e10, np.zeros_like(theta)
        lower = np.tril(dpotri(root, lower=1)[0])
        inverse = lower + np.tril(lower, -1).T
        alpha = inverse @ y
        m = 0.5 * (inverse - np.outer(alpha, alpha))
        shaped = m * envelope * linear
        shrunk = (theta - middle) / width
        value = 0.5 * y @ alpha + np.log(np.diag(root)).sum() + 0.5 * shrunk @ shrunk
        slope = np.concatenate(
            [
                -2 * weights * by_length(smooth * m * falling, x),
                2 * slopes * (x * (shaped @ x)).sum(axis=0) / p,
                -2 * along * by_length(-0.5 * shaped * line, z),
                [
                    2 * smooth * (m * matern).sum(),
                    2 * (shaped * line).sum(),
                    2 * noise * np.trace(m),
                ],
            ]
        )
        return float(value), slope + shrunk / width

    return improbable
