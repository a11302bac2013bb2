"""Self-discharge from long rests, and from capacity lost in storage.

In a rest the voltage falls by what relaxes and by what discharges itself. A rest long
enough to tell the two apart gives the fall per day (of the median cell, and of the
cell that falls most beside it: the K-value), and with the slope of the open-circuit
voltage the current. Where the fall is not told from nothing the answer is a bound.
After a storage between charge and discharge the missing charge gives the current
directly. Rules and limits: docs/diagnosis.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.errors import EstimateError, InputError
from battlife.estimators._rests import (
    Decay,
    Rest,
    decay_of,
    find_rests,
    step_of,
    temperature_part,
)
from battlife.estimators._storage import storages
from battlife.estimators._temperature import unit_temperature
from battlife.estimators._uncertainty import Sensor, root_sum
from battlife.model import Column, Estimate, Measurement, Pack, Trace, trace_sha256
from battlife.model.curve import Curve
from battlife.model.estimate import Scalar

METHOD: Final = "self_discharge"
VERSION: Final = "1"
SECONDS_PER_DAY: Final = 86400.0
VALUE_HOURS: Final = 24.0
"""Rest from which a fall may be told as self-discharge. A relaxation with a time
constant of a day looks like a line within hours, and large cells have such."""
TOLD: Final = 2.0
"""Uncertainties by which a fall must differ from nothing; below it is bounded."""
BOUND: Final = 1.645
"""Uncertainties above the value that a bound lies: 95 % one-sided."""
ACTIVATION_J_PER_MOL: Final = (52e3, 15e3)
"""Twice per 10 K near 25 degC, and its standard uncertainty: makers' charge retention
at 25 and 45 degC gives factors between 1.4 and 2.7 per 10 K."""
GAS_CONSTANT: Final = 8.314462618
REFERENCE_DEGC: Final = 25.0


@dataclass(frozen=True)
class SelfDischarge:
    """Self-discharge from rests and storages.

    Attributes
    ----------
    min_hours : shortest rest looked at
    ocv_slope_v_per_ah : V/Ah of one cell at the rest's state of charge; None: no
        current follows from a rest
    ocv_slope_relative : standard uncertainty of that slope, a fraction
    per_soc : change of the logarithm of the current per unit of SOC, to correct to
        `reference_soc`; None leaves the state of charge as it was
    reference_soc : fraction
    soc : state of charge in the rest, a fraction, where the trace has none
    """

    min_hours: float = 6.0
    ocv_slope_v_per_ah: float | None = None
    ocv_slope_relative: float = 0.1
    per_soc: float | None = None
    reference_soc: float = 0.5
    soc: float | None = None

    def __post_init__(self) -> None:
        if not 1.0 <= self.min_hours <= 1e5:
            raise InputError(
                f"min_hours={self.min_hours:g}: relaxation alone takes hours",
                "at least one, better six or more",
            )
        if self.ocv_slope_v_per_ah is not None and not self.ocv_slope_v_per_ah > 0:
            raise InputError("ocv_slope_v_per_ah must be positive")
        if not 0 <= self.ocv_slope_relative < 1:
            raise InputError("ocv_slope_relative is a fraction below 1")

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per long rest and per storage, in order.

        Raises
        ------
        EstimateError
            No current, no voltage, or no rest of `min_hours`.
        """
        for name in ("current_a",):
            if not np.isfinite(trace.columns.get(name, np.empty(0))).any():
                raise EstimateError(
                    f"{trace.unit_id}: the trace has no {name}",
                    "whether a unit rests is seen in its current",
                    ("current_missing",),
                )
        rests = find_rests(trace, self.min_hours)
        digest = trace_sha256(trace)
        found = [
            self._estimate(trace, pack, k, rest, digest) for k, rest in enumerate(rests)
        ]
        found += [
            self._finish(trace, pack, len(found) + k, digest, *stored)
            for k, stored in enumerate(storages(trace, pack))
        ]
        if not found:
            raise EstimateError(
                f"{trace.unit_id}: no rest of {self.min_hours:g} h",
                "self-discharge needs hours of rest, better days",
                ("no_long_rest",),
            )
        return tuple(found)

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence[Curve]:
        """Return the voltage in the rest and the line of the steady fall."""
        if estimate.conditions.get("source") != "rest":
            return ()
        rest = Rest(0, estimate.start_sample, estimate.stop_sample, float("nan"))
        values, per_unit = _voltages(trace, pack, rest)
        time = trace.time_s[rest.start : rest.stop]
        decay = _decay(trace, rest, values, per_unit)
        if decay is None:
            return ()
        known = np.isfinite(values).any(axis=0)
        time = time[known]
        middle = np.nanmedian(values[:, known], axis=0) / per_unit
        hours = (time - time[0]) / 3600.0
        fall = float(np.nanmedian(decay.fall)) * 3600.0
        level = float(np.nanmedian(decay.level))
        line = level - fall * (hours - hours[-1] * 5.0 / 6.0)
        columns = {"hours": hours, "cell_voltage_v": middle, "steady_fall_v": line}
        return (Curve("rest", columns),)

    def _estimate(
        self, trace: Trace, pack: Pack, index: int, rest: Rest, digest: str
    ) -> Estimate:
        values, per_unit = _voltages(trace, pack, rest)
        time = trace.time_s[rest.start : rest.stop]
        decay = _decay(trace, rest, values, per_unit)
        degc = unit_temperature(trace)
        part = None if degc is None else degc[rest.start : rest.stop]
        u_degc, mean_degc = temperature_part(part, time)
        conditions: dict[str, Scalar] = {
            "rule": "fall linear in time beside a relaxation that is logarithmic or "
            "exponential, the first sixth of the rest left out",
            "source": "rest",
            "after": _after(rest),
            "temperature_degc": mean_degc,
            "soc": self._soc(trace, rest),
            "cells_in_series": per_unit,
        }
        if decay is None:
            why = ("resolution_unknown",) if values.size else ("voltage_missing",)
            return self._finish(trace, pack, index, digest, rest, why, {}, conditions)
        conditions |= {
            "rest_hours": decay.hours,
            "rest_voltage_v": float(np.nanmedian(decay.level)),
        }
        middle = int(np.nanargmin(np.abs(decay.fall - np.nanmedian(decay.fall))))
        fall = float(np.nanmedian(decay.fall))
        u = root_sum(float(decay.u[middle]), u_degc)
        refused = _refused(trace, rest, decay, fall, u, values)
        measured: dict[str, tuple[float, float, str]] = {}
        reasons: tuple[str, ...] = ()
        short = decay.hours < VALUE_HOURS
        if not refused and short:
            # After a charge both fall, so that together they bound the one.
            total = fall + float(np.nanmedian(decay.relaxing))
            bound = (max(total, 0.0) + BOUND * u) * SECONDS_PER_DAY
            u_day = max(u * SECONDS_PER_DAY, 1e-9)
            measured["self_discharge_below_v_per_day"] = (bound, u_day, "V/d")
            reasons = ("rest_too_short",)
        elif not refused:
            reasons = _put(measured, "self_discharge", fall, u)
            measured |= self._current(pack, fall, u, mean_degc, conditions)
        if decay.fall.size > 2 and not short:
            reasons += _beside(measured, conditions, decay)
        if not measured:
            reasons = refused
        elif refused:
            reasons += refused
        return self._finish(
            trace, pack, index, digest, rest, reasons, measured, conditions
        )

    def _soc(self, trace: Trace, rest: Rest) -> float | None:
        column = trace.columns.get("soc")
        if column is not None:
            seen = column[rest.start : rest.stop]
            seen = seen[np.isfinite(seen)]
            if seen.size:
                return float(seen.mean())
        return self.soc

    def _current(
        self,
        pack: Pack,
        fall: float,
        u: float,
        degc: float | None,
        conditions: dict[str, Scalar],
    ) -> dict[str, tuple[float, float, str]]:
        """Return the current behind a fall, as it was and at reference conditions."""
        slope = self.ocv_slope_v_per_ah
        if slope is None or fall <= TOLD * u:
            return {}
        current = fall * 3600.0 / slope
        relative = root_sum(u / fall, self.ocv_slope_relative)
        found = {"self_discharge_a": (current, relative * current, "A")}
        return found | self._corrected(pack, current, relative, degc, conditions)

    def _corrected(
        self,
        pack: Pack,
        current: float,
        relative: float,
        degc: float | None,
        conditions: dict[str, Scalar],
    ) -> dict[str, tuple[float, float, str]]:
        """Return the current at reference temperature, and state of charge if asked."""
        if degc is None:
            return {}
        reference = REFERENCE_DEGC if pack.reference_degc is None else (
            pack.reference_degc
        )  # fmt: skip
        inverse = 1.0 / (degc + 273.15) - 1.0 / (reference + 273.15)
        energy, u_energy = ACTIVATION_J_PER_MOL
        factor = float(np.exp(energy / GAS_CONSTANT * inverse))
        relative = root_sum(relative, u_energy / GAS_CONSTANT * inverse)
        soc = conditions.get("soc")
        conditions |= {"reference_degc": reference, "soc_corrected": False}
        if self.per_soc is not None and isinstance(soc, float):
            factor *= float(np.exp(self.per_soc * (self.reference_soc - soc)))
            # The coefficient is believed to within half of itself.
            relative = root_sum(
                relative, 0.5 * self.per_soc * (self.reference_soc - soc)
            )
            conditions |= {"soc_corrected": True, "reference_soc": self.reference_soc}
        value = current * factor
        return {"self_discharge_reference_a": (value, relative * value, "A")}

    def _finish(
        self,
        trace: Trace,
        pack: Pack,
        index: int,
        digest: str,
        rest: Rest,
        reasons: tuple[str, ...],
        measured: dict[str, tuple[float, float, str]],
        conditions: dict[str, Scalar],
    ) -> Estimate:
        sensor = Sensor.of(pack.sensor)
        stored = conditions["source"] == "storage"
        known = sensor.current_known if stored else sensor.voltage_known
        degc = conditions.get("temperature_degc")
        if stored and "self_discharge_a" in measured:
            value, u, _ = measured["self_discharge_a"]
            measured = measured | self._corrected(
                pack, value, u / value, degc if isinstance(degc, float) else None,
                conditions,
            )  # fmt: skip
        if pack.nominal_ah and "self_discharge_a" in measured:
            value, u, _ = measured["self_discharge_a"]
            share = 30.0 * 24.0 / pack.nominal_ah
            measured = measured | {
                "self_discharge_per_30d": (value * share, u * share, "1")
            }
        conditions = conditions | {"calibration": pack.calibration or "unknown"}
        if measured and not known:
            reasons += ("uncertainty_unknown",)
        if measured and degc is None:
            reasons += ("temperature_unknown",)
        if trace.provenance.suspect:
            measured, reasons = {}, ("suspect_source",)
        measurements = {
            n: _measurement(n, v, u if known else None, unit)
            for n, (v, u, unit) in measured.items()
        }
        return Estimate(
            unit_id=trace.unit_id,
            method=METHOD,
            method_version=VERSION,
            options={
                "min_hours": self.min_hours,
                "ocv_slope_v_per_ah": self.ocv_slope_v_per_ah,
                "ocv_slope_relative": self.ocv_slope_relative,
                "per_soc": self.per_soc,
                "reference_soc": self.reference_soc,
                "soc": self.soc,
            },
            status="ok" if measurements else "refused",
            reasons=tuple(dict.fromkeys(reasons)),
            measurements=measurements,
            conditions=conditions,
            cycle=index,
            segment=rest.segment,
            start_sample=rest.start,
            stop_sample=rest.stop,
            trace_sha256=digest,
        )


