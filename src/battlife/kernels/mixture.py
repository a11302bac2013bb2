"""Mean and quantiles of a sum of Gaussians at each of many moments."""

import math

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, F8_2D, float64, kernel

Floats = npt.NDArray[np.float64]

_HALVINGS = 24  # of a bracket of at most a few units: below 1e-6
_REACH = 6.0  # standard deviations that hold every quantile asked for


@kernel(float64(F8, F8, F8, float64))
def _quantile(weight: Floats, mean: Floats, sd: Floats, probability: float) -> float:
    low = np.inf
    high = -np.inf
    for j in range(mean.size):
        if weight[j] > 0.0:
            low = min(low, mean[j] - _REACH * sd[j])
            high = max(high, mean[j] + _REACH * sd[j])
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        below = 0.0
        for j in range(mean.size):
            if weight[j] > 0.0:
                x = (middle - mean[j]) / (sd[j] * 1.4142135623730951)
                below += weight[j] * 0.5 * math.erfc(-x)
        if below < probability:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@kernel(float64[:, ::1](F8_2D, F8_2D, F8_2D, float64))
def mixture_bounds(
    log_weight: Floats, mean: Floats, variance: Floats, coverage: float
) -> Floats:
    """Return mean, standard deviation, low and high of a Gaussian sum over time.

    Parameters
    ----------
    log_weight : (n, c) logarithm of the weights, up to a constant per row
    mean, variance : (n, c) of each component
    coverage : probability between low and high, the rest in equal tails

    Returns
    -------
    (4, n); NaN in a row whose weights are not finite
    """
    n, c = mean.shape
    out = np.full((4, n), np.nan)
    weight = np.empty(c)
    sd = np.empty(c)
    for k in range(n):
        top = -np.inf
        for j in range(c):
            top = max(top, log_weight[k, j])
        if not np.isfinite(top):
            continue
        total = 0.0
        for j in range(c):
            share = math.exp(log_weight[k, j] - top)
            weight[j] = share if share > 1e-9 else 0.0
            sd[j] = math.sqrt(variance[k, j])
            total += weight[j]
        centre = 0.0
        square = 0.0
        for j in range(c):
            weight[j] /= total
            centre += weight[j] * mean[k, j]
        for j in range(c):
            away = mean[k, j] - centre
            square += weight[j] * (variance[k, j] + away * away)
        out[0, k] = centre
        out[1, k] = math.sqrt(square)
        out[2, k] = _quantile(weight, mean[k], sd, 0.5 * (1.0 - coverage))
        out[3, k] = _quantile(weight, mean[k], sd, 0.5 * (1.0 + coverage))
    return out
