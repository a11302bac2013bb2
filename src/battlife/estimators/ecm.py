"""Equivalent circuit of each pulse: R0 and one or two RC pairs.

The circuit is fitted to the pulse and to the rest after it. What reacts within the
first samples is R0; what relaxes more slowly than the record lasts is told apart from
the open-circuit voltage by nothing and stands in the slope over charge. So R0 belongs
to its sampling, the pairs to the length of the record: both are conditions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from battlife.errors import EstimateError, InputError
from battlife.estimators._arrhenius import (
    Activation,
    activation_of,
    corrected,
    supported,
)
from battlife.estimators._pulse_fit import (
    CircuitFit,
    PulseWindow,
    circuit_of,
    drift_of,
    window_of,
)
from battlife.estimators._pulses import (
    Pulse,
    PulseRecord,
    chosen_pulses,
)
from battlife.estimators._uncertainty import RECTANGULAR, root_sum
from battlife.kernels.pulse_circuit import LINEAR
from battlife.model import Estimate, Measurement, Pack, Trace

if TYPE_CHECKING:
    from battlife.model.curve import Curve
    from battlife.model.estimate import Scalar

METHOD: Final = "ecm"
VERSION: Final = "2"
RULE: Final = (
    "least squares over pulse and the rest after it without its first sample, up to "
    "twice as long: R0, RC pairs, and a slope of the open-circuit voltage over charge"
)
FEWEST_LOADED: Final = 8
"""Samples under load: twice the parameters of one pair."""
NOT_RELAXED: Final = 0.05
"""Drift before the pulse, over the length of the record, as a share of its swing."""
UNSUPPORTED: Final = frozenset({"pulse_too_long", "too_few_samples"})
"""Where every pulse is refused for these, the record as a whole supports none."""


@dataclass(frozen=True)
class PulseCircuit:
    """R0 and RC pairs of each current pulse by least squares.

    Attributes
    ----------
    relaxation_s : rest after the pulse that is used, in s; None takes twice the pulse
    longest_s : a longer pulse moves the open-circuit voltage along its curve, which
        this circuit does not have
    fit_limit : root mean square of the residuals over the swing of the voltage above
        which a circuit is refused
    correct_s : the resistance at this time is corrected to the reference temperature
    reference_degc : to which temperature
    activation_j_per_mol, u_activation_j_per_mol : of this type of cell, where it was
        measured; None takes what is known of the declared chemistry
    """

    relaxation_s: float | None = None
    longest_s: float = 120.0
    fit_limit: float = 0.03
    correct_s: float = 10.0
    reference_degc: float = 25.0
    activation_j_per_mol: float | None = None
    u_activation_j_per_mol: float | None = None

    def __post_init__(self) -> None:
        for name in ("longest_s", "fit_limit", "correct_s"):
            if not getattr(self, name) > 0.0:
                raise InputError(f"{name}={getattr(self, name)} must be positive")
        if self.relaxation_s is not None and self.relaxation_s < 0.0:
            raise InputError(f"relaxation_s={self.relaxation_s} must not be negative")
        if not supported(self.reference_degc):
            raise InputError(
                f"reference_degc={self.reference_degc} is outside 0 to 50 degC"
            )
        stated = (self.activation_j_per_mol, self.u_activation_j_per_mol)
        if (stated[0] is None) != (stated[1] is None) or any(
            s is not None and s < 0.0 for s in stated
        ):
            raise InputError(
                "activation_j_per_mol and u_activation_j_per_mol go together",
                "e.g. --set activation_j_per_mol=25000 --set "
                "u_activation_j_per_mol=2000",
            )

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per pulse, refused ones included.

        Raises
        ------
        EstimateError
            There is no current, no voltage, no pulse from rest, or none that is short
            enough and sampled often enough.
        """
        record = PulseRecord(trace, pack)
        pulses = record.pulses
        found = tuple(
            self._one(record, k, pulses[k])
            for k in chosen_pulses(trace, pulses, self.correct_s)
        )
        reasons = {reason for e in found for reason in e.reasons}
        if not any(e.measurements for e in found) and reasons <= UNSUPPORTED:
            raise EstimateError(
                f"{trace.unit_id}: none of {len(found)} current steps supports a "
                f"circuit: they last longer than {self.longest_s:g} s or have fewer "
                f"than {FEWEST_LOADED} samples",
                "sample faster or pulse shorter; dcir needs less",
                tuple(sorted(reasons)),
            )
        return found

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence["Curve"]:
        """Return the pulse as measured and as the circuit gives it."""
        from battlife.model.curve import Curve

        record = PulseRecord(trace, pack)
        pulses = record.pulses
        window = window_of(record, pulses[estimate.cycle or 0], self.relaxation_s)
        fit = circuit_of(window)
        assert fit is not None  # the estimate was accepted
        return (
            Curve(
                "pulse",
                {
                    "since_load_on_s": window.time - window.on_s,
                    "current_a": window.current,
                    "voltage_v": window.voltage,
                    "fitted_voltage_v": fit.fitted,
                },
            ),
        )

    def _one(self, record: PulseRecord, index: int, pulse: Pulse) -> Estimate:
        window = window_of(record, pulse, self.relaxation_s)
        conditions = record.conditions(pulse, pulse.stop, RULE)
        conditions["relaxation_s"] = window.rest_s
        measurements: dict[str, Measurement] = {}
        remarks: tuple[str, ...] = ()
        why = self._refusal(record, pulse, window)
        fit = None if why else circuit_of(window)
        if not why and fit is None:
            why = "wrong_sign"
        if fit is not None:
            conditions |= {
                "pairs": fit.pairs if fit.determined else 0,
                "fit_rms_v": fit.rms_v,
                "slope_v_per_ah": float(fit.values[1]) * 3600.0,
            }
            if fit.rms_v > self.fit_limit * window.swing_v:
                why = "no_circuit_fits"
            else:
                drift_v = drift_of(record, pulse, window)
                measurements = _measured(record, window, fit, drift_v)
                remarks = () if fit.determined else ("pairs_undetermined",)
                if abs(drift_v) > NOT_RELAXED * window.swing_v:
                    remarks += ("not_relaxed",)
                if window.rest_s <= 0.0:
                    remarks += ("relaxation_missing",)
                measurements |= self._corrected(record, pulse, window, conditions)
        if record.trace.provenance.suspect:
            measurements, why = {}, "suspect_source"
        return Estimate(
            unit_id=record.trace.unit_id,
            method=METHOD,
            method_version=VERSION,
            options={f.name: getattr(self, f.name) for f in fields(self)},
            status="ok" if measurements else "refused",
            reasons=(
                (*remarks, *_remarks(record, pulse, measurements))
                if measurements
                else (why,)
            ),
            measurements=measurements,
            conditions=conditions,
            cycle=index,
            segment=pulse.segment,
            start_sample=pulse.before,
            stop_sample=window.stop,
            trace_sha256=record.digest,
        )

    def _refusal(self, record: PulseRecord, pulse: Pulse, window: PulseWindow) -> str:
        if window.loaded_s > self.longest_s:
            return "pulse_too_long"
        if window.off - 1 < FEWEST_LOADED:
            return "too_few_samples"
        if not (np.isfinite(window.current) & np.isfinite(window.voltage)).all():
            return "sample_missing"
        if record.voltage_leads(pulse):
            return "voltage_leads_current"
        return ""

    def _corrected(
        self,
        record: PulseRecord,
        pulse: Pulse,
        window: PulseWindow,
        conditions: dict[str, "Scalar"],
    ) -> dict[str, Measurement]:
        """Return the resistance at the reference temperature, {} if it is unknown."""
        why, ohm, u_ohm, _ = record.resistance(
            pulse, window.on_s, window.u_on_s, self.correct_s
        )
        degc = conditions["temperature_degc"]
        if degc is None:
            degc = conditions["ambient_temperature_degc"]
        if why or not isinstance(degc, float) or not supported(degc):
            return {}
        activation = activation_of(record.pack.chemistry)
        if self.activation_j_per_mol is not None:
            activation = Activation(
                self.activation_j_per_mol, self.u_activation_j_per_mol or 0.0, "option"
            )
        value, u = corrected(ohm, u_ohm, degc, self.reference_degc, activation)
        conditions |= {
            "corrected_from_degc": degc,
            "activation_j_per_mol": activation.j_per_mol,
            "u_activation_j_per_mol": activation.u_j_per_mol,
            "activation_source": activation.source,
        }
        name = f"dcir_{self.correct_s:g}s_{self.reference_degc:g}degc_ohm"
        return {name: Measurement(name, value, u, "ohm")}