def _measurement(name: str, value: float, u: float | None, unit: str) -> Measurement:
    """Return a measurement; one that says "below" is the upper end of an interval."""
    if "_below_" not in name:
        return Measurement(name, value, u, unit)
    return Measurement(name, value, u, unit, low=0.0, high=value, coverage=0.95)


def _voltages(trace: Trace, pack: Pack, rest: Rest) -> tuple[Column, float]:
    """Return (m, n) V in a rest and how many cells are behind each row."""
    cells = trace.columns.get("cell_voltage_v")
    if cells is not None and np.isfinite(cells[:, rest.start : rest.stop]).any():
        part = cells[:, rest.start : rest.stop]
        return part[np.isfinite(part).any(axis=1)], 1.0
    own = trace.columns.get("voltage_v")
    if own is None or not np.isfinite(own[rest.start : rest.stop]).any():
        return np.empty((0, 0)), 1.0
    return own[None, rest.start : rest.stop], float(pack.cells_in_series or 1)


def _decay(trace: Trace, rest: Rest, values: Column, per_unit: float) -> Decay | None:
    if not values.size:
        return None
    name = "cell_voltage_v" if "cell_voltage_v" in trace.columns else "voltage_v"
    step = step_of(np.atleast_2d(trace.column(name)), values)
    return decay_of(trace.time_s[rest.start : rest.stop], values, per_unit, step)


