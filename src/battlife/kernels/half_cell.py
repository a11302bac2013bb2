"""The voltage of a full cell from two half-cell curves, and where a fit may start.

With s the charge from the low-voltage end of the window over the charge of the window,

    V(s) = U_p(y0 + (y1 - y0) s) - U_n(x0 + (x1 - x0) s) + c

where x and y are the lithiation of the negative and the positive electrode at either
end and c is a polarisation (Dahn, Smith, Burns, Stevens, J. Electrochem. Soc. 159,
2012, A1405, doi 10.1149/2.013209jes).
"""

import math

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, float64, int64, kernel, tuple_of

Floats = npt.NDArray[np.float64]

N_PARAMETERS = 5
CURVES = (F8, float64, float64, F8, float64, float64)
"""Types of the two half-cell curves, positive and negative: values, first and step."""
_BISECTIONS = 30
"""Halvings of the range of lithiation: to 1e-9 of it."""


@kernel(tuple_of(float64, 2)(F8, float64, float64, float64))
def curve_at(
    values: Floats, first: float, step: float, at: float
) -> tuple[float, float]:
    """Return (value, slope) of a tabulated curve, cubic between its points.

    Parameters
    ----------
    values : (m,) V at equal distances, m at least 4
    first, step : lithiation of the first value and distance
    at : lithiation; beyond the table the curve goes on straight

    Returns
    -------
    V, and V per unit of lithiation. Cubic Hermite with central differences
    (Catmull-Rom), so that the slope has no steps.
    """
    m = values.size
    u = (at - first) / step
    if u <= 1.0:
        rise = values[1] - values[0]
        return values[0] + u * rise, rise / step
    if u >= m - 2.0:
        rise = values[m - 1] - values[m - 2]
        return values[m - 1] + (u - (m - 1)) * rise, rise / step
    k = int(u)
    t = u - k
    a, b, c, d = values[k - 1], values[k], values[k + 1], values[k + 2]
    p = 0.5 * (c - a)
    q = 0.5 * (d - b)
    e = c - b
    g = 3.0 * e - 2.0 * p - q
    h = p + q - 2.0 * e
    return b + t * (p + t * (g + t * h)), (p + t * (2.0 * g + 3.0 * t * h)) / step


@kernel(float64[::1](F8, F8, *CURVES))
def cell_voltage(
    parameters: Floats,
    share: Floats,
    positive: Floats,
    first_p: float,
    step_p: float,
    negative: Floats,
    first_n: float,
    step_n: float,
) -> Floats:
    """Return V(s) of the model above.

    Parameters
    ----------
    parameters : (5,) x0, x1, y0, y1 and c in V
    share : (n,) s, 0 at the low-voltage end
    positive, negative : (m,) V over lithiation, with first and step of each

    Returns
    -------
    (n,) V
    """
    result = np.empty(share.size)
    x0, x1, y0, y1, c = parameters
    for k in range(share.size):
        p, _ = curve_at(positive, first_p, step_p, y0 + (y1 - y0) * share[k])
        q, _ = curve_at(negative, first_n, step_n, x0 + (x1 - x0) * share[k])
        result[k] = p - q + c
    return result


@kernel(float64[:, ::1](F8, F8, *CURVES))
def cell_slopes(
    parameters: Floats,
    share: Floats,
    positive: Floats,
    first_p: float,
    step_p: float,
    negative: Floats,
    first_n: float,
    step_n: float,
) -> Floats:
    """Return the derivatives of :func:`cell_voltage` by its parameters, (n, 5)."""
    result = np.empty((share.size, N_PARAMETERS))
    x0, x1, y0, y1, _ = parameters
    for k in range(share.size):
        s = share[k]
        _, dp = curve_at(positive, first_p, step_p, y0 + (y1 - y0) * s)
        _, dq = curve_at(negative, first_n, step_n, x0 + (x1 - x0) * s)
        result[k, 0] = -dq * (1.0 - s)
        result[k, 1] = -dq * s
        result[k, 2] = dp * (1.0 - s)
        result[k, 3] = dp * s
        result[k, 4] = 1.0
    return result


@kernel(float64(F8, float64, float64, float64))
def _lithiation_of(values: Floats, first: float, step: float, volt: float) -> float:
    """Return the lithiation at which a falling curve has a voltage, or an end of it."""
    low = first
    high = first + (values.size - 1) * step
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        v, _ = curve_at(values, first, step, middle)
        if v > volt:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@kernel(float64[:, ::1](F8, F8, *CURVES, int64, float64))
def starts(
    share: Floats,
    voltage_v: Floats,
    positive: Floats,
    first_p: float,
    step_p: float,
    negative: Floats,
    first_n: float,
    step_n: float,
    count: int,
    apart: float,
) -> Floats:
    """Return where to start a fit: the best places of a grid, well apart.

    The grid runs over the lithiation of the negative at either end; that of the
    positive follows from the voltages near the ends, because its curve only falls.

    Parameters
    ----------
    share, voltage_v : (n,) s increasing, and V
    positive, negative : (m,) V over lithiation, with first and step of each
    count : places k wanted
    apart : least distance of two places in any parameter, in lithiation

    Returns
    -------
    (<= k, 6) x0, x1, y0, y1, 0 and the spread of the residual in V, best first
    """
    n = share.size
    near = n // 20
    far = n - 1 - near
    cells = 32
    width = (negative.size - 1) * step_n
    trial = np.empty((cells * cells, 6))
    found = 0
    stride = max(n // 50, 1)
    for i in range(cells):
        for j in range(2, cells + 1):
            # Closer where little lithium is left: there a negative is steep.
            x0 = first_n + width * (i / cells) ** 2
            x1 = first_n + width * j / cells
            if x1 - x0 < 2.0 * width / cells:
                continue
            xa = x0 + (x1 - x0) * share[near]
            xb = x0 + (x1 - x0) * share[far]
            na, _ = curve_at(negative, first_n, step_n, xa)
            nb, _ = curve_at(negative, first_n, step_n, xb)
            ya = _lithiation_of(positive, first_p, step_p, voltage_v[near] + na)
            yb = _lithiation_of(positive, first_p, step_p, voltage_v[far] + nb)
            slope = (yb - ya) / (share[far] - share[near])
            if not slope < 0.0:
                continue
            y0 = ya - slope * share[near]
            y1 = y0 + slope
            total = 0.0
            mean = 0.0
            used = 0
            for k in range(near, far + 1, stride):
                p, _ = curve_at(positive, first_p, step_p, y0 + slope * share[k])
                q, _ = curve_at(negative, first_n, step_n, x0 + (x1 - x0) * share[k])
                off = voltage_v[k] - p + q
                total += off * off
                mean += off
                used += 1
            # A constant is polarisation and speaks against no place.
            total = max(total - mean * mean / used, 0.0)
            trial[found, 0] = x0
            trial[found, 1] = x1
            trial[found, 2] = y0
            trial[found, 3] = y1
            trial[found, 4] = 0.0
            trial[found, 5] = math.sqrt(total / used)
            found += 1
    order = np.argsort(trial[:found, 5])
    result = np.empty((count, 6))
    kept = 0
    for k in order:
        if kept == count:
            break
        new = True
        for m in range(kept):
            far_off = 0.0
            for p in range(4):
                far_off = max(far_off, abs(trial[k, p] - result[m, p]))
            if far_off < apart:
                new = False
                break
        if new:
            result[kept] = trial[k]
            kept += 1
    return result[:kept].copy()
