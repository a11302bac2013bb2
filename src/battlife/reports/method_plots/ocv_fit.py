"""A full cell, the half-cells as they lie under it, the residual, losses over life."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from battlife.model import Estimate, Trace
from battlife.reports.method_plots import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS: Final = {
    "positive": "#b3261e",
    "negative": "#1b5e8c",
    "lam_pe": "#b3261e",
    "lam_ne": "#1b5e8c",
    "lli": "#2f8a4b",
}
_LOSSES: Final = {"lli": "LLI", "lam_pe": "LAM_PE", "lam_ne": "LAM_NE"}
_MAGNIFIED_V: Final = 1.2
"""Top of the axis of the negative: its first charge from 3 V says nothing here."""


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw the last fit, its residual, and losses where there are several."""
    if not results:
        axes = figure.add_subplot()
        axes.text(0.5, 0.5, "nothing to draw", ha="center", transform=axes.transAxes)
        return
    estimate, curves = results[-1]
    named = {c.name: c.columns for c in curves}
    lossy = [e for e, _ in results if any(n in e.measurements for n in _LOSSES)]
    grid = figure.add_gridspec(2, 2 if lossy else 1, height_ratios=[3, 1])
    top = figure.add_subplot(grid[0, 0])
    _draw_cell(top, estimate, named)
    below = figure.add_subplot(grid[1, 0], sharex=top)
    _draw_residual(below, named["ocv_fit"])
    if lossy:
        _draw_losses(figure.add_subplot(grid[:, 1]), lossy)


def _draw_cell(
    axes: "Axes", estimate: Estimate, named: Mapping[str, Mapping[str, Any]]
) -> None:
    cell = named["ocv_fit"]
    axes.plot(
        cell["charge_ah"], cell["voltage_v"], ".", ms=2.5, color="#444b52", label="cell"
    )
    axes.plot(cell["charge_ah"], cell["fitted_v"], color="#f0a000", lw=1, label="fit")
    positive, negative = named["positive"], named["negative"]
    axes.plot(
        positive["charge_ah"],
        positive["voltage_v"],
        color=_COLOURS["positive"],
        lw=1,
        label="positive",
    )
    axes.set_ylabel("Voltage / V")
    axes.tick_params(labelbottom=False)
    right = axes.twinx()
    right.plot(
        negative["charge_ah"],
        negative["voltage_v"],
        color=_COLOURS["negative"],
        lw=1,
        label="negative (right)",
    )
    right.set_ylim(0.0, _MAGNIFIED_V)
    right.set_ylabel("Negative against Li / V")
    right.grid(visible=False)
    right.spines["right"].set_visible(True)
    lines = [
        *axes.get_legend_handles_labels()[0],
        *right.get_legend_handles_labels()[0],
    ]
    axes.legend(handles=lines, fontsize="x-small", frameon=False, loc="upper left")
    direction = estimate.conditions.get("direction")
    axes.set_title(f"half-cycle {estimate.cycle}, {direction}", fontsize="medium")


def _draw_residual(axes: "Axes", cell: Mapping[str, Any]) -> None:
    residual = 1e3 * np.asarray(cell["residual_v"])
    axes.plot(cell["charge_ah"], residual, color="#444b52", lw=0.8)
    axes.axhline(0.0, color="#9aa5af", lw=0.6)
    rms = float(np.sqrt(np.mean(residual**2)))
    axes.set_ylabel(f"Residual / mV\n(rms {rms:.2g})")
    axes.set_xlabel("Charge above the low-voltage end / Ah")


def _draw_losses(axes: "Axes", estimates: Sequence[Estimate]) -> None:
    from matplotlib.ticker import MaxNLocator

    for k, (name, label) in enumerate(_LOSSES.items()):
        rows = [
            (e.cycle or 0, e.measurements[name])
            for e in estimates
            if name in e.measurements
        ]
        if not rows:
            continue
        bars = [200.0 * float(np.mean(m.uncertainty or 0.0)) for _, m in rows]
        axes.errorbar(
            # Side by side, so that no bar hides another.
            [c + 0.1 * (k - 1) for c, _ in rows],
            [100.0 * float(np.mean(m.value)) for _, m in rows],
            yerr=bars,
            fmt="o",
            ms=3.5,
            lw=0.8,
            color=_COLOURS[name],
            label=label,
        )
    axes.axhline(0.0, color="#9aa5af", lw=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    last = [e.cycle or 0 for e in estimates]
    axes.set_xlim(min(last) - 0.6, max(last) + 0.6)
    axes.set_xlabel("half-cycle")
    axes.set_ylabel("Loss against the reference state / % (bars ± 2u)")
    axes.legend(fontsize="small", frameon=False)
