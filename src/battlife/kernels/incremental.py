"""Charge per voltage bin, mean voltage per charge bin, smoothing and peaks.

The charge a cell takes between two samples is spread evenly over the voltages between
them. Every bin then holds exactly the charge that passed while the voltage was inside
it, whatever the noise: a voltage that goes back adds to the bins it goes back through,
and the sum over all bins is the charge of the record. Counting samples per voltage
level is the same for constant current and sampling (Feng et al., eTransportation 3,
2020, 100051, doi 10.1016/j.etran.2020.100051).
"""

import math

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, boolean, float64, int64, kernel, tuple_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BLOCK = 64
_STEADY = 16
"""Samples looked at together, after so many that stayed in their bin one by one."""
_REACH = 4.0
"""Standard deviations after which a Gaussian weight is left out: 3e-4 of its top."""


@kernel(boolean(F8, float64, float64))
def _all_within(values: Floats, low: float, high: float) -> bool:
    """Say whether every value is in [low, high); counting lets the processor pair."""
    count = 0
    for k in range(values.size):
        count += (values[k] >= low) & (values[k] < high)
    return count == values.size


@kernel(int64(float64, float64, float64, int64))
def _bin_of(value: float, first: float, per_unit: float, n: int) -> int:
    """Return the bin of a value: -1 below the first, n above the last."""
    at = (value - first) * per_unit
    if not at >= 0.0:
        return -1
    if at >= n:
        return n
    return int(at)


@kernel(float64[::1](F8, F8, int64, int64, float64, float64, int64))
def charge_per_bin(
    voltage_v: Floats,
    charge_ah: Floats,
    start: int,
    stop: int,
    first_v: float,
    step_v: float,
    n_bins: int,
) -> Floats:
    """Return the charge that passed in each bin of voltage, unsigned.

    Parameters
    ----------
    voltage_v : (n,) V, in any order; a missing one ends what goes before it
    charge_ah : (n,) Ah, running sum in one direction
    start, stop : half-open range of samples
    first_v : V, lower edge of the first bin
    step_v : V, width of a bin, above 0
    n_bins : number m of bins

    Returns
    -------
    (m,) Ah; divided by step_v it is dQ/dV. NaN where a charge is NaN.
    """
    result = np.zeros(max(n_bins, 0))
    per_unit = 1.0 / step_v
    inside = False
    at = 0
    low = 0.0
    high = 0.0
    entered = 0.0
    k = start
    while k < stop:
        if inside:
            # Almost every sample stays in the bin of the one before; a few that did
            # make it likely for a whole block.
            steady = min(k + _STEADY, stop)
            while k < steady and voltage_v[k] >= low and voltage_v[k] < high:
                k += 1
            while (
                k >= steady
                and k + _BLOCK <= stop
                and _all_within(voltage_v[k : k + _BLOCK], low, high)
            ):
                k += _BLOCK
            while k < stop and voltage_v[k] >= low and voltage_v[k] < high:
                k += 1
            if k == stop:
                break
        v = voltage_v[k]
        if v != v:
            if inside and 0 <= at < n_bins:
                result[at] += abs(charge_ah[k - 1] - entered)
            inside = False
            k += 1
            continue
        goal = _bin_of(v, first_v, per_unit, n_bins)
        if inside:
            before = voltage_v[k - 1]
            charge = charge_ah[k - 1]
            slope = (charge_ah[k] - charge) / (v - before)
            way = 1 if v > before else -1
            while at != goal:
                edge = high if way > 0 else low
                crossed = charge + slope * (edge - before)
                if 0 <= at < n_bins:
                    result[at] += abs(crossed - entered)
                entered = crossed
                at += way
                low = first_v + at * step_v
                high = first_v + (at + 1) * step_v
        else:
            at = goal
            entered = charge_ah[k]
            inside = True
        low = first_v + at * step_v
        high = first_v + (at + 1) * step_v
        # The edges as computed may exclude a value that rounding put into the bin.
        if at < 0:
            low = -np.inf
        elif v < low:
            low = v
        if at >= n_bins:
            high = np.inf
        elif v >= high:
            high = np.nextafter(v, np.inf)
        k += 1
    if inside and 0 <= at < n_bins and stop > start:
        result[at] += abs(charge_ah[stop - 1] - entered)
    return result


