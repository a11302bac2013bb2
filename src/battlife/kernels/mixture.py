"""Mean and quantiles of a sum of Gaussians at each of many moments."""

import math

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8_2D, float64, kernel, part_of_kernel

Floats = npt.NDArray[np.float64]

_HALVINGS = 24  # of a bracket of at most a few units: below 1e-6
_HALF_ROOT = 0.7071067811865476
_BELL = 0.3989422804014327  # 1 / sqrt(2 pi)
_LEAST_MASS = 1e-9
_REACH = 6.0  # standard deviations that hold every quantile asked for


@part_of_kernel
def _below(x: float) -> float:
    """Return the standard normal distribution function."""
    return 0.5 * math.erfc(-x * _HALF_ROOT)


@part_of_kernel
def _quantile(
    weight: Floats,
    mean: Floats,
    sd: Floats,
    probability: float,
    least: float,
    most: float,
) -> float:
    """Return where the sum reaches a probability, of all that is below `most`."""
    low = np.inf
    high = -np.inf
    for j in range(mean.size):
        if weight[j] > 0.0:
            low = min(low, mean[j] - _REACH * sd[j])
            high = max(high, mean[j] + _REACH * sd[j])
    low, high = max(low, least), min(high, most)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        below = 0.0
        for j in range(mean.size):
            if weight[j] > 0.0:
                below += weight[j] * _below((middle - mean[j]) / sd[j])
        if below < probability:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@kernel(float64[:, ::1](F8_2D, F8_2D, F8_2D, float64, float64, float64))
def mixture_bounds(
    log_weight: Floats,
    mean: Floats,
    variance: Floats,
    coverage: float,
    least: float,
    most: float,
) -> Floats:
    """Return mean, standard deviation, low and high of a Gaussian sum over time.

    Parameters
    ----------
    log_weight : (n, c) logarithm of the weights, up to a constant per row
    mean, variance : (n, c) of each component
    coverage : probability between low and high, the rest in equal tails
    least, most : beyond them the sum is cut off

    Returns
    -------
    (4, n); NaN in a row whose weights are not finite; a row that lies beyond a limit
    altogether is at the limit, with everything between them possible
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
        under = 0.0
        inside = 0.0
        centre = 0.0
        square = 0.0
        nearest = 0.0
        for j in range(c):
            share = math.exp(log_weight[k, j] - top)
            weight[j] = share if share > 1e-9 else 0.0
            sd[j] = math.sqrt(variance[k, j])
            total += weight[j]
        for j in range(c):
            weight[j] /= total
            if weight[j] == 0.0:
                continue
            # Moments of a Gaussian between two limits (Johnson, Kotz and Balakrishnan,
            # Continuous Univariate Distributions, vol. 1, Wiley 1994, 13.10.1).
            m, s = mean[k, j], sd[j]
            a, b = (least - m) / s, (most - m) / s
            below, above = _below(a), _below(b)
            bell_a = math.exp(-0.5 * a * a) * _BELL if abs(a) < 40.0 else 0.0
            bell_b = math.exp(-0.5 * b * b) * _BELL if abs(b) < 40.0 else 0.0
            mass = above - below
            first = m * mass + s * (bell_a - bell_b)
            edge_a = (least + m) * bell_a if bell_a > 0.0 else 0.0
            edge_b = (most + m) * bell_b if bell_b > 0.0 else 0.0
            under += weight[j] * below
            inside += weight[j] * mass
            centre += weight[j] * first
            square += weight[j] * ((m * m + s * s) * mass + s * (edge_a - edge_b))
            nearest += weight[j] * min(max(m, least), most)
        if not inside > _LEAST_MASS:
            out[0, k] = nearest
            out[1, k] = most - least
            out[2, k] = least
            out[3, k] = most
            continue
        centre /= inside
        out[0, k] = centre
        out[1, k] = math.sqrt(max(square / inside - centre * centre, 0.0))
        tail = 0.5 * (1.0 - coverage) * inside
        out[2, k] = _quantile(weight, mean[k], sd, under + tail, least, most)
        out[3, k] = _quantile(weight, mean[k], sd, under + inside - tail, least, most)
    return out
