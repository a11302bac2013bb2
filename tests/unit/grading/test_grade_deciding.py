"""Routes on hand-made evidence; the default policy's thresholds are the truth."""

import math
from datetime import date
from typing import Any

import pytest

from battlife.grading import CLEARANCE_TEXT, Evidence, grade, load_policy, parse_policy
from battlife.model import Grade, Notice, Outcome, Pack, Route, Severity

POLICY = load_policy()
PACK = Pack("U1", chemistry="NMC", nominal_ah=10.0, nominal_wh=37.0, cells_in_series=1)


def ev(
    quantity: str,
    value: float,
    half: float = 0.005,
    unit: str = "1",
    at: float | None = 25.0,
) -> Evidence:
    return Evidence(quantity, value - half, value + half, value, unit, "measured", at)


def route_of(*evidence: Evidence, pack: Pack = PACK, **kwargs: Any) -> Grade:
    found = {e.quantity: e for e in evidence}
    return grade(POLICY, "U1", found, pack, **kwargs)


def dcir(drop: float, at: float | None = 25.0) -> Evidence:
    """Return the resistance of PACK with a drop at 1C: R = drop * 3.7 V / 10 A."""
    return ev("dcir_10s_ohm", drop * 0.37, 0.01 * drop * 0.37, "ohm", at)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ((ev("soh_capacity", 0.90), ev("soh_energy", 0.89)), Route.REUSE),
        ((ev("soh_capacity", 0.90), dcir(0.05)), Route.REUSE),
        ((ev("soh_capacity", 0.90), dcir(0.12)), Route.REPURPOSE),
        ((ev("soh_capacity", 0.90),), Route.REPURPOSE),
        ((ev("soh_capacity", 0.75), ev("soh_energy", 0.74)), Route.REMANUFACTURE),
        ((ev("soh_capacity", 0.75), dcir(0.05)), Route.REMANUFACTURE),
        ((ev("soh_capacity", 0.82), ev("soh_energy", 0.75)), Route.REMANUFACTURE),
        ((ev("soh_capacity", 0.65),), Route.REPURPOSE),
        ((ev("soh_capacity", 0.55), dcir(0.05)), Route.REPURPOSE),
        ((ev("soh_capacity", 0.55), dcir(0.12)), Route.RETEST),
        ((ev("soh_capacity", 0.55), dcir(0.20)), Route.RECYCLE),
        ((ev("soh_capacity", 0.65), dcir(0.20)), Route.RETEST),
        ((ev("soh_capacity", 0.55), ev("resistance_growth", 1.3)), Route.RECYCLE),
        ((ev("soh_capacity", 0.20),), Route.RETEST),
        ((ev("soh_capacity", 0.20), ev("soh_energy", 0.15)), Route.RETEST),
        ((dcir(0.30),), Route.RETEST),
        ((), Route.RETEST),
    ],
)
def test_route(evidence: tuple[Evidence, ...], expected: Route) -> None:
    assert route_of(*evidence).route is expected


def test_a_straddled_threshold_is_retest_and_says_what_settles_it() -> None:
    result = route_of(ev("soh_capacity", 0.81, 0.02), ev("soh_energy", 0.90))
    assert result.route is Route.RETEST
    straddled = [r for r in result.reasons if r.outcome is Outcome.STRADDLES]
    assert straddled[0].quantity == "soh_capacity"
    assert (straddled[0].low, straddled[0].high) == pytest.approx((0.79, 0.83))
    assert straddled[0].limit == 0.80
    # |0.81 - 0.80| / k = 0.005 is the largest standard uncertainty that clears 0.80.
    assert "at most 0.005 (now 0.01)" in straddled[0].message
    assert "capacity test" in result.reasons[-1].message
    assert result.reasons[-1].rule == "retest_straddles"


def test_the_uncertainty_it_asks_for_does_settle_it() -> None:
    half = POLICY.coverage_factor * 0.0049
    settled = route_of(ev("soh_capacity", 0.81, half), ev("soh_energy", 0.90))
    assert settled.route is Route.REUSE


def test_a_value_on_the_threshold_says_that_no_instrument_settles_it() -> None:
    result = route_of(ev("soh_capacity", 0.80, 0.01), ev("soh_energy", 0.9))
    assert "no narrower interval" in result.reasons[-1].message


def test_missing_evidence_is_named_with_what_to_do() -> None:
    last = route_of(dcir(0.05)).reasons[-1]
    assert last.rule == "retest_missing_evidence"
    assert "soh_capacity" in last.message
    assert "--nominal-ah" in last.message


def test_complete_evidence_between_the_routes_goes_to_a_person() -> None:
    growth = ev("resistance_growth", 0.1)
    last = route_of(ev("soh_capacity", 0.55), dcir(0.12), growth).reasons[-1]
    assert last.rule == "retest_no_route_matches"


def test_soh_away_from_reference_is_no_soh() -> None:
    cold = Evidence("soh_capacity_at_temperature", 0.9, 0.9, 0.9, "1", "m", 4.0)
    result = route_of(cold, ev("soh_energy", 0.9), dcir(0.05))
    assert result.route is Route.RETEST
    messages = [r.message for r in result.reasons if r.quantity == "soh_capacity"]
    assert any("soh_capacity_at_temperature" in m for m in messages)
    misnamed = route_of(ev("soh_capacity", 0.9, at=4.0), ev("soh_energy", 0.9))
    assert misnamed.route is Route.RETEST


