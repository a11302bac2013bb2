"""A route with its reasons."""

from dataclasses import dataclass, field
from enum import StrEnum


class Route(StrEnum):
    """Where a unit goes next. Never a permission to charge, ship or install."""

    REUSE = "REUSE"
    REMANUFACTURE = "REMANUFACTURE"
    REPURPOSE = "REPURPOSE"
    RECYCLE = "RECYCLE"
    RETEST = "RETEST"
    QUARANTINE = "QUARANTINE"


class Outcome(StrEnum):
    """How a rule came out on the evidence."""

    MET = "met"
    NOT_MET = "not_met"
    MISSING = "missing"
    STRADDLES = "straddles"


@dataclass(frozen=True)
class Reason:
    """One rule and how it came out.

    Attributes
    ----------
    rule : reason code of the rule
    outcome : met, not met, missing; straddles is printed as missing evidence
    quantity : what the rule looks at
    low, high : bounds of the evidence, None if missing
    limit : threshold of the rule
    unit : unit of the three
    route : route the rule belongs to
    message : the same in words, with what would settle it
    """

    rule: str
    outcome: Outcome
    quantity: str = ""
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    unit: str = ""
    route: str = ""
    message: str = ""


@dataclass(frozen=True)
class Clearance:
    """Whether the unit may be charged, shipped or installed: never by route alone.

    Attributes
    ----------
    cleared : False until all safety evidence exists
    missing : names of the missing evidence
    """

    cleared: bool = False
    missing: tuple[str, ...] = ("isolation", "visual", "self_discharge")


@dataclass(frozen=True)
class Grade:
    """A route plus reasons under one policy.

    Attributes
    ----------
    unit_id : unit under test
    route : where it goes next
    reasons : every rule looked at, in order
    policy_name, policy_version, policy_sha256 : the policy that decided
    clearance : what is still missing before anyone may use the unit
    simulated : True if any evidence came from a simulated device
    """

    unit_id: str
    route: Route
    reasons: tuple[Reason, ...]
    policy_name: str
    policy_version: str
    policy_sha256: str
    clearance: Clearance = field(default_factory=Clearance)
    simulated: bool = False
