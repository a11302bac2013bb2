"""What can be learned from features: fitted once, stored as arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from battlife.estimators.learned.curve_blocks import components, fit_components
from battlife.estimators.learned.network import fit_network, predict_network
from battlife.estimators.learned.process import (
    fit_process,
    fit_processes,
    predict_process,
    predict_processes,
)
from battlife.estimators.learned.regression import (
    fit_line_and_components,
    predict_line_and_components,
)
from battlife.estimators.learned.ridge import fit_ridge, predict_ridge
from battlife.estimators.learned.scaling import Arrays, below
from battlife.model._arrays import Column, IndexColumn

LEADING: Final = 5
"""Features that the rigid ridge looks at: of a curve, its coefficients up to the
fourth order."""
STIFF: Final = 3e-3
MORE: Final = 4
"""Penalty and members of a network for a few tens of units that are pulsed at unknown
state of charge: chosen on units left out."""


@dataclass(frozen=True)
class Learner:
    """A way to learn.

    Attributes
    ----------
    fit : (features (n, p), truth (n,), groups (n,)) to arrays
    predict : (arrays, features (m, p)) to (m,) values and (m,) spreads, one standard
        deviation as the learner itself sees it
    """

    fit: Callable[[Column, Column, IndexColumn], Arrays]
    predict: Callable[[Arrays, Column], tuple[Column, Column]]


def _ridge(order: int, leading: int | None = None) -> Learner:
    def fit(features: Column, truth: Column, groups: IndexColumn) -> Arrays:
        return fit_ridge(features[:, :leading], truth, groups, order)

    def predict(arrays: Arrays, features: Column) -> tuple[Column, Column]:
        value = predict_ridge(arrays, features[:, :leading], order)
        spread = arrays["truth"][1] * arrays["spread"][0]
        return value, np.full(value.size, spread)

    return Learner(fit, predict)


def _of_components(learner: Learner) -> Learner:
    """Return a learner that sees components of curves instead of coefficients."""

    def fit(features: Column, truth: Column, groups: IndexColumn) -> Arrays:
        found = fit_components(features)
        fitted = learner.fit(components(found, features), truth, groups)
        return {f"components/{n}": a for n, a in found.items()} | dict(fitted)

    def predict(arrays: Arrays, features: Column) -> tuple[Column, Column]:
        seen = components(below(arrays, "components"), features)
        return learner.predict(arrays, seen)

    return Learner(fit, predict)


LEARNERS: Final[Mapping[str, Learner]] = {
    "ridge": _ridge(1),
    "ridge2": _ridge(2),
    "gp": Learner(fit_process, predict_process),
    "leading2": _ridge(2, LEADING),
    "gps": Learner(fit_processes, predict_processes),
    "network": Learner(fit_network, predict_network),
    "stiff_network": Learner(
        partial(fit_network, penalty=STIFF, count=MORE), predict_network
    ),
    "curve_gp": _of_components(Learner(fit_process, predict_process)),
    "curve_network": _of_components(Learner(fit_network, predict_network)),
    "spectrum": Learner(fit_line_and_components, predict_line_and_components),
}
"""By the name that a Model keeps."""
