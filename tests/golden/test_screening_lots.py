"""Lots of cells measured by others, seen the way a model sees them."""

from pathlib import Path

import numpy as np
import pytest

from battlife.estimators.learned.conditions import REFUSED
from battlife.estimators.learned.design import design_of
from battlife.estimators.learned.featurisers import featuriser, recognised
from battlife.estimators.learned.impedance_traces import seen_spectrum
from battlife.estimators.learned.regression import (
    fit_line_and_components,
    predict_line_and_components,
)
from battlife.estimators.learned.training import Labels
from battlife.model import Spectrum
from battlife.pipeline.screening import labelled_recordings
from battlife.pipeline.sources import LoadOptions
from battlife.readers.feature_tables import read_feature_table
from support import SHARED

LSD = SHARED / "lsd_second_life" / "lsd_give.parquet"
EIS = SHARED / "eis_cambridge" / "eis_train.parquet"
CALCE = SHARED / "calce_cs2" / "CS2_36_timeseries.parquet"


def needs(path: Path):
    return pytest.mark.skipif(not path.exists(), reason="private data are not here")


def seen(path: Path, features: tuple[str, ...]):
    table = read_feature_table(path)
    design = design_of(table, features, set())
    raw, reasons = design.matrix(table)
    assert not any(reasons)
    name = recognised(design, raw)
    return table, name, featuriser(name).features(design, raw)


@needs(LSD)
def test_charge_and_relaxation_of_second_life_cells_are_recognised():
    _, name, features = seen(LSD, ("q_*", "relax_V"))
    assert name == "charge and relaxation"
    assert np.isfinite(features).all()


@needs(EIS)
def test_a_cell_that_a_model_of_spectra_never_saw():
    table, name, features = seen(EIS, ("re*", "negim*"))
    assert name == "impedance"
    truth, cell = table.number("capacity_mAh"), table.number("cell").astype(int)
    out = cell == 4
    groups = np.unique(cell[~out], return_inverse=True)[1]
    arrays = fit_line_and_components(features[~out], truth[~out], groups)
    found, _ = predict_line_and_components(arrays, features[out])
    assert np.sqrt(np.mean((found - truth[out]) ** 2)) < 0.6


@needs(EIS)
def test_measured_spectra_pass_and_are_read_on_the_grid():
    table = read_feature_table(EIS)
    hz = np.logspace(np.log10(20000), np.log10(0.02), 60)
    for row in range(0, len(table), 100):
        re, im = (
            np.array([table.number(f"{part}{k}")[row] for k in range(60)])
            for part in ("re", "negim")
        )
        grid, _, negative_im = seen_spectrum(Spectrum(hz, re, -im))
        assert grid.size == 47
        near = np.interp(grid[5], hz[::-1], im[::-1])
        assert abs(near / negative_im[5] - 1) < 0.02


@needs(CALCE)
def test_charges_of_a_cell_over_its_life_are_found_with_their_truth():
    table = labelled_recordings(
        [CALCE],
        Labels("soh_capacity", "unit"),
        "partial_charge",
        LoadOptions(nominal_ah=1.1),
    )
    truth = table.number("soh_capacity")
    usable = np.array([v.size > 0 for v in table.vectors["charge_ah"]])
    healthy = truth >= 0.6
    assert healthy.sum() > 700
    assert usable[healthy].mean() > 0.98
    reasons = {r for r, u in zip(table.texts[REFUSED], usable, strict=True) if not u}
    assert reasons == {"charge_began_late"}
    charge = np.array([v[-1] for v in table.vectors["charge_ah"] if v.size])
    assert np.corrcoef(charge, truth[usable])[0, 1] > 0.9
