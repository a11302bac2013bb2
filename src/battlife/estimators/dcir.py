"""DC resistance at stated times after a current step.

A pulse begins where the current leaves rest. Its resistance after t seconds is the
change of voltage from the last sample of rest to the moment t, over the change of
current, both linear in time between the samples around that moment (IEC 61960-3,
7.7.3 and IEC 62660-1, 7.4 state such pulses; they differ in t and in rate, so a name
states its t).

The moment the load came on lies between the last sample of rest and the first under
load. The tester's step clock tells it where there is one; else the middle is taken
and half the interval goes into the uncertainty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from battlife.errors import EstimateError, InputError
from battlife.estimators._scales import current_scale, current_threshold, resolution
from battlife.estimators._temperature import unit_temperature
from battlife.estimators._uncertainty import RECTANGULAR, Sensor, root_sum
from battlife.estimators._window import scalar
from battlife.kernels.charge import cumulative_charge
from battlife.kernels.interpolate import value_at
from battlife.kernels.steps import REST, UNKNOWN, find_steps
from battlife.model import Estimate, Measurement, Pack, Trace, trace_sha256
from battlife.model.estimate import Scalar

METHOD = "dcir"
VERSION = "2"
PULSE_SHARE = 0.05
"""A step smaller than this share of the largest sustained current is no pulse."""
STEADY_SHARE = 0.05
"""A current that moved by more than this within a pulse is remarked on."""
UNSUPPORTED = frozenset({"sampling_too_coarse", "pulse_too_short"})
"""Where every pulse is refused for these, the record as a whole supports none: a
square wave sampled once per half would else give thousands of refusals."""
MOST = 2000
"""Pulses of one record that are estimated, counted from its end: a drive cycle or a
square wave has tens of thousands, and each estimate is a record of its own."""
FINEST = 0.5
"""Sampling around t must be no coarser than this share of t: the voltage of a pulse
goes with the logarithm or the root of time, so a chord over a longer stretch is off
by more than the resolution of a cycler."""


@dataclass(frozen=True)
class _Pulse:
    segment: int
    before: int
    first: int
    stop: int


@dataclass(frozen=True)
class PulseResistance:
    """Resistance of each current pulse at stated times.

    Attributes
    ----------
    times_s : s after the step; each gives one measurement
    """

    times_s: tuple[float, ...] = (1.0, 2.0, 10.0, 30.0)

    def __post_init__(self) -> None:
        if not self.times_s or not all(0 < t < 86400 for t in self.times_s):
            raise InputError(
                f"times_s={self.times_s} must be positive seconds, at most a day"
            )

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per pulse, refused ones included.

        Raises
        ------
        EstimateError
            There is no current, no voltage, no pulse from rest, or none that is long
            enough and sampled finely enough for any of the times.
        """
        for name in ("current_a", "voltage_v"):
            if not np.isfinite(trace.columns.get(name, np.empty(0))).any():
                raise EstimateError(
                    f"{trace.unit_id}: the trace has no {name}",
                    "a resistance needs current and voltage over time",
                    (f"{name.partition('_')[0]}_missing",),
                )
        pulses = _find_pulses(trace)
        if not pulses:
            raise EstimateError(
                f"{trace.unit_id}: no current step from rest found",
                "a resistance needs a pulse that begins at rest",
                ("no_pulse",),
            )
        chosen = _chosen(trace, pulses, min(self.times_s))
        measuring = _Measuring(trace, pack, self.times_s, len(pulses))
        found = tuple(measuring.estimate(k, pulses[k]) for k in chosen)
        reasons = {reason for e in found for reason in e.reasons}
        if not any(e.measurements for e in found) and reasons <= UNSUPPORTED:
            raise EstimateError(
                f"{trace.unit_id}: none of {len(found)} current steps supports a "
                f"resistance at {', '.join(f'{t:g} s' for t in self.times_s)}",
                "sample faster, pulse longer, or ask for other times_s",
                tuple(sorted(reasons)),
            )
        return found


def _find_pulses(trace: Trace) -> tuple[_Pulse, ...]:
    current = trace.column("current_a")
    threshold = current_threshold(current)
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
                found.append(_Pulse(index, begin - 1, begin, int(ends[k])))
    return tuple(found)


def _chosen(
    trace: Trace, pulses: tuple[_Pulse, ...], shortest_s: float
) -> Sequence[int]:
    """Return the pulses to estimate: all, or of too many the last MOST long enough."""
    if len(pulses) <= MOST:
        return range(len(pulses))
    before = np.array([p.before for p in pulses])
    last = np.array([p.stop - 1 for p in pulses])
    lasting = np.flatnonzero(trace.time_s[last] - trace.time_s[before] >= shortest_s)
    chosen = lasting if lasting.size else np.arange(len(pulses))
    return [int(k) for k in chosen[-MOST:]]


