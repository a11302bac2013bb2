"""What is done to the columns of a table once their units are known."""

import numpy as np

from battlife.model import Column, Notice, Severity, Spectrum
from battlife.quantities import QUANTITIES
from battlife.readers import signs
from battlife.readers.choosing import Choice
from battlife.readers.columns import plain
from battlife.readers.vocabulary import DIMENSIONS

SPECTRUM = ("frequency_hz", "z_re_ohm", "z_im_ohm", "minus_z_im_ohm")
"""Columns that go into spectra and not into the samples."""


def apply_sign(
    rule: str,
    columns: dict[str, Column],
    states: Column | None,
    notices: list[Notice],
) -> None:
    """Make counters count upwards and charging current positive, in place.

    Parameters
    ----------
    rule : one of :data:`battlife.readers.signs.RULES`
    columns : columns in base units
    states : (n,) 1 charge, -1 discharge, 0 other; None if the file has none
    notices : what was turned is added here
    """
    for name in ("charge_capacity_ah", "discharge_capacity_ah"):
        _unsign(name, columns, notices)
    for name in ("charge_energy_wh", "discharge_energy_wh"):
        _unsign(name, columns, notices)
    if "current_a" not in columns:
        return
    factor, found = signs.factors(rule, columns, states)
    notices += found
    for name in ("current_a", "power_w"):
        if name in columns:
            # + 0.0 makes a negated zero positive again.
            columns[name] = columns[name] * factor + 0.0


def _unsign(name: str, columns: dict[str, Column], notices: list[Notice]) -> None:
    values = columns.get(name)
    if values is None or not (values < 0).any():
        return
    if not (values > 0).any():
        columns[name] = -values + 0.0
        notices.append(
            Notice("counter_turned", f"{name} is negative in the file", Severity.INFO)
        )


def tidy(columns: dict[str, Column], notices: list[Notice]) -> None:
    """Leave out what is no measurement, in place."""
    step = columns.get("step_capacity_ah")
    if step is not None and (step < 0).any():
        del columns["step_capacity_ah"]
        columns.setdefault("net_capacity_ah", step)
    energy = columns.get("step_energy_wh")
    if energy is not None and (energy < 0).any():
        columns["step_energy_wh"] = np.abs(energy)
        notices.append(
            Notice(
                "counter_turned", "step_energy_wh is signed in the file", Severity.INFO
            )
        )
    for name in [n for n in columns if DIMENSIONS.get(n) == "temperature"]:
        if columns[name].size > 1 and not (columns[name] != 0).any():
            del columns[name]
            notices.append(
                Notice(
                    "not_connected", f"{name} is 0 throughout: left out as no sensor"
                )
            )
    for name in ("cycle_index", "step_index", "step_count"):
        values = columns.get(name)
        if values is None:
            continue
        finite = values[np.isfinite(values)]
        if finite.size and (np.abs(finite - np.rint(finite)) > 1e-6).any():
            del columns[name]
            wrong = float(finite[np.abs(finite - np.rint(finite)) > 1e-6][0])
            notices.append(
                Notice(
                    "count_not_whole",
                    f"{name} is {wrong:g}: a count is a whole number; left out",
                )
            )


def voltage_doubts(voltage: Column | None, choice: Choice | None) -> list[Notice]:
    """Return a notice where the voltage is none or that of no cell or pack.

    Parameters
    ----------
    voltage : (n,) V
    choice : the column it came from
    """
    if voltage is None or choice is None:
        return []
    finite = np.abs(voltage[np.isfinite(voltage)])
    if not finite.size:
        return [Notice("no_voltage", f"{choice.name}: no value can be read")]
    middle = float(np.median(finite))
    unit_is_name = plain(choice.name) in ("volts", "volt")
    if middle > QUANTITIES["voltage_v"].high or (middle > 100.0 and unit_is_name):
        return [
            Notice(
                "implausible_voltage",
                f"{choice.name}: the median is {middle:g} V; if the file gives mV, "
                "say so in a mapping",
                Severity.SUSPECT,
            )
        ]
    if middle > 100.0:
        return [
            Notice(
                "high_voltage",
                f"{choice.name}: the median is {middle:g} V: a pack, or not in V",
            )
        ]
    return []


def spectra_of(time_s: Column, columns: dict[str, Column]) -> tuple[Spectrum, ...]:
    """Return one spectrum per run of records that have a frequency."""
    frequency, re = columns.get("frequency_hz"), columns.get("z_re_ohm")
    im = columns.get("z_im_ohm")
    if im is None and "minus_z_im_ohm" in columns:
        im = -columns["minus_z_im_ohm"]
    if frequency is None or re is None or im is None:
        return ()
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero((frequency > 0) & np.isfinite(re) & np.isfinite(im))
    if rows.size < 2:
        return ()
    with np.errstate(divide="ignore"):
        jump = np.abs(np.diff(np.log10(frequency[rows]))) > 2.0
    cycle = columns.get("cycle_index")
    if cycle is not None:
        jump |= np.diff(cycle[rows]) != 0
    jump |= np.diff(rows) > 1
    result = []
    for run in np.split(rows, np.flatnonzero(jump) + 1):
        first = run[0]
        result.append(
            Spectrum(
                frequency[run],
                re[run],
                im[run],
                float(time_s[first]),
                _at(columns.get("voltage_v"), first),
                _at(columns.get("temperature_degc"), first),
            )
        )
    return tuple(result)


def _at(column: Column | None, row: int) -> float:
    return float("nan") if column is None else float(column[row])
