"""Pictures of a trace and of capacity over cycles (extra: report)."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from battlife.errors import InputError
from battlife.model import Estimate, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BINS: Final = 2000
"""More bins than a picture has pixels across; each keeps its extremes."""

_ROWS: Final = (
    ("voltage_v", "Voltage / V"),
    ("current_a", "Current / A\n(positive charges)"),
    ("temperature_degc", "Temperature / °C"),
)
_FLAGGED: Final = "#b3261e"
_LINE: Final = "#1b5e8c"


def plot_trace(trace: Trace, path: Path) -> None:
    """Draw voltage, current and temperature over time.

    Raises
    ------
    InputError
        matplotlib is not installed, the suffix is not .png, .svg or .html, or the
        file cannot be written.
    """
    plot_overview(trace, (), path)


def plot_capacity(estimates: Sequence[Estimate], path: Path) -> None:
    """Draw discharge capacity over cycles; errors as :func:`plot_trace`."""
    figure = _figure(1)
    _capacity(figure.subplots(), estimates)
    _save(figure, path)


def plot_overview(trace: Trace, estimates: Sequence[Estimate], path: Path) -> None:
    """Draw a trace and, below it, its capacities; errors as :func:`plot_trace`."""
    present = [(n, label) for n, label in _ROWS if n in trace.columns]
    capacities = [e for e in estimates if e.method == "capacity"]
    rows = len(present) + bool(capacities)
    figure = _figure(max(rows, 1))
    axes = list(figure.subplots(max(rows, 1), 1, squeeze=False)[:, 0])
    time_h = _laid_end_to_end(trace) / 3600.0
    for axis, (name, label) in zip(axes, present, strict=False):
        values = trace.columns[name]
        for part in trace.segments():
            axis.plot(*decimated(time_h[part], values[part]), color=_LINE, lw=0.8)
        axis.set_ylabel(label)
        axis.set_xlabel("Time / h (segments end to end)")
    if capacities:
        _capacity(axes[-1], capacities)
    if not rows:
        axes[0].text(0.5, 0.5, "no samples to draw", ha="center", va="center")
    figure.suptitle(trace.unit_id.replace("$", r"\$"))
    _save(figure, path)


def decimated(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return at most 2 * MAX_BINS points that keep every bin's extremes.

    Parameters
    ----------
    x, y : (n,) in order of time; NaN in y is a gap and is kept where a bin holds
        nothing else
    """
    if x.size <= 2 * MAX_BINS:
        return x, y
    starts = np.linspace(0, x.size, MAX_BINS, endpoint=False).astype(np.int64)
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


def _laid_end_to_end(trace: Trace) -> npt.NDArray[np.float64]:
    time_s = np.array(trace.time_s)
    end_s = 0.0
    for part in trace.segments():
        time_s[part] += end_s - time_s[part][0]
        end_s = float(time_s[part][-1])
    return time_s


def _capacity(axis: "Axes", estimates: Sequence[Estimate]) -> None:
    good = [e for e in estimates if "discharge_capacity_ah" in e.measurements]
    points = [e.measurements["discharge_capacity_ah"] for e in good]
    axis.errorbar(
        [_cycle(e) for e in good],
        [float(np.mean(m.value)) for m in points],
        yerr=[2.0 * float(np.mean(m.uncertainty or 0.0)) for m in points],
        fmt=".",
        color=_LINE,
        ecolor="#9db8c9",
        label="accepted, ± 2u",
    )
    refused = [_cycle(e) for e in estimates if e.status == "refused"]
    if refused:
        axis.plot(
            refused,
            [0.03] * len(refused),
            "x",
            color=_FLAGGED,
            transform=axis.get_xaxis_transform(),
            label="refused",
        )
    axis.set_xlabel("Discharge number / 1")
    axis.set_ylabel("Discharge\ncapacity / Ah")
    axis.legend(loc="best", frameon=False, fontsize="small")


def _cycle(estimate: Estimate) -> int:
    return -1 if estimate.cycle is None else estimate.cycle


def _figure(rows: int) -> "Figure":
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "plots need matplotlib, which is not installed",
            'pip install "battlife[report]"',
        ) from error
    figure = Figure(figsize=(9.0, 1.2 + 2.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: "Figure", path: Path) -> None:
    import matplotlib

    suffix = path.suffix.lower()
    if suffix not in (".png", ".svg", ".html"):
        raise InputError(
            f"{path}: no picture format is called {suffix!r}",
            "one of .png, .svg, .html",
        )
    options: dict[str, Any] = {"format": "png", "dpi": 120}
    if suffix != ".png":
        options = {"format": "svg", "metadata": {"Date": None}}
    drawn = io.BytesIO()
    # A fixed salt instead of a random one: the same trace gives the same file.
    with matplotlib.rc_context({"svg.hashsalt": "battlife"}):
        figure.savefig(drawn, **options)
    content = drawn.getvalue()
    if suffix == ".html":
        svg = content[content.index(b"<svg") :]
        head = b'<!doctype html><html lang="en"><meta charset="utf-8"><title>battlife'
        content = head + b"</title><body>" + svg + b"</body></html>\n"
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
