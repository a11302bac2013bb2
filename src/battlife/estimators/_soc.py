"""What the filters of the state of charge share: options, refusals, answers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from importlib import import_module
from typing import Any, ClassVar, Final

import numpy as np

from battlife.errors import EstimateError, InputError
from battlife.estimators._cell_model import CellAt, CellModel, cell_of
from battlife.estimators._ocv_table import read_ocv
from battlife.estimators._scales import resolution
from battlife.estimators._soc_bank import TUNING, Kernel, Start, Tracked, track
from battlife.estimators._temperature import unit_temperature
from battlife.estimators._uncertainty import RECTANGULAR, Sensor, root_sum
from battlife.estimators._window import scalar
from battlife.model import Column, Estimate, Measurement, Pack, Trace, trace_sha256
from battlife.model.curve import Curve
from battlife.model.estimate import Scalar
from battlife.model.learned import Model

FEWEST: Final = 10
"""Samples below which there is nothing to filter."""
BEYOND_V: Final = 0.25
"""Beyond the voltages of the records a model was made from: the drop over the
resistance of a cell at twice their rate. Another chemistry is further away."""
SHARE_BEYOND: Final = 0.02
"""Share of the samples that may be that far away: pulses, at low temperature."""
NEAR_FULL: Final = 0.95
"""State of charge from which the bound of a model that was fitted to no record of its
cell (an ESC model as it was published) is not what it promises: from a full E2 cell of
unknown state it held in 10 to 17 % of the samples."""
VERSION: Final = "2"
KERNELS: Final = {
    "soc_ekf": ("battlife.kernels.cell_filter", "extended_filter"),
    "soc_spkf": ("battlife.kernels.sigma_filter", "sigma_filter"),
}
"""Module and name of the kernel of each filter; only the one that runs is loaded."""
CONTRADICTION: Final = 25.0
"""Mean squared normalised innovation, after widening, from which model and data do not
describe the same cell: five standard deviations on average."""
RATED: Final = (0.5, 1.25)
"""Capacity of the model over the rated one of the unit: a model may be made of a cell
that has aged to half, and a new cell holds a little more than its rating."""
CAPACITY_BEYOND: Final = 2.5
"""Standard deviations between the capacity a filter ends with and what was stated of it
(`capacity_spread`): further away the record is not of the model's cell, or of one whose
capacity is less known than was stated."""
RESISTANCE_BEYOND: Final = 3.0
"""Times the resistance of the model, or a part of it: a cell is worn out at twice."""
RULE: Final = (
    "Gaussian sum of filters over state of charge, voltage beside the curve, "
    "resistance, current offset and capacity, each from its own start"
)


@dataclass(frozen=True)
class SocFilter:
    """Options of a filter; a subclass gives the name it has in KERNELS.

    Attributes
    ----------
    soc_initial : state of charge at the first sample, None where it is unknown
    soc_initial_sd : its standard deviation; not used where it is unknown
    temperature_degc : of the cell, where neither log nor units.toml say it
    current_offset_a : standard deviation of the offset of the current sensor; None
        takes that of the sensor, at least 0.3 % of 1C
    capacity_spread : standard deviation of the capacity against the model's, a share
    coverage : probability the bounds are to hold
    ocv : CSV of soc and voltage (header `soc,ocv_v`), where there is no model; the
        resistances are then identified from the record itself
    capacity_ah : Ah, with `ocv`; overrules the model's otherwise
    model : a cell model
    """

    METHOD: ClassVar[str]

    soc_initial: float | None = None
    soc_initial_sd: float = 0.3
    temperature_degc: float | None = None
    current_offset_a: float | None = None
    capacity_spread: float = 0.03
    coverage: float = 0.95
    ocv: str | None = None
    capacity_ah: float | None = None
    model: Model | None = None

    def __post_init__(self) -> None:
        checks = (
            ("soc_initial", self.soc_initial, 0.0, 1.0),
            ("soc_initial_sd", self.soc_initial_sd, 1e-4, 1.0),
            ("temperature_degc", self.temperature_degc, -60.0, 100.0),
            ("current_offset_a", self.current_offset_a, 0.0, 1e4),
            ("capacity_spread", self.capacity_spread, 0.0, 0.5),
            ("coverage", self.coverage, 0.5, 0.999),
            ("capacity_ah", self.capacity_ah, 1e-4, 1e6),
        )
        for name, value, low, high in checks:
            if value is not None and not low <= value <= high:
                raise InputError(f"{name}={value:g} is not within {low:g}..{high:g}")

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per segment, refused ones included.

        Raises
        ------
        EstimateError
            No current or voltage, no model, or every segment is too short.
        InputError
            The table of `ocv` or the model cannot be used.
        """
        self._check(trace)
        digest = trace_sha256(trace)
        found = []
        for index, span in enumerate(trace.segments()):
            voltage = trace.column("voltage_v")[span]
            if np.isfinite(voltage).sum() < FEWEST:
                continue
            found.append(self._segment(trace, pack, index, span, digest))
        if not found:
            raise EstimateError(
                f"{trace.unit_id}: no segment of at least {FEWEST} voltages",
                "a filter needs a record over time",
                ("too_short",),
            )
        return tuple(found)

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence[Curve]:
        """Return state of charge with its bounds, and the voltage's residual."""
        span = trace.segments()[estimate.segment or 0]
        cell, _ = self._cell(trace, pack, span)
        found = self._track(trace, pack, span, cell)
        columns = {
            "time_s": trace.time_s[span][:: found.every],
            "soc": found.soc,
            "soc_low": found.low,
            "soc_high": found.high,
            "residual_v": found.residual_v,
            "residual_sd_v": found.residual_sd_v,
            "resistance_share": 1.0 + found.resistance_share,
        }
        return (Curve("soc", columns),)

    def _check(self, trace: Trace) -> None:
        for name in ("current_a", "voltage_v"):
            if not np.isfinite(trace.columns.get(name, np.empty(0))).any():
                raise EstimateError(
                    f"{trace.unit_id}: the trace has no {name}",
                    "a filter needs current and voltage over time",
                    (f"{name.partition('_')[0]}_missing",),
                )
        if self.model is None and self.ocv is None:
            raise EstimateError(
                f"{trace.unit_id}: nothing says what cell this is",
                "give --model FILE (`battlife calibrate … --estimator soc_ekf`), or "
                "--set ocv=FILE.csv --set capacity_ah=X",
                ("no_cell_model",),
            )

    def _segment(
        self, trace: Trace, pack: Pack, index: int, span: slice, digest: str
    ) -> Estimate:
        base: dict[str, Any] = {
            "unit_id": trace.unit_id,
            "method": self.METHOD,
            "method_version": VERSION,
            "options": self._options(),
            "cycle": index,
            "segment": index,
            "start_sample": span.start,
            "stop_sample": span.stop,
            "trace_sha256": digest,
            "model_sha256": self.model.sha256 if self.model else "",
        }
        refused = "suspect_source" if trace.provenance.suspect else ""
        cell_model: CellModel | None = None
        if not refused:
            try:
                cell_model = self._cell_model(trace, pack, span)
            except EstimateError as error:
                refused = error.reasons[0] if error.reasons else "no_cell_model"
        if cell_model is not None:
            rated = self.capacity_ah or float(np.max(cell_model.capacity_ah))
            refused = refused or contradiction(trace, pack, span, cell_model, rated)
        if refused or cell_model is None:
            return Estimate(**base, status="refused", reasons=(refused,))
        cell, remarks = self._cell(trace, pack, span, cell_model)
        found = self._track(trace, pack, span, cell)
        if not np.isfinite(found.end_soc).all():
            return Estimate(**base, status="refused", reasons=("no_result",))
        if not found.consistency < CONTRADICTION:
            return Estimate(**base, status="refused", reasons=("model_contradicted",))
        foreign = self._foreign(found)
        if foreign:
            return Estimate(**base, status="refused", reasons=(foreign,))
        sensor = Sensor.of(pack.sensor)
        known = sensor.current_known and sensor.voltage_known
        if not known:
            remarks += ("uncertainty_unknown",)
        unfitted = cell_model.load_a == 0.0
        if unfitted and np.nanmax(found.soc, initial=0.0) > NEAR_FULL:
            remarks += ("bound_unproven_near_full",)
        return Estimate(
            **base,
            reasons=remarks,
            measurements=self._measurements(found, cell, known=known),
            conditions=self._conditions(trace, pack, cell, found),
        )

    def _foreign(self, found: Tracked) -> str:
        """Return what the filter had to bend beyond belief to follow the record."""
        r, _, q = found.end[3:].tolist()
        if abs(q) > CAPACITY_BEYOND * self.capacity_spread:
            return "capacity_contradicts_model"
        if not 1.0 / RESISTANCE_BEYOND < 1.0 + r < RESISTANCE_BEYOND:
            return "resistance_contradicts_model"
        return ""

    def _options(self) -> dict[str, Scalar]:
        return {
            f.name: getattr(self, f.name) for f in fields(self) if f.name != "model"
        }

    def _cell_model(self, trace: Trace, pack: Pack, span: slice) -> CellModel:
        if self.model is not None:
            return cell_of(self.model)
        from battlife.estimators.cell_models import identified

        if self.capacity_ah is None:
            raise InputError(
                "ocv without capacity_ah", "add --set capacity_ah=X, the measured one"
            )
        soc, volt = read_ocv(self.ocv or "")
        return identified(trace, pack, span, soc, volt, self.capacity_ah)

    def _cell(
        self, trace: Trace, pack: Pack, span: slice, model: CellModel | None = None
    ) -> tuple[CellAt, tuple[str, ...]]:
        """Return the cell at the temperature of a segment, and what to remark."""
        cell_model = model or self._cell_model(trace, pack, span)
        degc = self._temperature(trace, pack, span)
        cell = cell_model.at(degc)
        if self.capacity_ah is not None:
            cell = replace(cell, capacity_ah=self.capacity_ah)
        remarks = () if degc is not None else ("temperature_unknown",)
        return cell, remarks

    def _temperature(self, trace: Trace, pack: Pack, span: slice) -> float | None:
        """Return the temperature of the cell in degC, None if nothing says it."""
        if self.temperature_degc is not None:
            return self.temperature_degc
        ambient = trace.columns.get("ambient_temperature_degc")
        for column in (unit_temperature(trace), ambient):
            if column is not None and np.isfinite(column[span]).any():
                return float(np.nanmean(column[span]))
        return pack.test_degc

    def _track(self, trace: Trace, pack: Pack, span: slice, cell: CellAt) -> Tracked:
        sensor = Sensor.of(pack.sensor)
        series = pack.cells_in_series or 1
        voltage = np.ascontiguousarray(trace.column("voltage_v")[span] / series)
        current = np.ascontiguousarray(trace.column("current_a")[span])
        quantum = resolution(trace.column("voltage_v")) / series
        if self.current_offset_a is not None:
            offset = self.current_offset_a
        else:
            offset = max(sensor.current_a, LEAST_OFFSET * cell.capacity_ah)
        start = Start(
            self.soc_initial,
            self.soc_initial_sd,
            offset,
            self.capacity_spread,
            max(root_sum(sensor.voltage_v / series, quantum / RECTANGULAR), 1e-3),
        )
        return track(
            _kernel(self.METHOD),
            cell,
            np.ascontiguousarray(trace.time_s[span]),
            current,
            voltage,
            start,
            self.coverage,
        )

    def _measurements(
        self, found: Tracked, cell: CellAt, *, known: bool
    ) -> dict[str, Measurement]:
        r, b, q = found.end[3:].tolist()
        u_r, u_b, u_q = np.sqrt(found.end_var[3:]).tolist()
        capacity = cell.capacity_ah / max(1.0 + q, 0.1)
        # Each end of the change of state of charge is as uncertain as full and empty.
        span = max(float(np.nanmax(found.soc) - np.nanmin(found.soc)), 1e-3)
        u_q = min(
            root_sum(u_q, math.sqrt(2.0) * TUNING.aligned / span),
            root_sum(u_q, self.capacity_spread),
        )
        values = (
            ("soc", float(found.end_soc[0]), float(found.end_soc[1]), "1"),
            ("total_capacity_ah", capacity, capacity * u_q / max(1.0 + q, 0.1), "Ah"),
            ("current_offset_a", b, u_b, "A"),
            ("resistance_share", 1.0 + r, u_r, "1"),
        )
        measured = {
            name: Measurement(name, value, u if known else None, unit)
            for name, value, u, unit in values
            if u > 0
        }
        if known:
            soc = measured["soc"]
            measured["soc"] = Measurement(
                "soc",
                soc.value,
                soc.uncertainty,
                "1",
                float(found.end_soc[2]),
                float(found.end_soc[3]),
                self.coverage,
            )
        return measured

    def _conditions(
        self, trace: Trace, pack: Pack, cell: CellAt, found: Tracked
    ) -> dict[str, Scalar]:
        return {
            "rule": RULE,
            "soc_information": "stated start"
            if self.soc_initial is not None
            else "none: every start is possible",
            "calibration": pack.calibration or "unknown",
            "model_temperature_degc": cell.degc,
            "model_capacity_ah": cell.capacity_ah,
            "squared_innovation": scalar(found.consistency),
            "rms_residual_v": scalar(_rms(found.residual_v)),
            "widest_bound": scalar(float(np.nanmax(found.high - found.low))),
        }


