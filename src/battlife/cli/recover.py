"""``battlife recover``: finish a recording that a crash interrupted."""

from pathlib import Path
from typing import Annotated

import typer

from battlife.cli._options import OperatorOption
from battlife.cli._output import JsonOption, Output, QuietOption
from battlife.cli.record import finished

NAME = "recover"


def command(
    journal: Annotated[Path, typer.Argument(help="NAME.h5.journal")],
    output: Annotated[Path, typer.Option("-o", "--output", help="NAME.h5.")],
    operator: OperatorOption = "",
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Seal the journal of an interrupted recording; what was acknowledged is in it."""
    from battlife.recording import recover

    out = Output(json_lines, quiet)
    if output.suffix != ".h5":
        raise typer.BadParameter(f"{output}: end the name in .h5")
    return finished(out, recover(journal, output, operator=operator))
