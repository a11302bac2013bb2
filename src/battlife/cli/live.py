"""The live view of a recording: cells as bars, temperatures, alarms, losses."""

from collections.abc import Callable, Mapping
from threading import Event
from typing import TYPE_CHECKING, ClassVar, cast

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Footer, Header, Static

from battlife.cli._readings import value_text
from battlife.cli.record import NO_STOP, summary
from battlife.model import Value

if TYPE_CHECKING:
    from battlife.recording import Recorded, Status

BAR_CELLS = 30
STALE_S = 5.0
SHOWN = (
    "voltage_v",
    "current_a",
    "soc",
    "reported_soh",
    "temperature_degc",
    "isolation_ohm",
    "contactors_closed",
    "balancing",
    "fault_codes",
)


class LiveView(App[None]):
    """Shows a recording that runs in another thread.

    Parameters
    ----------
    run : records, calling back with the status, and returns what was recorded
    stop : ends the recording when set
    title : name of the rig
    """

    BINDINGS: ClassVar = [("q", "stop", "Stop and seal")]
    CSS = "#alarms { color: red; text-style: bold; height: auto; }"

    def __init__(
        self,
        run: "Callable[[Callable[[Status], None]], Recorded]",
        stop: Event,
        title: str,
    ) -> None:
        super().__init__()
        self._record = run
        self._stop = stop
        self.title = title or "recording"
        self.recorded: Recorded | None = None
        self.failed: BaseException | None = None

    def compose(self) -> ComposeResult:
        """Lay out: state, alarms, devices."""
        yield Header()
        yield Static("opening the channels", id="state")
        yield Static("", id="alarms")
        with VerticalScroll():
            yield Static("", id="devices")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to record."""
        self.run_worker(self._work, thread=True, exit_on_error=False)

    def action_stop(self) -> None:
        """End the recording; the archive is sealed before the view closes."""
        self._stop.set()
        self.query_one("#state", Static).update("stopping, sealing the archive …")

    def show(self, status: "Status") -> None:
        """Draw a status."""
        marked = "  SIMULATED" if status.simulated else ""
        self.query_one("#state", Static).update(
            f"{status.time_s:.0f} s  {status.n_acknowledged} of {status.n_frames} "
            f"frames safe  {status.n_lost} lost  {status.n_rejected} not right  "
            f"{status.n_timeouts} unanswered{marked}"
            + (f"  AWAY: {', '.join(status.away)}" if status.away else "")
        )
        alarms = [a.message for a in status.alarms]
        self.query_one("#alarms", Static).update(
            Text("\n".join([f"ALARM {m}" for m in alarms] + [NO_STOP] * bool(alarms)))
        )
        self.query_one("#devices", Static).update(devices_table(status))

    def _work(self) -> None:
        try:
            self.recorded = self._record(
                lambda status: self.call_from_thread(self.show, status)
            )
        except BaseException as error:  # handed to the caller when the view is closed
            self.failed = error
        self.call_from_thread(self.exit)


def watch_recording(
    run: "Callable[[Callable[[Status], None]], Recorded]", stop: Event, title: str
) -> "Recorded":
    """Record behind the live view and return what was recorded."""
    view = LiveView(run, stop, title)
    view.run()
    if view.failed is not None:
        raise view.failed
    return cast("Recorded", view.recorded)


def devices_table(status: "Status") -> Table:
    """Return a table with a row per device: values, and cells as bars."""
    table = Table(expand=True, show_lines=True)
    for heading in ("device", "values", "cells"):
        table.add_column(heading)
    for name, values in status.values.items():
        age = status.time_s - status.heard_s.get(name, 0.0)
        title = Text(name, style="bold")
        if age > STALE_S:
            title.append(f"\nsilent for {age:.0f} s", style="red")
        shown = "\n".join(
            f"{n}  {value_text(n, values[n])}" for n in SHOWN if n in values
        )
        table.add_row(title, shown or summary(values), cell_bars(values))
    return table


def cell_bars(values: Mapping[str, Value]) -> Text:
    """Return the cells as bars between the lowest and the highest of them."""
    given = values.get("cell_voltage_v", ())
    cells = [float(v) for v in given] if isinstance(given, tuple) else []
    known = [v for v in cells if v == v]
    if not known:
        return Text("–")
    low, high = min(known), max(known)
    text = Text(
        f"min {low:.3f} V  max {high:.3f} V  spread {1e3 * (high - low):.0f} mV"
    )
    for number, volts in enumerate(cells, start=1):
        if volts != volts:
            text.append(f"\n{number:3d}  missing", style="red")
            continue
        # One more block than none, so that the lowest cell is seen.
        share = (volts - low) / (high - low) if high > low else 1.0
        style = "yellow" if volts in (low, high) and high > low else "green"
        blocks = "█" * (1 + round(share * (BAR_CELLS - 1)))
        text.append(f"\n{number:3d}  {volts:.3f} ")
        text.append(blocks, style=style)
    return text
