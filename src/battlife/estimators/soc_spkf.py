"""State of charge by a bank of sigma-point Kalman filters."""

from dataclasses import dataclass
from typing import ClassVar

from battlife.estimators._soc import SocFilter

METHOD = "soc_spkf"


@dataclass(frozen=True)
class SigmaPointFilter(SocFilter):
    """State of charge over time; options of :class:`SocFilter`."""

    METHOD: ClassVar[str] = METHOD
