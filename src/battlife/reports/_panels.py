"""What is drawn into the axes of a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from battlife.model import STEP_KINDS, Estimate, Spectrum, StepTable, Trace
from battlife.reports.wording import code_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]

MAX_BINS: Final = 2000
"""More bins than a picture has pixels across; each keeps its extremes."""

FEW_SEGMENTS: Final = 40
"""Up to here the edges of segments are drawn; more would hide the data."""

FEW_SPECTRA: Final = 8
"""Up to here each spectrum has a line of its own in the legend."""

_LABELS: Final = {
    "voltage_v": "Voltage / V",
    "cell_voltage_v": "Cell voltage / V\n(lowest to highest)",
    "current_a": "Current / A\n(positive charges)",
    "temperature_degc": "Temperature / °C",
    "cell_temperature_degc": "Cell temperature / °C\n(lowest to highest)",
}
_STEP_LABELS: Final = {
    "charge": "Charge per step / Ah\n(positive charges)",
    "voltage": "Voltage / V\n(start to end of step)",
    "temperature": "Highest\ntemperature / °C",
}
_LINE: Final = "#1b5e8c"
_SOFT: Final = "#9db8c9"
_BAD: Final = "#b3261e"
_MARKERS: Final = "xX+1234dsv^"
_UNITS_S: Final = (("s", 1.0, 300.0), ("min", 60.0, 10_800.0), ("h", 3600.0, 864_000.0))


@dataclass(frozen=True, eq=False)
class Clock:
    """Where samples stand on the axis of time.

    Attributes
    ----------
    x : (n,) in the unit of the label
    edges : where segments begin, the first excepted
    label : of the axis
    """

    x: Floats
    edges: Floats
    label: str


def quantities_of(trace: Trace) -> tuple[str, ...]:
    """Return the quantities to draw over time: those with at least one value."""
    having = {
        name
        for name in _LABELS
        if name in trace.columns and np.isfinite(trace.columns[name]).any()
    }
    for pack, cell in (
        ("voltage_v", "cell_voltage_v"),
        ("temperature_degc", "cell_temperature_degc"),
    ):
        if pack == "temperature_degc" and pack in having:
            having.discard(cell)
    return tuple(name for name in _LABELS if name in having)


def clock_of(trace: Trace, end_to_end_labels: bool = True) -> Clock:
    """Return the time of each sample.

    Where segments follow one another on one clock, pauses between them are seen.
    Where a segment starts its clock anew, the length of the pause is not known:
    segments then stand end to end, and the label says so.
    """
    time_s: Floats = np.array(trace.time_s)
    parts = trace.segments()
    starts = [p.start for p in parts[1:]]
    note = ""
    if any(time_s[i] < time_s[i - 1] for i in starts):
        end_s = 0.0
        for part in parts:
            time_s[part] += end_s - time_s[part][0]
            end_s = float(time_s[part][-1])
        note = f"; {len(parts)} segments end to end, pauses unknown"
    span_s = float(time_s[-1] - time_s[0]) if time_s.size else 0.0
    unit, scale = next(
        ((u, s) for u, s, below in _UNITS_S if span_s < below), ("d", 86_400.0)
    )
    x = time_s / scale
    return Clock(x, x[starts], f"Time / {unit}{note if end_to_end_labels else ''}")


def draw_quantity(axis: "Axes", trace: Trace, clock: Clock, name: str) -> None:
    """Draw one quantity; the line is broken between segments."""
    x, y = _broken(trace, clock, trace.columns[name])
    axis.plot(x, y, color=_LINE, lw=0.8, marker="." if x.size < 3 else "")
    if name == "current_a":
        axis.axhline(0.0, color="#9aa5af", lw=0.6)
    _finish(axis, clock, name)


def draw_cells(axis: "Axes", trace: Trace, clock: Clock, name: str) -> None:
    """Draw the band from the lowest to the highest cell."""
    values = trace.columns[name]
    having = np.isfinite(values).any(axis=0)
    low, high = (np.full(trace.n_samples, np.nan) for _ in range(2))
    low[having] = np.nanmin(values[:, having], axis=0)
    high[having] = np.nanmax(values[:, having], axis=0)
    for edge in (low, high):
        axis.plot(*_broken(trace, clock, edge), color=_LINE, lw=0.8)
    _finish(axis, clock, name)


def draw_used(axis: "Axes", clock: Clock, estimates: Sequence[Estimate]) -> None:
    """Mark the samples that capacity estimates saw, the refused ones in red."""
    for status, colour, label in (
        ("ok", "#2f8a4b", "measured as a discharge"),
        ("refused", _BAD, "discharge refused"),
    ):
        ranges = [
            (clock.x[e.start_sample], clock.x[e.stop_sample - 1])
            for e in estimates
            if e.status == status and e.start_sample < e.stop_sample <= clock.x.size
        ]
        if ranges:
            axis.broken_barh(
                [(a, b - a) for a, b in ranges],
                (0.0, 0.04),
                transform=axis.get_xaxis_transform(),
                facecolor=colour,
                label=f"{label} ({len(ranges)})",
            )
    _legend(axis)


def draw_capacity(axis: "Axes", estimates: Sequence[Estimate]) -> None:
    """Draw discharge capacity over discharges; crosses tell why one was refused."""
    from matplotlib.ticker import MaxNLocator

    good = [e for e in estimates if "discharge_capacity_ah" in e.measurements]
    good = [e for e in good if e.status == "ok"]
    points = [e.measurements["discharge_capacity_ah"] for e in good]
    if good:
        axis.errorbar(
            [_cycle(e) for e in good],
            [float(np.mean(m.value)) for m in points],
            yerr=[2.0 * float(np.mean(m.uncertainty or 0.0)) for m in points],
            fmt=".",
            color=_LINE,
            ecolor=_SOFT,
            label=f"accepted ({len(good)}), bars ± 2u",
        )
    by_reason: dict[str, list[int]] = {}
    for estimate in estimates:
        if estimate.status == "refused":
            why = " and ".join(map(code_text, estimate.reasons)) or "no reason given"
            by_reason.setdefault(why, []).append(_cycle(estimate))
    for i, (why, cycles) in enumerate(by_reason.items()):
        axis.plot(
            cycles,
            [0.05] * len(cycles),
            _MARKERS[i % len(_MARKERS)],
            color=_BAD,
            transform=axis.get_xaxis_transform(),
            label=f"refused ({len(cycles)}): {why}",
        )
    if not estimates:
        axis.text(0.5, 0.5, "nothing to draw", ha="center", transform=axis.transAxes)
    # From zero: a loss of capacity then looks as large as it is.
    largest = max((float(np.max(m.value)) for m in points), default=0.0)
    axis.set_ylim(0.0, 1.12 * largest if largest > 0.0 else 1.0)
    axis.set_xlabel("Discharge number (from 0)")
    axis.set_ylabel("Discharge\ncapacity / Ah")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    cycles = [_cycle(e) for e in estimates] or [0]
    pad = max(0.5, 0.02 * (max(cycles) - min(cycles)))
    axis.set_xlim(min(cycles) - pad, max(cycles) + pad)
    _legend(axis)


def step_panels(steps: StepTable) -> tuple[str, ...]:
    """Return what a table of steps can show."""
    columns = {
        "charge": ("charge_capacity_ah", "discharge_capacity_ah"),
        "voltage": ("start_voltage_v", "end_voltage_v"),
        "temperature": ("max_temperature_degc",),
    }
    return tuple(
        panel
        for panel, names in columns.items()
        if any(np.isfinite(steps.column(n)).any() for n in names)
    )


def draw_steps(axes: Sequence["Axes"], steps: StepTable, panels: Sequence[str]) -> None:
    """Draw each step of a source that has no samples, in the order of the file."""
    row = np.arange(len(steps), dtype=float)
    for axis, panel in zip(axes, panels, strict=False):
        axis.set_ylabel(_STEP_LABELS[panel])
        if panel == "voltage":
            pair = [steps.column("start_voltage_v"), steps.column("end_voltage_v")]
            gap = np.full(row.size, np.nan)
            x = np.column_stack([row, row + 1.0, row]).ravel()
            axis.plot(x, np.column_stack([*pair, gap]).ravel(), color=_LINE, lw=0.9)
        elif panel == "temperature":
            y = steps.column("max_temperature_degc")
            axis.plot(row + 0.5, y, ".", color=_LINE, ms=2.5)
        else:
            for kind, name, sign, colour in (
                ("charge", "charge_capacity_ah", 1.0, _LINE),
                ("discharge", "discharge_capacity_ah", -1.0, "#b8610f"),
            ):
                chosen = steps.kind == STEP_KINDS.index(kind)
                chosen &= np.isfinite(steps.column(name))
                if chosen.any():
                    y = sign * steps.column(name)[chosen]
                    label = f"{kind} ({int(chosen.sum())} steps)"
                    axis.vlines(row[chosen] + 0.5, 0.0, y, color=colour, label=label)
            axis.axhline(0.0, color="#9aa5af", lw=0.6)
            _legend(axis)
    axes[-1].set_xlabel("Step of the file (from 0)")


def draw_spectra(nyquist: "Axes", bode: "Axes", spectra: Sequence[Spectrum]) -> None:
    """Draw spectra as a Nyquist diagram with equal axes, and as a Bode diagram."""
    import matplotlib

    whole = [_finite(s) for s in spectra]
    largest = max((float(np.abs(z).max()) for _, z in whole if z.size), default=1.0)
    unit, scale = ("mΩ", 1000.0) if largest < 1.0 else ("Ω", 1.0)
    shades = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, len(spectra)))
    phase = bode.twinx()
    for i, (frequency_hz, z) in enumerate(whole):
        colour = _LINE if len(spectra) == 1 else shades[i]
        label = _spectrum_label(i, spectra[i]) if len(spectra) <= FEW_SPECTRA else ""
        style: dict[str, Any] = {"color": colour, "lw": 0.8, "ms": 3}
        nyquist.plot(scale * z.real, -scale * z.imag, "o-", label=label, **style)
        seen = frequency_hz > 0.0
        bode.plot(frequency_hz[seen], scale * np.abs(z[seen]), "o-", **style)
        angle = np.degrees(np.angle(z[seen]))
        phase.plot(frequency_hz[seen], angle, "s--", mfc="none", alpha=0.7, **style)
    if len(whole) == 1:
        _decades(nyquist, *whole[0], scale)
    elif len(spectra) <= FEW_SPECTRA:
        nyquist.legend(frameon=False, fontsize="small")
    else:
        nyquist.set_title(f"{len(spectra)} spectra, first dark to last light", size=9)
    nyquist.set_aspect("equal", adjustable="datalim")
    nyquist.set_xlabel(f"Re Z / {unit}")
    nyquist.set_ylabel(f"−Im Z / {unit} (capacitive up)")
    bode.set_xscale("log")
    sizes = np.concatenate([np.abs(z) for _, z in whole] or [np.ones(1)])
    if sizes.size and sizes.max() > 10.0 * sizes.min() > 0.0:
        bode.set_yscale("log")
    bode.set_xlabel("Frequency / Hz")
    bode.set_ylabel(f"|Z| / {unit} (line)")
    phase.set_ylabel("Phase of Z / ° (dashed)")
    phase.spines["right"].set_visible(True)
    phase.grid(visible=False)


def decimated(x: Floats, y: Floats, bins: int = MAX_BINS) -> tuple[Floats, Floats]:
    """Return at most 2 * bins points that keep every bin's extremes.

    Parameters
    ----------
    x, y : (n,) in order of time; NaN in y is a gap and is kept where a bin holds
        nothing else
    bins : equal shares of the samples
    """
    if x.size <= 2 * bins:
        return x, y
    starts = np.linspace(0, x.size, bins, endpoint=False).astype(np.int64)
    kept: list[int] = []
    for a, b in zip(starts, [*starts[1:], x.size], strict=True):
        part = y[a:b]
        if np.isnan(part).all():
            kept.append(int(a))
        else:
            kept.extend(
                sorted({int(a + np.nanargmin(part)), int(a + np.nanargmax(part))})
            )
    return x[kept], y[kept]


def _broken(trace: Trace, clock: Clock, values: Floats) -> tuple[Floats, Floats]:
    """Return a thinned line with a gap after each segment."""
    xs: list[Floats] = []
    ys: list[Floats] = []
    gap = np.array([np.nan])
    for part in trace.segments():
        share = (part.stop - part.start) / trace.n_samples
        bins = max(20, round(MAX_BINS * share))
        x, y = decimated(clock.x[part], values[part], bins)
        xs += [x, gap]
        ys += [y, gap]
    return np.concatenate(xs)[:-1], np.concatenate(ys)[:-1]


def _finish(axis: "Axes", clock: Clock, name: str) -> None:
    axis.set_ylabel(_LABELS[name])
    axis.margins(x=0.01)
    if 0 < clock.edges.size < FEW_SEGMENTS:
        for edge in clock.edges:
            axis.axvline(edge, color="#9aa5af", lw=0.6, ls=":")


def _legend(axis: "Axes") -> None:
    """Put the legend above the axis, where no data are."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 0.98),
            ncols=3,
            frameon=False,
            fontsize="small",
            borderaxespad=0.0,
        )


