"""What only the neighbours of a discharge can tell."""

from dataclasses import replace

import pytest

from battlife.estimators._draft import Draft, compared


def series(n=10, **changes):
    """Return n like discharges of 2 Ah, fading by 2 mAh each."""
    return [
        Draft(
            k,
            capacity_ah=2.0 - 0.002 * k,
            rate_a=2.0,
            condition_degc=25.0,
            charge_end_a=0.02,
            **changes,
        )
        for k in range(n)
    ]


def test_a_steady_series_gets_no_remark():
    assert all(d.refusals == d.qualifiers == () for d in compared(series()))


def test_a_charge_without_its_taper_did_not_fill_the_cell():
    drafts = series()
    drafts[6] = replace(drafts[6], capacity_ah=1.85, charge_end_a=1.0)
    result = compared(drafts)
    assert result[6].refusals == ("not_from_full", "charge_ended_early")
    assert all(not d.refusals for d in result if d.index != 6)


def test_the_same_charge_without_a_loss_is_only_remarked_on():
    drafts = series()
    drafts[6] = replace(drafts[6], charge_end_a=1.0)
    result = compared(drafts)
    assert not result[6].refusals
    assert "charge_ended_early" in result[6].qualifiers


def test_an_unlike_capacity_is_remarked_on_not_refused():
    drafts = series()
    drafts[3] = replace(drafts[3], capacity_ah=1.2)
    result = compared(drafts)
    assert not result[3].refusals
    assert result[3].qualifiers == ("unlike_neighbours",)


@pytest.mark.parametrize(
    ("field", "value", "remark"),
    [("rate_a", 4.0, "mixed_loads"), ("condition_degc", 44.0, "mixed_temperatures")],
)
def test_mixed_conditions_are_remarked_on_everywhere(field, value, remark):
    drafts = series()
    drafts[9] = replace(drafts[9], capacity_ah=1.0, **{field: value})
    result = compared(drafts)
    assert all(remark in d.qualifiers for d in result)
    # Nothing like it was measured, so nothing says that it is unlike.
    assert "unlike_neighbours" not in result[9].qualifiers


def test_refused_discharges_are_no_neighbours():
    drafts = series()
    drafts[2] = replace(drafts[2], refusals=("fragment",), capacity_ah=0.1, rate_a=9.0)
    result = compared(drafts)
    assert result[2].refusals == ("fragment",)
    assert all(d.qualifiers == () for d in result if d.index != 2)
