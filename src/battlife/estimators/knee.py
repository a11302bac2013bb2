"""Knee and remaining cycles from the capacities of a unit over its life.

An estimate at a cycle uses that cycle and those before it, nothing later. The
capacities are those of the method ``capacity``; only discharges like the last one
(load, cut-off, temperature) count. Definitions, limits and what they were measured on:
docs/knee.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from battlife.errors import EstimateError, InputError
from battlife.estimators._remaining import (
    LAYOUT,
    METHOD,
    Remaining,
    remaining,
)
from battlife.estimators._trajectory import (
    FEWEST,
    SURE,
    Knee,
    Past,
    Trajectory,
    knee_of,
    past_of,
    trajectory_of,
    without_outliers,
)
from battlife.estimators._uncertainty import root_sum
from battlife.estimators.capacity import DischargeCapacity
from battlife.model import Column, Estimate, Measurement, Pack, Trace, trace_sha256
from battlife.model.curve import Curve
from battlife.model.estimate import Scalar
from battlife.model.learned import Model

VERSION: Final = "1"
NORMAL_90: Final = 1.645
"""Half a central 90 % interval in standard deviations of a normal distribution."""
GROUPS: Final = 5
"""Of the delete-a-group jackknife (Wolter, Introduction to Variance Estimation,
2007, 4.2) of the knee's probability."""
LIKELY: Final = 0.5
"""Probability from which a knee's place is named."""
DRAWN: Final = 120
"""Cycles of the history at which the curve shows what was known then."""


