"""Charge and energy by trapezoid, charging and discharging kept apart.

Between two samples the current is taken as linear. Where it changes sign inside an
interval the interval is split at the zero crossing, exactly: with m = abs(a) + abs(b)
the integral of abs(i) over a step dt is dt (m/2 + min(a b, 0)/m), and the integral of
i is dt (a + b)/2; half their sum is what charged, half their difference what
discharged. For a pure discharge the two sums are the same floating-point numbers
with opposite sign, so the charge is exactly 0.

Eight running sums are kept so that the processor can add in parallel without
changing the order of additions from run to run: the same input gives the same bits.
"""

import numpy as np
import numpy.typing as npt
from numba import float64, int64

from battlife.kernels._jit import F8, kernel, tuple_of

Floats = npt.NDArray[np.float64]

SECONDS_PER_HOUR = 3600.0
_TINY = 2.2250738585072014e-308  # smallest normal number: keeps 0/0 from being NaN
_PAIR = tuple_of(float64, 2)


@kernel(_PAIR(F8, F8, int64, int64))
def integrate_charge(
    time_s: Floats, current_a: Floats, start: int, stop: int
) -> tuple[float, float]:
    """Return (charged, discharged) in Ah over samples start..stop-1, both >= 0.

    Parameters
    ----------
    time_s : (n,) s, not decreasing between start and stop
    current_a : (n,) A, positive while charging
    start, stop : half-open range of samples; fewer than two give 0

    Returns
    -------
    Two floats in Ah; both NaN where any sample in the range is NaN.
    """
    net = np.zeros(8)
    both = np.zeros(8)
    last = stop - 1
    k = start
    while k + 8 <= last:
        for j in range(8):
            a = current_a[k + j]
            b = current_a[k + j + 1]
            half = 0.5 * (time_s[k + j + 1] - time_s[k + j])
            m = abs(a) + abs(b)
            product = a * b
            back = product if product < 0.0 else 0.0
            net[j] += half * (a + b)
            both[j] += half * (m + 2.0 * back / (m + _TINY))
        k += 8
    while k < last:
        a = current_a[k]
        b = current_a[k + 1]
        half = 0.5 * (time_s[k + 1] - time_s[k])
        m = abs(a) + abs(b)
        product = a * b
        back = product if product < 0.0 else 0.0
        net[0] += half * (a + b)
        both[0] += half * (m + 2.0 * back / (m + _TINY))
        k += 1
    total = 0.0
    signed = 0.0
    for j in range(8):
        total += both[j]
        signed += net[j]
    scale = 0.5 / SECONDS_PER_HOUR
    return (total + signed) * scale, (total - signed) * scale


@kernel(_PAIR(F8, F8, F8, int64, int64))
def integrate_energy(
    time_s: Floats, current_a: Floats, voltage_v: Floats, start: int, stop: int
) -> tuple[float, float]:
    """Return (charged, discharged) in Wh over samples start..stop-1, both >= 0.

    The power at the samples is taken as linear between them and split at its zero
    crossing as the current is in :func:`integrate_charge`.

    Parameters
    ----------
    time_s : (n,) s, not decreasing between start and stop
    current_a : (n,) A, positive while charging
    voltage_v : (n,) V
    start, stop : half-open range of samples; fewer than two give 0

    Returns
    -------
    Two floats in Wh; both NaN where any sample in the range is NaN.
    """
    signed = 0.0
    total = 0.0
    for k in range(start, stop - 1):
        a = current_a[k] * voltage_v[k]
        b = current_a[k + 1] * voltage_v[k + 1]
        half = 0.5 * (time_s[k + 1] - time_s[k])
        m = abs(a) + abs(b)
        product = a * b
        back = product if product < 0.0 else 0.0
        signed += half * (a + b)
        total += half * (m + 2.0 * back / (m + _TINY))
    scale = 0.5 / SECONDS_PER_HOUR
    return (total + signed) * scale, (total - signed) * scale


@kernel(float64[::1](F8, F8, int64, int64))
def cumulative_charge(
    time_s: Floats, current_a: Floats, start: int, stop: int
) -> Floats:
    """Return the net charge since `start` at each sample of start..stop-1.

    Parameters
    ----------
    time_s : (n,) s, not decreasing between start and stop
    current_a : (n,) A, positive while charging
    start, stop : half-open range of samples

    Returns
    -------
    (stop - start,) Ah, 0 at the first; NaN from the first missing current on.
    """
    result = np.zeros(max(stop - start, 0))
    charge = 0.0
    for k in range(start + 1, stop):
        mean = 0.5 * (current_a[k] + current_a[k - 1])
        charge += mean * (time_s[k] - time_s[k - 1])
        result[k - start] = charge / SECONDS_PER_HOUR
    return result
