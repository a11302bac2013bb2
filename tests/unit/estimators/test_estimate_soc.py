"""Filters of the state of charge on simulated cells that differ from their model."""

from dataclasses import replace

import numpy as np
import pytest

import filter_samples as cells
from battlife.errors import EstimateError, InputError
from battlife.estimators import build
from battlife.estimators._ocv_table import read_ocv
from battlife.estimators.soc_ekf import ExtendedFilter
from battlife.estimators.soc_spkf import SigmaPointFilter
from battlife.model import Pack

PACK = Pack("cell", sensor={"current_a": 0.006, "voltage_v": 0.001})


def wander(rng, sd, length=0.1):
    """Return (101,) a smooth error of a curve over the state of charge."""
    soc = np.linspace(0, 1, 101)
    cov = np.exp(-0.5 * ((soc[:, None] - soc) / length) ** 2) + 1e-6 * np.eye(101)
    return sd * np.linalg.cholesky(cov) @ rng.normal(size=101)


def different(cell, seed, n=4500):
    """Return (trace, soc, capacity share, offset) of a cell unlike its model."""
    rng = np.random.default_rng(seed)
    current = cells.load(rng, n, -0.8 * rng.uniform(0.5, 1.1))
    capacity, offset = 1 + 0.03 * rng.normal(), 0.006 * rng.normal()
    voltage, soc = cells.run(
        cell,
        current,
        rng.uniform(0.5, 0.85),
        rng,
        capacity=capacity,
        curve_v=wander(rng, 0.004),
        resistance=np.exp(0.15 * rng.normal()),
        hysteresis=rng.uniform(-1, 1),
    )
    stop = int(np.argmax(soc < 0.04)) or n
    trace = cells.traced((current + offset)[:stop], voltage[:stop])
    return trace, soc[:stop], capacity, offset


def soc_of(method, trace):
    (found,) = method.estimate(trace, PACK)
    assert found.status == "ok", found.reasons
    (curve,) = method.curves(trace, PACK, found)
    return found, curve.columns


@pytest.mark.parametrize(("name", "worst"), [("nmc", 0.015), ("lfp", 0.06)])
def test_bounds_hold_what_they_promise_from_an_unknown_start(name, worst):
    cell = getattr(cells, name)()
    method = ExtendedFilter(model=cells.model(cell))
    held, errors, scores = [], [], []
    for seed in range(12):
        trace, soc, capacity, offset = different(cell, seed)
        found, curve = soc_of(method, trace)
        late = curve["time_s"] > 600
        inside = (soc >= curve["soc_low"]) & (soc <= curve["soc_high"])
        held.append(inside[late].mean())
        errors.append(np.sqrt(np.mean((curve["soc"] - soc)[late] ** 2)))
        q = found.measurements["total_capacity_ah"]
        b = found.measurements["current_offset_a"]
        scores.append(
            [
                (q.value / cells.CAPACITY_AH - capacity)
                / (q.uncertainty / cells.CAPACITY_AH),
                (b.value - offset) / b.uncertainty,
            ]
        )
    assert np.mean(held) >= 0.95
    assert np.mean(errors) < worst
    # Of twelve draws the root mean square of a standard normal stays below 1.5.
    assert (np.sqrt(np.mean(np.square(scores), axis=0)) < 1.5).all()


@pytest.mark.parametrize("wrong", [-0.3, -0.2, 0.2, 0.3])
def test_a_wrong_start_is_forgotten(wrong):
    trace, soc, _, _ = different(cells.nmc(), 3)
    method = ExtendedFilter(
        soc_initial=float(np.clip(soc[0] + wrong, 0, 1)), model=cells.model()
    )
    _, curve = soc_of(method, trace)
    late = curve["time_s"] > 600
    assert np.sqrt(np.mean((curve["soc"] - soc)[late] ** 2)) < 0.02


@pytest.mark.parametrize("share", [0.6, 1.6, 2.5])
def test_resistance_of_another_temperature_is_found(share):
    rng = np.random.default_rng(8)
    current = cells.load(rng, 3600, -0.8)
    voltage, soc = cells.run(cells.nmc(), current, 0.8, rng, resistance=share)
    found, curve = soc_of(
        ExtendedFilter(model=cells.model()), cells.traced(current, voltage)
    )
    assert found.measurements["resistance_share"].value == pytest.approx(share, rel=0.1)
    late = curve["time_s"] > 600
    assert np.abs(curve["soc"] - soc)[late].max() < 0.04


