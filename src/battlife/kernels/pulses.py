"""Resistance of current steps at stated times."""

from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import (
    F8,
    I8,
    boolean,
    float64,
    int64,
    kernel,
    types,
)
from battlife.kernels.interpolate import value_at

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FOUND, TOO_SHORT, TOO_COARSE, MISSING, WRONG_SIGN = 0, 1, 2, 3, 4
"""What came of a step; only FOUND has a value."""

_WIDTH: Final = 12.0**0.5
"""Width of a rectangle over its standard uncertainty."""

# Numba has no types of its own.
_ONE = types.Tuple((int64, float64, float64, float64, int64))  # type: ignore[no-untyped-call]


@kernel(_ONE(F8, F8, F8, int64, int64, int64, float64, float64, float64, float64))
def step_resistance(
    time_s: Floats,
    current_a: Floats,
    voltage_v: Floats,
    before: int,
    first: int,
    stop: int,
    on_s: float,
    u_on_s: float,
    t: float,
    finest: float,
) -> tuple[int, float, float, float, int]:
    """Return the change of voltage over that of current, t after a step.

    Parameters
    ----------
    time_s, current_a, voltage_v : (n,) s, A, V
    before : last sample of the rest
    first, stop : half-open range of samples under load
    on_s, u_on_s : s, when the load came on, and its standard uncertainty
    t : s after that
    finest : largest spacing of samples around t, as a share of t

    Returns
    -------
    outcome : FOUND, TOO_SHORT, TOO_COARSE, MISSING or WRONG_SIGN
    ohm : NaN unless found
    step_a : A, change of the current
    slope_v_per_s : V/s, of the voltage around the moment
    used : sample after the last one used
    """
    last_s = time_s[stop - 1]
    at = on_s + t
    # A pulse of exactly t whose load-on is known to an interval is long enough.
    if at > last_s + 0.5 * u_on_s * _WIDTH + 1e-6:
        return TOO_SHORT, np.nan, np.nan, np.nan, first
    at = min(at, last_s)
    low = first
    high = stop
    while low < high:
        middle = (low + high) // 2
        if time_s[middle] < at:
            low = middle + 1
        else:
            high = middle
    after = low
    if after == first:
        return TOO_COARSE, np.nan, np.nan, np.nan, first
    gap_s = time_s[after] - time_s[after - 1]
    if gap_s > finest * t or u_on_s * _WIDTH > t:
        return TOO_COARSE, np.nan, np.nan, np.nan, first
    dv = value_at(time_s, voltage_v, first, stop, at) - voltage_v[before]
    di = value_at(time_s, current_a, first, stop, at) - current_a[before]
    ohm = dv / di if di != 0 else np.nan
    if not np.isfinite(ohm):
        return MISSING, np.nan, np.nan, np.nan, first
    if ohm <= 0:
        return WRONG_SIGN, np.nan, np.nan, np.nan, first
    slope = (voltage_v[after] - voltage_v[after - 1]) / max(gap_s, 1e-9)
    return FOUND, ohm, di, slope, after + 1


@kernel(float64[:, ::1](F8, F8, F8, I8, I8, I8, F8, F8, F8, float64))
def pulse_resistances(
    time_s: Floats,
    current_a: Floats,
    voltage_v: Floats,
    before: Ints,
    first: Ints,
    stop: Ints,
    on_s: Floats,
    u_on_s: Floats,
    times_s: Floats,
    finest: float,
) -> Floats:
    """Return (m, k) ohm of m pulses at k times; NaN where a pulse does not give it.

    Parameters
    ----------
    time_s, current_a, voltage_v : (n,) s, A, V
    before, first, stop : (m,) samples as :func:`step_resistance` takes them
    on_s, u_on_s : (m,) s
    times_s : (k,) s
    finest : largest spacing of samples around a time, as a share of it
    """
    ohm = np.empty((before.size, times_s.size))
    for m in range(before.size):
        for k in range(times_s.size):
            found = step_resistance(
                time_s,
                current_a,
                voltage_v,
                before[m],
                first[m],
                stop[m],
                on_s[m],
                u_on_s[m],
                times_s[k],
                finest,
            )
            ohm[m, k] = found[1]
    return ohm


@kernel(types.Array(boolean, 1, "C")(F8, F8, F8, I8, I8, I8, float64, F8))
def leading_voltages(
    time_s: Floats,
    current_a: Floats,
    voltage_v: Floats,
    start: Ints,
    before: Ints,
    first: Ints,
    idle_a: float,
    limits: Floats,
) -> npt.NDArray[np.bool_]:
    """Return (m,) whether the last voltage of a rest is one under load already.

    The move of the last one or two samples of the rest, less what the rest moved by
    before, is then more than a share of the step to the first voltage under load, and
    more than the scatter of those moves. A row twice in the record is one moment.

    Parameters
    ----------
    time_s, current_a, voltage_v : (n,) s, A, V
    start, before, first : (m,) samples: of the segment, the last of the rest, the
        first under load
    idle_a : A below which it rests
    limits : (5,) least share of the step; most s of the move; least multiple of the
        scatter; least move in V; samples looked at before the last
    """
    share, within_s, multiple, least_v = limits[0], limits[1], limits[2], limits[3]
    most = int(limits[4])
    time = np.empty(most + 1)
    volt = np.empty(most + 1)
    found = np.zeros(before.size, dtype=np.bool_)
    for m in range(before.size):
        k = before[m]
        begin = max(start[m], k - most)
        for j in range(begin, k + 1):
            if not abs(current_a[j]) < idle_a:
                begin = j + 1
        size = 0
        for j in range(begin, k + 1):
            # Negated, so that a missing voltage is a moment of its own.
            same = j < k and not (
                time_s[j + 1] > time_s[j] or voltage_v[j + 1] != voltage_v[j]
            )
            if not same:
                time[size] = time_s[j]
                volt[size] = voltage_v[j]
                size += 1
        for n in range(1, 3):
            if size <= n or time[size - 1] - time[size - 1 - n] > within_s:
                continue
            count = 0
            total = 0.0
            squares = 0.0
            usual = 0.0
            for j in range(size - 1 - n):
                move = volt[j + 1] - volt[j]
                if np.isfinite(move):
                    count += 1
                    total += move
                    squares += move * move
                    usual = n * move
            scatter = 0.0
            if count:
                mean = total / count
                scatter = np.sqrt(n * max(squares / count - mean * mean, 0.0))
            step = voltage_v[first[m]] - volt[size - 1 - n]
            beyond = (volt[size - 1] - volt[size - 1 - n] - usual) * np.sign(step)
            if beyond > max(share * abs(step), least_v, multiple * scatter):
                found[m] = True
    return found
