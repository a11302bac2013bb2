"""Knee and remaining cycles on made trajectories with a known answer."""

from dataclasses import replace

import numpy as np
import pytest

import knee_samples
from battlife.archive.model_file import decode_model, encode_model
from battlife.errors import EstimateError, InputError
from battlife.estimators import build
from battlife.estimators._remaining import remaining
from battlife.estimators._trajectory import (
    Trajectory,
    knee_of,
    past_of,
    without_outliers,
)
from battlife.estimators.knee import RemainingLife
from battlife.estimators.trajectories import calibrate_trajectories, crossing_cycle
from battlife.model import Pack
from estimator_samples import PACK

PACK_NMC = Pack("x", nominal_ah=2.0, chemistry="NMC")


def lot(n: int, seed: int = 0) -> dict[str, Trajectory]:
    """Return cells that fade by a power of the cycle, each at its own pace."""
    rng = np.random.default_rng(seed)
    cells = {}
    for k in range(n):
        life, power = rng.uniform(150, 500), rng.uniform(0.9, 1.5)
        cycle = np.arange(0.0, 1.4 * life, 4.0)
        level = 1.0 - 0.35 * (cycle / life) ** power
        noise = rng.normal(0.0, 0.003, cycle.size)
        cells[f"c{k:02d}"] = Trajectory(cycle, 2.0 * (level + noise))
    return cells


@pytest.fixture(scope="module")
def model():
    return calibrate_trajectories(lot(30), 2.0, chemistry="NMC")


def bent(ratio: float, seed: int, at: float = 300.0, n: int = 100) -> Trajectory:
    rng = np.random.default_rng(seed)
    cycle = np.linspace(0.0, 500.0, n)
    fade = 2e-4 * cycle + 2e-4 * (ratio - 1.0) * np.maximum(cycle - at, 0.0)
    return Trajectory(cycle, 2.0 * (1.0 - fade + rng.normal(0, 0.003, n)))


def test_a_bend_is_a_knee_and_is_found_where_it_is():
    found = [knee_of(bent(6.0, seed), 2.0) for seed in range(40)]
    assert all(k.probability > 0.9 for k in found)
    held = np.mean([k.low <= 300.0 <= k.high for k in found])
    assert held >= 0.8  # of a stated 90 %, over 40 seeds
    assert np.median([k.after / k.before for k in found]) == pytest.approx(6.0, rel=0.2)


def test_straight_and_slowing_fades_have_no_knee():
    straight = [knee_of(bent(1.0, seed), 2.0).probability for seed in range(100)]
    slowing = [knee_of(bent(0.2, seed), 2.0).probability for seed in range(40)]
    assert np.mean(np.array(straight) > 0.5) <= 0.05
    assert max(slowing) < 0.5


def test_correlated_scatter_is_no_knee():
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(100):
        noise = np.zeros(100)
        for k in range(1, 100):
            noise[k] = 0.8 * noise[k - 1] + rng.normal(0.0, 0.002)
        cycle = np.linspace(0.0, 500.0, 100)
        line = Trajectory(cycle, 2.0 * (1.0 - 2e-4 * cycle + noise))
        alarms += knee_of(line, 2.0).probability > 0.5
    assert alarms <= 10


def test_intervals_cover_cells_of_the_lot_that_were_not_learned(model):
    pack = Pack("x", nominal_ah=2.0, chemistry="NMC")
    hits, errors, lines = [], [], []
    for cell in lot(40, seed=9).values():
        end = crossing_cycle(cell, 1.6)
        for share in (0.4, 0.6, 0.8):
            seen = without_outliers(cell.until(share * end))
            past = past_of(seen, 2.0)
            found = remaining(past, 0.8, pack, model)
            if found.refused:
                continue
            truth = end - seen.cycle[-1]
            hits.append(found.low <= truth <= found.high)
            errors.append(abs(found.cycles - truth) / end)
            lines.append(abs((past.now - 0.8) / past.late - truth) / end)
    assert len(hits) >= 100
    assert 0.8 <= np.mean(hits) <= 1.0
    assert np.mean(errors) < 0.7 * np.mean(lines)


def test_a_model_survives_its_file_and_answers_the_same(model):
    again = decode_model(encode_model(model))
    assert again.sha256 == model.sha256
    seen = without_outliers(lot(1, seed=9)["c00"].until(120.0))
    pack = Pack("x", nominal_ah=2.0, chemistry="NMC")
    past = past_of(seen, 2.0)
    assert remaining(past, 0.8, pack, again) == remaining(past, 0.8, pack, model)


