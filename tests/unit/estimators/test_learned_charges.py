from dataclasses import replace

import numpy as np
import pytest

import charge_samples
from battlife.errors import EstimateError
from battlife.estimators.learned.applying import apply
from battlife.estimators.learned.charge_features import without_spikes
from battlife.estimators.learned.charge_traces import POINTS, WINDOW_V, rows
from battlife.estimators.learned.curve_blocks import (
    LAYOUT,
    coefficients,
    components,
    fit_components,
)
from battlife.estimators.learned.design import Design, design_of
from battlife.estimators.learned.featurisers import featuriser, recognised
from battlife.estimators.learned.training import Labels, train
from battlife.estimators.partial_charge import PartialCharge
from battlife.model import Pack, Trace
from battlife.model.table import FeatureTable

PACK = charge_samples.PACK


def edited(trace, **columns):
    return replace(trace, columns={**trace.columns, **columns})


def only_row(trace, pack=PACK):
    table = rows(trace, pack)
    assert len(table) == 1
    return table.vectors["charge_ah"][0], table.texts["refused"][0], table


def test_the_charge_between_two_voltages_is_that_of_the_cell():
    soh, ohm, current = 0.8, 0.05, 1.0
    curve, reason, table = only_row(charge_samples.charged(soh, ohm))
    assert reason == ""
    assert curve.size == POINTS
    full = np.linspace(0, 1.2, 400_001)
    volts = 3.45 + 0.7 * full + 0.05 * soh * np.sin(2 * np.pi * full)
    volts += (ohm + 0.05 / soh) * current
    truth = np.interp(np.linspace(*WINDOW_V, POINTS), volts, full) * 2.0 * soh
    assert np.abs(curve - (truth - truth[0])).max() < 1e-3
    assert table.number("charge_current_a")[0] == current


def test_cells_in_series_are_seen_one_by_one():
    trace = charge_samples.charged()
    four = edited(trace, voltage_v=4 * trace.column("voltage_v"))
    series = replace(PACK, cells_in_series=4)
    assert np.allclose(only_row(four, series)[0], only_row(trace)[0], atol=1e-12)
    with pytest.raises(EstimateError) as caught:
        rows(four, PACK)
    assert caught.value.reasons == ("no_partial_charge",)


def stepped(trace, factor):
    """Return the trace with another current in half of the window."""
    volts, amps = trace.column("voltage_v"), trace.column("current_a").copy()
    amps[(volts > 3.97) & (amps > 0)] *= factor
    return edited(trace, current_a=amps)


def thinned(trace, step):
    columns = {n: c[::step] for n, c in trace.columns.items()}
    return Trace("cell", None, trace.time_s[::step], [0], columns)


def holed(trace):
    amps = trace.column("current_a").copy()
    amps[200] = np.nan
    return edited(trace, current_a=amps)


@pytest.mark.parametrize(
    ("trace", "reason"),
    [
        (charge_samples.charged(start=0.55), "charge_began_late"),
        (stepped(charge_samples.charged(), 1.2), "current_not_steady"),
        (thinned(charge_samples.charged(), 40), "too_few_samples"),
    ],
)
def test_a_charge_that_is_no_use_has_a_row_and_a_reason(trace, reason):
    curve, why, _ = only_row(trace)
    assert why == reason
    assert not curve.size
    (found,) = PartialCharge(charge_samples.model()).estimate(trace, PACK)
    assert found.status == "refused"
    assert found.reasons == (reason,)


def test_a_new_cell_is_estimated_and_its_interval_holds():
    table = charge_samples.lot(seed=1)
    found = apply(charge_samples.model(), table)
    truth = table.number("soh")
    kept = [f for f in found if f.status == "ok"]
    assert len(kept) > 0.9 * len(found)
    assert max(abs(f.value - truth[f.row]) for f in kept) < 0.02
    assert np.mean([f.low <= truth[f.row] <= f.high for f in kept]) > 0.8


