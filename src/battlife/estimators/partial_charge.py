"""Capacity or state of health from part of a charge, by the model of a lot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from battlife.estimators.learned.estimating import estimates
from battlife.model import Estimate, Pack, Trace
from battlife.model.learned import Model

if TYPE_CHECKING:
    from battlife.model.curve import Curve

METHOD: Final = "partial_charge"
RULE: Final = (
    "charge passed from 3.85 V up to voltages until 4.10 V per cell at a steady "
    "current, by the model of a labelled lot"
)


@dataclass(frozen=True)
class PartialCharge:
    """What the model of a lot says of each charge through a window of voltage.

    Attributes
    ----------
    model : made by ``battlife calibrate --estimator partial_charge``
    """

    model: Model | None = None

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per charge through the window, refused ones included.

        Raises
        ------
        EstimateError
            No charge crosses the window, or there is no model.
        """
        return estimates(METHOD, trace, pack, self.model, RULE)

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence["Curve"]:
        """Return the charge over the voltage of a cell, empty where it was no use."""
        from battlife.estimators.learned.charge_traces import charge_curve
        from battlife.model.curve import Curve

        voltage, charge = charge_curve(
            trace, pack, estimate.start_sample, estimate.stop_sample
        )
        columns = {"cell_voltage_v": voltage, "charge_ah": charge}
        return (Curve("partial_charge", columns),) if charge.size else ()
