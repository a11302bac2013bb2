"""Evidence for the hold floor, computed from a trace."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.grading.evidence import Evidence
from battlife.grading.floor import expected_cells
from battlife.model import STEP_KINDS, Pack, StepTable, Trace

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

REST_S: Final = 600.0
"""A unit counts as relaxed after 10 min without current: by then ohmic and charge-
transfer drops are gone and most of the diffusion overvoltage after a deep discharge."""

REST_C_RATE: Final = 1 / 50
"""Largest current of a rest relative to the rated capacity: at C/50 a cell sits within
a few millivolts of its open-circuit voltage."""

REST_OF_LOAD: Final = 0.1
"""Largest current of a rest relative to the largest of the record, whatever the rated
capacity: a test whose every current is below C/5 has no other rests than those."""

LOAD_A: Final = 1.0
"""Below this the largest current of a record may be the offset of an ammeter at rest,
which tells no load and leaves the rated capacity to say what rest is."""

REST_CURRENT_A: Final = 0.05
"""Largest current of a rest where the rated capacity is unknown, in A."""

TOP_SHARE: Final = 0.10
"""Share of the discharge that was given above ``cell_voltage_discharging_top_v``. Load
only lowers a voltage, so a cell holds at least this share above it."""

DEEP_V: Final = 3.0
"""A record whose discharges come down to 3.0 V per cell holds more than the first
percent after a charge, in which a relaxing surface stands above its plateau."""

RATE_WINDOW_S: Final = 300.0
"""Self-heating is averaged over 5 min: a sensor step of 0.1 K is then 0.02 K/min."""

WARM_DEGC: Final = 30.0
"""Below this a unit that warms at rest is taken to be warmed by its room."""

SINGLE_CELL_MAX_V: Final = 5.0
"""A unit that never exceeds this voltage is one cell where nothing says otherwise."""

CRITICAL_FAULT: Final = "critical_fault_code"
"""Code of the notice by which a decoder reports a critical fault of the BMS."""

BMS: Final = "bms"
"""Source of evidence that is the word of the unit's own BMS."""

TEMPERATURES: Final = (
    "temperature_degc",
    "temperature_2_degc",
    "temperature_3_degc",
    "temperature_4_degc",
)


def hold_evidence(trace: Trace, pack: Pack) -> Mapping[str, Evidence | None]:
    """Return the evidence for the hold floor; None where the trace cannot tell.

    Parameters
    ----------
    trace : one unit; per-cell columns are used where it has them
    pack : rated capacity (what counts as rest), number of cells, damage flags

    Returns
    -------
    By quantity of :data:`battlife.grading.floor.FLOORS`, and what tells a chemistry:
    ``cell_voltage_discharging_median_v`` and, of a deep discharge,
    ``cell_voltage_discharging_top_v``. Missing samples are ignored, a quantity
    without any sample is None. Without per-cell columns a stack is judged by its mean
    cell: that can show a hazard, but not the absence of one, so what it passes is
    left to ``cell_count`` and ``cell_spread_resting_max_v``, which stay None.
    """
    cells = _cell_voltages(trace, pack)
    rest = _at_rest(trace, pack)
    relaxed = rest & (trace.time_s - _run_start_s(trace, rest) >= REST_S)
    found: dict[str, tuple[float | None, str]] = {}
    found |= _voltage(cells, relaxed, trace, pack)
    found |= _temperature(trace, rest, relaxed)
    found |= _cell_table(trace, pack, relaxed)
    if trace.n_samples == 0 and trace.steps is not None:
        found |= _from_steps(trace.steps, pack)
    faults = sum(n.code == CRITICAL_FAULT for n in trace.provenance.notices)
    found["critical_fault_count"] = (float(faults) if faults else None, "1")
    found["damage_count"] = (float(len(pack.damage)), "1")
    evidence = {
        name: None
        if value is None
        else Evidence(name, value, value, value, unit, "trace")
        for name, (value, unit) in found.items()
    }
    evidence["isolation_ohm_per_v"] = _isolation(trace)
    return evidence


def _isolation(trace: Trace) -> Evidence | None:
    """Return the lowest isolation the BMS reported, per volt of the pack.

    It condemns a pack, but does not clear one: nobody checked the BMS's instrument.
    """
    isolation = trace.columns.get("isolation_ohm")
    voltage = trace.columns.get("voltage_v")
    lowest = None if isolation is None else _min(isolation)
    highest = None if voltage is None else _max(voltage)
    if lowest is None or highest is None or highest <= 0:
        return None
    value = lowest / highest
    return Evidence("isolation_ohm_per_v", value, value, value, "ohm/V", BMS)


