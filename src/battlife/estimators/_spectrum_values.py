"""What a spectrum and its circuit say, as measurements."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from battlife.estimators._circuits import ARCS, Fit
from battlife.estimators._spectra import Sweep
from battlife.estimators._uncertainty import root_sum
from battlife.model import Measurement

if TYPE_CHECKING:
    from battlife.model.estimate import Scalar

AC_HZ: Final = 1000.0
"""The frequency of the a.c. resistance of IEC 61960-3, 7.7.2."""
ELEMENTS: Final = {
    "R": ("ohmic_resistance_ohm", "ohm"),
    "L": ("inductance_h", "H"),
    "C": ("series_capacitance_f", "F"),
    "W": ("warburg_ohm_per_sqrt_s", "ohm/s^0.5"),
    "CPE": ("series_cpe_s_pow_alpha_per_ohm", "s^alpha/ohm"),
}
"""Measurement and unit of the elements that are no arc."""


@dataclass
class Values:
    """Measurements as they are gathered.

    Attributes
    ----------
    gain : relative standard uncertainty of the analyser, None if it is unknown
    found : measurements by name
    """

    gain: float | None
    found: dict[str, Measurement] = field(default_factory=dict)

    def add(self, name: str, value: float, u: float, unit: str) -> None:
        """Keep what does not feel the analyser's gain: a time, a frequency."""
        if math.isfinite(value) and math.isfinite(u):
            known = None if self.gain is None else u
            self.found[name] = Measurement(name, value, known, unit)

    def add_scaled(self, name: str, value: float, share: float, unit: str) -> None:
        """Keep what goes with the impedance or its inverse; `share` is u / value."""
        self.add(name, value, value * root_sum(share, self.gain or 0.0), unit)


def without_circuit(sweep: Sweep, noise: float, values: Values) -> dict[str, "Scalar"]:
    """Add what needs no circuit; return conditions.

    Parameters
    ----------
    sweep : the spectrum
    noise : relative, of one point
    values : to which the measurements are added
    """
    at_1khz = sweep.at(sweep.size, AC_HZ)
    values.add_scaled("ac_resistance_1khz_ohm", at_1khz, noise, "ohm")
    crossing, crossing_hz = sweep.crossing()
    values.add_scaled("real_axis_crossing_ohm", crossing, noise, "ohm")
    finite = math.isfinite(crossing_hz)
    return {"real_axis_crossing_hz": crossing_hz if finite else None}


def of_circuit(
    fit: Fit, sweep: Sweep, values: Values
) -> tuple[tuple[str, ...], dict[str, "Scalar"]]:
    """Add the elements of a circuit; return (remarks, conditions)."""
    spreads = np.sqrt(np.diag(fit.covariance)).tolist()
    conditions: dict[str, Scalar] = {
        "circuit": fit.text,
        "fit_rms": fit.rms,
        "fit_bic": fit.bic,
    }
    arcs: list[tuple[float, int, str]] = []
    for element, at in zip(fit.elements, fit.places, strict=True):
        if element in ARCS:
            arcs.append((float(fit.values[at + 1]), at, element))
            continue
        name, unit = ELEMENTS[element]
        values.add_scaled(name, float(fit.values[at]), spreads[at], unit)
    inside = []
    for k, (tau, at, element) in enumerate(sorted(arcs), 1):
        top_hz = 1.0 / (2.0 * math.pi * tau)
        u_log = spreads[at + 1]
        values.add_scaled(
            f"arc{k}_resistance_ohm", float(fit.values[at]), spreads[at], "ohm"
        )
        values.add(f"arc{k}_time_constant_s", tau, tau * u_log, "s")
        values.add(f"arc{k}_top_hz", top_hz, top_hz * u_log, "Hz")
        if element == "ZARC":
            conditions[f"arc{k}_exponent"] = float(fit.values[at + 2])
        if sweep.covers(top_hz):
            inside.append(at)
    if inside:
        last = inside[-1]
        values.add_scaled(
            "charge_transfer_resistance_ohm",
            float(fit.values[last]),
            spreads[last],
            "ohm",
        )
        each = np.zeros(fit.values.size)
        each[inside] = fit.values[inside]
        total = float(each.sum())
        share = math.sqrt(max(float(each @ fit.covariance @ each), 0.0)) / total
        values.add_scaled("polarisation_resistance_ohm", total, share, "ohm")
    remarks: tuple[str, ...] = ()
    if fit.undetermined():
        remarks += ("parameter_undetermined",)
    if len(inside) < len(arcs):
        remarks += ("arc_outside_sweep",)
    return remarks, conditions
