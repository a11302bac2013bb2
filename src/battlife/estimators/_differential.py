"""What dQ/dV and dV/dQ have in common: from half-cycles to estimates of peaks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators._half_cycles import (
    HalfCycle,
    conditions,
    half_cycles,
    refusals,
    remarks,
)
from battlife.estimators._peaks import Peak, Smooth, followed, peaks_of
from battlife.estimators._scales import resolution
from battlife.estimators._uncertainty import RECTANGULAR, Sensor, root_sum
from battlife.model import Estimate, Measurement, Pack, Trace, trace_sha256
from battlife.model.estimate import Scalar

UNSUPPORTED = frozenset(
    {
        "rate_too_fast",
        "window_too_short",
        "current_not_constant",
        "voltage_too_coarse",
        "sampling_too_coarse",
    }
)
"""Where every half-cycle is refused for these, the record as a whole supports none."""


class Scale(NamedTuple):
    """Standard uncertainties of a peak that its whole record shares.

    A gain or offset of a sensor moves every peak the same way (GUM, JCGM 100:2008,
    F.1.2).
    """

    place: float
    height: float
    area: float

    @classmethod
    def of_ica(
        cls, half: HalfCycle, peak: Peak, sensor: Sensor, amps: float, volts: float
    ) -> "Scale":
        """Return them for dQ/dV; `amps`, `volts` are offsets in A, V per cell."""
        charge = root_sum(amps / half.current_a, sensor.current_relative)
        return cls(
            place=root_sum(volts, sensor.voltage_relative * peak.x),
            height=peak.y * root_sum(charge, sensor.voltage_relative),
            area=peak.area * charge,
        )

    @classmethod
    def of_dva(
        cls, half: HalfCycle, peak: Peak, sensor: Sensor, amps: float, volts: float
    ) -> "Scale":
        """Return them for dV/dQ; the offset of the voltage cancels."""
        charge = root_sum(amps / half.current_a, sensor.current_relative)
        return cls(
            place=peak.x * charge,
            height=peak.y * root_sum(charge, sensor.voltage_relative),
            area=peak.area * sensor.voltage_relative,
        )


@dataclass(frozen=True)
class Differential:
    """One of the two methods.

    Attributes
    ----------
    method, version : of the estimates
    rule : what the values are, in words
    smoothing : conditions that state it
    max_c_rate : 1/h
    smoothing_v : V per cell over which the record must be resolved
    reach : how far a peak moves from one of the accepted half-cycles to the next
    curve : the smoothed curve of a half-cycle
    place, height, area : ends of the measurements' names
    units : of place, height and area
    scale : uncertainties that the record shares
    """

    method: str
    version: str
    rule: str
    smoothing: Mapping[str, Scalar]
    max_c_rate: float
    smoothing_v: float
    reach: Callable[[Sequence[HalfCycle]], float]
    curve: Callable[[HalfCycle], Smooth]
    place: str
    height: str
    area: str
    units: tuple[str, str, str]
    scale: Callable[[HalfCycle, Peak, Sensor, float, float], Scale]


@dataclass(frozen=True)
class OfHalfCycles(ABC):
    """An estimator of one of the two methods; its fields are the options."""

    @abstractmethod
    def _differential(self) -> Differential: ...

    def estimate(self, trace: Trace, pack: Pack) -> tuple[Estimate, ...]:
        """Return one Estimate per half-cycle, refused ones included.

        Raises
        ------
        EstimateError
            No current, no voltage, no half-cycle, or none that is slow, long and fine
            enough.
        """
        options = {f.name: getattr(self, f.name) for f in fields(self)}
        return estimates(self._differential(), trace, pack, options)


def estimates(
    kind: Differential, trace: Trace, pack: Pack, options: Mapping[str, Scalar]
) -> tuple[Estimate, ...]:
    """Return one Estimate per half-cycle of a trace.

    Raises
    ------
    EstimateError
        There is no half-cycle, or none that is slow, long and fine enough.
    """
    halves = tuple(half_cycles(trace, pack))
    reasons = [refusals(h, kind.max_c_rate, kind.smoothing_v) for h in halves]
    if all(r and r[0] in UNSUPPORTED for r in reasons):
        raise no_support(trace, kind.method, halves, reasons)
    peaks: dict[int, tuple[Peak, ...]] = {}
    for k, half in enumerate(halves):
        if not reasons[k]:
            peaks[k] = peaks_of(kind.curve(half))
            if not peaks[k]:
                reasons[k] = ("no_peak",)
    numbers = _numbers(kind, halves, peaks, reasons)
    digest = trace_sha256(trace)
    sensor = Sensor.of(pack.sensor)
    drawn = []
    for k, half in enumerate(halves):
        why = reasons[k]
        if trace.provenance.suspect:
            why = ("suspect_source",)
        known: dict[str, Measurement] = {}
        states = conditions(trace, pack, half, kind.max_c_rate)
        states |= {"rule": kind.rule, **kind.smoothing}
        if not why:
            known, cut = _measured(
                kind, trace, pack, half, peaks[k], numbers[k], sensor
            )
            states |= cut
        drawn.append(
            Estimate(
                unit_id=trace.unit_id,
                method=kind.method,
                method_version=kind.version,
                options=options,
                status="refused" if why else "ok",
                reasons=why or remarks(trace, half, sensor),
                measurements=known,
                conditions=states,
                cycle=half.index,
                segment=half.segment,
                start_sample=half.start,
                stop_sample=max(half.stop, half.start + 1),
                trace_sha256=digest,
            )
        )
    return tuple(drawn)


def no_support(
    trace: Trace,
    method: str,
    halves: Sequence[HalfCycle],
    reasons: Sequence[tuple[str, ...]],
) -> EstimateError:
    """Return the error that says why no half-cycle of a trace supports a method."""
    counts: dict[str, int] = {}
    for row in reasons:
        for code in row:
            counts[code] = counts.get(code, 0) + 1
    ordered = sorted(counts, key=lambda c: (-counts[c], c))
    rates = [h.c_rate for h in halves if np.isfinite(h.c_rate)]
    slowest = f", the slowest at {min(rates):.2g} C" if rates else ""
    return EstimateError(
        f"{trace.unit_id}: none of {len(halves)} charges and discharges supports "
        f"{method}{slowest}: "
        + ", ".join(f"{code} ({counts[code]})" for code in ordered),
        "measure a charge or discharge at C/10 or slower with constant current, or "
        "accept the loss with --set max_c_rate",
        tuple(ordered),
    )


def _numbers(
    kind: Differential,
    halves: Sequence[HalfCycle],
    peaks: Mapping[int, tuple[Peak, ...]],
    reasons: Sequence[tuple[str, ...]],
) -> dict[int, tuple[int, ...]]:
    """Return the number of each peak, charges and discharges apart."""
    numbers: dict[int, tuple[int, ...]] = {}
    for direction in (1, -1):
        chosen = [
            k
            for k, h in enumerate(halves)
            if h.direction == direction and not reasons[k]
        ]
        if not chosen:
            continue
        places = [[p.x for p in peaks[k]] for k in chosen]
        reach = kind.reach([halves[k] for k in chosen])
        numbers |= dict(zip(chosen, followed(places, reach), strict=True))
    return numbers


def _measured(
    kind: Differential,
    trace: Trace,
    pack: Pack,
    half: HalfCycle,
    peaks: Sequence[Peak],
    numbers: Sequence[int],
    sensor: Sensor,
) -> tuple[dict[str, Measurement], dict[str, Scalar]]:
    """Return the measurements of a half-cycle's peaks, and which areas are cut."""
    known = sensor.current_known and sensor.voltage_known
    n_cells = pack.cells_in_series or 1
    amps = root_sum(
        sensor.current_a, resolution(trace.column("current_a")) / RECTANGULAR
    )
    volts = root_sum(sensor.voltage_v / n_cells, half.quantum_v / RECTANGULAR)
    measurements: dict[str, Measurement] = {}
    cut: dict[str, Scalar] = {}
    for number, peak in sorted(zip(numbers, peaks, strict=True), key=lambda p: p[0]):
        shared = kind.scale(half, peak, sensor, amps, volts)
        for suffix, unit, value, u in (
            (kind.place, kind.units[0], peak.x, root_sum(peak.u_x, shared.place)),
            (kind.height, kind.units[1], peak.y, root_sum(peak.u_y, shared.height)),
            (kind.area, kind.units[2], peak.area, root_sum(peak.u_area, shared.area)),
        ):
            name = f"{kind.method}_peak_{number}_{suffix}"
            if np.isfinite(value):
                measurements[name] = Measurement(
                    name, value, u if known else None, unit
                )
            else:
                cut[f"refused_{name}"] = "flank_outside_window"
    return measurements, cut
