"""Anomalies: a leaking or outlying cell, a stuck value, a BMS that claims wrongly.

Each check gives an Estimate of its own with a score and the probability that chance
alone would give such a score in a sound unit (for all cells together). A check that
the record cannot support is refused with its reason. What was measured on simulated
packs: docs/diagnosis.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from battlife.errors import EstimateError, InputError
from battlife.estimators._bms import counted_capacity, reset
from battlife.estimators._cells import BLOCKS, Departures, departures, leak_a
from battlife.estimators._chance import LEAST, of_many, student_tail
from battlife.estimators._uncertainty import Sensor
from battlife.model import Column, Estimate, Measurement, Pack, Trace, trace_sha256
from battlife.model.curve import Curve
from battlife.model.estimate import Scalar

METHOD: Final = "anomaly"
VERSION: Final = "1"
FEWEST_FOR_OUTLIER: Final = 6
"""Cells below which the scatter of the others is not known well enough."""
MOVES: Final = 4.0
"""Steps of the recorder that the neighbours must move for a constant value to tell."""
LEAST_SCATTER_V: Final = 0.001
"""Scatter of healthy cells that no pack is taken to be below."""
UNEVEN: Final = 3.0
"""Uncertainty of a cell's drift over that of its neighbours that chance explains."""
RESTING: Final = 4.0
"""Hours of record from which a drift in time may be a leak: within hours after a load
cells relax by millivolts, each at its own pace."""


@dataclass(frozen=True)
class _Found:
    """What one check says: a score, its chance, and measurements beside them."""

    score: float = 0.0
    chance: float = 1.0
    cell: int | None = None
    measured: dict[str, tuple[float, float, str]] = field(default_factory=dict)
    conditions: dict[str, Scalar] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True)
