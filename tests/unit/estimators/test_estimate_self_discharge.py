"""Self-discharge on made rests and storages whose leak is known."""

from dataclasses import replace

import numpy as np
import pytest

from battlife.errors import EstimateError, InputError
from battlife.estimators import build
from battlife.estimators.self_discharge import SelfDischarge
from battlife.model import Pack, Trace
from rest_samples import SLOPE_V_PER_AH, Resting, resting

PACK = Pack(
    "cell",
    nominal_ah=2.0,
    cutoff_v=2.7,
    sensor={"voltage_v": 0.002, "current_a": 0.004},
    calibration="rig 1",
)
METHOD = SelfDischarge(ocv_slope_v_per_ah=SLOPE_V_PER_AH)
DECAY = "self_discharge_v_per_day"
BELOW = "self_discharge_below_v_per_day"


def decay(made: Resting):
    return METHOD.estimate(resting(made), PACK)[0]


@pytest.mark.parametrize("after_a", [1.0, -1.0])
@pytest.mark.parametrize("leak_a", [2e-5, 2e-4, 2e-3])
def test_days_of_rest_give_the_leak(leak_a, after_a):
    for seed in range(5):
        found = decay(Resting(leak_a=leak_a, after_a=after_a, hours=96, seed=seed))
        fall = found.measurements[DECAY]
        assert abs(fall.value - leak_a * SLOPE_V_PER_AH * 24) < 3 * fall.uncertainty
        current = found.measurements["self_discharge_a"]
        assert abs(current.value - leak_a) < 3 * current.uncertainty
        share = found.measurements["self_discharge_per_30d"]
        assert share.value == pytest.approx(current.value * 720 / 2.0)


@pytest.mark.parametrize("hours", [6.0, 12.0, 24.0, 72.0])
@pytest.mark.parametrize("slowest_h", [0.5, 3.0, 12.0])
@pytest.mark.parametrize("after_a", [1.0, -1.0])
def test_relaxation_is_never_told_as_self_discharge(hours, slowest_h, after_a):
    made = Resting(leak_a=0.0, hours=hours, slowest_h=slowest_h, after_a=after_a)
    for seed in range(4):
        found = decay(replace(made, seed=seed))
        assert DECAY not in found.measurements
        assert found.reasons
        if BELOW in found.measurements:
            assert found.measurements[BELOW].value > 0


def test_a_rest_too_short_to_tell_is_refused_or_bounded():
    made = Resting(hours=7.0, slowest_h=24.0)
    found = decay(replace(made, after_a=-1.0))
    assert found.status == "refused"
    assert found.reasons == ("rest_too_short",)
    after_charge = decay(made)
    assert after_charge.reasons[0] == "rest_too_short"
    assert set(after_charge.measurements) == {BELOW}
    waiting = decay(Resting(hours=30.0, slowest_h=12.0, noise_v=2e-5, quantum_v=1e-5))
    assert waiting.reasons == ("relaxation_not_over",)


@pytest.mark.parametrize("slowest_h", [0.5, 3.0, 12.0])
@pytest.mark.parametrize("after_a", [1.0, -1.0])
def test_bounds_from_short_rests_hold(slowest_h, after_a):
    for leak_a in (0.0, 1e-4, 1e-3):
        for hours in (6.0, 12.0, 24.0):
            made = Resting(
                leak_a=leak_a, hours=hours, slowest_h=slowest_h, after_a=after_a
            )
            found = decay(made)
            truth = leak_a * SLOPE_V_PER_AH * 24
            if BELOW in found.measurements:
                assert found.measurements[BELOW].value >= truth
            if DECAY in found.measurements:
                fall = found.measurements[DECAY]
                assert abs(fall.value - truth) < 3 * fall.uncertainty


@pytest.mark.parametrize("leak_a", [0.0, 2e-5])
def test_a_coarse_voltage_gives_a_bound_that_holds(leak_a):
    for seed in range(10):
        made = Resting(leak_a=leak_a, quantum_v=0.02, noise_v=0.0, seed=seed)
        found = decay(made)
        assert found.measurements[BELOW].value >= leak_a * SLOPE_V_PER_AH * 24
        assert "self_discharge_below_resolution" in found.reasons
        assert "self_discharge_a" not in found.measurements


def test_a_cooling_cell_is_not_one_that_leaks():
    for drift in (-6.0, 6.0):
        found = decay(Resting(leak_a=0.0, drift_k=drift))
        assert DECAY not in found.measurements or found.status == "refused"


def test_uncertainty_agrees_with_repeats_and_with_drifting_temperature():
    pulls = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        made = Resting(
            seed=seed,
            hours=float(rng.uniform(60, 200)),
            leak_a=float(rng.uniform(1e-4, 1e-3)),
            slowest_h=float(rng.uniform(0.5, 6.0)),
            after_a=float(rng.choice([-1.0, 1.0])),
            drift_k=float(rng.normal(0, 3)),
            entropic_v_per_k=float(rng.normal(0, 2e-4)),
        )
        fall = decay(made).measurements.get(DECAY)
        if fall is not None:
            truth = made.leak_a * SLOPE_V_PER_AH * 24
            pulls.append((fall.value - truth) / fall.uncertainty)
    assert len(pulls) > 25
    assert np.mean(np.abs(pulls) < 2.0) >= 0.9


