"""``battlife devices``: which channels there are, and what answers on them."""

from typing import Annotated, Any

import typer

from battlife.cli._output import JsonOption, Output, QuietOption, usage

NAME = "devices"


def command(
    channels: Annotated[
        list[str] | None,
        typer.Argument(
            help="Channels to look at, such as /dev/ttyUSB0 or slcan:/dev/ttyACM0; "
            "default: those present."
        ),
    ] = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Listen, then ask harmlessly which device answers."
        ),
    ] = False,
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", help="Look for these protocols only."),
    ] = None,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """List serial ports and CAN interfaces; with --probe, the devices on them.

    Probing listens first and sends only reads that cannot be a write for any device.
    """
    from battlife import wire
    from battlife.drivers import ports
    from battlife.drivers.target import parse_channel
    from battlife.errors import BattlifeError

    out = Output(json_lines, quiet)
    wanted = [n for given in protocol or () for n in given.split(",")]
    with usage():
        parsed = [parse_channel(c) for c in channels or ()]
        known = [wire.protocol(n) for n in wanted or wire.names() if n != "dbc"]
    found = [ports.Found(c.name, c.medium, "") for c in parsed] or ports.channels()
    if not found:
        out.note("no serial port and no CAN interface was found")
    for channel in found:
        if not probe:
            _show(out, channel.channel, channel.kind, channel.description, None)
            continue
        out.note(f"probing {channel.channel} …")
        try:
            n = _probe(out, channel, known)
        except BattlifeError as error:
            out.failure(channel.channel, error)
            continue
        if not n:
            _show(out, channel.channel, channel.kind, channel.description, None)
    return out.exit_code


def _probe(out: Output, channel: Any, known: Any) -> int:
    from battlife.drivers.probing import probe

    n = 0
    for heard in probe(channel.channel, known):
        n += 1
        label = f" {heard.device}" if heard.device else ""
        told = f"{heard.how}: {heard.message}"
        _show(
            out,
            channel.channel,
            channel.kind,
            f"{channel.description} {told}".strip(),
            f"{heard.protocol}{label}",
            dict(heard.options),
        )
    return n


def _show(
    out: Output,
    channel: str,
    kind: str,
    description: str,
    device: str | None,
    options: dict[str, str] | None = None,
) -> None:
    out.row(
        {
            "schema": 1,
            "channel": channel,
            "kind": kind,
            "description": description,
            "device": device,
            "protocol": device.split()[0] if device else None,
            "options": options or {},
        }
    )
    out.text(f"{channel:<32} {kind:<7} {device or '–':<20} {description}")
