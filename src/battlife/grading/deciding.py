"""From bounds to a route: the hold floor, then the first route that matches."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from battlife.grading.evidence import Evidence, derived, known, nominal_voltage_v
from battlife.grading.floor import (
    ISOLATION_CLEAR_OHM_PER_V,
    FloorResult,
    check_floor,
)
from battlife.grading.hold import BMS, CRITICAL_FAULT
from battlife.grading.policy import Policy, RouteRules, Rule
from battlife.model import (
    Clearance,
    Grade,
    Notice,
    Outcome,
    Pack,
    Reason,
    Route,
    Severity,
)

CLEARANCE_TEXT: Final = (
    "electrical evidence only, not cleared to charge, transport or install"
)
"""Printed with every route: a route is never a permission."""

REFERENCE_DEGC: Final = 25.0
"""Where a unit does not say otherwise: capacity tests of ISO 12405-4 and IEC 62660-1
are at 25 degC."""

SOH_MAX: Final = 1.2
"""An SOH above this has a wrong reference: new cells exceed their rating by some
percent, none by a fifth."""

SELF_DISCHARGE: Final = ("self_discharge_v_per_day", "cell_self_discharge_v_per_day")
"""Quantities whose limits, kept, are the self-discharge evidence of a clearance."""

USE_ROUTES: Final = (Route.REUSE, Route.REMANUFACTURE, Route.REPURPOSE)


def grade(
    policy: Policy,
    unit_id: str,
    evidence: Mapping[str, Evidence | None],
    pack: Pack,
    notices: Sequence[Notice] = (),
    simulated: bool = False,
    refusals: Mapping[str, str] | None = None,
    found: Sequence[Reason] = (),
) -> Grade:
    """Return the route of a unit with every reason.

    Parameters
    ----------
    policy : decides
    unit_id : unit under test
    evidence : bounds by quantity, hold evidence included; None is missing
    pack : chemistry, ratings, origin, damage
    notices : findings of readers; a suspect one forbids every route but RETEST and
        QUARANTINE
    simulated : True if any byte came from a simulated device
    refusals : why a quantity that is not in the evidence was refused, in words
    found : what diagnosis and contradicting methods found, each with the route it
        asks for, QUARANTINE or RETEST, or none where it is only shown

    Returns
    -------
    QUARANTINE on any hit of the hold floor. Otherwise the routes in order: one rule
    not met, or a required one without evidence, closes a route; a threshold inside the
    interval gives RETEST; all rules met takes it. RETEST if none is taken.

    Notes
    -----
    A straddled threshold stops the search although a lesser route might match: the
    lesser route would throw away value on a measurement that was merely too coarse.
    """
    known_faults = sum(n.code == CRITICAL_FAULT for n in notices)
    evidence = _with_declared(evidence, pack, known_faults)
    floor = check_floor(evidence, pack, policy.hold)
    held = [r for r in found if r.route == Route.QUARANTINE]
    traced = bool(pack.origin.strip()) and pack.manufactured is not None
    reasons = [*floor.reasons, *held]
    reasons.append(_traceability(traced))
    clearance = _clearance(floor, evidence, traced, simulated, bool(held))
    done = Grade(
        unit_id=unit_id,
        route=Route.QUARANTINE,
        reasons=tuple(reasons),
        policy_name=policy.name,
        policy_version=policy.version,
        policy_sha256=policy.sha256,
        clearance=clearance,
        simulated=simulated,
    )
    if floor.hits or held:
        return done
    suspect = [n for n in notices if n.severity is Severity.SUSPECT]
    if suspect:
        reasons.extend(
            Reason(
                f"suspect_{n.code}",
                Outcome.MISSING,
                route=str(Route.RETEST),
                message=f"the data contradict themselves: {n.message}",
            )
            for n in suspect
        )
        return replace(done, route=Route.RETEST, reasons=tuple(reasons))
    reasons.extend(found)
    if any(r.route for r in found):
        return replace(done, route=Route.RETEST, reasons=tuple(reasons))
    nominal_v = nominal_voltage_v(
        pack.nominal_ah, pack.nominal_wh, pack.chemistry, pack.cells_in_series
    )
    evidence = derived(evidence, pack.nominal_ah, nominal_v)
    if _self_discharge_met(policy, evidence, pack):
        missing = tuple(m for m in clearance.missing if m != "self_discharge")
        done = replace(done, clearance=replace(clearance, missing=missing))
    route, looked_at = _route(policy, evidence, pack, traced, refusals or {})
    # Two ways into one route share rules: what they found is said once.
    distinct = tuple(dict.fromkeys((*reasons, *looked_at)))
    return replace(done, route=route, reasons=distinct)


def _with_declared(
    evidence: Mapping[str, Evidence | None], pack: Pack, n_faults: int
) -> dict[str, Evidence | None]:
    """Return the evidence with damage and faults counted, whoever gathered it."""
    found = dict(evidence)
    for quantity, count in (
        ("critical_fault_count", n_faults),
        ("damage_count", len(pack.damage)),
    ):
        if count:
            found[quantity] = Evidence(quantity, count, count, count, "1", "declared")
    return found


def _traceability(traced: bool) -> Reason:
    return Reason(
        "traceability",
        Outcome.MET if traced else Outcome.MISSING,
        quantity="origin, manufactured",
        message="origin and date of manufacture are recorded"
        if traced
        else "origin or date of manufacture is not recorded: IEC 63338 permits no "
        "second use of cells without it; enter both in units.toml",
    )


def _clearance(
    floor: FloorResult,
    evidence: Mapping[str, Evidence | None],
    traced: bool,
    simulated: bool,
    held: bool,
) -> Clearance:
    """Return what is missing; no measurement replaces the visual inspection."""
    missing = list(Clearance().missing)
    isolation = evidence.get("isolation_ohm_per_v")
    if (
        isolation is not None
        and isolation.usable
        and isolation.source != BMS
        and isolation.low >= ISOLATION_CLEAR_OHM_PER_V
    ):
        missing.remove("isolation")
    missing.extend(floor.missing)
    if not traced:
        missing.append("traceability")
    if floor.hits or held:
        missing.append("hold_released")
    if simulated:
        missing.append("real_unit")
    return Clearance(cleared=False, missing=tuple(missing))


def _self_discharge_met(
    policy: Policy, evidence: Mapping[str, Evidence | None], pack: Pack
) -> bool:
    """Say whether the policy limits self-discharge and every such limit is kept."""
    limits = [
        rule
        for way in policy.routes
        if way.route in USE_ROUTES
        for rule in way.rules
        if rule.quantity in SELF_DISCHARGE and rule.op == "<="
    ]
    for rule in limits:
        seen = evidence.get(rule.quantity)
        if seen is None or _unfit(policy, rule, seen, pack):
            return False
        if compare(rule, seen) is not Outcome.MET:
            return False
    return bool(limits)


def _route(
    policy: Policy,
    evidence: Mapping[str, Evidence | None],
    pack: Pack,
    traced: bool,
    refusals: Mapping[str, str],
) -> tuple[Route, tuple[Reason, ...]]:
    reasons: list[Reason] = []
    lacking: dict[str, str] = {}
    for way in policy.routes:
        outcomes = [
            _evaluate(policy, way, rule, evidence, pack, refusals) for rule in way.rules
        ]
        reasons.extend(outcomes)
        pairs = list(zip(way.rules, outcomes, strict=True))
        if any(o.outcome is Outcome.NOT_MET for o in outcomes):
            continue
        absent = {
            rule.quantity: o.message
            for rule, o in pairs
            if rule.required and o.outcome is Outcome.MISSING
        }
        if absent:
            lacking |= {q: why for q, why in absent.items() if q not in lacking}
            continue
        if way.route in USE_ROUTES and policy.traceability_required and not traced:
            reasons.append(
                Reason(
                    "retest_traceability",
                    Outcome.MISSING,
                    quantity="origin, manufactured",
                    route=str(Route.RETEST),
                    message=f"{way.code} is closed until origin and date of "
                    "manufacture are recorded (IEC 63338)",
                )
            )
            return Route.RETEST, tuple(reasons)
        straddled = [o for o in outcomes if o.outcome is Outcome.STRADDLES]
        if straddled:
            reasons.append(_undecided(way, straddled))
            return Route.RETEST, tuple(reasons)
        reasons.append(
            Reason(
                way.code,
                Outcome.MET,
                route=str(way.route),
                message=f"every rule of {way.code} is met",
            )
        )
        return way.route, tuple(reasons)
    reasons.append(_unmatched(lacking))
    return Route.RETEST, tuple(reasons)


def _undecided(way: RouteRules, straddled: Sequence[Reason]) -> Reason:
    return Reason(
        "retest_straddles",
        Outcome.STRADDLES,
        route=str(Route.RETEST),
        message=f"{way.route} is open: " + "; ".join(r.message for r in straddled),
    )


def _unmatched(lacking: Mapping[str, str]) -> Reason:
    if lacking:
        message = f"no route can be decided: {'; '.join(lacking.values())}"
        rule = "retest_missing_evidence"
    else:
        rule = "retest_no_route_matches"
        message = (
            "the evidence is complete and no route of the policy takes it: the sources "
            "behind the thresholds disagree here, so a person decides"
        )
    return Reason(rule, Outcome.MISSING, route=str(Route.RETEST), message=message)


def _evaluate(
    policy: Policy,
    way: RouteRules,
    rule: Rule,
    evidence: Mapping[str, Evidence | None],
    pack: Pack,
    refusals: Mapping[str, str],
) -> Reason:
    found = evidence.get(rule.quantity)
    base = Reason(
        rule.code,
        Outcome.MISSING,
        rule.quantity,
        limit=rule.limit,
        unit=rule.unit,
        route=str(way.route),
    )
    if found is None:
        return replace(base, message=_absent(rule, evidence, refusals))
    refusal = _unfit(policy, rule, found, pack)
    if refusal:
        return replace(base, message=refusal)
    outcome = compare(rule, found)
    bounded = replace(base, outcome=outcome, low=found.low, high=found.high)
    interval = f"{rule.quantity} {found.low:.4g} to {found.high:.4g} {_unit(rule)}"
    if outcome is Outcome.STRADDLES:
        return replace(bounded, message=_straddling(policy, rule, found, interval))
    word = "meets" if outcome is Outcome.MET else "does not meet"
    return replace(
        bounded,
        message=f"{interval}{word} {rule.op} {rule.limit:g} ({rule.source})",
    )


def _unit(rule: Rule) -> str:
    return "" if rule.unit == "1" else f"{rule.unit} "


def compare(rule: Rule, found: Evidence) -> Outcome:
    """Return how a rule comes out on an interval; not a number is missing."""
    if not found.usable:
        return Outcome.MISSING
    if rule.op == ">=":
        certain, impossible = found.low >= rule.limit, found.high < rule.limit
    else:
        certain, impossible = found.high <= rule.limit, found.low > rule.limit
    if certain:
        return Outcome.MET
    return Outcome.NOT_MET if impossible else Outcome.STRADDLES


def _absent(
    rule: Rule, evidence: Mapping[str, Evidence | None], refusals: Mapping[str, str]
) -> str:
    elsewhere = [
        name
        for name, found in evidence.items()
        if name.startswith(f"{rule.quantity}_") and found is not None
    ]
    entry = known(rule.quantity)
    if elsewhere:
        repeat = f": {entry.settle}" if entry is not None else ""
        return (
            f"{rule.quantity} is missing: {', '.join(elsewhere)} was measured away "
            f"from the reference conditions and does not stand for it{repeat}"
        )
    if rule.quantity in refusals:
        return f"{rule.quantity} is missing: {refusals[rule.quantity]}"
    return f"{rule.quantity} is missing" + (
        f": it needs {entry.needs}" if entry else ""
    )


def _unfit(policy: Policy, rule: Rule, found: Evidence, pack: Pack) -> str:
    """Return why evidence cannot be used by a rule, "" if it can."""
    if not found.usable:
        return f"{rule.quantity} is not a number with bounds"
    if found.unit != rule.unit:
        return f"{rule.quantity} is in {found.unit!r}, the rule is in {rule.unit!r}"
    is_soh = rule.quantity.startswith("soh_")
    if is_soh and not 0.0 <= found.value <= SOH_MAX:
        return (
            f"{rule.quantity} of {100 * found.value:.0f} % has a wrong reference "
            "(wrong_reference)"
        )
    reference = REFERENCE_DEGC if pack.reference_degc is None else pack.reference_degc
    at = found.temperature_degc
    if not rule.at_reference:
        return ""
    if at is None:
        return (
            f"{rule.quantity} was measured at unknown temperature "
            "(temperature_unknown): record one, or state test_degc in units.toml"
        )
    entry = known(rule.quantity)
    again = f": {entry.settle}" if entry is not None else ""
    # A NaN fails the comparison and so is refused.
    if not abs(at - reference) <= policy.reference_window_k:
        return (
            f"{rule.quantity} was measured at {at:.1f} degC, more than "
            f"{policy.reference_window_k:g} K from the reference {reference:g} "
            f"degC{again}"
        )
    return ""


def _straddling(policy: Policy, rule: Rule, found: Evidence, interval: str) -> str:
    k = policy.coverage_factor
    gap = abs(found.value - rule.limit)
    now = max(found.high - found.value, found.value - found.low) / k
    entry = known(rule.quantity)
    action = entry.settle if entry is not None else f"measure {rule.quantity} again"
    if gap == 0:
        settle = "the value lies on the threshold, so no narrower interval settles it"
    else:
        settle = (
            f"a standard uncertainty of at most {gap / k:.2g} {_unit(rule)}"
            f"(now {now:.2g}) would settle it at this value"
        )
    return f"{interval}straddles {rule.op} {rule.limit:g}: {action}; {settle}"
