"""What each check found: its score and the chance of it, and the leak of each cell."""

from typing import TYPE_CHECKING

import numpy as np

from battlife.model import Trace
from battlife.reports.method_plots import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINE, _BAD = "#1b5e8c", "#b3261e"


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw false-alarm probabilities per check against the alarm, and leaks by cell.

    Parameters
    ----------
    figure : to draw into
    trace : of the unit
    results : one estimate per check; that of "leak" has a curve by cell
    """
    if not results:
        axis = figure.subplots()
        axis.text(0.5, 0.5, "nothing to draw", transform=axis.transAxes)
        return
    leaks = [c[0] for e, c in results if c]
    axes = figure.subplots(1 + bool(leaks), 1, squeeze=False)[:, 0]
    chances, names, colours = [], [], []
    for estimate, _ in results:
        conditions = estimate.conditions
        chance = conditions.get("false_alarm_probability")
        cell = conditions.get("cell")
        flagged = bool(conditions.get("flagged"))
        chances.append(max(float(chance or 0.0), 1e-12))
        at = f"\ncell {cell}" if cell is not None else ""
        names.append(f"{conditions.get('check')}{at}")
        colours.append(_BAD if flagged else _LINE)
    where = np.arange(len(names))
    axes[0].bar(where, -np.log10(chances), color=colours, width=0.6)
    alarm = float(results[0][0].options.get("alarm") or 1e-3)
    axes[0].axhline(-np.log10(alarm), color="#9aa5af", lw=1, ls="--")
    axes[0].annotate(
        f"alarm at {alarm:g}",
        (0.0, -np.log10(alarm)),
        xycoords=("axes fraction", "data"),
        xytext=(3, 3),
        textcoords="offset points",
        fontsize="small",
    )
    axes[0].set_xticks(where, names)
    axes[0].set_ylabel("False-alarm probability\nas power of ten (−log10)")
    if leaks:
        columns = leaks[0].columns
        axes[1].errorbar(
            columns["cell"],
            1000.0 * columns["leak_current_a"],
            yerr=2000.0 * columns["u_a"],
            fmt="o",
            ms=4,
            capsize=2,
            color=_LINE,
        )
        axes[1].axhline(0.0, color="#9aa5af", lw=0.6)
        axes[1].set_ylabel("Lost beside the\nmedian cell / mA")
        axes[1].set_xlabel("Cell (from 0), bars ± 2u")
