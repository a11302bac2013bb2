"""``battlife contactor``: look at, close and open the contactor of a cell bridge."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battlife.cli._output import JsonOption, Output, QuietOption, usage
from battlife.cli.read import TargetArgument

if TYPE_CHECKING:
    from battlife.drivers.contactor import Judged
    from battlife.drivers.session import Snapshot

NAME = "contactor"
OPENED_BY_BRIDGE = 6
INTERRUPTED = 130


def command(
    target: TargetArgument,
    allow_write: Annotated[
        str,
        typer.Option(
            "--allow-write",
            help="arm closes it as long as this command runs, disarm opens it; without "
            "it nothing is sent that moves it.",
        ),
    ] = "",
    duration: Annotated[
        float | None,
        typer.Option("--duration", help="Open it after this many seconds."),
    ] = None,
    period: Annotated[
        float, typer.Option("--period", help="Seconds between two readings.")
    ] = 1.0,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask again on a terminal.")
    ] = False,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Close or open the contactor of a cell bridge, or show what it would do.

    The limits beyond which the bridge opens it are read back and printed first. While
    it is closed the bridge needs this command: Ctrl-C opens it, and so does the bridge
    by itself, on any fault and one second after this command ends in any other way. A
    latched fault is cleared with `battlife clear-faults TARGET --allow-write clear`.
    Exit code 6 if the bridge opened it by itself.
    """
    from battlife.drivers.contactor import bridge_target, judged, opened
    from battlife.drivers.session import Session

    out = Output(json_lines, quiet)
    for name, number in (("--duration", duration), ("--period", period)):
        if number is not None and not 0 < number < float("inf"):
            raise typer.BadParameter(f"{name} must be above 0, not {number:g}")
    with usage():
        parsed = bridge_target(target, *([allow_write] if allow_write else []))
    if allow_write == "arm":
        return _held(out, target, duration, period, yes)
    if allow_write == "disarm":
        done = opened(parsed)
        _said_open(out, False, done.fault_codes)
        return 0
    with Session(parsed) as session:
        show_state(out, judged(session))
    out.note("nothing was sent that moves it; --allow-write arm closes it")
    return 0


def _held(
    out: Output, target: str, duration: float | None, period: float, yes: bool
) -> int:
    import signal
    from threading import Event

    from battlife.drivers.contactor import held_closed

    stop = Event()
    signals: list[int] = []

    def ended(number: int, frame: object) -> None:
        signals.append(number)
        stop.set()

    def approve(found: "Judged") -> bool:
        show_state(out, found)
        if sys.stdin.isatty() and not (yes or out.json_lines):
            typer.confirm(f"Close the contactor of {target}?", abort=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, ended)
        return True

    def shown(snapshot: "Snapshot") -> None:
        from battlife.cli._readings import values_row
        from battlife.cli.record import summary

        values = snapshot.values
        out.row({"schema": 1, "stage": "reading", "values": values_row(values)})
        out.text(f"{values.get('bridge_state')}: {summary(values)}")

    out.note("closing the contactor; Ctrl-C opens it")
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    try:
        done = held_closed(
            target,
            approve=approve,
            stop=stop,
            duration_s=duration,
            period_s=period,
            on_reading=shown,
        )
    finally:
        for number, handler in zip(
            (signal.SIGINT, signal.SIGTERM), before, strict=True
        ):
            signal.signal(number, handler)
    assert done is not None  # approved, or it would have ended with an error
    _said_open(out, done.by_bridge, done.fault_codes)
    if done.by_bridge:
        return OPENED_BY_BRIDGE
    return INTERRUPTED if signals else 0


def show_state(out: Output, found: "Judged") -> None:
    """Print what a bridge says of its contactor, above all its limits."""
    from battlife.cli._readings import value_text

    row: dict[str, Any] = {
        "schema": 1,
        "stage": "state",
        "state": found.state,
        "contactors_closed": found.closed,
        "fault_codes": list(found.fault_codes),
        "limits": dict(found.limits),
        "refusal": found.refusal,
        "calibration": found.calibration,
    }
    out.row(row)
    out.text(f"state {found.state}, calibration {found.calibration}")
    if found.refusal != "none":
        out.text(f"its calibration is refused: {found.refusal}; it will not arm")
    if found.fault_codes:
        out.text(f"latched: {', '.join(found.fault_codes)}")
    out.text("the bridge opens the contactor beyond:")
    for name, value in found.limits.items():
        out.text(f"  {name.removeprefix('bridge_'):24}  {value_text(name, value)}")


def _said_open(out: Output, by_bridge: bool, codes: tuple[str, ...]) -> None:
    out.row(
        {
            "schema": 1,
            "stage": "opened",
            "by_bridge": by_bridge,
            "fault_codes": list(codes),
        }
    )
    if by_bridge:
        why = ", ".join(codes) or "no fault is latched: was it reset?"
        out.text(f"the bridge OPENED the contactor by itself: {why}")
    else:
        out.text("disarmed: the contactor is open")