@dataclass(frozen=True)
class RemainingLife:
    """Knee probability and cycles to a capacity threshold.

    Attributes
    ----------
    threshold : fraction of the nominal capacity; 0.8 ends a first life, 0.7 and 0.6
        are asked for in a second
    at_cycle : discharge number of the unit at which to estimate, from what was known
        then; None takes the last
    cutoff_v : V at which a discharge ends, as in ``capacity``
    model : of :func:`battlife.estimators.trajectories.calibrate_trajectories`; without
        one the knee is told and the remaining cycles are refused
    """

    threshold: float = 0.8
    at_cycle: float | None = None
    cutoff_v: float | None = None
    model: Model | None = None

    def __post_init__(self) -> None:
        if not 0.2 <= self.threshold <= 1.0:
            raise InputError(
                f"threshold={self.threshold:g} is no share of the nominal capacity",
                "0.8 means 80 %",
            )
        if self.model is not None and (self.model.estimator, self.model.version) != (
            METHOD,
            LAYOUT,
        ):
            raise InputError(
                f"the model is for {self.model.estimator!r} {self.model.version}",
                f"calibrate trajectories for {METHOD!r} {LAYOUT}",
            )

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate, at the last discharge or at `at_cycle`.

        Raises
        ------
        EstimateError
            No discharge, no rated capacity, or fewer than FEWEST comparable ones.
        """
        if trace.provenance.suspect:
            return (self._estimate(trace, ("suspect_source",), {}, {}, None),)
        if not pack.nominal_ah or not pack.nominal_ah > 0:
            raise EstimateError(
                f"{trace.unit_id}: a threshold needs the rated capacity",
                "give --nominal-ah, or nominal_ah in units.toml",
                ("no_reference_capacity",),
            )
        capacities = self._capacities(trace, pack)
        trajectory, unlike = trajectory_of(capacities)
        clean = without_outliers(trajectory)
        past = past_of(clean, pack.nominal_ah)
        if past is None:
            raise EstimateError(
                f"{trace.unit_id}: {clean.cycle.size} comparable discharges, fewer "
                f"than {FEWEST}",
                "a trend needs a longer history under the same load",
                ("history_too_short",),
            )
        last = next(e for e in reversed(capacities) if e.cycle == clean.cycle[-1])
        knee = knee_of(clean, pack.nominal_ah)
        left = remaining(past, self.threshold, pack, self.model)
        relative = _relative(last)
        measurements = _measured(clean, pack.nominal_ah, past, knee, left, relative)
        conditions = self._conditions(pack, past, knee, left)
        conditions |= {
            "discharges_not_used": unlike + trajectory.cycle.size - clean.cycle.size,
            "load_current_a": last.conditions.get("load_current_a"),
            "temperature_degc": last.conditions.get("mean_temperature_degc"),
            "ambient_temperature_degc": last.conditions.get("ambient_temperature_degc"),
        }
        reasons: tuple[str, ...] = ()
        if relative is None:
            reasons = ("uncertainty_unknown",)
        if left.refused:
            reasons += (left.refused,)
        elif self.model and not self.model.attribute("chemistry"):
            reasons += ("type_not_verified",)
        return (self._estimate(trace, reasons, measurements, conditions, last),)

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence[Curve]:
        """Return the trajectory, and what was known at each cycle of it."""
        clean = without_outliers(trajectory_of(self._capacities(trace, pack))[0])
        nominal = pack.nominal_ah or float("nan")
        everything = Curve(
            "trajectory", {"cycle": clean.cycle, "capacity_ah": clean.capacity_ah}
        )
        ends = np.unique(
            np.linspace(FEWEST, clean.cycle.size, DRAWN).round().astype(np.int64)
        )
        rows = []
        for stop in ends:
            part = Trajectory(clean.cycle[:stop], clean.capacity_ah[:stop])
            left = remaining(past_of(part, nominal), self.threshold, pack, self.model)
            knee = knee_of(part, nominal)
            rows.append(
                (part.cycle[-1], knee.probability, left.cycles, left.low, left.high)
            )
        names = ("cycle", "knee_probability", "remaining_cycles", "low", "high")
        history = dict(zip(names, np.array(rows).T, strict=True))
        return everything, Curve("history", history)

    def _capacities(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        method = DischargeCapacity(cutoff_v=self.cutoff_v)
        found = method.estimate(trace, pack)
        if self.at_cycle is None:
            return found
        # What a capacity is compared with must not lie behind the cycle asked for.
        upto = [e for e in found if (e.cycle or 0) <= self.at_cycle]
        if not upto:
            return ()
        if trace.n_samples:
            return method.estimate(_until(trace, upto[-1].stop_sample), pack)
        return tuple(upto)

    def _conditions(
        self, pack: Pack, past: Past, knee: Knee, left: Remaining
    ) -> dict[str, Scalar]:
        conditions: dict[str, Scalar] = {
            "rule": "cycles from the last discharge used to the first below the "
            "threshold; a knee is a later slope of 1.5 times the earlier",
            "nominal_ah": pack.nominal_ah,
            "nominal_source": pack.nominal_source or "not stated",
            "threshold": self.threshold,
            "discharges_used": past.n_points,
            "span_cycles": past.span_cycles,
            "capacity_now": past.now,
            "capacity_first": past.first,
            "scatter": past.scatter,
            "calibration": pack.calibration or "unknown",
        }
        if left.refused:
            conditions["refused_remaining_cycles"] = left.refused
        if np.isnan(knee.probability):
            conditions["refused_knee_probability"] = "history_too_short"
        if knee.probability > LIKELY:
            conditions |= {
                "fade_before_knee_per_cycle": knee.before,
                "fade_after_knee_per_cycle": knee.after,
            }
        return conditions

    def _estimate(
        self,
        trace: Trace,
        reasons: tuple[str, ...],
        measurements: dict[str, Measurement],
        conditions: dict[str, Scalar],
        last: Estimate | None,
    ) -> Estimate:
        return Estimate(
            unit_id=trace.unit_id,
            method=METHOD,
            method_version=VERSION,
            options={
                "threshold": self.threshold,
                "at_cycle": self.at_cycle,
                "cutoff_v": self.cutoff_v,
            },
            status="ok" if measurements else "refused",
            reasons=reasons,
            measurements=measurements,
            conditions=conditions,
            cycle=last.cycle if last else None,
            segment=last.segment if last else None,
            stop_sample=last.stop_sample if last else 0,
            trace_sha256=trace_sha256(trace),
            model_sha256=self.model.sha256 if self.model else "",
        )


def _measured(
    clean: Trajectory,
    nominal_ah: float,
    past: Past,
    knee: Knee,
    left: Remaining,
    relative: float | None,
) -> dict[str, Measurement]:
    """Return the measurements; their uncertainties are None without a sensor's.

    A relative error of all capacities moves the crossing by the cycles in which the
    unit loses it.
    """
    known = relative is not None
    error = relative or 0.0

    def one(name: str, value: float, u: float) -> Measurement:
        return Measurement(name, value, u if known else None, "1")

    u_fade = root_sum(past.u_late, error * past.late)
    found = {
        "capacity_fade_per_cycle": one("capacity_fade_per_cycle", past.late, u_fade),
    }
    if np.isfinite(knee.probability):
        found["knee_probability"] = one(
            "knee_probability", knee.probability, _jackknife(clean, nominal_ah)
        )
    if knee.probability > LIKELY:
        u_place = max((knee.high - knee.low) / (2.0 * NORMAL_90), 0.5)
        found["knee_cycle"] = replace(
            one("knee_cycle", knee.cycle, u_place),
            low=knee.low,
            high=knee.high,
            coverage=0.9,
        )
    if not left.refused:
        rate = max(past.late, past.whole)
        moved = NORMAL_90 * error * past.now / rate
        low = max(left.cycles - root_sum(left.cycles - left.low, moved), 0.0)
        high = left.cycles + root_sum(left.high - left.cycles, moved)
        found["remaining_cycles"] = replace(
            one("remaining_cycles", left.cycles, (high - low) / (2.0 * NORMAL_90)),
            low=low,
            high=high,
            coverage=left.coverage,
        )
    return found


def _jackknife(clean: Trajectory, nominal_ah: float) -> float:
    """Return u of the knee's probability: every fifth capacity left out in turn."""
    values: list[float] = []
    for k in range(GROUPS):
        kept: Column = np.arange(clean.cycle.size) % GROUPS != k
        part = Trajectory(clean.cycle[kept], clean.capacity_ah[kept])
        values.append(knee_of(part, nominal_ah).probability)
    told = np.array(values)
    told = told[np.isfinite(told)]
    spread = told - np.mean(told) if told.size else np.ones(GROUPS)
    u = np.sqrt((GROUPS - 1) / GROUPS * np.sum(spread**2))
    return max(float(u), 1.0 - SURE)


def _relative(last: Estimate) -> float | None:
    """Return the relative uncertainty of a capacity, None where it is unknown."""
    measured = last.measurements["discharge_capacity_ah"]
    if not isinstance(measured.uncertainty, float):
        return None
    return measured.uncertainty / float(np.mean(measured.value))


def _until(trace: Trace, stop: int) -> Trace:
    """Return the samples before `stop`, and the steps that have samples among them."""
    starts = trace.segment_start[trace.segment_start < max(stop, 1)]
    steps = trace.steps
    if steps is not None:
        segment = steps.column("segment")
        kept = ~np.isfinite(segment) | (segment < starts.size)
        last = np.flatnonzero(np.isfinite(segment) & kept)
        kept &= np.arange(len(steps)) <= (last[-1] if last.size else -1)
        steps = replace(
            steps,
            kind=steps.kind[kept],
            columns={n: c[kept] for n, c in steps.columns.items()},
        )
    return replace(
        trace,
        time_s=trace.time_s[:stop],
        segment_start=starts,
        columns={n: c[..., :stop] for n, c in trace.columns.items()},
        steps=steps,
    )
