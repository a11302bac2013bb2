"""``battlife record``: a rig into a signed archive, journal first."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battlife.cli._options import OperatorOption
from battlife.cli._output import JsonOption, Output, QuietOption, usage
from battlife.cli.read import WakeOption

if TYPE_CHECKING:
    from battlife.recording import Alarm, Recorded, Rig, Status
    from battlife.recording.lines import Connect

NAME = "record"
LIMIT_EXCEEDED = 6
INTERRUPTED = 130
LINE_S = 1.0
"""Seconds between two lines of the plain mode."""

NO_STOP = "an alarm does not stop the cycler or the load"


def command(
    rig: Annotated[Path, typer.Argument(help="rig.toml: devices, limits.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="NAME.h5.")],
    unit: Annotated[
        list[str] | None,
        typer.Option(
            "--unit", help="Id of the unit; NAME=ID where the rig names several."
        ),
    ] = None,
    operator: OperatorOption = "",
    duration: Annotated[
        float | None, typer.Option("--duration", help="Stop after this many seconds.")
    ] = None,
    wake: WakeOption = False,
    allow_write: Annotated[
        str,
        typer.Option(
            "--allow-write",
            help="arm closes the contactor of each cell bridge while recording; needs "
            "--wake.",
        ),
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask again on a terminal.")
    ] = False,
    no_limits: Annotated[
        bool, typer.Option("--no-limits", help="Record although nothing would alarm.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Lines instead of the live view.")
    ] = False,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Record all devices of a rig until stopped, then seal the archive.

    Everything acknowledged survives a crash and a power cut: `battlife recover`
    finishes it. Exit code 6 if a limit was exceeded. An alarm does not stop the
    cycler.
    """
    import signal
    from threading import Event

    from battlife.recording import read_rig, record
    from battlife.recording.lines import rig_lines

    out = Output(json_lines, quiet)
    loaded = read_rig(rig)
    one, several = _units(unit or [])
    if output.suffix != ".h5":
        raise typer.BadParameter(f"{output}: end the name in .h5")
    live = out.interactive and sys.stdout.isatty() and not (json_lines or plain)
    live = live and _has_textual()
    connect = _armed(out, loaded, allow_write, wake, yes) if allow_write else rig_lines
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def run(on_update: "Callable[[Status], None]") -> "Recorded":
        return record(
            loaded,
            output,
            unit=one,
            units=several,
            operator=operator,
            duration_s=duration,
            wake=wake,
            no_limits=no_limits,
            stop=stop,
            connect=connect,
            on_update=on_update,
            # The live view draws the alarms itself.
            on_alarm=None if live else lambda alarm: _alarm(out, alarm),
        )

    if live:
        from battlife.cli.live import watch_recording

        recorded = watch_recording(run, stop, loaded.name)
    else:
        out.note(f"recording {loaded.name or rig}; Ctrl-C stops. {NO_STOP}")
        recorded = run(Lines(out))
    return finished(out, recorded)


def _armed(
    out: Output, rig: "Rig", allow_write: str, wake: bool, yes: bool
) -> "Connect":
    """Show beyond what each bridge opens its contactor, then let it be closed."""
    from battlife.cli.contactor import show_state
    from battlife.drivers.contactor import bridge_target, judged, refuse_unless_ready
    from battlife.drivers.session import Session
    from battlife.recording.arming import armed_lines, bridges

    if allow_write != "arm":
        raise typer.BadParameter(
            f"--allow-write {allow_write}: only arm is sent while recording"
        )
    with usage():
        found = bridges(rig, wake=wake)
    for device in found:
        target = bridge_target(device.target)
        with Session(target) as session:
            state = judged(session)
        show_state(out, state)
        refuse_unless_ready(target, state)
    if sys.stdin.isatty() and not (yes or out.json_lines):
        names = ", ".join(device.name for device in found)
        typer.confirm(f"Close the contactor of {names}?", abort=True)
    return armed_lines


