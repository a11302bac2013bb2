"""dQ/dV and dV/dQ: the curves of all half-cycles, and their peaks over life."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from battlife.model import Estimate
from battlife.model.curve import Curve
from battlife.reports.method_plots import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW: Final = 6
"""Up to here each curve has a name; more get a colour by their number."""
MOST: Final = 60
"""Curves drawn, evenly taken: more hide each other."""
_NAMED: Final = ("#1b5e8c", "#b3261e", "#2f8a4b", "#8a5a00", "#6a3d9a", "#444b52")
_DIRECTIONS: Final = ("charge", "discharge")


@dataclass(frozen=True)
class Axis:
    """What the axes of one of the two methods show.

    Attributes
    ----------
    x, y : columns of the curve
    x_label, y_label : of the axes
    place, height : ends of the measurements' names
    place_label : of peaks over life
    """

    x: str
    y: str
    x_label: str
    y_label: str
    place: str
    height: str
    place_label: str


def draw_over_life(figure: "Figure", results: Results, method: str, axis: Axis) -> None:
    """Draw the curves of charges and discharges, and where their peaks are."""
    shown = [d for d in _DIRECTIONS if any(_is(e, d) for e, _ in results)]
    if not shown:
        axes = figure.add_subplot()
        axes.text(0.5, 0.5, "nothing to draw", ha="center", transform=axes.transAxes)
        return
    several = max(sum(_is(e, d) for e, _ in results) for d in shown) > 1
    rows = 2 if several else 1
    grid = figure.add_gridspec(rows, len(shown), height_ratios=[2, 1][:rows])
    for column, direction in enumerate(shown):
        chosen = [(e, c) for e, c in results if _is(e, direction)]
        axes = figure.add_subplot(grid[0, column])
        _draw_curves(figure, axes, chosen, method, axis)
        axes.set_title(f"{direction} ({len(chosen)})", fontsize="medium")
        if several:
            _draw_places(figure.add_subplot(grid[1, column]), chosen, method, axis)


def _is(estimate: Estimate, direction: str) -> bool:
    return estimate.conditions.get("direction") == direction


def _draw_curves(
    figure: "Figure",
    axes: "Axes",
    chosen: Sequence[tuple[Estimate, Sequence[Curve]]],
    method: str,
    axis: Axis,
) -> None:
    """Draw the curves, coloured by their half-cycle, with their peaks."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    every = max(len(chosen) // MOST, 1)
    drawn = chosen[::every]
    cycles = [e.cycle or 0 for e, _ in drawn]
    scale = ScalarMappable(Normalize(min(cycles), max(cycles) or 1), "viridis")
    span = max(cycles[-1] - cycles[0], 1)
    shades = colormaps["viridis"]
    tops: list[float] = []
    for k, (estimate, curves) in enumerate(drawn):
        named = len(drawn) <= FEW
        colour = (
            _NAMED[k % FEW]
            if named
            else shades(((estimate.cycle or 0) - cycles[0]) / span)
        )
        for curve in (c for c in curves if c.name == method):
            label = f"half-cycle {estimate.cycle}, C/{1 / _rate(estimate):.3g}"
            axes.plot(
                curve.columns[axis.x],
                curve.columns[axis.y],
                color=colour,
                lw=1.0 if named else 0.7,
                label=label if named else None,
            )
        for number, x, y in _peaks(estimate, method, axis):
            tops.append(y)
            axes.plot(x, y, "o", ms=3.5, color=colour)
            if named and k == 0:
                axes.annotate(
                    str(number),
                    (x, y),
                    xytext=(0, 4),
                    textcoords="offset points",
                    ha="center",
                    fontsize="small",
                )
    if tops:
        # The ends of a charge, where dV/dQ rises beyond any peak, are cut off.
        axes.set_ylim(0.0, 1.35 * max(tops))
    axes.set_xlabel(axis.x_label)
    axes.set_ylabel(axis.y_label)
    if len(drawn) <= FEW:
        axes.legend(fontsize="x-small", frameon=False)
    else:
        figure.colorbar(scale, ax=axes, label="half-cycle", pad=0.01)


def _draw_places(
    axes: "Axes",
    chosen: Sequence[tuple[Estimate, Sequence[Curve]]],
    method: str,
    axis: Axis,
) -> None:
    """Draw the place of each numbered peak over half-cycles."""
    from matplotlib.ticker import MaxNLocator

    found: dict[int, list[tuple[float, float, float]]] = {}
    for estimate, _ in chosen:
        for number, x, _y in _peaks(estimate, method, axis):
            name = f"{method}_peak_{number}_{axis.place}"
            u = estimate.measurements[name].uncertainty
            bar = 2.0 * float(np.mean(u)) if u is not None else 0.0
            found.setdefault(number, []).append((float(estimate.cycle or 0), x, bar))
    for k, (number, rows) in enumerate(sorted(found.items())):
        axes.errorbar(
            [row[0] for row in rows],
            [row[1] for row in rows],
            yerr=[row[2] for row in rows],
            fmt=".",
            ms=4,
            lw=0.7,
            color=_NAMED[k % FEW],
            label=f"peak {number}",
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("half-cycle")
    axes.set_ylabel(axis.place_label)
    axes.legend(
        fontsize="x-small",
        frameon=False,
        ncols=FEW,
        loc="lower right",
        bbox_to_anchor=(1.0, 0.98),
        columnspacing=0.8,
        handletextpad=0.1,
    )


def _peaks(
    estimate: Estimate, method: str, axis: Axis
) -> Sequence[tuple[int, float, float]]:
    """Return (number, place, height) of the peaks of an estimate."""
    found = []
    for name, measured in estimate.measurements.items():
        head, _, tail = name.removeprefix(f"{method}_peak_").partition("_")
        if tail == axis.place:
            height = estimate.measurements[f"{method}_peak_{head}_{axis.height}"]
            place = float(np.mean(measured.value))
            found.append((int(head), place, float(np.mean(height.value))))
    return found


def _rate(estimate: Estimate) -> float:
    rate = estimate.conditions.get("c_rate")
    return rate if isinstance(rate, float) and rate > 0 else float("nan")
