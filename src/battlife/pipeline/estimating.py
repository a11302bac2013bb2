"""Run methods on the units of a source."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from battlife.errors import EstimateError, InputError
from battlife.estimators import build
from battlife.grading import load_policy
from battlife.model import Estimate, Estimator, Pack, Trace
from battlife.model.curve import Curve
from battlife.pipeline.evaluate import with_sensor
from battlife.pipeline.methods import choose
from battlife.pipeline.sources import LoadOptions, load_units_of


@dataclass(frozen=True)
class UnitEstimates:
    """What was estimated for one unit."""

    unit_id: str
    trace: Trace
    pack: Pack
    estimates: tuple[Estimate, ...]


def parse_settings(pairs: Sequence[str]) -> dict[str, str]:
    """Return ``key=value`` texts as a dict.

    Raises
    ------
    InputError
        No "=", an empty key, or a repeated one.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        key = key.strip()
        if not sign or not key:
            raise InputError(
                f"--set {pair!r}: not key=value", "e.g. --set cutoff_v=2.7"
            )
        if key in settings:
            raise InputError(f"--set {key} is given twice")
        settings[key] = value.strip()
    return settings


def estimate(
    path: Path,
    estimator: Estimator,
    options: LoadOptions,
) -> tuple[UnitEstimates, ...]:
    """Run one method on every unit of a file.

    Parameters
    ----------
    path : log or archive
    estimator : the method, from :func:`battlife.estimators.build`
    options : how the file is loaded

    Raises
    ------
    InputError
        The file cannot be read.
    EstimateError
        No unit of the file supports any estimate of this method.
    """
    policy = load_policy(None)
    results = []
    refusal: EstimateError | None = None
    for unit in load_units_of(path, options):
        pack = with_sensor(unit.pack, policy)
        try:
            found = tuple(estimator.estimate(unit.trace, pack))
        except EstimateError as error:
            refusal = refusal or error
            continue
        results.append(UnitEstimates(unit.trace.unit_id, unit.trace, pack, found))
    if not results and refusal is not None:
        raise refusal
    return tuple(results)


def curves(
    estimator: Estimator, unit: UnitEstimates
) -> tuple[tuple[Estimate, tuple[Curve, ...]], ...]:
    """Return what a method computed along an axis, for each accepted estimate.

    A method without curves gives none.
    """
    draws = getattr(estimator, "curves", None)
    return tuple(
        (e, tuple(draws(unit.trace, unit.pack, e)) if draws else ())
        for e in unit.estimates
        if e.status == "ok"
    )


def curve_rows(
    results: Iterable[tuple[Estimate, Sequence[Curve]]],
) -> Iterator[dict[str, str | int | float | None]]:
    """Return the points of curves as rows of one table, in order."""
    for found, drawn in results:
        for curve in drawn:
            head: dict[str, str | int | float | None] = {
                "unit": found.unit_id,
                "method": found.method,
                "cycle": found.cycle,
                "segment": found.segment,
                "curve": curve.name,
            }
            columns = {n: c.tolist() for n, c in curve.columns.items()}
            for point in zip(*columns.values(), strict=True):
                values = (None if isnan(v) else v for v in point)
                yield head | dict(zip(columns, values, strict=True))


def every_estimate(path: Path, options: LoadOptions) -> tuple[UnitEstimates, ...]:
    """Run the methods of grading on every unit of a file; none is an error."""
    policy = load_policy(None)
    results = []
    for unit in load_units_of(path, options):
        pack = with_sensor(unit.pack, policy)
        found: list[Estimate] = []
        for method in choose(unit.trace, pack, None).methods:
            try:
                found.extend(build(method, {}).estimate(unit.trace, pack))
            except EstimateError:
                continue
        results.append(
            UnitEstimates(unit.trace.unit_id, unit.trace, pack, tuple(found))
        )
    return tuple(results)
