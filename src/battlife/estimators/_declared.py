"""What the source itself says of a discharge it keeps as one operation.

A tester that runs a discharge as one operation and states what it gave (NASA) has
declared it whole. Its figure is a cross-check of ours, never our value.
"""

from dataclasses import dataclass

import numpy as np

from battlife.estimators._discharges import Discharge
from battlife.model import STEP_KINDS, Trace

COUNTER_TOLERANCE = 0.01
"""Figures of one discharge that differ by more contradict each other: the tester's
own and the trapezoid agree within 0.001 % in every sound discharge of NASA's set."""


@dataclass(frozen=True)
class Declared:
    """What the source states of one discharge.

    Attributes
    ----------
    capacity_ah : Ah down to `cutoff_v`; 0 where it states one of other discharges
        but not of this; None where it states none at all
    cutoff_v : V, NaN if it does not say
    """

    capacity_ah: float | None
    cutoff_v: float

    def contradictions(
        self, net_ah: float, cutoff_v: float, slack_ah: float
    ) -> tuple[str, ...]:
        """Return the refusals that follow from a comparison with our own figure.

        Parameters
        ----------
        net_ah, cutoff_v : our figure in Ah and its cut-off in V
        slack_ah : Ah by which sampling alone may part the two
        """
        if self.capacity_ah is None:
            return ()
        if self.capacity_ah <= 0:
            return ("no_capacity_in_source",)
        if cutoff_v != self.cutoff_v or not np.isfinite(net_ah):
            return ()
        allowed = COUNTER_TOLERANCE * self.capacity_ah + slack_ah
        if abs(net_ah - self.capacity_ah) > allowed:
            return ("counter_contradicts_current",)
        return ()


def declared(trace: Trace, found: Discharge) -> Declared:
    """Return what the source of a trace states of one of its discharges."""
    steps = trace.steps
    nothing = Declared(None, float("nan"))
    if steps is None or found.row is None:
        return nothing
    stated = steps.column("discharge_capacity_ah")
    of_discharges = stated[steps.kind == STEP_KINDS.index("discharge")]
    if not (of_discharges > 0).any():
        return nothing
    own = float(stated[found.row])
    try:
        cutoff_v = float(trace.provenance.header["vendor.capacity_cutoff_v"])
    except (KeyError, ValueError):
        cutoff_v = float("nan")
    return Declared(own if own > 0 else 0.0, cutoff_v)
