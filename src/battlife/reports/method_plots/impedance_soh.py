"""Spectra as a model sees them, and what it makes of them."""

from typing import TYPE_CHECKING

from battlife.model import Trace
from battlife.reports.method_plots import Results
from battlife.reports.method_plots._screened import draw_values, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw some spectra, their imaginary part over frequency, and all values."""
    del trace
    axes = figure.subplot_mosaic([["nyquist", "nyquist"], ["bode", "values"]])
    nyquist, bode, values = axes["nyquist"], axes["bode"], axes["values"]
    rows = shown(results)
    largest = max((float(c.columns["z_re_ohm"].max()) for _, c, _ in rows), default=1.0)
    unit, scale = ("mΩ", 1000.0) if largest < 1.0 else ("Ω", 1.0)
    for label, curve, colour in rows:
        re = scale * curve.columns["z_re_ohm"]
        up = -scale * curve.columns["z_im_ohm"]
        nyquist.plot(re, up, "o-", color=colour, ms=2.5, lw=0.8, label=label)
        bode.plot(curve.columns["frequency_hz"], up, "o-", color=colour, ms=2.5, lw=0.8)
    nyquist.set_aspect("equal", adjustable="datalim")
    nyquist.set_xlabel(f"Re Z / {unit}")
    nyquist.set_ylabel(f"−Im Z / {unit} (capacitive up)")
    bode.set_xscale("log")
    bode.set_xlabel("Frequency / Hz")
    bode.set_ylabel(f"−Im Z / {unit}")
    if rows:
        nyquist.legend(frameon=False, fontsize="small", title="spectrum")
    draw_values(values, results)
