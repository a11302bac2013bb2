"""Resistance of a simulated cell whose answer to a step is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from simulated_cells import PACK

from battlife.errors import EstimateError
from battlife.estimators._pulses import PulseRecord
from battlife.estimators.dcir import PulseResistance
from battlife.model import Notice, Pack, Provenance, Severity, Trace

OHM, RC_OHM, TAU_S = 0.010, 0.005, 8.0


def expected(t):
    return OHM + RC_OHM * (1 - math.exp(-t / TAU_S))


def pulse(time, load_a=-20.0, on_s=60.0, off_s=100.0, quantum_v=0.0):
    """Return the trace of one pulse; the load is on from on_s on, up to off_s."""
    since = np.clip(time - on_s, 0, None)
    on = (time > on_s) & (time <= off_s)
    current = np.where(on, load_a, 0.0)
    rise = RC_OHM * (1 - np.exp(-since / TAU_S))
    voltage = 3.7 + load_a * np.where(on, OHM + rise, 0.0)
    if quantum_v:
        voltage = np.round(voltage / quantum_v) * quantum_v
    columns = {
        "current_a": current,
        "voltage_v": voltage,
        "temperature_degc": np.full(time.size, 25.0),
    }
    return Trace("cell", None, time, [0], columns)


def irregular():
    """Return times: rest at 10 s, the pulse at 0.5 s then 2 s."""
    return np.concatenate(
        [
            np.arange(0, 60, 10.0),
            [60.0],
            np.arange(60.02, 75, 0.5),
            np.arange(76, 130, 2),
        ]
    )


@pytest.mark.parametrize("load_a", [-20.0, 20.0])
def test_the_resistance_at_stated_times_is_the_models(load_a):
    (estimate,) = PulseResistance().estimate(pulse(irregular(), load_a), PACK)
    assert estimate.status == "ok"
    assert estimate.reasons == ()
    assert estimate.conditions["direction"] == ("charge" if load_a > 0 else "discharge")
    for t in (1, 2, 10, 30):
        found = estimate.measurements[f"dcir_{t}s_ohm"]
        # Load-on lies within 20 ms; a chord of 2 s on an 8 s exponential.
        assert found.value == pytest.approx(expected(t), abs=4e-5)
        assert 0 < found.uncertainty < 2e-4
    assert estimate.conditions["start_voltage_v"] == pytest.approx(3.7)
    assert estimate.conditions["temperature_degc"] == 25.0


def test_the_quantum_of_the_recorder_is_in_the_uncertainty():
    time = np.concatenate([np.arange(0, 61, 1.0), np.arange(60.02, 130, 0.1)])
    (fine,) = PulseResistance().estimate(pulse(time), PACK)
    (coarse,) = PulseResistance().estimate(pulse(time, quantum_v=0.01), PACK)
    u = coarse.measurements["dcir_10s_ohm"].uncertainty
    assert u > 3 * fine.measurements["dcir_10s_ohm"].uncertainty
    # Two readings, each 10 mV / sqrt(12), on 20 A.
    assert u == pytest.approx(0.01 * math.sqrt(2 / 12) / 20, rel=0.05)


def test_coarse_sampling_and_short_pulses_are_refused_by_time():
    time = np.arange(0, 130, 10.0)
    (estimate,) = PulseResistance((10.0, 30.0)).estimate(pulse(time, on_s=55), PACK)
    assert estimate.conditions["refused_dcir_10s_ohm"] == "sampling_too_coarse"
    assert list(estimate.measurements) == ["dcir_30s_ohm"]
    (short,) = PulseResistance((10.0, 60.0)).estimate(pulse(irregular()), PACK)
    assert short.conditions["refused_dcir_60s_ohm"] == "pulse_too_short"
    with pytest.raises(EstimateError) as caught:
        PulseResistance((60.0,)).estimate(pulse(irregular()), PACK)
    assert caught.value.reasons == ("pulse_too_short",)


def test_a_pulse_of_exactly_t_is_long_enough():
    # Rest to 60 s, load from 60 s, logged every 0.5 s, the last sample at 90 s.
    time = np.arange(0, 130, 0.5)
    trace = pulse(time, off_s=90.0)
    (estimate,) = PulseResistance((30.0,)).estimate(trace, PACK)
    assert estimate.measurements["dcir_30s_ohm"].value == pytest.approx(
        expected(30), abs=2e-5
    )


def test_a_step_clock_tells_when_the_load_came_on():
    time = np.arange(0.0, 130.0, 1.0) + 0.9  # load-on 0.1 s after a sample
    trace = pulse(time)
    clock = np.where(time > 60, time - 60, time)
    told = replace(trace, columns={**trace.columns, "step_time_s": clock})
    (with_clock,) = PulseResistance((2.0,)).estimate(told, PACK)
    (without,) = PulseResistance((2.0,)).estimate(trace, PACK)
    close = with_clock.measurements["dcir_2s_ohm"]
    assert close.value == pytest.approx(expected(2), abs=1e-5)
    assert close.uncertainty < without.measurements["dcir_2s_ohm"].uncertainty
    off = abs(without.measurements["dcir_2s_ohm"].value - expected(2))
    assert off < 2 * without.measurements["dcir_2s_ohm"].uncertainty


def test_wrong_sign_is_refused():
    trace = pulse(irregular())
    flipped = {**trace.columns, "current_a": -trace.column("current_a")}
    (estimate,) = PulseResistance().estimate(replace(trace, columns=flipped), PACK)
    assert estimate.status == "refused"
    assert estimate.reasons == ("wrong_sign",)


def test_no_pulse_raises():
    time = np.arange(0, 100.0)
    columns = {"current_a": np.full(100, -1.0), "voltage_v": np.full(100, 3.7)}
    with pytest.raises(EstimateError) as caught:
        PulseResistance().estimate(Trace("cell", None, time, [0], columns), PACK)
    assert caught.value.reasons == ("no_pulse",)
    with pytest.raises(EstimateError):
        PulseResistance().estimate(Trace("cell", None, time, [0], {}), PACK)


def test_suspect_or_without_a_sensor():
    (bare,) = PulseResistance().estimate(pulse(irregular()), Pack("cell"))
    assert bare.measurements["dcir_10s_ohm"].uncertainty is None
    assert bare.reasons == ("uncertainty_unknown",)
    notice = Notice("scale", "current was doubled", Severity.SUSPECT)
    suspect = replace(pulse(irregular()), provenance=Provenance(notices=(notice,)))
    (refused,) = PulseResistance().estimate(suspect, PACK)
    assert refused.reasons == ("suspect_source",)
    assert not refused.measurements


def rested(relaxing_v=0.0, late=0, repeat=False, noise_v=0.0):
    """Return 60 s of rest after a charge, then a load; the current `late` samples."""
    time = np.arange(0.0, 120.0, 1.0)
    loaded = time >= 60.0
    volt = 3.7 + relaxing_v * np.exp(-time / 20.0) - 0.05 * loaded
    volt += noise_v * np.random.default_rng(5).standard_normal(time.size)
    current = np.where(np.roll(loaded, late) & loaded, -10.0, 0.0)
    columns = {"current_a": current, "voltage_v": volt}
    if repeat:
        again = np.sort(np.append(np.arange(time.size), 60))
        time, columns = time[again], {k: v[again] for k, v in columns.items()}
    return Trace("cell", None, time, [0], columns)


@pytest.mark.parametrize("late", [1, 2])
@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("noise_v", [0.0, 3e-4])
def test_a_voltage_that_leads_its_current_is_refused(late, repeat, noise_v):
    trace = rested(0.02, late, repeat, noise_v)
    (found,) = PulseResistance((10.0,)).estimate(trace, PACK)
    assert found.status == "refused"
    assert found.reasons == ("voltage_leads_current",)
    assert found.conditions["refused_dcir_10s_ohm"] == "voltage_leads_current"
    assert np.isnan(PulseRecord(trace, PACK).resistances((10.0,))).all()


@pytest.mark.parametrize("relaxing_v", [0.0, 0.05, -0.5])
@pytest.mark.parametrize("noise_v", [0.0, 3e-4, 3e-3])
def test_a_relaxation_or_noise_is_no_lead(relaxing_v, noise_v):
    (found,) = PulseResistance((10.0,)).estimate(
        rested(relaxing_v, noise_v=noise_v), PACK
    )
    assert found.measurements["dcir_10s_ohm"].value == pytest.approx(
        0.005, rel=0.4, abs=5e-4
    )
