"""State of health from capacities: by charge and by energy, kept apart.

An SOH is a ratio to a named reference. It is only comparable with the rated value at
the rated temperature, so one measured elsewhere is called `…_at_temperature`, and no
policy that asks for `soh_capacity` can take it for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators._draft import (
    DOUBTS,
    REFERENCE_DEGC,
    TEMPERATURE_TOLERANCE_K,
)
from battlife.estimators._uncertainty import root_sum
from battlife.model import Estimate, Measurement, Pack
from battlife.model.estimate import Scalar

VERSION = "1"
HIGHEST, LOWEST = 1.2, 0.02
"""Bounds beyond which the reference is wrong: a new cell exceeds its rated capacity
by up to 10 %, by 20 % never seen in field_facts; below 2 % nothing was measured."""
REPEATS = 3
"""Comparable discharges whose scatter is the repeatability."""
RECENT = 10
"""Discharges back from the last among which one at reference temperature is looked
for; older ones describe a unit that has aged since."""
LOAD_TOLERANCE = 0.10
DOUBTFUL = DOUBTS | {
    "counter_disagrees",
    "unlike_neighbours",
    "voltage_recovers_above_cutoff",
}
"""Remarks with which a capacity is reported but is no state of health."""
UNSEEN = frozenset({"start_not_seen", "charge_not_seen"})
"""Remarks that bar a state of health where no cut-off is stated either: then neither
end of the discharge is known."""
TEMPERATURE_CONDITIONS = (
    "temperature_degc",
    "ambient_temperature_degc",
    "start_temperature_degc",
    "mean_temperature_degc",
)
"""Conditions that state the temperature of a measurement, best first. A capacity test
prescribes the chamber and the start; what a cell warms by under load is part of it."""

EXPLAINED = frozenset({"partial_discharge", "counter_disagrees", "cutoff_not_stated"})
"""Findings on the last discharge that a refused state of health repeats."""


def doubtful(estimate: Estimate) -> bool:
    """Say whether a capacity is reported but is no state of health."""
    reasons = set(estimate.reasons)
    unbounded = "cutoff_not_stated" in reasons and not UNSEEN.isdisjoint(reasons)
    return unbounded or not DOUBTFUL.isdisjoint(reasons)


def temperature_of(estimate: Estimate) -> float | None:
    """Return the temperature an estimate was measured at in degC, None if unknown."""
    for name in TEMPERATURE_CONDITIONS:
        value = estimate.conditions.get(name)
        if isinstance(value, (int, float)) and value == value:
            return float(value)
    return None


@dataclass(frozen=True)
class _Kind:
    method: str
    measured: str
    reference: str
    missing: str


_KINDS = (
    _Kind("soh_capacity", "discharge_capacity_ah", "nominal_ah", "capacity"),
    _Kind("soh_energy", "discharge_energy_wh", "nominal_wh", "energy"),
)


def state_of_health(capacity: Sequence[Estimate], pack: Pack) -> tuple[Estimate, ...]:
    """Return the capacity SOH and the energy SOH, each accepted or refused.

    Parameters
    ----------
    capacity : estimates of method "capacity" of one unit, in order
    pack : names the reference: nominal_ah, nominal_wh and where they come from

    Raises
    ------
    EstimateError
        There is no capacity estimate at all.
    """
    if not capacity:
        raise EstimateError(
            f"{pack.id}: no capacity was measured",
            "a state of health needs a complete discharge",
            ("no_discharge",),
        )
    return tuple(_soh(kind, capacity, pack) for kind in _KINDS)


def _soh(kind: _Kind, capacity: Sequence[Estimate], pack: Pack) -> Estimate:
    usable = [
        e
        for e in capacity
        if e.status == "ok" and kind.measured in e.measurements and not doubtful(e)
    ]
    if not usable:
        last = capacity[-1]
        why = tuple(r for r in last.reasons if r in EXPLAINED)
        return _refused(kind, last, pack, ("no_complete_discharge", *why))
    chosen = _chosen(usable, pack)
    nominal = pack.nominal_ah if kind.reference == "nominal_ah" else pack.nominal_wh
    if not nominal or not np.isfinite(nominal) or nominal < 0:
        return _refused(kind, chosen, pack, (f"no_reference_{kind.missing}",))
    measured = chosen.measurements[kind.measured]
    repeats = _repeats(chosen, usable)
    values = [_scalar(e.measurements[kind.measured]) for e in repeats]
    scatter = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    value = _scalar(measured) / nominal
    conditions = _conditions(kind, chosen, pack, repeats, scatter / nominal)
    if not LOWEST <= value <= HIGHEST:
        return _refused(kind, chosen, pack, ("wrong_reference",), conditions)
    uncertainty = None
    reasons: tuple[str, ...] = ()
    if isinstance(measured.uncertainty, float):
        uncertainty = root_sum(measured.uncertainty, scatter) / nominal
    else:
        reasons += ("uncertainty_unknown",)
    away = _away_k(chosen, pack)
    name = kind.method
    if away is None:
        reasons += ("temperature_unknown",)
    elif away > TEMPERATURE_TOLERANCE_K:
        reasons += ("not_at_reference_temperature",)
        name = f"{kind.method}_at_temperature"
    return _estimate(
        kind,
        chosen,
        "ok",
        reasons,
        {name: Measurement(name, value, uncertainty, "1")},
        conditions,
        pack,
    )


def _chosen(usable: Sequence[Estimate], pack: Pack) -> Estimate:
    """Return the last of the recent discharges at reference temperature, else the last.

    One whose temperature nobody measured counts as neither here nor there: it is
    taken only where none at reference is among the recent ones.
    """
    for estimate in reversed(usable[-RECENT:]):
        away = _away_k(estimate, pack)
        if away is not None and away <= TEMPERATURE_TOLERANCE_K:
            return estimate
    return usable[-1]


def _away_k(estimate: Estimate, pack: Pack) -> float | None:
    """Return the distance from the reference temperature in K, None if unknown."""
    reference = REFERENCE_DEGC if pack.reference_degc is None else pack.reference_degc
    degc = temperature_of(estimate)
    return None if degc is None else abs(degc - reference)


def _repeats(chosen: Estimate, usable: Sequence[Estimate]) -> list[Estimate]:
    """Return up to REPEATS discharges like the chosen one, up to and with it."""
    position = next(k for k, e in enumerate(usable) if e is chosen)
    return [e for e in usable[: position + 1] if alike(e, chosen)][-REPEATS:]


def alike(one: Estimate, other: Estimate) -> bool:
    """Say whether two discharges may be compared: load, cut-off, temperature."""
    for name in ("load", "cutoff_v"):
        if one.conditions.get(name) != other.conditions.get(name):
            return False
    loads = [e.conditions.get("load_current_a") for e in (one, other)]
    a, b = (abs(v) if isinstance(v, (int, float)) else 0.0 for v in loads)
    if abs(a - b) > LOAD_TOLERANCE * max(a, b):
        return False
    degc = [temperature_of(e) for e in (one, other)]
    if degc[0] is None or degc[1] is None:
        return degc[0] is degc[1]
    return abs(degc[0] - degc[1]) <= TEMPERATURE_TOLERANCE_K


def _scalar(measurement: Measurement) -> float:
    if isinstance(measurement.value, tuple):
        raise TypeError(f"{measurement.name} of a unit is one value")
    return measurement.value


def _conditions(
    kind: _Kind,
    chosen: Estimate,
    pack: Pack,
    repeats: Sequence[Estimate],
    scatter: float,
) -> dict[str, Scalar]:
    kept = (
        "rule",
        "cutoff_v",
        "c_rate",
        "load",
        "load_current_a",
        "start_temperature_degc",
        "mean_temperature_degc",
        "ambient_temperature_degc",
        "reference_degc",
        "reference_source",
        "calibration",
    )
    conditions: dict[str, Scalar] = {
        name: chosen.conditions[name] for name in kept if name in chosen.conditions
    }
    nominal = pack.nominal_ah if kind.reference == "nominal_ah" else pack.nominal_wh
    conditions |= {
        "reference": kind.reference,
        kind.reference: nominal,
        "nominal_source": pack.nominal_source or "not stated",
        "discharge": chosen.cycle,
        "repeats": ",".join(str(e.cycle) for e in repeats),
        "repeatability": scatter if len(repeats) > 1 else None,
    }
    return conditions


def _refused(
    kind: _Kind,
    about: Estimate,
    pack: Pack,
    reasons: tuple[str, ...],
    conditions: dict[str, Scalar] | None = None,
) -> Estimate:
    return _estimate(kind, about, "refused", reasons, {}, conditions or {}, pack)


def _estimate(
    kind: _Kind,
    about: Estimate,
    status: str,
    reasons: tuple[str, ...],
    measurements: dict[str, Measurement],
    conditions: dict[str, Scalar],
    pack: Pack,
) -> Estimate:
    return Estimate(
        unit_id=about.unit_id,
        method=kind.method,
        method_version=VERSION,
        options={"repeats": REPEATS, "recent": RECENT},
        status=status,
        reasons=reasons,
        measurements=measurements,
        conditions=conditions,
        cycle=about.cycle,
        segment=about.segment,
        start_sample=about.start_sample,
        stop_sample=about.stop_sample,
        trace_sha256=about.trace_sha256,
    )
