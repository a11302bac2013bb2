"""Integrates current and power and holds them against the tester's own counters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.model import STEP_KINDS, Column, Notice, Severity, Trace

AGREE: Final = 0.02
"""Relative difference nobody is told of: a tester integrates faster than it logs."""
SUSPECT_BEYOND: Final = 0.05
"""Unexplained relative difference that forbids grading. Counters of sound testers
stay within 2 % of what the samples bracket; a scale error of 1.1 is beyond it."""
RESOLVED_COUNTS: Final = 20.0
"""Counter quanta a change must have before it says anything to 5 %."""
CURRENT_DECIMALS: Final = 3
"""Coarsest decimals a current is taken to have. A current held at exactly 5 A does
not mean that the tester resolves whole amperes, and none logs coarser than that
matters here: 0.01 A beside the 30 A of a large cell explains nothing."""
COUNTER_DECIMALS: Final = 2
FINEST_DECIMALS: Final = 7
SECONDS_PER_HOUR: Final = 3600.0

_SCALES: Final[tuple[tuple[float, str], ...]] = (
    (2.0, "current counted twice"),
    (0.5, "current halved"),
    (10.0, "current ten times too large"),
    (0.1, "current ten times too small"),
    (1e3, "milli-units read as base units, or the reverse"),
    (1e-3, "milli-units read as base units, or the reverse"),
    (3600.0, "time in hours read as seconds, or multiplied by 3600 twice"),
    (1 / 3600.0, "time in seconds read as hours, or ampere-seconds as ampere-hours"),
    (60.0, "time multiplied by 60: minutes or seconds"),
    (1 / 60.0, "time in minutes read as seconds"),
)

# counter -> (what it counts, +1 charge, -1 discharge, 0 both unsigned, None signed)
_COUNTERS: Final[Mapping[str, tuple[str, int | None]]] = {
    "charge_capacity_ah": ("Ah", 1),
    "discharge_capacity_ah": ("Ah", -1),
    "step_capacity_ah": ("Ah", 0),
    "net_capacity_ah": ("Ah", None),
    "charge_energy_wh": ("Wh", 1),
    "discharge_energy_wh": ("Wh", -1),
    "step_energy_wh": ("Wh", 0),
}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Comparison:
    """Totals of one counter and the integral beside it, in the counter's unit."""

    counter: float
    integral: float
    unexplained: float
    worst_share: float
    turned: bool


def counter_notices(trace: Trace) -> list[Notice]:
    """Return a notice for every counter the integral contradicts.

    Each half-cycle is compared on its own, so a section with another scale shows.
    The integral is bracketed by the smaller and the larger of neighbouring samples,
    widened by half a quantum of the current and one quantum of the counter. A
    difference inside that is explained by sampling and resolution (warning, the
    counter is the better figure); one outside is suspect.
    """
    if "current_a" not in trace.columns or trace.n_samples < 3:
        return []
    if trace.n_samples <= sum(len(s) for s in trace.spectra):
        return []  # samples of an alternating current do not add up to a charge
    notices: list[Notice] = []
    for name, (unit, direction) in _COUNTERS.items():
        if name not in trace.columns:
            continue
        if unit == "Wh" and "voltage_v" not in trace.columns:
            continue
        found = _compare(trace, name, unit, direction)
        if found is not None:
            notices.extend(_judged(name, unit, found))
    return notices


def step_notices(trace: Trace) -> list[Notice]:
    """Return notices on the capacities of a step table.

    A step with samples is integrated; its capacity may stop at a cut-off above the
    end (header ``vendor.capacity_cutoff_v``, else it is a lower bound). A step
    without samples whose current is constant is compared with current x duration.
    """
    steps = trace.steps
    if steps is None or not len(steps):
        return []
    totals: list[tuple[str, float, float, bool]] = []
    for kind, sign in (("charge", 1.0), ("discharge", -1.0)):
        name = f"{kind}_capacity_ah"
        stated = steps.column(name)
        of_kind = steps.kind == STEP_KINDS.index(kind)
        rows = np.flatnonzero(of_kind & (stated > 0))
        sampled = np.isfinite(steps.column("segment")[rows])
        totals.append((name, *_constant_steps(trace, rows[~sampled], name), False))
        totals.append((name, *_sampled_steps(trace, rows[sampled], name, sign)))
    notices: list[Notice] = []
    for name, counter, integral, bound in totals:
        if counter <= 0:
            continue
        ratio = integral / counter
        # Below the last cut-off a cell gives up to a third of its capacity more
        # (NASA's cells to 2.0 V: 27 %).
        high = 1.5 if bound else 1 + SUSPECT_BEYOND
        if not 1 - SUSPECT_BEYOND <= ratio <= high:
            notices.append(_suspect(name, "Ah", integral, counter))
    return notices


