"""Charges through a window of voltage, found in a recording.

Of every charge that crosses the window at a steady current, the charge passed from its
lower end up to each of many voltages, interpolated between samples. A charge must have
begun well below the window: while the polarisation builds up, the voltage says more of
the rest before than of the cell. What crosses the window otherwise gets a row all the
same, without a curve, and is refused by name.

References
----------
Weng et al., J. Power Sources 235 (2013) 36 (capacity from part of a charge curve).
"""

from typing import Final

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators._scales import current_scale, current_threshold, resolution
from battlife.kernels.charge import cumulative_charge
from battlife.kernels.steps import CHARGE, find_steps
from battlife.model._arrays import Column
from battlife.model.pack import Pack
from battlife.model.table import FeatureTable
from battlife.model.trace import Trace

WINDOW_V: Final = (3.85, 4.10)
"""Per cell. Layered oxides against graphite lose capacity visibly here; 0.1 V lower it
says little, and the steep top says the resistance (CALCE cells, left out in turn)."""
POINTS: Final = 51
"""Voltages, 5 mV apart."""
SETTLED_V: Final = 0.05
"""Below the window at which a charge must have begun, per cell."""
STEADY: Final = 0.05
"""Of its median, by which the current may change while nine tenths of a window pass."""
FEWEST_SAMPLES: Final = 10
"""In the window: with fewer a straight line between samples bends the curve."""


def rows(trace: Trace, pack: Pack) -> FeatureTable:
    """Return one row for every charge of a recording that crosses the window.

    Columns: `charge_ah` (vector of POINTS, Ah since the lower end of the window, empty
    where a charge cannot be used), `charge_current_a`, and `start_sample`,
    `stop_sample`, `cycle`: where it was found.

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
    for span in trace.segments():
        first, kind = find_steps(current, span.start, span.stop, threshold)
        net = cumulative_charge(trace.time_s, current, span.start, span.stop)
        for begin, end in zip(first, np.append(first[1:], span.stop), strict=True):
            if kind[np.searchsorted(first, begin)] != CHARGE:
                continue
            part = slice(int(begin), int(end))
            inside = slice(part.start - span.start, part.stop - span.start)
            found = _window(voltage[part] / cells, current[part], net[inside])
            if found is not None:
                curve, rate = found
                curves.append(curve)
                places.append((part.start, part.stop, rate))
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
            "start_sample": start,
            "stop_sample": stop,
            "cycle": np.arange(float(len(curves))),
        },
        {"charge_ah": tuple(curves)},
    )


def _window(
    voltage: Column, current: Column, net_ah: Column
) -> tuple[Column, float] | None:
    """Return curve and current in A of one charge, None where it crosses no window.

    The curve is empty where the charge cannot be used.
    """
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
    usable = (
        highest[rising][0] <= low - SETTLED_V
        and int((rising & within).sum()) >= FEWEST_SAMPLES
        and bool(steady.mean() >= 0.9)
        and bool(np.isfinite(net_ah).all())
    )
    if not usable:
        return np.empty(0), typical
    grid = np.linspace(low, high, POINTS)
    curve = np.interp(grid, highest[rising], net_ah[rising])
    return curve - curve[0], typical
