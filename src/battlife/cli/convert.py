"""``battlife convert``: the same data in another format."""

from pathlib import Path
from typing import Annotated

import typer

from battlife.cli._options import (
    DbcOption,
    FormatOption,
    MapOption,
    MappingOption,
    NominalOption,
    OperatorOption,
    PeriodOption,
    ProtocolOption,
    UnitOption,
    UnitsOption,
    decoding_of,
)
from battlife.cli._output import JsonOption, Output, QuietOption, usage
from battlife.errors import BattlifeError

NAME = "convert"


def command(
    sources: Annotated[list[Path], typer.Argument(help="Log files or archives.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="NAME.h5, NAME.bdf.csv or .bdf.parquet."),
    ],
    format_name: FormatOption = None,
    mapping: MappingOption = None,
    protocol: ProtocolOption = None,
    dbc: DbcOption = None,
    dbc_map: MapOption = None,
    period: PeriodOption = 1.0,
    units: UnitsOption = None,
    unit: UnitOption = None,
    nominal_ah: NominalOption = None,
    operator: OperatorOption = "",
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Convert logs to a sealed archive or to the Battery Data Format."""
    from battlife.pipeline.convert import output_kind
    from battlife.pipeline.converting import convert
    from battlife.pipeline.sources import LoadOptions, check_format

    out = Output(json_lines, quiet)
    with usage():
        output_kind(output)
        check_format(format_name)
        decoding = decoding_of(protocol, dbc, period, dbc_map=dbc_map)
    options = LoadOptions(
        format=format_name,
        mapping=mapping,
        units_file=units,
        unit=unit,
        nominal_ah=nominal_ah,
        decoding=decoding,
    )

    def failed(source: Path, error: BattlifeError) -> None:
        out.failure(str(source), error)

    for row in convert(sources, output, options, failed, operator):
        out.row(row)
        out.text(f"{row['output']}: {row['n_samples']} records of {row['units']}")
        for notice in row["notices"]:
            out.note(f"  {notice['severity']}: {notice['message']}")
    return out.exit_code
