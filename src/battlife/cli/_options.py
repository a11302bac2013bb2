"""Options that several verbs share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from battlife.model.learned import Model
    from battlife.pipeline.decoding import Decoding

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
ProtocolOption = Annotated[
    str | None,
    typer.Option("--protocol", help="What the frames of a bus log mean."),
]
DbcOption = Annotated[
    Path | None, typer.Option("--dbc", help="DBC file, for --protocol dbc.")
]
MapOption = Annotated[
    Path | None,
    typer.Option("--dbc-map", help="TOML: which signals are which quantity."),
]
AddressOption = Annotated[
    int | None, typer.Option("--address", help="Address of the device on its line.")
]
ModelOption = Annotated[
    Path | None,
    typer.Option("--model", help="What `battlife calibrate` made of a labelled lot."),
]
PeriodOption = Annotated[
    float,
    typer.Option("--period", help="Seconds between two samples of a bus log."),
]


def decoding_of(
    protocol: str | None,
    dbc: Path | None = None,
    period_s: float = 1.0,
    address: int | None = None,
    dbc_map: Path | None = None,
) -> "Decoding | None":
    """Return how a bus log is to be decoded, None if no protocol was named.

    Raises
    ------
    InputError
        No such protocol, an option it does not take, or a period that is none.
    """
    from battlife.errors import InputError
    from battlife.pipeline.decoding import Decoding

    if protocol is None:
        if dbc is not None:
            return decoding_of("dbc", dbc, period_s, address, dbc_map)
        return None
    if not 0 < period_s < float("inf"):
        raise InputError(f"--period must be above 0, not {period_s:g}")
    decoding = Decoding(protocol, address, dbc, period_s, dbc_map)
    decoding.wire()
    return decoding


def model_of(path: Path | None) -> "Model | None":
    """Return the model of a file, None if none was named.

    Raises
    ------
    InputError
        No such file, or no model in it.
    """
    if path is None:
        return None
    from battlife.archive.model_file import read_model

    return read_model(path)
