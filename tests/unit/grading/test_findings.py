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


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("eis", "kk_failed"),
        ("dcir", "voltage_leads_current"),
        ("ocv_fit", "curves_do_not_fit"),
    ],
)
def test_a_record_that_contradicts_itself_is_measured_again(method, code):
    refused = estimate(code, status="refused", method=method)
    found = grade(
        load_policy(None), "u", healthy(), PACK, found=findings([refused, refused])
    )
    assert found.route is Route.RETEST
    (reason,) = [r for r in found.reasons if r.rule == f"finding_{code}"]
    assert "again" in reason.message or "repeat" in reason.message
    # Another one that holds speaks for the unit; another method's does not.
    good = estimate(method=method)
    assert findings([refused, good]) == findings([good, refused]) == ()
    assert len(findings([refused, estimate(method="capacity")])) == 1
    assert findings([estimate(code, status="refused", method="capacity")]) == ()


@pytest.mark.parametrize(
    ("best", "second", "route"),
    [
        ("aged", "string_lost", Route.RETEST),
        ("dead_cell", "sense_wire", Route.RETEST),
        ("sense_wire", "nothing_found", Route.RETEST),
        ("nothing_found", "weak_capacity", None),
        (None, None, None),
    ],
)
def test_an_unknown_cause_is_shown_and_decides_where_a_connection_may_be_it(
    best, second, route
):
    causes = {"verdict_best": best, "verdict_second": second, "verdict_cell": 2}
    found = findings([estimate("verdict_cannot_tell", method="spread", **causes)])
    (reason,) = found
    assert reason.message.startswith("cell 3: ")
    policy = load_policy(None)
    graded = grade(policy, "u", healthy(), PACK, found=found)
    plain = grade(policy, "u", healthy(), PACK)
    assert reason in graded.reasons
    assert graded.route == (route or plain.route)
    assert plain.route is Route.REUSE


def test_a_spectrum_that_contradicts_itself_says_where():
    refused = estimate(
        "kk_failed", status="refused", method="eis", kk_worst_hz="1.468, 1.212"
    )
    (reason,) = findings([refused])
    assert "largest residuals at 1.468, 1.212 Hz" in reason.message