def test_both_filters_agree():
    trace, _, _, _ = different(cells.nmc(), 4, n=1500)
    model = cells.model()
    _, one = soc_of(ExtendedFilter(model=model), trace)
    _, other = soc_of(SigmaPointFilter(model=model), trace)
    late = one["time_s"] > 600
    for name in ("soc", "soc_low", "soc_high"):
        np.testing.assert_allclose(one[name][late], other[name][late], atol=0.01)


def test_on_a_plateau_the_bound_says_that_nothing_is_known():
    rng = np.random.default_rng(2)
    current = cells.load(rng, 600, 0.0)
    voltage, _ = cells.run(cells.lfp(), current, 0.5, rng)
    found, _ = soc_of(
        ExtendedFilter(model=cells.model(cells.lfp())), cells.traced(current, voltage)
    )
    soc = found.measurements["soc"]
    assert soc.high - soc.low > 0.2
    assert soc.low < 0.5 < soc.high


@pytest.mark.parametrize("name", ["nmc", "lfp"])
def test_from_full_the_bound_holds_from_the_first_minute(name):
    cell = replace(getattr(cells, name)(), load_a=-0.8)
    rng = np.random.default_rng(7)
    charge, rest = np.full(600, 0.3), np.zeros(120)
    current = np.concatenate([charge, rest, cells.load(rng, 3600, -0.8)])
    start = 1.0 - 600 * 0.3 / 3600 / cells.CAPACITY_AH
    voltage, soc = cells.run(cell, current, start, rng, hysteresis=1.0)
    # The record begins at the end of a charge, of which the filter is told nothing.
    method = ExtendedFilter(model=cells.model(cell))
    found, curve = soc_of(method, cells.traced(current[600:], voltage[600:]))
    soc = soc[600:]
    inside = (soc >= curve["soc_low"]) & (soc <= curve["soc_high"])
    assert inside[:600].mean() > 0.95
    assert inside.mean() > 0.95
    assert curve["soc"].max() <= 1.0
    assert curve["soc_high"].max() <= 1.01 + 1e-6
    assert "bound_unproven_near_full" not in found.reasons


def test_a_model_fitted_to_no_drive_says_that_near_full_nothing_is_proven():
    rng = np.random.default_rng(7)
    current = np.concatenate([np.zeros(120), cells.load(rng, 1800, -0.8)])
    voltage, _ = cells.run(cells.nmc(), current, 1.0, rng, hysteresis=1.0)
    found, _ = soc_of(
        ExtendedFilter(model=cells.model()), cells.traced(current, voltage)
    )
    assert "bound_unproven_near_full" in found.reasons


def test_charge_nobody_counted_widens_the_bound():
    trace = cells.drive()
    current = trace.column("current_a").copy()
    current[3300:] = np.nan
    voltage = trace.column("voltage_v").copy()
    voltage[3300:] = np.nan
    hidden = replace(trace, columns={"current_a": current, "voltage_v": voltage})
    method = ExtendedFilter(temperature_degc=25.0, model=cells.model())
    whole, _ = soc_of(method, trace)
    (broken,) = method.estimate(hidden, PACK)
    width = [
        e.measurements["soc"].high - e.measurements["soc"].low for e in (whole, broken)
    ]
    assert width[1] > width[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda v: v - 1.5, "voltage_outside_model"),
        (lambda v: v + 0.6, "voltage_outside_model"),
        (lambda v: 3.7 - (v - 3.7), "wrong_sign"),
    ],
)
def test_another_cell_is_refused(change, reason):
    trace = cells.drive()
    changed = {**trace.columns, "voltage_v": change(trace.column("voltage_v"))}
    (found,) = ExtendedFilter(model=cells.model()).estimate(
        replace(trace, columns=changed), PACK
    )
    assert (found.status, found.reasons) == ("refused", (reason,))


def test_noise_on_a_constant_current_is_no_wrong_sign():
    rng = np.random.default_rng(4)
    current = np.full(1800, -1.0) + 1e-4 * rng.normal(size=1800)
    voltage, _ = cells.run(cells.nmc(), current, 0.8, rng)
    # Noise of the voltage that happens to oppose that of the current.
    voltage -= 20.0 * (current + 1.0)
    (found,) = ExtendedFilter(model=cells.model()).estimate(
        cells.traced(current, voltage), PACK
    )
    assert found.status == "ok"


@pytest.mark.parametrize(
    ("nominal_ah", "reasons"),
    [
        (0.5, ("rating_disagrees",)),
        (1.5, ("rating_disagrees",)),
        (1.9, ()),
        (3.5, ()),
        (33.0, ("rating_disagrees",)),
    ],
)
def test_a_declared_rating_far_from_the_models_is_refused(nominal_ah, reasons):
    (found,) = ExtendedFilter(model=cells.model()).estimate(
        cells.drive(), replace(PACK, nominal_ah=nominal_ah)
    )
    assert found.reasons == reasons


