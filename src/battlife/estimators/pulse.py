"""State of health from a pulse test, by the model of a lot."""

from dataclasses import dataclass

from battlife.estimators.learned.estimating import estimates
from battlife.model import Estimate, Pack, Trace
from battlife.model.learned import Model

METHOD = "pulse"
RULE = (
    "voltages before, at begin and end of pulses and rests, by the model of a "
    "labelled lot"
)


@dataclass(frozen=True)
class PulseHealth:
    """What the model of a lot says of each pulse test of a recording.

    Attributes
    ----------
    model : made by ``battlife calibrate --estimator pulse``
    """

    model: Model | None = None

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per pulse test, refused ones included.

        Raises
        ------
        EstimateError
            The recording holds no pulse test, or there is no model.
        """
        return estimates(METHOD, trace, pack, self.model, RULE)
