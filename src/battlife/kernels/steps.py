"""Steps and half-cycles found in the current alone, on any sampling."""

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, float64, int64, kernel, part_of_kernel, tuple_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REST, CHARGE, DISCHARGE, UNKNOWN = 0, 1, 2, 4
"""What a step does; the numbers are those of battlife's step kinds."""

_RUNS = tuple_of(int64[::1], 2)
_HALVES = tuple_of(int64[::1], 3)


@kernel(_RUNS(F8, int64, int64, float64))
def find_steps(
    current_a: Floats, start: int, stop: int, threshold_a: float
) -> tuple[Ints, Ints]:
    """Return (first sample, kind) of each run of rest, charge or discharge.

    Parameters
    ----------
    current_a : (n,) A, positive while charging
    start, stop : half-open range of samples
    threshold_a : A; a current not above it in magnitude is rest

    Returns
    -------
    first : (m,) sample at which each run begins; it ends where the next begins
    kind : (m,) REST, CHARGE, DISCHARGE, or UNKNOWN where the current is NaN
    """
    count = 0
    before = -1
    for k in range(start, stop):
        i = current_a[k]
        now = REST
        if i > threshold_a:
            now = CHARGE
        elif i < -threshold_a:
            now = DISCHARGE
        elif i != i:
            now = UNKNOWN
        if now != before:
            count += 1
            before = now
    first = np.empty(count, dtype=np.int64)
    kind = np.empty(count, dtype=np.int64)
    count = 0
    before = -1
    for k in range(start, stop):
        i = current_a[k]
        now = REST
        if i > threshold_a:
            now = CHARGE
        elif i < -threshold_a:
            now = DISCHARGE
        elif i != i:
            now = UNKNOWN
        if now != before:
            first[count] = k
            kind[count] = now
            count += 1
            before = now
    return first, kind


@part_of_kernel
def _grown(values: Ints, capacity: int) -> Ints:
    """Return a copy with room for `capacity` entries."""
    result = np.empty(capacity, dtype=np.int64)
    result[: values.size] = values
    return result


@kernel(_HALVES(F8, F8, int64, int64, float64))
def find_half_cycles(
    time_s: Floats, current_a: Floats, start: int, stop: int, hysteresis_ah: float
) -> tuple[Ints, Ints, Ints]:
    """Return (first, last, direction) of each half-cycle of the net charge.

    A half-cycle ends at the extreme of the net charge, once the charge has come back
    from it by more than `hysteresis_ah`. A short pulse the other way, and any number
    of them that does not move the net charge, therefore does not split it. A missing
    current adds nothing.

    Parameters
    ----------
    time_s : (n,) s, not decreasing between start and stop
    current_a : (n,) A, positive while charging
    start, stop : half-open range of samples
    hysteresis_ah : Ah the net charge must come back before the direction counts

    Returns
    -------
    first, last : (m,) samples of the two extremes; consecutive half-cycles share one
    direction : (m,) +1 charges, -1 discharges
    """
    capacity = 16
    first = np.empty(capacity, dtype=np.int64)
    last = np.empty(capacity, dtype=np.int64)
    direction = np.empty(capacity, dtype=np.int64)
    count = 0
    swing = hysteresis_ah * 3600.0
    charge = 0.0
    low = 0.0
    high = 0.0
    low_at = start
    high_at = start
    going = 0
    begun = start
    for k in range(start + 1, stop):
        step = 0.5 * (current_a[k] + current_a[k - 1]) * (time_s[k] - time_s[k - 1])
        if step == step:
            charge += step
        if charge > high:
            high = charge
            high_at = k
        if charge < low:
            low = charge
            low_at = k
        turned = 0
        if going >= 0 and high - charge > swing:
            turned = -1
        elif going <= 0 and charge - low > swing:
            turned = 1
        if turned != 0:
            extreme = high_at if turned < 0 else low_at
            if going != 0:
                if count == capacity:
                    capacity *= 2
                    first = _grown(first, capacity)
                    last = _grown(last, capacity)
                    direction = _grown(direction, capacity)
                first[count] = begun
                last[count] = extreme
                direction[count] = going
                count += 1
            begun = extreme
            going = turned
            low = charge
            low_at = k
            high = charge
            high_at = k
    if going != 0:
        if count == capacity:
            capacity += 1
            first = _grown(first, capacity)
            last = _grown(last, capacity)
            direction = _grown(direction, capacity)
        first[count] = begun
        last[count] = high_at if going > 0 else low_at
        direction[count] = going
        count += 1
    return first[:count].copy(), last[:count].copy(), direction[:count].copy()
