"""Degradation modes from the voltage of a slow charge or discharge.

Two half-cell curves are laid under the voltage of the cell (kernels/half_cell.py). What
each electrode still holds and the lithium that still moves follow from where they lie;
against a reference state they give the loss of lithium inventory LLI and the losses of
active material LAM_PE and LAM_NE (Dubarry, Truchot, Liaw, J. Power Sources 219, 2012,
204, doi 10.1016/j.jpowsour.2012.07.016; Birkl et al., J. Power Sources 341, 2017, 373,
doi 10.1016/j.jpowsour.2016.12.011).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from battlife.errors import EstimateError, InputError
from battlife.estimators._differential import UNSUPPORTED, no_support
from battlife.estimators._half_cells import HalfCell, electrodes, read_curve
from battlife.estimators._half_cycles import (
    HalfCycle,
    conditions,
    half_cycle_of,
    half_cycles,
    refusals,
    remarks,
)
from battlife.estimators._ocv_alignment import Alignment, align
from battlife.estimators._scales import resolution
from battlife.estimators._uncertainty import RECTANGULAR, Sensor, root_sum
from battlife.model import Column, Estimate, Measurement, Pack, Trace, trace_sha256
from battlife.model.curve import Curve
from battlife.model.estimate import Scalar
from battlife.model.learned import Model

METHOD = "ocv_fit"
VERSION = "1"
NAMES = ("positive_capacity_ah", "negative_capacity_ah", "lithium_inventory_ah")
LOSSES = ("lam_pe", "lam_ne", "lli")
UNKNOWN = 0.05
"""Relative uncertainty from which a capacity is not told by the window: twice that is
half of what a cell loses until its end of life."""
POOR_V = 0.02
"""Residual beyond which the curves are not those of this cell: the steps of graphite
that place them are 40 to 80 mV high."""
FINEST_V = 0.005
"""Voltage per cell over which the record must be resolved."""


@dataclass(frozen=True)
class HalfCellFit:
    """Electrode capacities and lithium inventory of each slow half-cycle.

    Attributes
    ----------
    positive, negative : files with a half-cell curve each: stoichiometry, SOC or Ah,
        and V against lithium; None where a Model brings them
    reference : file with charge (Ah) and V of a slow charge or discharge of the fresh
        cell; None takes the first accepted half-cycle of each direction
    max_c_rate : 1/h, fastest rate accepted. C/10 leaves a polarisation of 5 to 10 mV,
        the size of a good fit's residual, and one constant is fitted for it
    curve_error_v : V, standard deviation of the error of the half-cell curves at the
        least; 3 mV where they come from other cells of the same electrodes
    model : a Model with the curves
    """

    positive: str | None = None
    negative: str | None = None
    reference: str | None = None
    max_c_rate: float = 0.1
    curve_error_v: float = 0.003
    model: Model | None = None

    def __post_init__(self) -> None:
        if not 0 < self.max_c_rate <= 1:
            raise InputError(f"max_c_rate={self.max_c_rate} must lie in (0, 1] 1/h")
        if not 1e-4 <= self.curve_error_v <= 0.1:
            raise InputError(
                f"curve_error_v={self.curve_error_v} must be 0.1 to 100 mV"
            )

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per half-cycle, refused ones included.

        Raises
        ------
        EstimateError
            No half-cell curves, no current, no voltage, no half-cycle, none that is
            slow and long enough, or a reference that tells nothing.
        InputError
            A file of an option cannot be read.
        """
        plus, minus = self._electrodes(trace)
        halves = tuple(half_cycles(trace, pack))
        reasons = [refusals(h, self.max_c_rate, FINEST_V) for h in halves]
        if all(r and r[0] in UNSUPPORTED for r in reasons):
            raise no_support(trace, METHOD, halves, reasons)
        given = self._reference(plus, minus)
        first: dict[int, tuple[int, Alignment]] = {}
        result = []
        for half, why in zip(halves, reasons, strict=True):
            fit: Alignment | None = None
            if trace.provenance.suspect:
                why = ("suspect_source",)
            if not why:
                fit = align(
                    *(half.charge_ah, half.voltage_v, half.direction),
                    *(plus, minus, self.curve_error_v),
                )
                why = _doubts(fit)
            reference: tuple[int | None, Alignment] | None = first.get(half.direction)
            if given is not None:
                reference = (None, given)
            elif fit is not None and not why:
                first.setdefault(half.direction, (half.index, fit))
            drawing = _Drawing(self, trace, pack, half, plus, minus)
            result.append(drawing.estimate(why, fit, reference))
        return tuple(result)

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence[Curve]:
        """Return the cell measured and fitted, and the electrodes as they lie.

        Raises
        ------
        EstimateError
            The estimate is not one of this trace, or there are no half-cell curves.
        """
        plus, minus = self._electrodes(trace)
        half = half_cycle_of(trace, pack, estimate)
        fit = align(
            *(half.charge_ah, half.voltage_v, half.direction),
            *(plus, minus, self.curve_error_v),
        )
        if fit is None:
            raise EstimateError(
                f"{trace.unit_id}: no fit of half-cycle {estimate.cycle}",
                reasons=("no_alignment",),
            )
        return _curves(fit, plus, minus)

    def _electrodes(self, trace: Trace) -> tuple[HalfCell, HalfCell]:
        found = electrodes(self.positive, self.negative, self.model)
        if found is None:
            raise EstimateError(
                f"{trace.unit_id}: no half-cell curves to align",
                "--set positive=FILE.csv --set negative=FILE.csv, or --model FILE",
                ("no_reference_curve",),
            )
        return found

    def _reference(self, plus: HalfCell, minus: HalfCell) -> Alignment | None:
        """Return the fit of the reference file, None where there is none."""
        if self.reference is None:
            return None
        charge, volts, kind, _ = read_curve(self.reference)
        if kind != "charge":
            raise InputError(
                f"{self.reference}: no charge in Ah",
                "a reference is Ah and V of a slow charge or discharge",
            )
        charge = np.abs(charge - charge[0])
        if (np.diff(charge) < 0).any() or not charge[-1] > 0:
            raise InputError(
                f"{self.reference}: the charge does not run one way",
                "a reference is one slow charge or discharge",
            )
        direction = 1 if np.median(volts[-5:]) > np.median(volts[:5]) else -1
        fit = align(charge, volts, direction, plus, minus, self.curve_error_v)
        why = _doubts(fit)
        if fit is None or why:
            raise EstimateError(
                f"{self.reference}: the reference tells no state: {', '.join(why)}",
                "a full charge or discharge of the fresh cell at C/20",
                ("reference_not_identified", *why),
            )
        return fit


