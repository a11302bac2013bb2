"""Cell models from simulated tests, from an ESC model, and total capacity by AWTLS."""

from dataclasses import replace

import numpy as np
import pytest

import filter_samples as cells
from battlife.archive.model_file import read_model, write_model
from battlife.errors import EstimateError, InputError
from battlife.estimators._cell_model import cell_of
from battlife.estimators.awtls import TotalCapacity, solve
from battlife.estimators.cell_models import (
    ESC_LEVEL,
    calibrate_cell_model,
    esc_cell_model,
)
from battlife.model import Pack
from battlife.model.provenance import Source

PACK = Pack("cell", sensor={"current_a": 0.004, "voltage_v": 0.001})
SOURCE = Source("model.mat", "0" * 64, 1, "esc_model")


def dynamic(cell, seed=1, mean_a=-0.8):
    """Return a rest at full and a drive until empty."""
    rng = np.random.default_rng(seed)
    current = np.concatenate([np.zeros(300), cells.load(rng, 12000, mean_a)])
    voltage, soc = cells.run(cell, current, 1.0, rng, hysteresis=1.0)
    stop = int(np.argmax(soc < 0.0)) or current.size
    return cells.traced(current[:stop], voltage[:stop])


def slow_charge(cell):
    """Return a charge at C/20 from empty to full."""
    current = np.full(int(20.2 * 3600), 0.1)
    voltage, soc = cells.run(cell, current, 0.0, np.random.default_rng(2))
    stop = int(np.argmax(soc > 1.0)) or current.size
    return cells.traced(current[:stop], voltage[:stop])


def test_a_cell_is_found_again_from_its_tests():
    truth = cells.lfp()
    model, fits = calibrate_cell_model(
        [(slow_charge(truth), PACK), (dynamic(truth), PACK)]
    )
    assert [f.kind for f in fits] == ["ocv", "dynamic"]
    assert fits[1].half_rmse_v < 0.003
    found = cell_of(model)
    inner = (found.soc > 0.1) & (found.soc < 0.9)
    expected = np.interp(found.soc, truth.soc, truth.ocv_v)
    assert np.abs(found.ocv_v - expected)[inner].max() < 0.006
    assert found.r0_ohm[0] == pytest.approx(0.04, rel=0.05)
    assert found.capacity_ah[0] == pytest.approx(2.0, rel=0.01)
    assert found.hysteresis_v[0] == pytest.approx(0.02, abs=0.006)


def test_a_dynamic_test_alone_gives_a_wider_curve():
    cell = cells.nmc()
    alone, _ = calibrate_cell_model([(dynamic(cell), PACK)])
    both, _ = calibrate_cell_model([(dynamic(cell), PACK), (slow_charge(cell), PACK)])
    assert cell_of(alone).error_v.mean() > cell_of(both).error_v.mean()


def test_any_charge_from_empty_shows_the_other_branch():
    cell = replace(cells.nmc(), hysteresis_v=[0.03, 0.03])
    rng = np.random.default_rng(3)
    down = cells.load(rng, 11000, -0.8)
    up = np.full(3 * 3600, 0.7)
    current = np.concatenate([np.zeros(300), down, np.zeros(600), up])
    _, soc = cells.run(cell, current, 1.0, rng, hysteresis=1.0)
    empty = int(np.argmax(soc < 0.02))
    current = np.concatenate([current[:empty], np.zeros(600), up])
    voltage, soc = cells.run(cell, current, 1.0, rng, hysteresis=1.0)
    stop = int(np.argmax((soc > 1.0) & (np.arange(soc.size) > empty)))
    whole = cells.traced(current[:stop], voltage[:stop])
    found = cell_of(calibrate_cell_model([(whole, PACK)])[0])
    gap = found.hysteresis_v[0] * np.interp(0.5, found.soc, found.gap_shape)
    assert gap == pytest.approx(0.03, abs=0.006)
    assert found.load_a == pytest.approx(-0.8, abs=0.15)


def test_order_of_the_tests_does_not_matter():
    cell = cells.nmc()
    units = [(dynamic(cell), PACK), (slow_charge(cell), PACK)]
    one, _ = calibrate_cell_model(units)
    other, _ = calibrate_cell_model(units[::-1])
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name])


