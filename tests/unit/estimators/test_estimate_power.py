"""Power of a cell whose resistance and open-circuit voltage are known."""

from dataclasses import replace

import numpy as np
import pytest

from battlife.errors import EstimateError, InputError
from battlife.estimators.power import PowerCapability
from battlife.model import Pack
from pulse_samples import BOTTOM_V, R0, R1, R2, TAU1, TAU2, TOP_V, hppc, ocv

RIG = Pack("cell", sensor={"voltage_v": 0.001, "current_a": 0.004})
LIMITS = {"min_v": 3.3, "max_v": 4.2}


def ohm_at_10s(load_a):
    """Return the resistance at 10 s, with what the OCV adds (per As)."""
    slope = (TOP_V - BOTTOM_V) / 2.0 / 3600
    pairs = R1 * (1 - np.exp(-10 / TAU1)) + R2 * (1 - np.exp(-10 / TAU2))
    return R0 + pairs + slope * 10


def test_the_power_is_that_of_the_definition():
    high, low = PowerCapability(**LIMITS).estimate(hppc(noise_v=1e-5), RIG)
    assert [e.conditions["soc"] for e in (high, low)] == [0.8, 0.2]
    for estimate in (high, low):
        assert estimate.status == "ok"
        assert estimate.conditions["capacity_ah"] == pytest.approx(2.0, rel=0.01)
        rest = ocv(estimate.conditions["soc"])
        # A pulse moves the cell by 1 % SOC before the next one starts.
        for name, expected in (
            ("discharge", 3.3 * (rest - 3.3) / ohm_at_10s(4.0)),
            ("charge", 4.2 * (4.2 - rest) / ohm_at_10s(3.0)),
        ):
            m = estimate.measurements[f"max_{name}_power_10s_w"]
            assert m.value == pytest.approx(expected, rel=0.06), name
            assert 0 < m.uncertainty < 0.15 * m.value
        assert "current_extrapolated" in estimate.reasons


def test_a_current_limit_holds():
    options = {**LIMITS, "max_discharge_a": 5.0, "max_charge_a": 3.0}
    high, _ = PowerCapability(**options).estimate(hppc(noise_v=1e-5), RIG)
    rest = ocv(0.8)
    found = high.measurements["max_discharge_power_10s_w"].value
    assert found == pytest.approx(5.0 * (rest - 5.0 * ohm_at_10s(4)), rel=0.01)
    found = high.measurements["max_charge_power_10s_w"].value
    assert found == pytest.approx(3.0 * (rest + 3.0 * ohm_at_10s(3)), rel=0.01)
    assert high.reasons == ()


def test_twice_the_resistance_is_half_the_power():
    (one,) = PowerCapability((0.5,), **LIMITS).estimate(hppc(noise_v=1e-5), RIG)
    (two,) = PowerCapability((0.5,), capacity_ah=2.0, **LIMITS).estimate(
        hppc(noise_v=1e-5, scale=2.0), RIG
    )
    name = "max_discharge_power_10s_w"
    ratio = one.measurements[name].value / two.measurements[name].value
    assert ratio == pytest.approx(2.0, rel=0.06)


def test_the_uncertainty_covers_the_noise():
    name = "max_discharge_power_10s_w"
    draws, told = [], []
    for seed in range(25):
        trace = hppc(seed, noise_v=1e-3)
        (found,) = PowerCapability((0.55,), **LIMITS).estimate(trace, RIG)
        draws.append(found.measurements[name].value)
        told.append(found.measurements[name].uncertainty)
    assert np.std(draws) < 1.3 * np.mean(told)


def test_limits_nobody_gave_are_not_assumed():
    with pytest.raises(EstimateError) as caught:
        PowerCapability().estimate(hppc(), RIG)
    assert caught.value.reasons == ("voltage_limit_unknown",)
    high, _ = PowerCapability().estimate(hppc(), replace(RIG, cutoff_v=3.3))
    assert set(high.measurements) == {"max_discharge_power_10s_w"}
    assert high.conditions["refused_charge"] == "voltage_limit_unknown"
    assert "full_not_verified" in high.reasons


def test_a_record_that_does_not_reach_the_limit_has_no_capacity():
    with pytest.raises(EstimateError) as caught:
        PowerCapability(min_v=2.5, max_v=4.2).estimate(hppc(), RIG)
    assert caught.value.reasons == ("capacity_unknown",)
    found = PowerCapability(min_v=2.5, max_v=4.2, capacity_ah=2.2).estimate(hppc(), RIG)
    assert found[0].conditions["capacity_source"] == "option"


def test_a_soc_without_pulses_around_it_is_refused():
    (found,) = PowerCapability((0.97,), **LIMITS).estimate(hppc(), RIG)
    assert found.status == "refused"
    assert found.reasons == ("soc_not_covered",)
    (found,) = PowerCapability((0.5,), min_v=3.3, max_v=3.5).estimate(hppc(), RIG)
    assert "max_charge_power_10s_w" not in found.measurements


def test_curves_hold_every_pulse():
    method = PowerCapability(**LIMITS)
    trace = hppc()
    found = method.estimate(trace, RIG)[0]
    down, up = method.curves(trace, RIG, found)
    assert (down.name, up.name) == ("pulses_discharge", "pulses_charge")
    assert len(down) == len(up) == 9
    assert (np.diff(down.columns["soc"]) > 0).all()
    np.testing.assert_allclose(
        down.columns["open_circuit_voltage_v"], ocv(down.columns["soc"]), atol=0.02
    )


@pytest.mark.parametrize(
    "options",
    [
        {"socs": (1.2,)},
        {"at_s": 0.0},
        {"min_v": -1.0},
        {"min_v": 4.0, "max_v": 3.0},
    ],
)
def test_options_are_checked(options):
    with pytest.raises(InputError):
        PowerCapability(**options)