class _Measuring:
    """One unit's columns and scales, shared by all its pulses."""

    def __init__(
        self, trace: Trace, pack: Pack, times_s: tuple[float, ...], n_pulses: int
    ) -> None:
        self.trace = trace
        self.pack = pack
        self.times_s = times_s
        self.n_pulses = n_pulses
        self.time = trace.time_s
        self.current = trace.column("current_a")
        self.voltage = trace.column("voltage_v")
        self.clock = trace.columns.get("step_time_s")
        self.sensor = Sensor.of(pack.sensor)
        self.current_step = resolution(self.current)
        self.voltage_step = resolution(self.voltage)
        self.degc = unit_temperature(trace)
        self.digest = trace_sha256(trace)
        self.since_top = [_since_highest(trace, span) for span in trace.segments()]

    def estimate(self, index: int, pulse: _Pulse) -> Estimate:
        """Return the resistances of one pulse, or why there are none."""
        on_s, u_on_s = self._load_on(pulse)
        measurements: dict[str, Measurement] = {}
        refused: dict[str, str] = {}
        stop = pulse.first + 1
        for t in self.times_s:
            name = f"dcir_{t:g}s_ohm"
            why, value, uncertainty, used = self._resistance(pulse, on_s, u_on_s, t)
            if why:
                refused[name] = why
                continue
            measurements[name] = Measurement(name, value, uncertainty, "ohm")
            stop = max(stop, used)
        conditions = self._conditions(pulse, stop)
        conditions |= {f"refused_{name}": why for name, why in refused.items()}
        if self.trace.provenance.suspect:
            measurements = {}
        reasons = self._remarks(pulse, measurements, tuple(refused.values()))
        return Estimate(
            unit_id=self.trace.unit_id,
            method=METHOD,
            method_version=VERSION,
            options={"times_s": ",".join(f"{t:g}" for t in self.times_s)},
            status="ok" if measurements else "refused",
            reasons=reasons,
            measurements=measurements,
            conditions=conditions,
            cycle=index,
            segment=pulse.segment,
            start_sample=pulse.before,
            stop_sample=stop,
            trace_sha256=self.digest,
        )

    def _load_on(self, pulse: _Pulse) -> tuple[float, float]:
        """Return when the load came on and its standard uncertainty, both in s."""
        before = float(self.time[pulse.before])
        first = float(self.time[pulse.first])
        if self.clock is not None:
            on = first - float(self.clock[pulse.first])
            slack = max(self.sensor.time_s, 1e-3)
            if before - slack <= on <= first:
                return on, slack
        return 0.5 * (before + first), (first - before) / RECTANGULAR

    def _resistance(
        self, pulse: _Pulse, on_s: float, u_on_s: float, t: float
    ) -> tuple[str, float, float | None, int]:
        """Return (why not, ohm, u in ohm, sample after the last one used)."""
        none = (float("nan"), None, pulse.first)
        at = on_s + t
        span = slice(pulse.first, pulse.stop)
        last_s = float(self.time[pulse.stop - 1])
        # A pulse of exactly t whose load-on is known to an interval is long enough.
        if at > last_s + 0.5 * u_on_s * RECTANGULAR + 1e-6:
            return ("pulse_too_short", *none)
        at = min(at, last_s)
        after = int(np.searchsorted(self.time[span], at, side="left")) + pulse.first
        if after == pulse.first:
            return ("sampling_too_coarse", *none)
        gap_s = float(self.time[after] - self.time[after - 1])
        if gap_s > FINEST * t or u_on_s * RECTANGULAR > t:
            return ("sampling_too_coarse", *none)
        v = float(value_at(self.time, self.voltage, pulse.first, pulse.stop, at))
        i = float(value_at(self.time, self.current, pulse.first, pulse.stop, at))
        dv = v - float(self.voltage[pulse.before])
        di = i - float(self.current[pulse.before])
        value = dv / di if di != 0 else float("nan")
        if not np.isfinite(value):
            return ("sample_missing", *none)
        if value <= 0:
            return ("wrong_sign", *none)
        slope = float(self.voltage[after] - self.voltage[after - 1]) / max(gap_s, 1e-9)
        return "", value, self._uncertainty(value, di, slope, u_on_s), after + 1

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

    def _conditions(self, pulse: _Pulse, stop: int) -> dict[str, Scalar]:
        current = self.current[pulse.first : stop]
        last = float(self.time[pulse.stop - 1])
        conditions: dict[str, Scalar] = {
            "rule": "change of voltage over change of current, from the last sample "
            "of rest to t after load-on, linear between samples",
            "direction": "charge" if current[-1] > 0 else "discharge",
            "pulse_current_a": scalar(float(np.median(current))),
            "pulse_duration_s": last - float(self.time[pulse.before]),
            "start_voltage_v": scalar(float(self.voltage[pulse.before])),
            "sampling_s": float(self.time[pulse.first] - self.time[pulse.before]),
            "voltage_resolution_v": self.voltage_step,
            "pulses_in_record": self.n_pulses,
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

    def _remarks(
        self,
        pulse: _Pulse,
        measurements: dict[str, Measurement],
        refused: tuple[str, ...],
    ) -> tuple[str, ...]:
        if self.trace.provenance.suspect:
            return ("suspect_source",)
        if not measurements:
            return tuple(dict.fromkeys(refused))
        remarks: tuple[str, ...] = ()
        current = np.abs(self.current[pulse.first + 1 : pulse.stop])
        if current.size and np.ptp(current) > STEADY_SHARE * current.max():
            remarks += ("current_not_constant",)
        degc = self.degc
        if degc is None or not np.isfinite(degc[pulse.before]):
            remarks += ("temperature_unknown",)
        if any(m.uncertainty is None for m in measurements.values()):
            remarks += ("uncertainty_unknown",)
        return remarks


def _since_highest(trace: Trace, span: slice) -> np.ndarray | None:
    """Return Ah below the highest net charge of a segment, None if it has a gap."""
    net = cumulative_charge(
        trace.time_s, trace.column("current_a"), span.start, span.stop
    )
    if not np.isfinite(net).all():
        return None
    below: np.ndarray = net.max() - net
    return below
