"""Charge that went missing between a full charge and a discharge after storage."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators._discharges import find_discharges
from battlife.estimators._rests import Rest
from battlife.estimators._uncertainty import root_sum
from battlife.estimators.capacity import DischargeCapacity
from battlife.estimators.soh import alike, doubtful
from battlife.model import Estimate, Pack, Trace
from battlife.model.estimate import Scalar

STORED_HOURS: Final = 24.0
"""Rest between charge and discharge from which it is a storage (charge retention is
tested over 28 days: IEC 61960-3, 7.4, IEC 62620, 6.5)."""
FRESH_HOURS: Final = 4.0
"""Rest up to which a discharge is a reference: it follows its charge."""
REPEATS: Final = 0.003
"""Relative standard deviation of repeated capacities of one cell under one test: CALCE
and Leaf cells, neighbouring cycles."""

Stored = tuple[
    Rest, tuple[str, ...], dict[str, tuple[float, float, str]], dict[str, Scalar]
]


def storages(trace: Trace, pack: Pack) -> Iterator[Stored]:
    """Yield (rest, reasons, measured, conditions) of each storage in a trace.

    The discharge after a storage is held against the nearest one, before or after it,
    that followed its charge at once, under the same load at the same temperature.
    """
    if not trace.n_samples:
        return
    try:
        capacities = DischargeCapacity().estimate(trace, pack)
    except EstimateError:
        return
    waits = [_wait(trace, *ends) for ends in _ends(trace)]
    if len(waits) != len(capacities):
        return
    usable = [e for e in capacities if e.status == "ok" and not doubtful(e)]
    for estimate in usable:
        hours, rest = waits[estimate.cycle or 0]
        if rest is None or hours < STORED_HOURS:
            continue
        references = [
            e
            for e in usable
            if e is not estimate
            and alike(e, estimate)
            and waits[e.cycle or 0][0] <= FRESH_HOURS
        ]
        conditions: dict[str, Scalar] = {
            "rule": "charge missing from a discharge after storage, over the time",
            "source": "storage",
            "storage_hours": hours,
            "discharge": estimate.cycle,
            "temperature_degc": _degc(estimate),
        }
        if not references:
            yield rest, ("no_reference_discharge",), {}, conditions
            continue
        nearest = min(
            references, key=lambda e: abs((e.cycle or 0) - (estimate.cycle or 0))
        )
        conditions["reference_discharge"] = nearest.cycle
        lost, u = _lost(nearest, estimate)
        current, u_current = lost / hours, u / hours
        if lost <= 2.0 * u:
            bound = max(current, 0.0) + 1.645 * u_current
            measured = {"self_discharge_below_a": (bound, u_current, "A")}
            yield rest, ("self_discharge_below_resolution",), measured, conditions
            continue
        yield rest, (), {"self_discharge_a": (current, u_current, "A")}, conditions


def _ends(trace: Trace) -> list[tuple[int, int]]:
    """Return (last sample of the charge before, first loaded) of each discharge."""
    return [
        (d.charges[-1][1] - 1 if d.charges else -1, d.first)
        for d in find_discharges(trace)
    ]


def _wait(trace: Trace, charged: int, loaded: int) -> tuple[float, Rest | None]:
    """Return the hours between charge and load, NaN where no charge was seen."""
    if charged < 0 or loaded <= charged:
        return float("nan"), None
    seconds = float(trace.time_s[loaded] - trace.time_s[charged])
    segment = int(np.searchsorted(trace.segment_start, charged, side="right")) - 1
    if segment != int(np.searchsorted(trace.segment_start, loaded, side="right")) - 1:
        return float("nan"), None
    return seconds / 3600.0, Rest(segment, charged, loaded + 1, float("nan"))


def _lost(reference: Estimate, stored: Estimate) -> tuple[float, float]:
    """Return the missing charge and its uncertainty in Ah; the gain cancels."""
    name = "discharge_capacity_ah"
    before, after = (
        float(np.mean(e.measurements[name].value)) for e in (reference, stored)
    )
    return before - after, root_sum(REPEATS * before, REPEATS * after)


def _degc(estimate: Estimate) -> float | None:
    value = estimate.conditions.get("ambient_temperature_degc")
    if value is None:
        value = estimate.conditions.get("start_temperature_degc")
    return float(value) if isinstance(value, (int, float)) else None