def _measured(
    record: PulseRecord, window: PulseWindow, fit: CircuitFit, drift_v: float
) -> dict[str, Measurement]:
    """Return R0, and the pairs where the data hold them."""
    load = abs(window.load_a)
    sensor = record.sensor
    known = sensor.current_known and sensor.voltage_known
    gain = root_sum(
        sensor.current_relative,
        sensor.voltage_relative,
        sensor.current_a / load,
        record.current_step / RECTANGULAR / load,
    )
    # Everything is counted from one reading of the rest before: its noise is in all.
    quantum = math.sqrt(2.0) * record.voltage_step / RECTANGULAR
    reading = root_sum(quantum, fit.rms_v) / load
    ohms = fit.values[LINEAR::2] if fit.determined else np.empty(0)
    taus = fit.values[LINEAR + 1 :: 2] if fit.determined else np.empty(0)
    rate = float((ohms / taus).sum()) + float(fit.values[1])
    timing = rate * root_sum(window.u_on_s, sensor.time_s)
    drift = drift_v / load

    def of(name: str, value: float, unit: str, *terms: float) -> Measurement:
        return Measurement(name, value, root_sum(*terms) if known else None, unit)

    r0, spread = float(fit.values[0]), fit.spread
    found = [of("r0_ohm", r0, "ohm", float(spread[0]), gain * r0, reading, timing)]
    for k, (ohm, tau) in enumerate(zip(ohms.tolist(), taus.tolist(), strict=True), 1):
        at = LINEAR + 2 * (k - 1)
        share = root_sum(reading, drift) / ohm
        found += [
            of(
                f"r{k}_ohm",
                ohm,
                "ohm",
                float(spread[at]),
                gain * ohm,
                share * ohm,
                timing if k == 1 else 0.0,
            ),
            of(f"tau{k}_s", tau, "s", tau * float(spread[at + 1]), tau * share),
        ]
    return {m.name: m for m in found}


def _remarks(
    record: PulseRecord, pulse: Pulse, measurements: dict[str, Measurement]
) -> tuple[str, ...]:
    remarks: tuple[str, ...] = ()
    if not record.steady(pulse):
        remarks += ("current_not_constant",)
    if not record.temperature_known(pulse):
        remarks += ("temperature_unknown",)
    if any(m.uncertainty is None for m in measurements.values()):
        remarks += ("uncertainty_unknown",)
    return remarks