@pytest.mark.parametrize(
    ("units", "reason"),
    [
        ([(slow_charge(cells.nmc()), PACK)], "dynamic_missing"),
        ([(cells.traced(np.zeros(500), np.full(500, 3.7)), PACK)], "too_short"),
        ([], "dynamic_missing"),
    ],
)
def test_records_that_do_not_show_a_cell(units, reason):
    with pytest.raises(EstimateError) as caught:
        calibrate_cell_model(units)
    assert caught.value.reasons == (reason,)


def test_a_wrong_sign_is_no_model():
    trace = dynamic(cells.nmc())
    wrong = replace(
        trace, columns={**trace.columns, "voltage_v": 7.4 - trace.column("voltage_v")}
    )
    with pytest.raises(EstimateError) as caught:
        calibrate_cell_model([(wrong, PACK)])
    assert caught.value.reasons == ("wrong_sign",)


def test_a_gap_in_the_current_is_no_model():
    trace = dynamic(cells.nmc())
    current = trace.column("current_a").copy()
    current[500] = np.nan
    with pytest.raises(EstimateError) as caught:
        calibrate_cell_model(
            [(replace(trace, columns={**trace.columns, "current_a": current}), PACK)]
        )
    assert caught.value.reasons == ("sample_missing",)


def esc_numbers():
    soc = np.linspace(0, 1, 51)
    two = np.ones(2)
    return {
        "SOC": soc,
        "OCV0": 3.4 + 0.7 * soc,
        "OCVrel": np.full(51, 1e-4),
        "temps": np.array([5.0, 25.0]),
        "QParam": 2.0 * two,
        "etaParam": 0.99 * two,
        "GParam": 80.0 * two,
        "MParam": np.array([0.05, 0.03]),
        "M0Param": 0.0 * two,
        "R0Param": np.array([0.06, 0.02]),
        "RParam": np.array([0.01, 0.004]),
        "RCParam": 2.4 * two,
    }


def test_an_esc_model_is_its_numbers(tmp_path):
    model = esc_cell_model(esc_numbers(), SOURCE)
    write_model(tmp_path / "m.h5", model)
    again = read_model(tmp_path / "m.h5")
    assert again.sha256 == model.sha256
    cell = cell_of(again)
    at = cell.at(5.0)
    place = np.interp(
        0.5,
        at.grid[0] + np.arange(at.curves.shape[1]) / at.grid[1],
        np.arange(at.curves.shape[1]),
    )
    ocv, gap, r0, _ = at.curves[:, round(place)]
    assert ocv == pytest.approx(3.4 + 0.35 + 5.0 * 1e-4)
    level = (1.0 - ESC_LEVEL) * 0.05
    assert (gap, r0) == (pytest.approx(level), pytest.approx(0.06))
    assert at.rc == ((pytest.approx(0.01), pytest.approx(2.4)),)


def test_resistance_between_and_beyond_temperatures():
    cell = cell_of(esc_cell_model(esc_numbers(), SOURCE))

    def middle(degc):
        return cell.at(degc).curves[2, 300]

    assert middle(25.0) < middle(15.0) < middle(5.0) < middle(-10.0)
    assert cell.at(-10.0).r_spread > cell.at(5.0).r_spread
    assert cell.at(None).r_spread > cell.at(25.0).r_spread
    assert cell.at(-10.0).curves[3].mean() > cell.at(5.0).curves[3].mean()


def test_a_base_gives_other_temperatures():
    cell = cells.nmc()
    base = esc_cell_model(esc_numbers(), SOURCE)
    model, _ = calibrate_cell_model([(dynamic(cell), PACK)], base=base)
    found = cell_of(model)
    assert found.temperature_degc.tolist() == [5.0, 25.0]
    assert found.r0_ohm[1] == pytest.approx(0.04, rel=0.05)
    assert found.r0_ohm[0] / found.r0_ohm[1] == pytest.approx(0.07 / 0.024, rel=0.01)


