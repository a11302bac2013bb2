"""Current pulses of a record: where they are, and what they say at a moment.

A pulse begins where the current leaves rest. What is asked of it, a resistance at a
stated time or a circuit, is the business of the method.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.errors import EstimateError
from battlife.estimators._scales import current_scale, current_threshold, resolution
from battlife.estimators._temperature import unit_temperature
from battlife.estimators._uncertainty import RECTANGULAR, Sensor, root_sum
from battlife.estimators._window import scalar
from battlife.kernels.charge import cumulative_charge
from battlife.kernels.pulses import (
    FOUND,
    MISSING,
    TOO_COARSE,
    TOO_SHORT,
    WRONG_SIGN,
    leading_voltages,
    pulse_resistances,
    step_resistance,
)
from battlife.kernels.steps import REST, UNKNOWN, find_steps
from battlife.model import Column, Pack, Trace, trace_sha256
from battlife.model.estimate import Scalar

PULSE_SHARE: Final = 0.05
"""A step smaller than this share of the largest sustained current is no pulse."""
STEADY_SHARE: Final = 0.05
"""A current that moved by more than this within a pulse is remarked on."""
MOST: Final = 2000
"""Pulses of one record that are estimated, counted from its end: a drive cycle or a
square wave has tens of thousands, and each estimate is a record of its own."""
FINEST: Final = 0.5
"""Sampling around t must be no coarser than this share of t: the voltage of a pulse
goes with the logarithm or the root of time, so a chord over a longer stretch is off
by more than the resolution of a cycler."""
LEADS: Final = 0.05
"""A voltage that moves by this share of the pulse's first step while the current is
still 0 was sampled before its current; a resistance would be low by that share."""
LEADS_WITHIN_S: Final = 5.0
"""Longer intervals of a rest may hold its relaxation."""
LEADS_SCATTER: Final = 4.0
"""Standard deviations of the moves of the rest before by which that move exceeds
them."""
LEADS_BEFORE: Final = 10.0
"""Samples of the rest before that tell how it moved."""


OUTCOMES: Final = {
    TOO_SHORT: "pulse_too_short",
    TOO_COARSE: "sampling_too_coarse",
    MISSING: "sample_missing",
    WRONG_SIGN: "wrong_sign",
}
"""Reason codes by what the kernel says."""


@dataclass(frozen=True)
class Pulse:
    """Samples of one pulse.

    Attributes
    ----------
    segment : index of the trace segment
    before : last sample of the rest before it
    first, stop : half-open range of samples under load
    """

    segment: int
    before: int
    first: int
    stop: int


def _find(trace: Trace, threshold: float) -> tuple[Pulse, ...]:
    """Return the pulses of a trace, given the A below which it rests."""
    current = trace.column("current_a")
    smallest = PULSE_SHARE * current_scale(current)
    found = []
    for index, span in enumerate(trace.segments()):
        first, kind = find_steps(current, span.start, span.stop, threshold)
        ends = [*first[1:].tolist(), span.stop]
        for k in range(1, len(first)):
            if kind[k - 1] != REST or kind[k] in (REST, UNKNOWN):
                continue
            begin = int(first[k])
            # The first sample may catch the load on its way up.
            peak = np.abs(current[begin : min(begin + 3, ends[k])]).max()
            if peak >= smallest:
                found.append(Pulse(index, begin - 1, begin, int(ends[k])))
    return tuple(found)


def chosen_pulses(
    trace: Trace, pulses: tuple[Pulse, ...], shortest_s: float
) -> Sequence[int]:
    """Return the pulses to estimate: all, or of too many the last MOST long enough."""
    if len(pulses) <= MOST:
        return range(len(pulses))
    before = np.array([p.before for p in pulses])
    last = np.array([p.stop - 1 for p in pulses])
    lasting = np.flatnonzero(trace.time_s[last] - trace.time_s[before] >= shortest_s)
    chosen = lasting if lasting.size else np.arange(len(pulses))
    return [int(k) for k in chosen[-MOST:]]


class PulseRecord:
    """One unit's columns, scales and pulses.

    Raises
    ------
    EstimateError
        There is no current, no voltage, or no pulse that begins at rest.
    """

    def __init__(self, trace: Trace, pack: Pack) -> None:
        for name in ("current_a", "voltage_v"):
            if not np.isfinite(trace.columns.get(name, np.empty(0))).any():
                raise EstimateError(
                    f"{trace.unit_id}: the trace has no {name}",
                    "a resistance needs current and voltage over time",
                    (f"{name.partition('_')[0]}_missing",),
                )
        self.trace = trace
        self.pack = pack
        self.time = trace.time_s
        self.current = trace.column("current_a")
        self.voltage = trace.column("voltage_v")
        self.clock = trace.columns.get("step_time_s")
        self.sensor = Sensor.of(pack.sensor)
        self.current_step = resolution(self.current)
        self.threshold_a = current_threshold(self.current, self.current_step)
        self.pulses = _find(trace, self.threshold_a)
        if not self.pulses:
            raise EstimateError(
                f"{trace.unit_id}: no current step from rest found",
                "a resistance needs a pulse that begins at rest",
                ("no_pulse",),
            )
        self.since_top = [since_highest(trace, span) for span in trace.segments()]

    @cached_property
    def digest(self) -> str:
        """Content hash of the trace."""
        return trace_sha256(self.trace)

    @cached_property
    def voltage_step(self) -> float:
        """Resolution of the voltage in V."""
        return resolution(self.voltage)

    @cached_property
    def degc(self) -> Column | None:
        """(n,) temperature of the unit in degC, None if nothing measured it."""
        return unit_temperature(self.trace)

    def resistances(self, times_s: Sequence[float]) -> npt.NDArray[np.float64]:
        """Return (m, k) ohm of every pulse at k times; NaN where it has none."""
        on = np.array([self.load_on(p) for p in self.pulses])
        samples = np.array([(p.before, p.first, p.stop) for p in self.pulses]).T
        found: npt.NDArray[np.float64] = pulse_resistances(
            self.time,
            self.current,
            self.voltage,
            *np.ascontiguousarray(samples),
            *np.ascontiguousarray(on.T),
            np.array(times_s, dtype=np.float64),
            FINEST,
        )
        if self._leading:
            found[[p in self._leading for p in self.pulses]] = np.nan
        return found

    def voltage_leads(self, pulse: Pulse) -> bool:
        """Say whether the last voltage of the rest is one under load already.

        The two columns of a record are then not of the same moment. What the rest
        moved by before is taken off, so that a relaxation is no lead.
        """
        return pulse in self._leading

    @cached_property
    def _leading(self) -> frozenset[Pulse]:
        starts = [span.start for span in self.trace.segments()]
        samples = np.array(
            [(starts[p.segment], p.before, p.first) for p in self.pulses]
        )

        def leads(least_v: float) -> npt.NDArray[np.bool_]:
            result: npt.NDArray[np.bool_] = leading_voltages(
                self.time,
                self.current,
                self.voltage,
                *np.ascontiguousarray(samples.T),
                self.threshold_a,
                np.array([LEADS, LEADS_WITHIN_S, LEADS_SCATTER, least_v, LEADS_BEFORE]),
            )
            return result

        found = leads(0.0)
        if found.any():
            # The resolution takes longer to find than all pulses to be looked at.
            found = leads(3.0 * self.voltage_step)
        return frozenset(itertools.compress(self.pulses, found.tolist()))

    def load_on(self, pulse: Pulse) -> tuple[float, float]:
        """Return when the load came on and its standard uncertainty, both in s."""
        before = float(self.time[pulse.before])
        first = float(self.time[pulse.first])
        if self.clock is not None:
            on = first - float(self.clock[pulse.first])
            slack = max(self.sensor.time_s, 1e-3)
            if before - slack <= on <= first:
                return on, slack
        return 0.5 * (before + first), (first - before) / RECTANGULAR

    def resistance(
        self, pulse: Pulse, on_s: float, u_on_s: float, t: float
    ) -> tuple[str, float, float | None, int]:
        """Return (why not, ohm, u in ohm, sample after the last one used)."""
        outcome, ohm, step_a, slope_v_per_s, used = step_resistance(
            self.time,
            self.current,
            self.voltage,
            pulse.before,
            pulse.first,
            pulse.stop,
            on_s,
            u_on_s,
            t,
            FINEST,
        )
        if outcome != FOUND:
            return OUTCOMES[outcome], float("nan"), None, used
        return "", ohm, self._uncertainty(ohm, step_a, slope_v_per_s, u_on_s), used

    def _uncertainty(
        self, ohm: float, step_a: float, slope_v_per_s: float, u_on_s: float
    ) -> float | None:
        """Return u in ohm.

        The offset of the voltage cancels in the difference. That of the current does
        not where a tester opens its relay at rest and logs 0 A, so it counts.
        """
        if not (self.sensor.current_known and self.sensor.voltage_known):
            return None
        two_readings = np.sqrt(2.0) / RECTANGULAR
        u_volt = root_sum(
            two_readings * self.voltage_step,
            slope_v_per_s * root_sum(u_on_s, self.sensor.time_s),
        )
        u_ampere = two_readings * self.current_step
        return root_sum(
            u_volt / abs(step_a),
            ohm * u_ampere / abs(step_a),
            ohm * self.sensor.current_a / abs(step_a),
            ohm * self.sensor.voltage_relative,
            ohm * self.sensor.current_relative,
        )

    def steady(self, pulse: Pulse) -> bool:
        """Say whether the current stayed within STEADY_SHARE of itself."""
        current = np.abs(self.current[pulse.first + 1 : pulse.stop])
        return not current.size or bool(np.ptp(current) <= STEADY_SHARE * current.max())

    def temperature_known(self, pulse: Pulse) -> bool:
        """Say whether the unit's own temperature was measured before the pulse."""
        return self.degc is not None and bool(np.isfinite(self.degc[pulse.before]))

    def conditions(self, pulse: Pulse, stop: int, rule: str) -> dict[str, Scalar]:
        """Return what was measured under which conditions.

        Parameters
        ----------
        pulse : the pulse
        stop : sample after the last one used
        rule : how the value was taken
        """
        current = self.current[pulse.first : stop]
        last = float(self.time[pulse.stop - 1])
        conditions: dict[str, Scalar] = {
            "rule": rule,
            "direction": "charge" if current[-1] > 0 else "discharge",
            "pulse_current_a": scalar(float(np.median(current))),
            "pulse_duration_s": last - float(self.time[pulse.before]),
            "start_voltage_v": scalar(float(self.voltage[pulse.before])),
            "sampling_s": float(self.time[pulse.first] - self.time[pulse.before]),
            "voltage_resolution_v": self.voltage_step,
            "pulses_in_record": len(self.pulses),
            "soc_information": "none",
            "calibration": self.pack.calibration or "unknown",
        }
        since = self.since_top[pulse.segment]
        start = self.trace.segments()[pulse.segment].start
        if since is not None:
            conditions["below_highest_charge_ah"] = scalar(
                float(since[pulse.before - start])
            )
            conditions["soc_information"] = "charge below the highest of the record"
        for name, column in (
            ("temperature_degc", self.degc),
            (
                "ambient_temperature_degc",
                self.trace.columns.get("ambient_temperature_degc"),
            ),
        ):
            value = float(column[pulse.before]) if column is not None else np.nan
            conditions[name] = scalar(value)
        if all(
            conditions[name] is None
            for name in ("temperature_degc", "ambient_temperature_degc")
        ):
            conditions["ambient_temperature_degc"] = self.pack.test_degc
        if self.pack.nominal_ah:
            rate = abs(float(np.median(current))) / self.pack.nominal_ah
            conditions["c_rate"] = scalar(rate)
        return conditions


def since_highest(trace: Trace, span: slice) -> np.ndarray | None:
    """Return Ah below the highest net charge of a segment, None if it has a gap."""
    net = cumulative_charge(
        trace.time_s, trace.column("current_a"), span.start, span.stop
    )
    if not np.isfinite(net).all():
        return None
    below: np.ndarray = net.max() - net
    return below
