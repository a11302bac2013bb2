"""Spread of the cells of a pack, and which fault explains it.

Cells are compared at rest, under load and where the pack was emptiest and fullest. A
weak cell (capacity, resistance, charge), a sense wire (two neighbours equal and
opposite) and a lost parallel string (capacity and resistance step together) are told
apart by their odds; where none stands out the answer is "cannot_tell". Definitions and
what was measured: docs/diagnosis.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.errors import EstimateError, InputError
from battlife.estimators._cells import Departures, departures, offset_uncertainty
from battlife.estimators._scales import current_threshold
from battlife.estimators._temperature import unit_temperature
from battlife.estimators._uncertainty import RECTANGULAR, Sensor, root_sum
from battlife.estimators._verdict import Numbers, Verdict, judge
from battlife.estimators._window import scalar
from battlife.model import Column, Estimate, Measurement, Pack, Trace, trace_sha256
from battlife.model.curve import Curve
from battlife.model.estimate import Scalar

METHOD: Final = "spread"
VERSION: Final = "2"
LOADED: Final = 0.5
"""Share of the largest current from which a sample counts as under load."""
ENDS: Final = 0.02
"""Share of a record's samples, by voltage of the median cell, that is its end."""
FEW_FOR_TREND: Final = 8
"""Cells below which a trend along the pack and one faulty cell look alike."""
SETTLED_S: Final = 1800.0
"""Rest after which cells are compared at rest: half an hour."""
DEAD_V: Final = 1.0
"""Offset of one cell alone from which charge does not explain it: no curve of a cell in
use is as high. Either the cell is dead, or it is not measured."""
FEW: Final = 3
"""Samples below which a state is not reported on."""


@dataclass(frozen=True)
class CellSpread:
    """Spread of the cells, and the fault behind it.

    Attributes
    ----------
    n_parallel : cells in parallel in each group, for the loss of a string; None takes
        the pack's, and where that has none such a loss is not among the answers
    """

    n_parallel: float | None = None

    def __post_init__(self) -> None:
        if self.n_parallel is not None and not 1 <= self.n_parallel <= 1000:
            raise InputError(f"n_parallel={self.n_parallel:g} is no number of cells")

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate for the record.

        Raises
        ------
        EstimateError
            No cell voltages, too few cells or samples, or a wrong sign of the current.
        """
        found = departures(trace, with_time=False)
        sensor = Sensor.of(pack.sensor)
        numbers = _numbers(found, sensor, self._parallel(pack))
        verdict = _alone(trace, found, judge(numbers))
        measurements = _measured(trace, found, sensor, numbers, verdict)
        if not measurements:
            raise EstimateError(
                f"{trace.unit_id}: no state lasts long enough to compare cells in",
                "record cells at rest or under load for longer",
                ("record_too_short",),
            )
        reasons: tuple[str, ...] = ()
        if not sensor.voltage_known:
            reasons += ("uncertainty_unknown",)
        for name in ("capacity", "resistance"):
            # Nothing found is then said of the rest alone.
            if not np.isfinite(getattr(numbers, name)).any():
                reasons += (f"{name}_not_compared",)
        if verdict.kind != "nothing_found":
            reasons += (f"verdict_{verdict.kind}",)
        suspect = bool(trace.provenance.suspect)
        return (
            Estimate(
                unit_id=trace.unit_id,
                method=METHOD,
                method_version=VERSION,
                options={"n_parallel": self.n_parallel},
                status="refused" if suspect else "ok",
                reasons=("suspect_source",) if suspect else reasons,
                measurements={} if suspect else measurements,
                conditions=_conditions(trace, pack, found, verdict),
                segment=_segment(trace, found.span),
                start_sample=found.span.start,
                stop_sample=found.span.stop,
                trace_sha256=trace_sha256(trace),
            ),
        )

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence[Curve]:
        """Return the cells beside each other."""
        found = departures(trace, with_time=False)
        numbers = _numbers(found, Sensor.of(pack.sensor), self._parallel(pack))
        columns = {
            "cell": np.arange(found.n_cells, dtype=float),
            "offset_v": numbers.offset,
            "u_offset_v": numbers.u_offset,
            "resistance_ratio": np.exp(numbers.resistance),
            "u_resistance_ratio": np.exp(numbers.resistance) * numbers.u_resistance,
            "capacity_ratio": np.exp(numbers.capacity),
            "u_capacity_ratio": np.exp(numbers.capacity) * numbers.u_capacity,
        }
        return (Curve("cells", columns),)

    def _parallel(self, pack: Pack) -> int:
        if self.n_parallel is not None:
            return round(self.n_parallel)
        counts = {c.n_parallel for m in pack.modules for c in m.cells}
        return counts.pop() if len(counts) == 1 else 0


def _alone(trace: Trace, found: Departures, verdict: Verdict) -> Verdict:
    """Return a verdict in which a cell far off alone is dead or not measured.

    Where the pack's own voltage is the sum of its cells the cell is dead; where the
    pack has the voltage that the cell lacks, its wire is at fault.
    """
    if verdict.cell < 0 or verdict.kind in ("sense_wire", "nothing_found"):
        return verdict
    away = float(found.value["offset"][verdict.cell])
    if abs(away) < DEAD_V:
        return verdict
    missing = _missing_v(trace, found)
    if missing is None:
        # Far off alone is one of these two, whatever the odds among small departures.
        return replace(
            verdict, kind="cannot_tell", best="dead_cell", second="sense_wire"
        )
    dead = abs(missing) < 0.5 * abs(away)
    return replace(verdict, kind="dead_cell" if dead else "sense_wire")


def _missing_v(trace: Trace, found: Departures) -> float | None:
    """Return the pack's voltage minus the sum of its cells in V, None if unknown."""
    own = trace.columns.get("voltage_v")
    if own is None:
        return None
    total = trace.column("cell_voltage_v")[:, found.span].sum(axis=0)
    apart = own[found.span] - total
    apart = apart[np.isfinite(apart)]
    return float(np.median(apart)) if apart.size else None


