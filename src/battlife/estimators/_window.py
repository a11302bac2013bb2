"""What the samples around one discharge say of it: conditions, and doubts."""

import numpy as np

from battlife.estimators._discharges import Discharge
from battlife.estimators._temperature import unit_temperature
from battlife.estimators._uncertainty import SECONDS_PER_HOUR
from battlife.model import Column, Pack, Trace
from battlife.model.estimate import Scalar

FULL_SHARE = 0.95
"""Unloaded voltage before a discharge over the unit's highest: 4.2 V cells relax to
4.05 to 4.19 V after any charge to 4.2 V, and read 3.9 V at 80 %."""
FULL_AFTER_CHARGE = 0.88
"""The same after a charge that reached the top: LFP relaxes from 3.65 to 3.33 V."""
TOP_SHARE = 0.985
"""A charge within 1.5 % of the unit's highest voltage reached the top."""
FEW_SAMPLES = 3
"""Loaded samples up to the cut-off below which the voltage drop of the load itself,
not the charge taken, ended the discharge."""
RECOVERED = 1.01
"""Over the cut-off by 1 %: further than the noise of a voltage that lingers at it."""
SAME_LOAD = 0.95
"""A load of at least this share of another is no lighter one."""
GIVEN_AFTER = 0.05
"""Charge a pulsed load may still give above the cut-off after it was first reached:
each of its pauses lifts the voltage, so the last pulses begin above it again."""


def conditions_of(
    trace: Trace, pack: Pack, found: Discharge, start: int, stop: int, net_ah: float
) -> dict[str, Scalar]:
    """Return the conditions of the samples start..stop, both included, net_ah in Ah."""
    current = trace.column("current_a")
    voltage = trace.column("voltage_v")
    time = trace.time_s
    window = slice(start, stop + 1)
    duration_s = float(time[stop] - time[start])
    mean_a = net_ah * SECONDS_PER_HOUR / duration_s if duration_s > 0 else 0.0
    typical_a = typical_load(current[found.first : stop + 1])
    conditions: dict[str, Scalar] = {
        "first_sample": start,
        "last_sample": stop,
        "duration_s": duration_s,
        "load": load_kind(current[found.first : stop + 1]),
        "load_current_a": scalar(-typical_a),
        "mean_current_a": scalar(-mean_a),
        "c_rate": scalar(mean_a / pack.nominal_ah) if pack.nominal_ah else None,
        "start_voltage_v": scalar(
            float(voltage[found.first if found.before is None else found.before])
        ),
        "end_voltage_v": scalar(float(voltage[stop])),
    }
    degc = unit_temperature(trace)
    seen = degc[window] if degc is not None else np.empty(0)
    seen = seen[np.isfinite(seen)]
    conditions |= {
        "start_temperature_degc": scalar(float(seen[0])) if seen.size else None,
        "mean_temperature_degc": scalar(float(seen.mean())) if seen.size else None,
        "max_temperature_degc": scalar(float(seen.max())) if seen.size else None,
        "ambient_temperature_degc": _ambient(trace, found, window),
    }
    if not seen.size and conditions["ambient_temperature_degc"] is None:
        # What units.toml states stands in for a sensor, never against one.
        conditions["ambient_temperature_degc"] = pack.test_degc
    counter = trace.columns.get("discharge_capacity_ah")
    if counter is not None:
        counted = float(counter[stop] - counter[found.before or start])
        conditions["tester_counter_ah"] = scalar(counted)
    return conditions


