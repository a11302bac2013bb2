"""Sigma-point Kalman filter of one cell: the state and the call of `cell_filter`.

The voltage is taken at thirteen points of the six-dimensional distribution instead of
along a slope (central differences, spread sqrt(3), weights 1/6 and for the centre
(3 - 6)/3). The prediction is linear, so that it needs no points.

References
----------
G. L. Plett, J. Power Sources 161 (2006) 1356, doi 10.1016/j.jpowsour.2006.06.003
(sigma-point filters of cells). M. Norgaard, N. K. Poulsen and O. Ravn, Automatica 36
(2000) 1627, doi 10.1016/S0005-1098(00)00089-3 (central differences).
"""

import math

import numpy as np
import numpy.typing as npt

from battlife.kernels._cell_step import (
    BEYOND,
    N_STATES,
    SECONDS_PER_HOUR,
    advanced,
)
from battlife.kernels._jit import (
    F8,
    F8_2D,
    float64,
    int64,
    kernel,
    part_of_kernel,
)

Floats = npt.NDArray[np.float64]

_N = N_STATES
_SPREAD = 1.7320508075688772  # sqrt(3), exact to fourth order for a Gaussian
_SIDE = 1.0 / 6.0
_CENTRE = -1.0


@part_of_kernel
def _at(curve: Floats, place: float) -> float:
    """Return a curve between its columns, constant beyond its ends."""
    within = min(max(place, 0.0), curve.size - 1.001)
    j = int(within)
    value: float = curve[j] + (within - j) * (curve[j + 1] - curve[j])
    return value


@part_of_kernel
def _root(matrix: Floats) -> Floats:
    """Return the lower Cholesky factor of a (n, n) matrix, 0 where it has no rank."""
    n = matrix.shape[0]
    root = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            rest = matrix[i, j]
            for k in range(j):
                rest -= root[i, k] * root[j, k]
            if i == j:
                root[i, i] = math.sqrt(max(rest, 0.0))
            elif root[j, j] > 1e-15:
                root[i, j] = rest / root[j, j]
    return root


