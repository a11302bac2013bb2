"""``battlife demo``: the main job on what ships with the package."""

from pathlib import Path
from typing import Annotated

import typer

from battlife.cli._output import JsonOption, Output, QuietOption

NAME = "demo"


def command(
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder for archives and the page.")
    ] = Path("battlife-demo"),
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Grade the shipped logs into archives and write the page to look at."""
    from battlife.cli.grade import run, write_rows
    from battlife.pipeline.demo import demo_folder
    from battlife.pipeline.sources import LoadOptions

    out = Output(json_lines, quiet)
    out_dir.mkdir(parents=True, exist_ok=True)
    rows = run(
        out,
        [demo_folder()],
        LoadOptions(),
        policy=None,
        archives=out_dir / "archives",
        operator="demo",
        reason="demo",
        embed=True,
    )
    page = out_dir / "grades.html"
    write_rows(rows, page)
    out.text(f"page:     {page}   (open it in a browser)")
    out.text(f"archives: {out_dir / 'archives'}   (battlife verify checks them)")
    return out.exit_code