def completeness(
    found: Discharge,
    start: int,
    reached: int,
    current: Column,
    voltage: Column,
    cutoff_v: float,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (refusals, qualifiers) of a discharge by its own samples.

    Parameters
    ----------
    found : the discharge
    start : first sample that counts
    reached : sample at which the cut-off was reached, -1 if it was not
    current, voltage : (n,) A, V
    cutoff_v : V
    """
    stop = reached if reached >= 0 else found.last
    refusals: tuple[str, ...] = ()
    qualifiers: tuple[str, ...] = ()
    under_load = voltage[found.first : found.last + 1]
    if not np.isfinite(under_load).any():
        refusals += ("voltage_missing",)
    if not np.isfinite(current[start : stop + 1]).all():
        refusals += ("current_missing",)
    begun = voltage[found.first if found.before is None else found.before]
    if voltage[found.last] > 1.01 * max(begun, voltage[found.first]):
        refusals += ("voltage_rises_in_discharge",)
    if begun <= cutoff_v:
        refusals += ("starts_below_cutoff",)
    if reached < 0:
        cut = found.at_end and found.row is None
        refusals += ("fragment",) if cut else ()
        refusals += ("cutoff_not_reached",)
    elif reached - found.first + 1 < FEW_SAMPLES:
        refusals += ("cutoff_at_load_on",)
    if found.before is None:
        qualifiers += ("start_not_seen",)
    return refusals, qualifiers


def recovers(
    found: Discharge,
    reached: int,
    time: Column,
    current: Column,
    voltage: Column,
    cutoff_v: float,
) -> bool:
    """Say whether a discharge went on well above its cut-off after reaching it.

    A single wild sample does that, and so does a cold cell that dips as the load
    comes on and recovers as it warms. The first sample at the cut-off ends the count
    all the same; this says that it is not the end of the discharge.

    Parameters
    ----------
    found : the discharge
    reached : sample at which the cut-off was first reached
    time, current, voltage : (n,) s, A, V
    cutoff_v : V
    """
    after = slice(reached + 1, found.last + 1)
    typical = typical_load(current[found.first : found.last + 1])
    above = (voltage[after] > RECOVERED * cutoff_v) & (
        current[after] <= -SAME_LOAD * typical
    )
    if not above.any():
        return False
    if load_kind(current[found.first : found.last + 1]) == "constant":
        return True
    steps_s = np.diff(time[reached : found.last + 1])
    given = -float(np.sum(current[after] * steps_s, where=above))
    whole = -np.trapezoid(
        current[found.first : reached + 1], time[found.first : reached + 1]
    )
    return bool(given > GIVEN_AFTER * whole)


def fullness(
    found: Discharge, voltage: Column, top_v: float
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (refusals, qualifiers) on whether a discharge began from full.

    Parameters
    ----------
    found : the discharge
    voltage : (n,) V
    top_v : highest sustained voltage of the unit in V
    """
    begun = float(voltage[found.first if found.before is None else found.before])
    reached_top = any(
        np.nanmax(voltage[a:b], initial=0.0) >= TOP_SHARE * top_v
        for a, b in found.charges
        if b > a
    )
    needed = FULL_AFTER_CHARGE if reached_top else FULL_SHARE
    if begun < needed * top_v:
        partly = found.before is None and not found.charges
        return (("fragment",) if partly else ("not_from_full",)), ()
    return (), (() if found.charges else ("charge_not_seen",))


def charge_end(found: Discharge, current: Column) -> float:
    """Return the current in A at which the charge before ended, NaN if unknown.

    The last current above 0.5 % of the charge's largest: what rests after a charge
    is below that.
    """
    if not found.charges:
        return float("nan")
    begin, end = found.charges[-1]
    part = current[begin:end]
    part = part[np.isfinite(part)]
    if not part.size or part.max() <= 0:
        return float("nan")
    charging = part[part > 0.005 * part.max()]
    return float(charging[-1])


def typical_load(current_a: Column) -> float:
    """Return the median discharge current while loaded, (n,) A, unsigned."""
    load = -current_a[np.isfinite(current_a)]
    if not load.size or load.max() <= 0:
        return float("nan")
    return float(np.median(load[load > 0.1 * load.max()]))


def without_wild(current_a: Column, voltage_v: Column, dip_v: float) -> Column:
    """Return the voltages under a load with single wild samples as NaN.

    Parameters
    ----------
    current_a, voltage_v : (n,) A, V
    dip_v : V by which a wild sample lies below both neighbours, which carry no less
        than SAME_LOAD of the typical load: a pulse is no wild sample
    """
    result = voltage_v.copy()
    if voltage_v.size < FEW_SAMPLES:
        return result
    loaded = current_a <= -SAME_LOAD * typical_load(current_a)
    around = np.minimum(voltage_v[:-2], voltage_v[2:])
    wild = (around - voltage_v[1:-1] > dip_v) & loaded[:-2] & loaded[2:]
    result[1:-1][wild] = np.nan
    return result


def load_kind(current_a: Column) -> str:
    """Return "constant", "pulsed" or "mixed" for the current under load, (n,) A."""
    load = -current_a[np.isfinite(current_a)]
    typical = typical_load(current_a)
    if not np.isfinite(typical):
        return "mixed"
    on = np.abs(load - typical) <= 0.05 * typical
    off = np.abs(load) <= 0.05 * typical
    if on.mean() >= 0.98:
        return "constant"
    switches = int(np.count_nonzero(np.diff(on.astype(np.int8))))
    if (on | off).mean() >= 0.95 and switches >= 6:
        return "pulsed"
    return "mixed"


def scalar(value: float) -> Scalar:
    """Return a float as a condition: None where it is not a number."""
    return value if np.isfinite(value) else None


def _ambient(trace: Trace, found: Discharge, window: slice) -> Scalar:
    if found.row is not None and trace.steps is not None:
        stated = float(trace.steps.column("ambient_temperature_degc")[found.row])
        if np.isfinite(stated):
            return stated
    column = trace.columns.get("ambient_temperature_degc")
    seen = column[window] if column is not None else np.empty(0)
    seen = seen[np.isfinite(seen)]
    return scalar(float(seen.mean())) if seen.size else None
