import pytest

from battlife.grading import Evidence, findings, grade, load_policy
from battlife.model import Estimate, Pack, Route

PACK = Pack("u", chemistry="NMC", nominal_ah=2.0, nominal_wh=7.4)


def estimate(*reasons, status="ok", method="anomaly", **conditions):
    return Estimate(
        "u", method, "1", status=status, reasons=reasons, conditions=conditions
    )


def healthy():
    names = {"soh_capacity": 0.9, "soh_energy": 0.9, "voltage_drop_1c": 0.05}
    return {
        name: Evidence(name, v, v, v, "1", "measured", 25.0)
        for name, v in names.items()
    }


@pytest.mark.parametrize(
    ("code", "route"),
    [
        ("alarm_leak", Route.QUARANTINE),
        ("verdict_dead_cell", Route.QUARANTINE),
        ("alarm_outlier", Route.RETEST),
        ("alarm_reset", Route.RETEST),
        ("verdict_sense_wire", Route.RETEST),
        ("verdict_string_lost", Route.RETEST),
    ],
)
def test_a_finding_stands_before_every_route(code, route):
    plain = grade(load_policy(None), "u", healthy(), PACK)
    found = findings([estimate(code, cell=4)])
    held = grade(load_policy(None), "u", healthy(), PACK, found=found)
    assert held.route == route
    assert plain.route not in (Route.RETEST, Route.QUARANTINE) or plain.route != route
    (reason,) = [r for r in held.reasons if r.rule.startswith("finding_")]
    assert reason.message.startswith("cell 5: ")
    assert ("hold_released" in held.clearance.missing) == (route is Route.QUARANTINE)


def test_what_is_refused_or_harmless_finds_nothing():
    assert findings([estimate("alarm_leak", status="refused")]) == ()
    assert findings([estimate("uncertainty_unknown", "verdict_weak_cell")]) == ()


def test_one_finding_is_said_once():
    assert len(findings([estimate("alarm_leak"), estimate("alarm_leak")])) == 1


def test_a_hazard_outranks_a_doubt():
    both = findings([estimate("alarm_reset"), estimate("alarm_leak", cell=0)])
    assert len(both) == 2
    found = grade(load_policy(None), "u", healthy(), PACK, found=both)
    assert found.route is Route.QUARANTINE
