"""Discharges of a source that has one row per step and no samples (Nebula)."""

from dataclasses import replace

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators._draft import Draft, temperature_remarks
from battlife.estimators._endings import AT_FLOOR, SAME_END, floor_of
from battlife.estimators._scales import finite_max, top_voltage
from battlife.estimators._uncertainty import (
    SECONDS_PER_HOUR,
    Sensor,
    charge_uncertainty,
    energy_uncertainty,
    root_sum,
)
from battlife.estimators._window import (
    FULL_AFTER_CHARGE,
    FULL_SHARE,
    TOP_SHARE,
    scalar,
)
from battlife.model import STEP_KINDS, Measurement, Pack, StepTable, Trace
from battlife.model.estimate import Scalar

PULSE_SHARE = 0.02
"""A discharge step smaller than this share of the largest is a pulse."""
COUNTER_TOLERANCE = 0.01
"""Counter and duration times current agree within 1 % on a constant load: start and
end current bound the mean, and the clock of a step table has 0.1 s."""
ENDS_WITHIN = 1.01
"""A tester that stops on voltage stops within 1 % of its limit."""


def drafts_from_steps(
    trace: Trace, pack: Pack, cutoff: tuple[float | None, str]
) -> tuple[Draft, ...]:
    """Return one draft per discharge step that is more than a pulse.

    Parameters
    ----------
    trace : with a step table
    pack : identity of the unit
    cutoff : V and where it comes from; None takes the usual end voltage

    Raises
    ------
    EstimateError
        There is no step table.
    """
    steps = trace.steps
    if steps is None or not len(steps):
        raise EstimateError(
            f"{trace.unit_id}: no samples and no steps",
            "the source holds nothing that a capacity could come from",
            ("no_samples",),
        )
    rows = [
        k for k in range(len(steps)) if STEP_KINDS[int(steps.kind[k])] == "discharge"
    ]
    counted = np.abs(steps.column("discharge_capacity_ah"))
    largest = finite_max(counted[rows]) if rows else float("nan")
    rows = [k for k in rows if not counted[k] < PULSE_SHARE * largest]
    cutoff_v, source = cutoff
    ends = steps.column("end_voltage_v")[rows]
    if cutoff_v is not None:
        return tuple(
            _draft(trace, pack, steps, row, index, cutoff_v, source)
            for index, row in enumerate(rows)
        )
    known = ends[np.isfinite(ends)]
    cutoff_v = float(np.median(known)) if known.size else float("nan")
    floor_v = floor_of(pack, top_voltage(trace))
    drafts = []
    for index, row in enumerate(rows):
        draft = _draft(trace, pack, steps, row, index, cutoff_v, source)
        alike = np.abs(known - ends[index]) <= SAME_END * abs(ends[index])
        refusals, remarks = draft.refusals, ("cutoff_not_stated", *draft.qualifiers)
        if not ends[index] <= AT_FLOOR * floor_v and np.count_nonzero(alike) < 2:
            refusals += ("partial_discharge", "cutoff_not_stated")
        drafts.append(replace(draft, refusals=refusals, qualifiers=remarks))
    return tuple(drafts)


