"""Spectra with their circuit, Kramers-Kronig residuals and relaxation times."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from battlife.model import Trace
from battlife.model.curve import Curve
from battlife.reports.method_plots import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST: Final = 6
"""Spectra drawn; more would hide each other. The first, the last, and some between."""


def draw(figure: "Figure", trace: Trace, results: Results) -> None:
    """Draw Nyquist and Bode diagrams, the residuals, and the distribution."""
    import matplotlib

    nyquist, bode, residuals, times = figure.subplots(2, 2).ravel()
    taken = np.unique(np.linspace(0, max(len(results) - 1, 0), MOST).astype(int))
    shown = [results[int(k)] for k in taken] if results else []
    largest = max(
        (
            float(np.hypot(c[0].columns["z_re_ohm"], c[0].columns["z_im_ohm"]).max())
            for _, c in shown
        ),
        default=1.0,
    )
    unit, scale = ("mΩ", 1000.0) if largest < 1.0 else ("Ω", 1.0)
    shades = matplotlib.colormaps["viridis"](np.linspace(0.1, 0.8, max(len(shown), 1)))
    phase = bode.twinx()
    for (estimate, curves), colour in zip(shown, shades, strict=False):
        spectrum, spread = curves
        label = (
            f"#{estimate.cycle} {estimate.conditions.get('circuit') or 'no circuit'}"
        )
        _spectrum(nyquist, bode, phase, spectrum, scale, colour, label)
        f = spectrum.columns["frequency_hz"]
        for part, style in (("re", "o-"), ("im", "s--")):
            residuals.plot(
                f,
                100.0 * spectrum.columns[f"kk_residual_{part}"],
                style,
                color=colour,
                ms=2.5,
                lw=0.7,
                mfc=colour if part == "re" else "none",
            )
        times.plot(
            spread.columns["tau_s"],
            scale * spread.columns["ohm_per_decade"],
            color=colour,
            lw=1.2,
        )
    nyquist.set_aspect("equal", adjustable="datalim")
    nyquist.set_xlabel(f"Re Z / {unit}")
    nyquist.set_ylabel(f"−Im Z / {unit} (capacitive up)")
    if shown:
        nyquist.legend(frameon=False, fontsize="small")
    nyquist.set_title("Points measured, line fitted", size=9)
    bode.set_xlabel("Frequency / Hz")
    bode.set_ylabel(f"|Z| / {unit} (dots, line)")
    phase.set_ylabel("Phase of Z / ° (squares, dashed)")
    phase.spines["right"].set_visible(True)
    phase.grid(visible=False)
    residuals.axhline(0.0, color="#9aa5af", lw=0.6)
    residuals.set_xlabel("Frequency / Hz")
    residuals.set_ylabel("Kramers–Kronig residual / %\n(real filled, imaginary open)")
    times.set_xlabel("Relaxation time / s")
    times.set_ylabel(f"Distribution / {unit} per decade")
    for axis in (bode, residuals, times):
        axis.set_xscale("log")
    if not shown:
        nyquist.text(0.5, 0.5, "every spectrum was refused", ha="center")


def _spectrum(
    nyquist: "Axes",
    bode: "Axes",
    phase: "Axes",
    spectrum: Curve,
    scale: float,
    colour: object,
    label: str,
) -> None:
    columns = spectrum.columns
    f = columns["frequency_hz"]
    measured = scale * (columns["z_re_ohm"] + 1j * columns["z_im_ohm"])
    style: dict[str, Any] = {"color": colour, "ms": 3.0, "mfc": "none"}
    nyquist.plot(measured.real, -measured.imag, "o", label=label, **style)
    bode.plot(f, np.abs(measured), "o", **style)
    phase.plot(f, np.degrees(np.angle(measured)), "s", alpha=0.6, **style)
    if "fit_re_ohm" in columns:
        fitted = scale * (columns["fit_re_ohm"] + 1j * columns["fit_im_ohm"])
        nyquist.plot(fitted.real, -fitted.imag, "-", color=colour, lw=1.2)
        bode.plot(f, np.abs(fitted), "-", color=colour, lw=1.0)
        angle = np.degrees(np.angle(fitted))
        phase.plot(f, angle, "--", color=colour, lw=1.0, alpha=0.6)
