"""What a method measured, with its uncertainty and the conditions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Scalar: TypeAlias = str | float | int | bool | None


@dataclass(frozen=True)
class Measurement:
    """A value with its unit and uncertainty; no arithmetic.

    Attributes
    ----------
    name : quantity, ends in its unit
    value : scalar, or one value per cell
    uncertainty : one standard uncertainty (k = 1, GUM) in the same unit; None if it
        is unknown
    unit : unit of value and uncertainty
    low, high : calibrated interval, None if there is none
    coverage : probability the interval is meant to hold, None if there is none
    """

    name: str
    value: float | tuple[float, ...]
    uncertainty: float | tuple[float, ...] | None
    unit: str
    low: float | None = None
    high: float | None = None
    coverage: float | None = None


@dataclass(frozen=True)
class Estimate:
    """The answer of one method on one part of a trace, or its refusal.

    Attributes
    ----------
    unit_id : unit under test
    method : name as on the command line
    method_version : bumped whenever a value can change
    options : options of the method, its repr being the audit record
    status : "ok" or "refused"
    reasons : why it was refused, or what qualifies the value: stable codes
    measurements : by name; empty when refused
    conditions : temperature, rate, cut-off, rule, SOC information used
    cycle : index of the discharge (or pulse, or spectrum) in the unit, from 0
    segment : index of the trace segment, None if it spans several
    start_sample, stop_sample : half-open range of samples it used
    trace_sha256 : content hash of the trace
    model_sha256 : hash of the Model used, "" if none
    """

    unit_id: str
    method: str
    method_version: str
    options: Mapping[str, Scalar] = field(default_factory=dict)
    status: str = "ok"
    reasons: tuple[str, ...] = ()
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    conditions: Mapping[str, Scalar] = field(default_factory=dict)
    cycle: int | None = None
    segment: int | None = None
    start_sample: int = 0
    stop_sample: int = 0
    trace_sha256: str = ""
    model_sha256: str = ""
