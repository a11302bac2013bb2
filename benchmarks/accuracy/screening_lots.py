"""Screening of other lots: charge curves with relaxation, impedance spectra. Slow."""

import numpy as np
from screening import columns, ridge

from battlife.estimators.learned.parts import folds_of
from battlife.estimators.learned.training import Labels, train
from battlife.readers.feature_tables import read_feature_table

OTHERS = (
    "LSD and Cambridge: what `battlife calibrate` reports, of cells left out in "
    "turn (ten folds of cells; each cell where there are fewer). Features and "
    "learners were compared on these same cells while they were made, so these "
    "figures are somewhat optimistic. Baseline: ridge on the columns as they are, "
    "same folds."
)


def rows(shared):
    lots = (
        (
            "charge curve 3.8 to 4.1 V and relaxation",
            "lsd_second_life/lsd_give.parquet",
            Labels("capacity_Ah", "cell", (), ("q_*", "relax_V")),
            ("q_charge_3p8_to_4p1V_Ah", "relax_V"),
            ("RMSE / Ah", 0.024),
        ),
        (
            "impedance spectrum",
            "eis_cambridge/eis_train.parquet",
            Labels("capacity_mAh", "cell", (), ("re*", "negim*")),
            tuple(f"{p}{k}" for p in ("re", "negim") for k in range(60)),
            ("RMSE / mAh", 0.8),
        ),
    )
    found_rows = []
    for task, file, labels, names, (figure, target) in lots:
        table = read_feature_table(shared / file)
        truth = table.number(labels.truth)
        groups = np.unique(table.label(labels.group), return_inverse=True)[1]
        folds = folds_of(truth, groups)
        x, simple = columns(table, names), np.empty(len(table))
        for fold in np.unique(folds):
            out = folds == fold
            simple[out] = ridge(x[~out], truth[~out], x[out])
        _, (found,) = train(table, labels, "table", "")
        about = {"task": task, "data": file.split("/")[0], "protocol": OTHERS}
        base = float(np.sqrt(np.mean((simple - truth) ** 2)))
        found_rows += [
            about
            | {
                "figure": figure,
                "ours": round(found.rmse, 4),
                "baseline": round(base, 4),
                "target": target,
                "met": found.rmse <= target,
                "why": "The best of the research was not brought in, or has few cells.",
            },
            about | {"figure": "MAPE / %", "ours": round(100 * found.mape, 2)},
            about
            | {
                "figure": "coverage of the interval, units equal",
                "ours": round(found.coverage, 3),
                "target": "0.85 or more",
                "met": found.coverage >= 0.85,
                "why": "Few cells.",
            },
            about | {"figure": "mean width", "ours": round(found.width, 4)},
            about
            | {
                "figure": "own rows refused / %",
                "ours": round(100 * found.refused, 2),
            },
        ]
    return found_rows
