"""Where the discharges of a trace are, and the charge before each."""

from dataclasses import dataclass, replace

import numpy as np

from battlife.estimators._scales import current_threshold
from battlife.kernels.charge import cumulative_charge
from battlife.kernels.steps import find_half_cycles
from battlife.model import STEP_KINDS, Column, StepTable, Trace

HYSTERESIS = 0.02
"""Share of the largest half-cycle that the net charge must come back before the
direction counts. Test pulses move less: HPPC pulses of 10 to 30 s at 1C to 3C move
0.3 to 1.4 %, one period of a 0.05 Hz square wave 0.6 %."""


@dataclass(frozen=True)
class Discharge:
    """One discharge in the samples of a trace.

    Attributes
    ----------
    segment : index of its segment, None if it has no samples
    first, last : first and last loaded sample, -1 if there is no load
    before : the sample before `first`, None where the segment begins with load
    begin, end : half-open range of samples that belong to it, loaded or not
    own_step : True if the source says `before` belongs to the same step as `first`
    charges : half-open sample ranges of the charge since the discharge before
    charge_whole : True if that charge was seen from its beginning
    at_end : True if the load is still on at the last sample of the segment
    row : row of the step table, None if there is none
    """

    segment: int | None
    first: int
    last: int
    before: int | None
    begin: int
    end: int
    own_step: bool
    charges: tuple[tuple[int, int], ...]
    charge_whole: bool
    at_end: bool
    row: int | None = None


def find_discharges(trace: Trace) -> tuple[Discharge, ...]:
    """Return the discharges of a trace with samples, in order.

    Where the source keeps each of its operations in a segment of its own (NASA), its
    discharges are those operations, empty ones included. Elsewhere they are the
    half-cycles of the net charge within each segment.
    """
    threshold = current_threshold(trace.column("current_a"))
    steps = trace.steps
    if steps is not None and one_segment_each(steps):
        return _from_operations(trace, steps, threshold)
    return _from_samples(trace, threshold)


def one_segment_each(steps: StepTable) -> bool:
    """Say whether every step with samples has a segment to itself."""
    segment = steps.column("segment")
    given = segment[np.isfinite(segment)]
    return bool(given.size) and np.unique(given).size == given.size


def _from_operations(
    trace: Trace, steps: StepTable, threshold: float
) -> tuple[Discharge, ...]:
    current = trace.column("current_a")
    slices = trace.segments()
    segment = steps.column("segment")
    found: list[Discharge] = []
    charges: list[tuple[int, int]] = []
    charged_since = False
    for row in range(len(steps)):
        kind = STEP_KINDS[int(steps.kind[row])]
        index = int(segment[row]) if np.isfinite(segment[row]) else None
        span = slices[index] if index is not None and index < len(slices) else None
        if kind == "charge" and span is not None:
            charges.append((span.start, span.stop))
            charged_since = True
        if kind != "discharge":
            continue
        if span is None:
            found.append(_without_samples(row))
            continue
        found.append(
            _spanning(
                current,
                threshold,
                index,
                span,
                span,
                charges=tuple(charges),
                charge_whole=charged_since,
                own_step=True,
                row=row,
            )
        )
        charges = []
        charged_since = False
    return tuple(found)


def _from_samples(trace: Trace, threshold: float) -> tuple[Discharge, ...]:
    current = trace.column("current_a")
    hysteresis = hysteresis_ah(trace)
    if hysteresis <= 0:
        return ()
    step = trace.columns.get("step_index")
    found: list[Discharge] = []
    for index, span in enumerate(trace.segments()):
        halves = find_half_cycles(
            trace.time_s, current, span.start, span.stop, hysteresis
        )
        charges: tuple[tuple[int, int], ...] = ()
        whole = False
        for first, last, direction in zip(*halves, strict=True):
            begin, end = int(first), int(last) + 1
            if direction > 0:
                charges = ((begin, end),)
                whole = begin > span.start
                continue
            discharge = _spanning(
                current,
                threshold,
                index,
                slice(begin, end),
                span,
                charges=charges,
                charge_whole=whole,
                own_step=False,
            )
            if step is not None and discharge.before is not None:
                same = step[discharge.before] == step[discharge.first]
                discharge = replace(discharge, own_step=bool(same))
            found.append(discharge)
            charges, whole = (), False
    return tuple(found)


def _spanning(
    current: Column,
    threshold: float,
    index: int | None,
    part: slice,
    segment: slice,
    *,
    charges: tuple[tuple[int, int], ...],
    charge_whole: bool,
    own_step: bool,
    row: int | None = None,
) -> Discharge:
    loaded = np.flatnonzero(current[part] < -threshold)
    first = part.start + int(loaded[0]) if loaded.size else -1
    last = part.start + int(loaded[-1]) if loaded.size else -1
    before = first - 1 if loaded.size and first > segment.start else None
    return Discharge(
        segment=index,
        first=first,
        last=last,
        before=before,
        begin=part.start,
        end=part.stop,
        own_step=own_step and before is not None,
        charges=charges,
        charge_whole=charge_whole,
        at_end=bool(loaded.size) and last == segment.stop - 1,
        row=row,
    )


def _without_samples(row: int) -> Discharge:
    return Discharge(
        segment=None,
        first=-1,
        last=-1,
        before=None,
        begin=0,
        end=0,
        own_step=False,
        charges=(),
        charge_whole=False,
        at_end=False,
        row=row,
    )


def hysteresis_ah(trace: Trace) -> float:
    """Return the hysteresis in Ah: from the excursion first, then from the halves.

    The excursion of the net charge overstates a half-cycle where the charge drifts
    over many cycles, so its half-cycles are found once and their largest is used.
    """
    current = trace.column("current_a")
    excursion = 0.0
    for span in trace.segments():
        net = cumulative_charge(trace.time_s, current, span.start, span.stop)
        seen = net[np.isfinite(net)]
        if seen.size:
            excursion = max(excursion, float(seen.max() - seen.min()))
    if excursion <= 0:
        return 0.0
    largest = 0.0
    for span in trace.segments():
        net = cumulative_charge(trace.time_s, current, span.start, span.stop)
        first, last, _ = find_half_cycles(
            trace.time_s, current, span.start, span.stop, HYSTERESIS * excursion
        )
        swing = np.abs(net[last - span.start] - net[first - span.start])
        swing = swing[np.isfinite(swing)]
        if swing.size:
            largest = max(largest, float(swing.max()))
    return HYSTERESIS * (largest or excursion)