def finished(out: Output, recorded: "Recorded") -> int:
    """Print what was recorded and return the exit code."""
    from battlife.recording import as_facts
    from battlife.wire.bridge import OPENED

    out.row(
        {
            "schema": 1,
            "output": str(recorded.output),
            "units": list(recorded.units),
            "n_frames": recorded.n_frames,
            "n_lost": recorded.n_lost,
            "n_samples": recorded.n_samples,
            "duration_s": recorded.duration_s,
            "alarms": [dict(as_facts(a)) for a in recorded.alarms],
            "n_rejected": recorded.n_rejected,
            "n_timeouts": recorded.n_timeouts,
            "simulated": recorded.simulated,
            "reason": recorded.reason,
            "tail_bytes": recorded.tail_bytes,
            "warnings": [n.message for n in recorded.notices],
        }
    )
    marked = " (simulated)" if recorded.simulated else ""
    out.text(
        f"{recorded.output}: {', '.join(recorded.units)}{marked}: "
        f"{recorded.n_frames} frames, {recorded.n_samples} samples, "
        f"{recorded.duration_s:.1f} s, {recorded.n_lost} lost, "
        f"{recorded.n_rejected} not right, {recorded.n_timeouts} unanswered"
    )
    for notice in recorded.notices:
        out.note(f"  {notice.severity}: {notice.message}")
    if recorded.alarms:
        out.text(f"{len(recorded.alarms)} alarm(s): a limit of the rig was exceeded")
        return LIMIT_EXCEEDED
    if any(notice.code == OPENED for notice in recorded.notices):
        return LIMIT_EXCEEDED
    return INTERRUPTED if recorded.reason == "interrupted" else 0


def _units(given: list[str]) -> tuple[str | None, dict[str, str]]:
    """Return the one unit, and the units by their name in the rig."""
    several: dict[str, str] = {}
    one: str | None = None
    for text in given:
        name, equals, ident = text.partition("=")
        if not equals:
            if one is not None:
                raise typer.BadParameter(
                    "--unit is given twice: write --unit NAME=ID for each unit of the "
                    "rig"
                )
            one = text
        elif name in several:
            raise typer.BadParameter(f"--unit {name} is given twice")
        else:
            several[name] = ident
    return one, several


def _has_textual() -> bool:
    from importlib.util import find_spec

    return find_spec("textual") is not None


def _alarm(out: Output, alarm: "Alarm") -> None:
    out.note(f"ALARM {alarm.message} ({NO_STOP})")


class Lines:
    """One line a second with what matters."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._next_s = 0.0

    def __call__(self, status: "Status") -> None:
        """Print a line if one is due."""
        if status.time_s < self._next_s:
            return
        self._next_s = status.time_s + LINE_S
        parts = [
            f"{status.time_s:8.1f} s",
            f"{status.n_acknowledged}/{status.n_frames} frames safe",
        ]
        for name, values in status.values.items():
            parts.append(f"{name}: {summary(values)}")
        if status.n_lost or status.n_rejected or status.n_timeouts:
            parts.append(
                f"{status.n_lost} lost, {status.n_rejected} not right, "
                f"{status.n_timeouts} unanswered"
            )
        if status.away:
            parts.append(f"AWAY {', '.join(status.away)}")
        if status.alarms:
            parts.append(f"{len(status.alarms)} ALARM(S)")
        self._out.note("  ".join(parts))


def summary(values: Any) -> str:
    """Return voltage, current and the span of cells of one device in few words."""
    words = []
    for name, unit in (("voltage_v", "V"), ("current_a", "A")):
        value = values.get(name)
        if isinstance(value, float) and value == value:
            words.append(f"{value:.4g} {unit}")
    cells = [v for v in values.get("cell_voltage_v", ()) if v == v]
    if cells:
        words.append(f"cells {min(cells):.3f}–{max(cells):.3f} V ({len(cells)})")
    soc = values.get("soc")
    if isinstance(soc, float) and soc == soc:
        words.append(f"SOC {100 * soc:.0f} %")
    return ", ".join(words) or "–"
