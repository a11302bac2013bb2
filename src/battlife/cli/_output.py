"""How every verb talks: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from battlife.errors import BattlifeError, InputError

JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object per line on stdout.")
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no warnings.")
]

_COUNTS = ("_cycle", "_cycles", "_count")
"""How the names of measurements end that are a number and no fraction."""


@contextmanager
def usage() -> Iterator[None]:
    """Turn an error in what was typed, rather than in a file, into wrong usage (2)."""
    try:
        yield
    except InputError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise typer.BadParameter(f"{error.message}{hint}") from error


def printable(text: str) -> str:
    """Return text without what would steer a terminal or break a line."""
    text = text.replace("\N{NO-BREAK SPACE}", " ")
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


class Output:
    """Prints results and collects the exit code of the first failure.

    Parameters
    ----------
    json_lines : one JSON object per line on stdout, nothing else there
    quiet : no progress, no warnings
    """

    def __init__(self, json_lines: bool, quiet: bool) -> None:
        self.json_lines = json_lines
        self.quiet = quiet
        self.exit_code = 0

    @property
    def interactive(self) -> bool:
        """Whether progress may be drawn."""
        return not self.quiet and sys.stderr.isatty()

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show on a terminal that long work goes on."""
        if not self.interactive:
            yield
            return
        from rich.console import Console

        with Console(stderr=True).status(what):
            yield

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[float, str], None]]:
        """Draw on a terminal how much of long work is done; take a share and a name."""
        if not self.interactive:
            yield lambda share, name: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (
            TextColumn(what),
            BarColumn(),
            TaskProgressColumn(),
            Remaining(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda share, name: bar.update(
                task, completed=share, description=printable(name)
            )

    def row(self, row: Mapping[str, Any]) -> None:
        """Print one JSON line, only in JSON mode."""
        if self.json_lines:
            text = json.dumps(row, ensure_ascii=False, allow_nan=False)
            print(text, flush=True)

    def text(self, line: str = "") -> None:
        """Print a line for people, only out of JSON mode."""
        if not self.json_lines:
            print(printable(line))

    def note(self, line: str) -> None:
        """Print a remark on stderr unless quiet."""
        if not self.quiet:
            print(printable(line), file=sys.stderr)

    def failure(self, source: str, error: BattlifeError) -> None:
        """Report one failed input; the first one decides the exit code."""
        from battlife.pipeline.rows import SCHEMA, error_row

        self.exit_code = self.exit_code or error.exit_code
        self.row(
            {
                "schema": SCHEMA,
                "source": source,
                "status": "error",
                "error": error_row(error),
            }
        )
        print(printable(f"error: {error.message}"), file=sys.stderr)
        if error.hint:
            print(printable(f"hint:  {error.hint}"), file=sys.stderr)


def quantity_text(measured: Mapping[str, Any] | None, name: str = "") -> str:
    """Return a measured object as text: k = 2, or its interval, "–" if missing.

    A `name` that ends as a count does is a number; any other with unit "1" a fraction.
    """
    from battlife.reports.wording import interval

    if measured is None or measured.get("value") is None:
        return "–"
    unit = measured["unit"]
    scale, shown_unit = (100.0, "%") if unit == "1" else (1.0, unit)
    if unit == "1" and name.endswith(_COUNTS) and not name.endswith("_per_cycle"):
        scale, shown_unit = 1.0, ""
    bounds = None
    if measured.get("coverage") is not None:
        bounds = measured.get("low"), measured.get("high")
    text = interval(measured["value"], measured.get("uncertainty"), scale, bounds)
    # The unit stands beside the value: "87.1 % (85.0 to 89.2)".
    value, bracket, ends = text.partition(" (")
    return f"{value} {shown_unit}".rstrip() + f"{bracket}{ends}" if text else "–"
