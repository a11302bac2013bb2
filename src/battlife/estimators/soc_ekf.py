"""State of charge by a bank of extended Kalman filters."""

from dataclasses import dataclass

from battlife.estimators._soc import SocFilter
from battlife.estimators._soc_bank import Kernel

METHOD = "soc_ekf"
VERSION = "1"


@dataclass(frozen=True)
class ExtendedFilter(SocFilter):
    """State of charge over time; options of :class:`SocFilter`."""

    @property
    def _method(self) -> tuple[str, str]:
        return METHOD, VERSION

    def _kernel(self) -> Kernel:
        from battlife.kernels.cell_filter import extended_filter

        chosen: Kernel = extended_filter
        return chosen
