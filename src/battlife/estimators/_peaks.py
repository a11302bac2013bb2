"""Peaks of a smoothed curve with their uncertainties, and the same peak over life.

A curve smoothed by a Gaussian of standard deviation s from samples with white noise
carries the noise of a kernel estimate (Silverman, Density Estimation, 1986, 3.3): with
S the noise of the samples per unit of the axis, its variance is S int K'^2 =
S / (4 sqrt(pi) s^3), that of its slope S int K''^2 = 3 S / (8 sqrt(pi) s^5), that of
its integral S int K^2 = S / (2 sqrt(pi) s). A top lies where the slope is zero, so its
place moves by the noise of the slope over the curvature.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from battlife.kernels.incremental import find_peaks
from battlife.model import Column

PROMINENT = 0.05
"""A peak stands out by at least this share of the highest: shoulders and ripples below
that come and go with the smoothing."""
SURE = 5.0
"""And by five standard deviations of the noise: of some 100 independent places along a
curve less than one in 10^4 curves then has a peak of noise."""
INSIDE = 2.0
"""Standard deviations of the smoothing between a top and the end of the window."""
CLOSED = 0.5
"""A flank that ends at the window's edge is whole if it fell to half the height."""
LOCATED = 2.0
"""Standard deviations of the smoothing within which a top must be known: a plateau
whose highest place the noise decides is none."""
_ROOT_PI = math.sqrt(math.pi)


@dataclass(frozen=True, eq=False)
class Smooth:
    """A smoothed curve and its noise.

    Attributes
    ----------
    x : (m,) axis, at equal distances
    y : (m,) curve
    sd : standard deviation of the smoothing, in the unit of x
    noise : (m,) S above, unit of y squared times that of x to the third power
    """

    x: Column
    y: Column
    sd: float
    noise: Column

    def height_noise(self) -> Column:
        """Return the (m,) standard deviation of y."""
        sd: Column = np.sqrt(self.noise / (4.0 * _ROOT_PI * self.sd**3))
        return sd

    def slope_noise(self) -> Column:
        """Return the (m,) standard deviation of the slope of y."""
        sd: Column = np.sqrt(3.0 * self.noise / (8.0 * _ROOT_PI * self.sd**5))
        return sd

    def integral_noise(self) -> Column:
        """Return the (m,) standard deviation of the integral of y up to there."""
        sd: Column = np.sqrt(self.noise / (2.0 * _ROOT_PI * self.sd))
        return sd


@dataclass(frozen=True)
class Peak:
    """A peak; `u_` is one standard uncertainty from the noise of the samples alone.

    Attributes
    ----------
    x, y : place and height of the top
    area : integral of y between the places where it has fallen half-way to the lowest
        value on either side; NaN where the window cuts a flank
    left, right : those places
    """

    x: float
    y: float
    area: float
    left: float
    right: float
    u_x: float
    u_y: float
    u_area: float


def peaks_of(curve: Smooth) -> tuple[Peak, ...]:
    """Return the peaks of a curve that stand out, from left to right."""
    if curve.y.size < 5 or not np.isfinite(curve.y).all():
        return ()
    step = float(curve.x[1] - curve.x[0])
    edge = INSIDE * curve.sd
    inside = (curve.x >= curve.x[0] + edge) & (curve.x <= curve.x[-1] - edge)
    if not inside.any():
        return ()
    u_y, u_slope, u_sum = (
        curve.height_noise(),
        curve.slope_noise(),
        curve.integral_noise(),
    )
    # Of what lies inside: at an end of charge dV/dQ rises beyond every peak.
    tops, _, _ = find_peaks(curve.y, SURE * u_y)
    tops = tops[inside[tops]]
    if not tops.size:
        return ()
    highest = float(curve.y[tops].max())
    least = np.maximum(PROMINENT * highest, SURE * u_y)
    tops, left, right = find_peaks(curve.y, least)
    running = np.concatenate([[0.0], np.cumsum(0.5 * (curve.y[1:] + curve.y[:-1]))])
    running *= step
    found = []
    for top, a, b in zip(tops.tolist(), left.tolist(), right.tolist(), strict=True):
        if not inside[top]:
            continue
        x, y = _vertex(curve, top, step)
        bend = _bend(curve, top, step)
        u_place = float(u_slope[top]) / bend if bend > 0 else np.inf
        if u_place > LOCATED * curve.sd:
            continue
        edges = [_half_way(curve, top, valley) for valley in (a, b)]
        area, u_area = float("nan"), float("nan")
        if all(np.isfinite(e[0]) for e in edges):
            sums = [float(np.interp(e[0], curve.x, running)) for e in edges]
            area = sums[1] - sums[0]
            shifts = [e[1] for e in edges]
            u_area = math.hypot(*shifts, float(u_sum[a]), float(u_sum[b]))
        found.append(
            Peak(
                x=x,
                y=y,
                area=area,
                left=edges[0][0],
                right=edges[1][0],
                u_x=math.hypot(u_place, step / math.sqrt(12.0)),
                u_y=float(u_y[top]),
                u_area=u_area,
            )
        )
    return tuple(found)


