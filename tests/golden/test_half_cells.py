"""Measured cells: NREL's two NMC/graphite cells and their electrodes, and others."""

import numpy as np
import pytest

from battlife.errors import EstimateError
from battlife.estimators import build
from battlife.estimators.dva import DifferentialVoltage
from battlife.estimators.ica import IncrementalCapacity
from battlife.estimators.ocv_fit import HalfCellFit
from battlife.pipeline.estimating import curves, estimate
from battlife.pipeline.sources import LoadOptions
from battlife.reports.method_plots import METHOD_PLOTS, plot_method
from support import DATASETS, ROOT, shared

FOLDER = DATASETS / "half_cells"
CURVES = {
    "positive": str(FOLDER / "nmc_smooth.csv"),
    "negative": str(FOLDER / "gr_smooth.csv"),
}
FIT = HalfCellFit(**CURVES)


def fitted(path, method=FIT):
    (unit,) = estimate(path, method, LoadOptions())
    return unit.estimates


def test_the_aged_cell_lost_lithium_and_positive_material():
    """Its discharge gives 12.6 % less; the best fit of ampworks 0.1.0 to both cells
    (the one of its fits that does not end in a wrong minimum) has 12.1, 5.5, 12.7 %.
    """
    reference = str(FOLDER / "cell1_rough.csv")
    method = HalfCellFit(**CURVES, reference=reference)
    (found,) = fitted(FOLDER / "cell2_rough.csv", method)
    assert found.status == "ok"
    assert found.conditions["residual_rms_v"] < 1.2e-3
    for name, expected in (("lam_pe", 0.126), ("lam_ne", 0.056), ("lli", 0.127)):
        value = found.measurements[name]
        assert value.value == pytest.approx(expected, abs=0.01)
        assert 0.003 < value.uncertainty < 0.015


@pytest.mark.parametrize("cell", ["cell1", "cell2"])
def test_a_rough_and_a_smoothed_record_of_one_cell_agree(cell):
    (rough,) = fitted(FOLDER / f"{cell}_rough.csv")
    (smooth,) = fitted(shared(f"drive_hppc/nrel_dqdv/{cell}_smooth.csv"))
    for name, value in rough.measurements.items():
        other = smooth.measurements[name]
        together = np.hypot(value.uncertainty, other.uncertainty)
        assert abs(value.value - other.value) < 2 * together


def test_the_peaks_of_a_measured_cell_are_the_stages_of_graphite():
    (found,) = fitted(FOLDER / "cell1_rough.csv", IncrementalCapacity())
    places = [
        m.value
        for n, m in found.measurements.items()
        if n.endswith("_v") and not n.endswith("per_v")
    ]
    # 3.44 V: dilute stages; 3.60 V: the main plateau; 3.73 V: stage 2 to 1.
    for expected in (3.44, 3.60, 3.73):
        assert min(abs(p - expected) for p in places) < 0.01


def test_the_step_of_graphite_moves_toward_the_full_end_with_lost_lithium():
    """Where the fit puts a half-full negative."""
    for cell, expected in (("cell1", 0.0088), ("cell2", 0.0067)):
        (found,) = fitted(FOLDER / f"{cell}_rough.csv", DifferentialVoltage())
        step = found.measurements["dva_peak_1_ah"].value
        assert step == pytest.approx(expected, abs=3e-4)
        (fit,) = fitted(FOLDER / f"{cell}_rough.csv")
        states = fit.conditions
        high, low = (
            states["lithiation_negative_high"],
            states["lithiation_negative_low"],
        )
        half = (high - 0.5) / (high - low) * states["window_charge_ah"]
        assert step == pytest.approx(half, rel=0.1)


@pytest.mark.parametrize(
    ("source", "slowest"),
    [
        ("calce_cs2/CS2_35_timeseries.parquet", "0.47 C"),
        ("nasa_pcoe/B0045.mat", "C"),
        ("leaf_ornl/1C-Discharge-Bitrode-data.csv", "0.5 C"),
    ],
)
def test_fast_records_are_refused(source, slowest):
    with pytest.raises(EstimateError) as caught:
        fitted(shared(source), IncrementalCapacity())
    assert caught.value.reasons[0] == "rate_too_fast"
    assert slowest in caught.value.message


def test_the_main_peak_of_a_lithium_cobalt_cell_sinks_over_life():
    """At C/2, because nothing slower was measured, and said so."""
    source = shared("calce_cs2/CS2_35_timeseries.parquet")
    found = fitted(source, IncrementalCapacity(max_c_rate=0.6))
    charges = [e for e in found if e.status == "ok"]
    assert len(charges) > 800
    assert {e.conditions["direction"] for e in charges} == {"charge"}
    name = "ica_peak_2_ah_per_v"
    height = [e.measurements[name].value for e in charges if name in e.measurements]
    assert len(height) > 700
    assert np.median(height[:50]) > 2 * np.median(height[-50:])


@pytest.mark.parametrize("method", ["ica", "dva", "ocv_fit"])
def test_a_picture_and_the_same_bytes_again(method, tmp_path):
    built = build(method, CURVES if method == "ocv_fit" else {})
    (unit,) = estimate(FOLDER / "cell1_rough.csv", built, LoadOptions())
    drawn = curves(built, unit)
    assert method in METHOD_PLOTS
    for name in ("a.png", "b.png"):
        plot_method(method, unit.trace, drawn, tmp_path / name)
    content = (tmp_path / "a.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(content) > 10_000
    assert (tmp_path / "b.png").read_bytes() == content
    plot_method(method, unit.trace, [], tmp_path / "empty.png")
    assert (tmp_path / "empty.png").exists()


def test_a_picture_over_life(tmp_path):
    built = IncrementalCapacity()
    source = ROOT / "datasets/leaf_ornl/NissanLeaf-cell-Cycling-10C-24C-40C.csv"
    (unit,) = estimate(source, built, LoadOptions())
    drawn = curves(built, unit)
    assert len(drawn) > 6
    plot_method("ica", unit.trace, drawn, tmp_path / "life.png")
    assert (tmp_path / "life.png").stat().st_size > 30_000
