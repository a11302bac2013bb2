"""``battlife plot``: look at it."""

from pathlib import Path
from typing import Annotated

import typer

from battlife.cli._options import (
    DbcOption,
    FormatOption,
    MapOption,
    MappingOption,
    NominalOption,
    PeriodOption,
    ProtocolOption,
    UnitsOption,
    decoding_of,
)
from battlife.cli._output import JsonOption, Output, QuietOption, usage

NAME = "plot"


def command(
    file: Annotated[Path, typer.Argument(help="A log file or an archive.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help=".png, .svg or .html; default FILE.png."),
    ] = None,
    format_name: FormatOption = None,
    mapping: MappingOption = None,
    protocol: ProtocolOption = None,
    dbc: DbcOption = None,
    dbc_map: MapOption = None,
    period: PeriodOption = 1.0,
    units: UnitsOption = None,
    nominal_ah: NominalOption = None,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Draw the trace and the capacity over cycles of each unit in a file."""
    from battlife.pipeline.estimating import every_estimate
    from battlife.pipeline.naming import numbered
    from battlife.pipeline.rows import SCHEMA
    from battlife.pipeline.sources import LoadOptions
    from battlife.reports.plots import plot_overview

    out = Output(json_lines, quiet)
    with usage():
        decoding = decoding_of(protocol, dbc, period, dbc_map=dbc_map)
    options = LoadOptions(
        format=format_name,
        mapping=mapping,
        units_file=units,
        nominal_ah=nominal_ah,
        decoding=decoding,
    )
    target = output if output is not None else Path(f"{file.name}.png")
    results = every_estimate(file, options)
    for result in results:
        drawn = numbered(target, result.unit_id) if len(results) > 1 else target
        plot_overview(result.trace, result.estimates, drawn)
        out.row({"schema": SCHEMA, "output": str(drawn)})
        out.text(str(drawn))
    return out.exit_code
