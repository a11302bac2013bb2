"""A labelled lot as `battlife calibrate` judges it: each unit while it was left out."""

import numpy as np
from screening import ridge

from battlife.estimators.learned.design import design_of
from battlife.estimators.learned.featurisers import featuriser, recognised
from battlife.estimators.learned.parts import fit_part, folds_of


def judged(table, labels):
    """Return the rows as they were judged, their units, and the baseline's values.

    The baseline is ridge on the columns as they are, on the folds that were dealt.
    """
    taken = {labels.truth, labels.group, *labels.by}
    design = design_of(table, labels.features, taken)
    raw, reasons = design.matrix(table)
    truth = table.number(labels.truth)
    rows = np.flatnonzero(np.array([not r for r in reasons]) & np.isfinite(truth))
    raw, truth = raw[rows], truth[rows]
    names = np.array(table.label(labels.group))[rows]
    groups = np.unique(names, return_inverse=True)[1]
    see = featuriser(recognised(design, raw))
    features, signature = see.features(design, raw), see.signature(design, raw)
    _, found = fit_part(
        features, signature, truth, groups, labels.coverage, see.learners
    )
    simple, folds = np.empty(truth.size), folds_of(truth, groups)
    for fold in np.unique(folds):
        out = folds == fold
        simple[out] = ridge(raw[~out], truth[~out], raw[out])
    return found, names, simple


def rmse(error):
    return float(np.sqrt(np.mean(np.asarray(error) ** 2)))


def intervals(found, about, why):
    """Return the rows on intervals and refusals of a lot; figures of rows kept."""
    kept = ~found.refused
    held = np.abs(found.value - found.truth) <= found.half
    units = np.unique(found.groups[kept])
    cover = float(np.mean([held[kept & (found.groups == u)].mean() for u in units]))
    promised = float(found.promised[kept].mean())
    full = promised >= 0.895
    return [
        about
        | {
            "figure": f"coverage of intervals that promise {promised:.2f}, units equal",
            "ours": round(cover, 3),
            "target": "0.88 to 0.93" if full else f"{promised:.2f} or more",
            "met": 0.88 <= cover <= 0.93 if full else cover >= promised,
            "why": why,
        },
        about | {"figure": "mean width", "ours": round(2 * found.half[kept].mean(), 4)},
        about
        | {
            "figure": "own rows refused / %",
            "ours": round(100 * float(found.refused.mean()), 2),
        },
    ]
