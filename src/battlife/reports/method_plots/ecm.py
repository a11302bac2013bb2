"""Pulses with their circuit, and resistance over the charge taken out."""

from typing import TYPE_CHECKING, Final

import numpy as np

from battlife.model import Trace
from battlife.reports.method_plots import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST: Final = 6
"""Pulses drawn; more would hide each other. The first, the last, and some between."""
_NAMES: Final = ("r0_ohm", "r1_ohm", "r2_ohm")
_MARKERS: Final = ("o", "s", "^")


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw some pulses with their fit, and the resistances of all."""
    import matplotlib

    pulses, ohms = figure.subplots(1, 2)
    with_curves = [(e, c[0]) for e, c in results if c]
    # Of pulses both ways one way is drawn, so that each SOC is seen.
    down = [p for p in with_curves if p[0].conditions["direction"] == "discharge"]
    with_curves = down or with_curves
    taken = np.unique(np.linspace(0, max(len(with_curves) - 1, 0), MOST).astype(int))
    shown = [with_curves[int(k)] for k in taken] if with_curves else []
    shades = matplotlib.colormaps["viridis"](np.linspace(0.1, 0.85, max(len(shown), 1)))
    for (estimate, curve), colour in zip(shown, shades, strict=False):
        since = curve.columns["since_load_on_s"]
        rest_v = curve.columns["voltage_v"][0]
        measured = 1000.0 * (curve.columns["voltage_v"] - rest_v)
        fitted = 1000.0 * (curve.columns["fitted_voltage_v"] - rest_v)
        amount = estimate.conditions.get("below_highest_charge_ah")
        label = f"#{estimate.cycle}"
        if isinstance(amount, float):
            label += f", {amount:.3g} Ah below top"
        pulses.plot(since, measured, ".", ms=3, color=colour, label=label)
        pulses.plot(since, fitted, "-", lw=1.0, color=colour)
    pulses.set_xlabel("Time since load-on / s")
    pulses.set_ylabel("Voltage against rest / mV (dots measured, line fitted)")
    if shown:
        pulses.legend(frameon=False, fontsize="small")
    else:
        pulses.text(0.5, 0.5, "every pulse was refused", ha="center")
    _resistances(ohms, results)


def _resistances(ohms: "Axes", results: Results) -> None:
    estimates = [e for e, _ in results]
    largest = max(
        (
            float(np.max(e.measurements[n].value))
            for e in estimates
            for n in _NAMES
            if n in e.measurements
        ),
        default=0.1,
    )
    unit, scale = ("mΩ", 1000.0) if largest < 1.0 else ("Ω", 1.0)
    known = [
        isinstance(e.conditions.get("below_highest_charge_ah"), float)
        for e in estimates
    ]
    over_charge = bool(known) and all(known)
    for direction, colour in (("discharge", "#1b5e8c"), ("charge", "#c2571a")):
        for name, marker in zip(_NAMES, _MARKERS, strict=True):
            points = [
                (
                    e.conditions["below_highest_charge_ah"] if over_charge else e.cycle,
                    e.measurements[name],
                )
                for e in estimates
                if name in e.measurements and e.conditions["direction"] == direction
            ]
            if not points:
                continue
            ohms.errorbar(
                np.array([x for x, _ in points], dtype=float),
                scale * np.array([float(np.mean(m.value)) for _, m in points]),
                yerr=scale
                * np.array(
                    [2.0 * float(np.mean(m.uncertainty or 0)) for _, m in points]
                ),
                fmt=marker,
                ms=4,
                lw=0.8,
                color=colour,
                mfc=colour if name == "r0_ohm" else "none",
                label=f"{name.split('_')[0].upper()}, {direction}",
            )
    ohms.set_xlabel(
        "Charge below the highest of the record / Ah" if over_charge else "Pulse"
    )
    ohms.set_ylabel(f"Resistance / {unit} (bars ± 2u)")
    ohms.set_ylim(bottom=0.0)
    if ohms.get_legend_handles_labels()[0]:
        ohms.legend(frameon=False, fontsize="small")
