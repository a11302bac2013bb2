"""The capacity over cycles with its knee, and what was known at each cycle."""

from typing import TYPE_CHECKING

from battlife.model import Trace
from battlife.reports.method_plots import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINE, _SOFT, _BAD = "#1b5e8c", "#9db8c9", "#b3261e"


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw capacity, threshold, knee and crossing, and below the history of both.

    Parameters
    ----------
    figure : to draw into
    trace : of the unit; its curves hold all that is drawn
    results : the estimate with its curves "trajectory" and "history"
    """
    upper, middle = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    if not results:
        upper.text(0.5, 0.5, "nothing to draw", transform=upper.transAxes)
        return
    estimate, curves = results[-1]
    seen, history = (c.columns for c in curves)
    upper.plot(seen["cycle"], seen["capacity_ah"], ".", ms=3, color=_LINE)
    nominal = float(estimate.conditions.get("nominal_ah") or 0.0)
    threshold = float(estimate.options.get("threshold") or 0.0)
    upper.axhline(threshold * nominal, color=_BAD, lw=0.8, ls="--")
    upper.annotate(
        f"{100 * threshold:.0f} % of {nominal:g} Ah",
        (0.01, threshold * nominal),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        fontsize="small",
        color=_BAD,
    )
    knee = estimate.measurements.get("knee_cycle")
    if knee is not None and isinstance(knee.value, float):
        if knee.low is not None and knee.high is not None:
            upper.axvspan(knee.low, knee.high, color="#e7a33e", alpha=0.3, lw=0)
        upper.axvline(
            knee.value,
            color="#b8610f",
            lw=1,
            label=f"knee at {knee.value:.0f} (probability "
            f"{estimate.measurements['knee_probability'].value:.2f})",
        )
    left = estimate.measurements.get("remaining_cycles")
    now = float(seen["cycle"][-1])
    if left is not None and left.low is not None and left.high is not None:
        upper.errorbar(
            [now + float(left.value)],  # type: ignore[arg-type]  # one unit
            [threshold * nominal],
            xerr=[
                [float(left.value) - left.low],  # type: ignore[arg-type]  # one number
                [left.high - float(left.value)],  # type: ignore[arg-type]  # one number
            ],
            fmt="o",
            color=_BAD,
            capsize=3,
            label=f"threshold reached, {100 * (left.coverage or 0):.0f} % interval",
        )
    upper.set_ylabel("Discharge\ncapacity / Ah")
    if upper.get_legend_handles_labels()[0]:
        upper.legend(frameon=False, fontsize="small", loc="lower left")
    middle.plot(history["cycle"], history["knee_probability"], color="#b8610f")
    middle.set_ylim(0.0, 1.05)
    middle.set_ylabel("Probability of\na knee, then", color="#b8610f")
    middle.set_xlabel("Discharge number (from 0)")
    if left is not None:
        other = middle.twinx()
        other.fill_between(
            history["cycle"], history["low"], history["high"], color=_SOFT, alpha=0.5
        )
        other.plot(history["cycle"], history["remaining_cycles"], color=_LINE)
        other.set_ylim(bottom=0.0)
        other.set_ylabel("Cycles left, as\nforetold then", color=_LINE)
        other.grid(visible=False)
