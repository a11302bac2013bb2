"""Spectra whose circuit is known: values, uncertainty, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from battlife.errors import EstimateError, InputError
from battlife.estimators.eis import ImpedanceSpectrum
from battlife.model import Pack, Spectrum
from eis_samples import (
    ALPHA,
    ARC_OHM,
    FREQUENCY_HZ,
    HENRY,
    OHM,
    SIGMA,
    TAU_S,
    impedance,
    noisy,
    spectrum_trace,
)

EXACT = Pack("cell", sensor={"current_relative": 0.0, "voltage_relative": 0.0})
TRUTH = {
    "ohmic_resistance_ohm": OHM,
    "arc1_resistance_ohm": ARC_OHM,
    "arc1_time_constant_s": TAU_S,
    "warburg_ohm_per_sqrt_s": SIGMA,
    "inductance_h": HENRY,
    "charge_transfer_resistance_ohm": ARC_OHM,
    "polarisation_resistance_ohm": ARC_OHM,
    "arc1_top_hz": 1 / (2 * np.pi * TAU_S),
}


def one(trace, pack=EXACT, **options):
    (found,) = ImpedanceSpectrum(**options).estimate(trace, pack)
    return found


def test_the_circuit_is_found_and_its_values_are_the_truth():
    found = one(spectrum_trace())
    assert found.status == "ok"
    assert found.reasons == ()
    assert found.conditions["circuit"] == "L-R-ZARC-W"
    assert found.conditions["kk_rms"] < 1e-3
    assert found.conditions["temperature_degc"] == 25.0
    assert found.conditions["voltage_v"] == 3.7
    assert found.conditions["arc1_exponent"] == pytest.approx(ALPHA, rel=0.02)
    for name, value in TRUTH.items():
        assert found.measurements[name].value == pytest.approx(value, rel=0.03), name
    at_1khz = np.interp(3.0, np.log10(FREQUENCY_HZ[::-1]), np.abs(impedance())[::-1])
    assert found.measurements["ac_resistance_1khz_ohm"].value == pytest.approx(
        at_1khz, rel=2e-3
    )


def test_the_order_of_the_points_does_not_matter():
    z = noisy()
    order = np.random.default_rng(4).permutation(z.size)
    mixed = one(spectrum_trace(z[order], FREQUENCY_HZ[order]))
    straight = one(spectrum_trace(z))
    assert mixed.measurements == straight.measurements


def test_the_uncertainty_holds_in_a_monte_carlo():
    names = [n for n in TRUTH if n != "inductance_h"]
    pulls = {name: [] for name in names}
    for seed in range(60):
        found = one(spectrum_trace(noisy(seed, 2e-3)), circuit="L-R-ZARC-W")
        for name in names:
            m = found.measurements[name]
            pulls[name].append((m.value - TRUTH[name]) / m.uncertainty)
    for name, pull in pulls.items():
        # 60 draws: the spread of a standard deviation is 9 %. Never too small; the
        # allowance for related residuals may make it up to a third too large.
        assert 0.6 < np.std(pull) < 1.2, name
        assert abs(np.mean(pull)) < 0.5, name


def test_the_chosen_circuit_and_its_uncertainty_hold():
    """Of 60 cells with one or two arcs, with and without diffusion."""
    rng = np.random.default_rng(3)
    w = 2 * np.pi * FREQUENCY_HZ
    held, right = [], []
    for k in range(60):
        ohm, fast = rng.uniform(0.01, 0.03), 10 ** rng.uniform(-3.5, -2)
        slow = fast * 10 ** rng.uniform(1.2, 2)
        arcs, sigma = 1 + k % 2, rng.uniform(0.001, 0.004) * (k % 4 < 2)
        z = ohm + 1e-8j * w + sigma * (1 - 1j) / np.sqrt(w)
        total = 0.0
        for tau in (fast, slow)[:arcs]:
            arc = rng.uniform(0.005, 0.02)
            z = z + arc / (1 + (1j * w * tau) ** rng.uniform(0.7, 0.95))
            total += arc
        noise = rng.standard_normal(w.size) + 1j * rng.standard_normal(w.size)
        found = one(spectrum_trace(z + 1e-3 * np.abs(z) * noise))
        text = "L-R" + "-ZARC" * arcs + "-W" * (sigma > 0)
        right.append(found.conditions["circuit"] == text)
        for name, truth in (
            ("ohmic_resistance_ohm", ohm),
            ("polarisation_resistance_ohm", total),
        ):
            m = found.measurements[name]
            held.append(abs(m.value - truth) <= 2 * m.uncertainty)
    assert np.mean(right) > 0.9
    assert np.mean(held) > 0.9


def test_the_gain_of_the_analyser_adds_to_resistances_only():
    bare = one(spectrum_trace()).measurements
    with_gain = one(spectrum_trace(), gain_relative=0.01).measurements
    for name in ("ohmic_resistance_ohm", "polarisation_resistance_ohm"):
        expected = np.hypot(bare[name].uncertainty, 0.01 * bare[name].value)
        assert with_gain[name].uncertainty == pytest.approx(expected)
    assert with_gain["arc1_time_constant_s"] == bare["arc1_time_constant_s"]


def test_a_noisy_spectrum_is_called_noisy():
    rng = np.random.default_rng(8)
    n = FREQUENCY_HZ.size
    noise = 0.02 * (rng.standard_normal(n) + 1j * rng.standard_normal(n))
    noise[3] = 0.15
    found = one(spectrum_trace(impedance() * (1.0 + noise)))
    assert found.status == "refused"
    assert found.reasons == ("spectrum_noisy",)
    assert f"{FREQUENCY_HZ[3]:.4g}" in found.conditions["kk_worst_hz"].split(", ")
    assert found.conditions["kk_correlation"] < 0.4


def test_a_drifting_cell_fails_kramers_kronig():
    # The arc grows by 30 % while the sweep goes on: real cells that warm or drift.
    drift = np.linspace(0, 1, FREQUENCY_HZ.size) ** 4
    w = 2 * np.pi * FREQUENCY_HZ
    grown = 0.3 * drift * 0.015 / (1 + (1j * w * 10) ** 0.9)
    found = one(spectrum_trace(impedance() * (1 + 0.3 * drift) - 1j * np.abs(grown)))
    assert found.status == "refused"
    assert found.reasons == ("kk_failed",)
    assert found.conditions["kk_rms"] > 0.005
    assert one(
        spectrum_trace(impedance() * (1 + 0.3 * drift) - 1j * np.abs(grown)),
        kk_limit=0.5,
    ).measurements


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda z: np.conj(z), "inductive_at_low_frequency"),
        (lambda z: z - 0.03, "negative_real_part"),
        (lambda z: np.where(np.arange(z.size) < 9, z, np.nan), "too_few_points"),
        (lambda z: np.where(np.arange(z.size) < 15, z, np.nan), "span_too_narrow"),
    ],
)
def test_what_no_cell_can_show_is_refused(change, reason):
    found = one(spectrum_trace(change(impedance())))
    assert found.status == "refused"
    assert reason in found.reasons
    assert not found.measurements


def test_points_left_out_are_told():
    z = noisy()
    z[[3, 20]] = np.nan
    found = one(spectrum_trace(z))
    assert "points_missing" in found.reasons
    assert found.conditions["n_points"] == z.size - 2


def test_a_temperature_nobody_gave_is_told():
    trace = spectrum_trace()
    bare = tuple(replace(s, temperature_degc=np.nan) for s in trace.spectra)
    columns = {k: v for k, v in trace.columns.items() if k != "temperature_degc"}
    unknown = replace(trace, spectra=bare, columns=columns)
    found = one(unknown)
    assert "temperature_unknown" in found.reasons
    declared = one(unknown, replace(EXACT, test_degc=10.0))
    assert "temperature_unknown" not in declared.reasons
    assert declared.conditions["ambient_temperature_degc"] == 10.0


def test_a_circuit_that_does_not_fit_gives_only_what_needs_none():
    found = one(spectrum_trace(), circuit="R-RC")
    assert found.reasons == ("no_circuit_fits",)
    assert set(found.measurements) == {
        "ac_resistance_1khz_ohm",
        "real_axis_crossing_ohm",
    }


def test_a_parameter_the_data_do_not_hold_is_told():
    found = one(spectrum_trace(), circuit="L-R-ZARC-ZARC-W")
    assert "parameter_undetermined" in found.reasons


def test_an_arc_whose_top_was_not_seen_is_no_charge_transfer():
    w = 2 * np.pi * FREQUENCY_HZ
    tail = 0.1 / (1 + (1j * w * 300.0) ** 0.9)  # top at 0.5 mHz, sweep to 10 mHz
    z = OHM + ARC_OHM / (1 + (1j * w * TAU_S) ** ALPHA) + tail
    found = one(spectrum_trace(z), circuit="R-ZARC-ZARC")
    assert "arc_outside_sweep" in found.reasons
    for name in ("charge_transfer_resistance_ohm", "polarisation_resistance_ohm"):
        assert found.measurements[name].value == pytest.approx(ARC_OHM, rel=0.02)


def test_each_spectrum_has_its_estimate():
    trace = spectrum_trace()
    bad = Spectrum(FREQUENCY_HZ, np.full(61, np.nan), np.full(61, np.nan))
    found = ImpedanceSpectrum().estimate(
        replace(trace, spectra=(trace.spectra[0], bad)), EXACT
    )
    assert [e.cycle for e in found] == [0, 1]
    assert [e.status for e in found] == ["ok", "refused"]
    assert found[1].reasons == ("too_few_points",)


def test_curves_are_those_of_the_estimate():
    trace = spectrum_trace()
    method = ImpedanceSpectrum()
    (found,) = method.estimate(trace, EXACT)
    spectrum, spread = method.curves(trace, EXACT, found)
    assert spectrum.name == "spectrum"
    columns = spectrum.columns
    off = np.hypot(
        columns["fit_re_ohm"] - columns["z_re_ohm"],
        columns["fit_im_ohm"] - columns["z_im_ohm"],
    ) / np.hypot(columns["z_re_ohm"], columns["z_im_ohm"])
    assert np.sqrt((off**2).mean() / 2) == pytest.approx(found.conditions["fit_rms"])
    assert (np.diff(spread.columns["tau_s"]) > 0).all()
    assert (spread.columns["ohm_per_decade"] >= 0).all()


@pytest.mark.parametrize("text", ["R-XX", "ZARC", "R-R", "R-W-W", ""])
def test_a_circuit_is_checked(text):
    if not text:
        assert ImpedanceSpectrum(circuit=text).circuit == ""
        return
    with pytest.raises(InputError) as caught:
        ImpedanceSpectrum(circuit=text)
    assert caught.value.hint


@pytest.mark.parametrize(
    "options", [{"kk_limit": 0.0}, {"fit_limit": 2.0}, {"gain_relative": -0.1}]
)
def test_options_are_checked(options):
    with pytest.raises(InputError):
        ImpedanceSpectrum(**options)


def test_no_spectrum_is_an_error_with_a_hint():
    with pytest.raises(EstimateError) as caught:
        ImpedanceSpectrum().estimate(replace(spectrum_trace(), spectra=()), EXACT)
    assert caught.value.reasons == ("no_spectrum",)
    assert caught.value.hint
