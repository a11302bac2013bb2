"""One sentence that a person at a bench understands."""

from typing import Any

from battlife.reports.wording import (
    clearance_text,
    code_text,
    escaped,
    label,
    plain,
    sentence,
)


def rule(outcome: str, route: str, quantity: str, **more: Any) -> dict[str, Any]:
    return {
        "rule": "r",
        "outcome": outcome,
        "route": route,
        "quantity": quantity,
        "unit": "1",
        "message": f"{quantity} is {outcome}",
        **more,
    }


def said(route: str, *reasons: dict[str, Any]) -> str:
    return sentence({"route": route, "reasons": reasons}).replace("\u00a0", " ")


def test_quarantine_names_each_hit_and_nothing_else() -> None:
    hit = rule("not_met", "QUARANTINE", "cell_voltage_max_v", low=4.234, high=4.234)
    hit |= {"limit": 3.75, "unit": "V", "rule": "hold_cell_voltage_max_v"}
    fault = rule("not_met", "QUARANTINE", "critical_fault_count", low=2, high=2)
    fault |= {"limit": 0, "rule": "hold_critical_fault_count"}
    passes = rule("met", "", "temperature_max_degc", low=20, high=20, limit=80)
    assert said("QUARANTINE", hit, passes, fault) == (
        "Highest cell voltage 4.234 V, above the safety limit of 3.75 V; "
        "number of critical faults 2, above the safety limit of 0."
    )


def test_a_lesser_route_says_what_a_better_one_lacks() -> None:
    met = rule("met", "REPURPOSE", "soh_capacity", low=0.9094, high=0.9208, limit=0.6)
    sums_up = rule("met", "REPURPOSE", "", message="every rule is met")
    better = rule("missing", "REUSE", "voltage_drop_1c")
    text = "Capacity SOH 90.9 to 92.1 %, above the REPURPOSE limit of 60 %"
    assert said("REPURPOSE", better, met, sums_up) == (
        f"{text}; REUSE cannot be shown without voltage drop at 1C."
    )
    closed = rule("not_met", "REUSE", "soh_capacity", low=0.7, high=0.71, limit=0.8)
    assert said("REPURPOSE", closed, better, met, sums_up) == f"{text}."


def test_a_rule_with_an_upper_limit() -> None:
    met = rule("met", "REUSE", "voltage_drop_1c", low=0.03, high=0.04, limit=0.1)
    assert said("REUSE", met) == (
        "Voltage drop at 1C 3.0 to 4.0 %, below the REUSE limit of 10 %."
    )


def test_retest_and_errors_keep_their_own_words() -> None:
    retest = rule("missing", "RETEST", "", message="no route without soh_capacity: do")
    assert said("RETEST", retest) == "No route without capacity SOH: do."
    error = {"message": "/x/soh_capacity.csv: is empty", "type": "InputError"}
    assert sentence({"error": error}) == "/x/soh_capacity.csv: is empty."
    assert sentence({}) == ""


def test_names_in_words() -> None:
    assert label("dcir_10s_ohm") == "10 s resistance"
    assert label("dcir_0p5s_ohm") == "0.5 s resistance"
    assert label("self_made") == "self made"
    assert code_text("cutoff_not_reached") == "cut-off voltage not reached"
    assert clearance_text(["visual", "odd_one"]) == "visual inspection, odd one"
    assert plain("/a/soh_energy.h5 soh_energy my_rule") == (
        "/a/soh_energy.h5 energy SOH my_rule"
    )


def test_a_long_reason_is_cut_between_clauses_and_says_so() -> None:
    clause = "soh_energy straddles: it needs (a; b) " + "x" * 80
    message = "; ".join(f"{clause} {i}" for i in range(4))
    text = said("RETEST", rule("missing", "RETEST", "", message=message))
    assert text.startswith("Energy SOH straddles: it needs (a; b) xxx")
    assert text.endswith("x 0; 3 more below.")
    one = said("RETEST", rule("missing", "RETEST", "", message="y" * 900))
    assert one == f"Y{'y' * 899}."


def test_no_character_turns_the_text_around_it() -> None:
    assert escaped("<a>\u202eb\x00 \"'&") == "&lt;a&gt;\ufffdb\ufffd &quot;&#x27;&amp;"


def test_several_missing_quantities_are_one_list() -> None:
    message = (
        "no route can be decided: soh_capacity is missing: it needs (a; b); "
        "soh_energy is missing: it needs c"
    )
    assert said("RETEST", rule("missing", "RETEST", "", message=message)) == (
        "No route can be decided: no capacity SOH, no energy SOH; "
        "what each needs is below."
    )
