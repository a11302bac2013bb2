"""Whether a row lies where a model may speak.

A row is outside when it is farther from the labelled lot than rows of a unit left out
of it are from the rest. Distances are Mahalanobis distances in the principal
components of the lot, and the distance to the nearest rows.

References
----------
De Maesschalck et al., Chemom. Intell. Lab. Syst. 50 (2000) 1 (Mahalanobis distance).
Knorr, Ng, VLDB J. 8 (2000) 237 (distance-based outliers).
"""

from typing import Final

import numpy as np

from battlife.estimators.learned.conformal import group_quantile
from battlife.estimators.learned.learners import Arrays
from battlife.model._arrays import Column, IndexColumn

VARIANCE_KEPT: Final = 0.9999
NEAREST: Final = 3
KEPT: Final = 0.99
"""Share of the rows of a unit of the same lot that are to stay inside."""


def fit_domain(features: Column, groups: IndexColumn, folds: IndexColumn) -> Arrays:
    """Return the domain of a labelled lot.

    Parameters
    ----------
    features : (n, p)
    groups, folds : (n,) number of the unit and of the fold it is left out in
    """
    distance = np.empty((features.shape[0], 2))
    for fold in np.unique(folds):
        inside = _fitted(features[folds != fold])
        distance[folds == fold] = _distances(inside, features[folds == fold])
    thresholds = [group_quantile(d, groups, KEPT) for d in distance.T]
    # Too few units to promise a share: then the farthest of them is the edge.
    edges = [
        t if np.isfinite(t) else float(d.max())
        for t, d in zip(thresholds, distance.T, strict=True)
    ]
    return dict(_fitted(features)) | {"edges": np.array(edges)}


def outside(arrays: Arrays, features: Column) -> Column:
    """Return (n,) distance in units of the edge: above 1 the row is outside."""
    ratio: Column = (_distances(arrays, features) / arrays["edges"]).max(axis=1)
    return ratio


def _fitted(features: Column) -> Arrays:
    centre = np.median(features, axis=0)
    scale = features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    z = (features - centre) / scale
    middle = z.mean(axis=0)
    _, s, vt = np.linalg.svd(z - middle, full_matrices=False)
    share = np.cumsum(s**2) / max(float((s**2).sum()), 1e-300)
    kept = int(np.searchsorted(share, VARIANCE_KEPT)) + 1
    axes = vt[:kept].T
    # A direction that the lot hardly fills counts as if it filled this much.
    floor = 1e-3 * max(float(s[0]), 1e-12)
    width = np.maximum(s, floor)[:kept] / np.sqrt(len(z))
    return {
        "centre": centre,
        "scale": scale,
        "middle": middle,
        "axes": axes,
        "width": width,
        "seen": ((z - middle) @ axes) / width,
    }


def _distances(arrays: Arrays, features: Column) -> Column:
    z = (features - arrays["centre"]) / arrays["scale"] - arrays["middle"]
    along = z @ arrays["axes"]
    beside = z - along @ arrays["axes"].T
    scores = along / arrays["width"]
    off = beside / arrays["width"][-1]
    whole = np.sqrt((scores**2).sum(axis=1) + (off**2).sum(axis=1))
    seen = arrays["seen"]
    square = (
        (scores**2).sum(1)[:, None] + (seen**2).sum(1) - 2 * scores @ seen.T
    ).clip(min=0.0)
    k = min(NEAREST, seen.shape[0])
    near = np.sqrt(np.partition(square, k - 1, axis=1)[:, k - 1])
    return np.column_stack([whole, near])
