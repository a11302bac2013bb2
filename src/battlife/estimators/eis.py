"""Impedance spectra: are they sound, and which circuit describes them.

A spectrum is first held against the Kramers-Kronig relations, which no measurement of
a linear, steady cell can break: one that does is refused, because every number read
from it would be one of the drift or of the wiring. Then a circuit of a fixed list is
fitted and chosen by the Bayesian information criterion, and the distribution of
relaxation times says, without a circuit, where the losses lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from battlife.errors import EstimateError, InputError
from battlife.estimators._circuits import CANDIDATES, Fit, best_fit, parse
from battlife.estimators._spectra import (
    ENOUGH,
    KK_LIMIT,
    LEAST_NOISE,
    Consistency,
    Relaxations,
    Sweep,
    consistency,
    relaxations,
)
from battlife.estimators._spectrum_values import Values, of_circuit, without_circuit
from battlife.estimators._temperature import spectrum_temperature
from battlife.estimators._uncertainty import Sensor, root_sum
from battlife.estimators._window import scalar
from battlife.model import Estimate, Measurement, Pack, Trace, trace_sha256

if TYPE_CHECKING:
    from battlife.model.curve import Curve
    from battlife.model.estimate import Scalar

METHOD: Final = "eis"
VERSION: Final = "2"
RULE: Final = (
    "linear Kramers-Kronig test; circuit by relative least squares, chosen by the "
    "Bayesian information criterion; arcs counted from fast to slow, the slowest whose "
    "top lies within the sweep is the charge transfer, their sum the polarisation"
)


@dataclass(frozen=True)
class ImpedanceSpectrum:
    """Resistances, time constants and validity of each impedance spectrum.

    Attributes
    ----------
    circuit : elements in series, as ``L-R-ZARC-ZARC-W``; "" chooses among the list
    kk_limit : root mean square of the relative residuals of the Kramers-Kronig test
        above which a spectrum is refused; sound ones leave 0.05 to 0.3 %
    fit_limit : the same of a circuit above which its parameters are not given
    gain_relative : standard uncertainty of the analyser's gain, a fraction; None
        takes that of the rig's voltage and current channels
    """

    circuit: str = ""
    kk_limit: float = KK_LIMIT
    fit_limit: float = 0.02
    gain_relative: float | None = None

    def __post_init__(self) -> None:
        if self.circuit:
            parse(self.circuit)
        for name in ("kk_limit", "fit_limit"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise InputError(
                    f"{name}={getattr(self, name)} must be a fraction above 0, below 1"
                )
        if self.gain_relative is not None and not 0.0 <= self.gain_relative < 1.0:
            raise InputError(
                f"gain_relative={self.gain_relative} must be a fraction below 1"
            )

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per spectrum, refused ones included.

        Raises
        ------
        EstimateError
            The source holds no spectrum, or none has a single usable point.
        """
        sweeps = [Sweep.of(s) for s in trace.spectra]
        if not any(s.frequency_hz.size for s in sweeps):
            raise EstimateError(
                f"{trace.unit_id}: no impedance spectrum",
                "a spectrum needs frequency, real and imaginary part",
                ("no_spectrum",),
            )
        digest = trace_sha256(trace)
        return tuple(
            self._one(trace, pack, k, sweep, digest) for k, sweep in enumerate(sweeps)
        )

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence["Curve"]:
        """Return measured and fitted spectrum, residuals and the distribution."""
        from battlife.model.curve import Curve

        sweep = Sweep.of(trace.spectra[estimate.cycle or 0])
        test = consistency(sweep)
        spread = relaxations(sweep, test.noise)
        fit = self._fit(sweep, test, spread)
        columns = {
            "frequency_hz": sweep.frequency_hz,
            "z_re_ohm": sweep.re,
            "z_im_ohm": sweep.im,
            "kk_residual_re": test.residual_re,
            "kk_residual_im": test.residual_im,
        }
        if fit is not None:
            columns |= {"fit_re_ohm": fit.fit_re, "fit_im_ohm": fit.fit_im}
        return (
            Curve("spectrum", columns),
            Curve(
                "relaxation_times",
                {"tau_s": spread.tau_s, "ohm_per_decade": spread.ohm_per_decade},
            ),
        )

    def _one(
        self, trace: Trace, pack: Pack, index: int, sweep: Sweep, digest: str
    ) -> Estimate:
        conditions = self._conditions(trace, pack, index, sweep)
        measurements: dict[str, Measurement] = {}
        reasons = sweep.impossible()
        if not reasons:
            test = consistency(sweep)
            conditions |= _of_test(test)
            if not test.rms <= self.kk_limit:
                reasons = ("kk_failed" if test.systematic else "spectrum_noisy",)
            else:
                spread = relaxations(sweep, test.noise)
                conditions |= _of_distribution(spread)
                measurements, remarks, more = self._measured(pack, sweep, test, spread)
                conditions |= more
                reasons = remarks
        if trace.provenance.suspect:
            measurements, reasons = {}, ("suspect_source",)
        if measurements:
            unknown = (
                conditions["temperature_degc"] is None
                and conditions["ambient_temperature_degc"] is None
            )
            reasons += ("temperature_unknown",) if unknown else ()
            reasons += ("points_missing",) if sweep.n_missing else ()
            if any(m.uncertainty is None for m in measurements.values()):
                reasons += ("uncertainty_unknown",)
        return Estimate(
            unit_id=trace.unit_id,
            method=METHOD,
            method_version=VERSION,
            options={
                "circuit": self.circuit,
                "kk_limit": self.kk_limit,
                "fit_limit": self.fit_limit,
                "gain_relative": self.gain_relative,
            },
            status="ok" if measurements else "refused",
            reasons=reasons,
            measurements=measurements,
            conditions=conditions,
            cycle=index,
            segment=None,
            start_sample=0,
            stop_sample=trace.n_samples,
            trace_sha256=digest,
        )

    def _fit(self, sweep: Sweep, test: Consistency, spread: Relaxations) -> Fit | None:
        lead = "L-" if sweep.inductive else ""
        circuits = (
            (self.circuit,) if self.circuit else tuple(lead + c for c in CANDIDATES)
        )
        found = best_fit(
            sweep.omega,
            sweep.re,
            sweep.im,
            circuits,
            spread.peaks,
            ENOUGH * max(test.noise, LEAST_NOISE),
        )
        return found if found is not None and found.rms <= self.fit_limit else None

    def _measured(
        self, pack: Pack, sweep: Sweep, test: Consistency, spread: Relaxations
    ) -> tuple[dict[str, Measurement], tuple[str, ...], dict[str, "Scalar"]]:
        values = Values(self._gain(pack))
        conditions = without_circuit(sweep, test.noise, values)
        fit = self._fit(sweep, test, spread)
        if fit is None:
            return values.found, ("no_circuit_fits",), conditions
        remarks, more = of_circuit(fit, sweep, values)
        return values.found, remarks, conditions | more

    def _gain(self, pack: Pack) -> float | None:
        if self.gain_relative is not None:
            return self.gain_relative
        sensor = Sensor.of(pack.sensor)
        if not (sensor.current_known and sensor.voltage_known):
            return None
        return root_sum(sensor.current_relative, sensor.voltage_relative)

    def _conditions(
        self, trace: Trace, pack: Pack, index: int, sweep: Sweep
    ) -> dict[str, "Scalar"]:
        spectrum = trace.spectra[index]
        f = sweep.frequency_hz
        conditions: dict[str, Scalar] = {
            "rule": RULE,
            "n_points": int(f.size),
            "highest_hz": scalar(float(f[0])) if f.size else None,
            "lowest_hz": scalar(float(f[-1])) if f.size else None,
            "voltage_v": scalar(spectrum.voltage_v),
            "soc_information": "none",
            "temperature_degc": scalar(spectrum_temperature(trace, spectrum)),
            "ambient_temperature_degc": None,
            "calibration": pack.calibration or "unknown",
        }
        if conditions["temperature_degc"] is None:
            conditions["ambient_temperature_degc"] = pack.test_degc
        return conditions


def _of_test(test: Consistency) -> dict[str, "Scalar"]:
    return {
        "kk_rms": test.rms,
        "kk_largest": test.largest,
        "kk_mu": scalar(test.mu),
        "kk_relaxations": test.relaxations,
        "kk_correlation": test.correlation,
        "kk_worst_hz": ", ".join(f"{f:.4g}" for f in test.worst_hz),
    }


def _of_distribution(spread: Relaxations) -> dict[str, "Scalar"]:
    """Say where the peaks lie; the distribution itself is a curve."""
    return {
        "drt_penalty": spread.penalty,
        "drt_rms": spread.rms,
        "drt_peaks": "; ".join(f"{r:.4g} ohm at {t:.3g} s" for r, t in spread.peaks),
    }