class Anomaly:
    """Leaks, outliers, stuck values, and claims of the BMS against its record.

    Attributes
    ----------
    alarm : false-alarm probability up to which a check raises its flag
    """

    alarm: float = 0.001

    def __post_init__(self) -> None:
        if not 0 < self.alarm <= 0.5:
            raise InputError(f"alarm={self.alarm:g} is no false-alarm probability")

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per check that the record supports.

        Raises
        ------
        EstimateError
            It supports none, or the sign of the current is wrong.
        """
        sensor = Sensor.of(pack.sensor)
        checks: dict[str, Callable[[], _Found]] = {}
        why = EstimateError(
            f"{trace.unit_id}: nothing to compare",
            "record cell voltages, or what the BMS reports beside the current",
            ("cell_voltage_missing",),
        )
        try:
            found = departures(trace, with_time=True)
        except EstimateError as error:
            if "wrong_sign" in error.reasons:
                raise
            why = error
        else:
            checks |= {
                "leak": lambda: _leak(trace, found),
                "outlier": lambda: _outlier(found, sensor),
                "stuck": lambda: _stuck(trace, found),
            }
        checks |= {
            "reset": lambda: _reset(trace),
            "counted": lambda: _counted(trace, pack, sensor),
        }
        results = {name: check() for name, check in checks.items()}
        results = {n: r for n, r in results.items() if r.refused != "absent"}
        if not any(not r.refused for r in results.values()):
            raise why
        digest = trace_sha256(trace)
        return tuple(
            self._estimate(trace, pack, name, result, digest, sensor)
            for name, result in results.items()
        )

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> tuple[Curve, ...]:
        """Return the leak of each cell, where that is what the estimate is about."""
        if estimate.conditions.get("check") != "leak":
            return ()
        leak = leak_a(departures(trace, with_time=True))
        if leak is None:
            return ()
        cell = np.arange(leak[0].size, dtype=float)
        columns = {"cell": cell, "leak_current_a": leak[0], "u_a": leak[1]}
        return (Curve("leak", columns),)

    def _estimate(
        self,
        trace: Trace,
        pack: Pack,
        name: str,
        result: _Found,
        digest: str,
        sensor: Sensor,
    ) -> Estimate:
        known = sensor.voltage_known and sensor.current_known
        flagged = not result.refused and result.chance <= self.alarm
        reasons: tuple[str, ...] = ()
        if result.refused:
            reasons = (result.refused,)
        else:
            reasons += (f"alarm_{name}",) if flagged else ()
            reasons += () if known else ("uncertainty_unknown",)
        measured: dict[str, Measurement] = {}
        if not result.refused:
            # The score is in units of its own uncertainty.
            rows = {f"{name}_score": (result.score, 1.0, "1"), **result.measured}
            measured = {
                n: Measurement(n, v, u if known else None, unit)
                for n, (v, u, unit) in rows.items()
            }
        if trace.provenance.suspect:
            measured, reasons = {}, ("suspect_source",)
        return Estimate(
            unit_id=trace.unit_id,
            method=METHOD,
            method_version=VERSION,
            options={"alarm": self.alarm},
            status="ok" if measured else "refused",
            reasons=reasons,
            measurements=measured,
            conditions={
                "rule": "score of the most striking cell or claim in standard "
                "uncertainties; its chance is for all cells of a sound unit together",
                "check": name,
                "flagged": flagged,
                "false_alarm_probability": result.chance,
                "cell": result.cell,
                "calibration": pack.calibration or "unknown",
                "simulated": trace.provenance.simulated,
                **result.conditions,
            },
            stop_sample=trace.n_samples,
            trace_sha256=digest,
        )


def _leak(trace: Trace, found: Departures) -> _Found:
    """Return the cell that loses most beside the others per time, not per charge."""
    hours = float(np.ptp(trace.time_s[found.span])) / 3600.0
    if hours < RESTING:
        return _Found(refused="record_too_short")
    if "time" not in found.value:
        return _Found(refused="time_and_charge_not_separated")
    drift, u = -found.value["time"], _resolved(found, hours)
    scatter = _scatter(drift)
    width = np.hypot(u, scatter)
    scores = (drift - _median(drift)) / width
    if not np.isfinite(scores).any():
        return _Found(refused="sample_missing")
    cell = int(np.nanargmax(scores))
    score = float(scores[cell])
    chance = of_many(student_tail(score, BLOCKS - 1), found.n_cells)
    measured = {
        "cell_drift_v_per_day": (
            float(drift[cell] - _median(drift)) * 86400.0,
            float(width[cell]) * 86400.0,
            "V/d",
        )
    }
    leak = leak_a(found)
    if leak is not None:
        beside = leak[0] - _median(leak[0])
        u_leak = float(np.hypot(leak[1][cell], _scatter(leak[0])))
        measured["leak_current_a"] = (float(beside[cell]), u_leak, "A")
    return _Found(score, chance, cell, measured, {"hours": hours})


def _resolved(found: Departures, hours: float) -> Column:
    """Return u of each drift in V/s, at least what a step of the recorder hides.

    A voltage that stays within its step may have moved by all of it: the two ends of
    the record each carry a rectangular error of one step.
    """
    hidden = found.quantum_v / np.sqrt(6.0) / (hours * 3600.0)
    own = found.u["time"]
    # A leak that crosses a bend of its curve is uneven and no less one: in a sound
    # unit no cell is much less sure than its neighbours.
    u: Column = np.hypot(np.minimum(own, UNEVEN * np.nanmedian(own)), hidden)
    return u


def _outlier(found: Departures, sensor: Sensor) -> _Found:
    """Return the cell farthest from the others in voltage, by their robust scatter."""
    if found.n_cells < FEWEST_FOR_OUTLIER:
        return _Found(refused="too_few_cells")
    offset = found.value["offset"]
    u = np.hypot(found.u["offset"], sensor.voltage_v)
    width = np.hypot(np.nanmedian(u), max(_scatter(offset), LEAST_SCATTER_V))
    scores = np.abs(offset - _median(offset)) / width
    if not np.isfinite(scores).any():
        return _Found(refused="sample_missing")
    cell = int(np.nanargmax(scores))
    # A scatter from the median absolute deviation is as sure as one of a third as many
    # normal values (efficiency 37 %: Rousseeuw, Croux, JASA 88 (1993) 1273).
    freedom = max(0.37 * (found.n_cells - 1), 2.0)
    score = float(scores[cell])
    chance = of_many(2.0 * student_tail(score, freedom), found.n_cells)
    away = float(offset[cell] - _median(offset))
    measured = {"cell_offset_v": (away, float(width), "V")}
    return _Found(score, chance, cell, measured)


def _stuck(trace: Trace, found: Departures) -> _Found:
    """Return the cell whose value stays while its neighbours move, if there is one.

    The chance is that of no step in as many as the neighbours made, had each come on
    its own (Poisson).
    """
    cells = trace.column("cell_voltage_v")[:, found.span]
    quantum = max(found.quantum_v, 1e-6)
    reach = np.nanmax(found.median_v) - np.nanmin(found.median_v)
    if not reach >= MOVES * quantum:
        return _Found(refused="neighbours_do_not_move")
    steps = np.empty(cells.shape[0])
    for c, row in enumerate(cells):
        seen = row[np.isfinite(row)]
        steps[c] = np.count_nonzero(np.diff(seen)) if seen.size > 1 else np.nan
    usual = float(np.nanmedian(steps))
    if not usual > 0:
        return _Found(refused="neighbours_do_not_move")
    # Steps come in bursts under load: as many as the range holds are independent.
    independent = min(usual, float(reach) / quantum)
    cell = int(np.nanargmin(steps))
    share = float(steps[cell]) / usual
    still = float(steps[cell]) == 0.0
    chance = max(float(np.exp(-independent)), LEAST) if still else 1.0
    chance = of_many(chance, cells.shape[0]) if still else 1.0
    score = float(np.sqrt(independent)) if still else 0.0
    conditions: dict[str, Scalar] = {
        "steps_over_usual": share,
        "usual_steps": usual,
    }
    return _Found(score, chance, cell if still else None, {}, conditions)


def _reset(trace: Trace) -> _Found:
    """Return whether the BMS says new after many cycles."""
    claim = reset(trace)
    if claim is None:
        return _Found(refused="absent")
    score = (1.0 - claim.value) / max(claim.u, 1e-3) if claim.chance < 1.0 else 0.0
    conditions: dict[str, Scalar] = {
        "claimed_soh": claim.claimed,
        "usual_soh": claim.counted,
    }
    return _Found(max(score, 0.0), claim.chance, None, {}, conditions)


def _counted(trace: Trace, pack: Pack, sensor: Sensor) -> _Found:
    """Return the capacity counted per reported state of charge, against the claim."""
    claim = counted_capacity(trace, pack, sensor.current_a)
    if claim is None:
        return _Found(refused="absent")
    score = abs(claim.value - 1.0) / claim.u
    measured = {"counted_over_claimed": (claim.value, claim.u, "1")}
    conditions: dict[str, Scalar] = {
        "claimed_capacity_ah": claim.claimed,
        "counted_capacity_ah": claim.counted,
    }
    return _Found(score, claim.chance, None, measured, conditions)


def _median(values: Column) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _scatter(values: Column) -> float:
    """Return the robust standard deviation over cells, 0 for fewer than three."""
    known = values[np.isfinite(values)]
    if known.size < 3:
        return 0.0
    return 1.4826 * float(np.median(np.abs(known - np.median(known))))
