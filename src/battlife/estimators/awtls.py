"""Total capacity from rests: charge passed against the change of state of charge.

Both are uncertain: the change of the state of charge, read off the open-circuit curve
at the ends of two rests, and the charge counted between them. A fit that takes one of
them for exact is biased. The approximate weighted total least squares has a closed
solution, a quartic, once the charge is scaled so that both have like uncertainties:

    J(Q) = sum (y - Q x)^2 / (1 + Q^2)^2 (Q^2 / u_x^2 + 1 / u_y^2)

References
----------
G. L. Plett, J. Power Sources 196 (2011) 2319, doi 10.1016/j.jpowsour.2010.09.048,
equations (16) to (21); Battery Management Systems, vol. 2, Artech House 2015, ch. 4.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.errors import EstimateError, InputError
from battlife.estimators._cell_model import CellModel, bare_curve, cell_of
from battlife.estimators._ocv_table import read_ocv
from battlife.estimators._scales import current_threshold, resolution
from battlife.estimators._soc import RATED, contradiction
from battlife.estimators._temperature import unit_temperature
from battlife.estimators._uncertainty import SECONDS_PER_HOUR, Sensor, root_sum
from battlife.model import Column, Estimate, Measurement, Pack, Trace, trace_sha256
from battlife.model.estimate import Scalar
from battlife.model.learned import Model

METHOD: Final = "awtls"
VERSION: Final = "1"
RELAXED_V: Final = 0.005
"""Standard deviation of what is left of a load after a rest of minutes: a choice, not
measured on any cell."""
LEAST_CHANGE: Final = 0.05
"""Changes of the state of charge below this say less than their uncertainty."""
MOST_SPREAD: Final = 0.2
"""A capacity less certain than a fifth tells no cell from another."""
LEAST_OFFSET: Final = 0.001
"""Of the largest current in A: offset of a current sensor nobody states."""
NORMAL_95: Final = 1.959964
"""0.975 quantile of the normal distribution."""


@dataclass(frozen=True)
class TotalCapacity:
    """Total capacity from the rests of a record.

    Attributes
    ----------
    rest_s : s, least duration of a rest whose end is taken as open circuit
    temperature_degc : of the cell, where neither log nor units.toml say it
    ocv : CSV of soc and voltage (header `soc,ocv_v`), where there is no model
    model : a cell model
    """

    rest_s: float = 600.0
    temperature_degc: float | None = None
    ocv: str | None = None
    model: Model | None = None

    def __post_init__(self) -> None:
        if not 10.0 <= self.rest_s <= 1e6:
            raise InputError(f"rest_s={self.rest_s:g} is not within 10..1e6")

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per segment with rests, refused ones included.

        Raises
        ------
        EstimateError
            No current or voltage, no open-circuit curve, or no two rests in a segment.
        """
        for name in ("current_a", "voltage_v"):
            if not np.isfinite(trace.columns.get(name, np.empty(0))).any():
                raise EstimateError(
                    f"{trace.unit_id}: the trace has no {name}",
                    "a capacity needs current and voltage over time",
                    (f"{name.partition('_')[0]}_missing",),
                )
        cell = self._cell(trace)
        digest = trace_sha256(trace)
        found = []
        for index, span in enumerate(trace.segments()):
            ends = _rests(trace, span, self.rest_s)
            if ends.size >= 2:
                found.append(
                    self._segment(trace, pack, cell, index, span, ends, digest)
                )
        if not found:
            raise EstimateError(
                f"{trace.unit_id}: no two rests of {self.rest_s:g} s around a load",
                "rest the cell before and after a load, or set rest_s",
                ("no_rest",),
            )
        return tuple(found)

    def _cell(self, trace: Trace) -> CellModel:
        if self.model is not None:
            return cell_of(self.model)
        if self.ocv is None:
            raise EstimateError(
                f"{trace.unit_id}: nothing says the open-circuit curve of this cell",
                "give --model FILE (`battlife calibrate`) or --set ocv=FILE.csv",
                ("no_cell_model",),
            )
        return bare_curve(*read_ocv(self.ocv))

    def _segment(
        self,
        trace: Trace,
        pack: Pack,
        cell: CellModel,
        index: int,
        span: slice,
        ends: Column,
        digest: str,
    ) -> Estimate:
        def answer(status: str, reasons: tuple[str, ...], **more: object) -> Estimate:
            return Estimate(
                trace.unit_id,
                METHOD,
                VERSION,
                {
                    "rest_s": self.rest_s,
                    "temperature_degc": self.temperature_degc,
                    "ocv": self.ocv,
                },
                status,
                reasons,
                cycle=index,
                segment=index,
                start_sample=span.start,
                stop_sample=span.stop,
                trace_sha256=digest,
                model_sha256=self.model.sha256 if self.model else "",
                **more,  # type: ignore[arg-type]  # measurements and conditions
            )

        if trace.provenance.suspect:
            return answer("refused", ("suspect_source",))
        made_at = float(np.max(cell.capacity_ah)) if self.model else None
        why = contradiction(trace, pack, span, cell, made_at)
        if why:
            return answer("refused", (why,))
        degc = _temperature(trace, pack, span, self.temperature_degc)
        soc, u_soc = _read_off(trace, pack, cell, degc, ends)
        charge, u_charge, gap = _counted(trace, pack, ends)
        x, u_x = np.diff(soc), np.hypot(u_soc[1:], u_soc[:-1])
        used = np.isfinite(x) & np.isfinite(charge) & (np.abs(x) >= LEAST_CHANGE)
        if not used.any():
            missing = gap and not np.isfinite(charge).any()
            code = "sample_missing" if missing else "soc_change_too_small"
            return answer("refused", (code,))
        capacity, spread = solve(x[used], charge[used], u_x[used], u_charge[used])
        if not (np.isfinite(capacity) and capacity > 0):
            wrong = bool((x[used] * charge[used]).sum() < 0)
            return answer("refused", ("wrong_sign" if wrong else "no_result",))
        if not spread < MOST_SPREAD * capacity:
            return answer("refused", ("soc_change_too_small",))
        low, high = RATED  # of the cell the curve was taken from, as of a rating
        if made_at and not low <= capacity / made_at <= high:
            return answer("refused", ("capacity_contradicts_model",))
        remarks: tuple[str, ...] = () if degc is not None else ("temperature_unknown",)
        known = Sensor.of(pack.sensor)
        known_both = known.current_known and known.voltage_known
        if not known_both:
            remarks += ("uncertainty_unknown",)
        u = spread if known_both else None
        half = NORMAL_95 * spread
        measured = Measurement(
            "total_capacity_ah",
            capacity,
            u,
            "Ah",
            capacity - half if known_both else None,
            capacity + half if known_both else None,
            0.95 if known_both else None,
        )
        conditions: dict[str, Scalar] = {
            "rule": "approximate weighted total least squares of the charge between "
            "rests over the change of the state of charge from the open-circuit curve",
            "soc_information": "open-circuit voltage after rests",
            "calibration": pack.calibration or "unknown",
            "pairs": int(used.sum()),
            "largest_soc_change": float(np.abs(x[used]).max()),
            "temperature_degc": degc,
        }
        return answer(
            "ok",
            remarks,
            measurements={"total_capacity_ah": measured},
            conditions=conditions,
        )


