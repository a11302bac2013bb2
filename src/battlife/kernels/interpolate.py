"""Where a column crosses a limit, and what it is between two samples."""

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, float64, int64, kernel

Floats = npt.NDArray[np.float64]


@kernel(int64(F8, int64, int64, float64))
def first_below(values: Floats, start: int, stop: int, limit: float) -> int:
    """Return the first sample of start..stop-1 whose value is below `limit`.

    Parameters
    ----------
    values : (n,) any unit; NaN is never below
    start, stop : half-open range of samples
    limit : in the unit of the values

    Returns
    -------
    Index of the sample, -1 if there is none.
    """
    for k in range(start, stop):
        if values[k] < limit:
            return k
    return -1


@kernel(float64(F8, F8, int64, int64, float64))
def value_at(
    time_s: Floats, values: Floats, start: int, stop: int, at_s: float
) -> float:
    """Return the value at a moment, linear between the samples around it.

    Parameters
    ----------
    time_s : (n,) s, not decreasing between start and stop
    values : (n,) any unit
    start, stop : half-open range of samples
    at_s : s, on the same clock

    Returns
    -------
    The value; NaN outside the range or beside a missing sample. Of repeated stamps
    the last one before the moment counts.
    """
    if stop - start < 1 or not (time_s[start] <= at_s <= time_s[stop - 1]):
        return np.nan
    low = start
    high = stop - 1
    while high - low > 1:
        middle = (low + high) // 2
        if time_s[middle] <= at_s:
            low = middle
        else:
            high = middle
    if time_s[high] <= at_s:
        low = high
    if time_s[low] == at_s or low == stop - 1:
        return float(values[low])
    share = (at_s - time_s[low]) / (time_s[high] - time_s[low])
    return float(values[low] + share * (values[high] - values[low]))


@kernel(float64(F8, F8, int64, float64))
def crossing_time(time_s: Floats, values: Floats, after: int, limit: float) -> float:
    """Return when the value crossed `limit` between samples after-1 and after.

    Parameters
    ----------
    time_s : (n,) s
    values : (n,) any unit
    after : first sample on the far side of the limit, at least 1
    limit : in the unit of the values

    Returns
    -------
    s; NaN where the two samples do not enclose the limit.
    """
    a = values[after - 1]
    b = values[after]
    if not ((a - limit) * (b - limit) <= 0.0) or a == b:
        return np.nan
    share = (limit - a) / (b - a)
    return float(time_s[after - 1] + share * (time_s[after] - time_s[after - 1]))
