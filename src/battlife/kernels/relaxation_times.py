"""Distribution of relaxation times of an impedance spectrum.

The spectrum is a resistance, an inductance and a capacitance in series with a chain
of relaxations whose times are fixed; their resistances are not negative and their
curvature along the logarithm of time is penalised (Tikhonov regularisation).

References
----------
Wan, Saccoccio, Chen, Ciucci, Electrochim. Acta 184 (2015) 483,
doi 10.1016/j.electacta.2015.09.097 (the problem and its regularisation).
Lawson, Hanson, Solving Least Squares Problems, SIAM 1995, chapter 23 (the active set).
Bro, de Jong, J. Chemometrics 11 (1997) 393 (the same on the normal equations).
"""

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, F8_2D, float64, kernel, tuple_of
from battlife.kernels.solving import factorise, inner_product, substitute

Floats = npt.NDArray[np.float64]

SERIES = 3
"""Unknowns before the relaxations: resistance, inductance, 1/capacitance."""


@kernel(float64[::1](F8_2D, F8, F8, float64))
def not_negative(
    matrix: Floats, vector: Floats, start: Floats, tolerance: float
) -> Floats:
    """Return x >= 0 that minimises x' M x / 2 - b' x, by the active set method.

    Parameters
    ----------
    matrix : (p, p) symmetric, positive definite
    vector : (p,) b
    start : (p,) a solution of a neighbouring problem; what is positive there is
        where the search begins
    tolerance : gradient below which an unknown may stay at 0

    Returns
    -------
    (p,) x
    """
    p = vector.size
    x = np.zeros(p)
    free = np.zeros(p, dtype=np.int64)
    for j in range(p):
        free[j] = 1 if start[j] > 0.0 else 0
    listed = np.empty(p, dtype=np.int64)
    part = np.empty((p, p))
    trial = np.empty(p)
    warm = True
    for _ in range(6 * p + 10):
        # Solve on the free unknowns, and free those held until none is negative.
        for _ in range(p + 1):
            count = 0
            for j in range(p):
                if free[j] == 1:
                    listed[count] = j
                    count += 1
            for a in range(count):
                trial[a] = vector[listed[a]]
                for b in range(a + 1):
                    part[a, b] = matrix[listed[a], listed[b]]
            if factorise(part, count) == 0:
                return np.full(p, np.nan)
            substitute(part, count, trial)
            step = 1.0
            for a in range(count):
                j = listed[a]
                if trial[a] <= 0.0:
                    if warm:
                        step = 0.0
                    else:
                        step = min(step, x[j] / (x[j] - trial[a]))
            if step == 1.0 or count == 0:
                for a in range(count):
                    x[listed[a]] = trial[a]
                break
            for a in range(count):
                j = listed[a]
                if warm:
                    if trial[a] <= 0.0:
                        free[j] = 0
                else:
                    x[j] += step * (trial[a] - x[j])
                    if x[j] <= 1e-14 or (trial[a] <= 0.0 and x[j] <= 0.0):
                        x[j] = 0.0
                        free[j] = 0
        warm = False
        steepest = tolerance
        chosen = -1
        for j in range(p):
            if free[j] == 0:
                slope = vector[j] - inner_product(matrix[j], x, 0, p)
                if slope > steepest:
                    steepest = slope
                    chosen = j
        if chosen < 0:
            return x
        free[chosen] = 1
    return x


@kernel(
    tuple_of(float64[::1], 2)(F8, F8, F8, F8, F8, float64),
)
def distribution(
    omega: Floats,
    re: Floats,
    im: Floats,
    tau: Floats,
    penalties: Floats,
    target: float,
) -> tuple[Floats, Floats]:
    """Return the smoothest distribution that describes a spectrum well enough.

    Parameters
    ----------
    omega : (n,) rad/s, positive
    re, im : (n,) ohm, not both 0
    tau : (k,) s, spaced evenly in the logarithm
    penalties : (m,) weights of the curvature, falling
    target : root mean square of the relative residuals that is good enough; the first
        penalty that reaches it is taken, else the last

    Returns
    -------
    ohm : (SERIES + k,) series resistance in ohm, inductance in H, inverse of the
        capacitance in 1/F, then the resistance of each relaxation in ohm
    facts : (2,) root mean square of the relative residuals, the penalty
    """
    n = omega.size
    k = tau.size
    p = SERIES + k
    rows = np.empty((p, 2 * n))
    measured = np.empty(2 * n)
    scale = 0.0
    fastest = omega[0]
    slowest = omega[0]
    for i in range(n):
        scale = max(scale, np.sqrt(re[i] * re[i] + im[i] * im[i]))
        fastest = max(fastest, omega[i])
        slowest = min(slowest, omega[i])
    for i in range(n):
        weight = scale / np.sqrt(re[i] * re[i] + im[i] * im[i])
        rows[0, i] = weight
        rows[0, n + i] = 0.0
        rows[1, i] = 0.0
        rows[1, n + i] = weight * omega[i] / fastest
        rows[2, i] = 0.0
        rows[2, n + i] = -weight * slowest / omega[i]
        for j in range(k):
            x = omega[i] * tau[j]
            rows[SERIES + j, i] = weight / (1.0 + x * x)
            rows[SERIES + j, n + i] = -weight * x / (1.0 + x * x)
        measured[i] = weight * re[i] / scale
        measured[n + i] = weight * im[i] / scale
    gram = np.empty((p, p))
    vector = np.empty(p)
    for a in range(p):
        vector[a] = inner_product(rows[a], measured, 0, 2 * n)
        for b in range(a + 1):
            gram[a, b] = inner_product(rows[a], rows[b], 0, 2 * n)
            gram[b, a] = gram[a, b]
    matrix = np.empty((p, p))
    x = np.zeros(p)
    facts = np.full(2, np.nan)
    for m in range(penalties.size):
        penalty = penalties[m] * 2 * n
        for a in range(p):
            for b in range(p):
                matrix[a, b] = gram[a, b]
            # Keeps the normal matrix definite; far below any resistance that counts.
            matrix[a, a] += 1e-10 * 2 * n
        for j in range(1, k - 1):
            for a in range(-1, 2):
                for b in range(-1, 2):
                    part = (-2.0 if a == 0 else 1.0) * (-2.0 if b == 0 else 1.0)
                    matrix[SERIES + j + a, SERIES + j + b] += penalty * part
        x = not_negative(matrix, vector, x, 1e-9 * 2 * n)
        total = 0.0
        for i in range(2 * n):
            off = measured[i]
            for a in range(p):
                off -= x[a] * rows[a, i]
            total += off * off
        facts[0] = np.sqrt(total / (2 * n))
        facts[1] = penalties[m]
        if facts[0] <= target or facts[0] != facts[0]:
            break
    ohm = np.empty(p)
    for a in range(p):
        ohm[a] = scale * x[a]
    ohm[1] /= fastest
    ohm[2] *= slowest
    return ohm, facts