def _doubts(fit: Alignment | None) -> tuple[str, ...]:
    """Return why a fit says nothing, worst first."""
    if fit is None:
        return ("no_alignment",)
    reasons: tuple[str, ...] = ()
    if fit.rmse_v > POOR_V:
        reasons += ("curves_do_not_fit",)
    if fit.at_edge:
        reasons += ("beyond_half_cell_curve",)
    if fit.rivals:
        reasons += ("ambiguous_alignment",)
    value, spread = fit.capacities()
    if not (np.sqrt(np.diag(spread)) <= UNKNOWN * value).any():
        reasons += ("window_cannot_separate",)
    return reasons


@dataclass(frozen=True)
class _Drawing:
    """One half-cycle and what its estimate is made from."""

    options: HalfCellFit
    trace: Trace
    pack: Pack
    half: HalfCycle
    plus: HalfCell
    minus: HalfCell

    def estimate(
        self,
        why: tuple[str, ...],
        fit: Alignment | None,
        reference: tuple[int | None, Alignment] | None,
    ) -> Estimate:
        """Return the estimate of a fit, or its refusal."""
        options, half, sensor = self.options, self.half, Sensor.of(self.pack.sensor)
        states = conditions(self.trace, self.pack, half, options.max_c_rate)
        states |= self._states(fit, reference)
        known: dict[str, Measurement] = {}
        qualifiers: tuple[str, ...] = ()
        if fit is not None and not why:
            known, refused = self._measured(fit, reference, sensor)
            states |= {f"refused_{name}": "window_cannot_separate" for name in refused}
            if reference is None:
                qualifiers += ("reference_state",)
            if refused:
                qualifiers += ("window_cannot_separate",)
        model = options.model
        return Estimate(
            unit_id=self.trace.unit_id,
            method=METHOD,
            method_version=VERSION,
            options={
                "positive": options.positive,
                "negative": options.negative,
                "reference": options.reference,
                "max_c_rate": options.max_c_rate,
                "curve_error_v": options.curve_error_v,
            },
            status="refused" if why else "ok",
            reasons=why or (*qualifiers, *remarks(self.trace, half, sensor)),
            measurements=known,
            conditions=states,
            cycle=half.index,
            segment=half.segment,
            start_sample=half.start,
            stop_sample=max(half.stop, half.start + 1),
            trace_sha256=trace_sha256(self.trace),
            model_sha256="" if model is None else model.sha256,
        )

    def _measured(
        self,
        fit: Alignment,
        reference: tuple[int | None, Alignment] | None,
        sensor: Sensor,
    ) -> tuple[dict[str, Measurement], list[str]]:
        """Return the measurements, and the names of what the window does not tell."""
        known = sensor.current_known and sensor.voltage_known
        value, spread = fit.capacities()
        told = np.sqrt(np.diag(spread)) <= UNKNOWN * value
        u = _with_sensor(fit, spread, self.half, sensor, self._offsets(sensor))
        found: dict[str, Measurement] = {}
        refused = [name for name, ok in zip(NAMES, told, strict=True) if not ok]
        for name, ok, v, u_v in zip(NAMES, told, value, u, strict=True):
            if ok:
                uncertainty = float(u_v) if known else None
                found[name] = Measurement(name, float(v), uncertainty, "Ah")
        if reference is None:
            return found, refused
        fresh, fresh_spread = reference[1].capacities()
        fresh_told = np.sqrt(np.diag(fresh_spread)) <= UNKNOWN * fresh
        gain = sensor.current_relative if self.options.reference else 0.0
        loss = 1.0 - value / fresh
        u_loss = (value / fresh) * np.sqrt(
            (u / value) ** 2 + np.diag(fresh_spread) / fresh**2 + gain**2
        )
        rows = zip(LOSSES, told & fresh_told, loss, u_loss, strict=True)
        for name, ok, v, u_v in rows:
            if ok:
                uncertainty = float(u_v) if known else None
                found[name] = Measurement(name, float(v), uncertainty, "1")
            else:
                refused.append(name)
        return found, refused

    def _offsets(self, sensor: Sensor) -> tuple[float, float]:
        """Return u of the current in A and of the voltage in V per cell."""
        quantum = resolution(self.trace.column("current_a")) / RECTANGULAR
        n_cells = self.pack.cells_in_series or 1
        return root_sum(sensor.current_a, quantum), root_sum(
            sensor.voltage_v / n_cells, self.half.quantum_v / RECTANGULAR
        )

    def _states(
        self,
        fit: Alignment | None,
        reference: tuple[int | None, Alignment] | None,
    ) -> dict[str, Scalar]:
        states: dict[str, Scalar] = {
            "rule": "least squares of voltage over charge, residuals decorrelated; "
            "capacities over the range of the half-cell curves, lithium counted from "
            "their delithiated ends; losses are 1 - value / reference value",
            "positive_sha256": self.plus.sha256,
            "negative_sha256": self.minus.sha256,
            "positive_axis": self.plus.axis,
            "negative_axis": self.minus.axis,
        }
        if reference is None:
            states["reference_state"] = "this half-cycle"
        elif reference[0] is None:
            states["reference_state"] = f"file {self.options.reference}"
        else:
            states["reference_state"] = f"half-cycle {reference[0]} of this record"
        if fit is None:
            return states
        names = ("negative_low", "negative_high", "positive_low", "positive_high")
        states |= {
            f"lithiation_{name}": float(v)
            for name, v in zip(names, fit.parameters, strict=False)
        }
        _, spread = fit.capacities()
        u = np.sqrt(np.diag(spread))
        states |= {
            "polarisation_v": float(fit.parameters[4]),
            "residual_rms_v": fit.rmse_v,
            "other_minima": fit.rivals,
        }
        for i, j in ((0, 2), (0, 1), (1, 2)):
            name = f"correlation_{LOSSES[i]}_{LOSSES[j]}"
            states[name] = float(spread[i, j] / max(u[i] * u[j], 1e-300))
        return states