def _after(rest: Rest) -> str:
    if not np.isfinite(rest.after_a):
        return "unknown"
    return "charge" if rest.after_a > 0 else "discharge"


def _refused(
    trace: Trace,
    rest: Rest,
    decay: Decay,
    fall: float,
    u: float,
    values: Column,
) -> tuple[str, ...]:
    """Return why a rest says nothing of the absolute fall, () if it does.

    It is too short where what relaxes in its last third is both plain and more than
    what falls steadily; and below VALUE_HOURS unless it follows a charge.
    """
    if rest.start > 0 and np.isfinite(rest.after_a):
        column = "cell_voltage_v" if "cell_voltage_v" in trace.columns else "voltage_v"
        before = np.atleast_2d(trace.column(column))[:, rest.start - 1]
        if before.shape[0] == values.shape[0]:
            jumps = before - values[:, 0]
            jumps = jumps[np.isfinite(jumps)]
        else:
            jumps = np.empty(0)
        if jumps.size and float(np.median(jumps)) * rest.after_a < 0:
            return ("wrong_sign",)
    if decay.hours < VALUE_HOURS and not rest.after_a > 0:
        return ("rest_too_short",)
    relaxing = float(np.nanmedian(decay.relaxing))
    if relaxing > max(abs(fall), TOLD * float(np.nanmedian(decay.u_scatter))):
        return ("relaxation_not_over",)
    if fall < -TOLD * u:
        # The voltage rises: what relaxes after a discharge hides what falls.
        return ("voltage_rises",)
    return ()


