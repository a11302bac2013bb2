"""State of charge by a bank of extended Kalman filters."""

from dataclasses import dataclass
from typing import ClassVar

from battlife.estimators._soc import SocFilter

METHOD = "soc_ekf"


@dataclass(frozen=True)
class ExtendedFilter(SocFilter):
    """State of charge over time; options of :class:`SocFilter`."""

    METHOD: ClassVar[str] = METHOD