@pytest.mark.parametrize(
    ("trace", "reason"),
    [
        (charge_samples.charged(degc=5.0), "temperature_outside"),
        (charge_samples.charged(current_a=1.4), "current_outside"),
    ],
)
def test_a_charge_under_other_conditions_is_refused(trace, reason):
    (found,) = PartialCharge(charge_samples.model()).estimate(trace, PACK)
    assert found.status == "refused"
    assert found.reasons == (reason,)
    assert found.conditions["temperature_degc"] == trace.column("temperature_degc")[0]


def test_a_charge_without_temperature_says_so():
    trace = charge_samples.charged()
    columns = {n: c for n, c in trace.columns.items() if n != "temperature_degc"}
    bare = replace(trace, columns=columns)
    (found,) = PartialCharge(charge_samples.model()).estimate(bare, PACK)
    assert found.status == "ok"
    assert "temperature_unknown" in found.reasons
    assert found.conditions["temperature_degc"] is None


def test_the_step_at_the_start_is_a_resistance_and_asked_for_it_is_told():
    soh, ohm = 0.8, 0.05
    table = only_row(charge_samples.charged(soh, ohm, start=0.1))[2]
    since = 0.7 + 0.05 * soh * 2 * np.pi * np.cos(2 * np.pi * 0.1)
    slope = since / (2.0 * soh) * 30.0 / 3600.0
    truth = ohm + 0.05 / soh + slope
    assert abs(table.number("charge_start_ohm")[0] - truth) < 0.01 * truth
    rest = 3.45 + 0.07 + 0.05 * soh * np.sin(0.2 * np.pi)
    assert abs(table.number("charge_start_v")[0] - rest) < 1e-4
    wanted = ("charge_ah", "charge_start_ohm")
    labels = Labels("soh", "group", (), wanted)
    model, _ = train(charge_samples.lot(), labels, "partial_charge", "test")
    assert model.attribute("soc_information") == "charges begun as in the lot"
    assert charge_samples.model().attribute("soc_information") == "none"
    (found,) = PartialCharge(model).estimate(charge_samples.charged(start=0.1), PACK)
    assert found.conditions["soc_information"] == "charges begun as in the lot"
    fuller = charge_samples.charged(ohm=0.0, start=0.31)
    (other,) = PartialCharge(model).estimate(fuller, PACK)
    assert other.reasons == ("start_outside",)


def test_without_rest_before_a_charge_its_start_says_nothing():
    trace = charge_samples.charged()
    columns = {n: c[40:] for n, c in trace.columns.items()}
    cut = Trace("cell", None, trace.time_s[40:], [0], columns)
    table = only_row(cut)[2]
    assert np.isnan(table.number("charge_start_ohm")[0])
    assert only_row(cut)[1] == ""


def test_without_a_model_the_way_to_one_is_told():
    with pytest.raises(EstimateError) as caught:
        PartialCharge().estimate(charge_samples.charged(), Pack("cell"))
    assert caught.value.reasons == ("no_model",)
    assert "calibrate" in caught.value.hint


def test_the_curve_drawn_is_the_one_learned_from():
    method = PartialCharge(charge_samples.model())
    trace = charge_samples.charged()
    (found,) = method.estimate(trace, PACK)
    (curve,) = method.curves(trace, PACK, found)
    assert np.allclose(curve.columns["charge_ah"], only_row(trace)[0], atol=1e-12)
    assert curve.columns["cell_voltage_v"][[0, -1]].tolist() == list(WINDOW_V)


def tables(first):
    """Return tables of a charge and a relaxation in both orders."""
    rng = np.random.default_rng(0)
    grid, late = np.linspace(0, 1, 50), np.log1p(np.arange(91))
    shape = rng.uniform(0.8, 1.2, (30, 2))
    charge = [a * grid**b for a, b in shape]
    relax = [4.19 - 0.002 * a * late for a, _ in shape]
    columns = {"q": tuple(charge), "r": tuple(relax)}
    vectors = {n: columns[n] for n in (first, *({"q", "r"} - {first}))}
    return FeatureTable({}, vectors)


