"""``battlife simulate``: a device that is not there, behind a real transport."""

from typing import Annotated

import typer

from battlife.cli._output import JsonOption, Output, QuietOption

NAME = "simulate"


def command(
    protocol: Annotated[str, typer.Argument(help="See `battlife formats`.")],
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", help="Fault by name; again for more than one."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same pack.")] = 0,
    tcp: Annotated[
        int | None,
        typer.Option("--tcp", min=0, max=65535, help="TCP port; 0 is any free one."),
    ] = None,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Serve a simulated device until stopped; it says so in every record.

    Prints its channel as soon as it answers: read it with
    `battlife read PROTOCOL@CHANNEL`.
    """
    import signal
    from threading import Event

    from battlife.simulate import EMULATED, FAULTS, PROTOCOLS, serve

    out = Output(json_lines, quiet)
    known = (*PROTOCOLS, *EMULATED)
    if protocol not in known:
        raise typer.BadParameter(
            f"no simulated device speaks {protocol!r} (known: {', '.join(known)})"
        )
    faults = [name for given in fault or () for name in given.split(",")]
    for name in faults:
        if name not in FAULTS:
            faults_known = "; ".join(f"{n}: {what}" for n, what in FAULTS.items())
            raise typer.BadParameter(f"no fault is called {name!r} ({faults_known})")
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def ready(channel: str) -> None:
        out.row({"schema": 1, "channel": channel, "protocol": protocol})
        if not json_lines:
            print(f"{protocol}@{channel}", flush=True)
        out.note("simulated device; Ctrl-C stops it")

    serve(protocol, faults=tuple(faults), seed=seed, tcp=tcp, stop=stop, ready=ready)
    return 0
