"""What can be learned from features: fitted once, stored as arrays, applied by NumPy.

Fitting may use scikit-learn (extra: calibrate); what comes out is arrays alone, and a
prediction needs nothing but them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from battlife.errors import InputError
from battlife.model._arrays import Column, IndexColumn

Arrays: TypeAlias = Mapping[str, Column]

RIDGES: Final = tuple(10.0**k for k in range(-6, 4))
"""Penalties tried, on standardised features and target."""
GP_ROWS: Final = 1500
"""Rows a Gaussian process is fitted to at most: its cost grows with their cube."""


@dataclass(frozen=True)
class Learner:
    """A way to learn.

    Attributes
    ----------
    fit : (features (n, p), truth (n,), groups (n,)) to arrays
    predict : (arrays, features (m, p)) to (m,) values and (m,) spreads, one standard
        deviation as the learner itself sees it
    """

    fit: Callable[[Column, Column, IndexColumn], Arrays]
    predict: Callable[[Arrays, Column], tuple[Column, Column]]


def standardised(features: Column, arrays: Arrays) -> Column:
    """Return features in units of the lot's spread, cut off where the lot ended.

    Beyond what was seen a polynomial explodes; whether a row lies too far out is for
    the domain to say.
    """
    z = (features - arrays["centre"]) / arrays["scale"]
    cut: Column = np.clip(z, arrays["lowest"], arrays["highest"])
    return cut


def _scaling(features: Column, truth: Column) -> dict[str, Column]:
    centre = np.median(features, axis=0)
    scale = features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    z = (features - centre) / scale
    return {
        "centre": centre,
        "scale": scale,
        "lowest": z.min(axis=0),
        "highest": z.max(axis=0),
        "truth": np.array([truth.mean(), truth.std() or 1.0]),
    }


def _expanded(z: Column, order: int) -> Column:
    if order == 1:
        return z
    i, j = np.triu_indices(z.shape[1])
    return np.hstack([z, z[:, i] * z[:, j]])


def _ridge(order: int) -> Learner:
    def fit(features: Column, truth: Column, groups: IndexColumn) -> Arrays:
        arrays = _scaling(features, truth)
        mean, spread = arrays["truth"]
        x = _expanded(standardised(features, arrays), order)
        middle = x.mean(axis=0)
        u, s, vt = np.linalg.svd(x - middle, full_matrices=False)
        target = (truth - mean) / spread
        best = (np.inf, RIDGES[0])
        for penalty in RIDGES:
            best = min(best, (_left_out(u, s, target, groups, penalty), penalty))
        shrunk = s / (s**2 + best[1] * s[0] ** 2)
        weights = vt.T @ (shrunk * (u.T @ target))
        residual = target - (x - middle) @ weights
        return arrays | {
            "middle": middle,
            "weights": weights,
            "spread": np.array([residual.std()]),
        }

    def predict(arrays: Arrays, features: Column) -> tuple[Column, Column]:
        x = _expanded(standardised(features, arrays), order) - arrays["middle"]
        mean, spread = arrays["truth"]
        value = mean + spread * (x @ arrays["weights"])
        return value, np.full(value.size, spread * arrays["spread"][0])

    return Learner(fit, predict)


def _left_out(
    u: Column, s: Column, target: Column, groups: IndexColumn, penalty: float
) -> float:
    """Return the mean squared error of units left out, in closed form by block."""
    hat_root = u * np.sqrt(s**2 / (s**2 + penalty * s[0] ** 2))
    fitted = hat_root @ (hat_root.T @ target)
    total = 0.0
    for group in np.unique(groups):
        rows = groups == group
        block = np.eye(int(rows.sum())) - hat_root[rows] @ hat_root[rows].T
        error = np.linalg.solve(
            block + 1e-9 * np.eye(len(block)), target[rows] - fitted[rows]
        )
        total += float((error**2).sum())
    return total / target.size


def _gaussian_process() -> Learner:
    def fit(features: Column, truth: Column, groups: IndexColumn) -> Arrays:
        process, kernels = _sklearn()
        arrays = _scaling(features, truth)
        mean, spread = arrays["truth"]
        rows = np.linspace(0, truth.size - 1, min(truth.size, GP_ROWS)).astype(int)
        x = standardised(features[rows], arrays)
        width = float(np.sqrt(x.shape[1]))
        kernel = kernels.ConstantKernel(1.0, (1e-2, 1e3)) * kernels.RBF(
            width, (0.1 * width, 100 * width)
        ) + kernels.WhiteKernel(0.01, (1e-6, 1.0))
        fitted = process(kernel, normalize_y=False, random_state=0)
        fitted.fit(x, (truth[rows] - mean) / spread)
        found = fitted.kernel_
        return arrays | {
            "seen": x,
            "alpha": np.asarray(fitted.alpha_).ravel(),
            "root": fitted.L_,
            "hyper": np.array(
                [
                    found.k1.k1.constant_value,
                    found.k1.k2.length_scale,
                    found.k2.noise_level,
                ]
            ),
        }

    def predict(arrays: Arrays, features: Column) -> tuple[Column, Column]:
        from scipy.linalg import solve_triangular

        x = standardised(features, arrays)
        amplitude, length, noise = arrays["hyper"]
        seen = arrays["seen"]
        square = (x**2).sum(1)[:, None] + (seen**2).sum(1) - 2 * x @ seen.T
        k = amplitude * np.exp(-0.5 * np.maximum(square, 0.0) / length**2)
        mean, spread = arrays["truth"]
        half = solve_triangular(arrays["root"], k.T, lower=True)
        variance = np.maximum(amplitude + noise - (half**2).sum(axis=0), 1e-12)
        return mean + spread * (k @ arrays["alpha"]), spread * np.sqrt(variance)

    return Learner(fit, predict)


def _sklearn() -> tuple[Any, Any]:
    try:
        from sklearn.gaussian_process import GaussianProcessRegressor, kernels
    except ImportError as error:
        raise InputError(
            "calibration needs scikit-learn, which is not installed",
            'pip install "battlife[calibrate]"',
        ) from error
    return GaussianProcessRegressor, kernels


LEARNERS: Final[Mapping[str, Learner]] = {
    "ridge": _ridge(1),
    "ridge2": _ridge(2),
    "gp": _gaussian_process(),
}
"""By the name that a Model keeps."""
