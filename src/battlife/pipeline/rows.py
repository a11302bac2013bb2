"""The JSON objects of the command-line contract, built from results.

Every object carries ``"schema": 1``; a measured value is an object with value,
uncertainty and unit; missing is None, never 0.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from battlife.errors import BattlifeError
from battlife.model import (
    Clearance,
    Estimate,
    Grade,
    Measurement,
    Notice,
    Outcome,
    Reason,
    Source,
)

SCHEMA = 1

Row = dict[str, Any]


def finite(value: float | None) -> float | None:
    """Return a number that JSON can hold, None for NaN and infinity."""
    return None if value is None or not math.isfinite(value) else value


def measured(measurement: Measurement | None) -> Row | None:
    """Return a measurement as an object, None if there is none."""
    if measurement is None:
        return None
    if isinstance(measurement.value, tuple):
        value: Any = [finite(v) for v in measurement.value]
    else:
        value = finite(measurement.value)
    uncertainty: Any = measurement.uncertainty
    if isinstance(uncertainty, tuple):
        uncertainty = [finite(u) for u in uncertainty]
    else:
        uncertainty = finite(uncertainty)
    row: Row = {"value": value, "uncertainty": uncertainty, "unit": measurement.unit}
    if measurement.low is not None and measurement.high is not None:
        row |= {
            "low": finite(measurement.low),
            "high": finite(measurement.high),
            "coverage": measurement.coverage,
        }
    return row


def error_row(error: BattlifeError | None) -> Row | None:
    """Return an error as an object."""
    if error is None:
        return None
    return {
        "type": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
    }


def notice_rows(notices: Iterable[Notice]) -> list[Row]:
    """Return notices as objects, in order, repeats dropped."""
    unique = dict.fromkeys(notices)
    return [
        {"code": n.code, "severity": str(n.severity), "message": n.message}
        for n in unique
    ]


def source_rows(sources: Sequence[Source]) -> list[Row]:
    """Return sources as path and hash."""
    return [{"path": s.path, "sha256": s.sha256} for s in sources]


def reason_row(reason: Reason) -> Row:
    """Return one rule's outcome; an interval that straddles counts as missing."""
    outcome = reason.outcome
    return {
        "rule": reason.rule,
        "outcome": str(Outcome.MISSING if outcome is Outcome.STRADDLES else outcome),
        "straddles": outcome is Outcome.STRADDLES,
        "quantity": reason.quantity,
        "low": finite(reason.low),
        "high": finite(reason.high),
        "limit": finite(reason.limit),
        "unit": reason.unit,
        "route": reason.route,
        "message": reason.message,
    }


def clearance_row(clearance: Clearance) -> Row:
    """Return what is still missing before anyone may use the unit."""
    return {"cleared": clearance.cleared, "missing": list(clearance.missing)}


def policy_row(grade: Grade | None) -> Row | None:
    """Return the identity of the policy that decided."""
    if grade is None:
        return None
    return {
        "name": grade.policy_name,
        "version": grade.policy_version,
        "sha256": grade.policy_sha256,
    }


def method_rows(estimates: Iterable[Estimate]) -> list[Row]:
    """Return each method once, with its version."""
    seen = dict.fromkeys((e.method, e.method_version) for e in estimates)
    return [{"name": name, "version": version} for name, version in seen]


def estimate_row(source: str, estimate: Estimate) -> Row:
    """Return the contract's object of one estimate."""
    return {
        "schema": SCHEMA,
        "source": source,
        "unit": estimate.unit_id,
        "cycle": estimate.cycle,
        "segment": estimate.segment,
        "method": estimate.method,
        "method_version": estimate.method_version,
        "status": estimate.status,
        "reasons": list(estimate.reasons),
        "measurements": {n: measured(m) for n, m in estimate.measurements.items()},
        "conditions": _plain(estimate.conditions),
        "options": _plain(estimate.options),
        "start_sample": estimate.start_sample,
        "stop_sample": estimate.stop_sample,
    }


def _plain(values: Mapping[str, Any]) -> Row:
    return {k: finite(v) if isinstance(v, float) else v for k, v in values.items()}
