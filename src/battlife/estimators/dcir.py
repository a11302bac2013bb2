"""DC resistance at stated times after a current step.

A pulse begins where the current leaves rest. Its resistance after t seconds is the
change of voltage from the last sample of rest to the moment t, over the change of
current, both linear in time between the samples around that moment (IEC 61960-3,
7.7.3 and IEC 62660-1, 7.4 state such pulses; they differ in t and in rate, so a name
states its t).

The moment the load came on lies between the last sample of rest and the first under
load. The tester's step clock tells it where there is one; else the middle is taken
and half the interval goes into the uncertainty.

Where the voltage moved while the current was still 0 (``voltage_leads_current``) the
last sample of rest is none, and a resistance from it would be too low: refused.
"""

from dataclasses import dataclass

from battlife.errors import EstimateError, InputError
from battlife.estimators._pulses import (
    Pulse,
    PulseRecord,
    chosen_pulses,
)
from battlife.model import Estimate, Measurement, Pack, Trace

METHOD = "dcir"
VERSION = "3"
RULE = (
    "change of voltage over change of current, from the last sample "
    "of rest to t after load-on, linear between samples"
)
UNSUPPORTED = frozenset({"sampling_too_coarse", "pulse_too_short"})
"""Where every pulse is refused for these, the record as a whole supports none: a
square wave sampled once per half would else give thousands of refusals."""


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
        measuring = _Measuring(trace, pack, self.times_s)
        pulses = measuring.pulses
        chosen = chosen_pulses(trace, pulses, min(self.times_s))
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


class _Measuring(PulseRecord):
    """One unit's columns and scales, and the moments asked for."""

    def __init__(self, trace: Trace, pack: Pack, times_s: tuple[float, ...]) -> None:
        super().__init__(trace, pack)
        self.times_s = times_s

    def estimate(self, index: int, pulse: Pulse) -> Estimate:
        """Return the resistances of one pulse, or why there are none."""
        on_s, u_on_s = self.load_on(pulse)
        measurements: dict[str, Measurement] = {}
        refused: dict[str, str] = {}
        stop = pulse.first + 1
        leads = self.voltage_leads(pulse)
        for t in self.times_s:
            name = f"dcir_{t:g}s_ohm"
            if leads:
                refused[name] = "voltage_leads_current"
                continue
            why, value, uncertainty, used = self.resistance(pulse, on_s, u_on_s, t)
            if why:
                refused[name] = why
                continue
            measurements[name] = Measurement(name, value, uncertainty, "ohm")
            stop = max(stop, used)
        conditions = self.conditions(pulse, stop, RULE)
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

    def _remarks(
        self,
        pulse: Pulse,
        measurements: dict[str, Measurement],
        refused: tuple[str, ...],
    ) -> tuple[str, ...]:
        if self.trace.provenance.suspect:
            return ("suspect_source",)
        if not measurements:
            return tuple(dict.fromkeys(refused))
        remarks: tuple[str, ...] = ()
        if not self.steady(pulse):
            remarks += ("current_not_constant",)
        if not self.temperature_known(pulse):
            remarks += ("temperature_unknown",)
        if any(m.uncertainty is None for m in measurements.values()):
            remarks += ("uncertainty_unknown",)
        return remarks
