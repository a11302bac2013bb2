"""Long rests of a trace, and the steady fall of voltage in them.

After a load the voltage relaxes. Over hours that goes with the logarithm of time or as
a last exponential; what self-discharge adds goes with time itself. Both shapes of the
relaxation are fitted beside a line, and how far their lines part is part of the
uncertainty.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.estimators._cells import solved
from battlife.estimators._scales import current_threshold, resolution
from battlife.kernels.steps import REST, find_steps
from battlife.model import Column, Trace

SKIPPED: Final = 1.0 / 6.0
"""Share of a rest after its load that is left out: the quick exponentials."""
SLOWEST: Final = 1.0 / 4.0
"""Time constant of the last exponential over the rest: a slower one looks like a line
within it, and no rest of this length can tell."""
FEWEST: Final = 48
"""Samples of a rest: six per block of the jackknife."""
ENTROPIC_V_PER_K: Final = 2e-4
"""Standard uncertainty of a cell's voltage per K at rest: entropy coefficients of the
common cells lie within +-0.5 mV/K, mostly within 0.2 (Viswanathan et al., J. Power
Sources 195 (2010) 3720)."""
UNKNOWN_K: Final = 2.0
"""Drift of an unmeasured temperature over a rest, standard uncertainty in K."""


@dataclass(frozen=True)
class Rest:
    """One rest of a trace.

    Attributes
    ----------
    segment : of the trace
    start, stop : half-open range of samples
    after_a : A, the load before it, positive for a charge; NaN if not seen
    """

    segment: int
    start: int
    stop: int
    after_a: float


@dataclass(frozen=True, eq=False)
class Decay:
    """The steady fall of each voltage in a rest.

    Attributes
    ----------
    fall : (m,) V/s, positive where the voltage falls
    u : (m,) V/s, standard uncertainty; scatter, step, shape of the relaxation
    u_scatter : (m,) V/s, the part of it that scatter and step make
    relaxing : (m,) V/s, what relaxation still adds to the fall in the last third
    level : (m,) V at the end
    hours : of the rest
    """

    fall: Column
    u: Column
    u_scatter: Column
    relaxing: Column
    level: Column
    hours: float


def find_rests(trace: Trace, least_hours: float) -> tuple[Rest, ...]:
    """Return the rests of at least so many hours, in order."""
    current = trace.column("current_a")
    threshold = current_threshold(current)
    found = []
    for index, span in enumerate(trace.segments()):
        first, kind = find_steps(current, span.start, span.stop, threshold)
        ends = [*first[1:].tolist(), span.stop]
        for k in range(len(first)):
            begin, end = int(first[k]), int(ends[k])
            if kind[k] != REST or end - begin < FEWEST:
                continue
            hours = float(trace.time_s[end - 1] - trace.time_s[begin]) / 3600.0
            if hours < least_hours:
                continue
            after = float(current[begin - 1]) if begin > span.start else float("nan")
            found.append(Rest(index, begin, end, after))
    return tuple(found)


def step_of(rows: Column, rest: Column) -> float:
    """Return the step of recorded voltages in V, 0 where nothing shows one.

    Parameters
    ----------
    rows : (m, n) V, the whole record
    rest : (m, k) V, the rest: a voltage that flips between two values steps by their
        distance
    """
    found = max((resolution(row) for row in rows[:8]), default=0.0)
    for row in rest[:8]:
        seen = np.unique(row[np.isfinite(row)])
        if seen.size == 2:
            found = max(found, float(seen[1] - seen[0]))
    return found


def decay_of(
    time_s: Column, values: Column, per_unit: float, step_v: float
) -> Decay | None:
    """Return the steady fall of voltages in a rest, None where nothing can be fitted.

    Parameters
    ----------
    time_s : (n,) s
    values : (m, n) V
    per_unit : cells in series behind each value
    step_v : V, of the recorder
    """
    span = float(time_s[-1] - time_s[0])
    since = time_s - time_s[0]
    used = since >= SKIPPED * span
    t, v = since[used], np.ascontiguousarray(values[:, used])
    known = np.isfinite(v).any(axis=0)
    t, v = t[known], np.ascontiguousarray(v[:, known])
    if t.size < FEWEST or not np.isfinite(v).any(axis=1).all():
        return None
    if step_v <= 0.0 and np.nanmax(np.ptp(v, axis=1), initial=0.0) == 0.0:
        return None
    base = np.nanmean(v, axis=1, keepdims=True)
    zero = np.zeros(t.size)
    shapes = {
        "logarithm": np.log(t / span),
        "exponential": np.exp(-t / (SLOWEST * span)),
    }
    fits = {}
    for name, shape in shapes.items():
        causes = {"time": t - t.mean(), "relaxing": shape - shape.mean()}
        fits[name] = (*solved(v - base, zero, causes), shape)
    line, u_line = solved(v - base, zero, {"time": t - t.mean()})
    falls = np.array([-fits[n][0]["time"] for n in shapes])
    scatter = np.array([fits[n][1]["time"] for n in shapes])
    late = t >= t[-1] - span / 3.0
    relaxing = np.array(
        [
            -fits[n][0]["relaxing"] * np.ptp(fits[n][2][late]) * _way(fits[n][2])
            / np.ptp(t[late])
            for n in shapes
        ]
    )  # fmt: skip
    # Where the relaxation is over, a line alone is right and far more certain.
    over = np.abs(fits["logarithm"][0]["relaxing"]) < 2.0 * np.maximum(
        fits["logarithm"][1]["relaxing"], 1e-9
    )
    alone = -line["time"]
    fall = np.where(over, alone, falls.mean(axis=0))
    u_shape = np.where(
        over,
        np.abs(relaxing).mean(axis=0),
        np.abs(falls[0] - falls[1]),
    )
    hidden = step_v / np.sqrt(6.0) / float(np.ptp(t))
    u_scatter = np.where(over, u_line["time"], scatter.max(axis=0))
    u = np.sqrt(u_scatter**2 + u_shape**2 + hidden**2)
    level = np.nanmedian(v[:, late], axis=1)
    return Decay(
        fall / per_unit,
        u / per_unit,
        np.hypot(u_scatter, hidden) / per_unit,
        np.where(over, 0.0, np.abs(relaxing).max(axis=0)) / per_unit,
        level / per_unit,
        span / 3600.0,
    )


def _way(shape: Column) -> float:
    """Return whether a shape rises (1) or falls (-1) with time."""
    return 1.0 if shape[-1] > shape[0] else -1.0


def temperature_part(degc: Column | None, time_s: Column) -> tuple[float, float | None]:
    """Return u of a fall in V/s from the temperature, and its mean in degC.

    Parameters
    ----------
    degc : (n,) degC of the unit in the rest, None if unknown
    time_s : (n,) s
    """
    span = max(float(time_s[-1] - time_s[0]), 1.0)
    known = np.isfinite(degc) if degc is not None else np.zeros(0, dtype=bool)
    if degc is None or np.count_nonzero(known) < 2:
        return ENTROPIC_V_PER_K * UNKNOWN_K / span, None
    used = known & (time_s - time_s[0] >= SKIPPED * span)
    t, k = time_s[used], degc[used]
    if k.size < 2:
        return ENTROPIC_V_PER_K * UNKNOWN_K / span, float(degc[known].mean())
    dt = t - t.mean()
    slope = float(np.sum(dt * (k - k.mean())) / max(float(np.sum(dt * dt)), 1e-9))
    return ENTROPIC_V_PER_K * abs(slope), float(k.mean())
