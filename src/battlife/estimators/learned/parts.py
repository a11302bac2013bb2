"""One part of a lot: fitted, judged on its units left out, and applied.

Learners are combined with weights, their errors on units left out give the spread of a
row, and the scores of units left out the factor that makes intervals hold.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.estimators.learned.conformal import FEWEST_UNITS, unit_quantile
from battlife.estimators.learned.domain import broken, fit_domain, outside
from battlife.estimators.learned.learners import LEARNERS
from battlife.estimators.learned.scaling import (
    Arrays,
    Flags,
    below,
    fit_leading,
    leading,
)
from battlife.estimators.learned.spreads import SPREADS, clues
from battlife.model._arrays import Column, IndexColumn

FOLDS: Final = 10
STRETCHES: Final = 5
"""Parts of the life of a unit that are left out in turn where it is the only one."""
EQUAL_UNITS: Final = 3.0
"""Units' worth of errors by which shares of learners are drawn towards equal ones."""
HEAVY: Final = 1e3


@dataclass(frozen=True, eq=False)
class Judged:
    """The rows of a part as they were estimated while their unit was left out.

    Attributes
    ----------
    truth, value, half : (n,) in the unit of the truth; half the width of the interval
    refused : (n,) outside the domain of the other units
    groups : (n,) number of the unit
    promised : (n,) coverage that the interval of the other units promises
    """

    truth: Column
    value: Column
    half: Column
    refused: Flags
    groups: IndexColumn
    promised: Column


@dataclass(frozen=True, eq=False)
class Answer:
    """What a part says of rows.

    Attributes
    ----------
    value, half : (n,) in the unit of the truth
    far : (n,) distance in edges of the domain; above 1 the row is outside
    coverage : that the intervals promise
    """

    value: Column
    half: Column
    far: Column
    coverage: float


def fit_part(
    features: Column,
    signature: Column,
    truth: Column,
    groups: IndexColumn,
    coverage: float,
    names: tuple[str, ...],
    told: Callable[[float], None] = lambda share: None,
) -> tuple[Mapping[str, Column], Judged]:
    """Return the arrays of a part, and its rows as they were while left out.

    told is called with the share of the work that is done, up to 1.
    """
    folds = folds_of(truth, groups)
    values = np.empty((len(names), truth.size))
    spreads = np.empty_like(values)
    far = np.empty(truth.size)
    n_fits = int(folds.max()) + 2
    for done, fold in enumerate(np.unique(folds)):
        told(done / n_fits)
        out = folds == fold
        fitted = _fit_learners(
            features[~out],
            signature[~out],
            truth[~out],
            groups[~out],
            folds[~out],
            names,
        )
        far[out] = outside(below(fitted, "domain"), signature[out])
        values[:, out], spreads[:, out] = _learned(fitted, names, features[out])
    told(1 - 1 / n_fits)
    arrays = dict(_fit_learners(features, signature, truth, groups, folds, names))
    told(1.0)
    gross = broken(below(arrays, "domain"), signature)
    inside = (far <= 1.0) & ~gross
    first = fit_leading(features[~gross])
    places = leading(first, features)
    value = np.empty(truth.size)
    kinds = tuple(SPREADS.values())
    # Few units cannot tell where a lot is hard: only the size of errors counts then.
    kinds = kinds if groups.max() + 1 >= FEWEST_UNITS else kinds[:1]
    spread = np.empty((len(kinds), truth.size))
    for fold in np.unique(folds):
        out = folds == fold
        used = ~out & ~gross
        weights = _weights(values[:, used], truth[used], groups[used])
        found = clues(values, spreads, weights, far, places)
        value[out] = weights @ values[:, out]
        error = truth - weights @ values
        for k, (fit, predict) in enumerate(kinds):
            made = fit(found[used], error[used], groups[used])
            spread[k, out] = predict(made, found[out])
    used = inside if inside.any() else ~gross
    error = np.abs(truth - value)
    chosen, interval = _narrowest(error[used], spread[:, used], groups[used], coverage)
    half, promise = np.empty(truth.size), np.empty(truth.size)
    for fold in np.unique(folds):
        out = folds == fold
        others = used & ~out if (used & ~out).any() else ~out
        k, (factor, promise[out]) = _narrowest(
            error[others], spread[:, others], groups[others], coverage
        )
        half[out] = spread[k, out] * factor
    weights = _weights(values[:, ~gross], truth[~gross], groups[~gross])
    found = clues(values, spreads, weights, far, places)[~gross]
    fit, _ = kinds[chosen]
    made = fit(found, (truth - weights @ values)[~gross], groups[~gross])
    arrays |= {"weights": weights, "interval": np.array(interval)}
    arrays["spread_kind"] = np.array([float(chosen)])
    arrays |= {f"leading/{n}": a for n, a in first.items()}
    arrays |= {f"spread/{n}": a for n, a in made.items()}
    return arrays, Judged(truth, value, half, ~(far <= 1.0), groups, promise)


