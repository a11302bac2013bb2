"""Capacity or state of health from an impedance spectrum, by the model of a lot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from battlife.estimators.learned.estimating import estimates
from battlife.model import Estimate, Pack, Trace
from battlife.model.learned import Model

if TYPE_CHECKING:
    from battlife.model.curve import Curve

METHOD: Final = "impedance_soh"
RULE: Final = (
    "imaginary part of the impedance from 1 kHz down, of spectra that pass the linear "
    "Kramers-Kronig test, by the model of a labelled lot"
)


@dataclass(frozen=True)
class ImpedanceHealth:
    """What the model of a lot says of each impedance spectrum of a recording.

    Attributes
    ----------
    model : made by ``battlife calibrate --estimator impedance_soh``
    """

    model: Model | None = None

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per spectrum, refused ones included.

        Raises
        ------
        EstimateError
            The recording holds no spectrum, or there is no model.
        """
        return estimates(METHOD, trace, pack, self.model, RULE)

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence["Curve"]:
        """Return the spectrum as the model sees it; nothing where it was no use."""
        from battlife.estimators.learned.impedance_traces import seen_spectrum
        from battlife.model.curve import Curve

        frequency, re, negative_im = seen_spectrum(trace.spectra[estimate.cycle or 0])
        if not frequency.size:
            return ()
        columns = {
            "frequency_hz": frequency,
            "z_re_ohm": re,
            "z_im_ohm": -negative_im,
        }
        return (Curve("spectrum", columns),)
