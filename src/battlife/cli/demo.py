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
    """Record simulated packs, grade them and the shipped logs, write a page."""
    from datetime import UTC, datetime

    from battlife.cli.grade import run, write_rows
    from battlife.cli.record import Lines
    from battlife.pipeline.demo import demo_folder
    from battlife.pipeline.sources import LoadOptions
    from battlife.recording.demo import record_simulated

    out = Output(json_lines, quiet)
    out_dir.mkdir(parents=True, exist_ok=True)
    recording = out_dir / f"recording-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.h5"
    out.note("recording a simulated Zoe, Leaf and JBD pack (no hardware needed)")
    recorded = record_simulated(recording, on_update=Lines(out))
    out.note(
        f"recorded {recorded.n_frames} frames, {recorded.n_lost} lost: {recording}"
    )
    rows = run(
        out,
        [demo_folder(), recording],
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
