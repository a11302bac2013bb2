"""``battlife screen``: apply a model to units that were not measured fully."""

from pathlib import Path
from typing import Annotated, Any

import typer

from battlife.cli._options import (
    FormatOption,
    MappingOption,
    NominalOption,
    UnitsOption,
)
from battlife.cli._output import JsonOption, Output, QuietOption

NAME = "screen"


def command(
    sources: Annotated[
        list[Path], typer.Argument(help="Tables of features, or recordings.")
    ],
    model: Annotated[
        Path, typer.Option("--model", help="What `battlife calibrate` made.")
    ],
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="Write a table: FILE.csv, .xlsx or .parquet."),
    ] = None,
    format_name: FormatOption = None,
    mapping: MappingOption = None,
    units: UnitsOption = None,
    nominal_ah: NominalOption = None,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Give every row of the sources a value with its interval, or a refusal."""
    from battlife.archive.model_file import read_model
    from battlife.errors import BattlifeError
    from battlife.pipeline.screening import screen
    from battlife.pipeline.sources import LoadOptions

    out = Output(json_lines, quiet)
    learned = read_model(model)
    options = LoadOptions(
        format=format_name, mapping=mapping, units_file=units, nominal_ah=nominal_ah
    )
    rows: list[dict[str, Any]] = []
    for path in sources:
        try:
            for row, _ in screen(path, learned, options):
                rows.append(row)
                out.row(row)
                if out_file is None:
                    out.text(_line(row))
        except BattlifeError as error:
            out.failure(str(path), error)
    refused = sum(row["status"] == "refused" for row in rows)
    if out_file is not None:
        from battlife.reports.tables import write_table

        keys = (
            *("source", "row", "unit", "value", "low", "high", "coverage", "status"),
            "soc_information",
        )
        write_table(
            [
                {k: row[k] for k in keys} | {"reasons": ", ".join(row["reasons"])}
                for row in rows
            ],
            out_file,
        )
        out.note(f"table: {out_file}")
    out.note(f"{len(rows)} row(s): {len(rows) - refused} estimated, {refused} refused")
    return out.exit_code


def _line(row: dict[str, Any]) -> str:
    where = f"{row['source']} row {row['row']}" + (
        f" ({row['unit']})" if row["unit"] else ""
    )
    if row["status"] != "ok":
        return f"{where}: refused: {', '.join(row['reasons'])}"
    return (
        f"{where}: {row['quantity']} {row['value']:.4g} "
        f"({row['low']:.4g} to {row['high']:.4g})"
    )