def _draft(
    trace: Trace,
    pack: Pack,
    steps: StepTable,
    row: int,
    index: int,
    cutoff_v: float,
    source: str,
) -> Draft:
    def value(name: str, at: int = row) -> float:
        return float(steps.column(name)[at])

    counted = abs(value("discharge_capacity_ah"))
    if not np.isfinite(counted):
        return Draft(index, refusals=("no_samples",))
    duration_s = value("duration_s")
    current = np.array([value("start_current_a"), value("end_current_a")])
    mean_a = (
        float(np.abs(current[np.isfinite(current)]).mean())
        if np.isfinite(current).any()
        else float("nan")
    )
    from_current = mean_a * duration_s / SECONDS_PER_HOUR
    before = row - 1 if row and STEP_KINDS[int(steps.kind[row - 1])] == "rest" else None
    begun = (
        value("start_voltage_v") if before is None else value("end_voltage_v", before)
    )
    charge = _charge_before(steps, row)
    conditions: dict[str, Scalar] = {
        "rule": "tester's counter over its own discharge step",
        "step_row": row,
        "cutoff_v": scalar(cutoff_v),
        "cutoff_source": source,
        "duration_s": scalar(duration_s),
        "load": "constant" if np.ptp(np.abs(current)) <= 0.05 * mean_a else "mixed",
        "load_current_a": scalar(-mean_a),
        "mean_current_a": scalar(-mean_a),
        "c_rate": scalar(mean_a / pack.nominal_ah) if pack.nominal_ah else None,
        "start_voltage_v": scalar(begun),
        "end_voltage_v": scalar(value("end_voltage_v")),
        "start_temperature_degc": scalar(value("start_temperature_degc")),
        "max_temperature_degc": scalar(value("max_temperature_degc")),
        "ambient_temperature_degc": scalar(value("ambient_temperature_degc")),
        "current_times_duration_ah": scalar(from_current),
        "calibration": pack.calibration or "unknown",
    }
    ambient = value("ambient_temperature_degc")
    stated = pack.test_degc
    if stated is not None and not (
        np.isfinite(ambient) or np.isfinite(value("start_temperature_degc"))
    ):
        ambient = stated
        conditions["ambient_temperature_degc"] = stated
    condition = ambient if np.isfinite(ambient) else value("start_temperature_degc")
    remarks, reference = temperature_remarks(condition, pack)
    conditions |= reference
    refusals: tuple[str, ...] = ()
    if not value("end_voltage_v") <= ENDS_WITHIN * cutoff_v:
        refusals += ("cutoff_not_reached",)
    if conditions["load"] == "constant" and (
        abs(counted - from_current) > COUNTER_TOLERANCE * from_current
    ):
        refusals += ("counter_contradicts_current",)
    if not counted > 0.02 * (pack.nominal_ah or 0.0):
        refusals += ("implausibly_small",)
    full, doubts = _fullness(steps, begun, charge)
    sensor = Sensor.of(pack.sensor)
    doubt_ah = abs(counted - from_current) if np.isfinite(from_current) else 0.0
    measurements = _measurements(steps, row, charge, sensor, counted, doubt_ah)
    if measurements["discharge_capacity_ah"].uncertainty is None:
        remarks += ("uncertainty_unknown",)
    return Draft(
        index=index,
        refusals=refusals + full,
        qualifiers=doubts + remarks,
        measurements=measurements,
        conditions=conditions,
        capacity_ah=counted,
        rate_a=mean_a,
        condition_degc=condition,
        charge_end_a=value("end_current_a", charge) if charge is not None else np.nan,
    )


def _charge_before(steps: StepTable, row: int) -> int | None:
    """Return the last charge step since the discharge before, None if there is none."""
    for k in range(row - 1, -1, -1):
        kind = STEP_KINDS[int(steps.kind[k])]
        if kind == "charge":
            return k
        if kind == "discharge":
            return None
    return None


def _fullness(
    steps: StepTable, begun_v: float, charge: int | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    top_v = finite_max(steps.column("max_voltage_v"))
    if not np.isfinite(top_v):
        top_v = finite_max(steps.column("end_voltage_v"))
    reached = float("nan")
    if charge is not None:
        reached = float(steps.column("max_voltage_v")[charge])
        if not np.isfinite(reached):
            reached = float(steps.column("end_voltage_v")[charge])
    needed = FULL_AFTER_CHARGE if reached >= TOP_SHARE * top_v else FULL_SHARE
    if begun_v < needed * top_v:
        return ("not_from_full",), ()
    return (), (() if charge is not None else ("charge_not_seen",))


def _measurements(
    steps: StepTable,
    row: int,
    charge: int | None,
    sensor: Sensor,
    counted_ah: float,
    doubt_ah: float,
) -> dict[str, Measurement]:
    """Return what the tester counted; `doubt_ah` is its difference from current."""
    result: dict[str, Measurement] = {}
    sources = [("discharge", row)] + (
        [("charge", charge)] if charge is not None else []
    )
    for side, at in sources:
        duration_s = float(steps.column("duration_s")[at])
        duration_s = duration_s if np.isfinite(duration_s) else 0.0
        amount = abs(float(steps.column(f"{side}_capacity_ah")[at]))
        energy = abs(float(steps.column(f"{side}_energy_wh")[at]))
        extra = doubt_ah if side == "discharge" else 0.0
        if not amount > 0:
            continue
        u_amount = charge_uncertainty(sensor, amount, duration_s, 0.0, extra)
        name = f"{side}_capacity_ah"
        result[name] = Measurement(name, amount, u_amount, "Ah")
        if energy > 0:
            u_energy = energy_uncertainty(
                sensor, energy, amount, duration_s, 0.0, 0.0, extra * energy / amount
            )
            name = f"{side}_energy_wh"
            result[name] = Measurement(name, energy, u_energy, "Wh")
    if not result.get("discharge_capacity_ah"):
        u_zero = charge_uncertainty(sensor, counted_ah, 0.0, 0.0, root_sum(doubt_ah))
        name = "discharge_capacity_ah"
        result[name] = Measurement(name, counted_ah, u_zero, "Ah")
    return result