@pytest.mark.parametrize("method", [ExtendedFilter, SigmaPointFilter])
@pytest.mark.parametrize(
    ("change", "scale", "reason"),
    [
        ({"capacity": 0.5}, 1.0, "capacity_contradicts_model"),
        ({"capacity": 0.8}, 1.0, "capacity_contradicts_model"),
        ({"resistance": 4.0}, 0.4, "resistance_contradicts_model"),
    ],
)
def test_a_cell_the_model_must_be_bent_for_is_refused(method, change, scale, reason):
    rng = np.random.default_rng(9)
    current = scale * cells.load(rng, 5000, -0.6)
    voltage, soc = cells.run(cells.nmc(), current, 0.9, rng, **change)
    stop = int(np.argmax(soc < 0.05)) or soc.size
    (found,) = method(model=cells.model()).estimate(
        cells.traced(current[:stop], voltage[:stop]), PACK
    )
    assert (found.status, found.reasons) == ("refused", (reason,))


def test_a_worn_cell_is_followed_where_its_capacity_is_said_to_be_uncertain():
    rng = np.random.default_rng(9)
    current = cells.load(rng, 3000, -0.6)
    voltage, soc = cells.run(cells.nmc(), current, 0.9, rng, capacity=0.75)
    stop = int(np.argmax(soc < 0.05)) or soc.size
    (found,) = ExtendedFilter(model=cells.model(), capacity_spread=0.2).estimate(
        cells.traced(current[:stop], voltage[:stop]), PACK
    )
    assert found.status == "ok", found.reasons
    capacity = found.measurements["total_capacity_ah"]
    assert abs(capacity.value - 1.5) < 3 * capacity.uncertainty


def test_another_chemistry_is_refused():
    (found,) = ExtendedFilter(model=cells.model()).estimate(
        cells.drive(), replace(PACK, chemistry="LFP")
    )
    assert found.reasons == ("chemistry_disagrees",)


def test_without_a_model_the_hint_says_how_to_make_one():
    with pytest.raises(EstimateError) as caught:
        ExtendedFilter().estimate(cells.drive(), PACK)
    assert caught.value.reasons == ("no_cell_model",)
    assert "calibrate" in caught.value.hint


def test_a_curve_alone_is_enough_where_the_record_has_pulses(tmp_path):
    cell = cells.nmc()
    path = tmp_path / "ocv.csv"
    rows = zip(cell.soc.tolist(), cell.ocv_v.tolist(), strict=True)
    path.write_text("soc,ocv_v\n" + "\n".join(f"{s},{v}" for s, v in rows))
    rng = np.random.default_rng(9)
    current = cells.load(rng, 3600, -0.8)
    voltage, soc = cells.run(cell, current, 0.8, rng)
    method = build("soc_ekf", {"ocv": str(path), "capacity_ah": "2.0"})
    _, curve = soc_of(method, cells.traced(current, voltage))
    late = curve["time_s"] > 600
    assert np.sqrt(np.mean((curve["soc"] - soc)[late] ** 2)) < 0.04
    inside = (soc >= curve["soc_low"]) & (soc <= curve["soc_high"])
    assert inside[late].mean() > 0.9


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "needs the columns"),
        ("a,b\n1,2\n", "needs the columns"),
        ("soc,ocv_v\n0,x\n", "not two numbers"),
        ("soc,ocv_v\n0,3\n1,4\n", "fewer than five"),
        ("soc,ocv_v\n" + "\n".join(f"{s},{s}" for s in range(0, 101, 10)), "percent"),
        ("soc,ocv_v\n0\n", "not two numbers"),
    ],
)
def test_a_hostile_curve_is_named(tmp_path, text, says):
    path = tmp_path / "ocv.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_ocv(str(path))
    assert says in str(caught.value) + caught.value.hint


def test_a_curve_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_ocv(str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    "settings",
    [{"soc_initial": "1.5"}, {"coverage": "1"}, {"capacity_spread": "-1"}],
)
def test_options_out_of_range_are_refused(settings):
    with pytest.raises(InputError, match="is not within"):
        build("soc_ekf", settings)


def test_a_model_of_another_method_is_refused():
    other = replace(cells.model(), estimator="pulse")
    with pytest.raises(InputError, match="holds no cell"):
        ExtendedFilter(model=other).estimate(cells.drive(), PACK)
