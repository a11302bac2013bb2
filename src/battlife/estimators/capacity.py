"""Capacity and energy of each discharge down to a cut-off voltage.

A capacity is a definition: between which samples, to which voltage, at which load
and temperature. Each estimate carries its rule in its conditions.

The value is the net charge of the trapezoid over the samples of the discharge, from
the load's first sample to the first sample at or below the cut-off. The interval in
which the load came on is counted where the source says that it belongs to the
discharge, else not: a tester that logs steps gives no current for it. What that leaves
unobserved is part of the uncertainty. Where the source keeps a discharge as an
operation of its own, all of its samples belong to it, those before the load included
(NASA's figure counts them).
"""

from dataclasses import dataclass, replace

import numpy as np

from battlife.errors import EstimateError, InputError
from battlife.estimators._counted import counters_disagree
from battlife.estimators._declared import declared
from battlife.estimators._discharges import Discharge, find_discharges
from battlife.estimators._draft import DOUBTS, Draft, compared, temperature_remarks
from battlife.estimators._efficiency import with_sound_efficiency
from battlife.estimators._endings import ends_seen
from battlife.estimators._scales import resolution, top_voltage
from battlife.estimators._step_rows import drafts_from_steps
from battlife.estimators._uncertainty import (
    RECTANGULAR,
    SECONDS_PER_HOUR,
    Sensor,
    charge_uncertainty,
    efficiency_uncertainty,
    energy_uncertainty,
    root_sum,
)
from battlife.estimators._window import (
    charge_end,
    completeness,
    conditions_of,
    fullness,
    recovers,
    typical_load,
    without_wild,
)
from battlife.kernels.charge import integrate_charge, integrate_energy
from battlife.kernels.interpolate import crossing_time, first_below
from battlife.model import Column, Estimate, Measurement, Pack, Trace, trace_sha256

METHOD = "capacity"
VERSION = "3"
EDGES = ("auto", "include", "exclude")
COUNTER = "discharge_capacity_ah"
SMALLEST = 0.02
"""Share of the rated capacity below which a discharge is a pulse or a failed start."""
PROGRAMMED = "lowest voltage, as programmed"
PROGRAMMED_SLACK = 1.05
"""Samples of one programmed end differ by this where they are 10 s apart under a
pulsed load (NASA B0025); 5 % of the voltage there is below 1 % of the charge."""
WILD_SHARE = 0.1
"""Of the cut-off, by which a sample dips below both of its neighbours under the same
load where it is no measurement: no cell comes back that far while it is loaded."""