@kernel(float64[:, ::1](F8, F8, F8, F8, F8, int64, int64, F8_2D, F8, F8, F8, F8))
def sigma_filter(
    time_s: Floats,
    current_a: Floats,
    voltage_v: Floats,
    relaxing_v: Floats,
    lasting_v: Floats,
    start: int,
    every: int,
    curves: Floats,
    grid: Floats,
    settings: Floats,
    state: Floats,
    spread: Floats,
) -> Floats:
    """Return what the filter knew; arguments and result as `extended_filter`."""
    n = time_s.size - start
    kept = (n + every - 1) // every
    out = np.zeros((_N, kept + 3))
    noise, share = settings[4] ** 2, settings[5] ** 2
    correlation = settings[6]
    unknown_a, longest = settings[11], settings[12]
    floor, fading = settings[15] ** 2, settings[16] ** 2
    x = state.copy()
    p = np.zeros((_N, _N))
    for i in range(_N):
        p[i, i] = spread[i] ** 2
    f = np.eye(_N)
    half = np.empty((_N, _N))
    cross = np.empty(_N)
    points = np.empty(2 * _N)
    surprise = 1.0
    loglik = 0.0
    counted = -np.inf
    before = current_a[start] if current_a[start] == current_a[start] else 0.0
    for k in range(n):
        at = start + k
        now = current_a[at]
        missing = not (now == now)
        if missing:
            now = before
        dt = time_s[at] - time_s[at - 1] if k > 0 else 0.0
        times = max(2.0 * correlation / dt, 1.0) if dt > 0.0 else 1.0
        if k > 0:
            per = dt / (SECONDS_PER_HOUR * settings[0])
            fading *= math.exp(-2.0 * dt / settings[17])
            flow = 0.5 * (now + before) - x[4]
            x[0], x[1], f[0, 5], f[1, 1], f[2, 2], e_h, e_d = advanced(
                x[0], x[1], flow, x[5], per, settings, curves, grid
            )
            f[0, 4] = -per * (1.0 + x[5])
            e_d = (e_d + lasting_v[k] * lasting_v[k]) * surprise
            x[2] *= f[2, 2]
            for i in range(_N):
                for m in range(_N):
                    half[i, m] = f[i, i] * p[i, m]
                    if i == 0:
                        half[i, m] += f[0, 4] * p[4, m] + f[0, 5] * p[5, m]
            for i in range(_N):
                for m in range(_N):
                    p[i, m] = half[i, m] * f[m, m]
                    if m == 0:
                        p[i, m] += half[i, 4] * f[0, 4] + half[i, 5] * f[0, 5]
            p[1, 1] += (1.0 - f[1, 1] ** 2) * e_h
            p[2, 2] += (1.0 - f[2, 2] ** 2) * e_d
            p[3, 3] += settings[8] ** 2 * dt
            if p[4, 4] > 0.0:
                p[4, 4] += settings[9] ** 2 * dt
            if missing or dt > longest:
                p[0, 0] += (unknown_a * per) ** 2
        before = now
        counts = False
        seen = voltage_v[at]
        innovation = np.nan
        variance = np.nan
        if seen == seen:
            place = (x[0] - grid[0]) * grid[1]
            ohmic = _at(curves[2], place) * now + relaxing_v[k]
            middle = _at(curves[0], place) + x[1] + x[2] + (1.0 + x[3]) * ohmic
            root = _root(p)
            predicted = _CENTRE * middle
            for i in range(_N):
                for side in range(2):
                    away = _SPREAD if side == 0 else -_SPREAD
                    z = x[0] + away * root[0, i]
                    value = _at(curves[0], (z - grid[0]) * grid[1])
                    value += x[1] + x[2] + away * (root[1, i] + root[2, i])
                    value += (1.0 + x[3] + away * root[3, i]) * ohmic
                    points[2 * i + side] = value
                    predicted += _SIDE * value
            pulse = (share * ohmic * ohmic + floor + fading) * surprise
            variance = noise * surprise + times * pulse
            cross[:] = 0.0
            for i in range(_N):
                slope = points[2 * i] - points[2 * i + 1]
                bend = points[2 * i] + points[2 * i + 1] - 2.0 * middle
                # First and second central differences, spread h: 1/(4 h^2) and
                # (h^2 - 1)/(4 h^4).
                variance += slope * slope / 12.0 + bend * bend / 18.0
                for m in range(_N):
                    cross[m] += root[m, i] * slope / (2.0 * _SPREAD)
            innovation = seen - predicted
            for i in range(_N):
                x[i] += cross[i] * innovation / variance
                for m in range(_N):
                    p[i, m] -= cross[i] * cross[m] / variance
                p[i, i] = max(p[i, i], 0.0)
            p[0, 0] = max(p[0, 0], 1e-12)
            x[3] = min(max(x[3], settings[13]), settings[14])
            if time_s[at] >= counted:
                counted = time_s[at] + 2.0 * correlation
                once = variance - (times - 1.0) * pulse
                loglik -= 0.5 * (innovation * innovation / once + math.log(once))
                counts = True
            if k > 0:
                ratio = min(innovation * innovation / variance, 100.0)
                surprise *= 1.0 + min(dt / settings[10], 1.0) * (ratio - 1.0)
                surprise = min(max(surprise, 1.0), 100.0)
        over = x[0] - min(max(x[0], -BEYOND), 1.0 + BEYOND)
        if over != 0.0:
            # As in `extended_filter`.
            if counts:
                loglik -= 0.5 * over * over / (p[0, 0] + BEYOND * BEYOND)
            width = p[0, 0] + times * BEYOND * BEYOND
            cross[:] = p[:, 0]
            for i in range(_N):
                x[i] -= cross[i] * over / width
                for m in range(_N):
                    p[i, m] -= cross[i] * cross[m] / width
            x[3] = min(max(x[3], settings[13]), settings[14])
        if k % every == 0:
            c = k // every
            out[0, c] = x[0]
            out[1, c] = p[0, 0]
            out[2, c] = innovation
            out[3, c] = variance
            out[4, c] = x[3]
            out[5, c] = loglik
    for i in range(_N):
        out[i, kept] = x[i]
        out[i, kept + 1] = p[i, i]
    out[0, kept + 2] = loglik
    return out
