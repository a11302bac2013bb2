"""Anomalies on made packs and made claims."""

from dataclasses import replace

import numpy as np
import pytest

import pack_samples
from battlife.errors import EstimateError, InputError
from battlife.estimators import build
from battlife.estimators._chance import normal_tail, of_many, student_tail
from battlife.estimators.anomaly import Anomaly
from battlife.model import Pack, Trace
from pack_samples import Made, made_pack

PACK = Pack("cell", sensor={"voltage_v": 0.002, "current_a": 0.1}, calibration="rig 1")


def by_check(trace: Trace) -> dict:
    return {e.conditions["check"]: e for e in Anomaly().estimate(trace, PACK)}


@pytest.mark.parametrize("chemistry", ["nmc", "lfp"])
@pytest.mark.parametrize("load", ["rest", "cycle"])
def test_healthy_packs_raise_no_alarm(chemistry, load):
    for seed in range(5):
        made = Made(load=load, hours=10.0, step_s=10.0, chemistry=chemistry, seed=seed)
        for estimate in Anomaly().estimate(made_pack(made), PACK):
            assert not estimate.conditions["flagged"]


@pytest.mark.parametrize("quantum", [0.001, 0.02])
def test_a_leaking_cell_is_found_at_rest(quantum):
    for seed in range(4):
        made = Made(
            fault="short",
            size=0.12,
            load="rest",
            hours=24.0,
            step_s=20.0,
            quantum_v=quantum,
            noise_v=quantum / 2,
            seed=seed,
        )
        leak = by_check(made_pack(made))["leak"]
        assert leak.conditions["flagged"]
        assert leak.conditions["cell"] == 5


def test_the_leak_is_measured_while_cycling():
    found = []
    for seed in range(5):
        made = Made(fault="short", size=0.3, load="cycle", hours=12.0, step_s=5.0)
        leak = by_check(made_pack(replace(made, seed=seed)))["leak"]
        assert leak.conditions["cell"] == 5
        measured = leak.measurements["leak_current_a"]
        found.append((measured.value - 0.3) / measured.uncertainty)
    assert np.abs(found).max() < 4.0


def test_time_and_charge_that_go_together_are_not_told_apart():
    made = Made(fault="capacity", size=0.2, load="constant", hours=6.0, step_s=5.0)
    leak = by_check(made_pack(made))["leak"]
    assert leak.status == "refused"
    assert leak.reasons == ("time_and_charge_not_separated",)


def test_a_stuck_cell_is_found_and_a_still_pack_is_not():
    stuck = by_check(made_pack(Made(fault="stuck", step_s=4.0)))["stuck"]
    assert stuck.conditions["flagged"]
    assert stuck.conditions["cell"] == 5
    still = by_check(made_pack(Made(load="rest", step_s=4.0)))["stuck"]
    assert still.reasons == ("neighbours_do_not_move",)


def claims(**columns) -> dict:
    trace = pack_samples.cycled()
    n = trace.n_samples
    changed = {k: np.full(n, v) for k, v in columns.items()}
    return by_check(replace(trace, columns={**trace.columns, **changed}))


def test_a_bms_that_says_new_after_years_was_reset():
    assert claims(reported_soh=1.0)["reset"].conditions["flagged"]
    assert not claims(reported_soh=1.0, cycle_count=20.0)["reset"].conditions["flagged"]
    assert not claims(reported_soh=0.93)["reset"].conditions["flagged"]


def test_a_claimed_capacity_is_held_against_the_counted():
    honest = claims()["counted"]
    assert not honest.conditions["flagged"]
    assert honest.measurements["counted_over_claimed"].value == pytest.approx(
        1, abs=0.1
    )
    trace = pack_samples.cycled()
    soc = 0.5 + (trace.column("soc") - 0.5) * 3.0
    columns = {**trace.columns, "soc": soc}
    wrong = by_check(replace(trace, columns=columns))["counted"]
    assert wrong.conditions["flagged"]
    assert wrong.measurements["counted_over_claimed"].value == pytest.approx(
        1 / 3, rel=0.1
    )


def test_claims_alone_are_judged_without_cells():
    trace = pack_samples.cycled()
    columns = {k: v for k, v in trace.columns.items() if k != "cell_voltage_v"}
    assert set(by_check(replace(trace, columns=columns))) == {"reset", "counted"}


def test_chances_are_those_of_their_distributions():
    assert normal_tail(1.6448536) == pytest.approx(0.05, rel=1e-5)
    assert student_tail(1.894579, 7) == pytest.approx(0.05, rel=1e-5)
    assert of_many(0.001, 16) == pytest.approx(1 - 0.999**16)
    assert of_many(1e-13, 16) >= 1e-12


def test_nothing_to_compare_is_refused():
    empty = Trace("cell", None, np.arange(9.0), [0], {"voltage_v": np.ones(9)})
    with pytest.raises(EstimateError):
        Anomaly().estimate(empty, PACK)
    with pytest.raises(InputError):
        build("anomaly", {"alarm": "2"})
