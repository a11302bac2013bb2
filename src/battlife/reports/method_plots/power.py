"""Resistance of every pulse over the state of charge, and the power made of it."""

from typing import TYPE_CHECKING

import numpy as np

from battlife.model import Trace
from battlife.reports.method_plots import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"discharge": "#1b5e8c", "charge": "#c2571a"}


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw open-circuit voltage and resistance of the pulses, and the powers."""
    volts, ohms, watts = figure.subplots(1, 3)
    by_segment = {e.segment: curves for e, curves in results}
    largest = max(
        (
            float(c.columns["resistance_ohm"].max())
            for curves in by_segment.values()
            for c in curves
            if len(c)
        ),
        default=1.0,
    )
    unit, scale = ("mΩ", 1000.0) if largest < 1.0 else ("Ω", 1.0)
    for curves in by_segment.values():
        for curve in curves:
            way = curve.name.removeprefix("pulses_")
            soc = 100.0 * curve.columns["soc"]
            style = {"color": _COLOURS[way], "ms": 4.0, "lw": 1.0}
            volts.plot(soc, curve.columns["open_circuit_voltage_v"], "o-", **style)
            ohm = scale * curve.columns["resistance_ohm"]
            ohms.plot(soc, ohm, "o-", label=f"{way} pulses", **style)
    for way, colour in _COLOURS.items():
        points = [
            (e.conditions["soc"], m)
            for e, _ in results
            for name, m in e.measurements.items()
            if name.startswith(f"max_{way}_power")
        ]
        if points:
            watts.errorbar(
                100.0 * np.array([soc for soc, _ in points], dtype=float),
                [float(np.mean(m.value)) for _, m in points],
                yerr=[2.0 * float(np.mean(m.uncertainty or 0.0)) for _, m in points],
                fmt="s",
                ms=5,
                color=colour,
                label=f"{way}, bars ± 2u",
            )
    volts.set_ylabel("Voltage before the pulse / V")
    ohms.set_ylabel(f"Resistance / {unit}")
    watts.set_ylabel("Power at the voltage limit / W")
    for axis in (volts, ohms, watts):
        axis.set_xlabel("State of charge / %")
        axis.set_xlim(0.0, 100.0)
    for axis in (ohms, watts):
        axis.set_ylim(bottom=0.0)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False, fontsize="small")
