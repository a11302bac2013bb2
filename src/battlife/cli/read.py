"""``battlife read``: one reading of a device."""

from typing import Annotated

import typer

from battlife.cli._output import JsonOption, Output, QuietOption, usage

NAME = "read"

TargetArgument = Annotated[
    str,
    typer.Argument(
        help="PROTOCOL@CHANNEL?key=value, such as jbd_uart@/dev/ttyUSB0 or "
        "leaf@slcan:/dev/ttyACM0?bitrate=500000."
    ),
]
WakeOption = Annotated[
    bool,
    typer.Option("--wake", help="Send the frames that keep the battery awake."),
]


def command(
    target: TargetArgument,
    wake: WakeOption = False,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Longest wait for one cycle in s.")
    ] = 30.0,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Read a device once: cells, temperatures, state, fault codes.

    Only read requests are sent.
    """
    from battlife.cli._readings import SCHEMA, raw_text, show_values, values_row
    from battlife.drivers.session import Session
    from battlife.drivers.target import parse_target

    out = Output(json_lines, quiet)
    if not 0 < timeout < float("inf"):
        raise typer.BadParameter(f"--timeout must be above 0, not {timeout:g}")
    with usage():
        parsed = parse_target(target)
        parsed.wire()
    with Session(parsed, wake=wake) as session:
        snapshot = session.read(timeout)
        lost = session.n_lost
    notices = [n.message for r in snapshot.readings for n in r.notices]
    for rejected in snapshot.rejected:
        out.note(f"not right: {rejected.error.message}")
    for missed in snapshot.timeouts:
        out.note(f"no answer: {missed.error.message}")
    out.row(
        {
            "schema": SCHEMA,
            "time_s": max((r.time_s for r in snapshot.readings), default=None),
            "protocol": parsed.protocol,
            "device": snapshot.device,
            "message": "",
            "values": values_row(snapshot.values),
            "raw": [raw_text(r.raw, r.identifier) for r in snapshot.readings],
            "n_rejected": len(snapshot.rejected),
            "n_timeouts": len(snapshot.timeouts),
            "n_lost": lost,
            "warnings": list(dict.fromkeys(notices)),
        }
    )
    out.text(f"{parsed.protocol} on {parsed.channel}")
    show_values(out, snapshot.values)
    for message in dict.fromkeys(notices):
        out.note(f"  warning: {message}")
    return 0