@dataclass(frozen=True)
class DischargeCapacity:
    """Capacity and energy of each discharge of a unit.

    Attributes
    ----------
    cutoff_v : V of the unit at which a discharge ends; None takes the pack's, and
        where that has none the voltage at which this unit's discharges usually end
    edges : whether the interval in which the load came on counts: "include",
        "exclude", or "auto" as the module says
    """

    cutoff_v: float | None = None
    edges: str = "auto"

    def __post_init__(self) -> None:
        if self.cutoff_v is not None and not 0 < self.cutoff_v < 2000:
            raise InputError(f"cutoff_v={self.cutoff_v:g} is not a voltage in V")
        if self.edges not in EDGES:
            raise InputError(
                f"edges={self.edges!r} is unknown", f"known: {', '.join(EDGES)}"
            )

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per discharge, refused ones included.

        Raises
        ------
        EstimateError
            There is no current, no voltage, or no discharge at all.
        """
        if trace.n_samples:
            drafts = self._from_samples(trace, pack)
        else:
            drafts = drafts_from_steps(trace, pack, self._cutoff(pack))
        if not drafts:
            raise EstimateError(
                f"{trace.unit_id}: no discharge found",
                "a capacity needs a discharge; is the sign of the current right?",
                ("no_discharge",),
            )
        if trace.provenance.suspect:
            drafts = tuple(
                replace(d, refusals=("suspect_source", *d.refusals)) for d in drafts
            )
        digest = trace_sha256(trace)
        return tuple(self._finished(d, trace, digest) for d in compared(drafts))

    def _cutoff(self, pack: Pack) -> tuple[float | None, str]:
        if self.cutoff_v is not None:
            return self.cutoff_v, "option"
        if pack.cutoff_v is not None:
            return pack.cutoff_v, "pack"
        return None, PROGRAMMED

    def _from_samples(self, trace: Trace, pack: Pack) -> tuple[Draft, ...]:
        for name in ("current_a", "voltage_v"):
            if not np.isfinite(trace.columns.get(name, np.empty(0))).any():
                raise EstimateError(
                    f"{trace.unit_id}: the trace has no {name}",
                    "a capacity needs current and voltage over time",
                    (f"{name.partition('_')[0]}_missing",),
                )
        discharges = find_discharges(trace)
        cutoff, source = self._cutoff(pack)
        if cutoff is None:
            cutoff = _programmed_cutoff(trace.column("voltage_v"), discharges)
        measure = _Measuring(trace, pack, cutoff, source, self.edges)
        seen = (
            ends_seen(trace, pack, discharges, measure.top_v)
            if source == PROGRAMMED
            else (True,) * len(discharges)
        )
        drafts = tuple(
            measure.draft(k, d, end_seen=seen[k]) for k, d in enumerate(discharges)
        )
        return with_sound_efficiency(drafts, discharges, trace)

    def _finished(self, draft: Draft, trace: Trace, digest: str) -> Estimate:
        refused = bool(draft.refusals)
        remarks = draft.refusals if refused else draft.qualifiers
        return Estimate(
            unit_id=trace.unit_id,
            method=METHOD,
            method_version=VERSION,
            options={"cutoff_v": self.cutoff_v, "edges": self.edges},
            status="refused" if refused else "ok",
            reasons=tuple(dict.fromkeys(remarks)),
            measurements={} if refused else draft.measurements,
            conditions=draft.conditions,
            cycle=draft.index,
            segment=draft.segment,
            start_sample=draft.start,
            stop_sample=draft.stop,
            trace_sha256=digest,
        )


class _Measuring:
    """One unit's columns and scales, shared by all its discharges."""

    def __init__(
        self, trace: Trace, pack: Pack, cutoff_v: float, source: str, edges: str
    ) -> None:
        self.trace = trace
        self.pack = pack
        self.cutoff_v = cutoff_v
        self.source = source
        self.edges = edges
        self.time: Column = trace.time_s
        self.current: Column = trace.column("current_a")
        self.voltage: Column = trace.column("voltage_v")
        self.sensor = Sensor.of(pack.sensor)
        self.current_step = resolution(self.current)
        self.voltage_step = resolution(self.voltage)
        self.top_v = top_voltage(trace)

    def draft(self, index: int, found: Discharge, *, end_seen: bool) -> Draft:
        """Return one discharge measured, or refused for what it is by itself.

        Without a stated cut-off a discharge whose end nothing shows (`end_seen`) may
        be a part of one, unless its source declares it whole.
        """
        if found.segment is None:
            return Draft(index, refusals=("no_samples",))
        empty = Draft(index, found.segment, found.begin, found.end)
        if found.first < 0 or found.last - found.first < 1:
            return replace(empty, refusals=("empty",))
        reached = self._reached(found)
        stop = reached if reached >= 0 else found.last
        start = self._start(found)
        window = slice(start, stop + 1)
        charged, discharged = integrate_charge(self.time, self.current, start, stop + 1)
        net = discharged - charged
        conditions = conditions_of(self.trace, self.pack, found, start, stop, net)
        conditions |= {
            "cutoff_v": self.cutoff_v,
            "cutoff_source": self.source,
            "rule": self._rule(start, found, reached),
        }
        degc = conditions["ambient_temperature_degc"]
        degc = conditions["start_temperature_degc"] if degc is None else degc
        condition_degc = float("nan") if degc is None else float(degc)
        remarks, reference = temperature_remarks(condition_degc, self.pack)
        conditions |= reference
        conditions["calibration"] = self.pack.calibration or "unknown"
        refusals, qualifiers = completeness(
            found, start, reached, self.current, self.voltage, self.cutoff_v
        )
        if self.source == PROGRAMMED:
            qualifiers += ("cutoff_not_stated",)
        if reached >= 0 and recovers(
            found, reached, self.time, self.current, self.voltage, self.cutoff_v
        ):
            qualifiers += ("voltage_recovers_above_cutoff",)
        if counters_disagree(self.trace, start, stop, charged, discharged):
            qualifiers += ("counter_disagrees",)
        full, doubts = fullness(found, self.voltage, self.top_v)
        refusals += full
        if np.isfinite(net) and net <= SMALLEST * (self.pack.nominal_ah or 0.0):
            refusals += ("implausibly_small",)
        stated = declared(self.trace, found)
        if reached >= 0 and not end_seen and not stated.capacity_ah:
            refusals += ("partial_discharge", "cutoff_not_stated")
        if stated.capacity_ah:
            conditions["source_capacity_ah"] = stated.capacity_ah
            qualifiers += tuple(r for r in refusals if r in DOUBTS)
            refusals = tuple(r for r in refusals if r not in DOUBTS)
        slack_ah = self._sampling_ah(found, window)
        to_cutoff_ah = net if reached >= 0 else float("nan")
        refusals += stated.contradictions(to_cutoff_ah, self.cutoff_v, slack_ah)
        measurements, sensor_remarks = self._measurements(found, window, net)
        return replace(
            empty,
            start=start,
            stop=stop + 1,
            refusals=refusals,
            qualifiers=qualifiers + doubts + remarks + sensor_remarks,
            measurements=measurements,
            conditions=conditions,
            capacity_ah=net,
            rate_a=typical_load(self.current[found.first : stop + 1]),
            condition_degc=condition_degc,
            charge_end_a=charge_end(found, self.current),
            declared=bool(stated.capacity_ah),
        )

    def _start(self, found: Discharge) -> int:
        include = found.own_step if self.edges == "auto" else self.edges == "include"
        if not include or found.before is None:
            return found.first
        if found.row is None:
            return found.before
        # An operation of its own counts from its first sample, after any gap in it.
        gaps = np.flatnonzero(~np.isfinite(self.current[found.begin : found.first]))
        whole = found.begin + int(gaps[-1]) + 1 if gaps.size else found.begin
        return min(whole, found.before)

    def _reached(self, found: Discharge) -> int:
        """Return the first sample at or below the cut-off, -1 if none.

        Where only the last loaded sample comes within 0.2 % of the cut-off, the
        tester stopped there by its own, faster reading.
        """
        if self.source == PROGRAMMED:
            loaded = slice(found.first, found.last + 1)
            seen = without_wild(
                self.current[loaded], self.voltage[loaded], WILD_SHARE * self.cutoff_v
            )
            lowest = seen[np.isfinite(seen)].min(initial=np.inf)
            return found.last if lowest <= PROGRAMMED_SLACK * self.cutoff_v else -1
        limit = float(np.nextafter(self.cutoff_v, np.inf))
        at = int(first_below(self.voltage, found.first, found.last + 1, limit))
        near = self.cutoff_v * 1.002 + self.voltage_step
        if at < 0 and not found.at_end and self.voltage[found.last] <= near:
            return found.last
        return at

    def _rule(self, start: int, found: Discharge, reached: int) -> str:
        if start == found.first:
            begins = "the first loaded sample"
        elif found.row is not None:
            begins = "the first sample of the operation"
        else:
            begins = "the last sample before load"
        ends = (
            "the last loaded sample"
            if reached < 0 or self.source == PROGRAMMED
            else f"the first sample at or below {self.cutoff_v:g} V"
        )
        return f"net trapezoid of current from {begins} to {ends}"

    def _measurements(
        self, found: Discharge, window: slice, net_ah: float
    ) -> tuple[dict[str, Measurement], tuple[str, ...]]:
        start, stop = window.start, window.stop
        duration_s = float(self.time[stop - 1] - self.time[start])
        sampling_ah = self._sampling_ah(found, window)
        cutoff_ah = self._cutoff_ah(stop - 1, start)
        extra = (sampling_ah, cutoff_ah)
        u_charge = charge_uncertainty(
            self.sensor, net_ah, duration_s, self.current_step, *extra
        )
        result = {COUNTER: Measurement(COUNTER, net_ah, u_charge, "Ah")}
        charged, discharged = integrate_energy(
            self.time, self.current, self.voltage, start, stop
        )
        energy = discharged - charged
        if np.isfinite(energy) and net_ah > 0:
            end_v = float(self.voltage[stop - 1])
            u_energy = energy_uncertainty(
                self.sensor,
                energy,
                net_ah,
                duration_s,
                self.current_step,
                self.voltage_step,
                sampling_ah * energy / net_ah,
                cutoff_ah * end_v,
            )
            name = "discharge_energy_wh"
            result[name] = Measurement(name, energy, u_energy, "Wh")
        if found.charges and found.charge_whole:
            result |= self._charge(found)
        unknown = () if u_charge is not None else ("uncertainty_unknown",)
        return result, unknown

    def _charge(self, found: Discharge) -> dict[str, Measurement]:
        """Return the charge before, and what of it the whole discharge gave back."""
        charged = energy = charge_s = spread = 0.0
        for begin, end in found.charges:
            plus, minus = integrate_charge(self.time, self.current, begin, end)
            charged += plus - minus
            plus, minus = integrate_energy(
                self.time, self.current, self.voltage, begin, end
            )
            energy += plus - minus
            charge_s += float(self.time[end - 1] - self.time[begin])
            spread = root_sum(spread, self._spread_ah(slice(begin, end)))
        if not charged > 0:
            return {}
        u_charge = charge_uncertainty(
            self.sensor, charged, charge_s, self.current_step, spread
        )
        name = "charge_capacity_ah"
        result = {name: Measurement(name, charged, u_charge, "Ah")}
        if np.isfinite(energy):
            u_energy = energy_uncertainty(
                self.sensor,
                energy,
                charged,
                charge_s,
                self.current_step,
                self.voltage_step,
                spread * energy / charged,
            )
            name = "charge_energy_wh"
            result[name] = Measurement(name, energy, u_energy, "Wh")
        whole = slice(self._start(found), found.last + 1)
        plus, minus = integrate_charge(self.time, self.current, whole.start, whole.stop)
        given = minus - plus
        if np.isfinite(given):
            name = "coulombic_efficiency"
            u_ratio = efficiency_uncertainty(
                self.sensor,
                given,
                charged,
                float(self.time[whole.stop - 1] - self.time[whole.start]),
                charge_s,
                self.current_step,
                self._sampling_ah(found, whole),
                spread,
            )
            result[name] = Measurement(name, given / charged, u_ratio, "1")
        return result

    def _sampling_ah(self, found: Discharge, window: slice) -> float:
        """Return u in Ah of not knowing the current between samples.

        A change of current somewhere in an interval leaves its charge uncertain by
        its rectangular width. A load that came on in an interval that is not counted
        leaves out between nothing and all of that interval.
        """
        inside = self._spread_ah(window)
        if window.start != found.first or found.before is None:
            return inside
        gap_s = float(self.time[found.first] - self.time[found.before])
        unseen = abs(float(self.current[found.first])) * gap_s / SECONDS_PER_HOUR
        return root_sum(inside, unseen / np.sqrt(3.0))

    def _spread_ah(self, window: slice) -> float:
        widths = np.diff(self.current[window]) * np.diff(self.time[window])
        return float(np.sqrt(np.square(widths).sum())) / RECTANGULAR / SECONDS_PER_HOUR

    def _cutoff_ah(self, stop: int, start: int) -> float:
        """Return u in Ah of where the cut-off lies.

        The sensor's error moves the crossing by error / slope; the sample that ends
        the discharge lies past the crossing by up to one interval.
        """
        if stop - 1 < start:
            return 0.0
        current = abs(float(self.current[stop]))
        overshoot_s = 0.0
        crossed = crossing_time(self.time, self.voltage, stop, self.cutoff_v)
        if np.isfinite(crossed):
            overshoot_s = float(self.time[stop]) - crossed
        fall = float(self.voltage[stop - 1] - self.voltage[stop])
        gap_s = float(self.time[stop] - self.time[stop - 1])
        error_v = root_sum(
            self.sensor.voltage_v,
            self.sensor.voltage_relative * self.cutoff_v,
            self.voltage_step / RECTANGULAR,
        )
        moved_s = error_v * gap_s / fall if fall > 0 else 0.0
        overshoot_s = overshoot_s / float(np.sqrt(3.0))
        return current * root_sum(moved_s, overshoot_s) / SECONDS_PER_HOUR


def _programmed_cutoff(voltage: Column, discharges: tuple[Discharge, ...]) -> float:
    """Return the voltage at which a unit's discharges usually end, NaN if none does.

    The median over the discharges of the lowest voltage under load.
    """
    lowest = [
        float(np.nanmin(voltage[d.first : d.last + 1]))
        for d in discharges
        if d.first >= 0 and np.isfinite(voltage[d.first : d.last + 1]).any()
    ]
    return float(np.median(lowest)) if lowest else float("nan")
