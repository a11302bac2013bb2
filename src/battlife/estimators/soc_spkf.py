"""State of charge by a bank of sigma-point Kalman filters."""

from dataclasses import dataclass

from battlife.estimators._soc import SocFilter
from battlife.estimators._soc_bank import Kernel

METHOD = "soc_spkf"
VERSION = "1"


@dataclass(frozen=True)
class SigmaPointFilter(SocFilter):
    """State of charge over time; options of :class:`SocFilter`."""

    @property
    def _method(self) -> tuple[str, str]:
        return METHOD, VERSION

    def _kernel(self) -> Kernel:
        from battlife.kernels.sigma_filter import sigma_filter

        chosen: Kernel = sigma_filter
        return chosen
