"""Pictures of a trace and of capacity over cycles (extra: report)."""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from battlife.model import Estimate, Trace
from battlife.reports._panels import (
    MAX_BINS,
    clock_of,
    decimated,
    draw_capacity,
    draw_cells,
    draw_quantity,
    draw_spectra,
    draw_steps,
    draw_used,
    quantities_of,
    step_panels,
)
from battlife.reports._pictures import draw, printable
from battlife.reports.wording import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MAX_BINS", "decimated", "plot_capacity", "plot_overview", "plot_trace"]

_WARNING = "#a8201a"
_PANEL_IN, _CAPACITY_IN, _SPECTRA_IN = 1.75, 2.3, 4.2


def plot_trace(trace: Trace, path: Path) -> None:
    """Draw voltage, current and temperature over time, or what else the trace holds.

    Raises
    ------
    InputError
        matplotlib is not installed, the suffix is not .png, .svg or .html, or the
        file cannot be written.
    """
    plot_overview(trace, (), path)


def plot_capacity(estimates: Sequence[Estimate], path: Path) -> None:
    """Draw discharge capacity over cycles; errors as :func:`plot_trace`."""
    unit = estimates[0].unit_id if estimates else ""

    def build(figure: "Figure") -> None:
        draw_capacity(figure.subplots(), [e for e in estimates if _measures(e)])
        figure.suptitle(printable(unit), parse_math=False, fontweight="bold")

    draw(path, unit, 3.2, build)


def plot_overview(trace: Trace, estimates: Sequence[Estimate], path: Path) -> None:
    """Draw all a trace holds and, below it, its capacities.

    Samples are drawn over time; a source with steps and no samples, as charge, voltage
    and temperature of each step; spectra as a Nyquist and a Bode diagram. Errors as
    :func:`plot_trace`.
    """
    capacities = [e for e in estimates if _measures(e)]
    names = quantities_of(trace)
    steps = () if names or trace.steps is None else step_panels(trace.steps)
    heights = [_PANEL_IN] * (len(names) + len(steps))
    spectra_row = len(heights) if trace.spectra else None
    if trace.spectra:
        heights.append(_SPECTRA_IN)
    # One discharge is a number, not a curve: the facts below the title state it.
    capacity_row = len(heights) if len(capacities) > 1 or not heights else None
    if capacity_row is not None:
        heights.append(_CAPACITY_IN)

    def build(figure: "Figure") -> None:
        grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
        axes: list[Axes] = []
        for row in range(len(names) + len(steps)):
            shared = axes[0] if axes else None
            axes.append(figure.add_subplot(grid[row, :], sharex=shared))
        for axis in axes[:-1]:
            axis.tick_params(labelbottom=False)
        clock = clock_of(trace, end_to_end_labels=bool(names))
        for axis, name in zip(axes, names, strict=False):
            if name.startswith("cell_"):
                draw_cells(axis, trace, clock, name)
            else:
                draw_quantity(axis, trace, clock, name)
        if names:
            marked = names.index("current_a") if "current_a" in names else 0
            draw_used(axes[marked], clock, capacities)
            axes[-1].set_xlabel(clock.label)
        if steps and trace.steps is not None:
            draw_steps(axes, trace.steps, steps)
        if spectra_row is not None:
            pair = [figure.add_subplot(grid[spectra_row, c]) for c in (0, 1)]
            draw_spectra(pair[0], pair[1], trace.spectra)
        if capacity_row is not None:
            draw_capacity(figure.add_subplot(grid[capacity_row, :]), capacities)
        _head(figure, trace, capacities)

    draw(path, trace.unit_id, 0.9 + sum(heights), build)


def _head(figure: "Figure", trace: Trace, capacities: Sequence[Estimate]) -> None:
    lines = [printable(trace.unit_id), printable(_facts(trace, capacities))]
    suspect = trace.provenance.suspect
    if suspect:
        lines.append(printable(f"SUSPECT: {suspect[0].message}"))
    text = "\n".join(_short(line) for line in lines)
    figure.suptitle(
        text,
        parse_math=False,
        fontsize=10,
        color=_WARNING if suspect else "black",
    )


def _facts(trace: Trace, capacities: Sequence[Estimate]) -> str:
    sources = [PurePath(s.path).name for s in trace.provenance.sources]
    facts = sources[:2]
    if len(sources) > len(facts):
        facts.append(f"{len(sources) - len(facts)} more files")
    if trace.columns:
        facts.append(f"{trace.n_samples:,} samples")
    elif trace.steps is not None:
        facts.append(f"{len(trace.steps):,} steps, no samples")
    accepted = [e for e in capacities if e.status == "ok"]
    if accepted:
        last = accepted[-1].measurements["discharge_capacity_ah"]
        text = interval(last.value, last.uncertainty)
        facts.append(f"last capacity {text} Ah")
    if trace.provenance.simulated:
        facts.append("SIMULATED")
    return ", ".join(facts)


def _short(line: str, most: int = 120) -> str:
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _measures(estimate: Estimate) -> bool:
    return estimate.method == "capacity"
