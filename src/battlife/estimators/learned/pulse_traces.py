"""Pulse tests found in a recording: 21 voltages each, as in a pulse table.

A test is a rest, then charge and discharge pulses at two rates and a charge pulse at a
third, higher one, a rest after each, all pulses equally long. Its readings are the
voltage before, and the first and last one under each load and rest. A source with one
row per step has them in its rows; of samples, runs of one current are the steps. Where
a recording holds tests with pulses of several lengths, the longest are taken: a pulse
too short to polarise the cell says its resistance alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators._scales import current_scale, current_threshold, resolution
from battlife.estimators.learned.pulse_features import READINGS
from battlife.kernels.charge import cumulative_charge
from battlife.kernels.steps import CHARGE, DISCHARGE, REST, find_steps
from battlife.model._arrays import Column, IndexColumn
from battlife.model.pack import Pack
from battlife.model.table import FeatureTable
from battlife.model.trace import Trace

PATTERN: Final = np.array([CHARGE, REST, DISCHARGE, REST] * 2 + [CHARGE, REST])
PULSES: Final = (0, 2, 4, 6, 8)
LONGEST_S: Final = 60.0
"""A longer load moves the state of charge and is no pulse."""
SAME: Final = 0.1
"""Rates and lengths that are meant to be equal agree within this share."""
HIGHER: Final = 1.2
"""A higher rate is at least this many times the one below."""
FEWEST_SAMPLES: Final = 3
"""Of a pulse, where a source has samples."""
EMPTIED: Final = 0.2
"""A discharge of at least this share of nominal, before a charge, is taken to have
emptied the unit; a smaller one says nothing of the charge since empty."""


@dataclass(frozen=True, eq=False)
class _Steps:
    """Steps of a recording, however it holds them; all (m,)."""

    kind: IndexColumn
    current_a: Column
    duration_s: Column
    first_v: Column
    last_v: Column
    charge_ah: Column
    start: IndexColumn
    stop: IndexColumn


def rows(trace: Trace, pack: Pack) -> FeatureTable:
    """Return one row for each pulse test of a recording.

    Columns: `U1` to `U21` in V, `pulse_s`, `soc_since_empty` (charge since the unit was
    emptied over nominal, NaN where the recording does not say), and `start_sample`,
    `stop_sample`, `cycle`: where it was found.

    Raises
    ------
    EstimateError
        There is no current or no voltage, or no pulse test.
    """
    steps = _from_table(trace) if _has_steps(trace) else _from_samples(trace)
    starts = _tests(steps)
    if not starts:
        raise EstimateError(
            f"{trace.unit_id}: no pulse test found",
            "charge and discharge pulses at two rates and a charge pulse at a third, "
            "with rests between, are needed",
            ("no_pulse_test",),
        )
    longest = max(float(steps.duration_s[k]) for k in starts)
    starts = _apart(k for k in starts if steps.duration_s[k] >= (1 - SAME) * longest)
    readings = np.array([_readings(steps, k) for k in starts])
    soc = _since_empty(steps, pack.nominal_ah)
    numbers = {f"U{n + 1}": readings[:, n] for n in range(READINGS)}
    numbers |= {
        "pulse_s": np.array([steps.duration_s[k] for k in starts]),
        "soc_since_empty": np.array([soc[k] for k in starts]),
        "start_sample": np.array([float(steps.start[k - 1]) for k in starts]),
        "stop_sample": np.array([float(steps.stop[k + 9]) for k in starts]),
        "cycle": np.arange(float(len(starts))),
    }
    return FeatureTable(numbers)


def _has_steps(trace: Trace) -> bool:
    return not trace.n_samples and trace.steps is not None and len(trace.steps) > 0


def _from_table(trace: Trace) -> _Steps:
    steps = trace.steps
    assert steps is not None
    nothing = np.full(len(steps), np.nan)

    def column(name: str) -> Column:
        return steps.columns.get(name, nothing)

    charge = np.nan_to_num(np.abs(column("charge_capacity_ah")))
    charge -= np.nan_to_num(np.abs(column("discharge_capacity_ah")))
    nowhere = np.zeros(len(steps), dtype=np.int64)
    return _Steps(
        steps.kind,
        column("end_current_a"),
        column("duration_s"),
        column("start_voltage_v"),
        column("end_voltage_v"),
        charge,
        nowhere,
        nowhere,
    )


def _from_samples(trace: Trace) -> _Steps:
    for name in ("current_a", "voltage_v"):
        if not np.isfinite(trace.columns.get(name, np.empty(0))).any():
            raise EstimateError(
                f"{trace.unit_id}: the trace has no {name}",
                "a pulse test is current and voltage over time",
                (f"{name.partition('_')[0]}_missing",),
            )
    current, voltage = trace.column("current_a"), trace.column("voltage_v")
    threshold = current_threshold(current, resolution(current))
    threshold = max(threshold, 0.01 * current_scale(current))
    kinds, firsts, stops, charges = [], [], [], []
    for span in trace.segments():
        first, kind = find_steps(current, span.start, span.stop, threshold)
        net = cumulative_charge(trace.time_s, current, span.start, span.stop)
        ends = np.append(first[1:], span.stop)
        kinds.append(kind)
        firsts.append(first)
        stops.append(ends)
        # Of each step, with the interval that leads to the next.
        until = np.minimum(ends, span.stop - 1) - span.start
        charges.append(net[until] - net[first - span.start])
    start, stop = np.concatenate(firsts), np.concatenate(stops)
    kind = np.concatenate(kinds)
    lasting = trace.time_s[stop - 1] - trace.time_s[start]
    lasting = lasting * (stop - start) / np.maximum(stop - start - 1, 1)
    lasting[(kind != REST) & (stop - start < FEWEST_SAMPLES)] = np.nan
    return _Steps(
        kind,
        np.array(
            [float(np.median(current[a:b])) for a, b in zip(start, stop, strict=True)]
        ),
        lasting,
        voltage[start],
        voltage[stop - 1],
        np.concatenate(charges),
        start,
        stop,
    )


def _tests(steps: _Steps) -> list[int]:
    """Return the first pulse of each test."""
    width = PATTERN.size
    if steps.kind.size < width + 1:
        return []
    windows = np.lib.stride_tricks.sliding_window_view(steps.kind[1:], width)
    rested = steps.kind[: len(windows)] == REST
    found = np.flatnonzero((windows == PATTERN).all(axis=1) & rested) + 1
    return [int(k) for k in found if _is_test(steps, int(k))]


def _apart(starts: Iterable[int]) -> list[int]:
    """Return tests that do not begin within one before: of many rates, the lowest."""
    kept: list[int] = []
    for k in starts:
        if not kept or k >= kept[-1] + PATTERN.size:
            kept.append(k)
    return kept


def _is_test(steps: _Steps, k: int) -> bool:
    pulses = [k + p for p in PULSES]
    rate = np.abs(steps.current_a[pulses])
    last = steps.duration_s[pulses]
    rests = steps.duration_s[[p + 1 for p in pulses]]
    if not (np.isfinite(rate).all() and np.isfinite(last).all()):
        return False
    alike = np.abs(rate[[1, 3]] - rate[[0, 2]]) <= SAME * rate[[0, 2]]
    rising = rate[[2, 4]] >= HIGHER * rate[[0, 2]]
    lasting = (np.abs(last - last[0]) <= SAME * last[0]) & (last <= LONGEST_S)
    rested = rests >= last
    return bool(alike.all() and rising.all() and lasting.all() and rested.all())


def _readings(steps: _Steps, k: int) -> Column:
    """Return the (21,) V of the test whose first pulse is step k."""
    pairs = [(steps.first_v[k + n], steps.last_v[k + n]) for n in range(PATTERN.size)]
    return np.array([steps.last_v[k - 1], *np.ravel(pairs)])


def _since_empty(steps: _Steps, nominal_ah: float | None) -> Column:
    """Return (m,) charge since the unit was emptied, over nominal, before each step."""
    soc = np.full(steps.kind.size, np.nan)
    if not nominal_ah:
        return soc
    charge = float("nan")
    for k in range(steps.kind.size):
        soc[k] = charge / nominal_ah
        if steps.kind[k] == DISCHARGE and steps.charge_ah[k] <= -EMPTIED * nominal_ah:
            charge = 0.0
        else:
            charge += float(steps.charge_ah[k])
    return soc
