"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

FormatOption = Annotated[
    str | None,
    typer.Option("--format", help="Reader to use, overruling detection."),
]
MappingOption = Annotated[
    Path | None,
    typer.Option("--mapping", help="Column mapping (TOML) for a CSV or Parquet file."),
]
UnitsOption = Annotated[
    Path | None,
    typer.Option("--units", help="units.toml; default: the one beside the logs."),
]
UnitOption = Annotated[
    str | None, typer.Option("--unit", help="Id of the unit under test.")
]
NominalOption = Annotated[
    float | None,
    typer.Option("--nominal-ah", help="Rated capacity in Ah, before any other source."),
]
OperatorOption = Annotated[
    str, typer.Option("--operator", help="Who is responsible for this run.")
]
