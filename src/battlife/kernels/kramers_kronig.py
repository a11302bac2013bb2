"""Linear Kramers-Kronig test of an impedance spectrum.

A sum of relaxations obeys the Kramers-Kronig relations by construction: what it
cannot describe does not belong to a linear, causal, steady system.

References
----------
Boukamp, J. Electrochem. Soc. 142 (1995) 1885, doi 10.1149/1.2044210.
Schoenleber, Klotz, Ivers-Tiffee, Electrochim. Acta 131 (2014) 20,
doi 10.1016/j.electacta.2014.01.034, equations 2 to 7.
"""

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, float64, int64, kernel, tuple_of
from battlife.kernels.solving import least_squares

Floats = npt.NDArray[np.float64]


@kernel(tuple_of(float64[::1], 3)(F8, F8, F8, int64, int64, float64))
def linear_kk(
    omega: Floats, re: Floats, im: Floats, fewest: int, most: int, mu_limit: float
) -> tuple[Floats, Floats, Floats]:
    """Return the description of a spectrum that obeys Kramers-Kronig.

    The number of relaxations, spaced evenly in the logarithm of time between the
    inverse of the highest and of the lowest frequency, grows from `fewest` until mu,
    1 - (sum of the negative)/(sum of the positive resistances), is not above
    `mu_limit`. A resistance, an inductance and a capacitance stand in series.
    Relative residuals count: each point is weighted by its magnitude.

    Parameters
    ----------
    omega : (n,) rad/s, positive
    re, im : (n,) ohm, not both 0
    fewest, most : relaxations, 2 <= fewest <= most <= 2 n - 3
    mu_limit : 0.85 after Schoenleber

    Returns
    -------
    fit_re, fit_im : (n,) ohm
    facts : (2,) mu, number of relaxations
    """
    n = omega.size
    fit_re = np.full(n, np.nan)
    fit_im = np.full(n, np.nan)
    facts = np.full(2, np.nan)
    if n < 3 or fewest < 2 or most > 2 * n - 3:
        return fit_re, fit_im, facts
    slowest = omega[0]
    fastest = omega[0]
    weight = np.empty(n)
    for i in range(n):
        slowest = min(slowest, omega[i])
        fastest = max(fastest, omega[i])
        weight[i] = 1.0 / np.sqrt(re[i] * re[i] + im[i] * im[i])
    begin = np.log(1.0 / fastest)
    width = np.log(fastest / slowest)
    columns = np.empty((most + 3, 2 * n))
    target = np.empty(2 * n)
    tau = np.empty(most)
    for m in range(fewest, most + 1):
        for k in range(m):
            tau[k] = np.exp(begin + width * k / (m - 1))
        for i in range(n):
            w = weight[i]
            columns[0, i] = w
            columns[0, n + i] = 0.0
            columns[1, i] = 0.0
            columns[1, n + i] = w * omega[i] / fastest
            columns[2, i] = 0.0
            columns[2, n + i] = -w * slowest / omega[i]
            target[i] = w * re[i]
            target[n + i] = w * im[i]
        for k in range(m):
            for i in range(n):
                x = omega[i] * tau[k]
                part = weight[i] / (1.0 + x * x)
                columns[3 + k, i] = part
                columns[3 + k, n + i] = -x * part
        found = least_squares(columns[: m + 3], target)
        positive = 0.0
        negative = 0.0
        for k in range(m):
            if found[3 + k] < 0.0:
                negative -= found[3 + k]
            else:
                positive += found[3 + k]
        mu = 1.0 - negative / positive if positive > 0.0 else -np.inf
        facts[0] = mu
        facts[1] = m
        if mu <= mu_limit or m == most:
            for i in range(n):
                real = found[0]
                imaginary = (
                    found[1] * omega[i] / fastest - found[2] * slowest / omega[i]
                )
                for k in range(m):
                    x = omega[i] * tau[k]
                    part = found[3 + k] / (1.0 + x * x)
                    real += part
                    imaginary -= x * part
                fit_re[i] = real
                fit_im[i] = imaginary
            return fit_re, fit_im, facts
    return fit_re, fit_im, facts
