"""From labelled units to a Model, judged on units it has not seen.

Units are dealt into folds; whatever is chosen or fitted is fitted without the fold it
is judged on. The error, coverage and width that are reported are those of units left
out; the model itself is then fitted to all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.errors import EstimateError
from battlife.estimators.learned.conformal import group_quantile, promised
from battlife.estimators.learned.design import Design, design_of, stored
from battlife.estimators.learned.domain import fit_domain
from battlife.estimators.learned.learners import LEARNERS, Arrays
from battlife.model._arrays import Column, IndexColumn
from battlife.model.learned import Model
from battlife.model.provenance import Source
from battlife.model.table import FeatureTable

VERSION: Final = "1"
COVERAGE: Final = 0.9
FOLDS: Final = 10
FEWEST_UNITS: Final = 3
"""With fewer no unit can be left out and judged."""


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
    mape : mean absolute error over truth, a fraction
    rmse : in the unit of the truth
    coverage : share of rows whose interval holds the truth
    width : mean of high - low in the unit of the truth
    refused : share of rows the domain refuses
    """

    by: str
    n_units: int
    n_rows: int
    mape: float
    rmse: float
    coverage: float
    width: float
    refused: float


@dataclass(frozen=True, eq=False)
class _Part:
    """One part of the lot, fitted, and its units when they were left out."""

    arrays: Mapping[str, Column]
    texts: Mapping[str, tuple[str, ...]]
    truth: Column
    value: Column
    half: Column
    refused: npt.NDArray[np.bool_]
    groups: IndexColumn


