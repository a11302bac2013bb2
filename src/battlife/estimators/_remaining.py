"""Cycles that remain to a capacity threshold, from a Model of the same lot.

Ridge regression of the logarithm of the remaining cycles on logarithms of what the
past says, up to second order, learned from whole trajectories of the lot; the
interval is conformal by cell, its width learned too. Without a Model there is no
answer: the spread of one lot around an extrapolation held for 6 of 21 histories of
another (docs/knee.md), and the line itself is off by factors of ten before a knee.

References
----------
Hoerl, Kennard, Technometrics 12 (1970) 55 (ridge regression).
Lei et al., J. Am. Stat. Assoc. 113 (2018) 1094, section 5.2 (locally weighted
conformal intervals).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.estimators._trajectory import SLOWEST, Past
from battlife.estimators.learned.domain import outside
from battlife.model import Column, Pack
from battlife.model.learned import Model

METHOD: Final = "knee"
LAYOUT: Final = "1"
"""Of the Model; another one is not read."""
FEATURES: Final = (
    "late_over_past",
    "half_over_past",
    "whole_over_past",
    "past_cycles",
    "to_go",
    "lost",
    "first_to_go",
)
"""Logarithms of: cycles to go by the slope of the last quarter, the last half and the
whole, each over the cycles seen; those cycles; loss to go; loss seen; their sum."""
LEAST_LOSS: Final = 1e-3
"""Of nominal: a loss below a tenth of a percent is none that a discharge shows."""
SAME_NOMINAL: Final = 0.05
"""A rated capacity that differs by more belongs to another type of cell."""


@dataclass(frozen=True)
class Remaining:
    """Cycles to a threshold, or why they cannot be told.

    Attributes
    ----------
    refused : reason code, "" if there is an answer
    cycles, low, high : from the end of the history; NaN where refused
    coverage : that the interval is meant to have
    """

    refused: str
    cycles: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    coverage: float = float("nan")


def remaining(
    past: Past | None, threshold: float, pack: Pack, model: Model | None
) -> Remaining:
    """Return the cycles that remain until the capacity is below the threshold.

    Parameters
    ----------
    past : what the history says, None where it is too short
    threshold : fraction of nominal
    pack : the unit; its type is held against the Model's
    model : of :func:`battlife.estimators.trajectories.calibrate_trajectories`
    """
    if past is None:
        return Remaining("history_too_short")
    if past.now <= threshold:
        return Remaining("threshold_passed")
    if past.first - past.now < LEAST_LOSS or past.whole <= 0.0:
        return Remaining("no_fade_seen")
    if model is None:
        return Remaining("no_lot_model")
    return _by_model(features(past, threshold), threshold, pack, model)


def features(past: Past, threshold: float) -> Column:
    """Return the (7,) features of a history, named in FEATURES."""
    to_go = past.now - threshold
    least = past.whole / SLOWEST
    by_slope = [to_go / max(s, least) for s in (past.late, past.half, past.whole)]
    logs = [float(np.log(r / past.span_cycles)) for r in by_slope]
    lost = max(past.first - past.now, LEAST_LOSS)
    logs += [float(np.log(v)) for v in (past.span_cycles, to_go, lost, to_go + lost)]
    return np.array(logs)


def design(values: Column) -> Column:
    """Return (n, 35): standardised features (n, 7), their squares and products."""
    rows, columns = np.triu_indices(values.shape[1])
    return np.hstack([values, values[:, rows] * values[:, columns]])


def _by_model(values: Column, threshold: float, pack: Pack, model: Model) -> Remaining:
    low_t, high_t = model.array("thresholds")
    if not low_t - 1e-9 <= threshold <= high_t + 1e-9:
        return Remaining("threshold_outside_model")
    declared = str(model.attribute("chemistry"))
    if declared and not pack.chemistry:
        return Remaining("type_not_declared")
    if declared and declared.upper() != pack.chemistry.upper():
        return Remaining("other_type_than_model")
    rated = model.array("nominal_ah").item()
    if abs((pack.nominal_ah or rated) / rated - 1.0) > SAME_NOMINAL:
        return Remaining("other_type_than_model")
    head = "domain/"
    domain = {
        n.removeprefix(head): a for n, a in model.arrays.items() if n.startswith(head)
    }
    if not outside(domain, values[None, :]).item() <= 1.0:
        return Remaining("outside_training_domain")
    z = (values - model.array("centre")) / model.array("scale")
    z = np.clip(z, model.array("lowest"), model.array("highest"))
    row = design(z[None, :])[0]
    centre = float(np.sum(row * model.array("slopes"))) + model.array("level").item()
    width = spread(z, model.array("spread_slopes"), model.array("spread_level").item())
    reach = width * model.array("reach").item()
    return Remaining(
        "",
        float(np.exp(centre)),
        float(np.exp(centre - reach)),
        float(np.exp(centre + reach)),
        model.array("coverage").item(),
    )


def spread(z: Column, slopes: Column, level: float) -> float:
    """Return the typical error of the logarithm at standardised features z, (7,)."""
    return float(np.exp(np.sum(z * slopes) + level))
