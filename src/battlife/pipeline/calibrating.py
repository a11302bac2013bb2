"""Models that are made of recordings without labels: a cell's, and a lot's lives."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

import numpy as np

from battlife.errors import EstimateError, InputError
from battlife.estimators import build
from battlife.grading import load_policy
from battlife.model import Pack, Source, Trace
from battlife.model.learned import Model
from battlife.model.table import FeatureTable
from battlife.pipeline.evaluate import with_sensor
from battlife.pipeline.rows import SCHEMA, Row, finite
from battlife.pipeline.software import software_versions
from battlife.pipeline.sources import LoadOptions, load_units_of
from battlife.readers.feature_tables import is_table, read_feature_table

CELL_METHODS: Final = ("soc_ekf", "soc_spkf", "awtls")
"""Methods whose model describes one type of cell."""
LIFE_METHODS: Final = ("knee",)
"""Methods whose model describes how a lot ages."""
CYCLE: Final = "cycle"
"""Column of a table that counts the cycles of a life."""


def calibrate_cell(
    paths: Sequence[Path], estimator: str, options: LoadOptions
) -> tuple[Model, tuple[Row, ...]]:
    """Return the model of one type of cell, and how well it describes each recording.

    Parameters
    ----------
    paths : OCV tests and dynamic tests of one cell type, or one published cell model
    estimator : one of CELL_METHODS
    options : how to read; a rated capacity is not a measured one and is not taken

    Raises
    ------
    InputError
        A file cannot be read.
    EstimateError
        The recordings do not show what a model needs.
    """
    from battlife.estimators.cell_models import calibrate_cell_model, esc_cell_model
    from battlife.readers.esc_model import is_esc_model, read_esc_numbers

    software = software_versions()["battlife"]
    base: Model | None = None
    units: list[tuple[Trace, Pack]] = []
    for path in paths:
        if is_esc_model(path):
            numbers, source = read_esc_numbers(path)
            base = esc_cell_model(numbers, source, software)
            continue
        units.extend((u.trace, u.pack) for u in load_units_of(path, options))
    if base is not None and not units:
        return _named(replace(base, estimator=estimator)), ()
    model, fits = calibrate_cell_model(
        units,
        estimator=estimator,
        base=base,
        software=software,
    )
    rows = tuple(
        {
            "schema": SCHEMA,
            "by": fit.unit,
            "n_units": 1,
            "n_rows": fit.n_samples,
            "mape": None,
            "rmse": finite(fit.half_rmse_v),
            "coverage": None,
            "width": None,
            "kind": fit.kind,
            "rmse_fitted": finite(fit.rmse_v),
            "rmse_unit": "V",
            "capacity_ah": finite(fit.capacity_ah),
            "temperature_degc": fit.temperature_degc,
        }
        for fit in fits
    )
    return _named(model), rows


def calibrate_lives(
    paths: Sequence[Path],
    truth: str,
    group: str,
    options: LoadOptions,
    coverage: float,
) -> tuple[Model, tuple[Row, ...]]:
    """Return the model of how a lot ages.

    Parameters
    ----------
    paths : tables with the columns `truth` (capacity in Ah), `group` and "cycle", or
        recordings of whole lives
    options : its nominal_ah is the rated capacity of the lot

    Raises
    ------
    InputError
        A file cannot be read, a column is missing, or no rated capacity is known.
    """
    from battlife.estimators._trajectory import Trajectory, trajectory_of
    from battlife.estimators.trajectories import calibrate_trajectories

    lives: dict[str, Trajectory] = {}
    sources: list[Source] = []
    nominal, chemistry = options.nominal_ah, ""
    for path in paths:
        if is_table(path, [truth, group, CYCLE]):
            table = read_feature_table(path)
            sources.extend(table.sources)
            for name, (cycle, capacity) in _by_unit(table, truth, group).items():
                lives[name] = Trajectory(cycle, capacity)
            continue
        for unit in load_units_of(path, options):
            pack = with_sensor(unit.pack, load_policy(None))
            nominal = nominal or pack.nominal_ah
            chemistry = chemistry or pack.chemistry
            sources.extend(unit.trace.provenance.sources)
            try:
                found = build("capacity", {}).estimate(unit.trace, pack)
            except EstimateError:
                continue
            lives[unit.trace.unit_id] = trajectory_of(found)[0]
    if not nominal:
        raise InputError(
            "the rated capacity of the lot is not known", "give --nominal-ah"
        )
    model = calibrate_trajectories(
        lives,
        nominal,
        chemistry=chemistry,
        coverage=coverage,
        sources=tuple(sources),
        software=software_versions()["battlife"],
    )
    row: Row = {
        "schema": SCHEMA,
        "by": None,
        "n_units": len(lives),
        "n_rows": sum(life.cycle.size for life in lives.values()),
        "mape": None,
        "rmse": None,
        "coverage": coverage,
        "width": None,
    }
    return _named(model), (row,)


def _by_unit(
    table: FeatureTable, truth: str, group: str
) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """Return cycles and capacities of each unit, in order of its cycles."""
    unit = np.array(table.label(group))
    cycle, capacity = table.number(CYCLE), table.number(truth)
    usable = np.isfinite(cycle) & np.isfinite(capacity)
    found = {}
    for name in sorted(set(unit[usable].tolist())):
        rows = np.flatnonzero(usable & (unit == name))
        order = rows[np.argsort(cycle[rows], kind="stable")]
        found[name] = (cycle[order], capacity[order])
    return found


def _named(model: Model) -> Model:
    """Return the model with the names of its files, wherever they lay."""
    sources = tuple(replace(s, path=PurePath(s.path).name) for s in model.sources)
    return replace(model, sources=sources)