def _numbers(found: Departures, sensor: Sensor, n_parallel: int) -> Numbers:
    """Return offset, and the logarithms of resistance and capacity beside the median.

    A cell that holds less by a factor moves through the same charge faster: its slope
    over charge is higher by the inverse (first order in the difference).
    """
    u_offset = offset_uncertainty(found, sensor.voltage_v)
    n = found.n_cells
    unknown = np.full(n, np.nan)
    resistance = u_resistance = capacity = u_capacity = unknown
    if "current" in found.pack and "current" in found.value:
        ohm, u_ohm = found.pack["current"]
        ratio = np.maximum(1.0 + found.value["current"] / ohm, 0.02)
        resistance = np.log(ratio)
        relative = np.hypot(found.u["current"] / ohm, (ratio - 1.0) * u_ohm / ohm)
        u_resistance = relative / ratio
    if "charge" in found.pack and "charge" in found.value:
        slope, u_slope = found.pack["charge"]
        ratio = np.maximum(1.0 + found.value["charge"] / slope, 0.02)
        capacity = -np.log(ratio)
        relative = np.hypot(found.u["charge"] / slope, (ratio - 1.0) * u_slope / slope)
        u_capacity = relative / ratio
    return Numbers(
        found.value["offset"] - np.nanmedian(found.value["offset"]),
        u_offset,
        _along(resistance),
        u_resistance,
        capacity - _median(capacity),
        u_capacity,
        n_parallel,
    )


def _along(values: Column) -> Column:
    """Return values without their median trend along the pack.

    Cells at the warm end of a pack have less resistance than those at the cold end;
    a slope by the median of all pairs (Theil, Proc. K. Ned. Akad. Wet. 53 (1950) 386)
    is not bent by one faulty cell. Fewer than eight cells keep theirs.
    """
    known = np.flatnonzero(np.isfinite(values))
    if known.size < FEW_FOR_TREND:
        return values - _median(values)
    i, j = np.triu_indices(known.size, 1)
    slopes = (values[known[j]] - values[known[i]]) / (known[j] - known[i])
    flat = values - float(np.median(slopes)) * np.arange(values.size)
    return flat - _median(flat)


def _median(values: Column) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else 0.0


