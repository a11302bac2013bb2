"""Charges through a window of voltage, found in a recording.

Of every charge that crosses the window at a steady current, the charge passed from its
lower end up to each of many voltages, interpolated between samples. A charge must have
begun well below the window: while the polarisation builds up, the voltage says more of
the rest before than of the cell. What crosses the window otherwise gets a row all the
same, without a curve, and says why under `refused`.

References
----------
Weng et al., J. Power Sources 235 (2013) 36 (capacity from part of a charge curve).
"""

from typing import Final, NamedTuple

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators._scales import current_scale, current_threshold, resolution
from battlife.estimators.learned.conditions import REFUSED, START
from battlife.kernels.charge import cumulative_charge
from battlife.kernels.steps import CHARGE, REST, find_steps
from battlife.model._arrays import Column
from battlife.model.pack import Pack
from battlife.model.table import FeatureTable
from battlife.model.trace import Trace

WINDOW_V: Final = (3.85, 4.10)
"""Per cell, as a maker of 4.2 V cells would set it: above the plateau that graphite's
half-full stage and the oxide share near 3.8 V, where a millivolt is much charge and the
state of health little, and 0.1 V below the end of charge, where even an aged cell is
still at constant current."""
POINTS: Final = 51
"""Voltages, 5 mV apart."""
SETTLED_V: Final = 0.05
"""Below the window at which a charge must have begun, per cell."""
STEADY: Final = 0.05
"""Of its median, by which the current may differ: as much as it bends the curve by."""
STEADY_SHARE: Final = 0.9
"""Of the samples within the window: a ramp at its beginning is no other current."""
START_S: Final = 30.0
"""After the last sample of a rest, at which the step of the voltage is taken: long
enough for loggers that write twice a minute."""
FEWEST_SAMPLES: Final = 10
"""In the window: with fewer a straight line between samples bends the curve."""


def rows(trace: Trace, pack: Pack) -> FeatureTable:
    """Return one row for every charge of a recording that crosses the window.

    Columns: `charge_ah` (vector of POINTS, Ah since the lower end of the window, empty
    where a charge cannot be used, for the reason under `refused`), `charge_current_a`,
    `charge_start_v` (per cell, at rest before) and `charge_start_ohm` (step of the
    voltage within START_S over the current), NaN where no rest came before, and
    `start_sample`, `stop_sample`, `cycle`: where it was found. A resistance follows the
    state of charge that a charge begins at, so it is learned from only where it is
    asked for.

    Raises
    ------
    EstimateError
        There is no current or no voltage, or no charge crosses the window.
    """
    for name in ("current_a", "voltage_v"):
        if not np.isfinite(trace.columns.get(name, np.empty(0))).any():
            raise EstimateError(
                f"{trace.unit_id}: the trace has no {name}",
                "a partial charge is current and voltage over time",
                (f"{name.partition('_')[0]}_missing",),
            )
    current, voltage = trace.column("current_a"), trace.column("voltage_v")
    cells = max(pack.cells_in_series or 1, 1)
    threshold = current_threshold(current, resolution(current))
    threshold = max(threshold, 0.01 * current_scale(current))
    curves: list[Column] = []
    places: list[tuple[int, int, float]] = []
    reasons: list[str] = []
    starts: list[tuple[float, float]] = []
    for span in trace.segments():
        first, kind = find_steps(current, span.start, span.stop, threshold)
        net = cumulative_charge(trace.time_s, current, span.start, span.stop)
        last = np.append(first[1:], span.stop)
        before = np.concatenate([[CHARGE], kind[:-1]])
        for begin, end, what, past in zip(first, last, kind, before, strict=True):
            if what != CHARGE:
                continue
            part = slice(int(begin), int(end))
            inside = slice(part.start - span.start, part.stop - span.start)
            found = _window(voltage[part] / cells, current[part], net[inside])
            if found is not None:
                curves.append(found.curve)
                reasons.append(found.reason)
                places.append((part.start, part.stop, found.current_a))
                rest, step = np.nan, np.nan
                if past == REST:
                    rest, step = _begun(trace.time_s, voltage, part)
                starts.append((rest / cells, step / found.current_a))
    if not curves:
        low, high = WINDOW_V
        raise EstimateError(
            f"{trace.unit_id}: no charge crosses {low:g} to {high:g} V per cell",
            "a charge through the whole window is needed; for cells in series state "
            "cells_in_series in units.toml",
            ("no_partial_charge",),
        )
    start, stop, rates = (np.array(v, dtype=float) for v in zip(*places, strict=True))
    return FeatureTable(
        {
            "charge_current_a": rates,
            START: np.array([rest for rest, _ in starts]),
            "charge_start_ohm": np.array([ohm for _, ohm in starts]),
            "start_sample": start,
            "stop_sample": stop,
            "cycle": np.arange(float(len(curves))),
        },
        {"charge_ah": tuple(curves)},
        {REFUSED: tuple(reasons)},
    )


def charge_curve(
    trace: Trace, pack: Pack, start: int, stop: int
) -> tuple[Column, Column]:
    """Return (POINTS,) V per cell and Ah since the lower end of the window.

    Empty where the charge from sample `start` to `stop` cannot be used.
    """
    cells = max(pack.cells_in_series or 1, 1)
    part = slice(start, stop)
    current = trace.column("current_a")
    net = cumulative_charge(trace.time_s, current, start, stop)
    found = _window(trace.column("voltage_v")[part] / cells, current[part], net)
    if found is None or not found.curve.size:
        return np.empty(0), np.empty(0)
    return np.linspace(*WINDOW_V, POINTS), found.curve


def _begun(time_s: Column, voltage: Column, charge: slice) -> tuple[float, float]:
    """Return V at rest before a charge, and V stepped up START_S later, or NaN."""
    rest, last = charge.start - 1, charge.stop - 1
    at = time_s[rest] + START_S
    if time_s[charge.start] > at + 0.1 * START_S or time_s[last] < at:
        return np.nan, np.nan  # a pause of the logger, or a charge too short
    part = slice(rest, charge.stop)
    before = float(voltage[rest])
    return before, float(np.interp(at, time_s[part], voltage[part])) - before


class _Charge(NamedTuple):
    """A charge through the window; the curve is empty where there is a reason."""

    curve: Column
    current_a: float
    reason: str


def _window(voltage: Column, current: Column, net_ah: Column) -> _Charge | None:
    """Return what one charge tells, None where it crosses no window."""
    low, high = WINDOW_V
    highest = np.fmax.accumulate(voltage)
    if not np.isfinite(highest[0]):
        highest = np.nan_to_num(highest, nan=-np.inf)
    if not (highest[0] < high <= highest[-1]):
        return None
    # Voltage steps back by noise: the first sample above each voltage counts.
    rising = np.concatenate([[True], np.diff(highest) > 0]) & np.isfinite(highest)
    within = (highest >= low) & (voltage <= high)
    typical = float(np.median(current[within])) if within.any() else float("nan")
    steady = np.abs(current[within] - typical) <= STEADY * abs(typical)
    reason = ""
    if highest[rising][0] > low - SETTLED_V:
        reason = "charge_began_late"
    elif int((rising & within).sum()) < FEWEST_SAMPLES:
        reason = "too_few_samples"
    elif not steady.mean() >= STEADY_SHARE:
        reason = "current_not_steady"
    elif not np.isfinite(net_ah).all():
        reason = "current_missing"
    if reason:
        return _Charge(np.empty(0), typical, reason)
    grid = np.linspace(low, high, POINTS)
    curve = np.interp(grid, highest[rising], net_ah[rising])
    return _Charge(curve - curve[0], typical, "")
