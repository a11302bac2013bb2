"""A drawing of capacity over cycles, as an inline figure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from battlife.reports.wording import code_text, escaped, number

_LEFT, _TOP, _WIDTH, _HEIGHT = 66.0, 14.0, 640.0, 190.0

FRAME_BYTES: Final = 1_800
"""Upper estimate of a figure without its points."""

_TITLED_BYTES: Final = 240
_BARE_BYTES: Final = 36
"""Upper estimates of one point with its bar: with its own title, and within a path."""


def capacity_svg(
    history: Sequence[Mapping[str, Any]],
    nominal_ah: float | None = None,
    budget_bytes: int = 120_000,
) -> str:
    """Return a figure of discharge capacity over cycles with its caption.

    Parameters
    ----------
    history : objects with cycle, discharge_capacity_ah, uncertainty (k = 1), status,
        reasons; what has no capacity or was refused is marked as refused
    nominal_ah : rated capacity, drawn as a dashed line
    budget_bytes : what the points may cost. Points lose their titles first, then all
        but the extremes of equal ranges of cycles are left out, and the caption says so
    """
    if not history:
        return "<p>No discharge was found.</p>"
    numbered = [(_cycle(h, i), h) for i, h in enumerate(history)]
    accepted = [
        (c, v, h)
        for c, h in numbered
        if h.get("status") != "refused"
        and (v := number(h.get("discharge_capacity_ah"))) is not None
    ]
    taken = {id(h) for _, _, h in accepted}
    refused = [(c, h) for c, h in numbered if id(h) not in taken]
    titled = len(accepted) * _TITLED_BYTES <= budget_bytes
    most = max(budget_bytes // _BARE_BYTES, 40)
    drawn = accepted if titled else _thinned(accepted, most)
    x_low = min(c for c, _ in numbered) - 0.5
    x_high = max(c for c, _ in numbered) + 0.5
    # From zero: a loss of capacity then looks as large as it is.
    largest = max((v for _, v, _ in accepted), default=0.0)
    rated = number(nominal_ah)
    # Far above all that was measured it would flatten the rest to a line.
    if rated is not None and (rated <= 0.0 or 0.0 < 4.0 * largest < rated):
        rated = None
    y_high = 1.08 * max(largest, rated or 0.0, 1e-9)

    def x_of(cycle: float) -> float:
        return _LEFT + _WIDTH * (cycle - x_low) / (x_high - x_low)

    def y_of(value: float) -> float:
        return _TOP + _HEIGHT * (1.0 - min(max(value / y_high, 0.0), 1.0))

    parts = [_axes(x_low, x_high, y_high, x_of, y_of)]
    if rated is not None:
        y = y_of(rated)
        parts.append(
            f'<path class="q" d="M{_LEFT} {y:.1f}h{_WIDTH}"/>'
            f'<text x="{_LEFT + _WIDTH}" y="{y - 4:.1f}" class="e">rated '
            f"{rated:.4g} Ah</text>"
        )
    bars, dots, circles = [], [], []
    for cycle, value, entry in drawn:
        x, y = x_of(cycle), y_of(value)
        spread = 2.0 * (number(entry.get("uncertainty")) or 0.0)
        if spread:
            bars.append(f"M{x:.1f} {y_of(value + spread):.1f}")
            bars.append(f"V{y_of(value - spread):.1f}")
        if titled:
            circles.append(
                f'<circle class="p" r="2.5" cx="{x:.1f}" cy="{y:.1f}"><title>'
                f"{escaped(_told(cycle, value, spread, entry))}</title></circle>"
            )
        else:
            dots.append(f"M{x:.1f} {y:.1f}h0")
    if bars:
        parts.append(f'<path class="u" d="{"".join(bars)}"/>')
    if dots:
        parts.append(f'<path class="o" d="{"".join(dots)}"/>')
    parts.extend(circles)
    parts.extend(_crosses(refused, x_of, most))
    words = _caption(accepted, refused, len(drawn))
    return (
        '<figure><svg viewBox="0 0 720 250" role="img" aria-label="Discharge capacity '
        f'over cycles">{"".join(parts)}</svg>'
        f"<figcaption>{escaped(words)}</figcaption></figure>"
    )


def _axes(x_low: float, x_high: float, y_high: float, x_of: Any, y_of: Any) -> str:
    bottom, right = _TOP + _HEIGHT, _LEFT + _WIDTH
    grid, ticks, words = "", "", ""
    step = _step(y_high, 5)
    for i in range(int(y_high / step) + 1):
        y = y_of(i * step)
        grid += f"M{_LEFT:g} {y:.1f}H{right:g}"
        words += f'<text class="e" x="{_LEFT - 6:g}" y="{y + 4:.1f}">{i * step:.6g}'
        words += "</text>"
    every = max(1.0, _step(x_high - x_low, 9))
    tick = every * math.ceil(x_low / every)
    while tick <= x_high:
        x = x_of(tick)
        ticks += f"M{x:.1f} {bottom:g}v4"
        words += f'<text x="{x:.1f}" y="{bottom + 17:g}">{tick:.15g}</text>'
        tick += every
    return (
        f'<path class="g" d="{grid}"/>'
        f'<path class="a" d="M{_LEFT:g} {_TOP:g}V{bottom:g}H{right:g}{ticks}"/>{words}'
        f'<text x="{_LEFT + _WIDTH / 2:g}" y="{bottom + 36:g}">'
        "Discharge number (from 0)</text>"
        f'<text transform="translate(12 {_TOP + _HEIGHT / 2:g}) rotate(-90)">'
        "Discharge capacity / Ah</text>"
    )


def _crosses(
    refused: Sequence[tuple[float, Mapping[str, Any]]], x_of: Any, most: int
) -> list[str]:
    """Return a path of crosses for each reason; those that coincide are drawn once."""
    y = _TOP + _HEIGHT - 7
    grid = max(1.0, _WIDTH / most)
    by_reason: dict[str, dict[int, None]] = {}
    for cycle, entry in refused:
        place = by_reason.setdefault(_reason(entry), {})
        place[round(x_of(cycle) / grid)] = None
    paths = []
    for reason, places in by_reason.items():
        d = "".join(f"M{p * grid - 3.5:.1f} {y - 3.5}l7 7m0-7l-7 7" for p in places)
        title = escaped(f"refused: {reason}")
        paths.append(f'<path class="x" d="{d}"><title>{title}</title></path>')
    return paths


def _thinned(
    points: list[tuple[float, float, Mapping[str, Any]]], most: int
) -> list[tuple[float, float, Mapping[str, Any]]]:
    """Return the lowest and the highest point of each of most / 2 equal ranges."""
    if len(points) <= most:
        return points
    size = math.ceil(len(points) / (most // 2))
    kept: list[tuple[float, float, Mapping[str, Any]]] = []
    for first in range(0, len(points), size):
        part = points[first : first + size]
        ends = {
            min(part, key=lambda p: p[1])[0]: min(part, key=lambda p: p[1]),
            max(part, key=lambda p: p[1])[0]: max(part, key=lambda p: p[1]),
        }
        kept.extend(ends[c] for c in sorted(ends))
    return kept


def _told(cycle: float, value: float, spread: float, entry: Mapping[str, Any]) -> str:
    text = f"discharge {cycle:.15g}: {value:.4g} Ah"
    if spread:
        text += f" ± {spread:.2g} Ah (k = 2)"
    for name, unit in (("temperature_degc", "°C"), ("rate_c", "C")):
        extra = number(entry.get(name))
        if extra is not None:
            text += f", {extra:.3g} {unit}"
    remarks = [code_text(str(r)) for r in entry.get("reasons") or ()]
    return "; ".join([text, *remarks])


def _caption(
    accepted: Sequence[tuple[float, float, Mapping[str, Any]]],
    refused: Sequence[tuple[float, Mapping[str, Any]]],
    n_drawn: int,
) -> str:
    text = f"{len(accepted)} accepted (bars ± 2u, k = 2)"
    remarks = Counter(
        code_text(str(r)) for _, _, h in accepted for r in h.get("reasons") or ()
    )
    if remarks:
        text += "; of these " + _counted(remarks)
    if n_drawn < len(accepted):
        text += f"; {n_drawn} of them drawn, the extremes of equal ranges"
    if refused:
        reasons = Counter(_reason(h) for _, h in refused)
        text += f". {len(refused)} refused (crosses): {_counted(reasons)}"
    return f"{text}."


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {what}" for what, n in counts.most_common())


def _reason(entry: Mapping[str, Any]) -> str:
    codes = [code_text(str(r)) for r in entry.get("reasons") or ()]
    return " and ".join(codes) or "no capacity"


def _cycle(entry: Mapping[str, Any], position: int) -> float:
    cycle = number(entry.get("cycle"))
    # An absurd number would leave no room for the others.
    return float(position) if cycle is None or abs(cycle) > 1e9 else cycle


def _step(span: float, n: int) -> float:
    """Return the 1, 2 or 5 times a power of ten that divides a span into at most n."""
    power = 10.0 ** math.floor(math.log10(span / n))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= span / n)
