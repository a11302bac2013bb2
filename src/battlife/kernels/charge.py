"""Charge and energy by trapezoid, charging and discharging kept apart.

Between two samples the current is taken as linear. Where it changes sign inside an
interval the interval is split at the zero crossing, exactly: with m = abs(a) + abs(b)
the integral of abs(i) over a step dt is dt (m/2 + min(a b, 0)/m), and the integral of
i is dt (a + b)/2; half their sum is what charged, half their difference what
discharged. For a pure discharge the two sums are the same floating-point numbers
with opposite sign, so the charge is exactly 0.

Work goes block by block. A block whose current never changes sign, the common case,
needs no division: its integral of abs(i) is the magnitude of its net. Four running
sums let the processor add side by side without changing the order of additions from
run to run: the same input gives the same bits.
"""

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, float64, int64, kernel, part_of_kernel, tuple_of

Floats = npt.NDArray[np.float64]

SECONDS_PER_HOUR = 3600.0
_TINY = 2.2250738585072014e-308  # smallest normal number: keeps 0/0 from being NaN
_BLOCK = 256  # intervals; a block of time, current and power fits the first cache
_PAIR = tuple_of(float64, 2)


@part_of_kernel
def _twice_net(t: Floats, i: Floats) -> float:
    """Return twice the trapezoid of i over t, (n,) each."""
    n = i.size - 1
    a = b = c = d = 0.0
    for group in range(n // 4):
        k = 4 * group
        a += (t[k + 1] - t[k]) * (i[k] + i[k + 1])
        b += (t[k + 2] - t[k + 1]) * (i[k + 1] + i[k + 2])
        c += (t[k + 3] - t[k + 2]) * (i[k + 2] + i[k + 3])
        d += (t[k + 4] - t[k + 3]) * (i[k + 3] + i[k + 4])
    for k in range(4 * (n // 4), n):
        a += (t[k + 1] - t[k]) * (i[k] + i[k + 1])
    return (a + b) + (c + d)


@part_of_kernel
def _twice_magnitude(t: Floats, i: Floats) -> float:
    """Return twice the integral of abs(i) over t, split at zero crossings."""
    n = i.size - 1
    a = b = c = d = 0.0
    for group in range(n // 4):
        k = 4 * group
        i0, i1, i2, i3, i4 = i[k], i[k + 1], i[k + 2], i[k + 3], i[k + 4]
        m0 = abs(i0) + abs(i1)
        m1 = abs(i1) + abs(i2)
        m2 = abs(i2) + abs(i3)
        m3 = abs(i3) + abs(i4)
        a += (t[k + 1] - t[k]) * (m0 + 2.0 * min(i0 * i1, 0.0) / (m0 + _TINY))
        b += (t[k + 2] - t[k + 1]) * (m1 + 2.0 * min(i1 * i2, 0.0) / (m1 + _TINY))
        c += (t[k + 3] - t[k + 2]) * (m2 + 2.0 * min(i2 * i3, 0.0) / (m2 + _TINY))
        d += (t[k + 4] - t[k + 3]) * (m3 + 2.0 * min(i3 * i4, 0.0) / (m3 + _TINY))
    for k in range(4 * (n // 4), n):
        m0 = abs(i[k]) + abs(i[k + 1])
        back = 2.0 * min(i[k] * i[k + 1], 0.0) / (m0 + _TINY)
        a += (t[k + 1] - t[k]) * (m0 + back)
    return (a + b) + (c + d)


@part_of_kernel
def _split(t: Floats, i: Floats) -> tuple[float, float]:
    """Return twice (net, magnitude) of one block."""
    positive = 0
    negative = 0
    for k in range(i.size):
        positive += i[k] > 0.0
        negative += i[k] < 0.0
    net = _twice_net(t, i)
    if positive == 0 or negative == 0:
        return net, abs(net)
    return net, _twice_magnitude(t, i)


@part_of_kernel
def _halves(net: float, magnitude: float) -> tuple[float, float]:
    """Return (charged, discharged) per hour from twice the net and the magnitude."""
    scale = 0.25 / SECONDS_PER_HOUR
    charged = (magnitude + net) * scale
    discharged = (magnitude - net) * scale
    # Rounding can leave less than nothing; a NaN compares false and stays.
    if charged < 0.0:
        charged = 0.0
    if discharged < 0.0:
        discharged = 0.0
    return charged, discharged


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
    net = 0.0
    magnitude = 0.0
    for begin in range(start, stop - 1, _BLOCK):
        end = min(begin + _BLOCK, stop - 1) + 1
        part = _split(time_s[begin:end], current_a[begin:end])
        net += part[0]
        magnitude += part[1]
    both: tuple[float, float] = _halves(net, magnitude)
    return both


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
    net = 0.0
    magnitude = 0.0
    power = np.empty(_BLOCK + 1)
    for begin in range(start, stop - 1, _BLOCK):
        end = min(begin + _BLOCK, stop - 1) + 1
        for k in range(end - begin):
            power[k] = current_a[begin + k] * voltage_v[begin + k]
        part = _split(time_s[begin:end], power[: end - begin])
        net += part[0]
        magnitude += part[1]
    both: tuple[float, float] = _halves(net, magnitude)
    return both


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
