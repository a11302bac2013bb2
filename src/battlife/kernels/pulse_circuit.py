"""Resistances and RC pairs of one current pulse and the rest after it.

The voltage is that of the rest before, plus R0 i, plus R_k x_k, where x_k follows the
current by tau_k x_k' = i - x_k, plus a slope times the charge moved: the open-circuit
voltage goes with the charge, and what relaxes more slowly than the record lasts cannot
be told from it. The resistances and the slope enter linearly and are not negative; only
the time constants are searched, on a grid that is refined around the best pair.

References
----------
Plett, Battery Management Systems, vol. 1, Artech House 2015, section 2.3 (the circuit).
Golub, Pereyra, SIAM J. Numer. Anal. 10 (1973) 413, doi 10.1137/0710036 (separation).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, float64, int64, kernel, types
from battlife.kernels.relaxation_times import not_negative
from battlife.kernels.solving import factorise, inner_product, invert

Floats = npt.NDArray[np.float64]

LINEAR: Final = 2
"""Unknowns before the RC pairs: R0 and the slope."""
_WIDE: Final = 13
"""Time constants of the first grid."""
_NARROW: Final = 5
"""Time constants around each of the best pair, on every finer grid."""
_LEVELS: Final = 9
"""Each grid has half the step of the one before: of three decades the steps end at a
thousandth of a decade, a fraction of any uncertainty."""
APART: Final = 3.0
"""Time constants nearer than this factor describe one relaxation twice."""


@kernel(int64(F8, F8, int64, float64, float64, float64, float64[::1], float64[::1]))
def respond(
    time_s: Floats,
    current_a: Floats,
    off: int,
    on_s: float,
    off_s: float,
    tau_s: float,
    answer: Floats,
    slope: Floats,
) -> int:
    """Write the answer of one RC pair of 1 ohm, and its derivative by ln(tau).

    Parameters
    ----------
    time_s, current_a : (m,) s, A; sample 0 is the last of the rest, 1 the first loaded
    off : first sample of the rest after, m if there is none
    on_s, off_s : moments at which the load came on and went off
    tau_s : s; infinite for the charge moved, in As
    answer, slope : (m,) written

    Returns
    -------
    Number of samples.
    """
    m = time_s.size
    endless = not tau_s < np.inf
    x = 0.0
    d = 0.0
    before = -1.0
    share = 0.0
    kept = 1.0
    answer[0] = 0.0
    slope[0] = 0.0
    for k in range(1, m):
        switch = time_s[k - 1]
        if k == 1:
            switch = on_s
        elif k == off:
            switch = off_s
        for half in range(2):
            if half == 0:
                span = switch - time_s[k - 1]
                i = current_a[k - 1]
            else:
                span = time_s[k] - switch
                steady = k == 1 or k == off
                i = current_a[k] if steady else 0.5 * (current_a[k - 1] + current_a[k])
            if not span > 0.0:
                continue
            if endless:
                x += i * span
                continue
            if span != before:  # most samples are evenly spaced
                before = span
                share = span / tau_s
                kept = np.exp(-share)
            d = kept * d + kept * share * (x - i)
            x = i + kept * (x - i)
        answer[k] = x
        slope[k] = d
    return m


# Numba has no types of its own.
_FITTED = types.Tuple(  # type: ignore[no-untyped-call]
    (float64[::1], float64[:, ::1], float64[::1], float64)
)


@kernel(_FITTED(F8, F8, F8, int64, float64, float64, float64, float64, int64))
def fit_pulse(
    time_s: Floats,
    current_a: Floats,
    voltage_v: Floats,
    off: int,
    on_s: float,
    off_s: float,
    fastest_s: float,
    slowest_s: float,
    pairs: int,
) -> tuple[Floats, Floats, Floats, float]:
    """Return the circuit of one pulse by least squares.

    Parameters
    ----------
    time_s, current_a, voltage_v : (m,) s, A, V; sample 0 is the last of the rest
    off : first sample of the rest after, m if there is none
    on_s, off_s : s, when the load came on and went off
    fastest_s, slowest_s : s between which the time constants are searched
    pairs : 1 or 2

    Returns
    -------
    values : (2 + 2 pairs,) R0 in ohm, slope in V/As, then R in ohm and tau in s of
        each pair, fast first; NaN where nothing fits
    inverse : (2 + 2 pairs, same) inverse of the normal matrix by R0, slope, and of
        each pair R and ln(tau); NaN where they are not determined
    fitted : (m,) V
    squares : V^2, sum of the squared residuals of samples 1 to m-1
    """
    m = time_s.size
    p = LINEAR + 2 * pairs
    values = np.full(p, np.nan)
    inverse = np.full((p, p), np.nan)
    fitted = np.full(m, np.nan)
    if m < p + 2 or not fastest_s < slowest_s:
        return values, inverse, fitted, np.nan
    width = LINEAR + max(_WIDE, 2 * _NARROW)
    rows = np.zeros((width, m))
    slope = np.empty(m)
    target = np.empty(m)
    for k in range(m):
        rows[0, k] = current_a[k] if k > 0 else 0.0
        target[k] = voltage_v[k] - voltage_v[0]
    respond(time_s, current_a, off, on_s, off_s, np.inf, rows[1], slope)
    total = inner_product(target, target, 0, m)
    tau = np.empty(width - LINEAR)
    gram = np.empty((width, width))
    vector = np.empty(width)
    part = np.empty((LINEAR + pairs, LINEAR + pairs))
    right = np.empty(LINEAR + pairs)
    scale = np.empty(LINEAR + pairs)
    nothing = np.zeros(LINEAR + pairs)
    at = np.empty(LINEAR + pairs, dtype=np.int64)
    best = np.inf
    chosen = np.full(pairs, np.nan)
    solution = np.zeros(LINEAR + pairs)
    step = np.log(slowest_s / fastest_s) / (_WIDE - 1)
    count = _WIDE
    for j in range(count):
        tau[j] = fastest_s * np.exp(step * j)
    for _ in range(_LEVELS):
        for j in range(count):
            respond(
                time_s, current_a, off, on_s, off_s, tau[j], rows[LINEAR + j], slope
            )
        for a in range(LINEAR + count):
            vector[a] = inner_product(rows[a], target, 0, m)
            for b in range(a + 1):
                gram[a, b] = inner_product(rows[a], rows[b], 0, m)
                gram[b, a] = gram[a, b]
        for first in range(count):
            last = count if pairs == 2 else first + 1
            for second in range(first, last):
                if pairs == 2 and not tau[second] >= APART * tau[first]:
                    continue
                at[0] = 0
                at[1] = 1
                at[LINEAR] = LINEAR + first
                at[LINEAR + pairs - 1] = LINEAR + second
                for a in range(LINEAR + pairs):
                    scale[a] = 1.0 / np.sqrt(max(gram[at[a], at[a]], 1e-300))
                for a in range(LINEAR + pairs):
                    right[a] = vector[at[a]] * scale[a]
                    for b in range(LINEAR + pairs):
                        part[a, b] = gram[at[a], at[b]] * scale[a] * scale[b]
                    part[a, a] += 1e-12
                found = not_negative(part, right, nothing, 1e-12 * np.sqrt(total))
                squares = total
                for a in range(LINEAR + pairs):
                    squares -= found[a] * right[a]
                if squares < best:
                    best = squares
                    chosen[0] = tau[first]
                    chosen[pairs - 1] = tau[second]
                    for a in range(LINEAR + pairs):
                        solution[a] = found[a] * scale[a]
        if not best < np.inf:
            return values, inverse, fitted, np.nan
        step *= 0.5
        count = 0
        for pair in range(pairs):
            for j in range(_NARROW):
                tau[count] = chosen[pair] * np.exp(step * (j - _NARROW // 2))
                tau[count] = min(max(tau[count], fastest_s), slowest_s)
                count += 1
        # The refined grid must rise, for the order of the pair.
        tau[:count] = np.sort(tau[:count])
    values[0] = solution[0]
    values[1] = solution[1]
    lines = np.empty((p, m))
    for k in range(m):
        lines[0, k] = rows[0, k]
        lines[1, k] = rows[1, k]
    for pair in range(pairs):
        ohm = solution[LINEAR + pair]
        values[LINEAR + 2 * pair] = ohm
        values[LINEAR + 2 * pair + 1] = chosen[pair]
        respond(
            time_s,
            current_a,
            off,
            on_s,
            off_s,
            chosen[pair],
            lines[LINEAR + 2 * pair],
            lines[LINEAR + 2 * pair + 1],
        )
        for k in range(m):
            lines[LINEAR + 2 * pair + 1, k] *= ohm
    squares = 0.0
    for k in range(m):
        v = values[0] * lines[0, k] + values[1] * lines[1, k]
        for pair in range(pairs):
            v += values[LINEAR + 2 * pair] * lines[LINEAR + 2 * pair, k]
        fitted[k] = voltage_v[0] + v
        squares += (target[k] - v) ** 2
    normal = np.empty((p, p))
    for a in range(p):
        for b in range(a + 1):
            normal[a, b] = inner_product(lines[a], lines[b], 0, m)
    # A slope or a pair of nothing is a bound, not a parameter: it has no spread.
    for a in range(1, p):
        held = a if a < LINEAR else LINEAR + 2 * ((a - LINEAR) // 2)
        if values[held] <= 0.0:
            for b in range(p):
                normal[max(a, b), min(a, b)] = 0.0
            normal[a, a] = 1e300
    if factorise(normal, p) == 1:
        invert(normal, p, inverse)
    return values, inverse, fitted, squares
