"""Rests as evidence of self-discharge, up to the clearance."""

import pytest

from battlife.grading import Evidence, grade, load_policy, parse_policy
from battlife.model import Estimate, Measurement, Pack, Route, Trace
from battlife.pipeline.evaluate import deciding, evidence_from

PACK = Pack("u", chemistry="NMC", nominal_ah=2.0, nominal_wh=7.4)
TRACE = Trace("u", None, [0.0], [0], {"current_a": [0.0], "voltage_v": [3.7]})
QUANTITY = "self_discharge_v_per_day"
RULE = """
[[route.rule]]
code = "reuse_self_discharge"
quantity = "self_discharge_v_per_day"
op = "<="
limit = 0.002
unit = "V/d"
required = false
source = "test"
"""


def limited():
    text = load_policy(None).toml
    head, mark, tail = text.partition('code = "reuse_capacity_and_energy"\n')
    return parse_policy((head + mark + RULE + tail).encode(), "limited")


def rest(**values):
    measurements = {
        name: Measurement(name, v, u, "V/d", *(() if hi is None else (0.0, hi, 0.95)))
        for name, (v, u, hi) in values.items()
    }
    return Estimate("u", "self_discharge", "1", measurements=measurements)


def said(*rests):
    return evidence_from(TRACE, PACK, rests, limited())[0].get(QUANTITY)


def test_a_bound_is_evidence_from_nothing_up_to_it_at_the_coverage_of_the_policy():
    u, value = 4e-4, 3e-4
    bound = value + 1.645 * u
    found = said(rest(self_discharge_below_v_per_day=(bound, u, bound)))
    assert (found.low, found.value) == (0.0, pytest.approx(value))
    assert found.high == pytest.approx(value + 2.0 * u)
    assert found.quantity == QUANTITY


def test_of_several_rests_the_one_that_tells_most_counts_and_none_contradicts():
    plain = rest(self_discharge_v_per_day=(1e-3, 1e-4, None))
    coarse = rest(self_discharge_below_v_per_day=(3e-2, 1e-2, 3e-2))
    other = rest(self_discharge_v_per_day=(5e-3, 4e-4, None))
    for order in ((plain, coarse, other), (other, coarse, plain)):
        found = said(*order)
        assert (found.low, found.high) == pytest.approx((8e-4, 1.2e-3))
    stored = Estimate(
        "u",
        "self_discharge",
        "1",
        measurements={"self_discharge_a": Measurement("self_discharge_a", 1, 0.1, "A")},
    )
    names = [list(e.measurements) for e in deciding((plain, stored), PACK, limited())]
    assert names == [["self_discharge_v_per_day"], ["self_discharge_a"]]


@pytest.mark.parametrize(
    ("bound", "route", "kept"),
    [(0.001, Route.REUSE, True), (0.004, Route.RETEST, False), (None, None, False)],
)
def test_a_limit_that_is_kept_is_the_self_discharge_evidence_of_a_clearance(
    bound, route, kept
):
    names = {"soh_capacity": 0.9, "soh_energy": 0.9, "voltage_drop_1c": 0.05}
    evidence = {
        n: Evidence(n, v, v, v, "1", "measured", 25.0) for n, v in names.items()
    }
    if bound is not None:
        evidence[QUANTITY] = Evidence(QUANTITY, 0.0, bound, 0.0, "V/d", "measured")
    graded = grade(limited(), "u", evidence, PACK)
    assert graded.route == (route or Route.REUSE)
    assert ("self_discharge" not in graded.clearance.missing) == kept
    assert not graded.clearance.cleared
    # A policy without a limit takes no rest for a clearance.
    default = grade(load_policy(None), "u", evidence, PACK)
    assert "self_discharge" in default.clearance.missing