def _cells_of(pack: Pack, peak_v: float | None) -> int | None:
    expected = expected_cells(pack)
    if expected is not None:
        return expected
    return 1 if peak_v is not None and peak_v <= SINGLE_CELL_MAX_V else None


def _cell_voltages(trace: Trace, pack: Pack) -> Floats | None:
    if "cell_voltage_v" in trace.columns:
        return trace.columns["cell_voltage_v"]
    voltage = trace.columns.get("voltage_v")
    n_cells = None if voltage is None else _cells_of(pack, _max(voltage))
    return None if voltage is None or n_cells is None else voltage[None, :] / n_cells


def _rest_limit_a(trace: Trace, pack: Pack) -> float:
    if not pack.nominal_ah:
        return REST_CURRENT_A
    limit_a = pack.nominal_ah * REST_C_RATE
    current = np.abs(trace.columns.get("current_a", np.empty(0)))
    current = current[np.isfinite(current)]
    if not current.size or current.max() < LOAD_A:
        return limit_a
    # A rating that cannot be this unit's must not turn its load into a rest.
    return min(limit_a, max(REST_CURRENT_A, REST_OF_LOAD * float(current.max())))


def _at_rest(trace: Trace, pack: Pack) -> Flags:
    current = trace.columns.get("current_a")
    if current is None:
        return np.zeros(trace.n_samples, dtype=np.bool_)
    return np.asarray(np.abs(current) <= _rest_limit_a(trace, pack))


def _run_start_s(trace: Trace, rest: Flags) -> Floats:
    """Return for each sample the time at which its run of rest began."""
    if rest.size == 0:
        return trace.time_s
    begins = np.r_[True, rest[1:] != rest[:-1]]
    begins[trace.segment_start] = True
    index = np.maximum.accumulate(np.where(begins, np.arange(rest.size), 0))
    return np.asarray(trace.time_s[index])


def _voltage(
    cells: Floats | None, relaxed: Flags, trace: Trace, pack: Pack
) -> dict[str, tuple[float | None, str]]:
    peak = resting = median = highest = None
    if cells is not None and cells.size:
        highest = _max(cells)
        peaks = [_max(row) for row in cells]
        known = [p for p in peaks if p is not None]
        peak = min(known) if known else None
        resting = _min(cells[:, relaxed])
        current = trace.columns.get("current_a")
        if current is not None:
            discharging = cells[:, current < -_rest_limit_a(trace, pack)]
            numbers = discharging[np.isfinite(discharging)]
            median = float(np.median(numbers)) if numbers.size else None
    return {
        "cell_voltage_discharging_top_v": (_discharging_top_v(cells, trace), "V"),
        "cell_voltage_max_v": (highest, "V"),
        "cell_voltage_resting_min_v": (resting, "V"),
        "cell_voltage_peak_min_v": (peak, "V"),
        "cell_voltage_discharging_median_v": (median, "V"),
    }


