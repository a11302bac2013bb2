"""The contract's `grade` object, and the run's totals."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from battlife import __version__
from battlife.estimators.soh import temperature_of
from battlife.grading import CLEARANCE_TEXT
from battlife.model import Clearance, Estimate, Measurement
from battlife.pipeline.grading import UnitResult
from battlife.pipeline.rows import (
    SCHEMA,
    Row,
    clearance_row,
    error_row,
    finite,
    measured,
    method_rows,
    notice_rows,
    policy_row,
    reason_row,
    source_rows,
)

DCIR_PREFIX, DCIR_SUFFIX = "dcir_", "s_ohm"


def grade_row(result: UnitResult) -> Row:
    """Return the contract's object of one unit."""
    found = result.decided_by
    grade = result.grade
    pack = result.pack
    return {
        "schema": SCHEMA,
        "unit": result.unit,
        "sources": source_rows(result.sources),
        "measured_utc": result.measured_utc.isoformat()
        if result.measured_utc
        else None,
        "measured_local": result.header_time or None,
        "operator": result.operator or None,
        "status": result.status,
        "route": str(grade.route) if grade else None,
        "clearance": clearance_row(grade.clearance if grade else Clearance()),
        "clearance_text": CLEARANCE_TEXT,
        "soh_capacity": measured(found.get("soh_capacity")),
        "soh_energy": measured(found.get("soh_energy")),
        "soh_capacity_at_temperature": measured(
            found.get("soh_capacity_at_temperature")
        ),
        "soh_refused": sorted(
            {
                reason
                for e in result.estimates
                if e.method.startswith("soh_") and e.status != "ok"
                for reason in e.reasons
            }
        ),
        "reported_soh": result.reported_soh,
        "nominal_ah": pack.nominal_ah if pack else None,
        "nominal_source": pack.nominal_source or None if pack else None,
        "sensor": pack.calibration or None if pack else None,
        "discharge_capacity_ah": measured(found.get("discharge_capacity_ah")),
        "dcir": _dcir(found),
        "reasons": [reason_row(r) for r in grade.reasons] if grade else [],
        "policy": policy_row(grade),
        "methods": method_rows(result.estimates),
        "not_applicable": dict(result.not_applicable),
        "n_discharges": sum(e.method == "capacity" for e in result.estimates),
        "n_refused": sum(
            e.method == "capacity" and e.status != "ok" for e in result.estimates
        ),
        "warnings": [n["message"] for n in notice_rows(result.notices)],
        "software": f"battlife {__version__}",
        "simulated": result.simulated,
        "resumed": result.resumed,
        "archive": str(result.archive) if result.archive else None,
        "error": error_row(result.error),
    }


def history(estimates: Iterable[Estimate]) -> list[Row]:
    """Return capacity over cycles for a plot: one object per discharge."""
    rows = []
    for estimate in estimates:
        if estimate.method != "capacity":
            continue
        capacity = estimate.measurements.get("discharge_capacity_ah")
        rows.append(
            {
                "cycle": estimate.cycle,
                "discharge_capacity_ah": _scalar(capacity),
                "uncertainty": _uncertainty(capacity),
                "status": estimate.status,
                "reasons": list(estimate.reasons),
                "temperature_degc": temperature_of(estimate),
                "rate_c": estimate.conditions.get("c_rate"),
            }
        )
    return rows


def totals(rows: Sequence[Row]) -> Row:
    """Return how many lines came out how, by status and by route."""
    return {
        "lines": len(rows),
        "by_status": dict(sorted(Counter(r["status"] for r in rows).items())),
        "by_route": dict(
            sorted(Counter(r["route"] for r in rows if r["route"]).items())
        ),
        "resumed": sum(bool(r["resumed"]) for r in rows),
    }


def _dcir(found: Mapping[str, Measurement]) -> list[Row]:
    rows = []
    for name, measurement in found.items():
        if not (name.startswith(DCIR_PREFIX) and name.endswith(DCIR_SUFFIX)):
            continue
        pulse = name[len(DCIR_PREFIX) : -len(DCIR_SUFFIX)].replace("p", ".")
        row = measured(measurement)
        if row is not None:
            rows.append({"pulse_s": float(pulse)} | row)
    return sorted(rows, key=lambda r: r["pulse_s"])


def _scalar(measurement: Measurement | None) -> float | None:
    if measurement is None or isinstance(measurement.value, tuple):
        return None
    return finite(measurement.value)


def _uncertainty(measurement: Measurement | None) -> float | None:
    if measurement is None or isinstance(measurement.uncertainty, tuple):
        return None
    return finite(measurement.uncertainty)