def train(
    table: FeatureTable, labels: Labels, estimator: str, software: str
) -> tuple[Model, tuple[Summary, ...]]:
    """Return the model of a labelled lot, and how it did on units left out.

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
    features, reasons = design.matrix(table)
    unit = table.label(labels.group)
    kinds = part_names(table, labels.by)
    usable = np.array([not r for r in reasons]) & np.isfinite(truth)
    usable &= np.array([bool(u) for u in unit])
    arrays: dict[str, Column] = {}
    texts: dict[str, tuple[str, ...]] = {}
    parts: dict[str, _Part] = {}
    for kind in sorted(set(kinds)):
        rows = np.flatnonzero(usable & np.array([k == kind for k in kinds]))
        groups = np.unique(np.array(unit)[rows], return_inverse=True)[1]
        if not rows.size or groups.max() + 1 < FEWEST_UNITS:
            raise EstimateError(
                f"{kind or 'the lot'}: {len(set(groups.tolist()))} labelled units with "
                f"all features, at least {FEWEST_UNITS} are needed",
                "label more units, or leave this kind out",
                ("too_few_units",),
            )
        parts[kind] = _fit(features[rows], truth[rows], groups, labels.coverage)
        names = tuple(sorted({unit[r] for r in rows}))
        texts[f"parts/{kind or 'all'}/units"] = names
        for name, array in parts[kind].arrays.items():
            arrays[f"parts/{kind or 'all'}/{name}"] = array
        for name, text in parts[kind].texts.items():
            texts[f"parts/{kind or 'all'}/{name}"] = text
    kept_arrays, kept_texts = stored(design)
    model = Model(
        estimator,
        VERSION,
        labels.truth,
        labels.unit,
        {
            "coverage": labels.coverage,
            "group": labels.group,
            "n_rows": int(sum(p.truth.size for p in parts.values())),
        },
        arrays | dict(kept_arrays),
        texts | dict(kept_texts) | {"by": labels.by, "parts": tuple(parts)},
        _sources(table.sources),
        software,
    )
    return model, _summaries(parts)


def part_names(table: FeatureTable, by: Sequence[str]) -> tuple[str, ...]:
    """Return for each row the part it belongs to; "" where the lot is not split."""
    if not by:
        return ("",) * len(table)
    columns = [table.label(name) for name in by]
    return tuple(" | ".join(values) for values in zip(*columns, strict=True))


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


def _fit(
    features: Column, truth: Column, groups: IndexColumn, coverage: float
) -> _Part:
    from battlife.estimators.learned.domain import outside

    folds = folds_of(truth, groups)
    names = tuple(LEARNERS)
    values = np.empty((len(names), truth.size))
    spreads = np.empty_like(values)
    refused = np.empty(truth.size, dtype=bool)
    for fold in np.unique(folds):
        out = folds == fold
        kept = ~out
        domain = fit_domain(features[kept], groups[kept], folds[kept])
        refused[out] = outside(domain, features[out]) > 1.0
        for k, name in enumerate(names):
            learner = LEARNERS[name]
            fitted = learner.fit(features[kept], truth[kept], groups[kept])
            values[k, out], spreads[k, out] = learner.predict(fitted, features[out])
    weights = _weights(values, truth)
    value = np.empty(truth.size)
    spread = np.empty(truth.size)
    half = np.empty(truth.size)
    for fold in np.unique(folds):
        out = folds == fold
        others = _weights(values[:, ~out], truth[~out])
        value[out] = others @ values[:, out]
        spread[out] = others @ spreads[:, out]
    scores = np.abs(truth - value) / spread
    for fold in np.unique(folds):
        out = folds == fold
        kept_units = np.unique(groups[~out]).size
        share = promised(kept_units, coverage)
        half[out] = spread[out] * group_quantile(scores[~out], groups[~out], share)
    arrays: dict[str, Column] = {"weights": weights}
    for name in names:
        fitted = LEARNERS[name].fit(features, truth, groups)
        arrays |= {f"learners/{name}/{n}": a for n, a in fitted.items()}
    domain = fit_domain(features, groups, folds)
    arrays |= {f"domain/{n}": a for n, a in domain.items()}
    share = promised(int(groups.max()) + 1, coverage)
    arrays["interval"] = np.array([group_quantile(scores, groups, share), share])
    return _Part(arrays, {"learners": names}, truth, value, half, refused, groups)


def _weights(values: Column, truth: Column) -> Column:
    """Return the share of each learner: not negative, together 1.

    References
    ----------
    Breiman, Mach. Learn. 24 (1996) 49 (stacked regressions).
    """
    from scipy.optimize import nnls

    scale = float(truth.std()) or 1.0
    rows = (values - truth).T / scale
    # Non-negative least squares with the sum driven to 1 by a heavy extra row.
    heavy = 1e3 * np.sqrt(len(truth))
    a = np.vstack([rows, np.full((1, len(values)), heavy)])
    weights: Column = nnls(a, np.append(np.zeros(len(truth)), heavy))[0]
    total = float(weights.sum())
    return weights / total if total > 0 else np.full(len(values), 1 / len(values))


def _summaries(parts: Mapping[str, _Part]) -> tuple[Summary, ...]:
    found = [_summary(kind, [part]) for kind, part in parts.items()]
    if len(parts) > 1:
        found.append(_summary("", list(parts.values())))
    return tuple(found)


def _summary(kind: str, parts: Sequence[_Part]) -> Summary:
    truth = np.concatenate([p.truth for p in parts])
    value = np.concatenate([p.value for p in parts])
    half = np.concatenate([p.half for p in parts])
    refused = np.concatenate([p.refused for p in parts])
    error = np.abs(value - truth)
    return Summary(
        kind,
        sum(int(p.groups.max()) + 1 for p in parts),
        truth.size,
        float((error / np.abs(truth)).mean()),
        float(np.sqrt((error**2).mean())),
        float((error <= half).mean()),
        float(2 * half.mean()),
        float(refused.mean()),
    )


def _sources(sources: Sequence[Source]) -> tuple[Source, ...]:
    """Return sources by name: the same lot in another folder is the same model."""
    return tuple(replace(s, path=PurePath(s.path).name) for s in sources)


def learned_arrays(model: Model, part: str, name: str) -> Arrays:
    """Return the arrays below parts/PART/NAME of a model, by their own names."""
    prefix = f"parts/{part or 'all'}/{name}/"
    return {
        n.removeprefix(prefix): a
        for n, a in model.arrays.items()
        if n.startswith(prefix)
    }


def stored_design(model: Model) -> Design:
    """Return the design a model was trained with."""
    lengths = tuple(int(v) for v in model.array("design/lengths"))
    return Design(model.text("design/names"), lengths)