def test_the_reference_is_the_units_own() -> None:
    pack = Pack("U1", "", "NMC", 10.0, 37.0, reference_degc=40.0)
    hot = (ev("soh_capacity", 0.9, at=43.0), ev("soh_energy", 0.9, at=43.0))
    assert route_of(*hot, pack=pack).route is Route.REUSE
    assert route_of(*hot).route is Route.RETEST


@pytest.mark.parametrize("at", [None, 10.0, math.nan])
def test_resistance_needs_its_temperature(at: float | None) -> None:
    assert route_of(ev("soh_capacity", 0.55), dcir(0.2, at)).route is Route.RETEST


def test_an_soh_that_cannot_be_is_a_wrong_reference() -> None:
    result = route_of(ev("soh_capacity", 9.15), ev("soh_energy", 0.9))
    assert result.route is Route.RETEST
    assert any("915 %" in r.message for r in result.reasons)


def test_a_wrong_unit_is_no_evidence() -> None:
    percent = ev("soh_capacity", 0.9, unit="%")
    assert route_of(percent, ev("soh_energy", 0.9)).route is Route.RETEST


def test_voltage_drop_is_made_from_the_rating() -> None:
    result = route_of(ev("soh_capacity", 0.9), dcir(0.05))
    drop = next(r for r in result.reasons if r.quantity == "voltage_drop_1c")
    assert (drop.low, drop.high) == pytest.approx((0.0495, 0.0505))
    no_rating = Pack("U1", chemistry="NMC")
    result = route_of(ev("soh_capacity", 0.9), dcir(0.05), pack=no_rating)
    drop = next(r for r in result.reasons if r.quantity == "voltage_drop_1c")
    assert drop.outcome is Outcome.MISSING


def test_voltage_drop_without_rated_energy_takes_the_chemistry() -> None:
    pack = Pack("U1", chemistry="LFP", nominal_ah=10.0, cells_in_series=4)
    result = route_of(ev("soh_capacity", 0.9), dcir(0.05), pack=pack)
    drop = next(r for r in result.reasons if r.quantity == "voltage_drop_1c")
    assert drop.low == pytest.approx(0.05 * 0.37 * 0.99 * 10.0 / 12.8)


def test_a_route_is_never_a_clearance() -> None:
    good = (ev("soh_capacity", 0.95), ev("soh_energy", 0.95), dcir(0.02))
    result = route_of(*good)
    assert result.route is Route.REUSE
    assert not result.clearance.cleared
    assert {"isolation", "visual", "self_discharge", "traceability"} <= set(
        result.clearance.missing
    )
    assert CLEARANCE_TEXT == (
        "electrical evidence only, not cleared to charge, transport or install"
    )


def test_isolation_evidence_closes_its_gap_only_above_500_ohm_per_volt() -> None:
    def gaps(ohm_per_v: float) -> tuple[str, ...]:
        isolation = ev("isolation_ohm_per_v", ohm_per_v, 0.0, "ohm/V")
        return route_of(isolation).clearance.missing

    assert "isolation" not in gaps(501.0)
    assert "isolation" in gaps(499.0)


def test_a_simulated_unit_is_never_cleared() -> None:
    result = route_of(ev("soh_capacity", 0.9), simulated=True)
    assert result.simulated
    assert not result.clearance.cleared
    assert "real_unit" in result.clearance.missing


def test_traceability_is_a_gap_by_default_and_closes_routes_on_request() -> None:
    good = {e.quantity: e for e in (ev("soh_capacity", 0.9), ev("soh_energy", 0.9))}
    strict = parse_policy(
        POLICY.toml.replace(
            'traceability = "clearance"', 'traceability = "required"'
        ).encode(),
        "p",
    )
    untraced = grade(strict, "U1", good, PACK)
    assert untraced.route is Route.RETEST
    assert untraced.reasons[-1].rule == "retest_traceability"
    traced_pack = Pack(
        "U1", "", "NMC", 10.0, 37.0, origin="vehicle 7", manufactured=date(2015, 1, 1)
    )
    traced = grade(strict, "U1", good, traced_pack)
    assert traced.route is Route.REUSE
    assert "traceability" not in traced.clearance.missing


def test_suspect_data_are_measured_again() -> None:
    doubled = Notice("current_scaled", "twice the counter", Severity.SUSPECT)
    good = (ev("soh_capacity", 0.9), ev("soh_energy", 0.9))
    result = route_of(*good, notices=(doubled,))
    assert result.route is Route.RETEST
    assert result.reasons[-1].rule == "suspect_current_scaled"
    warned = route_of(*good, notices=(Notice("time_jump", "once"),))
    assert warned.route is Route.REUSE


def test_the_grade_names_its_policy() -> None:
    result = route_of()
    assert (result.policy_name, result.policy_version, result.policy_sha256) == (
        POLICY.name,
        POLICY.version,
        POLICY.sha256,
    )
