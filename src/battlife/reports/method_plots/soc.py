"""State of charge with its bounds, and what the voltage differed by."""

from typing import TYPE_CHECKING, Final

import numpy as np

from battlife.model import Trace
from battlife.reports.method_plots import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINE: Final = "#1b5e8c"
_BAND: Final = "#9db8c9"
_GREY: Final = "#66717a"
POINTS: Final = 4000
"""Points of a curve that a picture of some thousand pixels can show."""


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw state of charge, current and residual over time, segment by segment."""
    soc, current, residual = figure.subplots(3, 1, sharex=True, height_ratios=[2, 1, 1])
    label, moved = True, False
    end = -np.inf
    for estimate, curves in results:
        span = slice(estimate.start_sample, estimate.stop_sample)
        time = trace.time_s[span]
        # A clock that starts again would draw two segments over one another.
        shift = max(end - float(time[0]), 0.0) if end > -np.inf else 0.0
        moved = moved or shift > 0.0
        end = float(time[-1]) + shift
        for curve in curves:
            every = max(1, len(curve) // POINTS)
            column = {n: c[::every] for n, c in curve.columns.items()}
            hours = (column["time_s"] + shift) / 3600.0
            coverage = estimate.options.get("coverage")
            held = f"{100 * coverage:.0f} %" if isinstance(coverage, float) else ""
            soc.fill_between(
                hours,
                100.0 * column["soc_low"],
                100.0 * column["soc_high"],
                color=_BAND,
                alpha=0.6,
                lw=0,
                label=f"bound meant to hold {held}" if label else None,
            )
            soc.plot(
                hours,
                100.0 * column["soc"],
                color=_LINE,
                lw=1.2,
                label="estimate" if label else None,
            )
            residual.plot(hours, 1000.0 * column["residual_v"], color=_LINE, lw=0.4)
            label = False
        every = max(1, (span.stop - span.start) // POINTS)
        hours = (time[::every] + shift) / 3600.0
        current.plot(
            hours, trace.column("current_a")[span][::every], color=_GREY, lw=0.5
        )
    soc.set_ylabel("State of charge / %")
    soc.set_ylim(-5.0, 105.0)
    if label:
        soc.text(0.5, 0.5, "every segment was refused", transform=soc.transAxes)
    else:
        soc.legend(frameon=False, fontsize="small", loc="best")
    current.set_ylabel("Current / A")
    current.axhline(0.0, color=_GREY, lw=0.4)
    residual.set_ylabel("Residual / mV")
    residual.axhline(0.0, color=_GREY, lw=0.4)
    shown = [c.columns["residual_v"] for _, cs in results for c in cs]
    values = np.concatenate(shown) if shown else np.zeros(1)
    known = values[np.isfinite(values)]
    if known.size:
        # The first samples of an unknown start would flatten all the rest.
        reach = 1000.0 * float(np.quantile(np.abs(known), 0.995)) * 1.3 + 1.0
        residual.set_ylim(-reach, reach)
    residual.set_xlabel("Time / h" + (", segments in a row" if moved else ""))