def test_a_temperature_nobody_fitted_is_doubted():
    base = esc_cell_model(esc_numbers(), SOURCE)
    found = cell_of(calibrate_cell_model([(dynamic(cells.nmc()), PACK)], base=base)[0])
    cold, warm = found.at(5.0), found.at(25.0)
    assert np.median(cold.curves[3]) > np.median(warm.curves[3])
    assert cold.r_doubt == pytest.approx(0.2 * np.log(0.07 / 0.024), rel=0.01)
    assert warm.r_doubt == pytest.approx(0.0)
    assert cold.lasting_share > warm.lasting_share


def test_numbers_that_do_not_fit_are_no_cell():
    with pytest.raises(InputError, match="do not fit together"):
        replace(cells.nmc(), capacity_ah=[-1.0, 2.0])


def test_a_model_of_another_layout_is_not_read():
    with pytest.raises(InputError, match="layout"):
        cell_of(replace(cells.model(), version="0"))


def test_awtls_is_unbiased_where_least_squares_is_not():
    rng = np.random.default_rng(4)
    found, plain, inside = [], [], []
    for _ in range(400):
        x = rng.uniform(-0.6, 0.6, 30)
        u_x, u_y = np.full(30, 0.1), np.full(30, 0.05)
        noisy_x = x + 0.1 * rng.normal(size=30)
        y = 2.0 * x + 0.05 * rng.normal(size=30)
        value, u = solve(noisy_x, y, u_x, u_y)
        found.append(value)
        plain.append((noisy_x @ y) / (noisy_x @ noisy_x))
        inside.append(abs(value - 2.0) < 1.96 * u)
    assert np.mean(found) == pytest.approx(2.0, rel=0.01)
    assert np.mean(plain) < 1.9
    assert 0.90 < np.mean(inside) < 0.99


def test_awtls_with_exact_soc_is_weighted_least_squares():
    x, y = np.array([0.2, -0.5, 0.4]), np.array([0.41, -1.02, 0.79])
    u_y = np.array([0.01, 0.02, 0.03])
    value, _ = solve(x, y, np.full(3, 1e-6), u_y)
    assert value == pytest.approx((x * y / u_y**2).sum() / (x * x / u_y**2).sum())


@pytest.mark.parametrize("capacity", [0.8, 1.0])
def test_capacity_from_rests(capacity):
    rng = np.random.default_rng(6)
    rest, part = np.zeros(900), np.full(1300, -1.0)
    current = np.concatenate([rest, *([part, rest] * 4)])
    voltage, _ = cells.run(cells.nmc(), current, 0.95, rng, capacity=capacity)
    (found,) = TotalCapacity(model=cells.model()).estimate(
        cells.traced(current, voltage), PACK
    )
    measured = found.measurements["total_capacity_ah"]
    assert measured.low < 2.0 * capacity < measured.high
    assert measured.value == pytest.approx(2.0 * capacity, rel=0.06)
    assert found.conditions["pairs"] == 4


def test_a_capacity_that_is_not_of_the_models_cell_is_refused():
    rng = np.random.default_rng(6)
    rest, part = np.zeros(900), np.full(400, -1.0)
    current = np.concatenate([rest, *([part, rest] * 4)])
    voltage, _ = cells.run(cells.nmc(), current, 0.95, rng, capacity=0.3)
    (found,) = TotalCapacity(model=cells.model()).estimate(
        cells.traced(current, voltage), PACK
    )
    assert found.reasons == ("capacity_contradicts_model",)


def test_rests_on_a_plateau_are_no_capacity():
    rng = np.random.default_rng(6)
    current = np.concatenate([np.zeros(900), np.full(800, -1.0), np.zeros(900)])
    voltage, _ = cells.run(cells.lfp(), current, 0.55, rng)
    (found,) = TotalCapacity(model=cells.model(cells.lfp())).estimate(
        cells.traced(current, voltage), PACK
    )
    assert found.reasons == ("soc_change_too_small",)


def test_no_rest_is_said():
    with pytest.raises(EstimateError) as caught:
        TotalCapacity(model=cells.model()).estimate(cells.drive(), PACK)
    assert caught.value.reasons == ("no_rest",)
