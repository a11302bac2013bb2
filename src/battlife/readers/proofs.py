"""Units that a file does not state, and scales that contradict themselves.

A unit is taken from the data only where the data prove it; otherwise the column is
left out and the trace is suspect.
"""

import numpy as np

from battlife.model import Column, Notice, Severity
from battlife.readers.clocks import clock_ratio

TIME_UNITS_S = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
SCALES = (1e-6, 1e-3, 1.0)
"""Factors of uA, mA and A, and so on."""

MIN_TOTAL_AH = 1e-9
MIN_STEPS = 3.0


def time_factor(
    time: Column,
    wall_s: Column | None,
    current_a: Column | None,
    counters: dict[str, Column],
) -> tuple[float, str] | None:
    """Return the seconds in one unit of a time column without unit, and the proof."""
    if wall_s is not None:
        rate = clock_ratio(time, wall_s)
        if rate is not None:
            near = _nearest(rate, tuple(TIME_UNITS_S.values()), 0.05)
            return None if near is None else (near, "its wall-clock column")
    if current_a is not None:
        share = counter_ratio(time, current_a, counters)
        if share is not None:
            near = _nearest(1.0 / share, tuple(TIME_UNITS_S.values()), 0.1)
            return None if near is None else (near, "its capacity counter")
    return None


def time_contradictions(
    time_s: Column, wall_s: Column | None, step_time_s: Column | None
) -> list[Notice]:
    """Return a suspect notice where a second clock of the file denies the time unit.

    The capacity counters are compared by the checks that every trace passes.
    """
    if wall_s is not None:
        rate = clock_ratio(time_s, wall_s)
        if rate is not None and abs(rate - 1.0) > 0.05:
            return [_scale(f"{rate:.4g} s of wall clock pass in each second of it")]
    if step_time_s is not None:
        dt, ds = np.diff(time_s), np.diff(step_time_s)
        with np.errstate(invalid="ignore"):
            both = (dt > 0) & (ds > 0)
        if both.sum() >= 10:
            rate = float(np.median(ds[both] / dt[both]))
            if not 0.1 < rate < 10.0:
                return [_scale(f"the step clock runs {rate:.4g} times as fast")]
    return []


def _scale(what: str) -> Notice:
    return Notice(
        "time_scale_contradicted",
        f"the time column is in another unit than stated: {what}",
        Severity.SUSPECT,
    )


def counter_ratio(
    time_s: Column, current_a: Column, counters: dict[str, Column]
) -> float | None:
    """Return charge integrated from current over charge counted by the tester.

    Returns
    -------
    ratio; None where the counters advance in fewer than three records
    """
    both = [
        counters[n]
        for n in ("charge_capacity_ah", "discharge_capacity_ah")
        if n in counters
    ]
    singles = [
        counters[n] for n in ("step_capacity_ah", "net_capacity_ah") if n in counters
    ]
    chosen = both or singles[:1]
    current_a = np.nan_to_num(current_a)
    if not chosen or time_s.size < 3:
        return None
    signed = not both and "step_capacity_ah" not in counters
    dt = np.diff(time_s)
    dq = np.zeros(dt.size)
    for counter in chosen:
        step = np.diff(counter)
        dq += np.abs(step) if signed else step
    mean = 0.5 * (np.abs(current_a[1:]) + np.abs(current_a[:-1]))
    with np.errstate(invalid="ignore"):
        # A counter that falls was reset: that record says nothing.
        usable = (dt > 0) & (dq >= 0) & np.isfinite(mean)
        advancing = usable & (dq > 0)
    if advancing.sum() < 3:
        return None
    # A counter that moved by a few of its own steps proves nothing.
    if float(dq[usable].sum()) < MIN_STEPS * float(dq[advancing].min()):
        return None
    counted = float(np.sum(dq[usable]))
    integrated = float(np.sum((mean * dt)[usable])) / 3600.0
    if counted < MIN_TOTAL_AH or integrated <= 0.0:
        return None
    return integrated / counted


def voltage_factor(voltage: Column) -> float | None:
    """Return 1 where a column without unit can only be the volts of one cell."""
    finite = np.abs(voltage[np.isfinite(voltage)])
    if not finite.size:
        return None
    # 0.5 to 6 mV or kV is no cell; the same number in mV would be hundreds.
    return 1.0 if 0.5 < float(finite.max()) <= 6.0 else None


def current_factor(
    time_s: Column,
    current: Column,
    voltage_v: Column | None,
    power_w: Column | None,
    counters: dict[str, Column],
) -> tuple[float, str] | None:
    """Return the amperes in one unit of a current without unit, and the proof."""
    if power_w is not None and voltage_v is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.abs(power_w / (voltage_v * current))
        ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
        if ratio.size >= 3:
            near = _nearest(float(np.median(ratio)), SCALES, 0.1)
            if near is not None:
                return near, "power over voltage"
    share = counter_ratio(time_s, current, counters)
    if share is not None:
        near = _nearest(1.0 / share, SCALES, 0.3)
        if near is not None:
            return near, "its capacity counter"
    return None


def counter_factor(time_s: Column, current_a: Column, counter: Column) -> float | None:
    """Return the ampere-hours in one unit of a counter without unit."""
    share = counter_ratio(time_s, current_a, {"step_capacity_ah": counter})
    return None if share is None else _nearest(share, SCALES, 0.3)


def _nearest(
    value: float, choices: tuple[float, ...], tolerance: float
) -> float | None:
    for choice in choices:
        if abs(value / choice - 1.0) <= tolerance:
            return choice
    return None
