"""``battlife watch``: look at a recording, running or finished."""

from pathlib import Path
from typing import Annotated

import typer

from battlife.cli._output import JsonOption, Output, QuietOption

NAME = "watch"


def command(
    file: Annotated[
        Path, typer.Argument(help="The archive of a recording, or its journal.")
    ],
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for more while it runs.")
    ] = True,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Print what the devices of a recording say; nothing is touched."""
    from battlife.cli._readings import reading_row, rejected_row
    from battlife.cli.record import summary
    from battlife.model import Reading
    from battlife.recording import watch

    out = Output(json_lines, quiet)
    for name, item in watch(file, follow=follow):
        if isinstance(item, Reading):
            out.row(reading_row("", item) | {"device": name})
            said = summary(item.values)
            if said == "–":
                said = ", ".join(item.values)
            out.text(f"{item.time_s:10.3f} s  {name}  {item.message}: {said}")
        else:
            out.row(rejected_row("", item) | {"device": name})
            out.note(f"{item.time_s:10.3f} s  {name}: not right: {item.error.message}")
    return 0