def _put(
    measured: dict[str, tuple[float, float, str]], name: str, fall: float, u: float
) -> tuple[str, ...]:
    """Add a fall per day, or its bound, and return what qualifies it."""
    value, u = fall * SECONDS_PER_DAY, max(u * SECONDS_PER_DAY, 1e-9)
    if fall * SECONDS_PER_DAY > TOLD * u:
        measured[f"{name}_v_per_day"] = (value, u, "V/d")
        return ()
    bound = max(value, 0.0) + BOUND * u
    measured[f"{name}_below_v_per_day"] = (bound, u, "V/d")
    return (f"{name}_below_resolution",)


def _beside(
    measured: dict[str, tuple[float, float, str]],
    conditions: dict[str, Scalar],
    decay: Decay,
) -> tuple[str, ...]:
    """Add the fall of the worst cell beside the median cell (its K-value).

    Temperature and what relaxes alike in all cells cancel.
    """
    apart = decay.fall - np.nanmedian(decay.fall)
    worst = int(np.nanargmax(apart))
    scatter = 1.4826 * float(np.nanmedian(np.abs(apart)))
    conditions |= {"worst_cell": worst, "n_cells": int(apart.size)}
    u = root_sum(float(decay.u[worst]), scatter)
    return _put(measured, "cell_self_discharge", float(apart[worst]), u)