def _decades(axis: "Axes", frequency_hz: Floats, z: Any, scale: float) -> None:
    """Write the frequency at the point nearest to each power of ten, where it fits."""
    seen = np.flatnonzero(frequency_hz > 0.0)
    if not seen.size:
        return
    exponent = np.log10(frequency_hz[seen])
    room = 0.07 * max(np.ptp(z.real), np.ptp(z.imag))
    written: list[complex] = []
    for power in range(int(np.ceil(exponent.min())), int(exponent.max()) + 1):
        i = seen[int(np.abs(exponent - power).argmin())]
        if any(abs(z[i] - other) < room for other in written):
            continue
        written.append(z[i])
        prefix, shift = ("k", 3) if power >= 3 else ("", 0)
        axis.annotate(
            f"{10.0 ** (power - shift):g} {prefix}Hz",
            (scale * z[i].real, -scale * z[i].imag),
            xytext=(4, 5),
            textcoords="offset points",
            fontsize="small",
        )


def _finite(spectrum: Spectrum) -> tuple[Floats, npt.NDArray[np.complex128]]:
    z = spectrum.z_re_ohm + 1j * spectrum.z_im_ohm
    seen = np.isfinite(z) & np.isfinite(spectrum.frequency_hz)
    return spectrum.frequency_hz[seen], z[seen]


def _spectrum_label(i: int, spectrum: Spectrum) -> str:
    text = f"spectrum {i}"
    if np.isfinite(spectrum.time_s):
        text += f", {spectrum.time_s / 3600.0:.4g} h"
    if np.isfinite(spectrum.temperature_degc):
        text += f", {spectrum.temperature_degc:.3g} °C"
    return text


def _cycle(estimate: Estimate) -> int:
    return -1 if estimate.cycle is None else estimate.cycle