@pytest.mark.parametrize(
    ("pack", "threshold", "reason"),
    [
        (Pack("x", nominal_ah=1.1, chemistry="NMC"), 0.8, "other_type_than_model"),
        (Pack("x", nominal_ah=2.0), 0.8, "type_not_declared"),
        (Pack("x", nominal_ah=2.0, chemistry="LFP"), 0.8, "other_type_than_model"),
        (Pack("x", nominal_ah=2.0), 0.3, "threshold_outside_model"),
        (Pack("x", nominal_ah=2.0), 0.99, "threshold_passed"),
    ],
)
def test_what_the_model_does_not_know_is_refused(model, pack, threshold, reason):
    past = past_of(lot(1, seed=9)["c00"].until(100.0), 2.0)
    assert remaining(past, threshold, pack, model).refused == reason


def test_a_history_unlike_the_lot_is_refused(model):
    cycle = np.arange(0.0, 40000.0, 100.0)
    slow = Trajectory(cycle, 2.0 * (1.0 - 3e-7 * cycle))
    found = remaining(past_of(slow, 2.0), 0.8, PACK_NMC, model)
    assert found.refused == "outside_training_domain"


def test_without_a_model_the_knee_is_told_and_no_remaining_life():
    (found,) = RemainingLife().estimate(knee_samples.ageing(), PACK)
    assert found.status == "ok"
    assert "no_lot_model" in found.reasons
    assert set(found.measurements) == {"capacity_fade_per_cycle", "knee_probability"}
    fade = found.measurements["capacity_fade_per_cycle"]
    # The cut-off of 2.7 V is reached after 94 % of each discharge.
    assert fade.value == pytest.approx(0.94 * 0.004, rel=0.005)


def test_an_estimate_at_a_cycle_is_that_of_the_record_cut_there(model):
    capacities = 2.0 - 0.016 * np.arange(24)
    whole = knee_samples.fading(capacities)
    part = knee_samples.fading(capacities[:14])
    method = RemainingLife(threshold=0.7, model=model)
    pack = replace(PACK, chemistry="NMC")
    (then,) = replace(method, at_cycle=13).estimate(whole, pack)
    (alone,) = method.estimate(part, pack)
    assert then.measurements == alone.measurements
    assert then.conditions == alone.conditions
    assert then.cycle == alone.cycle == 13


def test_too_short_a_history_and_no_reference_are_refused():
    short = knee_samples.fading(2.0 - 0.016 * np.arange(6))
    with pytest.raises(EstimateError) as caught:
        RemainingLife().estimate(short, PACK)
    assert caught.value.reasons == ("history_too_short",)
    with pytest.raises(EstimateError) as caught:
        RemainingLife().estimate(knee_samples.ageing(), Pack("cell", cutoff_v=2.7))
    assert caught.value.reasons == ("no_reference_capacity",)


def test_one_wild_capacity_is_left_out_and_three_are_a_change():
    cycle = np.arange(60.0)
    value = 2.0 - 0.002 * cycle
    wild = value.copy()
    wild[30] = 1.2
    assert 30 not in without_outliers(Trajectory(cycle, wild)).cycle
    fallen = np.where(cycle >= 30, value - 0.3, value)
    assert without_outliers(Trajectory(cycle, fallen)).cycle.size >= 57


def test_calibration_refuses_what_it_cannot_learn_from():
    with pytest.raises(InputError, match="can be learned from"):
        calibrate_trajectories(lot(3), 2.0)
    with pytest.raises(InputError, match="coverage"):
        calibrate_trajectories(lot(8), 2.0, coverage=1.5)
    with pytest.raises(InputError, match="no share"):
        build("knee", {"threshold": "80"})


def test_the_order_of_the_units_does_not_matter(model):
    shuffled = dict(reversed(list(lot(30).items())))
    again = calibrate_trajectories(shuffled, 2.0, chemistry="NMC")
    assert again.sha256 == model.sha256


def test_curves_show_the_trajectory_and_what_was_known(model):
    trace = knee_samples.fading(2.0 - 0.016 * np.arange(26))
    method = RemainingLife(threshold=0.7, model=model)
    (found,) = method.estimate(trace, PACK)
    everything, history = method.curves(trace, PACK, found)
    assert len(everything) == 26
    assert history.columns["cycle"][0] == 9
    assert np.isnan(history.columns["knee_probability"][0])
    last = history.columns["knee_probability"][-1]
    assert last == found.measurements["knee_probability"].value
