"""A Model applied to rows of features: a value with its interval, or a refusal."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.estimators.learned.domain import outside
from battlife.estimators.learned.learners import LEARNERS
from battlife.estimators.learned.training import (
    VERSION,
    learned_arrays,
    part_names,
    stored_design,
)
from battlife.model._arrays import Column, IndexColumn
from battlife.model.learned import Model
from battlife.model.table import FeatureTable

OUTSIDE: Final = "outside_domain"
UNKNOWN_TYPE: Final = "unknown_type"
OTHER_TYPE: Final = "type_disagrees"


@dataclass(frozen=True)
class Screened:
    """What a model says of one row.

    Attributes
    ----------
    row : number of the row in its table, from 0
    value, low, high : in the unit of the model; None where it refuses
    coverage : that the interval promises; below the one asked for where the lot has
        too few units to promise that
    reasons : why it refuses, or what qualifies the value
    """

    row: int
    status: str
    value: float | None
    low: float | None
    high: float | None
    coverage: float | None
    reasons: tuple[str, ...]


def apply(model: Model, table: FeatureTable) -> tuple[Screened, ...]:
    """Return one answer per row of a table.

    Raises
    ------
    InputError
        The model is of another version, or the table lacks a column it needs.
    """
    if model.version != VERSION:
        raise InputError(
            f"the model has version {model.version}, this battlife reads {VERSION}",
            "calibrate it again",
        )
    features, reasons = stored_design(model).matrix(table)
    declared = part_names(table, model.text("by"))
    known = set(model.text("parts"))
    found: list[Screened | None] = [None] * len(table)
    for row, reason in enumerate(reasons):
        why = reason or ("" if declared[row] in known else UNKNOWN_TYPE)
        if why:
            found[row] = Screened(row, "refused", None, None, None, None, (why,))
    for part in sorted(known):
        rows = np.array(
            [r for r, f in enumerate(found) if f is None and declared[r] == part],
            dtype=np.int64,
        )
        if rows.size:
            for answer in _part(model, part, rows, features[rows]):
                found[answer.row] = answer
    return tuple(f for f in found if f is not None)


def _part(
    model: Model, part: str, rows: IndexColumn, features: Column
) -> tuple[Screened, ...]:
    far = outside(learned_arrays(model, part, "domain"), features)
    at = f"parts/{part or 'all'}"
    values, spreads = [], []
    for name in model.text(f"{at}/learners"):
        if name not in LEARNERS:
            raise InputError(
                f"the model needs the unknown learner {name!r}", "calibrate it again"
            )
        arrays = learned_arrays(model, part, f"learners/{name}")
        value, spread = LEARNERS[name].predict(arrays, features)
        values.append(value)
        spreads.append(spread)
    weights = model.array(f"{at}/weights")
    value = weights @ np.array(values)
    quantile, coverage = model.array(f"{at}/interval")
    half = float(quantile) * (weights @ np.array(spreads))
    answers = []
    for k, row in enumerate(rows.tolist()):
        if not far[k] <= 1.0:
            answers.append(Screened(row, "refused", None, None, None, None, (OUTSIDE,)))
            continue
        answers.append(
            Screened(
                row,
                "ok",
                float(value[k]),
                float(value[k] - half[k]),
                float(value[k] + half[k]),
                float(coverage),
                (),
            )
        )
    return tuple(answers)
