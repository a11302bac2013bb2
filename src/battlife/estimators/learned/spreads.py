"""How uncertain a value is, row by row, learned from the errors of units left out.

The logarithm of the error is regressed on what a value comes with: the spread that the
learners state, how far they disagree, how far the row lies from the lot, the value
itself, and the leading features. Intervals are wide where the lot was hard, and only
there; the conformal factor that follows makes them hold.

References
----------
Papadopoulos, Vovk, Gammerman, J. Artif. Intell. Res. 40 (2011) 815 (normalised scores).
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from battlife.estimators.learned.ridge import fit_ridge, predict_ridge
from battlife.estimators.learned.scaling import Arrays
from battlife.model._arrays import Column, IndexColumn

LEAST: Final = 0.1
"""Of the usual error: below it an error is as good as none, and its logarithm would
say more than it knows."""
BOUNDS: Final = (0.4, 2.5)
"""A spread may differ from the usual one by this factor."""
FLOOR: Final = 0.05
"""Of the usual spread: learners that agree better than this agree."""
TINY: Final = 1e-12
"""Keeps logarithms finite where learners fit a lot exactly and state no spread."""
STATED: Final = 1
"""Column of the clues that holds the logarithm of the spread learners state."""


def clues(
    values: Column, spreads: Column, weights: Column, far: Column, leading: Column
) -> Column:
    """Return (n, c) what an uncertainty may be read from.

    Parameters
    ----------
    values, spreads : (learners, n) as each learner sees it
    weights : (learners,) share of each
    far : (n,) distance of the domain
    leading : (n, k) leading features, standardised
    """
    value = weights @ values
    apart = np.sqrt(weights @ (values - value) ** 2)
    stated = weights @ spreads
    floor = FLOOR * (float(np.median(stated)) if stated.size else 0.0) + TINY
    return np.column_stack(
        [value, np.log(stated + TINY), np.log(apart + floor), far, leading]
    )


def _fit_even(found: Column, error: Column, groups: IndexColumn) -> Arrays:
    del found, groups
    return {"usual": np.array([float(np.median(np.abs(error))) or 1.0])}


def _predict_even(arrays: Arrays, found: Column) -> Column:
    return np.full(len(found), arrays["usual"][0])


def _fit_stated(found: Column, error: Column, groups: IndexColumn) -> Arrays:
    del error, groups
    return {"usual": np.exp(np.median(found[:, STATED], keepdims=True))}


def _predict_stated(arrays: Arrays, found: Column) -> Column:
    del arrays
    return np.asarray(np.exp(found[:, STATED]))


def _fit_learned(found: Column, error: Column, groups: IndexColumn) -> Arrays:
    """Return what turns (n, c) clues into a spread, from (n,) errors left out."""
    size = np.abs(error)
    usual = float(np.median(size)) or 1.0
    target = np.log(np.maximum(size, LEAST * usual) / usual)
    arrays = dict(fit_ridge(found, target, groups, 2))
    fitted = predict_ridge(arrays, found, 2)
    return arrays | {"usual": np.array([usual, float(np.median(fitted))])}


def _predict_learned(arrays: Arrays, found: Column) -> Column:
    """Return the (n,) spread of rows, in the unit of the truth."""
    usual, middle = arrays["usual"]
    fitted = predict_ridge(arrays, found, 2) - middle
    low, high = np.log(BOUNDS)
    spread: Column = usual * np.exp(np.clip(fitted, low, high))
    return spread


Fit = Callable[[Column, Column, IndexColumn], Arrays]
Predict = Callable[[Arrays, Column], Column]


def _damped(predict: Predict) -> Predict:
    """Return a prediction half way, on the logarithm, to the usual spread."""

    def damped(arrays: Arrays, found: Column) -> Column:
        half: Column = np.sqrt(arrays["usual"][0] * predict(arrays, found))
        return half

    return damped


SPREADS: Final[Mapping[str, tuple[Fit, Predict]]] = {
    "even": (_fit_even, _predict_even),
    "stated": (_fit_stated, _predict_stated),
    "learned": (_fit_learned, _predict_learned),
    "stated, damped": (_fit_stated, _damped(_predict_stated)),
    "learned, damped": (_fit_learned, _damped(_predict_learned)),
}
"""How a spread is had; a Model keeps the number of its kind. Few units cannot teach
well where errors are large, so a damped spread is there too, and the kind is chosen on
units left out."""