def solve(x: Column, y: Column, u_x: Column, u_y: Column) -> tuple[float, float]:
    """Return (Q, u) of y = Q x with both uncertain, NaN where there is none.

    Parameters
    ----------
    x, y : (n,) change of the state of charge, and charge in Ah, both signed
    u_x, u_y : (n,) standard uncertainties, positive
    """
    scale = float(np.mean(u_x) / np.mean(u_y))
    y, u_y = y * scale, u_y * scale
    c1, c2, c3 = ((v / u_y**2).sum() for v in (x * x, x * y, y * y))
    c4, c5, c6 = ((v / u_x**2).sum() for v in (x * x, x * y, y * y))

    def cost(q: float) -> float:
        top = c4 * q**4 - 2 * c5 * q**3 + (c1 + c6) * q**2 - 2 * c2 * q + c3
        return float(top / (q * q + 1.0) ** 2)

    roots = np.roots([c5, 2 * c4 - c1 - c6, 3 * (c2 - c5), c1 + c6 - 2 * c3, -c2])
    real = roots[np.abs(roots.imag) < 1e-6 * np.abs(roots)].real
    positive = real[real > 0]
    if not positive.size:
        return float("nan"), float("nan")
    best = float(min(positive.tolist(), key=cost))
    step = 1e-4 * best
    bend = (cost(best + step) - 2.0 * cost(best) + cost(best - step)) / step**2
    if not bend > 0:
        return float("nan"), float("nan")
    # J is twice a negative log-likelihood: its curvature is 2 / u^2 (Plett, eq. 12).
    return best / scale, float(np.sqrt(2.0 / bend)) / scale


