"""Degradation modes of cells whose electrodes are known, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from battlife.errors import EstimateError, InputError
from battlife.estimators import build
from battlife.estimators._half_cells import HalfCell, electrodes
from battlife.estimators._ocv_alignment import align
from battlife.estimators.ocv_fit import HalfCellFit
from battlife.model import Trace
from battlife.model.learned import Model
from slow_samples import (
    HIGH,
    LOW,
    NEGATIVE,
    PACK,
    POSITIVE,
    capacities,
    half_cell,
    slow,
)

FIT = HalfCellFit(str(POSITIVE), str(NEGATIVE))
NAMES = ("positive_capacity_ah", "negative_capacity_ah", "lithium_inventory_ah")
AGED = {"low": (0.025, 0.93), "high": (0.72, 0.17), "cell_ah": 1.6}


def joined(*parts: Trace) -> Trace:
    """Return several records one after the other."""
    columns = {
        name: np.concatenate([p.column(name) for p in parts])
        for name in parts[0].columns
    }
    step = parts[0].time_s[1]
    return Trace(
        "cell", None, np.arange(columns["current_a"].size) * step, [0], columns
    )


def test_the_capacities_are_those_of_the_electrodes():
    found = FIT.estimate(slow(), PACK)
    assert [e.conditions["direction"] for e in found] == ["discharge", "charge"]
    for estimate in found:
        assert estimate.status == "ok"
        for name, truth in zip(NAMES, capacities(), strict=True):
            value = estimate.measurements[name]
            # The window lacks a sample at its end: 1 in 2400.
            assert value.value == pytest.approx(truth, rel=2e-3)
            assert abs(value.value - truth) < 2 * value.uncertainty
        assert estimate.conditions["residual_rms_v"] < 5e-4
        assert estimate.reasons == ("reference_state",)
    # The polarisation has the sign of the current.
    assert found[0].conditions["polarisation_v"] == pytest.approx(-0.005, abs=2e-3)
    assert found[1].conditions["polarisation_v"] == pytest.approx(0.005, abs=2e-3)


def test_the_losses_are_against_the_first_half_cycle_of_the_direction():
    found = FIT.estimate(joined(slow(), slow(**AGED)), PACK)
    assert len(found) == 4
    fresh, aged = capacities(), capacities(AGED["low"], AGED["high"], AGED["cell_ah"])
    for estimate in found[:2]:
        assert "lli" not in estimate.measurements
    for estimate in found[2:]:
        for k, name in enumerate(("lam_pe", "lam_ne", "lli")):
            value = estimate.measurements[name]
            assert value.value == pytest.approx(1 - aged[k] / fresh[k], abs=2e-3)
            assert value.unit == "1"
    assert found[2].conditions["reference_state"] == "half-cycle 0 of this record"
    assert found[3].conditions["reference_state"] == "half-cycle 1 of this record"


def test_the_losses_may_be_against_a_file(tmp_path):
    trace = slow()
    chosen = slice(20, 20 + 2401)
    charge = np.arange(2401) * 30 * 0.1 / 3600
    path = tmp_path / "fresh.csv"
    rows = zip(charge, trace.column("voltage_v")[chosen], strict=True)
    path.write_text("Ah,Volts\n" + "\n".join(f"{q:.9g},{v:.9g}" for q, v in rows))
    found = replace(FIT, reference=str(path)).estimate(slow(**AGED), PACK)
    aged = capacities(AGED["low"], AGED["high"], AGED["cell_ah"])
    for estimate in found:
        lli = estimate.measurements["lli"].value
        assert lli == pytest.approx(1 - aged[2] / capacities()[2], abs=3e-3)
        assert estimate.conditions["reference_state"] == f"file {path}"


def test_no_curve_is_a_refusal():
    for method in (HalfCellFit(), HalfCellFit(positive=str(POSITIVE))):
        with pytest.raises(EstimateError) as caught:
            method.estimate(slow(), PACK)
        assert caught.value.reasons == ("no_reference_curve",)


def test_a_fast_record_is_refused():
    with pytest.raises(EstimateError) as caught:
        FIT.estimate(slow(hours=5.0), PACK)
    assert caught.value.reasons == ("rate_too_fast",)
    assert "0.2" in caught.value.message


@pytest.mark.parametrize("window", [(0.55, 0.8), (0.3, 0.65)])
def test_a_window_that_cannot_separate_the_modes_is_refused(window):
    for estimate in FIT.estimate(slow(window=window), PACK):
        told = set(estimate.measurements)
        assert not told & {"lli", "lam_pe", "positive_capacity_ah"}
        if estimate.status == "ok":
            assert "window_cannot_separate" in estimate.reasons
            name = "refused_positive_capacity_ah"
            assert estimate.conditions[name] == "window_cannot_separate"
        else:
            assert set(estimate.reasons) & {
                "ambiguous_alignment",
                "window_cannot_separate",
                "beyond_half_cell_curve",
            }
        # A correlation near one is why.
        found = [v for n, v in estimate.conditions.items() if n.startswith("corr")]
        assert np.abs(found).max() > 0.9


def test_curves_of_another_cell_do_not_fit(tmp_path):
    """A straight positive with the span of the true one."""
    path = tmp_path / "other.csv"
    x = np.linspace(0, 1, 101)
    path.write_text("x,V\n" + "\n".join(f"{a},{4.4 - 1.6 * a**3}" for a in x))
    for estimate in HalfCellFit(str(path), str(NEGATIVE)).estimate(slow(), PACK):
        assert estimate.status == "refused"
        assert not estimate.measurements


def bent(curve: HalfCell, rng, length: float, volt: float) -> HalfCell:
    """Return a curve with a smooth random error."""
    at = np.linspace(0, 1, curve.voltage_v.size)
    waves = rng.normal(0, 1 / length, 60)
    phases = rng.uniform(0, 2 * np.pi, 60)
    error = np.cos(np.outer(at, waves) + phases).sum(axis=1)
    values = curve.voltage_v + volt * np.sqrt(2 / 60) * error
    return replace(curve, voltage_v=values)


@pytest.mark.parametrize("length", [0.03, 0.1, 0.3])
def test_uncertainties_hold_with_half_cell_curves_that_are_not_quite_the_cells(length):
    """Monte Carlo over cells, curves bent by 2 mV each, noise of 0.3 mV."""
    true = electrodes(str(POSITIVE), str(NEGATIVE), None)
    rng = np.random.default_rng(1)
    inside, errors = [], []
    share = np.linspace(0, 1, 3001)
    for _ in range(40):
        low = (rng.uniform(0.01, 0.08), rng.uniform(0.85, 0.98))
        high = (rng.uniform(0.65, 0.95), rng.uniform(0.1, 0.3))
        plus, minus = (bent(c, rng, length, 0.002) for c in true)
        grid = np.linspace(0, 1, plus.voltage_v.size)
        voltage = np.interp(low[1] + (high[1] - low[1]) * share, grid, plus.voltage_v)
        voltage -= np.interp(low[0] + (high[0] - low[0]) * share, grid, minus.voltage_v)
        voltage += rng.normal(0, 3e-4, share.size) + rng.uniform(-0.01, 0.01)
        fit = align(share.copy(), voltage, 1, *true, 0.003)
        value, spread = fit.capacities()
        truth = np.array(capacities(low, high, 1.0))
        inside.append(np.abs(value - truth) <= 2 * np.sqrt(np.diag(spread)))
        errors.append(value / truth - 1)
    assert np.mean(inside) >= 0.93
    assert (np.mean(inside, axis=0) >= 0.85).all()
    # No fit in a wrong minimum.
    assert np.abs(errors).max() < 0.1
    assert (np.sqrt(np.mean(np.square(errors), axis=0)) < [0.03, 0.02, 0.015]).all()


def test_a_file_says_what_its_axis_is(tmp_path):
    x, v = half_cell(POSITIVE)
    texts = {
        "lithiation": "\n".join(
            ["sto,V", *(f"{a},{b}" for a, b in zip(x, v, strict=True))]
        ),
        "reversed": "\n".join(
            ["soc;U", *(f"{1 - a};{b}" for a, b in zip(x, v, strict=True))]
        ),
        "percent": "\n".join(
            [
                "SOC (%)\tVoltage",
                *(f"{100 - 100 * a}\t{b}" for a, b in zip(x, v, strict=True)),
            ]
        ),
        "comma": "\n".join(
            [
                "Ah;V",
                *(f"{3 * a};{b}".replace(".", ",") for a, b in zip(x, v, strict=True)),
            ]
        ),
        "bare": "\n".join(f"{a},{b}" for a, b in zip(x, v, strict=True)),
    }
    for name, text in texts.items():
        path = tmp_path / f"{name}.csv"
        path.write_text(text, encoding="utf-8")
        plus, _ = electrodes(str(path), str(NEGATIVE), None)
        grid = np.linspace(0, 1, plus.voltage_v.size)
        assert plus.voltage_v[0] > plus.voltage_v[-1], name
        np.testing.assert_allclose(plus.voltage_v, np.interp(grid, x, v), atol=1e-3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00binary\x00",
        b"a,b\n1,2\n",
        b"soc,V\n" + b"0.5,3.7\n" * 50,
        b"soc,V\n" + b"".join(b"%d,3.7\n" % k for k in range(200, 260)),
        b"soc,V\n" + b"".join(b"%f,%f\n" % (k / 60, 99.0 - k) for k in range(60)),
        b"soc,V\n" + b"".join(b"%f,%f\n" % (k / 60, 4 - k % 2) for k in range(60)),
        b"soc,V\n" + b"nan,nan\n" * 60,
        b"soc,V\n" + b"1" * 200_000 + b",3.7\n",
        b",,,\n" * 60,
    ],
    ids=["empty", "binary", "names", "one", "axis", "volts", "zigzag", "nan"]
    + ["field", "blank"],
)
def test_a_bad_file_is_named(tmp_path, content):
    path = tmp_path / "curve.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        HalfCellFit(str(path), str(NEGATIVE)).estimate(slow(), PACK)
    assert "curve.csv" in caught.value.message


def test_a_file_that_is_not_there_and_exchanged_files_are_named():
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        HalfCellFit("nowhere.csv", str(NEGATIVE)).estimate(slow(), PACK)
    with pytest.raises(InputError, match="below the negative"):
        HalfCellFit(str(NEGATIVE), str(POSITIVE)).estimate(slow(), PACK)


def test_a_reference_that_tells_nothing_is_refused(tmp_path):
    path = tmp_path / "fresh.csv"
    path.write_text("Ah,V\n" + "\n".join(f"{k * 0.01},{3.8}" for k in range(50)))
    with pytest.raises(EstimateError) as caught:
        replace(FIT, reference=str(path)).estimate(slow(), PACK)
    assert caught.value.reasons[0] == "reference_not_identified"
    path.write_text("soc,V\n" + "\n".join(f"{k * 0.01},{3.8}" for k in range(50)))
    with pytest.raises(InputError, match="no charge in Ah"):
        replace(FIT, reference=str(path)).estimate(slow(), PACK)


def test_curves_may_come_from_a_model():
    arrays = {}
    for name, path in (("positive", POSITIVE), ("negative", NEGATIVE)):
        x, v = half_cell(path)
        arrays |= {f"{name}/stoichiometry": x, f"{name}/voltage_v": v}
    model = Model("ocv_fit", "1", "half_cell_curves", "V", arrays=arrays)
    found = build("ocv_fit", {}, model).estimate(slow(), PACK)
    plain = FIT.estimate(slow(), PACK)
    for a, b in zip(found, plain, strict=True):
        assert a.model_sha256 == model.sha256
        value = a.measurements["lithium_inventory_ah"].value
        assert value == pytest.approx(b.measurements["lithium_inventory_ah"].value)


def test_the_drawn_curves_are_those_of_the_fit():
    trace = slow()
    estimate = FIT.estimate(trace, PACK)[0]
    cell, positive, negative = FIT.curves(trace, PACK, estimate)
    rms = np.sqrt(np.mean(cell.columns["residual_v"] ** 2))
    assert rms == pytest.approx(estimate.conditions["residual_rms_v"])
    at = cell.columns["charge_ah"]
    order = np.argsort(positive.columns["charge_ah"])
    plus = np.interp(
        at,
        positive.columns["charge_ah"][order],
        positive.columns["voltage_v"][order],
    )
    minus = np.interp(at, negative.columns["charge_ah"], negative.columns["voltage_v"])
    drawn = plus - minus + estimate.conditions["polarisation_v"]
    np.testing.assert_allclose(drawn, cell.columns["fitted_v"], atol=2e-3)


def test_absurd_options_are_refused():
    for settings in ({"max_c_rate": 0.0}, {"max_c_rate": 5.0}, {"curve_error_v": 0.0}):
        with pytest.raises(InputError):
            HalfCellFit(**settings)


def test_the_lithiation_at_either_end_is_stated():
    estimate = FIT.estimate(slow(), PACK)[0]
    for name, truth in (
        ("negative_low", LOW[0]),
        ("negative_high", HIGH[0]),
        ("positive_low", LOW[1]),
        ("positive_high", HIGH[1]),
    ):
        found = estimate.conditions[f"lithiation_{name}"]
        assert found == pytest.approx(truth, abs=3e-3)
