"""The voltage in the last long rest, and the steady fall told from its relaxation."""

from typing import TYPE_CHECKING

from battlife.model import Trace
from battlife.reports._panels import decimated
from battlife.reports.method_plots import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINE, _BAD = "#1b5e8c", "#b3261e"


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw the longest rest of those that gave an answer.

    Parameters
    ----------
    figure : to draw into
    trace : of the unit; the curves hold all that is drawn
    results : estimates with their curve "rest"
    """
    axis = figure.subplots()
    rests = [(e, c[0]) for e, c in results if c]
    if not rests:
        axis.text(0.5, 0.5, "no rest to draw", ha="center", transform=axis.transAxes)
        return
    estimate, curve = max(rests, key=lambda r: float(r[1].columns["hours"][-1]))
    hours = curve.columns["hours"]
    axis.plot(
        *decimated(hours, curve.columns["cell_voltage_v"]), color=_LINE, lw=0.8,
        label="median cell",
    )  # fmt: skip
    measured = estimate.measurements
    fall = measured.get("self_discharge_v_per_day")
    bound = measured.get("self_discharge_below_v_per_day")
    if fall is not None and isinstance(fall.value, float):
        u = 1000.0 * float(fall.uncertainty or 0.0)  # type: ignore[arg-type]  # one number
        axis.plot(
            hours,
            curve.columns["steady_fall_v"],
            color=_BAD,
            ls="--",
            label=f"steady fall {1000.0 * fall.value:.3g} ± {u:.2g} mV per day (1u)",
        )
    elif bound is not None and isinstance(bound.value, float):
        axis.plot(
            [],
            [],
            " ",
            label=f"steady fall below {1000.0 * bound.value:.3g} mV per day",
        )
    axis.axvspan(0.0, hours[-1] / 6.0, color="#9aa5af", alpha=0.2, lw=0)
    axis.annotate(
        "left out", (0.01, 0.02), xycoords="axes fraction", fontsize="small",
        color="#5c6770",
    )  # fmt: skip
    axis.set_xlabel("Time of rest / h")
    axis.set_ylabel("Voltage per cell / V")
    axis.legend(frameon=False, fontsize="small")