@kernel(float64[::1](F8, F8, int64, int64, float64, float64, int64))
def mean_per_bin(
    x: Floats,
    y: Floats,
    start: int,
    stop: int,
    first: float,
    step: float,
    n_bins: int,
) -> Floats:
    """Return the mean of y, linear between samples, over each bin of x.

    Parameters
    ----------
    x : (n,) not decreasing between start and stop, in any unit
    y : (n,) any unit
    start, stop : half-open range of samples
    first, step : lower edge of the first bin and width of a bin, in the unit of x
    n_bins : number m of bins

    Returns
    -------
    (m,) in the unit of y; NaN in a bin the samples do not cover whole.
    """
    total = np.zeros(max(n_bins, 0))
    covered = np.zeros(max(n_bins, 0))
    per_unit = 1.0 / step
    for k in range(start + 1, stop):
        a = x[k - 1]
        b = x[k]
        if not b > a:
            continue
        slope = (y[k] - y[k - 1]) / (b - a)
        at = _bin_of(a, first, per_unit, n_bins)
        last = _bin_of(b, first, per_unit, n_bins)
        left = a
        while at <= last:
            right = b
            if at < last:
                right = first + (at + 1) * step
            if 0 <= at < n_bins and right > left:
                middle = 0.5 * (left + right)
                total[at] += (right - left) * (y[k - 1] + slope * (middle - a))
                covered[at] += right - left
            left = right
            at += 1
    for j in range(total.size):
        if covered[j] >= step * (1.0 - 1e-6):
            total[j] /= covered[j]
        else:
            total[j] = np.nan
    return total


@kernel(float64[::1](F8, float64))
def smoothed(values: Floats, sd: float) -> Floats:
    """Return the mean of each value's surroundings with Gaussian weights.

    Parameters
    ----------
    values : (n,) at equal distances; what is NaN has no weight
    sd : standard deviation of the weights in distances, above 0

    Returns
    -------
    (n,) in the unit of the values; NaN where nothing is within reach.
    """
    n = values.size
    reach = int(math.ceil(_REACH * sd))
    weights = np.empty(reach + 1)
    for j in range(reach + 1):
        weights[j] = math.exp(-0.5 * (j / sd) ** 2)
    result = np.empty(n)
    for k in range(n):
        total = 0.0
        weight = 0.0
        for j in range(max(k - reach, 0), min(k + reach + 1, n)):
            if values[j] == values[j]:
                w = weights[abs(j - k)]
                total += w * values[j]
                weight += w
        result[k] = total / weight
    return result


@kernel(float64[::1](F8, float64, float64))
def smoothed_slope(values: Floats, sd: float, step: float) -> Floats:
    """Return the slope at each value: of the line fitted with Gaussian weights.

    Far from the ends it is the derivative of :func:`smoothed`; at the ends, unlike
    that, it does not lean toward zero.

    Parameters
    ----------
    values : (n,) at equal distances; what is NaN has no weight
    sd : standard deviation of the weights in distances, above 0
    step : distance in any unit

    Returns
    -------
    (n,) unit of the values per unit of step; NaN where fewer than two are in reach.
    """
    n = values.size
    reach = int(math.ceil(_REACH * sd))
    weights = np.empty(reach + 1)
    for j in range(reach + 1):
        weights[j] = math.exp(-0.5 * (j / sd) ** 2)
    result = np.full(n, np.nan)
    for k in range(n):
        s = sx = sy = sxx = sxy = 0.0
        for j in range(max(k - reach, 0), min(k + reach + 1, n)):
            if values[j] == values[j]:
                w = weights[abs(j - k)]
                x = float(j - k)
                s += w
                sx += w * x
                sy += w * values[j]
                sxx += w * x * x
                sxy += w * x * values[j]
        spread = s * sxx - sx * sx
        if spread > 1e-12 * s * s:
            result[k] = (s * sxy - sx * sy) / (spread * step)
    return result


@kernel(tuple_of(int64[::1], 3)(F8, F8))
def find_peaks(values: Floats, least: Floats) -> tuple[Ints, Ints, Ints]:
    """Return (top, left, right) of the peaks that stand out by their prominence.

    The prominence of a top is its height above the higher of the two lowest values
    on the way to a higher top or to the end. A top at either end is none.

    Parameters
    ----------
    values : (n,) any unit, no NaN
    least : (n,) prominence a top at that place must have, same unit

    Returns
    -------
    top : (m,) index of each peak
    left, right : (m,) index of the lowest value between a peak and its neighbour, or
        the end
    """
    n = values.size
    tops = np.empty(n, dtype=np.int64)
    count = 0
    for k in range(1, n - 1):
        if not (values[k] > values[k - 1] and values[k] >= values[k + 1]):
            continue
        # A flat top counts once, and only if it goes down on its far side.
        after = k + 1
        while after < n - 1 and values[after] == values[k]:
            after += 1
        if values[after] >= values[k]:
            continue
        low_left = values[k]
        for j in range(k - 1, -1, -1):
            if values[j] > values[k]:
                break
            low_left = min(low_left, values[j])
        low_right = values[k]
        for j in range(k + 1, n):
            if values[j] > values[k]:
                break
            low_right = min(low_right, values[j])
        if values[k] - max(low_left, low_right) >= least[k]:
            tops[count] = k
            count += 1
    left = np.empty(count, dtype=np.int64)
    right = np.empty(count, dtype=np.int64)
    for m in range(count):
        begin = tops[m - 1] if m > 0 else 0
        end = tops[m + 1] if m + 1 < count else n - 1
        left[m] = begin + np.argmin(values[begin : tops[m] + 1])
        right[m] = tops[m] + np.argmin(values[tops[m] : end + 1])
    return tops[:count].copy(), left, right
