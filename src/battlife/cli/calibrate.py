"""``battlife calibrate``: learn from labelled units."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from battlife.cli._options import (
    FormatOption,
    MappingOption,
    NominalOption,
    UnitsOption,
)
from battlife.cli._output import JsonOption, Output, QuietOption, usage

if TYPE_CHECKING:
    from battlife.estimators.learned.training import Summary

NAME = "calibrate"


def command(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Tables of features, or recordings with a table of labels."
        ),
    ],
    truth: Annotated[
        str, typer.Option("--truth", help="Column that is to be learned.")
    ],
    group: Annotated[
        str, typer.Option("--group", help="Column that names the physical unit.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model file, .h5.")],
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
    from battlife.pipeline.rows import SCHEMA, finite
    from battlife.pipeline.screening import calibrate
    from battlife.pipeline.sources import LoadOptions

    out = Output(json_lines, quiet)
    with usage():
        if not 0.5 <= coverage < 1.0:
            raise InputError(f"--coverage {coverage:g} is not in [0.5, 1)")
        labels = Labels(truth, group, _listed(by), _listed(features), coverage=coverage)
    options = LoadOptions(
        format=format_name, mapping=mapping, units_file=units, nominal_ah=nominal_ah
    )
    with out.working("learning; units are left out in turn"):
        model, summaries = calibrate(sources, labels, estimator, options)
        write_model(output, model)
    for found in summaries:
        out.row(
            {
                "schema": SCHEMA,
                "by": found.by or None,
                "n_units": found.n_units,
                "n_rows": found.n_rows,
                "mape": finite(found.mape),
                "rmse": finite(found.rmse),
                "coverage": finite(found.coverage),
                "width": finite(found.width),
                "refused": finite(found.refused),
                "output": str(output),
            }
        )
        out.text(_line(found, truth))
    out.note(f"model: {output} ({model.sha256[:12]})")
    return 0


def _listed(values: list[str] | None) -> tuple[str, ...]:
    return tuple(v.strip() for text in values or [] for v in text.split(",") if v)


def _line(found: "Summary", truth: str) -> str:
    return (
        f"{found.by or 'all'}: {found.n_units} units, {found.n_rows} rows; units left "
        f"out: error {100 * found.mape:.2f} % (RMSE {found.rmse:.4g}), intervals hold "
        f"{100 * found.coverage:.1f} % at a width of {found.width:.4g} in {truth}, "
        f"{100 * found.refused:.1f} % refused"
    )
