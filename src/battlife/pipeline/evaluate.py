"""From one unit's trace to estimates and a grade: pure, so that verify can repeat it.

Nothing here touches a file. The same trace, pack and policy give the same bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from battlife.errors import EstimateError
from battlife.estimators import build
from battlife.estimators.soh import state_of_health
from battlife.grading import Evidence, Policy, grade, hold_evidence
from battlife.model import Estimate, Grade, Measurement, Pack, Trace

GRADING_METHODS = ("capacity", "dcir")
"""Methods a grade runs, in order; SOH follows from the capacities."""


@dataclass(frozen=True)
class Evaluated:
    """What the house makes of one unit.

    Attributes
    ----------
    estimates : all estimates, refused ones included
    not_applicable : method name to the reason it gave no estimate at all
    grade : None where the trace is suspect and must not be graded
    refusal : why there is no grade, None if there is one
    """

    estimates: tuple[Estimate, ...]
    not_applicable: Mapping[str, str]
    grade: Grade | None
    refusal: EstimateError | None = None


def with_sensor(pack: Pack, policy: Policy) -> Pack:
    """Return the pack with the policy's instrument class where none is declared.

    What is assumed says so: calibration becomes ``assumed: <class name>``.
    """
    if pack.sensor:
        return pack
    return replace(
        pack,
        sensor=policy.instrument.sensor,
        calibration=f"assumed: {policy.instrument.name}",
    )


def evaluate(trace: Trace, pack: Pack, policy: Policy) -> Evaluated:
    """Estimate what the trace supports, and grade it under a policy.

    Parameters
    ----------
    trace : one unit
    pack : its identity, without assumed sensor uncertainties
    policy : decides, and lends its instrument class where none is declared

    Returns
    -------
    Estimates and the grade; a suspect trace is estimated (each estimate says
    refused) and not graded.
    """
    pack = with_sensor(pack, policy)
    estimates: list[Estimate] = []
    not_applicable: dict[str, str] = {}
    for method in GRADING_METHODS:
        try:
            estimates.extend(build(method, {}).estimate(trace, pack))
        except EstimateError as error:
            not_applicable[method] = error.message
    capacities = [e for e in estimates if e.method == "capacity"]
    try:
        estimates.extend(state_of_health(capacities, pack))
    except EstimateError as error:
        not_applicable["soh_capacity"] = error.message
    suspect = trace.provenance.suspect
    if suspect:
        refusal = EstimateError(
            f"{trace.unit_id}: suspect, not graded: {suspect[0].message}",
            "check the export and the scale of its columns, then measure again",
            tuple(n.code for n in suspect),
        )
        return Evaluated(tuple(estimates), not_applicable, None, refusal)
    decided = grade(
        policy,
        trace.unit_id,
        evidence_from(trace, pack, estimates, policy),
        pack,
        trace.provenance.notices,
        simulated=trace.provenance.simulated,
    )
    return Evaluated(tuple(estimates), not_applicable, decided)


def evidence_from(
    trace: Trace, pack: Pack, estimates: Sequence[Estimate], policy: Policy
) -> Mapping[str, Evidence | None]:
    """Return the bounds a policy compares, by quantity.

    A measurement becomes value ± k·u with the policy's coverage factor k, or its
    calibrated interval where it has one; without an uncertainty it is no evidence.
    """
    found: dict[str, Evidence | None] = dict(hold_evidence(trace, pack))
    for name, measurement in latest(estimates).items():
        bounds = _bounds(measurement, policy.coverage_factor)
        found[name] = (
            Evidence(
                quantity=name,
                low=bounds[0],
                high=bounds[1],
                value=float(measurement.value),  # type: ignore[arg-type]  # scalar: see _bounds
                unit=measurement.unit,
                source="measured",
            )
            if bounds is not None
            else None
        )
    return found


def latest(estimates: Sequence[Estimate]) -> dict[str, Measurement]:
    """Return the last accepted measurement of each name."""
    found: dict[str, Measurement] = {}
    for estimate in estimates:
        if estimate.status == "ok":
            found.update(estimate.measurements)
    return found


def _bounds(measurement: Measurement, k: float) -> tuple[float, float] | None:
    if isinstance(measurement.value, tuple):
        return None
    if measurement.low is not None and measurement.high is not None:
        return measurement.low, measurement.high
    if measurement.uncertainty is None or isinstance(measurement.uncertainty, tuple):
        return None
    half = k * measurement.uncertainty
    return measurement.value - half, measurement.value + half
