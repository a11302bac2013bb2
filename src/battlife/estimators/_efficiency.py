"""When a charge and the discharge after it are a coulombic efficiency.

Only where the charge begins at the state in which the discharge ends: the discharge
before it came to the same end, under the same load, at the same temperature. Else the
ratio is one of two different charges (NASA B0045 gives 1.33 after a crashed
discharge), however small its uncertainty.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from battlife.estimators._discharges import Discharge
from battlife.estimators._draft import TEMPERATURE_TOLERANCE_K, Draft
from battlife.estimators._window import typical_load
from battlife.model import Column, Trace

NAME: Final = "coulombic_efficiency"
SAME_END: Final = 0.02
"""Relative difference of two end voltages up to which they are one state: below the
knee at the end of a discharge 2 % of the voltage is about 0.2 % of the charge."""
SAME_LOAD: Final = 0.1
"""Relative difference of two loads that leave a cell equally empty."""
IMPOSSIBLE: Final = 4.0
"""Uncertainties above one from which the two charges cannot belong together."""


def with_sound_efficiency(
    drafts: Sequence[Draft], discharges: Sequence[Discharge], trace: Trace
) -> tuple[Draft, ...]:
    """Return the drafts, those whose charge began elsewhere without an efficiency.

    Parameters
    ----------
    drafts : one for each discharge
    discharges : of the trace, in the same order
    trace : their samples
    """
    result = []
    for k, draft in enumerate(drafts):
        if NAME not in draft.measurements:
            result.append(draft)
            continue
        before = discharges[k - 1] if k else None
        why = _why_not(
            trace, before, discharges[k], draft, drafts[k - 1] if k else None
        )
        if why:
            kept = {n: m for n, m in draft.measurements.items() if n != NAME}
            conditions = {**draft.conditions, f"refused_{NAME}": why}
            draft = replace(draft, measurements=kept, conditions=conditions)
        result.append(draft)
    return tuple(result)


def _why_not(
    trace: Trace,
    before: Discharge | None,
    found: Discharge,
    draft: Draft,
    earlier: Draft | None,
) -> str:
    """Return why a ratio is no efficiency, "" if it is one."""
    if before is None or earlier is None or before.last < 0:
        return "discharge_before_not_seen"
    current, voltage = trace.column("current_a"), trace.column("voltage_v")
    ends = [_lowest(voltage[d.first : d.last + 1]) for d in (before, found)]
    if not abs(ends[0] - ends[1]) <= SAME_END * abs(ends[1]):
        return "charge_from_other_state"
    loads = [typical_load(current[d.first : d.last + 1]) for d in (before, found)]
    if not abs(loads[0] - loads[1]) <= SAME_LOAD * max(loads):
        return "charge_from_other_state"
    apart_k = abs(draft.condition_degc - earlier.condition_degc)
    if apart_k > TEMPERATURE_TOLERANCE_K:
        return "charge_from_other_state"
    measured = draft.measurements[NAME]
    value, u = float(np.mean(measured.value)), measured.uncertainty
    most = IMPOSSIBLE * u if isinstance(u, float) else SAME_END
    if value > 1.0 + most:
        return "more_than_was_charged"
    return ""


def _lowest(voltage_v: Column) -> float:
    """Return the lowest voltage in V, NaN where all are missing."""
    seen = voltage_v[np.isfinite(voltage_v)]
    return float(seen.min()) if seen.size else float("nan")