def _with_sensor(
    fit: Alignment,
    spread: Column,
    half: HalfCycle,
    sensor: Sensor,
    offsets: tuple[float, float],
) -> Column:
    """Return the (3,) uncertainty in Ah with what the sensors add."""
    value, _ = fit.capacities()
    amps, volts = offsets
    charge = root_sum(sensor.current_relative, amps / half.current_a)
    total = np.diag(spread) + (charge * value) ** 2
    for shift, size in (
        (fit.offset, volts),
        (fit.gain, sensor.voltage_relative),
    ):
        moved = _moved(fit, shift * size)
        total = total + (moved - value) ** 2
    result: Column = np.sqrt(total)
    return result


def _moved(fit: Alignment, shift: Column) -> Column:
    """Return the (3,) capacities in Ah of shifted parameters."""
    x0, x1, y0, y1, _ = fit.parameters + shift
    c_n, c_p = fit.charge_ah / (x1 - x0), fit.charge_ah / (y0 - y1)
    return np.array([c_p, c_n, c_n * x0 + c_p * y0])


def _curves(fit: Alignment, plus: HalfCell, minus: HalfCell) -> tuple[Curve, ...]:
    """Return the window, and each electrode over all it holds, on one axis of Ah."""
    q = fit.charge_ah
    x0, x1, y0, y1, _ = fit.parameters
    window: Mapping[str, Column] = {
        "charge_ah": fit.share * q,
        "voltage_v": fit.voltage_v,
        "fitted_v": fit.model_v,
        "residual_v": fit.voltage_v - fit.model_v,
    }
    drawn = [Curve("ocv_fit", window)]
    for name, cell, a, b in (("positive", plus, y0, y1), ("negative", minus, x0, x1)):
        lithiation = np.linspace(cell.first, cell.last, cell.voltage_v.size)
        columns = {
            "charge_ah": (lithiation - a) / (b - a) * q,
            "voltage_v": cell.voltage_v,
            "lithiation": lithiation,
        }
        drawn.append(Curve(name, columns))
    return tuple(drawn)
