"""Learn from a labelled lot, screen the rest: tables of features, or recordings."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np

from battlife.archive.model_file import read_model
from battlife.errors import EstimateError, InputError
from battlife.estimators import build
from battlife.estimators.learned.applying import Screened, apply
from battlife.estimators.learned.conditions import RATING, declared_ah, with_rating
from battlife.estimators.learned.estimating import described
from battlife.estimators.learned.tracing import FEATURISERS, features_of
from battlife.estimators.learned.training import (
    Labels,
    Summary,
    Told,
    part_names,
    train,
)
from battlife.estimators.soh import doubtful
from battlife.grading import load_policy
from battlife.model._arrays import Column
from battlife.model.learned import Model
from battlife.model.table import FeatureTable
from battlife.pipeline.evaluate import with_sensor
from battlife.pipeline.rows import SCHEMA, Row, finite, source_rows
from battlife.pipeline.software import software_versions
from battlife.pipeline.sources import LoadOptions, Unit, load_units_of
from battlife.readers.feature_tables import is_table, read_feature_table

TABLE: Final = "table"
"""Name of the estimator of a model for ready tables."""
CAPACITY: Final = "discharge_capacity_ah"
MEASURED: Final = (CAPACITY, "soh_capacity")
"""Truths that a recording itself may hold."""
UNITS: Final = {"ah": "Ah", "mah": "mAh", "wh": "Wh", "mwh": "mWh", "ohm": "ohm"}
"""Last part of a name, in lower case, to the unit."""
TELLING: Final = 0.9999
"""Correlation from which a column is the truth in other words: no measured feature
follows a state of health to 1 % of its spread."""
KEYS: Final = ("unit", "file", "cell")
"""Columns by which a table of labels may name a recording, by id or file name."""


def calibrate_lot(
    paths: Sequence[Path],
    labels: Labels,
    estimator: str,
    options: LoadOptions,
    told: Told = lambda share, kind: None,
) -> tuple[Model, tuple[Row, ...]]:
    """Return the model of a labelled lot, and how it did on units left out.

    Parameters
    ----------
    paths : tables with all columns; or recordings, with a table of labels among them
        unless the truth is one that the recordings hold
    estimator : method the model is for; "table" for ready tables of features
    told : called with the share of the learning that is done and the part it is at

    Raises
    ------
    InputError
        A file cannot be read, or columns are missing.
    EstimateError
        Too few labelled units.
    """
    if estimator != TABLE and estimator not in FEATURISERS:
        raise InputError(
            f"no estimator {estimator!r} learns from a lot",
            f"known: {', '.join((TABLE, *sorted(FEATURISERS)))}",
        )
    needed = [labels.truth, labels.group, *labels.by]
    tables = [p for p in paths if is_table(p, needed)]
    if len(tables) == len(paths):
        table = joined([read_feature_table(p) for p in paths])
        table = with_rating(table, options.nominal_ah)
    else:
        if estimator == TABLE:
            # Say which column is missing rather than how to read a recording.
            for path in paths:
                found = read_feature_table(path)
                for name in needed:
                    found.label(name)
        table = labelled_recordings(paths, labels, estimator, options)
    if not labels.features:
        _refuse_what_tells_the_truth(table, labels)
    software = software_versions()["battlife"]
    labels = replace(labels, unit=_unit_of(labels.truth))
    model, summaries = train(table, labels, estimator, software, told)
    return model, tuple(_summary_row(s) for s in summaries)


def _unit_of(truth: str) -> str:
    """Return the unit that the name of a truth ends in, "1" where it names none."""
    return UNITS.get(truth.rpartition("_")[2].casefold(), "1")


def screen(
    path: Path, model: Model, options: LoadOptions
) -> Iterator[tuple[Row, Screened]]:
    """Yield one row for every row of a table, or for all a recording holds.

    Raises
    ------
    InputError
        The file cannot be read, or lacks what the model needs.
    EstimateError
        A recording holds nothing the model could use.
    """
    table = _table_with_any(path, model.text("design/names"))
    if table is not None:
        table = with_rating(table, options.nominal_ah)
    elif model.estimator in FEATURISERS:
        table = joined(
            [
                _recorded(unit, model.estimator, path)
                for unit in load_units_of(path, options)
            ]
        )
    else:
        table = with_rating(read_feature_table(path), options.nominal_ah)
    group = str(model.attribute("group"))
    units = table.label(group) if group in table.names else ("",) * len(table)
    for found in apply(model, table):
        yield _row(path, units[found.row], model, found), found


def _table_with_any(path: Path, names: Sequence[str]) -> FeatureTable | None:
    """Return the table in a file; None where it is none, or has none of the columns.

    One column is enough: what else is missing is then said by its name.
    """
    if not is_table(path, ()):
        return None
    table = read_feature_table(path)
    return None if set(names).isdisjoint(table.names) else table


def model_row(path: Path) -> Row:
    """Return what a model file holds; errors as :func:`read_model`."""
    model = read_model(path)
    parts = model.texts.get("parts", ())
    return {
        "schema": SCHEMA,
        "source": str(path),
        "sha256": model.sha256,
        "format": "model",
        "units": [],
        "estimator": model.estimator,
        "quantity": model.quantity,
        "features": list(model.texts.get("design/names", ())),
        "parts": {
            part or "all": len(model.texts.get(f"parts/{part or 'all'}/units", ()))
            for part in parts
        },
        "attributes": dict(model.attributes),
        "made_from": source_rows(model.sources),
        "software": model.software,
        "warnings": [],
    }


def joined(tables: Sequence[FeatureTable]) -> FeatureTable:
    """Return the rows of several tables below each other.

    Raises
    ------
    InputError
        A column holds vectors in one and something else in another.
    """
    if len(tables) == 1:
        return tables[0]
    numbers: dict[str, list[Column]] = {}
    vectors: dict[str, tuple[Column, ...]] = {}
    texts: dict[str, tuple[str, ...]] = {}
    names = list(dict.fromkeys(n for t in tables for n in t.names))
    for name in names:
        if any(name in t.vectors for t in tables):
            if any(name in t.numbers for t in tables):
                raise InputError(f"column {name!r} holds vectors in some files only")
            vectors[name] = tuple(
                v for t in tables for v in t.vectors.get(name, (np.empty(0),) * len(t))
            )
        elif any(name in t.numbers for t in tables):
            numbers[name] = [
                t.numbers.get(name, np.full(len(t), np.nan)) for t in tables
            ]
        texts[name] = tuple(
            text
            for t in tables
            for text in (
                t.label(name)
                if name in t.texts or name in t.numbers
                else ("",) * len(t)
            )
        )
    return FeatureTable(
        {n: np.concatenate(v) for n, v in numbers.items()},
        vectors,
        texts,
        tuple(s for t in tables for s in t.sources),
    )


def labelled_recordings(
    paths: Sequence[Path], labels: Labels, estimator: str, options: LoadOptions
) -> FeatureTable:
    """Return the features of recordings beside the truth of each row.

    Parameters
    ----------
    paths : recordings, and tables with the truth unless recordings hold it
    labels : names of truth, group and type
    estimator : method that finds the features
    options : how recordings are loaded

    Raises
    ------
    InputError
        Nothing says the truth, or of which recording.
    EstimateError
        No recording holds features.
    """
    truth = labels.truth
    written = [p for p in paths if is_table(p, [truth])]
    logs = [p for p in paths if p not in written]
    if not written and truth not in MEASURED:
        raise InputError(
            f"nothing says the {truth} of these recordings",
            f"add a table with the columns {truth} and {KEYS[0]} or {KEYS[1]}, or take "
            f"--truth {' or '.join(MEASURED)}",
        )
    known = _lines_of([read_feature_table(p) for p in written])
    tables = []
    refusal: EstimateError | None = None
    for path in logs:
        for unit in load_units_of(path, options):
            try:
                table = _recorded(unit, estimator, path)
            except EstimateError as error:
                refusal = refusal or error
                continue
            if written:
                line = known.get(unit.trace.unit_id) or known.get(path.name)
                table = _beside(table, line, labels)
            else:
                values = _measured(unit, truth, table)
                table = replace(table, numbers={**table.numbers, truth: values})
            tables.append(table)
    if not tables:
        raise refusal or EstimateError("no recording holds features", "", ("empty",))
    return joined(tables)


def _recorded(unit: Unit, estimator: str, path: Path) -> FeatureTable:
    """Return the features of one recording with its unit, file and identity."""
    table = features_of(estimator, unit.trace, unit.pack)
    table = described(table, unit.trace, unit.pack)
    return replace(table, texts={**table.texts, "file": (path.name,) * len(table)})


def _lines_of(tables: Sequence[FeatureTable]) -> dict[str, tuple[FeatureTable, int]]:
    """Return the line of a table of labels that is about a unit or file."""
    lines: dict[str, tuple[FeatureTable, int]] = {}
    for table in tables:
        for key in KEYS:
            if key in table.names:
                lines |= {n: (table, k) for k, n in enumerate(table.label(key)) if n}
    if tables and not lines:
        raise InputError(
            "the table of labels does not say which recording a line is about",
            f"give it a column {', '.join(KEYS[:-1])} or {KEYS[-1]}",
        )
    return lines


def _beside(
    table: FeatureTable, line: tuple[FeatureTable, int] | None, labels: Labels
) -> FeatureTable:
    """Return the rows of a recording with what its line of labels says of each.

    The physical unit too, where the line names it: a cell may fill many files.
    """
    n = len(table)
    value = (
        float("nan") if line is None else float(line[0].number(labels.truth)[line[1]])
    )
    texts = dict(table.texts)
    for name in (labels.group, *labels.by):
        if line is None:
            texts.setdefault(name, ("",) * n)
        elif name in line[0].names:
            texts[name] = (line[0].label(name)[line[1]],) * n
    numbers = {**table.numbers, labels.truth: np.full(n, value)}
    rated = declared_ah(table)
    if line is not None:
        written = float(declared_ah(line[0])[line[1]])
        rated = np.where(np.isnan(rated), written, rated)
    return replace(table, numbers={**numbers, RATING: rated}, texts=texts)


def _measured(unit: Unit, truth: str, table: FeatureTable) -> Column:
    """Return (n,) the truth of the same recording: the complete discharge that follows.

    Where none follows a row, the last one before it. Doubtful discharges are no truth.
    """
    pack = with_sensor(unit.pack, load_policy(None))
    rated = 1.0 if truth == CAPACITY else unit.pack.nominal_ah
    if not rated:
        raise InputError(
            f"{unit.trace.unit_id}: a {truth} needs the rated capacity",
            "give --nominal-ah, or nominal_ah in units.toml",
        )
    having = [
        e
        for e in build("capacity", {}).estimate(unit.trace, pack)
        if e.status == "ok" and CAPACITY in e.measurements and not doubtful(e)
    ]
    if not having:
        return np.full(len(table), np.nan)
    begin = np.array([e.start_sample for e in having])
    value = np.array([e.measurements[CAPACITY].value for e in having], dtype=float)
    after = np.searchsorted(begin, table.number("stop_sample") - 1, side="left")
    measured: Column = value[np.minimum(after, value.size - 1)] / rated
    return measured


def _refuse_what_tells_the_truth(table: FeatureTable, labels: Labels) -> None:
    """Raise where a column that nobody named as a feature is the truth in disguise.

    A capacity in Ah beside a state of health would be learned perfectly, and is not
    there for the units to be screened.
    """
    truth = table.number(labels.truth)
    for name, column in table.numbers.items():
        if name in {labels.truth, labels.group, *labels.by}:
            continue
        kinds = np.array(part_names(table, labels.by))
        for kind in sorted(set(kinds.tolist())):
            rows = (kinds == kind) & np.isfinite(truth) & np.isfinite(column)
            x, y = column[rows], truth[rows]
            if x.size < 3 or not x.std() > 0 or not y.std() > 0:
                continue
            if abs(float(np.corrcoef(x, y)[0, 1])) > TELLING:
                raise InputError(
                    f"column {name!r} gives {labels.truth!r} away ({kind or 'all'}): "
                    "units to be screened will not have it",
                    "name the features with --features",
                )


def _summary_row(found: Summary) -> Row:
    """Return a summary as the contract's object: every number finite or None."""
    row: Row = {"schema": SCHEMA}
    for name, value in asdict(found).items():
        row[name] = finite(value) if isinstance(value, float) else value
    return row | {"by": found.by or None}


def _row(path: Path, unit: str, model: Model, found: Screened) -> Row:
    return {
        "schema": SCHEMA,
        "source": str(path),
        "row": found.row,
        "unit": unit or None,
        "status": found.status,
        "quantity": model.quantity,
        "unit_of_value": model.unit,
        "value": finite(found.value),
        "low": finite(found.low),
        "high": finite(found.high),
        "coverage": found.coverage,
        "reasons": list(found.reasons),
        "soc_information": model.attributes.get("soc_information"),
        "model_sha256": model.sha256,
    }
