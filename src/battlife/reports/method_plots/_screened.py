"""What screening gives: some rows apart by colour, and all values with intervals."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from battlife.model import Measurement
from battlife.model.curve import Curve
from battlife.reports.method_plots import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST: Final = 8
"""Rows drawn; more would hide each other. The first, the last, and some between."""
_LINE: Final = "#1b5e8c"


def shown(results: Results) -> list[tuple[str, Curve, Any]]:
    """Return label, curve and colour of some of the results that have a curve."""
    import matplotlib

    having = [(e, curves[0]) for e, curves in results if curves]
    if not having:
        return []
    taken = np.unique(np.linspace(0, len(having) - 1, MOST).astype(int))
    shades = matplotlib.colormaps["viridis"](np.linspace(0.1, 0.85, taken.size))
    return [
        (f"#{having[k][0].cycle}", having[k][1], colour)
        for k, colour in zip(taken.tolist(), shades, strict=True)
    ]


def draw_values(axis: "Axes", results: Results) -> None:
    """Draw every value with the interval that the model promises."""
    found = [(e.cycle or 0, m) for e, _ in results for m in e.measurements.values()]
    if not found:
        axis.text(0.5, 0.5, "every row was refused", ha="center")
        return
    first = found[0][1]
    scale, unit = (100.0, "%") if first.unit == "1" else (1.0, first.unit)
    x = np.array([n for n, _ in found], dtype=float)
    value = scale * np.array([float(np.mean(m.value)) for _, m in found])
    below = value - scale * np.array([_bound(m, m.low) for _, m in found])
    above = scale * np.array([_bound(m, m.high) for _, m in found]) - value
    many = len(found) > 50
    axis.errorbar(
        x,
        value,
        yerr=np.vstack([below, above]),
        fmt="o",
        ms=2.5 if many else 5,
        lw=0.4 if many else 1.2,
        color=_LINE,
        ecolor="#9db8cc" if many else _LINE,
    )
    promised = f"\n(bars {100 * first.coverage:.0f} %)" if first.coverage else ""
    axis.set_xlabel("Found in the recording as number")
    name = first.name.removesuffix(f"_{unit.lower()}").replace("_", " ")
    axis.set_ylabel(f"{name} / {unit}{promised}")
    axis.set_xlim(x.min() - 0.5, x.max() + 0.5)
    if np.ptp(x) < 6:
        axis.set_xticks(np.unique(x))


def _bound(measurement: Measurement, bound: float | None) -> float:
    return float(np.mean(measurement.value)) if bound is None else float(bound)
