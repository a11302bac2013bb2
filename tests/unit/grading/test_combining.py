import pytest

from battlife.grading import Evidence, combined
from battlife.model import Route


def said(low, high, source="a"):
    return Evidence("soh_capacity", low, high, (low + high) / 2, "1", source, 25.0)


def test_agreement_keeps_the_narrowest_and_names_the_witness():
    found, reason = combined([said(0.6, 0.9, "screened"), said(0.79, 0.83, "measured")])
    assert reason is None
    assert (found.low, found.high) == (0.79, 0.83)
    assert found.source == "measured; agrees: screened"


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_contradiction_is_no_evidence_and_a_reason_for_retest(order):
    found, reason = combined([said(0.60, 0.70, "a"), said(0.75, 0.80, "b")][order])
    assert found is None
    assert reason.rule == "retest_contradiction"
    assert reason.route == Route.RETEST
    assert "(a)" in reason.message
    assert "(b)" in reason.message


def test_one_of_three_that_disagrees_is_enough():
    found, reason = combined(
        [said(0.6, 0.8, "a"), said(0.7, 0.9, "b"), said(0.85, 0.95, "c")]
    )
    assert found is None
    assert "(a)" in reason.message
    assert "(c)" in reason.message


def test_what_is_no_number_is_no_witness():
    nan = float("nan")
    found, reason = combined([said(nan, nan, "broken"), said(0.7, 0.8, "measured")])
    assert reason is None
    assert found.source == "measured"
    assert combined([said(nan, nan)])[0].usable is False