@pytest.mark.parametrize(
    ("first", "name"),
    [("q", "charge and relaxation"), ("r", "relaxation and charge")],
)
def test_curves_are_known_by_their_shape_in_any_order(first, name):
    table = tables(first)
    design = design_of(table, (), set())
    raw, _ = design.matrix(table)
    assert recognised(design, raw) == name
    see = featuriser(name)
    features = see.features(design, raw)
    assert features.shape == (30, sum(block.width for block in LAYOUT))
    other = tables("q" if first == "r" else "r")
    swapped = design_of(other, (), set())
    again = featuriser(recognised(swapped, swapped.matrix(other)[0]))
    assert np.allclose(features, again.features(swapped, swapped.matrix(other)[0]))


def test_a_spike_in_a_relaxation_changes_nothing_and_its_shape_stays():
    late = np.log1p(np.arange(91.0))
    curve = np.array([4.19 - a * 0.003 * late for a in (0.7, 1.0, 1.4)])
    assert np.array_equal(without_spikes(curve), curve)
    spiked = curve.copy()
    spiked[0, 40] += 0.05
    spiked[1, 60:62] -= 0.02
    spiked[2, 90] += 0.01
    assert np.abs(without_spikes(spiked) - curve).max() < 1e-4
    width = spiked.shape[1]
    design = Design(("r",), (width,))
    see = featuriser("relaxation")
    clean, mended = (see.features(design, c) for c in (curve, spiked))
    assert np.abs(mended - clean).max() < 1e-5


def test_a_broken_relaxation_is_not_learned_from_and_is_refused():
    rng = np.random.default_rng(2)
    late, units = np.log1p(np.arange(91.0)), np.repeat(np.arange(20), 4)
    soh = rng.uniform(0.6, 1.0, 20)[units]
    slope = (0.002 / soh)[:, None] * rng.normal(1, 0.003, (80, 1))
    relax = 4.19 - slope * late + rng.normal(0, 2e-5, (80, 91))
    broken = relax.copy()
    broken[7, 45:] += 0.2

    def lot(curves, truth=soh, group=units):
        return FeatureTable(
            {"soh": truth},
            {"relax_v": tuple(curves)},
            {"cell": tuple(map(str, group))},
        )

    labels = Labels("soh", "cell", (), ("relax_v",))
    models = [train(lot(c), labels, "table", "")[0] for c in (relax, broken)]
    assert models[0].attribute("featuriser") == "relaxation"
    rows = np.delete(np.arange(80), 7)
    errors = []
    for model in models:
        found = apply(model, lot(relax[rows], soh[rows], units[rows]))
        kept = [f for f in found if f.status == "ok"]
        assert len(kept) > 70
        errors.append(np.mean([abs(f.value - soh[rows][f.row]) for f in kept]))
    assert errors[1] < 1.5 * errors[0] + 1e-3
    again = apply(models[0], lot(broken))
    assert again[7].reasons == ("outside_domain",)


def test_coefficients_keep_what_a_curve_is():
    at = np.linspace(-1, 1, 51)
    curve = np.vstack([at**3 - at, np.exp(at)])
    found = coefficients(curve, at, 8)
    orders = np.arange(8)
    basis = np.polynomial.legendre.legvander(at, 7) * np.sqrt(orders + 0.5)
    assert np.abs(found @ basis.T - curve).max() < 1e-6
    assert not coefficients(curve[:, :9], at[:9], 8)[:, 5:].any()


def test_components_have_unit_variance_and_what_is_no_curve_stays():
    rng = np.random.default_rng(1)
    width = sum(block.width for block in LAYOUT)
    features = rng.standard_normal((200, width + 1)) * 10.0 ** -np.arange(width + 1)
    features[:, LAYOUT[0].width : width] = 0.0
    seen = components(fit_components(features), features)
    kept = seen[:, seen.std(axis=0) > 0]
    assert np.allclose(kept[:, :-1].std(axis=0), 1.0)
    assert np.array_equal(kept[:, -1], features[:, -1])
