from dataclasses import replace

import numpy as np
import pytest

import lot_samples
from battlife.errors import EstimateError, InputError
from battlife.estimators.learned.applying import apply
from battlife.estimators.learned.design import Design, design_of
from battlife.estimators.learned.featurisers import recognised
from battlife.estimators.learned.pulse_features import PULSE
from battlife.estimators.learned.pulse_traces import rows
from battlife.estimators.learned.training import Labels, train
from battlife.estimators.pulse import PulseHealth
from battlife.model import Pack
from battlife.model.table import FeatureTable

NAMES = tuple(f"U{k}" for k in range(1, 22))
DESIGN = Design(NAMES, (0,) * 21)


def readings(table):
    return np.column_stack([table.number(n) for n in NAMES])


def changed(table, **columns):
    return FeatureTable({**table.numbers, **columns}, table.vectors, table.texts)


def answers(table):
    return apply(lot_samples.model(), table)


def test_a_new_cell_is_estimated_and_its_interval_holds():
    table = lot_samples.lot(seed=1)
    found = answers(table)
    truth = table.number("soh")
    kept = [f for f in found if f.status == "ok"]
    assert len(kept) > 0.9 * len(found)
    assert max(abs(f.value - truth[f.row]) for f in kept) < 0.02
    held = [f.low <= truth[f.row] <= f.high for f in kept]
    assert np.mean(held) > 0.8


def test_a_cell_that_relaxes_otherwise_is_refused():
    found = answers(lot_samples.lot(seed=2, tau_s=200.0))
    assert {f.status for f in found} == {"refused"}
    assert {f.reasons for f in found} == {("outside_domain",)}


def test_what_declares_itself_another_chemistry_is_refused():
    table = lot_samples.lot(seed=3)
    said = FeatureTable(
        table.numbers, {}, {**table.texts, "chemistry": ("LFP",) * len(table)}
    )
    assert {f.reasons for f in answers(said)} == {("type_disagrees",)}


@pytest.mark.parametrize("glitch", [0.0, -1.0, 65.535, 1e6])
def test_one_broken_reading_is_refused_and_the_others_are_not(glitch):
    table = lot_samples.lot(seed=4)
    broken = table.number("U12").copy()
    broken[5] = glitch
    found = answers(changed(table, U12=broken))
    assert found[5].status == "refused"
    assert sum(f.status == "ok" for f in found) > 0.9 * len(found)


def test_a_missing_reading_is_said():
    table = lot_samples.lot(seed=4)
    holed = table.number("U3").copy()
    holed[2] = np.nan
    assert answers(changed(table, U3=holed))[2].reasons == ("feature_missing",)


def test_broken_rows_in_the_lot_do_not_spoil_the_model():
    table = lot_samples.lot()
    truth = table.number("soh")
    broken = table.number("U12").copy()
    broken[[4, 23]] = (0.0, 5.5)
    spoiled = changed(table, U12=broken)
    model, _ = train(spoiled, Labels("soh", "group"), "pulse", "test")
    new = lot_samples.lot(seed=1)
    found = [f for f in apply(model, new) if f.status == "ok"]
    assert len(found) > 0.9 * len(new)
    error = [abs(f.value - new.number("soh")[f.row]) for f in found]
    assert np.mean(error) < 0.01
    foreign = apply(model, lot_samples.lot(seed=2, tau_s=200.0))
    assert {f.status for f in foreign} == {"refused"}
    assert np.isfinite(truth).all()


def test_pulse_columns_are_known_by_their_values_not_their_names():
    raw = readings(lot_samples.lot())
    assert recognised(DESIGN, raw) == "pulse"
    assert recognised(Design(("voltages",), (21,)), raw) == "pulse"
    assert recognised(DESIGN, np.roll(raw, 2, axis=1)) == "plain"
    assert recognised(DESIGN, 1000.0 * raw) == "plain"
    assert recognised(Design(NAMES[:20], (0,) * 20), raw[:, :20]) == "plain"


def test_features_do_not_know_the_size_of_a_cell_but_by_one():
    raw = readings(lot_samples.lot())
    first = raw[:, :1]
    larger = first + 1.5 * (raw - first)
    change = PULSE.features(DESIGN, larger) - PULSE.features(DESIGN, raw)
    assert np.allclose(change[:, 6], np.log(1.5))
    assert np.abs(change[:, 7:]).max() < 1e-9
    assert np.allclose(change[:, 0], 0.0)


def test_the_model_says_what_it_knew_of_the_state_of_charge():
    table = lot_samples.lot()
    known = changed(table, soc_set=np.linspace(0.1, 0.5, len(table)))
    taken = {"soh", "group"}
    assert "soc_set" not in design_of(known, (), taken).names
    assert "soc_set" in design_of(known, ("U*", "soc_set"), taken).names
    assert lot_samples.model().attribute("soc_information") == "none"


def test_a_recording_gives_the_voltages_around_each_change_of_current():
    trace = lot_samples.pulsed()
    table = rows(trace, Pack("cell"))
    assert len(table) == 1
    volts, amps = trace.column("voltage_v"), trace.column("current_a")
    edges = np.flatnonzero(np.diff(amps)) + 1
    wanted = [volts[edges[0] - 1]]
    for begin, end in zip(edges, [*edges[1:], amps.size], strict=True):
        wanted += [volts[begin], volts[end - 1]]
    assert readings(table)[0].tolist() == wanted
    assert table.number("pulse_s")[0] == pytest.approx(5.0)


def test_pulses_of_one_rate_are_no_test():
    trace = lot_samples.pulsed()
    amps = 5.0 * np.sign(trace.column("current_a"))
    flat = replace(trace, columns={**trace.columns, "current_a": amps})
    with pytest.raises(EstimateError) as caught:
        rows(flat, Pack("cell"))
    assert caught.value.reasons == ("no_pulse_test",)


def test_without_a_model_there_is_no_estimate():
    with pytest.raises(EstimateError) as caught:
        PulseHealth().estimate(lot_samples.pulsed(), Pack("cell"))
    assert caught.value.reasons == ("no_model",)


def test_a_model_of_another_layout_is_not_read():
    old = replace(lot_samples.model(), version="1")
    with pytest.raises(InputError):
        apply(old, lot_samples.lot())


def test_learning_tells_how_far_it_is():
    told = []
    train(
        lot_samples.lot(units=4),
        Labels("soh", "group"),
        "pulse",
        "test",
        lambda share, kind: told.append((share, kind)),
    )
    shares = [share for share, _ in told]
    assert shares[0] == 0.0
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert {kind for _, kind in told} == {""}
