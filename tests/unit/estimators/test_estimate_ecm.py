"""The circuit of pulses of a cell whose circuit is known."""

from dataclasses import replace

import numpy as np
import pytest

from battlife.errors import EstimateError, InputError
from battlife.estimators._arrhenius import Activation, between, corrected
from battlife.estimators.ecm import PulseCircuit
from battlife.model import Pack, Trace
from pulse_samples import R0, R1, R2, TAU1, TAU2, hppc, pulses_only

EXACT = Pack("cell", sensor={"current_relative": 0.0, "voltage_relative": 0.0})
TRUTH = {"r0_ohm": R0, "r1_ohm": R1, "tau1_s": TAU1, "r2_ohm": R2, "tau2_s": TAU2}


def accepted(trace, pack=EXACT, **options):
    return [
        e for e in PulseCircuit(**options).estimate(trace, pack) if e.status == "ok"
    ]


def test_every_pulse_gives_the_circuit():
    found = accepted(hppc())
    assert len(found) == 18
    for estimate in found:
        assert estimate.conditions["pairs"] == 2
        for name, value in TRUTH.items():
            m = estimate.measurements[name]
            assert abs(m.value - value) < 5 * m.uncertainty + 0.01 * value, name
    directions = [e.conditions["direction"] for e in found]
    assert directions == ["discharge", "charge"] * 9
    below = [e.conditions["below_highest_charge_ah"] for e in found]
    assert below[0] == pytest.approx(0.2, abs=0.01)


def test_the_uncertainty_holds_in_a_monte_carlo():
    pulls = {name: [] for name in TRUTH}
    for seed in range(12):
        for estimate in accepted(hppc(seed, noise_v=5e-4)):
            if estimate.conditions["direction"] != "discharge":
                continue
            for name, value in TRUTH.items():
                m = estimate.measurements.get(name)
                if m is not None and estimate.conditions["pairs"] == 2:
                    pulls[name].append((m.value - value) / m.uncertainty)
    for name, pull in pulls.items():
        assert len(pull) > 50, name
        # 100 draws: the spread of a standard deviation is 7 %.
        assert 0.4 < np.std(pull) < 1.25, name
        assert abs(np.mean(pull)) < 0.5, name


def test_steps_of_the_soc_are_too_long():
    refused = [e for e in PulseCircuit().estimate(hppc(), EXACT) if e.reasons]
    assert {e.reasons for e in refused} == {("pulse_too_long",)}
    long = hppc().column("current_a") == -2.0
    trace = hppc()
    part = slice(0, int(np.flatnonzero(long)[30]))
    columns = {k: v[part] for k, v in trace.columns.items()}
    with pytest.raises(EstimateError) as caught:
        PulseCircuit().estimate(
            Trace("cell", None, trace.time_s[part], [0], columns), EXACT
        )
    assert caught.value.reasons == ("pulse_too_long",)
    assert caught.value.hint


def test_a_voltage_ahead_of_its_current_is_refused():
    trace = pulses_only()
    voltage = trace.column("voltage_v").copy()
    voltage[:-1] = voltage[1:]
    (found,) = PulseCircuit().estimate(
        replace(trace, columns={**trace.columns, "voltage_v": voltage}), EXACT
    )
    assert found.reasons == ("voltage_leads_current",)


def test_too_few_samples_and_missing_ones_are_refused():
    trace = pulses_only()
    columns = {k: v[::40] for k, v in trace.columns.items()}
    with pytest.raises(EstimateError) as caught:
        PulseCircuit().estimate(
            Trace("cell", None, trace.time_s[::40], [0], columns), EXACT
        )
    assert caught.value.reasons == ("too_few_samples",)
    voltage = trace.column("voltage_v").copy()
    voltage[40] = np.nan
    (found,) = PulseCircuit().estimate(
        replace(trace, columns={**trace.columns, "voltage_v": voltage}), EXACT
    )
    assert found.reasons == ("sample_missing",)


def test_a_cell_still_relaxing_is_told_and_widens_the_pairs():
    trace = pulses_only()
    drift = 5e-4 * (trace.time_s - trace.time_s[0])
    moving = {**trace.columns, "voltage_v": trace.column("voltage_v") + drift}
    (still,) = PulseCircuit().estimate(trace, EXACT)
    (found,) = PulseCircuit().estimate(replace(trace, columns=moving), EXACT)
    assert "not_relaxed" in found.reasons
    assert (
        found.measurements["r1_ohm"].uncertainty
        > 5 * still.measurements["r1_ohm"].uncertainty
    )
    r0 = found.measurements["r0_ohm"]
    assert abs(r0.value - R0) < 2 * r0.uncertainty


def test_without_the_rest_the_pulse_alone_is_told():
    trace = pulses_only()
    part = slice(0, 15 + 200)
    columns = {k: v[part] for k, v in trace.columns.items()}
    (found,) = PulseCircuit().estimate(
        Trace("cell", None, trace.time_s[part], [0], columns), EXACT
    )
    assert "relaxation_missing" in found.reasons
    assert found.conditions["relaxation_s"] <= 0.0
    assert found.measurements["r0_ohm"].value == pytest.approx(R0, rel=0.05)


