"""Screening from part of a charge: with relaxation (LSD), from recordings (CALCE)."""

from dataclasses import replace

import numpy as np
from lots import intervals, judged, rmse

from battlife.estimators.learned.training import Labels
from battlife.pipeline.screening import labelled_recordings
from battlife.pipeline.sources import LoadOptions
from battlife.readers.feature_tables import read_feature_table

TABLE = (
    "LSD: charge curve 3.8 to 4.1 V and relaxation, 42 cells, ten folds of cells "
    "dealt by mean capacity, as `battlife calibrate` reports it. How curves are "
    "described (components of each, as many as a curve may have) was compared "
    "on six folds of one seed, among six ways; the learners' own numbers are chosen "
    "inside. Baseline: ridge on the columns as they are, same folds."
)
RECORDINGS = (
    "CALCE: recordings of two cells over life, read by the pipeline; the truth is the "
    "complete discharge that follows, over 1.1 Ah. One cell is learned from, the "
    "other judged, both ways; rows of a state of health of 60 % or more. Rows that "
    "cannot be used (a charge begun within the window) count as not graded. "
    "Baseline: ridge on the charges at 51 voltages. Two cells: what was learned from "
    "one may not hold of a third."
)
NOMINAL_AH = 1.1
MEASURED = Labels("soh_capacity", "unit")
LEAST_SOH = 0.6
BEGUN = (
    "The same with the resistance over the first 30 s of the charge as a feature. It "
    "follows the state of charge that the charge begins at: here each begins after a "
    "full discharge, and a model that used it says so and refuses charges that begin "
    "at another voltage than those of the lot. Tried beside the voltage before the "
    "charge and the drop after it, on these two cells."
)
TARGETS = {"CS2_36": 0.6, "CS2_35": 0.8}
"""Of the cell judged, in points; learned from the other."""


def lsd(shared):
    table = read_feature_table(shared / "lsd_second_life" / "lsd_give.parquet")
    labels = Labels("capacity_Ah", "cell", (), ("q_*", "relax_V"))
    found, _, simple = judged(table, labels)
    kept = ~found.refused
    about = {
        "task": "charge curve and relaxation",
        "data": "LSD second life",
        "protocol": TABLE,
    }
    error = found.value - found.truth
    ours, share = rmse(error[kept]), float(np.abs(error / found.truth)[kept].mean())
    why = "Cells of one charge curve differ in capacity by 0.02 Ah within the lot."
    return [
        about
        | {
            "figure": "RMSE / Ah",
            "ours": round(ours, 4),
            "baseline": round(rmse(simple - found.truth), 4),
            "target": 0.024,
            "met": ours <= 0.024,
            "why": why,
        },
        about
        | {
            "figure": "MAPE / %",
            "ours": round(100 * share, 2),
            "baseline": round(100 * float(np.abs(simple / found.truth - 1).mean()), 2),
            "target": 1.1,
            "met": share <= 0.011,
            "why": why,
        },
        *intervals(found, about, "Follows the folds."),
    ]


def charges(shared):
    """Return the charges of both cells beside the capacity that follows each."""
    folder = shared / "calce_cs2"
    paths = [folder / f"{cell}_timeseries.parquet" for cell in sorted(TARGETS)]
    options = LoadOptions(nominal_ah=NOMINAL_AH)
    return labelled_recordings(paths, MEASURED, "partial_charge", options)


def calce(table, features, task, protocol):
    labels = replace(MEASURED, features=features)
    found, names, simple = judged(table, labels)
    every = np.array(table.label("unit")), table.number("soh_capacity")
    rows = []
    for cell, target in TARGETS.items():
        of = np.char.startswith(names, cell) & (found.truth >= LEAST_SOH)
        kept = of & ~found.refused
        total = (np.char.startswith(every[0], cell) & (every[1] >= LEAST_SOH)).sum()
        ours = 100 * rmse((found.value - found.truth)[kept])
        graded = float(kept.sum() / total)
        about = {
            "task": task,
            "data": f"CALCE {cell}, learned from the other cell",
            "protocol": protocol,
        }
        rows += [
            about
            | {
                "figure": "RMSE / SOH points",
                "ours": round(ours, 2),
                "baseline": round(100 * rmse((simple - found.truth)[of]), 2),
                "target": target,
                "met": ours <= target,
                "why": "The shape of the curve of one cell is learned as that of all.",
            },
            about
            | {
                "figure": "graded / %",
                "ours": round(100 * graded, 1),
                "target": "95 or more",
                "met": graded >= 0.95,
            },
        ]
    return rows


def rows(shared):
    table = charges(shared)
    task = "charge from 3.85 to 4.10 V"
    begun = ("charge_ah", "charge_start_ohm")
    return [
        *lsd(shared),
        *calce(table, (), task, RECORDINGS),
        *calce(table, begun, f"{task}, begun empty", BEGUN),
    ]