LEAST_OFFSET: Final = 0.003
"""Of 1C in A, a choice: a sensor of a range of 3C that is off by 0.1 % of it."""


def _kernel(method: str) -> Kernel:
    module, name = KERNELS[method]
    chosen: Kernel = getattr(import_module(module), name)
    return chosen


def contradiction(
    trace: Trace,
    pack: Pack,
    span: slice,
    cell: CellModel,
    capacity_ah: float | None,
) -> str:
    """Return why a record cannot be of the model's cell, "" if it can.

    `capacity_ah` is that of the model; None where it is an open-circuit curve alone.
    """
    series = pack.cells_in_series or 1
    voltage = trace.column("voltage_v")[span] / series
    current = trace.column("current_a")[span]
    seen = voltage[np.isfinite(voltage)]
    low, high = cell.range_v
    away = (seen < low - BEYOND_V) | (seen > high + BEYOND_V)
    if away.mean() > SHARE_BEYOND:
        return "voltage_outside_model"
    declared = pack.chemistry.strip().upper()
    if declared and cell.chemistry and declared != cell.chemistry.strip().upper():
        return "chemistry_disagrees"
    low_share, high_share = RATED
    rated = pack.nominal_ah
    if rated and capacity_ah and not low_share <= capacity_ah / rated <= high_share:
        return "rating_disagrees"
    step_a, step_v = np.diff(current), np.diff(voltage)
    largest = float(np.nanmax(np.abs(step_a), initial=0.0))
    # At constant current the steps are noise, and say nothing of its sign.
    load = float(np.nanmax(np.abs(current), initial=0.0))
    least = max(0.2 * largest, 0.1 * load, 1e-6)
    steps = np.isfinite(step_v) & (np.abs(step_a) > least)
    if steps.any() and float((step_a[steps] * step_v[steps]).sum()) < 0:
        return "wrong_sign"
    return ""


def _rms(values: Column) -> float:
    known = values[np.isfinite(values)]
    return math.sqrt(float(np.mean(known**2))) if known.size else math.nan
