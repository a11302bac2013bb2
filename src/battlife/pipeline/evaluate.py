"""From one unit's trace to estimates and a grade: pure, so that verify can repeat it.

Nothing here touches a file. The same trace, pack and policy give the same bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from battlife.errors import EstimateError
from battlife.estimators import build, takes_model
from battlife.estimators.learned.applying import FEW_UNITS
from battlife.estimators.soh import doubtful, state_of_health, temperature_of
from battlife.grading import (
    Evidence,
    Policy,
    combined,
    findings,
    grade,
    hold_evidence,
)
from battlife.model import Estimate, Grade, Measurement, Pack, Reason, Trace
from battlife.model.learned import Model
from battlife.pipeline.methods import choose, model_for

RECENT_PULSES = 20
"""Pulses from the end of the record that may speak for the unit as it is now."""
BELOW = "_below_"
"""Part of the name of a measurement that is an upper bound."""
BOUND = 1.645
"""Standard uncertainties above the value that such a bound lies: 95 % one-sided."""
REFERENCE_DEGC = 25.0
"""Where a unit states none: test methods ask for 25 degC (field facts, ISO 12405-4)."""


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


def evaluate(
    trace: Trace, pack: Pack, policy: Policy, model: Model | None = None
) -> Evaluated:
    """Estimate what the trace supports, and grade it under a policy.

    Parameters
    ----------
    trace : one unit
    pack : its identity, without assumed sensor uncertainties
    policy : decides, and lends its instrument class where none is declared
    model : what a calibration made, for the screening method it is for

    Returns
    -------
    Estimates and the grade; a suspect trace is estimated (each estimate says
    refused) and not graded.
    """
    pack = with_sensor(pack, policy)
    estimates: list[Estimate] = []
    chosen = choose(trace, pack, model)
    not_applicable: dict[str, str] = dict(chosen.left_out)
    for method in chosen.methods:
        needed = model_for(method, model) if takes_model(method) else None
        try:
            estimates.extend(build(method, {}, needed).estimate(trace, pack))
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
    evidence, contradictions = evidence_from(trace, pack, estimates, policy)
    decided = grade(
        policy,
        trace.unit_id,
        evidence,
        pack,
        trace.provenance.notices,
        simulated=trace.provenance.simulated,
        refusals=_refusals(estimates, pack),
        found=(*findings(estimates), *contradictions),
    )
    return Evaluated(tuple(estimates), not_applicable, decided)


def _refusals(estimates: Sequence[Estimate], pack: Pack) -> dict[str, str]:
    """Return in words why a state of health was refused, by quantity."""
    words = {
        "no_complete_discharge": "no discharge was complete and began from full",
        "partial_discharge": "the last discharge may have been broken off, since "
        "nothing at its end shows an empty unit",
        "cutoff_not_stated": "no end-of-discharge voltage is stated (cutoff_v in "
        "units.toml)",
        "counter_disagrees": "the tester's own counter and the current disagree on "
        "the last discharge",
        "no_reference_capacity": "the rated capacity is not known (--nominal-ah, or "
        "nominal_ah in units.toml)",
        "no_reference_energy": "the rated energy is not known (nominal_wh in "
        "units.toml)",
        "wrong_reference": "the rated value cannot be that of this unit ("
        f"{_rated(pack)}): it would give a state of health that no cell has",
    }
    found: dict[str, str] = {}
    for estimate in estimates:
        if estimate.method.startswith("soh_") and estimate.status != "ok":
            told = [
                f"{words[code]} ({code})" for code in estimate.reasons if code in words
            ]
            if told:
                found[estimate.method] = "; ".join(told)
    return found


def _rated(pack: Pack) -> str:
    parts = [
        f"{value:g} {unit}"
        for value, unit in ((pack.nominal_ah, "Ah"), (pack.nominal_wh, "Wh"))
        if value
    ]
    return f"{', '.join(parts)}, from {pack.nominal_source or 'an unnamed source'}"


def evidence_from(
    trace: Trace, pack: Pack, estimates: Sequence[Estimate], policy: Policy
) -> tuple[Mapping[str, Evidence | None], tuple[Reason, ...]]:
    """Return the bounds a policy compares, by quantity, and what contradicts itself.

    A measurement becomes value ± k·u with the policy's coverage factor k, or its
    calibrated interval where it has one, widened as a normal one would be where it
    promises less than k; without an uncertainty it is no evidence. A bound
    (``…_below_…``) is evidence of the quantity it bounds, from nothing up to it.
    What several methods say of one quantity is combined (:func:`combined`).
    """
    found: dict[str, Evidence | None] = dict(hold_evidence(trace, pack))
    said: dict[str, list[Evidence]] = {}
    for estimate in deciding(estimates, pack, policy):
        for name, measurement in estimate.measurements.items():
            evidence = _evidence(measurement, policy.coverage_factor, estimate)
            name = name.replace(BELOW, "_")
            found.setdefault(name, None)
            if evidence is not None:
                said.setdefault(name, []).append(evidence)
    contradictions: list[Reason] = []
    for name, several in said.items():
        found[name], contradiction = combined(several)
        if contradiction is not None:
            contradictions.append(contradiction)
    return found, tuple(contradictions)


def deciding(
    estimates: Sequence[Estimate], pack: Pack, policy: Policy
) -> tuple[Estimate, ...]:
    """Return the accepted estimates that speak for the unit as it is now.

    A value of a model that learned from too few units decides nothing. Of each method
    but resistance the last one, of the capacities the last that is no
    doubtful measure of health, where there is one. Of the resistances the median, by
    value, of the last :data:`RECENT_PULSES` discharge pulses (charge pulses where there
    are none) taken within the policy's window around the reference temperature, or of
    all recent ones where none was: a single pulse at the end of a discharge would
    speak for an empty cell.
    """
    last: dict[str, Estimate] = {}
    rests: list[Estimate] = []
    pulses: list[Estimate] = []
    for estimate in estimates:
        if estimate.status != "ok" or FEW_UNITS in estimate.reasons:
            continue
        if estimate.method == "dcir":
            pulses.append(estimate)
            continue
        if estimate.method == "self_discharge":
            rests.append(estimate)
            continue
        before = last.get(estimate.method)
        if before is not None and doubtful(estimate) and not doubtful(before):
            continue
        last[estimate.method] = estimate
    chosen = [*last.values(), *_best_rests(rests)]
    discharges = [p for p in pulses if p.conditions.get("direction") == "discharge"]
    recent = (discharges or pulses)[-RECENT_PULSES:]
    names = dict.fromkeys(n for p in recent for n in p.measurements)
    for name in names:
        having = [p for p in recent if name in p.measurements]
        near = [p for p in having if _near_reference(p, pack, policy)] or having
        near.sort(key=lambda p: _value(p.measurements[name]))
        middle = near[(len(near) - 1) // 2]
        chosen.append(replace(middle, measurements={name: middle.measurements[name]}))
    return tuple(chosen)


def _best_rests(rests: Sequence[Estimate]) -> list[Estimate]:
    """Return the estimate of each quantity with the least uncertainty."""
    best: dict[str, tuple[float, Estimate]] = {}
    for estimate in rests:
        for name, measurement in estimate.measurements.items():
            u = measurement.uncertainty
            known = float(u) if isinstance(u, int | float) else float("inf")
            quantity = name.replace(BELOW, "_")
            if quantity not in best or known <= best[quantity][0]:
                alone = replace(estimate, measurements={name: measurement})
                best[quantity] = known, alone
    return [estimate for _, estimate in best.values()]


def latest(
    estimates: Sequence[Estimate], pack: Pack, policy: Policy
) -> dict[str, Measurement]:
    """Return the measurements that speak for the unit as it is now, by name."""
    return {
        name: measurement
        for estimate in deciding(estimates, pack, policy)
        for name, measurement in estimate.measurements.items()
    }


def _near_reference(estimate: Estimate, pack: Pack, policy: Policy) -> bool:
    degc = temperature_of(estimate)
    reference = REFERENCE_DEGC if pack.reference_degc is None else pack.reference_degc
    return degc is not None and abs(degc - reference) <= policy.reference_window_k


def _evidence(
    measurement: Measurement, k: float, estimate: Estimate
) -> Evidence | None:
    if isinstance(measurement.value, tuple):
        return None
    if (
        measurement.low is not None
        and measurement.high is not None
        and measurement.coverage is not None
    ):
        # A 90 % interval is no answer to a policy that asks for k = 2.
        wider = max(1.0, k / NormalDist().inv_cdf(0.5 + 0.5 * measurement.coverage))
        low = measurement.value - wider * (measurement.value - measurement.low)
        high = measurement.value + wider * (measurement.high - measurement.value)
    elif measurement.uncertainty is None or isinstance(measurement.uncertainty, tuple):
        return None
    else:
        half = k * measurement.uncertainty
        low, high = measurement.value - half, measurement.value + half
    value = measurement.value
    if BELOW in measurement.name and isinstance(measurement.uncertainty, float):
        # The bound lies BOUND standard uncertainties above the value.
        value = max(value - BOUND * measurement.uncertainty, 0.0)
        low, high = 0.0, value + max(k, BOUND) * measurement.uncertainty
    return Evidence(
        quantity=measurement.name.replace(BELOW, "_"),
        low=low,
        high=high,
        value=value,
        unit=measurement.unit,
        source=f"measured: {estimate.method} {estimate.method_version}",
        temperature_degc=temperature_of(estimate),
    )


def _value(measurement: Measurement) -> float:
    if isinstance(measurement.value, tuple):
        raise TypeError(f"{measurement.name} of a unit is one value")
    return measurement.value