def answer(
    arrays: Arrays, names: tuple[str, ...], features: Column, signature: Column
) -> Answer:
    """Return what a part says of (n, p) features with their (n, q) signature.

    Raises
    ------
    InputError
        The part needs a learner that this version does not have.
    """
    unknown = [n for n in names if n not in LEARNERS]
    if unknown:
        raise InputError(
            f"the model needs the unknown learner {unknown[0]!r}", "calibrate it again"
        )
    far = outside(below(arrays, "domain"), signature)
    values, spreads = _learned(arrays, names, features)
    weights = arrays["weights"]
    places = leading(below(arrays, "leading"), features)
    found = clues(values, spreads, weights, far, places)
    _, predict = tuple(SPREADS.values())[int(arrays["spread_kind"][0])]
    spread = predict(below(arrays, "spread"), found)
    factor, coverage = arrays["interval"]
    return Answer(weights @ values, factor * spread, far, float(coverage))


def folds_of(truth: Column, groups: IndexColumn, most: int = FOLDS) -> IndexColumn:
    """Return (n,) the fold each row is left out in; a unit is never divided.

    Units are dealt by their mean truth, back and forth, so that every fold holds good
    and bad ones. The same lot gives the same folds.
    """
    n_groups = int(groups.max()) + 1
    means = np.bincount(groups, truth) / np.bincount(groups)
    order = np.argsort(means, kind="stable")
    count = min(most, n_groups)
    fold = np.empty(n_groups, dtype=np.int64)
    for place, group in enumerate(order):
        lap, seat = divmod(place, count)
        fold[group] = seat if lap % 2 == 0 else count - 1 - seat
    return fold[groups]


def _fit_learners(
    features: Column,
    signature: Column,
    truth: Column,
    groups: IndexColumn,
    folds: IndexColumn,
    names: tuple[str, ...],
) -> Mapping[str, Column]:
    """Return the domain, and the learners fitted to the rows that are not broken."""
    if (groups == groups[0]).all():
        # One unit cannot be left out of itself; stretches of its rows, in order, can.
        groups = folds = np.arange(groups.size) * STRETCHES // groups.size
    domain = fit_domain(signature, groups, folds)
    sound = ~broken(domain, signature)
    arrays = {f"domain/{n}": a for n, a in domain.items()}
    for name in names:
        fitted = LEARNERS[name].fit(features[sound], truth[sound], groups[sound])
        arrays |= {f"learners/{name}/{n}": a for n, a in fitted.items()}
    return arrays


def _learned(
    arrays: Arrays, names: tuple[str, ...], features: Column
) -> tuple[Column, Column]:
    pairs = [
        LEARNERS[name].predict(below(arrays, f"learners/{name}"), features)
        for name in names
    ]
    return np.array([v for v, _ in pairs]), np.array([s for _, s in pairs])


def _narrowest(
    error: Column, spread: Column, groups: IndexColumn, coverage: float
) -> tuple[int, tuple[float, float]]:
    """Return which of the (kinds, n) spreads makes the narrowest intervals, and how."""
    found = [unit_quantile(error / s, groups, coverage) for s in spread]
    widths = [
        factor * float(s.mean()) for (factor, _), s in zip(found, spread, strict=True)
    ]
    kind = int(np.argmin(widths))
    return kind, found[kind]


def _weights(values: Column, truth: Column, groups: IndexColumn) -> Column:
    """Return the share of each learner: not negative, together 1.

    A few tens of units cannot tell learners apart that are nearly as good: shares are
    drawn towards equal ones as if by some more units that say so.

    References
    ----------
    Breiman, Mach. Learn. 24 (1996) 49 (stacked regressions).
    """
    from scipy.optimize import nnls

    k = len(values)
    usual = float(np.sqrt(((values.mean(axis=0) - truth) ** 2).mean())) or 1.0
    unit = np.sqrt(np.unique(groups).size / truth.size)  # of a row; a unit counts 1
    rows = unit * (values - truth).T / usual
    drawn = np.sqrt(EQUAL_UNITS) * np.eye(k)
    # Non-negative least squares with the sum driven to 1 by a heavy extra row.
    heavy = np.full((1, k), HEAVY)
    wanted = np.concatenate([np.zeros(len(truth)), drawn.sum(axis=0) / k, [HEAVY]])
    weights: Column = nnls(np.vstack([rows, drawn, heavy]), wanted)[0]
    total = float(weights.sum())
    return weights / total if total > 0 else np.full(k, 1 / k)
