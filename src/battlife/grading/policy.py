"""A grading policy as data: frozen, versioned, hashed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from battlife.model import Route


@dataclass(frozen=True)
class Instrument:
    """Accuracy assumed of an instrument of which nothing is known.

    Attributes
    ----------
    name : of the class
    source : where the figures come from
    sensor : standard uncertainties (k = 1): absolute by quantity name in its unit,
        ``voltage_relative`` and ``current_relative`` as fractions of the reading
    """

    name: str
    source: str
    sensor: Mapping[str, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sensor", MappingProxyType(dict(self.sensor)))


@dataclass(frozen=True)
class Rule:
    """One comparison of the bounds of a quantity with a threshold.

    Attributes
    ----------
    code : reason code
    quantity : what it looks at
    op : ">=" is met if the whole interval lies at or above `limit`; "<=" if at or
        below
    limit : threshold in `unit`
    unit : unit of the quantity
    source : where the threshold comes from
    required : False lets the route pass where the quantity is missing; a rule that
        is not met or straddled counts either way
    at_reference : True takes only evidence measured near the reference temperature
    """

    code: str
    quantity: str
    op: str
    limit: float
    unit: str
    source: str
    required: bool = True
    at_reference: bool = False


@dataclass(frozen=True)
class RouteRules:
    """A way into a route: taken when all its rules are met.

    Attributes
    ----------
    code : reason code of this way
    route : where it leads
    rules : in the order in which they are printed
    """

    code: str
    route: Route
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class HoldLimit:
    """A limit of the hold floor that a policy makes stricter."""

    limit: float
    source: str


@dataclass(frozen=True)
class Policy:
    """Everything that decides a route, apart from the hold floor built in.

    Attributes
    ----------
    name, version : identity in words
    sha256 : lower-case hex digest of the file's bytes
    toml : the file's text, so that an archive can carry it
    instrument : assumed where a unit declares no sensor
    coverage_factor : k of the expanded interval, value +- k u
    reference_window_k : how far from the reference temperature evidence still counts
    traceability_required : True holds back every use route of a unit whose origin and
        date of manufacture are not recorded
    routes : best first; the first that matches wins
    hold : stricter limits of the hold floor, by quantity
    """

    name: str
    version: str
    sha256: str
    toml: str
    instrument: Instrument
    coverage_factor: float
    reference_window_k: float
    traceability_required: bool
    routes: tuple[RouteRules, ...]
    hold: Mapping[str, HoldLimit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hold", MappingProxyType(dict(self.hold)))
