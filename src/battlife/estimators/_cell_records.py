"""Records a cell model is made of: what part is the test, and what kind of test."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators._cell_fit import Joined, joined
from battlife.estimators._cell_model import CellModel
from battlife.estimators._temperature import unit_temperature
from battlife.model import Column, Pack, Trace

SOC: Final = np.linspace(0.0, 1.0, 201)
"""State of charge of the curves of a model, steps of 0.5 %."""
SLOW_RATE: Final = 1.0 / 8.0
"""1/h; an OCV test runs at C/10 or slower."""
FASTEST: Final = 0.5
"""1/h; a charge at most so fast shows the upper branch, as its polarisation is then
known to a few millivolts (R_SHARE of it, in `cell_models`)."""
WHOLE: Final = 0.9
"""Share of the capacity a charge from empty to full puts in."""


@dataclass(frozen=True, eq=False)
class CellRecord:
    """A record, and where in it the tests are.

    Attributes
    ----------
    trace, pack : what it is of
    whole : the trace as one record of one cell
    top, bottom : samples of the highest and the lowest charge of its test
    capacity_ah : Ah between them
    degc : mean temperature, None if nothing says it
    slow : an OCV test, not a dynamic one
    charge : where it charges from empty to full without haste, None if nowhere
    """

    trace: Trace
    pack: Pack
    whole: Joined
    top: int
    bottom: int
    capacity_ah: float
    degc: float | None
    slow: bool
    charge: slice | None


def cell_record(trace: Trace, pack: Pack, base: CellModel | None) -> CellRecord:
    """Return a trace with its tests found.

    Parameters
    ----------
    base : gives the efficiency of charging, which is 1 without it

    Raises
    ------
    EstimateError
        Too short, without current or voltage, or not from full to empty.
    """
    degc = _mean_degc(trace, pack)
    efficiency = base.at(degc).efficiency if base is not None else 1.0
    whole = joined(trace, pack.cells_in_series or 1, efficiency)
    charge = whole.charge_ah
    if charge.size < 200 or np.ptp(charge) <= 0:
        raise EstimateError(
            f"{trace.unit_id}: too short for a cell model",
            "it takes a record from full to empty",
            ("too_short",),
        )
    # The deepest discharge: what a record does before and after it is not its test.
    drop = np.maximum.accumulate(charge) - charge
    bottom = int(drop.argmax())
    top = int(charge[: bottom + 1].argmax())
    loaded = np.abs(whole.current_a) > 0.01 * np.abs(whole.current_a).max()
    rate = float(np.median(np.abs(whole.current_a[loaded]))) / float(np.ptp(charge))
    slow = rate < SLOW_RATE
    if slow and charge[-1] > charge[0]:
        top, bottom = int(charge.argmax()), int(charge.argmin())
    capacity = float(charge[top] - charge[bottom])
    # What a record charges beyond its beginning is no part of its discharge.
    if not slow and capacity < 0.7 * float(np.ptp(charge)):
        raise EstimateError(
            f"{trace.unit_id}: does not run from full to empty",
            "a dynamic test begins with a full cell and ends with an empty one",
            ("ocv_range_missing",),
        )
    return CellRecord(
        trace, pack, whole, top, bottom, capacity, degc, slow, _charge(whole, capacity)
    )


def _mean_degc(trace: Trace, pack: Pack) -> float | None:
    """Return the mean temperature of a record, None if nothing says it."""
    degc = unit_temperature(trace)
    if degc is None:
        degc = trace.columns.get("ambient_temperature_degc")
    known = degc[np.isfinite(degc)] if degc is not None else np.empty(0)
    return float(known.mean()) if known.size else pack.test_degc


def _charge(whole: Joined, capacity_ah: float) -> slice | None:
    """Return where a record charges from empty to full without haste, None if never."""
    charge = whole.charge_ah
    rise = charge - np.minimum.accumulate(charge)
    stop = int(rise.argmax())
    first = int(charge[: stop + 1].argmin())
    hours = float(whole.time_s[stop] - whole.time_s[first]) / 3600.0
    if rise[stop] < WHOLE * capacity_ah or rise[stop] > FASTEST * capacity_ah * hours:
        return None
    return slice(first, stop + 1)


def upper_branch(
    ocv: CellRecord | None, records: Sequence[CellRecord]
) -> tuple[Column, Column, Column] | None:
    """Return (p,) share, V and A of the charge that shows the upper branch, or None.

    An OCV test shows it best, any charge over the whole range that is slow enough
    does. A slow discharge runs along the branch that a dynamic test shows anyway.
    """
    for record in ([ocv] if ocv is not None else []) + list(records):
        if record.charge is not None:
            return _along(record.whole, record.charge)
    return None


def _along(whole: Joined, part: slice) -> tuple[Column, Column, Column]:
    """Return (p,) share, V and A of a charge from empty to full."""
    charge = whole.charge_ah[part]
    volt, current = whole.voltage_v[part], whole.current_a[part]
    share = (charge - charge[0]) / (charge[-1] - charge[0])
    rising = np.diff(np.maximum.accumulate(share), prepend=-1.0) > 0
    good = np.isfinite(volt) & rising
    at = [np.interp(SOC, share[good], x[good]) for x in (volt, current)]
    return SOC, at[0], at[1]