def quantum(values: Column, coarsest: int) -> float:
    """Return the decimal step all values are multiples of, 0 if there is none.

    A constant column has none, and one scaled after export has lost its own.

    Parameters
    ----------
    values : (n,)
    coarsest : decimals of the largest step considered
    """
    finite = values[np.isfinite(values)][:200_000]
    if not finite.size or finite.min() == finite.max():
        return 0.0
    slack = 1e-9 * max(1.0, float(np.abs(finite).max()))
    for decimals in range(coarsest, FINEST_DECIMALS + 1):
        if (np.abs(finite - np.round(finite, decimals)) <= slack).all():
            return float(10.0**-decimals)
    return 0.0


def _compare(
    trace: Trace, name: str, unit: str, direction: int | None
) -> _Comparison | None:
    current, counter = trace.columns["current_a"], trace.columns[name]
    flow, step = current, quantum(current, CURRENT_DECIMALS)
    if unit == "Wh":
        voltage = trace.columns["voltage_v"]
        flow = current * voltage
        step *= float(np.nanmax(np.abs(voltage))) if voltage.size else 0.0
    rows = np.flatnonzero(np.isfinite(flow) & np.isfinite(counter))
    if rows.size < 3:
        return None
    if float(np.abs(current[rows]).max()) < 1.5 * quantum(current, CURRENT_DECIMALS):
        return None  # a current that never leaves one quantum measures nothing
    flow, counter, time_s = flow[rows], counter[rows], trace.time_s[rows]
    segment = np.searchsorted(trace.segment_start, rows, side="right")
    way = _ways(current[rows])
    peak = float(np.abs(flow).max())
    if direction == 0:
        flow = np.abs(flow)
    elif direction is not None:
        flow = np.maximum(flow * direction, 0.0)
    grain = quantum(counter, COUNTER_DECIMALS)
    change = np.diff(counter)
    kept = np.diff(segment) == 0
    if direction is None:
        kept &= ~(
            (np.abs(counter[1:]) < 0.02 * np.abs(counter[:-1]))
            & (np.abs(counter[:-1]) > RESOLVED_COUNTS * grain)
        )
    else:
        kept &= change >= 0  # a counter that falls was reset
    hours = np.where(kept, np.diff(time_s), 0.0) / SECONDS_PER_HOUR
    change = np.where(kept, change, 0.0)
    a, b = flow[:-1], flow[1:]
    starts = np.flatnonzero(np.r_[True, (way[1:-1] != way[:-2]) | ~kept[1:]])
    sums = [
        np.add.reduceat(x, starts)
        for x in (
            change,
            (a + b) / 2 * hours,
            np.minimum(a, b) * hours,
            np.maximum(a, b) * hours,
            hours
            * _unresolved(current[rows], flow, quantum(current, CURRENT_DECIMALS)),
        )
    ]
    counted, mean, low, high, active = sums
    # Between two steps the current may do anything it does elsewhere, unseen.
    unseen = np.where(way[1:] != way[:-1], hours, 0.0) * peak
    slack = step * active + grain
    slack += np.add.reduceat(unseen, starts)
    reversed_ = direction is None and float((counted * mean).sum()) < 0
    if reversed_:
        counted = -counted
    outside = np.maximum(np.maximum(counted - high - slack, low - slack - counted), 0.0)
    size = np.maximum(np.abs(counted), np.abs(mean))
    total = float(size.sum())
    if total <= RESOLVED_COUNTS * max(grain, 1e-12):
        return None
    bad = (outside > SUSPECT_BEYOND * size) & (size > RESOLVED_COUNTS * grain)
    return _Comparison(
        counter=float(np.abs(counted).sum()),
        integral=float(np.abs(mean).sum()),
        unexplained=float(outside.sum()) / total,
        worst_share=float(size[bad].sum()) / total,
        turned=reversed_,
    )


def _unresolved(
    current_a: Floats, flow: Floats, step: float
) -> npt.NDArray[np.float64]:
    """Return, per interval, by how many quanta the mean current may be off.

    Half a quantum where the counter's current flows; a whole one where nothing is
    shown, since a tester that truncates shows 0 for all below it.
    """
    shown = np.abs(current_a) >= 1.5 * step
    quanta = np.where(shown, np.where(flow > 0, 0.5, 0.0), np.where(flow > 0, 0.5, 1.0))
    return np.asarray(np.maximum(quanta[:-1], quanta[1:]))


