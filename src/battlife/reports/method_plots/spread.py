"""Cells beside each other: voltage, resistance and capacity, the odd one in red."""

from typing import TYPE_CHECKING

import numpy as np

from battlife.model import Trace
from battlife.reports._panels import clock_of, draw_cells
from battlife.reports.method_plots import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINE, _BAD = "#1b5e8c", "#b3261e"
_ROWS = (
    ("offset_v", "u_offset_v", 1000.0, "Offset / mV", 0.0),
    ("resistance_ratio", "u_resistance_ratio", 1.0, "Resistance\nover median", 1.0),
    ("capacity_ratio", "u_capacity_ratio", 1.0, "Capacity\nover median", 1.0),
)


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw each cell's departure with ± 2u, and the band of the cells over time.

    Parameters
    ----------
    figure : to draw into
    trace : with cell voltages
    results : the estimate with its curve "cells"
    """
    if not results or not results[-1][1]:
        axis = figure.subplots()
        axis.text(0.5, 0.5, "nothing to draw", transform=axis.transAxes)
        return
    estimate, (curve, *_) = results[-1]
    columns = curve.columns
    rows = [r for r in _ROWS if np.isfinite(columns[r[0]]).any()]
    axes = figure.subplots(len(rows) + 1, 1)
    draw_cells(axes[0], trace, clock_of(trace), "cell_voltage_v")
    axes[0].set_xlabel(clock_of(trace).label)
    conditions = estimate.conditions
    odd = conditions.get("verdict_cell")
    verdict = str(conditions.get("verdict")).replace("_", " ")
    where = "" if odd is None else f" at cell {odd}"
    probability = conditions.get("verdict_probability")
    sure = f", probability {probability:.2f}" if isinstance(probability, float) else ""
    figure.suptitle(f"{verdict}{where}{sure}", fontsize="medium")
    cell = columns["cell"]
    flagged = cell == (-1 if odd is None else odd)
    if conditions.get("verdict") == "sense_wire":
        flagged |= cell == (-2 if odd is None else int(odd) + 1)
    for axis, (name, u_name, scale, label, middle) in zip(axes[1:], rows, strict=True):
        for chosen, colour in ((~flagged, _LINE), (flagged, _BAD)):
            if chosen.any():
                axis.errorbar(
                    cell[chosen],
                    scale * columns[name][chosen],
                    yerr=2.0 * scale * columns[u_name][chosen],
                    fmt="o",
                    ms=4,
                    capsize=2,
                    color=colour,
                )
        axis.axhline(middle, color="#9aa5af", lw=0.6)
        axis.set_ylabel(label)
    for axis in axes[1:-1]:
        axis.tick_params(labelbottom=False)
    axes[-1].set_xlabel("Cell (from 0), bars ± 2u")
