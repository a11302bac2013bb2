import numpy as np
import pytest

import spectrum_samples
from battlife.errors import EstimateError
from battlife.estimators.impedance_soh import ImpedanceHealth
from battlife.estimators.learned.applying import apply
from battlife.estimators.learned.impedance_traces import grid, rows
from battlife.estimators.learned.regression import (
    fit_line_and_components,
    predict_line_and_components,
)
from battlife.model import Pack
from eis_samples import spectrum_trace

PACK = spectrum_samples.PACK


def only(trace):
    table = rows(trace, PACK)
    assert len(table) == 1
    vectors = table.vectors
    reason = table.texts["refused"][0]
    return vectors["z_re_ohm"][0], vectors["z_negative_im_ohm"][0], reason


def test_a_spectrum_is_read_at_the_frequencies_of_the_grid():
    hz = np.logspace(4, -1, 131)
    trace = spectrum_samples.swept(seed=1, hz=hz)
    re, negative_im, reason = only(trace)
    assert reason == ""
    assert re.size == negative_im.size == 41  # 1 kHz to 0.1 Hz, ten per decade
    (spectrum,) = trace.spectra
    for k in (0, 17, 40):
        near = np.abs(np.log(hz / grid()[k])) < 0.1
        assert spectrum.z_re_ohm[near].min() <= re[k] <= spectrum.z_re_ohm[near].max()
        im = -spectrum.z_im_ohm[near]
        assert im.min() <= negative_im[k] <= im.max()


def drifting():
    hz = spectrum_samples.FREQUENCY_HZ
    (spectrum,) = spectrum_samples.swept().spectra
    z = spectrum.z_re_ohm + 1j * spectrum.z_im_ohm
    return spectrum_trace(z * (1 + 0.3 * np.linspace(0, 1, hz.size) ** 8), hz)


@pytest.mark.parametrize(
    ("trace", "reason"),
    [
        (spectrum_samples.swept(hz=np.logspace(2, -1, 31)), "sweep_begins_late"),
        (spectrum_samples.swept(hz=np.logspace(4, -1, 11)), "too_few_points"),
        (drifting(), "kk_failed"),
    ],
)
def test_a_spectrum_that_is_no_use_is_refused_by_name(trace, reason):
    re, negative_im, why = only(trace)
    assert why == reason
    assert not re.size
    assert not negative_im.size
    (found,) = ImpedanceHealth(spectrum_samples.model()).estimate(trace, PACK)
    assert found.status == "refused"
    assert found.reasons == (reason,)


def test_a_sweep_that_ends_sooner_than_those_of_the_lot_is_refused():
    trace = spectrum_samples.swept(hz=np.logspace(4, 0, 41))
    (found,) = ImpedanceHealth(spectrum_samples.model()).estimate(trace, PACK)
    assert found.reasons == ("vector_too_short",)


def test_a_new_cell_is_estimated_and_its_interval_holds():
    table = spectrum_samples.lot(seed=5)
    found = apply(spectrum_samples.model(), table)
    truth = table.number("soh")
    kept = [f for f in found if f.status == "ok"]
    assert len(kept) > 0.8 * len(found)
    assert max(abs(f.value - truth[f.row]) for f in kept) < 0.05
    assert np.mean([f.low <= truth[f.row] <= f.high for f in kept]) > 0.8


def test_the_model_names_how_it_sees_spectra_and_the_contacts_say_nothing():
    model = spectrum_samples.model()
    assert model.attribute("featuriser") == "impedance of a recording"
    method = ImpedanceHealth(model)
    values = []
    for ohm in (0.005, 0.05):
        (found,) = method.estimate(spectrum_samples.swept(contact_ohm=ohm), PACK)
        values.append(found.measurements["soh_capacity"].value)
    # Noise grows with the magnitude, contacts included; nothing else changes.
    assert abs(values[0] - values[1]) < 0.02


def test_a_recording_without_spectrum_says_so():
    trace = spectrum_samples.swept()
    empty = type(trace)("cell", None, trace.time_s, [0], dict(trace.columns))
    with pytest.raises(EstimateError) as caught:
        ImpedanceHealth().estimate(empty, Pack("cell"))
    assert caught.value.reasons == ("no_spectrum",)


def test_the_slope_that_serves_on_units_left_out_is_chosen():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 25)
    truth = rng.uniform(0.6, 1.0, 200)
    x = np.arange(40.0)
    # The size of each unit is its own; health shows in the slope around point 20.
    size = rng.normal(0, 1.0, 8)[groups][:, None]
    bend = (truth[:, None] - 0.8) * 0.5 * np.tanh((x - 20) / 2)
    values = size + bend + rng.normal(0, 1e-3, (200, 40))
    arrays = fit_line_and_components(values, truth, groups)
    assert abs(arrays["place"][0] + 2 - 20) <= 1  # places count from the third point
    found, spread = predict_line_and_components(arrays, values)
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.02
    assert (spread > 0).all()