def test_a_cell_that_is_no_circuit_is_refused():
    trace = pulses_only()
    loaded = trace.column("current_a") != 0.0
    wild = trace.column("voltage_v") + 0.03 * np.sin(3 * trace.time_s) * loaded
    (found,) = PulseCircuit().estimate(
        replace(trace, columns={**trace.columns, "voltage_v": wild}), EXACT
    )
    assert found.reasons == ("no_circuit_fits",)
    assert not found.measurements


def test_curves_are_the_pulse_and_its_fit():
    trace = hppc()
    method = PulseCircuit()
    found = accepted(trace)[3]
    (curve,) = method.curves(trace, EXACT, found)
    off = curve.columns["fitted_voltage_v"] - curve.columns["voltage_v"]
    assert np.sqrt((off[1:] ** 2).mean()) == pytest.approx(
        found.conditions["fit_rms_v"]
    )
    # The first sample of the rest is left out.
    assert len(curve) == found.stop_sample - found.start_sample - 1


def test_a_resistance_is_corrected_by_the_stated_law():
    activation = Activation(25_000.0, 2_000.0, "made up")
    ratio = np.exp(25_000 / 8.314462618 * (1 / 283.15 - 1 / 298.15))
    cold = hppc(scale=float(ratio), degc=10.0, noise_v=1e-5)
    options = {
        "activation_j_per_mol": activation.j_per_mol,
        "u_activation_j_per_mol": activation.u_j_per_mol,
    }
    warm = accepted(hppc(noise_v=1e-5), **options)
    for a, b in zip(warm, accepted(cold, **options), strict=True):
        here = a.measurements["dcir_10s_25degc_ohm"]
        there = b.measurements["dcir_10s_25degc_ohm"]
        assert there.value == pytest.approx(here.value, rel=0.02)  # the OCV stays
        assert there.uncertainty > here.uncertainty
        assert b.conditions["corrected_from_degc"] == 10.0
        assert b.conditions["activation_source"] == "option"


def test_no_temperature_gives_no_correction():
    trace = pulses_only()
    columns = {k: v for k, v in trace.columns.items() if k != "temperature_degc"}
    (found,) = PulseCircuit().estimate(replace(trace, columns=columns), EXACT)
    assert "temperature_unknown" in found.reasons
    assert "dcir_10s_25degc_ohm" not in found.measurements
    freezing = {**columns, "temperature_degc": np.full(trace.n_samples, -10.0)}
    (found,) = PulseCircuit().estimate(replace(trace, columns=freezing), EXACT)
    assert "dcir_10s_25degc_ohm" not in found.measurements
    declared = replace(EXACT, test_degc=10.0)
    (found,) = PulseCircuit().estimate(replace(trace, columns=columns), declared)
    assert found.conditions["corrected_from_degc"] == 10.0


@pytest.mark.parametrize("name", ["NMC", "nmc", "NCM811", "NMC 532 / graphite"])
def test_a_declared_nmc_is_known_better_than_any_other(name):
    trace = hppc(degc=10.0)
    widths = {}
    for chemistry in (name, "", "LFP", "LMO/NMC", "graphite"):
        pack = replace(EXACT, chemistry=chemistry)
        tried = PulseCircuit().estimate(trace, pack)
        found = next(e for e in tried if "dcir_10s_25degc_ohm" in e.measurements)
        widths[chemistry] = found.measurements["dcir_10s_25degc_ohm"]
        assert found.conditions["activation_j_per_mol"] == 20_800
    known = widths.pop(name)
    assert {m.value for m in widths.values()} == {known.value}
    assert known.uncertainty / known.value == pytest.approx(0.171, abs=0.01)
    for other in widths.values():
        assert other.uncertainty / other.value == pytest.approx(0.257, abs=0.01)


def test_the_uncertainty_of_the_correction_agrees_with_monte_carlo():
    rng = np.random.default_rng(8)
    draws = []
    for _ in range(4000):
        ohm = 0.01 * (1 + 0.01 * rng.standard_normal())
        energy = Activation(25_000 + 3_000 * rng.standard_normal(), 0.0)
        degc = 15 + 1.0 * rng.standard_normal()
        draws.append(corrected(ohm, 0.0, degc, 25.0, energy)[0])
    value, u = corrected(0.01, 1e-4, 15.0, 25.0, Activation(25_000, 3_000))
    assert np.mean(draws) == pytest.approx(value, rel=0.01)
    assert np.std(draws) == pytest.approx(u, rel=0.05)
    assert corrected(0.01, None, 15.0, 25.0, Activation())[1] is None


def test_the_energy_between_two_temperatures_undoes_the_correction():
    energy = Activation(30_000, 0.0)
    warm, _ = corrected(0.02, 0.0, 5.0, 25.0, energy)
    assert between(0.02, 5.0, warm, 25.0) == pytest.approx(30_000)


@pytest.mark.parametrize(
    "options",
    [
        {"longest_s": 0.0},
        {"relaxation_s": -1.0},
        {"reference_degc": 80.0},
        {"activation_j_per_mol": 20_000.0},
        {"activation_j_per_mol": -1.0, "u_activation_j_per_mol": 1.0},
    ],
)
def test_options_are_checked(options):
    with pytest.raises(InputError):
        PulseCircuit(**options)
