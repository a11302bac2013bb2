"""What must hold for any evidence and any valid change of a policy."""

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from battlife.grading import Evidence, HoldLimit, Policy, Rule, grade, load_policy
from battlife.grading.floor import FLOORS, loosest
from battlife.model import Grade, Outcome, Pack, Route

POLICY = load_policy()
PACK = Pack("U", chemistry="NMC", nominal_ah=10.0, nominal_wh=37.0, cells_in_series=1)
UNITS = {
    "soh_capacity": "1",
    "soh_energy": "1",
    "voltage_drop_1c": "1",
    "resistance_growth": "1",
    "cell_voltage_max_v": "V",
    "cell_voltage_resting_min_v": "V",
    "temperature_max_degc": "degC",
}
RANGES = {
    "soh_capacity": (0.3, 1.1),
    "soh_energy": (0.3, 1.1),
    "voltage_drop_1c": (0.01, 0.3),
    "resistance_growth": (-0.1, 2.0),
    "cell_voltage_max_v": (3.6, 4.4),
    "cell_voltage_resting_min_v": (1.8, 3.9),
    "temperature_max_degc": (10.0, 90.0),
}
ROUTED = tuple(UNITS)[:4]
RANK = {
    Route.REUSE: 3,
    Route.REMANUFACTURE: 2,
    Route.REPURPOSE: 1,
    Route.RECYCLE: 0,
    Route.QUARANTINE: -1,
}


@st.composite
def evidence_of(draw: st.DrawFn, name: str) -> Evidence | None:
    if draw(st.integers(0, 4)) == 0:
        return None
    low, high = RANGES[name]
    value = draw(st.floats(low, high))
    half = draw(st.sampled_from([0.0, 0.002, 0.01, 0.05]))
    return Evidence(name, value - half, value + half, value, UNITS[name], "m", 25.0)


EVIDENCE = st.fixed_dictionaries({name: evidence_of(name) for name in UNITS})
STEPS = st.lists(st.floats(0.0, 0.3), min_size=40, max_size=40)


def tightened(policy: Policy, steps: list[float]) -> Policy:
    """Return the policy with every threshold moved to the strict side."""
    draws = iter(steps)

    def stricter(rule: Rule) -> Rule:
        step = next(draws)
        return replace(rule, limit=rule.limit + (step if rule.op == ">=" else -step))

    routes = tuple(
        replace(way, rules=tuple(stricter(r) for r in way.rules))
        for way in policy.routes
    )
    hold = {
        quantity: HoldLimit(
            bound - next(draws) if floor.op == "<=" else bound + next(draws), "test"
        )
        for quantity, floor in list(FLOORS.items())[:4]
        if (bound := loosest(quantity)) is not None
    }
    return replace(policy, routes=routes, hold=hold)


def best_open(result: Grade) -> int:
    """Rank of the route taken, or of the best one that a straddle leaves open."""
    if result.route is not Route.RETEST:
        return RANK[result.route]
    if result.reasons[-1].rule != "retest_straddles":
        return 0
    # The way that was left open is the last one looked at.
    return RANK[Route(result.reasons[-2].route)]


@settings(max_examples=300, deadline=None)
@given(EVIDENCE, STEPS)
def test_tightening_a_policy_never_makes_a_route_better(
    evidence: dict[str, Evidence | None], steps: list[float]
) -> None:
    before = grade(POLICY, "U", evidence, PACK)
    after = grade(tightened(POLICY, steps), "U", evidence, PACK)
    assert best_open(after) <= max(best_open(before), 0)
    if before.route is Route.QUARANTINE:
        assert after.route is Route.QUARANTINE


@settings(max_examples=300, deadline=None)
@given(
    EVIDENCE,
    st.sampled_from(sorted(UNITS)),
    st.sampled_from(["low", "high", "value"]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_what_is_not_a_number_never_passes(
    evidence: dict[str, Evidence | None], name: str, part: str, number: float
) -> None:
    base = evidence[name]
    if base is None:
        return
    evidence = evidence | {name: replace(base, **{part: number})}
    result = grade(POLICY, "U", evidence, PACK)
    absent = grade(POLICY, "U", evidence | {name: None}, PACK)
    assert result.route is absent.route
    assert result.clearance == absent.clearance
    for reason in result.reasons:
        if reason.quantity == name:
            assert reason.outcome is Outcome.MISSING


@settings(max_examples=300, deadline=None)
@given(EVIDENCE, st.sampled_from(["soh_capacity", "soh_energy"]), st.floats(0.0, 0.3))
def test_more_health_never_leads_to_a_lesser_route(
    evidence: dict[str, Evidence | None], name: str, more: float
) -> None:
    base = evidence[name]
    if base is None or base.value + more > 1.2:
        return
    healthier = replace(
        base, low=base.low + more, high=base.high + more, value=base.value + more
    )
    before = grade(POLICY, "U", evidence, PACK)
    after = grade(POLICY, "U", evidence | {name: healthier}, PACK)
    if Route.RETEST in (before.route, after.route):
        return
    assert RANK[after.route] >= RANK[before.route]


@settings(max_examples=300, deadline=None)
@given(EVIDENCE, st.sampled_from(ROUTED), st.floats(0.0, 1.0))
def test_a_narrower_interval_keeps_a_decided_route(
    evidence: dict[str, Evidence | None], name: str, shrink: float
) -> None:
    base = evidence[name]
    before = grade(POLICY, "U", evidence, PACK)
    if base is None or before.reasons[-1].rule == "retest_straddles":
        return
    narrower = replace(
        base,
        low=base.value - shrink * (base.value - base.low),
        high=base.value + shrink * (base.high - base.value),
    )
    after = grade(POLICY, "U", evidence | {name: narrower}, PACK)
    assert after.route is before.route


@settings(max_examples=300, deadline=None)
@given(EVIDENCE, st.sampled_from(sorted(FLOORS)), st.floats(0.01, 10.0))
def test_quarantine_dominates(
    evidence: dict[str, Evidence | None], name: str, beyond: float
) -> None:
    bound = 1.0 if name == "cell_count" else loosest(name)
    assert bound is not None
    over = bound + beyond if FLOORS[name].op == "<=" else bound - beyond
    hit = Evidence(name, over, over, over, FLOORS[name].unit, "test")
    result = grade(POLICY, "U", evidence | {name: hit}, PACK)
    assert result.route is Route.QUARANTINE
    assert not result.clearance.cleared
    assert "hold_released" in result.clearance.missing


@settings(max_examples=100, deadline=None)
@given(EVIDENCE)
def test_the_same_evidence_gives_the_same_grade(
    evidence: dict[str, Evidence | None],
) -> None:
    first = grade(POLICY, "U", evidence, PACK)
    again = grade(load_policy(), "U", dict(reversed(evidence.items())), PACK)
    assert repr(first) == repr(again)


@settings(max_examples=100, deadline=None)
@given(EVIDENCE)
def test_no_grade_is_a_clearance(evidence: dict[str, Evidence | None]) -> None:
    result = grade(POLICY, "U", evidence, PACK)
    assert not result.clearance.cleared
    assert "visual" in result.clearance.missing
