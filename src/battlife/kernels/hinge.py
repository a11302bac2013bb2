"""Least squares of a line with one break, for every place of the break.

References
----------
Bacon, Watts, Biometrika 58 (1971) 525 (two intersecting lines).
Fermin-Cueto et al., Energy and AI 1 (2020) 100006, section 3.1 (knees in capacity).
"""

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, float64, kernel, tuple_of

Floats = npt.NDArray[np.float64]

_SIDE = 5
"""Points a line on one side of the break needs to have a slope and a scatter."""
_TINY = 1e-12
"""Share of its own diagonal below which a pivot says that a direction is not seen."""


@kernel(tuple_of(float64[::1], 3)(F8, F8))
def break_scan(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (sum of squares, slope before, slope after) for a break at each x.

    The model is y = a + b x + c max(x - x_k, 0): continuous, slope b before the break
    and b + c after it.

    Parameters
    ----------
    x : (m,) increasing
    y : (m,) not NaN

    Returns
    -------
    Three of (m,); NaN where fewer than five points lie on either side.
    """
    m = x.size
    sse = np.full(m, np.nan)
    before = np.full(m, np.nan)
    after = np.full(m, np.nan)
    if m < 2 * _SIDE:
        return sse, before, after
    mean_x = 0.0
    mean_y = 0.0
    for i in range(m):
        mean_x += x[i]
        mean_y += y[i]
    mean_x /= m
    mean_y /= m
    sxx = 0.0
    sxy = 0.0
    syy = 0.0
    for i in range(m):
        dx = x[i] - mean_x
        dy = y[i] - mean_y
        sxx += dx * dx
        sxy += dx * dy
        syy += dy * dy
    # Sums over the points after the break, updated from the right.
    n1 = 0.0
    u1 = 0.0
    u2 = 0.0
    v1 = 0.0
    uv = 0.0
    for k in range(m - 1, _SIDE - 2, -1):
        # Points from k + 1 on are after the break at x[k].
        if k < m - 1:
            dx = x[k + 1] - mean_x
            dy = y[k + 1] - mean_y
            n1 += 1.0
            u1 += dx
            u2 += dx * dx
            v1 += dy
            uv += dx * dy
        if n1 < _SIDE:
            continue
        edge = x[k] - mean_x
        mean_h = (u1 - n1 * edge) / m
        shh = u2 - 2.0 * edge * u1 + n1 * edge * edge - m * mean_h * mean_h
        sxh = u2 - edge * u1
        shy = uv - edge * v1
        rest = shh - sxh * sxh / sxx
        if not rest > _TINY * shh:
            continue
        c = (shy - sxh * sxy / sxx) / rest
        b = (sxy - c * sxh) / sxx
        left = syy - b * sxy - c * shy
        sse[k] = 0.0 if left < 0.0 else left
        before[k] = b
        after[k] = b + c
    return sse, before, after
