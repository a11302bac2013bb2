"""``battlife decode``: captured bytes or a bus log, as values."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from battlife.cli._options import (
    AddressOption,
    DbcOption,
    FormatOption,
    MapOption,
    decoding_of,
)
from battlife.cli._output import JsonOption, Output, QuietOption, usage

if TYPE_CHECKING:
    from battlife.pipeline.decoding import Decoding, Item

NAME = "decode"


def command(
    file: Annotated[
        Path | None, typer.Argument(help="A bus log or a capture of a serial line.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="See `battlife formats`.")
    ] = None,
    hex_frames: Annotated[
        str | None,
        typer.Option(
            "--hex",
            help="Frames separated by commas; > before one that was sent; ID#DATA "
            "for CAN.",
        ),
    ] = None,
    dbc: DbcOption = None,
    dbc_map: MapOption = None,
    address: AddressOption = None,
    format_name: FormatOption = None,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Print what captured bytes say, one line per message.

    A message with a wrong checksum or length gives no value: it is told on stderr,
    and as a line with an error in JSON.
    """
    from battlife.errors import InputError, ProtocolError
    from battlife.model import Reading
    from battlife.pipeline.typed_frames import parse_hex

    out = Output(json_lines, quiet)
    if (file is None) == (hex_frames is None):
        raise typer.BadParameter("name a FILE, or give --hex FRAMES")
    with usage():
        decoding = decoding_of(protocol, dbc, address=address, dbc_map=dbc_map)
        if decoding is None:
            raise InputError("--protocol is missing", "see `battlife formats`")
        frames = parse_hex(hex_frames) if hex_frames is not None else None
    counts = {True: 0, False: 0}
    for item in _items(decoding, file, frames, format_name):
        right = isinstance(item.what, Reading)
        counts[right] += 1
        _show(out, decoding.protocol, item)
    if not counts[True]:
        what = str(file) if file is not None else "--hex"
        raise (ProtocolError if counts[False] else InputError)(
            f"{what}: no message of {decoding.protocol} was found"
            + (f", {counts[False]} were not right" if counts[False] else ""),
            "is it the right protocol? A Modbus answer needs its request (> before it)",
        )
    if counts[False]:
        out.note(f"{counts[False]} messages were not right and gave no values")
        if file is None:
            return ProtocolError.exit_code
    return 0


def _items(
    decoding: "Decoding",
    file: Path | None,
    frames: object,
    format_name: str | None,
) -> "Iterator[Item]":
    from battlife.pipeline.decoding import decode_file, decode_frames

    if file is not None:
        return decode_file(file, decoding, format_name)
    assert isinstance(frames, tuple)
    return decode_frames(decoding.wire(), iter(frames))


def _show(out: Output, protocol: str, item: "Item") -> None:
    from battlife.cli._readings import (
        raw_text,
        reading_row,
        rejected_row,
        show_values,
    )
    from battlife.model import Reading

    what = item.what
    if not isinstance(what, Reading):
        out.row(rejected_row(protocol, what))
        raw = raw_text(what.raw, what.identifier)
        out.note(f"not right: {what.error.message}: {raw[:80]}")
        return
    out.row(reading_row(protocol, what))
    if not out.json_lines:
        device = f" of {what.device}" if what.device else ""
        out.text(f"{what.time_s:.6f} s  {what.message}{device}")
        show_values(out, what.values)
        for notice in what.notices:
            out.note(f"  {notice.severity}: {notice.message}")