def _vertex(curve: Smooth, top: int, step: float) -> tuple[float, float]:
    """Return the vertex of the parabola through a top and its neighbours."""
    a, b, c = (float(v) for v in curve.y[top - 1 : top + 2])
    bend = a - 2.0 * b + c
    shift = 0.5 * (a - c) / bend if bend < 0 else 0.0
    return float(curve.x[top]) + shift * step, b - 0.25 * (a - c) * shift


def _bend(curve: Smooth, top: int, step: float) -> float:
    """Return the curvature at a top, unsigned; 0 where it is none over its width.

    The smaller of that between neighbours, which noise sharpens, and that over two
    standard deviations of the smoothing, which is less than that of a narrow peak.
    """
    wide = max(round(2.0 * curve.sd / step), 1)
    found = [
        (2.0 * y - float(curve.y[top - k]) - float(curve.y[top + k])) / (k * step) ** 2
        for k in (1, min(wide, top, curve.y.size - 1 - top))
        for y in (float(curve.y[top]),)
    ]
    return max(min(found), 0.0)


def _half_way(curve: Smooth, top: int, valley: int) -> tuple[float, float]:
    """Return where a peak has fallen half-way to a valley, and what noise makes of it.

    There a curve is steep, while the lowest place of a flat valley is anywhere.

    Returns
    -------
    place : in the unit of x; NaN where the window ends before the flank does
    share : standard deviation of the area for that of the place and the level
    """
    nothing = (float("nan"), float("nan"))
    y, u = curve.y, curve.height_noise()
    at_end = valley in (0, y.size - 1)
    if valley == top or (at_end and y[valley] > CLOSED * y[top]):
        return nothing
    level = 0.5 * float(y[top] + y[valley])
    way = 1 if valley > top else -1
    part = y[top : valley + way : way] if valley + way >= 0 else y[top::-1]
    below = int(np.argmax(part <= level))
    k = top + way * below
    drop = float(y[k - way] - y[k])
    if below == 0 or not drop > 0:
        return nothing
    step = float(curve.x[1] - curve.x[0])
    place = float(curve.x[k]) - way * step * (level - float(y[k])) / drop
    u_level = math.hypot(float(u[k]), 0.5 * float(u[top]), 0.5 * float(u[valley]))
    return place, level * u_level * step / drop


def followed(
    places: Sequence[Sequence[float]], reach: float
) -> tuple[tuple[int, ...], ...]:
    """Return the number, from 1, of each peak, the same for the same peak over life.

    The peaks of the first curve are numbered from left to right. In each later curve
    the closest pair of a peak and a number's last place is matched first; a peak
    further than `reach` from every free number is a new one.

    Parameters
    ----------
    places : of the peaks of each curve, in order of the test
    reach : how far a peak moves at most from one curve to the next
    """
    last: list[float] = []
    numbered = []
    for row in places:
        pairs = sorted(
            (abs(x - y), i, j) for i, x in enumerate(row) for j, y in enumerate(last)
        )
        given: dict[int, int] = {}
        for distance, i, j in pairs:
            if distance <= reach and i not in given and j not in given.values():
                given[i] = j
        for i, x in enumerate(row):
            if i not in given:
                given[i] = len(last)
                last.append(x)
            last[given[i]] = x
        numbered.append(tuple(given[i] + 1 for i in range(len(row))))
    return tuple(numbered)
