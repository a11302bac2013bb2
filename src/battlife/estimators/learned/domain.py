"""Whether a row lies where a model may speak.

A lot is not one cloud: a batch that aged well and one that aged badly are two. Its
units are dealt to at most two clouds, each with its centre and covariance; a row is as
far as it is from the nearer one. A covariance from few rows is shrunk to its diagonal.
A row is outside when it is farther than rows of a unit left out are from the others.

References
----------
De Maesschalck et al., Chemom. Intell. Lab. Syst. 50 (2000) 1 (Mahalanobis distance).
Lloyd, IEEE Trans. Inf. Theory 28 (1982) 129 (two clouds).
Ledoit, Wolf, J. Multivar. Anal. 88 (2004) 365 (shrinkage).
"""

from typing import Final

import numpy as np

from battlife.estimators.learned.conformal import share_quantile
from battlife.estimators.learned.scaling import Arrays, Flags
from battlife.model._arrays import Column, IndexColumn

FLOOR: Final = 1e-3
"""A direction that the lot hardly fills counts as this share of its widest one."""
CLOUDS: Final = 2
SHRINKAGE: Final = 0.4
FEWEST_UNITS: Final = 6
"""A cloud of fewer units is none of its own."""
KEPT: Final = 0.985
"""Share of the rows of a unit of the same lot that are to stay inside."""
WIDEST: Final = 4.0
"""The edge is at most so many medians of the distances of units left out: broken rows
in the lot must not open it to everything."""
GROSS: Final = 3.0
"""A row of the lot so many edges away is broken, and nothing is learned from it."""
ROUNDS: Final = 25


def fit_domain(signature: Column, groups: IndexColumn, folds: IndexColumn) -> Arrays:
    """Return the domain of a labelled lot.

    Parameters
    ----------
    signature : (n, q)
    groups, folds : (n,) number of the unit and of the fold it is left out in
    """
    keep = np.ones(len(signature), dtype=bool)
    for _ in range(2):
        distance = _left_out(signature, groups, folds, keep)
        edge = _edge(distance[keep], groups[keep])
        gross = distance > GROSS * edge
        if (gross == ~keep).all() or gross.mean() > 0.2:
            break
        keep = ~gross
    return dict(_fitted(signature[keep], groups[keep])) | {"edge": np.array([edge])}


def outside(arrays: Arrays, signature: Column) -> Column:
    """Return (n,) distance in units of the edge: above 1 the row is outside."""
    ratio: Column = _distance(arrays, signature) / arrays["edge"][0]
    return ratio


def broken(arrays: Arrays, signature: Column) -> Flags:
    """Say which (n,) rows lie so far out that they must be broken."""
    gross: Flags = ~(outside(arrays, signature) <= GROSS)
    return gross


def _left_out(
    signature: Column, groups: IndexColumn, folds: IndexColumn, keep: Flags
) -> Column:
    distance = np.empty(len(signature))
    for fold in np.unique(folds):
        out = folds == fold
        learned = ~out & keep
        inside = _fitted(signature[learned], groups[learned])
        distance[out] = _distance(inside, signature[out])
    return distance


def _edge(distance: Column, groups: IndexColumn) -> float:
    edge = share_quantile(distance, groups, KEPT)
    edge = min(edge, WIDEST * float(np.median(distance)))
    return max(edge, 1e-9)


def _fitted(signature: Column, groups: IndexColumn) -> Arrays:
    centre = np.median(signature, axis=0)
    scale = signature.std(axis=0)
    scale = np.where(scale > 1e-12 * (1.0 + np.abs(centre)), scale, 1.0)
    z = (signature - centre) / scale
    middle = z.mean(axis=0)
    _, s, vt = np.linalg.svd(z - middle, full_matrices=False)
    width = np.maximum(s, FLOOR * max(float(s[0]), 1e-12)) / np.sqrt(len(z))
    axes = vt.T / width
    scores = (z - middle) @ axes
    clouds = _clouds(scores, groups)
    means, roots = [], []
    for cloud in range(int(clouds.max()) + 1):
        points = scores[clouds == cloud]
        mean = points.mean(axis=0)
        spread = (points - mean).T @ (points - mean) / max(len(points) - 1, 1)
        shrunk = (1 - SHRINKAGE) * spread + SHRINKAGE * np.diag(np.diag(spread))
        shrunk += FLOOR * np.eye(len(shrunk))
        means.append(mean)
        roots.append(np.linalg.inv(np.linalg.cholesky(shrunk)))
    return {
        "centre": centre,
        "scale": scale,
        "middle": middle,
        "axes": axes,
        "beside": vt.T,
        "narrowest": np.array([width.min()]),
        "means": np.array(means),
        "roots": np.vstack(roots),  # a file holds no array of three dimensions
    }


def _distance(arrays: Arrays, signature: Column) -> Column:
    z = (signature - arrays["centre"]) / arrays["scale"] - arrays["middle"]
    scores = z @ arrays["axes"]
    # What no direction of the lot explains: fewer rows than columns.
    off = z - (z @ arrays["beside"]) @ arrays["beside"].T
    beside = (off**2).sum(axis=1) / arrays["narrowest"][0] ** 2
    nearest = np.full(len(z), np.inf)
    roots = np.split(arrays["roots"], len(arrays["means"]))
    for mean, root in zip(arrays["means"], roots, strict=True):
        square = (((scores - mean) @ root.T) ** 2).sum(axis=1)
        nearest = np.minimum(nearest, square)
    distance: Column = np.sqrt(nearest + beside)
    return distance


def _clouds(scores: Column, groups: IndexColumn) -> IndexColumn:
    """Return (n,) the cloud each row belongs to; units are never divided."""
    units, index = np.unique(groups, return_inverse=True)
    whole = np.zeros(len(scores), dtype=np.int64)
    if units.size < CLOUDS * FEWEST_UNITS:
        return whole
    count = np.bincount(index)[:, None]
    means = np.zeros((units.size, scores.shape[1]))
    np.add.at(means, index, scores)
    means /= count
    middle = np.median(means, axis=0)
    _, _, vt = np.linalg.svd(means - middle, full_matrices=False)
    member = ((means - middle) @ vt[0] > 0).astype(np.int64)
    for _ in range(ROUNDS):
        if min(member.sum(), (1 - member).sum()) < FEWEST_UNITS:
            return whole
        centres = np.array([means[member == c].mean(axis=0) for c in range(CLOUDS)])
        far = ((means[:, None, :] - centres) ** 2).sum(axis=2)
        changed = far.argmin(axis=1)
        if (changed == member).all():
            break
        member = changed
    return np.asarray(member[index], dtype=np.int64)
