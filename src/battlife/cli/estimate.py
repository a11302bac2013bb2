"""``battlife estimate``: run one method."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battlife.cli._options import (
    DbcOption,
    FormatOption,
    MapOption,
    MappingOption,
    ModelOption,
    NominalOption,
    PeriodOption,
    ProtocolOption,
    UnitOption,
    UnitsOption,
    decoding_of,
    model_of,
)
from battlife.cli._output import (
    JsonOption,
    Output,
    QuietOption,
    quantity_text,
    usage,
)

if TYPE_CHECKING:
    from battlife.model import Estimate, Estimator
    from battlife.model.curve import Curve
    from battlife.pipeline.estimating import UnitEstimates

NAME = "estimate"


def command(
    sources: Annotated[list[Path], typer.Argument(help="Log files or archives.")],
    method: Annotated[
        str, typer.Option("--method", help="capacity, dcir, … see `battlife formats`.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="key=value, an option of the method; repeatable; a wrong one lists "
            "them all.",
        ),
    ] = None,
    format_name: FormatOption = None,
    mapping: MappingOption = None,
    protocol: ProtocolOption = None,
    dbc: DbcOption = None,
    dbc_map: MapOption = None,
    period: PeriodOption = 1.0,
    units: UnitsOption = None,
    unit: UnitOption = None,
    nominal_ah: NominalOption = None,
    model: ModelOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw it to FILE.png or .svg.")
    ] = None,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="Curves as a table: FILE.csv, .xlsx or .parquet."),
    ] = None,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Run one method on everything it applies to in the sources."""
    from battlife.errors import BattlifeError, EstimateError
    from battlife.estimators import build
    from battlife.pipeline.estimating import (
        curve_rows,
        curves,
        estimate,
        parse_settings,
    )
    from battlife.pipeline.naming import numbered
    from battlife.pipeline.rows import estimate_row
    from battlife.pipeline.sources import LoadOptions, check_format

    out = Output(json_lines, quiet)
    with usage():
        decoding = decoding_of(protocol, dbc, period, dbc_map=dbc_map)
    options = LoadOptions(
        format=format_name,
        mapping=mapping,
        units_file=units,
        unit=unit,
        nominal_ah=nominal_ah,
        decoding=decoding,
    )
    with usage():
        chosen = parse_settings(settings or [])
        estimator = build(method, chosen, model_of(model))
        check_format(format_name)
    drawn: list[tuple[Estimate, Sequence[Curve]]] = []
    for path in sources:
        try:
            results = estimate(path, estimator, options)
        except BattlifeError as error:
            out.failure(str(path), error)
            continue
        found_any = any(e.status == "ok" for r in results for e in r.estimates)
        if not found_any:
            out.exit_code = out.exit_code or EstimateError.exit_code
        for result in results:
            for found in result.estimates:
                row = estimate_row(str(path), found)
                out.row(row)
                out.text(_line(row))
        if out_file is not None:
            drawn.extend(pair for r in results for pair in curves(estimator, r))
        if plot is not None:
            for result in results:
                target = plot if len(results) == 1 else numbered(plot, result.unit_id)
                _draw(method, estimator, result, target)
                out.note(f"plot: {target}")
    if out_file is not None:
        from battlife.reports.tables import write_table

        write_table(list(curve_rows(drawn)), out_file)
        out.note(f"curves: {out_file}")
    return out.exit_code


def _draw(
    method: str, estimator: "Estimator", unit: "UnitEstimates", target: Path
) -> None:
    from battlife.pipeline.estimating import curves
    from battlife.reports.method_plots import METHOD_PLOTS, plot_method
    from battlife.reports.plots import plot_overview

    accepted = curves(estimator, unit)
    if method in METHOD_PLOTS and accepted:
        plot_method(method, unit.trace, accepted, target)
    else:  # where all is refused: the record, rather than empty axes
        plot_overview(unit.trace, unit.estimates, target)


def _line(row: Mapping[str, Any]) -> str:
    where = f"{row['unit']} #{row['cycle']}"
    if row["status"] != "ok":
        worst = row["conditions"].get("kk_worst_hz")
        at = f" (largest residuals at {worst} Hz)" if worst else ""
        return f"{where}: refused: {', '.join(row['reasons'])}{at}"
    values = ", ".join(
        f"{name} {quantity_text(m, name)}" for name, m in row["measurements"].items()
    )
    remarks = f" ({', '.join(row['reasons'])})" if row["reasons"] else ""
    return f"{where}: {values}{remarks}"
