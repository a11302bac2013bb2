"""``battlife info``: what is in a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from battlife.cli._options import (
    DbcOption,
    FormatOption,
    MapOption,
    MappingOption,
    PeriodOption,
    ProtocolOption,
    UnitsOption,
    decoding_of,
)
from battlife.cli._output import JsonOption, Output, QuietOption, usage

NAME = "info"


def command(
    files: Annotated[list[Path], typer.Argument(help="Log files or archives.")],
    format_name: FormatOption = None,
    mapping: MappingOption = None,
    protocol: ProtocolOption = None,
    dbc: DbcOption = None,
    dbc_map: MapOption = None,
    period: PeriodOption = 1.0,
    units: UnitsOption = None,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Say what is in each file: format, units, samples, channels, warnings."""
    from battlife.archive.model_file import is_model
    from battlife.errors import BattlifeError
    from battlife.pipeline.convert import frames_row, info_row
    from battlife.pipeline.decoding import open_log
    from battlife.pipeline.screening import model_row
    from battlife.pipeline.sources import (
        LoadOptions,
        check_format,
        load_file,
        looks_like_archive,
    )
    from battlife.readers import hash_file

    out = Output(json_lines, quiet)
    with usage():
        check_format(format_name)
        decoding = decoding_of(protocol, dbc, period, dbc_map=dbc_map)
    options = LoadOptions(
        format=format_name, mapping=mapping, units_file=units, decoding=decoding
    )
    for path in files:
        try:
            if is_model(path):
                found = model_row(path)
                out.row(found)
                if not json_lines:
                    _show_model(out, found)
                continue
            log = None if mapping else open_log(path, format_name)
            row = frames_row(path, log) if log is not None else {}
            if log is None or decoding is not None:
                row |= info_row(path, load_file(path, options)) | {
                    k: row[k] for k in ("n_frames", "format") if k in row
                }
            if looks_like_archive(path):
                row |= {"sha256": hash_file(path)[0], "format": "archive"}
        except BattlifeError as error:
            out.failure(str(path), error)
            continue
        out.row(row)
        if json_lines:
            continue
        if "n_segments" in row:
            _show(out, row)
        else:
            _show_frames(out, row)
    return out.exit_code


def _show(out: Output, row: Mapping[str, Any]) -> None:
    out.text(f"{row['source']}")
    out.text(f"  format     {row['format']}")
    out.text(f"  unit       {', '.join(row['units'])}")
    out.text(f"  records    {row['n_samples']} in {row['n_segments']} segment(s)")
    if row["n_steps"]:
        out.text(f"  steps      {row['n_steps']}")
    if row["n_spectra"]:
        out.text(f"  spectra    {row['n_spectra']}")
    if row["n_cycles"] is not None:
        out.text(f"  cycles     {row['n_cycles']} by the tester's own counter")
    out.text(f"  duration   {_duration(row['duration_s'])}")
    for name in ("voltage_v", "current_a"):
        span = row[name]
        if isinstance(span, dict):
            low, high, unit = span["min"], span["max"], span["unit"]
            out.text(f"  {name[:-2]:<10} {low:g} to {high:g} {unit}")
    out.text(f"  channels   {', '.join(row['channels']) or 'none'}")
    out.text(f"  sha256     {row['sha256']}")
    for notice in row["notices"]:
        out.note(f"  {notice['severity']}: {notice['message']}")


def _show_model(out: Output, row: Mapping[str, Any]) -> None:
    out.text(f"{row['source']}")
    out.text(f"  format     model of the method {row['estimator']}")
    out.text(f"  estimates  {row['quantity']}")
    out.text(f"  features   {', '.join(row['features']) or 'none'}")
    for part, count in row["parts"].items():
        out.text(f"  learned    {part}: {count} units")
    for name, value in row["attributes"].items():
        out.text(f"  {name:<10} {value}")
    for source in row["made_from"]:
        out.text(f"  made from  {source['path']} ({source['sha256'][:12]})")
    out.text(f"  software   battlife {row['software']}")
    out.text(f"  sha256     {row['sha256']} (of its content)")


def _show_frames(out: Output, row: Mapping[str, Any]) -> None:
    out.text(f"{row['source']}")
    out.text(f"  format     {row['format']} (a bus log)")
    out.text(f"  frames     {row['n_frames']} of {row['n_identifiers']} identifiers")
    if row["n_error_frames"]:
        out.text(f"  errors     {row['n_error_frames']} error frames")
    out.text(f"  channels   {', '.join(row['channels']) or 'none'}")
    out.text(f"  duration   {_duration(row['duration_s'])}")
    out.text(f"  sha256     {row['sha256']}")
    for notice in row["notices"]:
        out.note(f"  {notice['severity']}: {notice['message']}")
    out.note("  what the frames mean: --protocol NAME, see `battlife formats`")


def _duration(seconds: object) -> str:
    if not isinstance(seconds, (int, float)):
        return "–"
    if seconds < 120:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min"
