"""dQ/dV over voltage with its peaks, and the peaks over life."""

from typing import TYPE_CHECKING, Final

from battlife.model import Trace
from battlife.reports.method_plots import Results
from battlife.reports.method_plots._over_life import Axis, draw_over_life

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXIS: Final = Axis(
    "voltage_v",
    "ica_ah_per_v",
    "Voltage / V",
    "dQ/dV / Ah V$^{-1}$",
    "v",
    "ah_per_v",
    "Peak voltage / V",
)


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw the curves of all half-cycles, and their peaks over life."""
    draw_over_life(figure, results, "ica", AXIS)
