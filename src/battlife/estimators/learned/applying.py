"""A Model applied to rows of features: a value with its interval, or a refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.estimators.learned.conditions import (
    REFUSED,
    declared_ah,
    departure,
    rating_departure,
    unstated,
)
from battlife.estimators.learned.featurisers import featuriser
from battlife.estimators.learned.parts import Answer, answer
from battlife.estimators.learned.scaling import below
from battlife.estimators.learned.training import (
    DECLARED,
    VERSION,
    learned_arrays,
    part_names,
    stored_design,
)
from battlife.model._arrays import Column, IndexColumn
from battlife.model.learned import Model
from battlife.model.table import FeatureTable

FEW_UNITS: Final = "few_units"
"""Qualifies a value of a lot so small that its edge is not known: it may take a unit of
another type for one of its own, and its intervals may hold less than they promise."""
TRUSTED_UNITS: Final = 12
"""Units from which a lot of each type of PulseBat refused every other type; of ten, one
type let others in."""
OUTSIDE: Final = "outside_domain"
UNKNOWN_TYPE: Final = "unknown_type"
OTHER_TYPE: Final = "type_disagrees"
NEAR_EDGE: Final = 0.8
"""A row this far from its own part may be deep inside another."""
DEEP: Final = 0.7
"""Deep: closer to the other part than this share of the distance to its own."""


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
    design = stored_design(model)
    raw, reasons = design.matrix(table)
    declared = part_names(table, model.text("by"))
    parts = model.text("parts")
    found: list[Screened | None] = [None] * len(table)
    stated = table.texts.get(REFUSED, ("",) * len(table))
    spans = {part: below(learned_arrays(model, part), "conditions") for part in parts}
    ratings = {part: learned_arrays(model, part).get("ratings") for part in parts}
    rated = declared_ah(table)
    for row, reason in enumerate(reasons):
        why = stated[row] if reason else ""
        why = why or reason or ("" if declared[row] in parts else UNKNOWN_TYPE)
        why = why or _disagreement(model, declared[row], table, row)
        why = why or rating_departure(ratings[declared[row]], float(rated[row]))
        why = why or departure(spans[declared[row]], table, row)
        if why:
            found[row] = _refused(row, why)
    open_rows = np.array([r for r, f in enumerate(found) if f is None], dtype=np.int64)
    if open_rows.size:
        see = featuriser(str(model.attribute("featuriser")))
        features = see.features(design, raw[open_rows])
        signature = see.signature(design, raw[open_rows])
        answers = {
            part: answer(
                learned_arrays(model, part),
                model.text(f"parts/{part or 'all'}/learners"),
                features,
                signature,
            )
            for part in parts
        }
        names = [declared[row] for row in open_rows.tolist()]
        for answered in _told(answers, names, open_rows):
            found[answered.row] = answered
    few = {
        part: len(model.texts.get(f"parts/{part or 'all'}/units", ())) < TRUSTED_UNITS
        for part in parts
    }
    qualified = []
    for answered in (f for f in found if f is not None):
        if answered.status == "ok":
            part = declared[answered.row]
            remarks = (
                FEW_UNITS if few[part] else "",
                unstated(spans[part], table, answered.row),
            )
            reasons = (*answered.reasons, *(r for r in remarks if r))
            qualified.append(replace(answered, reasons=reasons))
        else:
            qualified.append(answered)
    return tuple(qualified)


def _disagreement(model: Model, part: str, table: FeatureTable, row: int) -> str:
    """Say whether a row declares itself to be of something the part is not of."""
    for name in DECLARED:
        known = model.texts.get(f"parts/{part or 'all'}/declared/{name}")
        if known and name in table.texts:
            said = table.texts[name][row].casefold()
            if said and said not in {k.casefold() for k in known}:
                return OTHER_TYPE
    return ""


def _told(
    answers: Mapping[str, Answer], names: list[str], rows: IndexColumn
) -> list[Screened]:
    """Return a value or refusal for each row, by its own part and the others."""
    far: Mapping[str, Column] = {part: a.far for part, a in answers.items()}
    told = []
    for k, row in enumerate(rows.tolist()):
        own = answers[names[k]]
        others = [f[k] for part, f in far.items() if part != names[k]]
        nearest = min(others, default=np.inf)
        inside = bool(own.far[k] <= 1.0)
        deep = own.far[k] > NEAR_EDGE and nearest < DEEP * own.far[k]
        values = (own.value[k], own.half[k])
        if not inside or deep or not np.isfinite(values).all():
            other = nearest <= 1.0 and nearest < own.far[k]
            told.append(_refused(row, OTHER_TYPE if other else OUTSIDE))
            continue
        value, half = (float(v) for v in values)
        told.append(
            Screened(row, "ok", value, value - half, value + half, own.coverage, ())
        )
    return told


def _refused(row: int, why: str) -> Screened:
    return Screened(row, "refused", None, None, None, None, (why,))
