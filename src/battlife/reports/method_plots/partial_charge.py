"""Charge through the window, its slope, and what the model makes of it."""

from typing import TYPE_CHECKING

import numpy as np

from battlife.model import Trace
from battlife.reports.method_plots import Results
from battlife.reports.method_plots._screened import draw_values, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw some charges over the voltage of a cell, and all values."""
    del trace
    charge, slope, values = figure.subplots(1, 3)
    rows = shown(results)
    for label, curve, colour in rows:
        voltage, passed = curve.columns["cell_voltage_v"], curve.columns["charge_ah"]
        charge.plot(voltage, passed, color=colour, lw=1.2, label=label)
        slope.plot(voltage, np.gradient(passed, voltage), color=colour, lw=1.0)
    for axis in (charge, slope):
        axis.set_xlabel("Voltage per cell / V")
    charge.set_ylabel("Charge since the window began / Ah")
    slope.set_ylabel("dQ/dV / Ah V$^{-1}$")
    if rows:
        charge.legend(frameon=False, fontsize="small", title="charge")
    draw_values(values, results)