def _states(trace: Trace, found: Departures) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which samples are at rest, under load, at the lower and upper end."""
    median = found.median_v
    known = np.isfinite(median)
    states = {"cell_voltage_spread_v": found.rest & known}
    current = trace.columns.get("current_a")
    if current is None:
        states["cell_voltage_spread_v"] = known
    else:
        part = current[found.span]
        largest = float(np.nanmax(np.abs(part))) if np.isfinite(part).any() else 0.0
        if largest > current_threshold(current):
            states["cell_voltage_spread_load_v"] = known & (
                np.abs(part) >= LOADED * largest
            )
    low, high = np.quantile(median[known], [ENDS, 1.0 - ENDS])
    settled = _settled(trace, found)
    if settled.any():
        states["cell_voltage_spread_settled_v"] = settled & known
    states["cell_voltage_spread_low_v"] = known & (median <= low)
    states["cell_voltage_spread_high_v"] = known & (median >= high)
    return states


def _settled(trace: Trace, found: Departures) -> npt.NDArray[np.bool_]:
    """Return the samples that rest since SETTLED_S or longer."""
    time = trace.time_s[found.span]
    loaded = np.where(found.rest, -np.inf, time)
    last = np.maximum.accumulate(loaded)
    # What came before the record is not known: its first sample counts as load.
    since = time - np.where(np.isfinite(last), last, time[0])
    settled: npt.NDArray[np.bool_] = found.rest & (since >= SETTLED_S)
    return settled


def _measured(
    trace: Trace,
    found: Departures,
    sensor: Sensor,
    numbers: Numbers,
    verdict: Verdict,
) -> dict[str, Measurement]:
    cells = trace.column("cell_voltage_v")[:, found.span]
    u_two = float(
        np.sqrt(2.0) * root_sum(sensor.voltage_v, found.quantum_v / RECTANGULAR)
    )
    u = u_two if sensor.voltage_known else None
    result: dict[str, Measurement] = {}
    for name, state in _states(trace, found).items():
        if np.count_nonzero(state) < FEW:
            continue
        part = cells[:, state]
        whole = np.isfinite(part).any(axis=1)
        if np.count_nonzero(whole) < 2:
            continue
        # The median over samples: one cell's noise must not make the spread.
        levels = np.nanmedian(part[whole], axis=1)
        result[name] = Measurement(name, float(np.ptp(levels)), u, "V")
    if verdict.cell >= 0:
        for kind, log, u_log in (
            ("resistance", numbers.resistance, numbers.u_resistance),
            ("capacity", numbers.capacity, numbers.u_capacity),
        ):
            name = f"cell_{kind}_ratio"
            value = float(np.exp(log[verdict.cell]))
            if np.isfinite(value):
                spread = float(u_log[verdict.cell]) * value
                u_ratio = max(spread, 1e-6) if sensor.voltage_known else None
                result[name] = Measurement(name, value, u_ratio, "1")
    return result


def _conditions(
    trace: Trace, pack: Pack, found: Departures, verdict: Verdict
) -> dict[str, Scalar]:
    degc = unit_temperature(trace)
    seen = degc[found.span] if degc is not None else np.empty(0)
    seen = seen[np.isfinite(seen)]
    gradient = trace.columns.get("cell_temperature_degc")
    rising: Scalar = None
    if gradient is not None and np.isfinite(gradient[:, found.span]).any():
        means = [float(np.nanmean(g)) for g in gradient if np.isfinite(g).any()]
        rising = float(np.ptp(means))
    lowest = int(np.nanargmin(found.value["offset"]))
    return {
        "rule": "spread is highest minus lowest of the cells' median voltages in a "
        "state; the verdict is the best of the named faults by posterior odds",
        "n_cells": found.n_cells,
        "verdict": verdict.kind,
        "verdict_cell": verdict.cell if verdict.cell >= 0 else None,
        "verdict_probability": verdict.probability,
        "verdict_best": verdict.best,
        "verdict_second": verdict.second,
        "verdict_margin": scalar(verdict.margin),
        "lowest_cell": lowest,
        "pack_minus_cells_v": _missing_v(trace, found),
        "told_apart": ",".join(n for n in found.value if n not in ("offset", "slow")),
        "voltage_resolution_v": found.quantum_v,
        "pack_resistance_ohm": scalar(found.pack.get("current", (np.nan, 0.0))[0]),
        "slope_v_per_ah": scalar(found.pack.get("charge", (np.nan, 0.0))[0]),
        "temperature_degc": scalar(float(seen.mean())) if seen.size else None,
        "temperature_spread_k": rising,
        "calibration": pack.calibration or "unknown",
        "simulated": trace.provenance.simulated,
    }


def _segment(trace: Trace, span: slice) -> int:
    return next(k for k, s in enumerate(trace.segments()) if s.start == span.start)
