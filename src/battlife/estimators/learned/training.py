"""From labelled units to a Model, judged on units it has not seen.

Units are dealt into folds; whatever is chosen or fitted is fitted without the fold it
is judged on. The error, coverage and width that are reported are those of units left
out; the model itself is then fitted to all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath
from typing import Final, TypeAlias

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators.learned.conditions import conditions_of, ratings_of
from battlife.estimators.learned.design import (
    Design,
    design_of,
    soc_information,
    stored,
)
from battlife.estimators.learned.featurisers import featuriser, recognised
from battlife.estimators.learned.parts import Judged, fit_part
from battlife.estimators.learned.scaling import Arrays
from battlife.model._arrays import Column
from battlife.model.learned import Model
from battlife.model.provenance import Source
from battlife.model.table import FeatureTable

VERSION: Final = "3"
COVERAGE: Final = 0.9
FEWEST_UNITS: Final = 2
"""With fewer no unit can be left out and judged."""
DECLARED: Final = ("chemistry", "type", "cell_type")
"""Columns by which a table says what its rows are of, where it has them."""
Told: TypeAlias = Callable[[float, str], None]


def _untold(share: float, kind: str) -> None:
    del share, kind


@dataclass(frozen=True)
class Labels:
    """Which columns say what.

    Attributes
    ----------
    truth : what is to be learned
    group : the physical unit a row belongs to
    by : columns that split the lot, a model for each combination of values
    features : names and globs, empty for all other columns
    unit : unit of the truth, "1" for a fraction
    coverage : that intervals are to hold
    """

    truth: str
    group: str
    by: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    unit: str = "1"
    coverage: float = COVERAGE


@dataclass(frozen=True)
class Summary:
    """How well units left out were estimated, for one part of the lot or the whole.

    Attributes
    ----------
    by : values of the columns that split the lot, "" for all together
    mape : mean absolute error over truth of the rows kept, a fraction
    rmse : of the rows kept, in the unit of the truth
    coverage : share of rows kept whose interval holds the truth, units equal
    width : mean of high - low of the rows kept, in the unit of the truth
    refused : share of rows the domain refuses
    mape_refused : what the error of those would have been; NaN where there are none
    """

    by: str
    n_units: int
    n_rows: int
    mape: float
    rmse: float
    coverage: float
    width: float
    refused: float
    mape_refused: float


def train(
    table: FeatureTable,
    labels: Labels,
    estimator: str,
    software: str,
    told: Told = _untold,
) -> tuple[Model, tuple[Summary, ...]]:
    """Return the model of a labelled lot, and how it did on units left out.

    told is called with the share of the work that is done and the part it is at.

    Raises
    ------
    InputError
        A column is missing or of the wrong kind.
    EstimateError
        Too few labelled units.
    """
    truth = table.number(labels.truth)
    taken = {labels.truth, labels.group, *labels.by}
    design = design_of(table, labels.features, taken)
    raw, reasons = design.matrix(table)
    unit = table.label(labels.group)
    kinds = part_names(table, labels.by)
    usable = np.array([not r for r in reasons]) & np.isfinite(truth)
    usable &= np.array([bool(u) for u in unit])
    seen = recognised(design, raw[usable])
    see = featuriser(seen)
    arrays: dict[str, Column] = {}
    texts: dict[str, tuple[str, ...]] = {}
    judged: dict[str, Judged] = {}
    every = sorted(set(kinds))
    for place, kind in enumerate(every):
        rows = np.flatnonzero(usable & np.array([k == kind for k in kinds]))
        groups = np.unique(np.array(unit)[rows], return_inverse=True)[1]
        if not rows.size or groups.max() + 1 < FEWEST_UNITS:
            raise EstimateError(
                f"{kind or 'the lot'}: {len(set(groups.tolist()))} labelled units with "
                f"all features, at least {FEWEST_UNITS} are needed",
                "label more units, or leave this kind out",
                ("too_few_units",),
            )
        at = f"parts/{kind or 'all'}"
        fitted, judged[kind] = fit_part(
            see.features(design, raw[rows]),
            see.signature(design, raw[rows]),
            truth[rows],
            groups,
            labels.coverage,
            see.learners,
            partial(_tell, told, kind, place, len(every)),
        )
        arrays |= {f"{at}/{name}": array for name, array in fitted.items()}
        spans = conditions_of(table, rows.tolist(), design.names)
        arrays |= {f"{at}/conditions/{name}": span for name, span in spans.items()}
        ratings = ratings_of(table, rows.tolist())
        arrays |= {f"{at}/ratings": ratings} if ratings.size else {}
        texts[f"{at}/learners"] = see.learners
        texts[f"{at}/units"] = tuple(sorted({unit[r] for r in rows}))
        texts |= {
            f"{at}/declared/{name}": values
            for name, values in _declared(table, rows.tolist()).items()
        }
    kept_arrays, kept_texts = stored(design)
    model = Model(
        estimator,
        VERSION,
        labels.truth,
        labels.unit,
        {
            "coverage": labels.coverage,
            "group": labels.group,
            "n_rows": int(sum(j.truth.size for j in judged.values())),
            "featuriser": seen,
            "soc_information": soc_information(design.names),
        },
        arrays | dict(kept_arrays),
        texts | dict(kept_texts) | {"by": labels.by, "parts": tuple(judged)},
        _sources(table.sources),
        software,
    )
    return model, _summaries(judged)


def _tell(told: Told, kind: str, place: int, count: int, share: float) -> None:
    told((place + share) / count, kind)


def part_names(table: FeatureTable, by: Sequence[str]) -> tuple[str, ...]:
    """Return for each row the part it belongs to; "" where the lot is not split."""
    if not by:
        return ("",) * len(table)
    columns = [table.label(name) for name in by]
    return tuple(" | ".join(values) for values in zip(*columns, strict=True))


def _declared(
    table: FeatureTable, rows: Sequence[int]
) -> Mapping[str, tuple[str, ...]]:
    """Return what the rows say that they are of, by column; rows may say nothing."""
    found = {}
    for name in DECLARED:
        if name in table.texts:
            said = {table.texts[name][r] for r in rows} - {""}
            if said:
                found[name] = tuple(sorted(said))
    return found


def _summaries(judged: Mapping[str, Judged]) -> tuple[Summary, ...]:
    found = [_summary(kind, [part]) for kind, part in judged.items()]
    if len(judged) > 1:
        found.append(_summary("", list(judged.values())))
    return tuple(found)


def _summary(kind: str, parts: Sequence[Judged]) -> Summary:
    truth = np.concatenate([p.truth for p in parts])
    half = np.concatenate([p.half for p in parts])
    kept = ~np.concatenate([p.refused for p in parts])
    error = np.abs(np.concatenate([p.value for p in parts]) - truth)
    share = error / np.abs(truth)
    held = [
        (np.abs(p.value - p.truth) <= p.half)[rows].mean()
        for p in parts
        for rows in ((p.groups == u) & ~p.refused for u in np.unique(p.groups))
        if rows.any()
    ]
    nothing = float("nan")
    return Summary(
        kind,
        sum(int(p.groups.max()) + 1 for p in parts),
        truth.size,
        float(share[kept].mean()) if kept.any() else nothing,
        float(np.sqrt((error[kept] ** 2).mean())) if kept.any() else nothing,
        float(np.mean(held)) if held else nothing,
        float(2 * half[kept].mean()) if kept.any() else nothing,
        float(1 - kept.mean()),
        nothing if kept.all() else float(share[~kept].mean()),
    )


def _sources(sources: Sequence[Source]) -> tuple[Source, ...]:
    """Return sources by name: the same lot in another folder is the same model."""
    return tuple(replace(s, path=PurePath(s.path).name) for s in sources)


def learned_arrays(model: Model, part: str) -> Arrays:
    """Return the arrays below parts/PART of a model, by their own names."""
    prefix = f"parts/{part or 'all'}/"
    return {
        n.removeprefix(prefix): a
        for n, a in model.arrays.items()
        if n.startswith(prefix)
    }


def stored_design(model: Model) -> Design:
    """Return the design a model was trained with."""
    lengths = tuple(int(v) for v in model.array("design/lengths"))
    return Design(model.text("design/names"), lengths)