def _ways(current_a: Floats) -> npt.NDArray[np.int8]:
    """Return 1 charging, -1 discharging, 0 resting, per sample."""
    rest = 0.01 * float(np.abs(current_a).max())
    return (current_a > rest).astype(np.int8) - (current_a < -rest).astype(np.int8)


def _judged(name: str, unit: str, found: _Comparison) -> list[Notice]:
    notices: list[Notice] = []
    larger = max(found.counter, found.integral)
    apart = abs(found.integral - found.counter) / larger
    if found.turned:
        notices.append(
            Notice(
                "counter_turned",
                f"{name} falls while the current charges: the opposite of its "
                "convention here; the check of the current's sign stands alone",
            )
        )
    wrong = max(found.unexplained, found.worst_share)
    if wrong > SUSPECT_BEYOND and found.counter == 0.0:
        notices.append(
            Notice(
                "counter_silent",
                f"{name} stays 0 while the current integrates to "
                f"{found.integral:.6g} {unit}",
            )
        )
    elif wrong > SUSPECT_BEYOND:
        notices.append(_suspect(name, unit, found.integral, found.counter))
    elif wrong > AGREE or apart > SUSPECT_BEYOND:
        notices.append(
            Notice(
                _code(unit),
                f"{name} counts {found.counter:.6g} {unit}, the samples integrate to "
                f"{found.integral:.6g} {unit} ({apart:.1%} apart); their resolution "
                "and spacing allow it: trust the counter",
            )
        )
    return notices


def _suspect(name: str, unit: str, integral: float, counter: float) -> Notice:
    ratio = integral / counter
    meant = [
        what
        for scale, what in _SCALES
        if ratio > 0 and abs(ratio / scale - 1) < 0.5 * SUSPECT_BEYOND
    ]
    cause = meant[0] if meant else "scale or unit of the current, time or counter"
    return Notice(
        _code(unit),
        f"{name} counts {counter:.6g} {unit}, the samples integrate to "
        f"{integral:.6g} {unit}, {ratio:.4g} times that: {cause}?",
        Severity.SUSPECT,
    )


def _code(unit: str) -> str:
    kind = "capacity" if unit == "Ah" else "energy"
    return f"{kind}_counter_disagrees"


def _constant_steps(
    trace: Trace, rows: npt.NDArray[np.intp], name: str
) -> tuple[float, float]:
    assert trace.steps is not None
    first = np.abs(trace.steps.column("start_current_a")[rows])
    last = np.abs(trace.steps.column("end_current_a")[rows])
    hours = trace.steps.column("duration_s")[rows] / SECONDS_PER_HOUR
    stated = trace.steps.column(name)[rows]
    steady = (np.abs(first - last) <= 0.01 * last) & (hours > 0)
    return float(stated[steady].sum()), float((last * hours)[steady].sum())


def _sampled_steps(
    trace: Trace, rows: npt.NDArray[np.intp], name: str, sign: float
) -> tuple[float, float, bool]:
    assert trace.steps is not None
    if not {"current_a", "voltage_v"} <= set(trace.columns):
        return 0.0, 0.0, True
    stated = trace.steps.column(name)
    segments = trace.steps.column("segment")
    try:
        cutoff = float(trace.provenance.header.get("vendor.capacity_cutoff_v", "nan"))
    except ValueError:
        cutoff = float("nan")
    slices = trace.segments()
    counter = integral = 0.0
    for row in rows:
        index = int(segments[row])
        if not 0 <= index < len(slices):
            continue
        part = slices[index]
        flow = np.nan_to_num(np.maximum(trace.columns["current_a"][part] * sign, 0.0))
        time_s = trace.time_s[part]
        if sign < 0 and cutoff == cutoff:
            loaded = flow > 0.5 * flow.max() if flow.size else flow > 0
            begin = int(np.argmax(loaded)) if loaded.any() else 0
            voltage = trace.columns["voltage_v"][part]
            below = np.flatnonzero((voltage < cutoff) & (np.arange(flow.size) > begin))
            if below.size:
                flow, time_s = flow[: below[0] + 1], time_s[: below[0] + 1]
        if flow.size < 2:
            continue
        counter += float(stated[row])
        hours = np.diff(time_s) / SECONDS_PER_HOUR
        integral += float(((flow[:-1] + flow[1:]) / 2 * hours).sum())
    return counter, integral, not (sign < 0 and cutoff == cutoff)
