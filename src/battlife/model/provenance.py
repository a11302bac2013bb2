"""Where data came from, and what was done to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Severity(StrEnum):
    """How much a notice weighs."""

    INFO = "info"
    """Worth knowing; nothing is wrong."""
    WARNING = "warning"
    """Something is missing, repaired by nobody, or unusual."""
    SUSPECT = "suspect"
    """The values contradict themselves: never graded."""


@dataclass(frozen=True)
class Notice:
    """One thing a reader or a check found.

    Attributes
    ----------
    code : stable machine-readable name, lower case with underscores
    message : what was found, with the values
    severity : info, warning or suspect
    """

    code: str
    message: str
    severity: Severity = Severity.WARNING


@dataclass(frozen=True)
class Source:
    """One file a trace was read from.

    Attributes
    ----------
    path : the path as it was given
    sha256 : lower-case hex digest of the whole file
    size_bytes : its size
    format : name of the reader
    """

    path: str
    sha256: str
    size_bytes: int
    format: str


@dataclass(frozen=True)
class Step:
    """One transformation of a trace: function, its arguments, battlife version."""

    function: str
    arguments: Mapping[str, str]
    version: str


@dataclass(frozen=True)
class Provenance:
    """Origin of a trace and everything done to it since.

    Attributes
    ----------
    sources : files in the order of their segments
    header : text facts the source states (serial number, operator, nominal
        capacity), keys as in :data:`HEADER_KEYS` where one applies, else prefixed
        with ``vendor.``
    notices : findings of readers and checks
    steps : transformations, oldest first
    rig : name of the rig or instrument, "" if unknown
    calibration : id of the calibration record, "" if there is none
    simulated : True if any byte came from a simulated device; never cleared
    """

    sources: tuple[Source, ...] = ()
    header: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    steps: tuple[Step, ...] = ()
    rig: str = ""
    calibration: str = ""
    simulated: bool = False

    @property
    def suspect(self) -> tuple[Notice, ...]:
        """Notices that forbid grading."""
        return tuple(n for n in self.notices if n.severity is Severity.SUSPECT)

    def with_notices(self, *notices: Notice) -> "Provenance":
        """Return a copy with `notices` appended."""
        return replace(self, notices=(*self.notices, *notices))

    def with_step(self, step: Step) -> "Provenance":
        """Return a copy with `step` appended."""
        return replace(self, steps=(*self.steps, step))


HEADER_KEYS = frozenset(
    {
        "serial_number",
        "operator",
        "instrument",
        "channel",
        "procedure",
        "nominal_capacity_ah",
        "start_time",
        "comment",
        "software_version",
    }
)
"""Header keys with a meaning to battlife; any other is ``vendor.<name>``."""
