"""Power a unit can give or take at a state of charge, from pulse resistances.

Discharge power is V_min (OCV - V_min)/R_discharge, charge power is
V_max (V_max - OCV)/R_charge: what flows when the pulse ends exactly at the voltage
limit, were the resistance the same at that current (Battery Test Manual for Plug-In
Hybrid Electric Vehicles, INL/EXT-14-32849, section 4.3.3; IEC 62660-1, 7.4 loads the
cell with that current instead). The current is far above that of most pulses, which
the estimate tells.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from battlife.errors import EstimateError, InputError
from battlife.estimators._pulses import (
    Pulse,
    PulseRecord,
    chosen_pulses,
)
from battlife.estimators._uncertainty import RECTANGULAR, root_sum
from battlife.estimators._window import scalar
from battlife.model import Estimate, Measurement, Pack, Trace

if TYPE_CHECKING:
    from battlife.model.curve import Curve
    from battlife.model.estimate import Scalar

METHOD: Final = "power"
VERSION: Final = "1"
RULE: Final = (
    "voltage limit times the current that reaches it: (OCV - V_min)/R and "
    "(V_max - OCV)/R, linear in the state of charge between pulses"
)
NEAREST: Final = 0.15
"""Pulses must lie on both sides of a state of charge, none further than this away:
HPPC tests step by 0.1."""
AT_LIMIT: Final = 1.005
"""A discharge ended at its limit where the voltage came within half a percent of it."""
FULL: Final = 0.97
"""Of the charge limit: a full cell of 4.2 V rests at 4.10 to 4.18 V."""
EXTRAPOLATED: Final = 1.5
"""Current at the limit over that of the pulse from which it is remarked on."""


class _Point(NamedTuple):
    """One pulse: its state of charge, V, ohm, u of ohm, A, its first sample."""

    soc: float
    ocv_v: float
    ohm: float
    u_ohm: float | None
    load_a: float
    sample: int


@dataclass(frozen=True)
class PowerCapability:
    """Discharge and charge power at stated states of charge.

    Attributes
    ----------
    socs : states of charge, fractions; each gives one estimate
    at_s : s after load-on at which the resistance is taken
    min_v, max_v : voltage limits of the unit in V; min_v falls back to its cut-off
    capacity_ah : charge between full and min_v in Ah; None takes that of the record,
        which must reach min_v
    max_discharge_a, max_charge_a : current limits, unsigned; None has none
    """

    socs: tuple[float, ...] = (0.8, 0.2)
    at_s: float = 10.0
    min_v: float | None = None
    max_v: float | None = None
    capacity_ah: float | None = None
    max_discharge_a: float | None = None
    max_charge_a: float | None = None

    def __post_init__(self) -> None:
        if not self.socs or not all(0.0 < soc < 1.0 for soc in self.socs):
            raise InputError(f"socs={self.socs} must be fractions between 0 and 1")
        for name in ("at_s", "min_v", "max_v", "capacity_ah"):
            value = getattr(self, name)
            if value is not None and not value > 0.0:
                raise InputError(f"{name}={value} must be positive")
        if self.min_v is not None and self.max_v is not None:
            if self.min_v >= self.max_v:
                raise InputError(f"min_v={self.min_v} is not below max_v={self.max_v}")

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per state of charge and segment with pulses.

        Raises
        ------
        EstimateError
            No pulse from rest, no voltage limit, or no known capacity.
        """
        record = PulseRecord(trace, pack)
        pulses = record.pulses
        min_v = pack.cutoff_v if self.min_v is None else self.min_v
        if min_v is None and self.max_v is None:
            raise EstimateError(
                f"{trace.unit_id}: no voltage limit is known",
                "--set min_v=2.5 --set max_v=4.2, or cutoff_v in units.toml",
                ("voltage_limit_unknown",),
            )
        chosen = [pulses[k] for k in chosen_pulses(trace, pulses, self.at_s)]
        found: list[Estimate] = []
        for segment in sorted({p.segment for p in chosen}):
            capacity, source = self._capacity(record, segment, min_v)
            if capacity is None:
                continue
            here = [p for p in chosen if p.segment == segment]
            points = self._points(record, here, capacity)
            for soc in self.socs:
                found.append(
                    self._one(
                        record,
                        len(found),
                        segment,
                        soc,
                        points,
                        min_v,
                        capacity,
                        source,
                    )
                )
        if not found:
            raise EstimateError(
                f"{trace.unit_id}: the charge between full and empty is not known: the "
                f"record has no discharge down to {min_v or 'a limit'} V",
                "--set capacity_ah=X, or --set min_v to where the discharge ended",
                ("capacity_unknown",),
            )
        return tuple(found)

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence["Curve"]:
        """Return voltage and resistance of every pulse over the state of charge."""
        from battlife.model.curve import Curve

        record = PulseRecord(trace, pack)
        here = [p for p in record.pulses if p.segment == estimate.segment]
        capacity = estimate.conditions["capacity_ah"]
        assert isinstance(capacity, float)
        points = self._points(record, here, capacity)
        return tuple(
            Curve(
                f"pulses_{name}",
                {
                    "soc": np.array([p.soc for p in points[name]]),
                    "open_circuit_voltage_v": np.array([p.ocv_v for p in points[name]]),
                    "resistance_ohm": np.array([p.ohm for p in points[name]]),
                },
            )
            for name in ("discharge", "charge")
        )

    def _capacity(
        self, record: PulseRecord, segment: int, min_v: float | None
    ) -> tuple[float | None, str]:
        below = record.since_top[segment]
        if below is None or not below.max() > 0.0:
            return None, ""
        if self.capacity_ah is not None:
            return self.capacity_ah, "option"
        if min_v is None:
            return None, ""
        span = record.trace.segments()[segment]
        lowest = int(np.argmax(below))
        voltage = record.voltage[span][max(lowest - 3, 0) : lowest + 2]
        if not (np.isfinite(voltage).any() and np.nanmin(voltage) <= AT_LIMIT * min_v):
            return None, ""
        return float(below[lowest]), "charge from the highest of the record to min_v"

    def _points(
        self, record: PulseRecord, pulses: Sequence[Pulse], capacity_ah: float
    ) -> dict[str, list[_Point]]:
        """Return the usable pulses of each direction, in the order of their SOC."""
        points: dict[str, list[_Point]] = {"discharge": [], "charge": []}
        for pulse in pulses:
            on_s, u_on_s = record.load_on(pulse)
            why, ohm, u_ohm, used = record.resistance(pulse, on_s, u_on_s, self.at_s)
            below = record.since_top[pulse.segment]
            if why or below is None:
                continue
            start = record.trace.segments()[pulse.segment].start
            load = float(np.median(record.current[pulse.first : used]))
            points["charge" if load > 0 else "discharge"].append(
                _Point(
                    1.0 - float(below[pulse.before - start]) / capacity_ah,
                    float(record.voltage[pulse.before]),
                    ohm,
                    u_ohm,
                    abs(load),
                    pulse.before,
                )
            )
        return {k: sorted(v) for k, v in points.items()}

    def _one(
        self,
        record: PulseRecord,
        index: int,
        segment: int,
        soc: float,
        points: dict[str, list[_Point]],
        min_v: float | None,
        capacity_ah: float,
        source: str,
    ) -> Estimate:
        span = record.trace.segments()[segment]
        conditions: dict[str, Scalar] = {
            "rule": RULE,
            "soc": soc,
            "soc_information": "charge below the highest of the record over capacity",
            "capacity_ah": capacity_ah,
            "capacity_source": source,
            "min_v": min_v,
            "max_v": self.max_v,
            "calibration": record.pack.calibration or "unknown",
        }
        measurements: dict[str, Measurement] = {}
        reasons: tuple[str, ...] = ()
        remarks: tuple[str, ...] = ()
        used: list[int] = []
        for name, limit in (("discharge", min_v), ("charge", self.max_v)):
            around = _around(points[name], soc)
            if limit is None:
                conditions[f"refused_{name}"] = "voltage_limit_unknown"
            elif around is None:
                conditions[f"refused_{name}"] = "soc_not_covered"
                reasons += ("soc_not_covered",)
            else:
                why, extrapolated, more = self._power(
                    record, name, limit, soc, around, conditions
                )
                reasons += (why,) if why else ()
                remarks += ("current_extrapolated",) if extrapolated else ()
                measurements |= more
                used += [p.sample for p in around]
        if self.max_v is None or not self._full(record, segment):
            remarks += ("full_not_verified",)
        conditions |= _temperature(record, used)
        if conditions["temperature_degc"] is None:
            remarks += ("temperature_unknown",)
        if any(m.uncertainty is None for m in measurements.values()):
            remarks += ("uncertainty_unknown",)
        reasons = reasons or ("voltage_limit_unknown",)
        if record.trace.provenance.suspect:
            measurements, reasons = {}, ("suspect_source",)
        options = {f.name: getattr(self, f.name) for f in fields(self)}
        options["socs"] = ",".join(f"{s:g}" for s in self.socs)
        return Estimate(
            unit_id=record.trace.unit_id,
            method=METHOD,
            method_version=VERSION,
            options=options,
            status="ok" if measurements else "refused",
            reasons=tuple(dict.fromkeys(remarks if measurements else reasons)),
            measurements=measurements,
            conditions=conditions,
            cycle=index,
            segment=segment,
            start_sample=min(used, default=span.start),
            stop_sample=max(used, default=span.start) + 1,
            trace_sha256=record.digest,
        )

    def _full(self, record: PulseRecord, segment: int) -> bool:
        """Say whether the highest charge of the record was that of a full unit."""
        below = record.since_top[segment]
        if below is None or self.max_v is None:
            return False
        voltage = record.voltage[record.trace.segments()[segment]]
        return bool(voltage[int(np.argmin(below))] >= FULL * self.max_v)

    def _power(
        self,
        record: PulseRecord,
        name: str,
        limit_v: float,
        soc: float,
        around: tuple[_Point, _Point],
        conditions: dict[str, "Scalar"],
    ) -> tuple[str, bool, dict[str, Measurement]]:
        """Return (why not, whether the current is extrapolated, measurements)."""
        a, b = around
        share = 0.0 if b.soc == a.soc else (soc - a.soc) / (b.soc - a.soc)
        ocv = a.ocv_v + share * (b.ocv_v - a.ocv_v)
        ohm = a.ohm + share * (b.ohm - a.ohm)
        sign = 1.0 if name == "discharge" else -1.0
        room = sign * (ocv - limit_v)
        conditions[f"{name}_ocv_v"] = ocv
        if not room > 0.0:
            return "beyond_limit", False, {}
        current = room / ohm
        most = self.max_discharge_a if name == "discharge" else self.max_charge_a
        limited = most is not None and current > most
        if limited and most is not None:
            current = most
        at_limit = ocv - sign * current * ohm
        power = current * at_limit
        conditions[f"{name}_current_a"] = current
        ratio = current / max(min(a.load_a, b.load_a), 1e-12)
        conditions[f"{name}_current_over_pulse"] = ratio
        u = None
        if a.u_ohm is not None and b.u_ohm is not None:
            sensor = record.sensor
            # Linear between pulses: what lies between two may bend by a share of
            # their difference.
            u_ohm = root_sum(max(a.u_ohm, b.u_ohm), (b.ohm - a.ohm) / RECTANGULAR / 2)
            u_ocv = root_sum(
                sensor.voltage_v,
                sensor.voltage_relative * ocv,
                record.voltage_step / RECTANGULAR,
                (b.ocv_v - a.ocv_v) / RECTANGULAR / 2,
            )
            if limited:
                u = root_sum(current * u_ocv, current * current * u_ohm)
            else:
                u = root_sum(power * u_ohm / ohm, limit_v / ohm * u_ocv)
        title = f"max_{name}_power_{self.at_s:g}s_w"
        return "", ratio > EXTRAPOLATED, {title: Measurement(title, power, u, "W")}


def _around(points: Sequence[_Point], soc: float) -> tuple[_Point, _Point] | None:
    """Return the nearest pulses below and above a SOC, None if one is too far."""
    below = [p for p in points if p.soc <= soc]
    above = [p for p in points if p.soc >= soc]
    if not below or not above:
        return None
    a, b = below[-1], above[0]
    return (a, b) if max(soc - a.soc, b.soc - soc) <= NEAREST else None


def _temperature(record: PulseRecord, samples: Sequence[int]) -> dict[str, "Scalar"]:
    """Return the mean temperature before the pulses used, None if nothing tells it."""
    degc = math.nan
    if record.degc is not None and samples:
        degc = float(np.mean(record.degc[list(samples)]))
    found = scalar(degc)
    ambient = record.pack.test_degc if found is None else None
    return {"temperature_degc": found, "ambient_temperature_degc": ambient}
