"""What a discharge says of a chemistry, and what a declaration is worth."""

from typing import Any

import numpy as np
import pytest

from battlife.grading import grade, hold_evidence, load_policy
from battlife.grading.chemistry import declared_chemistries
from battlife.model import Outcome, Pack, Route, Trace

POLICY = load_policy()


def cycle(ocv_of, *, ohm=0.02, load_a=2.0, top_v, down_to=1.0, hours=1.0) -> Trace:
    """Return a discharge of `down_to` of 2 Ah from full, then a charge to `top_v`."""
    n = 400
    soc = np.linspace(1.0, 1.0 - down_to, n)
    discharge_v = ocv_of(soc) - ohm * load_a
    charge_v = np.minimum(ocv_of(soc[::-1]) + ohm * load_a, top_v)
    charge_v[-40:] = top_v
    time = np.arange(2 * n) * hours * 3600 * down_to / n
    current = np.r_[np.full(n, -load_a), np.full(n, load_a)]
    columns = {"voltage_v": np.r_[discharge_v, charge_v], "current_a": current}
    return Trace("U", None, time, [0], columns)


def layered(soc):
    """Return a sloping curve in V: 3.0 empty, 4.15 full."""
    return 3.4 + 0.75 * soc - 0.6 * np.exp(-25 * soc)


def phosphate(soc):
    """Return a plateau in V at 3.28 with a lifted last percent."""
    return 3.28 - 0.6 * np.exp(-25 * soc) + 0.3 * np.exp(-150 * (1 - soc))


def graded(trace: Trace, **pack: Any):
    unit = Pack("U", nominal_ah=2.0, **pack)
    return grade(POLICY, "U", hold_evidence(trace, unit), unit)


def reason(result, rule):
    (found,) = [r for r in result.reasons if r.rule == rule]
    return found


def test_a_resistive_cell_is_not_taken_for_lfp() -> None:
    """At 2C with 0.18 ohm half of the samples lie below 3.45 V, as in NASA B0030."""
    hot = cycle(layered, ohm=0.09, load_a=4.0, top_v=4.2, hours=0.5)
    found = hold_evidence(hot, Pack("U", nominal_ah=2.0))
    assert found["cell_voltage_discharging_median_v"].value < 3.45
    assert found["cell_voltage_discharging_top_v"].value > 3.6
    result = graded(hot)
    assert result.route is not Route.QUARANTINE
    assert reason(result, "hold_cell_voltage_max_v").limit == 4.30
    asked = reason(result, "hold_chemistry_declared")
    assert "units.toml" in asked.message
    assert "LFP" not in asked.message


def test_an_overcharged_lfp_is_not_excused_by_its_overvoltage() -> None:
    result = graded(cycle(phosphate, top_v=4.2))
    assert result.route is Route.QUARANTINE
    hit = reason(result, "hold_cell_voltage_max_v")
    assert hit.limit == 3.75
    assert "declare chemistry in units.toml" in hit.message
    asked = reason(result, "hold_chemistry_declared")
    assert asked.outcome is Outcome.MISSING
    assert asked.route == Route.QUARANTINE
    assert "declare chemistry in units.toml" in asked.message
    assert graded(cycle(phosphate, top_v=3.65)).route is not Route.QUARANTINE


def test_a_declared_lfp_that_discharges_like_a_layered_oxide_is_held() -> None:
    result = graded(cycle(layered, top_v=3.7), chemistry="LFP")
    assert result.route is Route.QUARANTINE
    hit = reason(result, "hold_chemistry_declared")
    assert (hit.outcome, hit.route) == (Outcome.NOT_MET, "QUARANTINE")
    assert "declared LFP" in hit.message
    assert "hold_released" in result.clearance.missing


def test_a_declared_nmc_that_discharges_like_lfp_is_remarked_on() -> None:
    result = graded(cycle(phosphate, top_v=3.65), chemistry="NMC")
    assert result.route is Route.RETEST
    remark = reason(result, "hold_chemistry_declared")
    assert (remark.outcome, remark.route) == (Outcome.MISSING, "")
    assert "check the label" in remark.message


@pytest.mark.parametrize("chemistry", ["LFP", "LiFePO4", "LFP-graphite"])
def test_a_true_declaration_is_not_contradicted(chemistry: str) -> None:
    met = reason(
        graded(cycle(phosphate, top_v=3.65), chemistry=chemistry),
        "hold_chemistry_declared",
    )
    assert met.outcome is Outcome.MET


def test_the_first_percent_after_a_charge_rules_nothing_out() -> None:
    """1 % of an LFP cell given from its lifted end is no contradiction."""
    short = cycle(phosphate, ohm=0.001, load_a=0.2, top_v=3.65, down_to=0.01, hours=10)
    found = hold_evidence(short, Pack("U", nominal_ah=2.0))
    assert found["cell_voltage_discharging_median_v"].value > 3.38
    assert found["cell_voltage_discharging_top_v"] is None
    result = graded(short, chemistry="LFP")
    assert result.route is not Route.QUARANTINE


def test_a_coin_cell_is_seen_by_its_own_scale() -> None:
    """3 mA is far below the 50 mA of a rest where no capacity is declared."""
    small = cycle(layered, ohm=20.0, load_a=0.003, top_v=4.2)
    unit = Pack("U")
    found = hold_evidence(small, unit)
    assert found["cell_voltage_discharging_top_v"].value > 3.6
    result = grade(POLICY, "U", found, unit)
    assert result.route is not Route.QUARANTINE


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("NMC", ("NMC",)),
        ("ncm811", ("NMC",)),
        ("LiFePO4", ("LFP",)),
        ("LiCoO2", ("LCO",)),
        ("NMC/graphite", ("NMC",)),
        ("LMO/NMC", ("LMO", "NMC")),
        ("NMC/LTO", ("NMC", "LTO")),
        ("graphite", ()),
        ("unobtainium", ()),
        ("", ()),
    ],
)
def test_spellings(text: str, parts: tuple[str, ...]) -> None:
    assert declared_chemistries(text) == parts