def _discharging_top_v(cells: Floats | None, trace: Trace) -> float | None:
    """Return the cell voltage above which TOP_SHARE of the charge was given, to 1 mV.

    None where the record has no deep discharge. A load is what exceeds C/50 of the
    largest sustained current, so that cells of milliampere-hours are seen too.
    """
    current = trace.columns.get("current_a")
    if cells is None or current is None or not cells.size:
        return None
    magnitude = np.abs(current[np.isfinite(current)])
    if not magnitude.size:
        return None
    sampled = magnitude[:: max(1, magnitude.size // 20_000)]
    load_a = REST_C_RATE * float(np.quantile(sampled, 0.999))
    cell_v = cells.mean(axis=0)
    seconds = np.diff(trace.time_s, append=np.nan)
    seconds[trace.segment_start[1:] - 1] = np.nan
    given = -current * seconds
    counted = (current < -load_a) & (given > 0) & (cell_v > 0) & (cell_v < 10.0)
    if not counted.any() or cell_v[counted].min() > DEEP_V:
        return None
    by_mv = np.bincount((cell_v[counted] * 1e3).astype(np.int64), given[counted])
    from_top = np.cumsum(by_mv[::-1])
    above = int(np.searchsorted(from_top, TOP_SHARE * from_top[-1]))
    return (by_mv.size - 1 - above) / 1e3


def _temperature(
    trace: Trace, rest: Flags, relaxed: Flags
) -> dict[str, tuple[float | None, str]]:
    rows = [trace.columns[t] for t in TEMPERATURES if t in trace.columns]
    if "cell_temperature_degc" in trace.columns:
        rows.extend(trace.columns["cell_temperature_degc"])
    ambient = trace.columns.get("ambient_temperature_degc")
    rates = [
        rate
        for row in rows
        for run in _runs(trace, rest)
        for rate in _heating(trace.time_s, row, ambient, run)
    ]
    return {
        "temperature_max_degc": (_largest(_max(r) for r in rows), "degC"),
        "temperature_resting_max_degc": (
            _largest(_max(r[relaxed]) for r in rows),
            "degC",
        ),
        "temperature_resting_rate_k_per_min": (_largest(rates), "K/min"),
    }


def _runs(trace: Trace, rest: Flags) -> list[slice]:
    """Return the runs of rest that are long enough to show self-heating."""
    runs = []
    for segment in trace.segments():
        edges = np.diff(np.r_[0, rest[segment].astype(np.int8), 0])
        begins, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
        for a, b in zip(begins + segment.start, ends + segment.start, strict=True):
            if trace.time_s[b - 1] - trace.time_s[a] >= RATE_WINDOW_S:
                runs.append(slice(int(a), int(b)))
    return runs


def _heating(
    time_s: Floats, temperature: Floats, ambient: Floats | None, run: slice
) -> Iterator[float]:
    """Yield the fastest rise of one run in K/min, nothing if no window is complete."""
    time, own = time_s[run], temperature[run]
    earlier = np.searchsorted(time, time - RATE_WINDOW_S, side="right") - 1
    later = np.flatnonzero(earlier >= 0)
    earlier = earlier[later]
    if later.size == 0:
        return
    rise = own[later] - own[earlier]
    if ambient is not None:
        surroundings = ambient[run][later] - ambient[run][earlier]
        rise = rise - np.fmax(np.nan_to_num(surroundings), 0.0)
    rate = 60.0 * rise / (time[later] - time[earlier])
    known = np.isfinite(rate)
    if known.any():
        # A cold unit that warms is warmed by its room: it counts as no rise.
        counted = np.where(own[later] > WARM_DEGC, rate, np.minimum(rate, 0.0))
        yield float(counted[known].max())


def _cell_table(
    trace: Trace, pack: Pack, relaxed: Flags
) -> dict[str, tuple[float | None, str]]:
    cells = trace.columns.get("cell_voltage_v")
    spread = count = None
    if cells is not None:
        count = float(np.isfinite(cells).any(axis=1).sum())
        at_rest = cells[:, relaxed]
        whole = at_rest[:, np.isfinite(at_rest).all(axis=0)]
        if whole.size:
            spread = float((whole.max(axis=0) - whole.min(axis=0)).max())
    elif _cells_of(pack, _max(trace.columns.get("voltage_v", np.empty(0)))) == 1:
        count = 1.0 if "voltage_v" in trace.columns else None
    return {
        "cell_count": (count, "1"),
        "cell_spread_resting_max_v": (spread, "V"),
    }


def _from_steps(steps: StepTable, pack: Pack) -> dict[str, tuple[float | None, str]]:
    """Return what a table of steps tells where there are no samples."""
    voltages = np.vstack(
        [steps.column(f"{w}_voltage_v") for w in ("start", "end", "max")]
    )
    temperatures = np.vstack(
        [steps.column(f"{w}_temperature_degc") for w in ("start", "end", "max")]
    )
    relaxed = (steps.kind == STEP_KINDS.index("rest")) & (
        steps.column("duration_s") >= REST_S
    )
    discharges = steps.kind == STEP_KINDS.index("discharge")
    energy_wh = np.abs(steps.column("discharge_energy_wh")[discharges])
    charge_ah = np.abs(steps.column("discharge_capacity_ah")[discharges])
    told = np.isfinite(energy_wh) & (charge_ah > 0)
    mean_v = float(np.median(energy_wh[told] / charge_ah[told])) if told.any() else None
    highest = _max(voltages)
    n_cells = _cells_of(pack, highest)

    def per_cell(voltage_v: float | None) -> float | None:
        return None if voltage_v is None or n_cells is None else voltage_v / n_cells

    return {
        "cell_voltage_max_v": (per_cell(highest), "V"),
        "cell_voltage_peak_min_v": (per_cell(highest), "V"),
        "cell_voltage_resting_min_v": (
            per_cell(_min(steps.column("end_voltage_v")[relaxed])),
            "V",
        ),
        "cell_voltage_discharging_median_v": (per_cell(mean_v), "V"),
        "temperature_max_degc": (_max(temperatures), "degC"),
        "temperature_resting_max_degc": (
            _max(steps.column("end_temperature_degc")[relaxed]),
            "degC",
        ),
        "cell_count": (1.0 if n_cells == 1 else None, "1"),
    }


def _max(values: Floats) -> float | None:
    numbers = values[np.isfinite(values)]
    return float(numbers.max()) if numbers.size else None


def _min(values: Floats) -> float | None:
    numbers = values[np.isfinite(values)]
    return float(numbers.min()) if numbers.size else None


def _largest(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return max(known) if known else None
