"""``battlife estimate``: run one method."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from battlife.cli._options import (
    DbcOption,
    FormatOption,
    MapOption,
    MappingOption,
    NominalOption,
    PeriodOption,
    ProtocolOption,
    UnitOption,
    UnitsOption,
    decoding_of,
)
from battlife.cli._output import (
    JsonOption,
    Output,
    QuietOption,
    quantity_text,
    usage,
)

NAME = "estimate"


def command(
    sources: Annotated[list[Path], typer.Argument(help="Log files or archives.")],
    method: Annotated[
        str, typer.Option("--method", help="capacity, dcir, … see `battlife formats`.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, an option of the method; repeatable."),
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
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw it to FILE.png or .svg.")
    ] = None,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Run one method on everything it applies to in the sources."""
    from battlife.errors import BattlifeError, EstimateError
    from battlife.estimators import build
    from battlife.pipeline.estimating import estimate, parse_settings
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
        build(method, chosen)
        check_format(format_name)
    for path in sources:
        try:
            results = estimate(path, method, chosen, options)
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
        if plot is not None:
            from battlife.reports.plots import plot_overview

            for result in results:
                target = plot if len(results) == 1 else numbered(plot, result.unit_id)
                plot_overview(result.trace, result.estimates, target)
                out.note(f"plot: {target}")
    return out.exit_code


def _line(row: Mapping[str, Any]) -> str:
    where = f"{row['unit']} #{row['cycle']}"
    if row["status"] != "ok":
        return f"{where}: refused: {', '.join(row['reasons'])}"
    values = ", ".join(
        f"{name} {quantity_text(m)}" for name, m in row["measurements"].items()
    )
    remarks = f" ({', '.join(row['reasons'])})" if row["reasons"] else ""
    return f"{where}: {values}{remarks}"
