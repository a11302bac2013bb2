"""The part of a filter that does not depend on how it sees the voltage: the model.

`extended_filter` and `sigma_filter` both advance the state by it. The layout of what
they are given stands here too.
"""

import math

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import part_of_kernel

Floats = npt.NDArray[np.float64]

SECONDS_PER_HOUR = 3600.0
N_STATES = 6
BEYOND = 0.01  # what full and empty repeat to, a share of the capacity
N_SETTINGS = 18
SIXTH = 1.0 / 6.0
FEW = 0.02  # below it the series of `decayed` is exact to 1e-8


@part_of_kernel
def decayed(amount: float) -> float:
    """Return exp(-amount) of a small positive number, by its series where it can."""
    if amount > FEW:
        return math.exp(-amount)
    return 1.0 - amount * (1.0 - amount * (0.5 - amount * SIXTH))


@part_of_kernel
def advanced(
    z: float,
    h: float,
    current_a: float,
    q: float,
    per: float,
    settings: Floats,
    curves: Floats,
    grid: Floats,
) -> tuple[float, float, float, float, float, float, float]:
    """Return the model's state after an interval, and what its covariance needs.

    Parameters
    ----------
    z, h, q : state of charge, hysteresis in V, share of the inverse capacity
    current_a : mean of the interval without the offset of the sensor
    per : change of the state of charge per ampere
    settings, curves, grid : of `extended_filter`

    Returns
    -------
    z, h; derivative of z by q; decays of h and of the curve's error; variance that h
    and that error gain when they are renewed whole, in V^2 (of the curve alone)
    """
    if current_a > 0.0:
        current_a *= settings[1]
    by_q = current_a * per
    step = by_q * (1.0 + q)
    z += step
    place = min(max((z - grid[0]) * grid[1], 0.0), curves.shape[1] - 1.001)
    j = int(place)
    passed = abs(step)
    keep_h = decayed(settings[2] * passed)
    keep_d = decayed(settings[3] * passed)
    level = curves[1, j]
    if step < 0.0:
        level = -level
    # On a branch hysteresis is what it was measured to be; between them it is not.
    away = settings[7] * (h - level)
    h = keep_h * h + (1.0 - keep_h) * level
    return z, h, by_q, keep_h, keep_d, away * away, curves[3, j] * curves[3, j]
