"""``battlife calibrate``: learn from labelled units."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from battlife.cli._options import (
    FormatOption,
    MappingOption,
    NominalOption,
    UnitsOption,
)
from battlife.cli._output import JsonOption, Output, QuietOption, usage

NAME = "calibrate"


def command(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Tables of features, or recordings with a table of labels."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model file, .h5.")],
    truth: Annotated[
        str | None, typer.Option("--truth", help="Column that is to be learned.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Column that names the physical unit.")
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(
            "--features", help="Columns and globs (re*); default: all others."
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", help="Columns that split the lot: a model for each value."
        ),
    ] = None,
    estimator: Annotated[
        str,
        typer.Option("--estimator", help="table, or the method for recordings."),
    ] = "table",
    coverage: Annotated[
        float, typer.Option("--coverage", help="Share that intervals are to hold.")
    ] = 0.9,
    format_name: FormatOption = None,
    mapping: MappingOption = None,
    units: UnitsOption = None,
    nominal_ah: NominalOption = None,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Learn from labelled units; print how units left out were estimated."""
    from battlife.archive.model_file import write_model
    from battlife.errors import InputError
    from battlife.estimators.learned.training import Labels
    from battlife.pipeline.calibrating import (
        CELL_METHODS,
        LIFE_METHODS,
        calibrate_cell,
        calibrate_lives,
    )
    from battlife.pipeline.screening import calibrate_lot
    from battlife.pipeline.sources import LoadOptions

    out = Output(json_lines, quiet)
    options = LoadOptions(
        format=format_name, mapping=mapping, units_file=units, nominal_ah=nominal_ah
    )
    with usage():
        if not 0.5 <= coverage < 1.0:
            raise InputError(f"--coverage {coverage:g} is not in [0.5, 1)")
        if estimator not in CELL_METHODS and (truth is None or group is None):
            raise InputError("--truth and --group are needed: what to learn, of what")
    if estimator in CELL_METHODS:
        with out.working("describing the cell"):
            model, rows = calibrate_cell(sources, estimator, options)
    elif estimator in LIFE_METHODS:
        with out.working("learning; units are left out in turn"):
            model, rows = calibrate_lives(
                sources, truth or "", group or "", options, coverage
            )
    else:
        labels = Labels(
            truth or "", group or "", _listed(by), _listed(features), coverage=coverage
        )
        with out.progress("learning; units are left out in turn") as told:
            model, rows = calibrate_lot(sources, labels, estimator, options, told)
    write_model(output, model)
    for row in rows:
        out.row(row | {"output": str(output)})
        out.text(_line(row))
    out.note(f"model: {output} ({model.sha256[:12]})")
    return 0


def _listed(values: list[str] | None) -> tuple[str, ...]:
    return tuple(v.strip() for text in values or [] for v in text.split(",") if v)


def _line(row: Mapping[str, Any]) -> str:
    head = f"{row['by'] or 'all'}: {row['n_units']} units, {row['n_rows']} rows"
    if "kind" in row:
        return (
            f"{head}: {row['kind']} test, {row['capacity_ah']:.4g} Ah, voltage of "
            f"parts left out within {1e3 * (row['rmse'] or 0.0):.2g} mV RMS"
        )
    if row["mape"] is None:
        return head
    return (
        f"{head}; units left out: error {100 * row['mape']:.2f} % (RMSE "
        f"{row['rmse']:.4g}), intervals hold {100 * row['coverage']:.1f} % at a width "
        f"of {row['width']:.4g}, {100 * row['refused']:.1f} % refused"
        + (
            f" (their error would have been {100 * row['mape_refused']:.1f} %)"
            if row["mape_refused"] is not None
            else ""
        )
    )
