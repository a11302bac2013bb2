"""Checks every trace passes after reading; findings become notices.

Nothing is repaired: a check says what it found, and a finding that means wrong values
(scale, unit, sign) is suspect, which forbids grading.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from battlife.model import Column, Notice, Severity, Trace
from battlife.quantities import QUANTITIES
from battlife.readers._counters import (
    SUSPECT_BEYOND,
    counter_notices,
    quantum,
    step_notices,
)

__all__ = ["checked"]

ABSURD_SHARE: Final = 0.01
"""Share of absurd voltages or currents from which a column has the wrong unit."""
SWING_V: Final = 0.05
"""Least voltage change of a charge or discharge that tells its direction."""
MIN_RUN: Final = 10
"""Samples a charge or discharge must have to tell its direction."""
MIN_STEADY_RUN: Final = 3
STEADY: Final = 0.02
"""Fewer samples tell it where the current is steady to this share: a change of the
voltage is then the cell's and not the drop over its resistance."""


def checked(trace: Trace) -> Trace:
    """Return the trace with the findings of all checks among its notices.

    A finding the trace already carries is not repeated.
    """
    found = [
        *_plausible(trace),
        *_missing(trace),
        *_clock(trace),
        *_power(trace),
        *_direction(trace),
        *counter_notices(trace),
        *step_notices(trace),
    ]
    fresh = [n for n in found if n not in trace.provenance.notices]
    if not fresh:
        return trace
    return replace(trace, provenance=trace.provenance.with_notices(*fresh))


def _plausible(trace: Trace) -> list[Notice]:
    notices = []
    for name, values in trace.columns.items():
        quantity = QUANTITIES[name]
        with np.errstate(invalid="ignore"):
            odd = (values < quantity.low) | (values > quantity.high)
        count = int(odd.sum())
        if not count:
            continue
        share = count / max(1, int(np.isfinite(values).sum()))
        worst = float(values[odd].flat[0])
        vital = name in ("voltage_v", "current_a", "cell_voltage_v")
        notices.append(
            Notice(
                "implausible_values",
                f"{name}: {count} values outside {quantity.low:g} to "
                f"{quantity.high:g} {quantity.unit}, the first is {worst:g}",
                Severity.SUSPECT
                if vital and share > ABSURD_SHARE
                else Severity.WARNING,
            )
        )
    return notices


def _missing(trace: Trace) -> list[Notice]:
    notices = []
    for name, values in trace.columns.items():
        absent = int(np.isnan(values).sum())
        if not absent:
            continue
        vital = name in ("voltage_v", "current_a")
        everything = absent == values.size
        notices.append(
            Notice(
                "empty_column" if everything else "missing_values",
                f"{name}: {'all' if everything else absent} of {values.size} values "
                "are missing",
                Severity.WARNING if vital else Severity.INFO,
            )
        )
    return notices


def _clock(trace: Trace) -> list[Notice]:
    if "unix_time_s" not in trace.columns:
        return []
    wall = trace.columns["unix_time_s"]
    spans = [
        (
            trace.time_s[s.stop - 1] - trace.time_s[s.start],
            wall[s.stop - 1] - wall[s.start],
        )
        for s in trace.segments()
    ]
    known = [(a, b) for a, b in spans if np.isfinite(b) and a > 0 and b > 0]
    own = sum(a for a, _ in known)
    clock = sum(b for _, b in known)
    # A second or two is the resolution of a wall clock.
    if not known or abs(own - clock) <= max(2.0 * len(known), SUSPECT_BEYOND * clock):
        return []
    ratio = own / clock
    named = any(
        abs(ratio / r - 1) < SUSPECT_BEYOND for r in (60, 3600, 1e3, 1 / 60, 1 / 3600)
    )
    return [
        Notice(
            "time_scale_suspect" if named else "clocks_disagree",
            f"time_s spans {own:.6g} s, the wall clock {clock:.6g} s: "
            + (
                f"a wrong time unit (factor {ratio:.4g})?" if named else "they disagree"
            ),
            Severity.SUSPECT if named else Severity.WARNING,
        )
    ]


def _power(trace: Trace) -> list[Notice]:
    if not {"power_w", "voltage_v", "current_a"} <= set(trace.columns):
        return []
    power = np.abs(trace.columns["power_w"])
    product = np.abs(trace.columns["voltage_v"] * trace.columns["current_a"])
    with np.errstate(invalid="ignore"):
        big = (power > 0.1 * np.nanmax(power, initial=0.0)) & np.isfinite(product)
        big &= power > 20 * quantum(trace.columns["power_w"], 0)
    if big.sum() < MIN_RUN:
        return []
    ratio = float(np.median(product[big] / power[big]))
    if abs(ratio - 1) <= SUSPECT_BEYOND:
        return []
    return [
        Notice(
            "power_disagrees",
            f"voltage x current is {ratio:.4g} times the power column: scale or unit "
            "of one of the three?",
            Severity.SUSPECT,
        )
    ]


def _tells(current_a: Column) -> bool:
    """Say whether a run of one direction is long enough to show it."""
    if current_a.size >= MIN_RUN:
        return True
    low, high = float(np.abs(current_a).min()), float(np.abs(current_a).max())
    return current_a.size >= MIN_STEADY_RUN and high - low <= STEADY * high


def _direction(trace: Trace) -> list[Notice]:
    if not {"voltage_v", "current_a"} <= set(trace.columns):
        return []
    voltage, current = trace.columns["voltage_v"], trace.columns["current_a"]
    if not np.isfinite(current).any():
        return []
    rest = 0.05 * float(np.nanmax(np.abs(current)))
    right = wrong = 0.0
    for part in trace.segments():
        with np.errstate(invalid="ignore"):
            way = np.where(current[part] > rest, 1, 0) - np.where(
                current[part] < -rest, 1, 0
            )
        edges = np.flatnonzero(np.diff(way)) + 1
        bounds = np.r_[0, edges, way.size]
        for a, b in zip(bounds[:-1], bounds[1:], strict=True):
            if way[a] == 0 or not _tells(current[part][a:b]):
                continue
            # The first sample may still hold the voltage before the step.
            swing = voltage[part.start + b - 1] - voltage[part.start + a + 1]
            if abs(swing) < SWING_V:
                continue
            span = float(
                trace.time_s[part.start + b - 1] - trace.time_s[part.start + a]
            )
            if swing * way[a] > 0:
                right += span
            else:
                wrong += span
    if wrong <= 9 * right or wrong == 0:
        return []
    return [
        Notice(
            "sign_suspect",
            f"voltage falls while charging or rises while discharging for {wrong:.0f} "
            f"s (as expected for {right:.0f} s): the sign of the current is wrong?",
            Severity.SUSPECT,
        )
    ]
