"""Impedance of elements in series, and the fit of their parameters.

Parameters are held as unbounded numbers: the logarithm of what is positive, and of an
exponent alpha the number t with alpha = ALPHA_LEAST + (1 - ALPHA_LEAST)/(1 + exp(-t)).

Elements and their impedance at the angular frequency w:

====== ================================ =========================
kind   impedance                        parameters
====== ================================ =========================
R      R                                R
L      j w L                            L
C      1 / (j w C)                      C
RC     R / (1 + j w tau)                R, tau
ZARC   R / (1 + (j w tau)^alpha)        R, tau, alpha
W      sigma (1 - j) / sqrt(w)          sigma
CPE    1 / (Q (j w)^alpha)              Q, alpha
====== ================================ =========================

References
----------
Barsoukov, Macdonald, Impedance Spectroscopy, 2nd ed., Wiley 2005, section 2.2.
Levenberg-Marquardt: Marquardt, J. SIAM 11 (1963) 431, doi 10.1137/0111030.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, I8, float64, kernel, types
from battlife.kernels.solving import factorise, invert, substitute

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

R, L, C, RC, ZARC, W, CPE = 0, 1, 2, 3, 4, 5, 6
SIZES: Final = (1, 1, 1, 2, 3, 1, 2)
"""Number of parameters by kind."""

ALPHA_LEAST: Final = 0.3
"""Exponents of real arcs lie between 0.5 (a porous electrode) and 1 (a capacitor)."""
_MOST_STEPS: Final = 80
_SMALLEST_GAIN: Final = 1e-8
"""Relative gain of an accepted step below which the fit has converged."""
_LARGEST_STEP: Final = 1.5
"""Of a parameter at once: a factor of 4.5."""


@kernel(
    float64(
        F8,
        F8,
        F8,
        I8,
        F8,
        float64[:, ::1],
        float64[:, ::1],
        float64[::1],
        float64[::1],
    )
)
def evaluate(
    omega: Floats,
    re: Floats,
    im: Floats,
    kinds: Ints,
    theta: Floats,
    real: Floats,
    imaginary: Floats,
    fit_re: Floats,
    fit_im: Floats,
) -> float:
    """Write impedance and derivatives; return the weighted sum of squares.

    Parameters
    ----------
    omega : (n,) rad/s
    re, im : (n,) ohm, measured
    kinds : (k,) elements in series
    theta : (p,) unbounded parameters in the order of the elements
    real, imaginary : (p, n) written: derivative by each parameter in ohm
    fit_re, fit_im : (n,) written: ohm

    Returns
    -------
    Sum over points of |fit - measured|^2 / |measured|^2.
    """
    n = omega.size
    for i in range(n):
        fit_re[i] = 0.0
        fit_im[i] = 0.0
    at = 0
    for e in range(kinds.size):
        kind = kinds[e]
        first = np.exp(theta[at])
        if kind == ZARC or kind == CPE:
            place = at + 2 if kind == ZARC else at + 1
            share = 1.0 / (1.0 + np.exp(-theta[place]))
            alpha = ALPHA_LEAST + (1.0 - ALPHA_LEAST) * share
            slope = (1.0 - ALPHA_LEAST) * share * (1.0 - share)
            turn = complex(np.cos(0.5 * np.pi * alpha), np.sin(0.5 * np.pi * alpha))
        for i in range(n):
            w = omega[i]
            if kind == R:
                z = complex(first, 0.0)
                real[at, i] = first
                imaginary[at, i] = 0.0
            elif kind == L:
                z = complex(0.0, w * first)
                real[at, i] = 0.0
                imaginary[at, i] = z.imag
            elif kind == C:
                z = complex(0.0, -1.0 / (w * first))
                real[at, i] = 0.0
                imaginary[at, i] = -z.imag
            elif kind == W:
                size = first / np.sqrt(w)
                z = complex(size, -size)
                real[at, i] = size
                imaginary[at, i] = -size
            elif kind == RC:
                y = complex(0.0, w * np.exp(theta[at + 1]))
                z = first / (1.0 + y)
                by_tau = -z * y / (1.0 + y)
                real[at, i] = z.real
                imaginary[at, i] = z.imag
                real[at + 1, i] = by_tau.real
                imaginary[at + 1, i] = by_tau.imag
            elif kind == ZARC:
                log_x = np.log(w) + theta[at + 1]
                y = np.exp(alpha * log_x) * turn
                z = first / (1.0 + y)
                common = -z * y / (1.0 + y)
                by_alpha = common * complex(log_x, 0.5 * np.pi) * slope
                real[at, i] = z.real
                imaginary[at, i] = z.imag
                real[at + 1, i] = alpha * common.real
                imaginary[at + 1, i] = alpha * common.imag
                real[at + 2, i] = by_alpha.real
                imaginary[at + 2, i] = by_alpha.imag
            else:
                log_w = np.log(w)
                z = 1.0 / (first * np.exp(alpha * log_w) * turn)
                by_alpha = -z * complex(log_w, 0.5 * np.pi) * slope
                real[at, i] = -z.real
                imaginary[at, i] = -z.imag
                real[at + 1, i] = by_alpha.real
                imaginary[at + 1, i] = by_alpha.imag
            fit_re[i] += z.real
            fit_im[i] += z.imag
        at += 3 if kind == ZARC else 2 if kind == RC or kind == CPE else 1
    total = 0.0
    for i in range(n):
        off_re = fit_re[i] - re[i]
        off_im = fit_im[i] - im[i]
        size = re[i] * re[i] + im[i] * im[i]
        total += (off_re * off_re + off_im * off_im) / size
    return total


# Numba has no types of its own.
_FITTED = types.Tuple((float64[::1], float64[:, ::1], float64[::1]))  # type: ignore[no-untyped-call]


@kernel(_FITTED(F8, F8, F8, I8, F8, F8, F8))
def fit_circuit(
    omega: Floats,
    re: Floats,
    im: Floats,
    kinds: Ints,
    start: Floats,
    least: Floats,
    most: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return the parameters that describe a spectrum best, by Levenberg-Marquardt.

    Each point is weighted by its magnitude, so that relative residuals count.

    Parameters
    ----------
    omega : (n,) rad/s, positive
    re, im : (n,) ohm, not both 0
    kinds : (k,) elements in series
    start : (p,) unbounded parameters
    least, most : (p,) bounds on them

    Returns
    -------
    theta : (p,) the parameters
    inverse : (p, p) inverse of the normal matrix: times the mean square of the
        weighted residuals it is the covariance of theta; NaN where the data do not
        determine the parameters
    facts : (2,) weighted sum of squares, steps taken
    """
    n = omega.size
    p = start.size
    theta = start.copy()
    trial = np.empty(p)
    real = np.empty((p, n))
    imaginary = np.empty((p, n))
    fit_re = np.empty(n)
    fit_im = np.empty(n)
    normal = np.empty((p, p))
    damped = np.empty((p, p))
    gradient = np.empty(p)
    inverse = np.full((p, p), np.nan)
    facts = np.empty(2)
    weight = np.empty(n)
    for i in range(n):
        weight[i] = 1.0 / (re[i] * re[i] + im[i] * im[i])
    for j in range(p):
        theta[j] = min(max(theta[j], least[j]), most[j])
    best = evaluate(omega, re, im, kinds, theta, real, imaginary, fit_re, fit_im)
    damping = 1e-2
    steps = 0
    stale = True
    while steps < _MOST_STEPS:
        steps += 1
        if stale:
            for j in range(p):
                total = 0.0
                for i in range(n):
                    total += weight[i] * (
                        real[j, i] * (re[i] - fit_re[i])
                        + imaginary[j, i] * (im[i] - fit_im[i])
                    )
                gradient[j] = total
                for k in range(j + 1):
                    total = 0.0
                    for i in range(n):
                        total += weight[i] * (
                            real[j, i] * real[k, i] + imaginary[j, i] * imaginary[k, i]
                        )
                    normal[j, k] = total
            stale = False
        for j in range(p):
            for k in range(j + 1):
                damped[j, k] = normal[j, k]
            damped[j, j] += damping * max(normal[j, j], 1e-12)
            trial[j] = gradient[j]
        if factorise(damped, p) == 0:
            damping *= 10.0
            if damping > 1e12:
                break
            continue
        substitute(damped, p, trial)
        for j in range(p):
            move = min(max(trial[j], -_LARGEST_STEP), _LARGEST_STEP)
            trial[j] = min(max(theta[j] + move, least[j]), most[j])
        found = evaluate(omega, re, im, kinds, trial, real, imaginary, fit_re, fit_im)
        if found < best:
            gain = best - found
            best = found
            for j in range(p):
                theta[j] = trial[j]
            stale = True
            damping = max(damping * 0.2, 1e-12)
            if gain <= _SMALLEST_GAIN * best:
                break
        else:
            damping *= 5.0
            if damping > 1e8:
                break
    best = evaluate(omega, re, im, kinds, theta, real, imaginary, fit_re, fit_im)
    for j in range(p):
        for k in range(j + 1):
            total = 0.0
            for i in range(n):
                total += weight[i] * (
                    real[j, i] * real[k, i] + imaginary[j, i] * imaginary[k, i]
                )
            damped[j, k] = total
    if factorise(damped, p) == 1:
        invert(damped, p, inverse)
    facts[0] = best
    facts[1] = steps
    return theta, inverse, facts