def test_the_cell_that_falls_beside_its_neighbours_has_the_k_value():
    found = decay(Resting(n_cells=8, leak_a=2e-4, drift_k=3.0))
    assert found.conditions["worst_cell"] == 1
    k = found.measurements["cell_self_discharge_v_per_day"]
    assert abs(k.value - 2e-4 * SLOPE_V_PER_AH * 24) < 3 * k.uncertainty
    even = decay(Resting(n_cells=8, leak_a=0.0))
    assert "cell_self_discharge_v_per_day" not in even.measurements
    assert even.measurements["cell_self_discharge_below_v_per_day"].value > 0


def test_a_warm_cell_is_corrected_to_reference():
    trace = resting(Resting())
    warm = {**trace.columns, "temperature_degc": np.full(trace.n_samples, 35.0)}
    (found,) = METHOD.estimate(replace(trace, columns=warm), PACK)
    own = found.measurements["self_discharge_a"]
    at = found.measurements["self_discharge_reference_a"]
    assert own.value / at.value == pytest.approx(2.0, rel=0.03)
    assert at.uncertainty / at.value > own.uncertainty / own.value
    by_soc = replace(METHOD, per_soc=1.0, soc=0.9, reference_soc=0.5)
    (corrected,) = by_soc.estimate(replace(trace, columns=warm), PACK)
    ratio = corrected.measurements["self_discharge_reference_a"].value / at.value
    assert ratio == pytest.approx(np.exp(-0.4))


def stored(lost_ah: float, hours: float) -> Trace:
    """Return a full cycle, then a charge, a storage and the discharge after it."""

    def discharge(capacity):
        n = 200
        return np.full(n, -2.0), 1 - np.arange(1, n + 1) / n, capacity / 2 * 3600 / n

    def rest(soc, seconds, n=60):
        return np.zeros(n), np.full(n, soc), seconds / n

    def charge(capacity):
        n = 200
        return np.full(n, 2.0), np.arange(1, n + 1) / n, capacity / 2 * 3600 / n

    parts = [rest(0, 60), charge(2), rest(1, 600), discharge(2), rest(0, 600)]
    parts += [charge(2), rest(1, hours * 3600), discharge(2 - lost_ah), rest(0, 600)]
    current = np.concatenate([p[0] for p in parts])
    soc = np.concatenate([p[1] for p in parts])
    step = np.concatenate([np.full(p[0].size, p[2]) for p in parts])
    columns = {
        "current_a": current,
        "voltage_v": 3.0 + 1.2 * soc - 0.8 * np.exp(-20 * soc) + 0.05 * current,
        "temperature_degc": np.full(current.size, 25.0),
    }
    return Trace("cell", None, np.cumsum(step), [0], columns)


def test_storage_between_charge_and_discharge_gives_the_missing_charge():
    found = [
        e
        for e in SelfDischarge(min_hours=1e4).estimate(stored(0.1, 672.0), PACK)
        if e.conditions["source"] == "storage"
    ]
    (only,) = found
    current = only.measurements["self_discharge_a"]
    assert abs(current.value - 0.1 / 672.0) < 3 * current.uncertainty
    (bounded,) = SelfDischarge(min_hours=1e4).estimate(stored(0.001, 48.0), PACK)
    assert bounded.measurements["self_discharge_below_a"].value > 0.001 / 48.0
    assert "self_discharge_below_resolution" in bounded.reasons


def test_no_rest_no_current_and_a_wrong_sign_are_refused():
    with pytest.raises(EstimateError) as caught:
        METHOD.estimate(resting(Resting(hours=2.0)), PACK)
    assert caught.value.reasons == ("no_long_rest",)
    trace = resting(Resting())
    bare = {k: v for k, v in trace.columns.items() if k != "current_a"}
    with pytest.raises(EstimateError) as caught:
        METHOD.estimate(replace(trace, columns=bare), PACK)
    assert caught.value.reasons == ("current_missing",)
    flipped = {**trace.columns, "current_a": -trace.column("current_a")}
    (found,) = METHOD.estimate(replace(trace, columns=flipped), PACK)
    assert found.reasons == ("wrong_sign",)
    with pytest.raises(InputError):
        build("self_discharge", {"min_hours": "0.1"})


def test_the_curve_is_the_rest_with_its_line():
    trace = resting(Resting())
    (found,) = METHOD.estimate(trace, PACK)
    (curve,) = METHOD.curves(trace, PACK, found)
    line, seen = curve.columns["steady_fall_v"], curve.columns["cell_voltage_v"]
    late = len(curve) // 3 * 2
    assert np.abs(line[late:] - seen[late:]).max() < 1e-3
