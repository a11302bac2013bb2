"""A small drawing of capacity over cycles, as inline SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_LEFT, _TOP, _WIDTH, _HEIGHT = 55.0, 10.0, 520.0, 170.0


def capacity_svg(history: Sequence[Mapping[str, Any]], max_points: int = 400) -> str:
    """Return an SVG element of discharge capacity over cycles.

    Parameters
    ----------
    history : objects with cycle, discharge_capacity_ah, uncertainty (k = 1), status;
        without a capacity a cycle is marked as refused
    max_points : a longer history is thinned evenly to at most this many
    """
    step = max(1, math.ceil(len(history) / max_points))
    kept = [h for h in history[::step] if _number(h.get("cycle")) is not None]
    values = [v for h in kept if (v := _number(h.get("discharge_capacity_ah")))]
    if not kept:
        return "<p>no cycles</p>"
    cycles = [float(h["cycle"]) for h in kept]
    x_low, x_high = min(cycles), max(max(cycles), min(cycles) + 1.0)
    # From zero: a loss of capacity then looks as large as it is.
    y_high = 1.05 * max(values, default=1.0)

    def x_of(cycle: float) -> float:
        return _LEFT + _WIDTH * (cycle - x_low) / (x_high - x_low)

    def y_of(value: float) -> float:
        return _TOP + _HEIGHT * (1.0 - value / y_high)

    marks = []
    for entry, cycle in zip(kept, cycles, strict=True):
        x = x_of(cycle)
        value = _number(entry.get("discharge_capacity_ah"))
        title = f"cycle {cycle:g}: {entry.get('status') or ''}"
        if value is None or entry.get("status") == "refused":
            y = _TOP + _HEIGHT - 4
            cross = f"M{x - 3:.1f} {y - 3:.1f}l6 6m0-6l-6 6"
            marks.append(_titled(f'<path class="x" d="{cross}">', "path", title))
            continue
        spread = 2.0 * (_number(entry.get("uncertainty")) or 0.0)
        if spread:
            top, bottom = y_of(value + spread), y_of(max(value - spread, 0.0))
            marks.append(f'<path class="u" d="M{x:.1f} {top:.1f}V{bottom:.1f}"/>')
        title += f" {value:.4g} Ah"
        for name, unit in (("temperature_degc", "degC"), ("rate_c", "C")):
            extra = _number(entry.get(name))
            if extra is not None:
                title += f", {extra:.3g} {unit}"
        dot = f'<circle class="p" r="2" cx="{x:.1f}" cy="{y_of(value):.1f}">'
        marks.append(_titled(dot, "circle", title))
    ticks = "".join(
        f'<text x="{_LEFT - 6}" y="{y_of(t) + 4:.1f}" text-anchor="end">{t:.3g}</text>'
        for t in (0.0, y_high / 2.1, y_high / 1.05)
    )
    bottom = _TOP + _HEIGHT
    return (
        f'<svg viewBox="0 0 600 225" width="600" role="img" '
        'aria-label="discharge capacity over cycles">'
        f'<path class="a" d="M{_LEFT} {_TOP}V{bottom}H{_LEFT + _WIDTH}"/>{ticks}'
        f'<text x="{_LEFT}" y="{bottom + 15}">{x_low:g}</text>'
        f'<text x="{_LEFT + _WIDTH}" y="{bottom + 15}" text-anchor="end">'
        f'{x_high:g}</text><text x="{_LEFT + _WIDTH / 2}" y="{bottom + 30}" '
        'text-anchor="middle">Discharge number / 1 (bars ± 2u, crosses refused)</text>'
        f'<text transform="translate(12 {_TOP + _HEIGHT / 2}) rotate(-90)" '
        f'text-anchor="middle">Capacity / Ah</text>{"".join(marks)}</svg>'
    )


def _titled(opening: str, tag: str, title: str) -> str:
    return f"{opening}<title>{escape(title)}</title></{tag}>"


def _number(value: Any) -> float | None:
    """Return a finite number from a plain number, an object with value, or None."""
    if isinstance(value, Mapping):
        value = value.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None
