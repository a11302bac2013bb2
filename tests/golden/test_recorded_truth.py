"""The truth a recording holds for its own features: the discharge that follows."""

import csv

import numpy as np

from battlife.estimators.learned.training import Labels
from battlife.pipeline.screening import labelled_recordings
from battlife.pipeline.sources import LoadOptions
from support import shared


def test_each_charge_of_a_cell_has_the_capacity_of_the_discharge_after_it():
    folder = shared("calce_cs2")
    table = labelled_recordings(
        [folder / "CS2_35_timeseries.parquet"],
        Labels("soh_capacity", "unit"),
        "partial_charge",
        LoadOptions(nominal_ah=1.1),
    )
    with (folder / "CS2_35_capacity_labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    label = np.array([float(r["capacity_arbin_Ah"] or "nan") for r in rows])
    # Fragments at the ends of files shift the count by a cycle or two.
    found = 1.1 * table.number("soh_capacity")
    k = np.arange(found.size)[:, None] + np.arange(-3, 4)
    apart = np.abs(found[:, None] - label[k.clip(0, label.size - 1)])
    assert 0.95 * len(rows) < len(table) <= len(rows)
    assert np.mean(np.nanmin(apart, axis=1) < 1e-3) > 0.97
    assert np.ptp(found) > 0.7