def _rests(trace: Trace, span: slice, rest_s: float) -> Column:
    """Return (r,) last samples of the rests of a segment."""
    current = trace.column("current_a")
    threshold = current_threshold(current)
    idle = np.abs(current[span]) <= threshold
    edges = np.flatnonzero(np.diff(idle)) + 1
    bounds = np.concatenate([[0], edges, [idle.size]]).astype(int) + span.start
    ends = [
        b - 1
        for a, b in zip(bounds[:-1], bounds[1:], strict=True)
        if b > a
        and idle[a - span.start]
        and trace.time_s[b - 1] - trace.time_s[a] >= rest_s
    ]
    return np.array(ends, dtype=np.int64)


def _temperature(
    trace: Trace, pack: Pack, span: slice, stated: float | None
) -> float | None:
    if stated is not None:
        return stated
    for column in (
        unit_temperature(trace),
        trace.columns.get("ambient_temperature_degc"),
    ):
        if column is not None and np.isfinite(column[span]).any():
            return float(np.nanmean(column[span]))
    return pack.test_degc


def _read_off(
    trace: Trace, pack: Pack, cell: CellModel, degc: float | None, ends: Column
) -> tuple[Column, Column]:
    """Return (r,) state of charge at the ends of rests, and its uncertainty.

    The hysteresis of a rest is unknown: it counts as half a uniform range.
    """
    series = pack.cells_in_series or 1
    sensor = Sensor.of(pack.sensor)
    at = cell.at(degc)
    axis = at.grid[0] + np.arange(at.curves.shape[1]) / at.grid[1]
    rising = np.maximum.accumulate(at.curves[0])
    voltage = trace.column("voltage_v")[ends] / series
    soc = np.interp(voltage, rising, axis)
    gap = np.interp(soc, axis, at.curves[1]) / np.sqrt(3.0)
    # The error of the curve holds what its alignment makes of a steep part.
    error = np.interp(soc, axis, at.curves[3])
    u_v = np.sqrt(error**2 + gap**2 + RELAXED_V**2 + (sensor.voltage_v / series) ** 2)
    low = np.interp(voltage - u_v, rising, axis)
    high = np.interp(voltage + u_v, rising, axis)
    return soc, np.maximum(0.5 * (high - low), 0.005)


def _counted(trace: Trace, pack: Pack, ends: Column) -> tuple[Column, Column, bool]:
    """Return (r - 1,) Ah between rests, its uncertainty, whether one is missing."""
    from battlife.kernels.charge import integrate_charge

    sensor = Sensor.of(pack.sensor)
    current, time = trace.column("current_a"), trace.time_s
    largest = float(np.nanmax(np.abs(current), initial=0.0))
    offset = root_sum(
        max(sensor.current_a, LEAST_OFFSET * largest), resolution(current)
    )
    net, u = [], []
    for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        charged, discharged = integrate_charge(time, current, a, b + 1)
        net.append(charged - discharged)
        hours = float(time[b] - time[a]) / SECONDS_PER_HOUR
        gain = sensor.current_relative * (charged + discharged)
        u.append(root_sum(offset * hours, gain, 1e-6))
    found = np.array(net)
    return found, np.array(u), bool(np.isnan(found).any())
