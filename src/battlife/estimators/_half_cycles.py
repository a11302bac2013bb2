"""The constant-current part of each charge and discharge, and whether it is slow.

Polarisation lowers, broadens, shifts and finally merges the features of dQ/dV and
dV/dQ (Fly, Chen, J. Energy Storage 29, 2020, 101329, doi 10.1016/j.est.2020.101329;
Dubarry, Anseán, Front. Energy Res. 10, 2022, 1023555, doi 10.3389/fenrg.2022.1023555),
so a method here states the fastest rate it takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from battlife.errors import EstimateError
from battlife.estimators._discharges import hysteresis_ah
from battlife.estimators._scales import current_threshold, resolution
from battlife.estimators._temperature import unit_temperature
from battlife.estimators._uncertainty import SECONDS_PER_HOUR, Sensor
from battlife.estimators._window import scalar
from battlife.kernels.charge import cumulative_charge
from battlife.kernels.steps import find_half_cycles
from battlife.model import Column, Estimate, Pack, Trace
from battlife.model.estimate import Scalar

CONSTANT = 0.05
"""A current within 5 % of its level is constant, as in a load of that kind."""
UNSTEADY = 0.5
"""A current that leaves its level by no more than half of it,"""
BRIEF = 0.02
"""for no more than a fiftieth of the half-cycle, and comes back to it, is unsteady and
not over: potentiostats at microamperes do that. A taper does not come back."""
LEVELS = (0.5, 0.8, 0.95)
"""Quantiles of the current, weighted by charge, that are tried as the level: the first
stage of a charge gives most of its charge, its taper often most of its time."""
HIGHEST_CELL_V = 5.1
"""No lithium-ion cell in use is charged above this: LNMO ends at 5.0 V."""
WILD_CELL_V = 6.0
"""No cell is above this or as far below zero; the reading is wrong."""
SHORTEST_V = 0.15
"""Voltage span per cell under which no window holds a whole feature with both its
flanks: peaks of graphite and layered oxides are 30 to 80 mV wide at half height."""
SMALLEST_SHARE = 0.1
"""Charge of a window, of the reference capacity, under which it is a fragment."""


@dataclass(frozen=True)
class HalfCycle:
    """The longest constant-current part of one charge or discharge.

    Attributes
    ----------
    index : of the half-cycle in the unit, from 0
    segment : of the trace
    start, stop : half-open range of samples with constant current
    direction : +1 charges, -1 discharges
    current_a : mean current of the part in A, unsigned
    charge_ah : (m,) Ah since `start`, unsigned and rising, m = stop - start
    voltage_v : (m,) V per cell
    c_rate : current over the reference capacity
    reference_ah : rated capacity, else the largest half-cycle of the record
    whole_ah : charge of the whole half-cycle in Ah
    noise_v : standard deviation of a single voltage sample in V per cell
    quantum_v : step of the recorded voltage in V per cell
    """

    index: int
    segment: int
    start: int
    stop: int
    direction: int
    current_a: float
    charge_ah: Column
    voltage_v: Column
    c_rate: float
    reference_ah: float
    whole_ah: float
    noise_v: float
    quantum_v: float

    @property
    def taken_ah(self) -> float:
        """Charge of the constant-current part in Ah, unsigned."""
        return float(self.charge_ah[-1]) if self.charge_ah.size else 0.0

    @property
    def span_v(self) -> float:
        """How far the voltage went in V per cell, NaN of no sample."""
        if not self.voltage_v.size:
            return float("nan")
        return float(self.voltage_v.max() - self.voltage_v.min())


def half_cycles(trace: Trace, pack: Pack) -> Iterator[HalfCycle]:
    """Yield the constant-current part of each half-cycle of a trace, in order.

    Raises
    ------
    EstimateError
        No current, no voltage, no half-cycle, or a pack of an unknown number of cells.
    """
    for name in ("current_a", "voltage_v"):
        if not np.isfinite(trace.columns.get(name, np.empty(0))).any():
            raise EstimateError(
                f"{trace.unit_id}: the trace has no {name}",
                "this method needs current and voltage over time",
                (f"{name.partition('_')[0]}_missing",),
            )
    n_cells = _cells(trace, pack)
    current, time = trace.column("current_a"), trace.time_s
    hysteresis = hysteresis_ah(trace)
    found: list[tuple[int, int, int, int]] = []
    if hysteresis > 0:
        for segment, span in enumerate(trace.segments()):
            halves = find_half_cycles(time, current, span.start, span.stop, hysteresis)
            found.extend(
                (segment, int(a), int(b) + 1, int(d))
                for a, b, d in zip(*halves, strict=True)
            )
    if not found:
        raise EstimateError(
            f"{trace.unit_id}: no charge or discharge found",
            "this method needs a slow charge or discharge",
            ("no_half_cycle",),
        )
    wholes = [_whole_ah(time, current, a, b) for _, a, b, _ in found]
    reference = pack.nominal_ah or max(wholes)
    threshold = current_threshold(current)
    slack = 3.0 * resolution(current)
    quantum = resolution(trace.column("voltage_v")) / n_cells
    for index, ((segment, a, b, direction), whole) in enumerate(
        zip(found, wholes, strict=True)
    ):
        first, stop = _constant_part(trace, a, b, direction, threshold, slack, n_cells)
        yield _built(
            trace,
            (index, segment, first, stop, direction),
            (reference, whole, quantum, n_cells),
        )


def half_cycle_of(trace: Trace, pack: Pack, estimate: Estimate) -> HalfCycle:
    """Return the constant-current part an estimate was made from.

    Raises
    ------
    EstimateError
        The estimate is not one of such a part, or of another trace.
    """
    states = estimate.conditions
    rate, current = states.get("c_rate"), states.get("current_a")
    whole = states.get("half_cycle_charge_ah")
    if not all(isinstance(v, float) for v in (rate, current, whole)) or not rate:
        raise EstimateError(
            f"{trace.unit_id}: estimate {estimate.cycle} is of no half-cycle",
            reasons=("no_half_cycle",),
        )
    direction = 1 if states.get("direction") == "charge" else -1
    n_cells = _cells(trace, pack)
    quantum = resolution(trace.column("voltage_v")) / n_cells
    return _built(
        trace,
        (
            estimate.cycle or 0,
            estimate.segment or 0,
            estimate.start_sample,
            min(estimate.stop_sample, trace.n_samples),
            direction,
        ),
        # Conditions hold texts too; these two are numbers where both are stated.
        (abs(float(current)) / float(rate), float(whole), quantum, n_cells),  # type: ignore[arg-type]
    )


def _built(
    trace: Trace,
    where: tuple[int, int, int, int, int],
    scale: tuple[float, float, float, int],
) -> HalfCycle:
    """Return a part from where it is and what its record says of scale.

    Parameters
    ----------
    trace : of the unit
    where : index, segment, start, stop, direction
    scale : reference capacity and charge of the whole half-cycle in Ah, step of the
        voltage in V per cell, cells in series
    """
    index, segment, first, stop, direction = where
    reference, whole, quantum, n_cells = scale
    time = trace.time_s
    charge = direction * cumulative_charge(time, trace.column("current_a"), first, stop)
    voltage = np.ascontiguousarray(trace.column("voltage_v")[first:stop] / n_cells)
    hours = 0.0
    if stop > first:
        hours = float(time[stop - 1] - time[first]) / SECONDS_PER_HOUR
    taken = float(charge[-1]) if charge.size else 0.0
    mean_a = taken / hours if hours > 0 else float("nan")
    return HalfCycle(
        index=index,
        segment=segment,
        start=first,
        stop=stop,
        direction=direction,
        current_a=mean_a,
        charge_ah=charge,
        voltage_v=voltage,
        c_rate=mean_a / reference,
        reference_ah=reference,
        whole_ah=whole,
        noise_v=_noise(voltage),
        quantum_v=quantum,
    )


def refusals(half: HalfCycle, max_c_rate: float, smoothing_v: float) -> tuple[str, ...]:
    """Return the reason codes that forbid an estimate, worst first.

    Parameters
    ----------
    half : of the trace
    max_c_rate : fastest rate in 1/h
    smoothing_v : V per cell over which the voltage must be resolved
    """
    if half.charge_ah.size < 3 or not half.taken_ah > 0:
        return ("current_not_constant",)
    reasons: tuple[str, ...] = ()
    if half.c_rate > max_c_rate:
        reasons += ("rate_too_fast",)
    moved = float(np.median(half.voltage_v[-5:]) - np.median(half.voltage_v[:5]))
    if half.direction * moved < 0:
        reasons += ("wrong_sign",)
    if half.span_v < SHORTEST_V or half.taken_ah < SMALLEST_SHARE * half.reference_ah:
        reasons += ("window_too_short",)
    # The comb of quanta leaves 2 exp(-2 pi^2 (sd/q)^2) of the curve: 1.4 % at q = 2 sd.
    if half.quantum_v > 2.0 * smoothing_v:
        reasons += ("voltage_too_coarse",)
    steps = np.abs(np.diff(half.voltage_v))
    charge = np.diff(half.charge_ah)
    if charge[steps > 2.0 * smoothing_v].sum() > 0.1 * half.taken_ah:
        reasons += ("sampling_too_coarse",)
    return reasons


def conditions(
    trace: Trace, pack: Pack, half: HalfCycle, max_c_rate: float
) -> dict[str, Scalar]:
    """Return what the estimate of one half-cycle states of it."""
    own = pack.nominal_ah is None
    degc = unit_temperature(trace)
    seen = degc[half.start : half.stop] if degc is not None else np.empty(0)
    seen = seen[np.isfinite(seen)]
    volts = half.voltage_v
    return {
        "direction": "charge" if half.direction > 0 else "discharge",
        "c_rate": scalar(half.c_rate),
        "c_rate_reference": "largest half-cycle of the record" if own else "nominal",
        "c_rate_rule": f"refused above {max_c_rate:g} of the reference capacity per "
        "hour: polarisation shifts, broadens and merges features",
        "current_a": scalar(half.direction * half.current_a),
        "window_charge_ah": scalar(half.taken_ah),
        "half_cycle_charge_ah": scalar(half.whole_ah),
        "start_voltage_v": scalar(float(volts[0])) if volts.size else None,
        "end_voltage_v": scalar(float(volts[-1])) if volts.size else None,
        "voltage_basis": "per cell"
        if (pack.cells_in_series or 1) > 1
        else "of the unit",
        "voltage_noise_v": scalar(half.noise_v),
        "voltage_resolution_v": half.quantum_v,
        "mean_temperature_degc": scalar(float(seen.mean())) if seen.size else None,
        "soc_information": "none",
        "calibration": pack.calibration or "unknown",
    }


def remarks(trace: Trace, half: HalfCycle, sensor: Sensor) -> tuple[str, ...]:
    """Return the reason codes that qualify an accepted estimate."""
    found: tuple[str, ...] = ()
    steps = np.diff(half.charge_ah)
    current = np.abs(trace.column("current_a")[half.start + 1 : half.stop])
    off = np.abs(current - half.current_a) > 2.0 * CONSTANT * half.current_a
    if steps[off].sum() > 0.05 * half.taken_ah:
        found += ("current_unsteady",)
    degc = unit_temperature(trace)
    if degc is None or not np.isfinite(degc[half.start : half.stop]).any():
        found += ("temperature_unknown",)
    if not (sensor.current_known and sensor.voltage_known):
        found += ("uncertainty_unknown",)
    return found


def _cells(trace: Trace, pack: Pack) -> int:
    if pack.cells_in_series:
        return pack.cells_in_series
    voltage = trace.column("voltage_v")
    if float(np.nanmedian(voltage)) > HIGHEST_CELL_V:
        raise EstimateError(
            f"{trace.unit_id}: {float(np.nanmedian(voltage)):g} V is more than a cell "
            "has, and the number of cells in series is not known",
            "state cells_in_series in units.toml",
            ("cells_in_series_unknown",),
        )
    return 1


def _whole_ah(time: Column, current: Column, start: int, stop: int) -> float:
    """Return the charge of a range in Ah, unsigned; missing currents add nothing."""
    part = current[start:stop]
    part = np.where(np.isfinite(part), part, np.nan)
    step = np.diff(time[start:stop]) * 0.5 * (part[:-1] + part[1:])
    return abs(float(np.nansum(step))) / SECONDS_PER_HOUR


def _constant_part(
    trace: Trace,
    start: int,
    stop: int,
    direction: int,
    threshold: float,
    slack: float,
    n_cells: int,
) -> tuple[int, int]:
    """Return the half-open range with constant current that took most charge."""
    current = direction * trace.column("current_a")[start:stop]
    voltage = trace.column("voltage_v")[start:stop]
    # A wild voltage ends a window as a missing one does.
    sound = np.abs(voltage) <= WILD_CELL_V * n_cells
    loaded = np.flatnonzero(np.isfinite(current) & (current > threshold))
    if loaded.size < 2:
        return start, start
    weight = np.diff(trace.time_s[start:stop], prepend=trace.time_s[start])[loaded]
    weight = weight * current[loaded]
    order = np.argsort(current[loaded], kind="stable")
    below = np.cumsum(weight[order])
    best = (start, start)
    most = -1.0
    for share in LEVELS:
        at = min(int(np.searchsorted(below, share * below[-1])), order.size - 1)
        level = current[loaded][order][at]
        off = np.abs(current - level)
        alike = sound & (off <= max(CONSTANT * level, slack))
        near = sound & (off <= UNSTEADY * level)
        first, last = _joined(trace.time_s[start:stop], alike, near)
        if not first.size:
            continue
        lengths = trace.time_s[start + last] - trace.time_s[start + first]
        longest = int(np.argmax(lengths))
        taken = float(lengths[longest]) * float(level)
        if taken > most:
            most = taken
            best = (start + int(first[longest]), start + int(last[longest]) + 1)
    return best


def _joined(
    time_s: Column, alike: npt.NDArray[np.bool_], near: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (first, last) sample of each run of `alike`, brief gaps bridged.

    Parameters
    ----------
    time_s : (n,) s
    alike : (n,) the current is at its level
    near : (n,) it is near it, and nothing is missing
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], alike, [0]])))
    first, last = edges[::2], edges[1::2] - 1
    if first.size < 2:
        return first, last
    far = np.concatenate([[0], np.cumsum(~near)])
    whole = far[first[1:]] == far[last[:-1] + 1]
    brief = time_s[first[1:]] - time_s[last[:-1]] <= BRIEF * (time_s[-1] - time_s[0])
    split = ~(whole & brief)
    return first[np.concatenate([[True], split])], last[np.concatenate([split, [True]])]


def _noise(voltage_v: Column) -> float:
    """Return the standard deviation of one sample in V, from its second difference.

    The second difference of white noise has six times its variance, and that of a
    smooth curve next to none; the median of its magnitude is 0.6745 of its standard
    deviation and does not see single wild samples.
    """
    if voltage_v.size < 5:
        return 0.0
    second = voltage_v[2:] - 2.0 * voltage_v[1:-1] + voltage_v[:-2]
    robust = float(np.median(np.abs(second))) / 0.6745
    return robust / float(np.sqrt(6.0))
