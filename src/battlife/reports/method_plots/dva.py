"""dV/dQ over charge with its peaks, and the peaks over life."""

from typing import TYPE_CHECKING, Final

from battlife.model import Trace
from battlife.reports.method_plots import Results
from battlife.reports.method_plots._over_life import Axis, draw_over_life

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXIS: Final = Axis(
    "charge_ah",
    "dva_v_per_ah",
    "Charge since the start / Ah",
    "dV/dQ / V Ah$^{-1}$",
    "ah",
    "v_per_ah",
    "Peak charge / Ah",
)


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw the curves of all half-cycles, and their peaks over life."""
    draw_over_life(figure, results, "dva", AXIS)
