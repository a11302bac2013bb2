"""Whether a discharge without a stated cut-off ran to its end, or was broken off."""

from typing import Final

import numpy as np

from battlife.estimators._discharges import Discharge
from battlife.estimators._window import load_kind
from battlife.model import Column, Pack, Trace

SAME_END: Final = 0.005
"""Two discharges that end within 0.5 % of one voltage were ended by a program: two
that were broken off by accident meet there by chance alone."""
STEEP: Final = 8.0
"""Fall per charge over the last twentieth of a discharge, over that of its middle
half. Measured: 12 to 86 in complete constant-current discharges of Leaf, M50T, LFP
and small cells; 0.7 to 2.5 where one is broken off at 90 % or before."""
MIDDLE: Final = (0.25, 0.75)
TAIL: Final = 0.95
ENOUGH: Final = 20
"""Samples without which a slope at the end is not told."""
FLOOR_V: Final = 3.0
"""V per cell under load at which cells other than LTO are commonly ended, LFP later:
what they give below it is a few percent."""
FLOOR_LTO_V: Final = 1.8
AT_FLOOR: Final = 1.005
SINGLE_CELL_MAX_V: Final = 5.0
"""A unit that never exceeds this is one cell where nothing says otherwise."""


def ends_seen(
    trace: Trace, pack: Pack, discharges: tuple[Discharge, ...], top_v: float
) -> tuple[bool, ...]:
    """Return, per discharge, whether anything but its stopping shows its end.

    That is a voltage at the usual floor of its chemistry, one at which another
    discharge of the unit ended too, or the steep fall of a unit running empty.

    Parameters
    ----------
    trace : with current_a, voltage_v
    pack : chemistry and cells in series
    discharges : of the trace
    top_v : highest sustained voltage of the unit in V
    """
    voltage, current = trace.column("voltage_v"), trace.column("current_a")
    lowest = np.array([_lowest(voltage, d) for d in discharges])
    floor_v = floor_of(pack, top_v)
    seen = []
    for k, found in enumerate(discharges):
        low = lowest[k]
        alike = np.abs(lowest - low) <= SAME_END * abs(low)
        seen.append(
            bool(low <= AT_FLOOR * floor_v)
            or int(np.count_nonzero(alike)) > 1
            or _steep(trace.time_s, current, voltage, found)
        )
    return tuple(seen)


def floor_of(pack: Pack, top_v: float) -> float:
    """Return the unit's usual end of discharge in V, NaN where it cannot be told."""
    cells = pack.cells_in_series or (1 if top_v <= SINGLE_CELL_MAX_V else None)
    if cells is None:
        return float("nan")
    if pack.chemistry.strip().upper() == "LTO":
        return FLOOR_LTO_V * cells
    # A cell that never stands above the floor tells nothing by being below it.
    return FLOOR_V * cells if top_v > 1.05 * FLOOR_V * cells else float("nan")


def _lowest(voltage: Column, found: Discharge) -> float:
    loaded = voltage[found.first : found.last + 1] if found.first >= 0 else voltage[:0]
    loaded = loaded[np.isfinite(loaded)]
    return float(loaded.min()) if loaded.size else float("nan")


def _steep(time: Column, current: Column, voltage: Column, found: Discharge) -> bool:
    if found.first < 0 or found.last - found.first + 1 < ENOUGH:
        return False
    loaded = slice(found.first, found.last + 1)
    if load_kind(current[loaded]) != "constant":
        return False  # a pulse alone makes a steep fall
    steps = (current[loaded][1:] + current[loaded][:-1]) / 2 * np.diff(time[loaded])
    given = -np.concatenate([[0.0], np.cumsum(steps)])
    volts = voltage[loaded]
    known = np.isfinite(given) & np.isfinite(volts)
    if known.sum() < ENOUGH or not given[known][-1] > 0:
        return False
    share = given[known] / given[known][-1]
    volts = volts[known]
    a, b, tail = np.interp((*MIDDLE, TAIL), share, volts)
    middle = (a - b) / (MIDDLE[1] - MIDDLE[0])
    return bool(middle > 0 and (tail - volts[-1]) / (1.0 - TAIL) >= STEEP * middle)
