"""From a table of text and the meaning of its columns to a Trace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Provenance, Severity, Spectrum, Trace
from battlife.quantities import QUANTITIES
from battlife.readers import clocks, proofs, signs
from battlife.readers.columns import (
    CLOCK_UNIT,
    DIMENSIONS,
    conversion,
    meaning,
    plain,
)
from battlife.readers.tables import Table, unreadable_lines

COUNTERS = (
    "charge_capacity_ah",
    "discharge_capacity_ah",
    "step_capacity_ah",
    "net_capacity_ah",
)
SPECTRUM = ("frequency_hz", "z_re_ohm", "z_im_ohm", "minus_z_im_ohm")


@dataclass(frozen=True)
class Given:
    """What is known of a file besides its table.

    Attributes
    ----------
    unit_id : identity of the unit under test
    columns : column name to (quantity, unit); unit "" if only the header states it
    only_these : True if no other column is to be read
    sign : one of :data:`battlife.readers.signs.RULES`
    restart_column : a segment starts where this column changes, "" for none
    header : facts of the preamble
    """

    unit_id: str
    columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    only_these: bool = False
    sign: str = "auto"
    restart_column: str = ""
    header: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """The column chosen for a quantity, and the unit stated for it."""

    name: str
    unit: str


def choose(table: Table, given: Given) -> dict[str, Choice]:
    """Return the column chosen for each quantity the table holds."""
    chosen: dict[str, tuple[int, Choice]] = {}
    for position, name in enumerate(table.names):
        told = given.columns.get(name)
        if told is not None:
            known = meaning(name)
            unit = told[1] or (known.unit if known is not None else "")
            chosen[told[0]] = (-1, Choice(name, unit))
            continue
        known = None if given.only_these else meaning(name)
        if known is None or position >= len(table.names):
            continue
        if known.quantity not in chosen or known.rank < chosen[known.quantity][0]:
            chosen[known.quantity] = (known.rank, Choice(name, known.unit))
    return {quantity: choice for quantity, (_, choice) in chosen.items()}


def assemble(table: Table, given: Given) -> Trace:
    """Return the trace of one unit.

    Raises
    ------
    InputError
        There is no time, or its unit or that of the voltage is neither stated nor
        provable.
    """
    choices = choose(table, given)
    notices = list(table.notices)
    table, raw_time, time_unit, time_name = _time(table, choices, notices)
    wall = _wall(table, choices, time_name)
    columns: dict[str, Column] = {}
    unknown: dict[str, tuple[Column, str]] = {}
    for quantity, choice in choices.items():
        if DIMENSIONS[quantity] == "text" or choice.name == time_name:
            continue
        values = _values(table, choice, quantity, notices)
        scale = conversion(quantity, choice.unit)
        if scale is None and DIMENSIONS[quantity] == "temperature":
            scale = (1.0, 0.0)
            notices.append(
                Notice(
                    "unit_assumed",
                    f"{choice.name}: no readable unit; taken as degC, the only one "
                    "testers write",
                )
            )
        if scale is None:
            unknown[quantity] = (values, choice.name)
        else:
            columns[quantity] = values * scale[0] + scale[1]
    if "voltage_v" in unknown:
        columns["voltage_v"] = _proved_voltage(*unknown.pop("voltage_v"), notices)
    known_counters = {n: columns[n] for n in COUNTERS if n in columns}
    time_s = _seconds(raw_time, time_unit, time_name, wall, columns, notices)
    _prove_unknown(time_s, columns, unknown, known_counters, notices)
    states = None
    if "state" in choices:
        states = signs.state_directions(table.texts(choices["state"].name))
    _apply_sign(given.sign, columns, states, notices)
    _tidy(columns, notices)
    notices += proofs.time_contradictions(
        time_s,
        None if wall is None else wall[0],
        columns.get("step_time_s"),
    )
    notices += _voltage_doubts(columns.get("voltage_v"), choices.get("voltage_v"))
    segments = _segments(table, time_s, given.restart_column, notices)
    header = dict(given.header)
    start = _start(time_s, wall, header)
    used = {c.name for c in choices.values()}
    extra = [n for n in table.names if n not in used and not n.startswith("column ")]
    if extra:
        listed = ", ".join(extra[:40]) + (", ..." if len(extra) > 40 else "")
        notices.append(Notice("columns_not_used", listed, Severity.INFO))
    spectra = _spectra(time_s, columns)
    for name in SPECTRUM:
        columns.pop(name, None)
    return Trace(
        unit_id=given.unit_id,
        start_utc=start,
        time_s=time_s,
        segment_start=np.array(segments, dtype=np.int64),
        columns=columns,
        steps=None,
        spectra=spectra,
        provenance=Provenance(header=header, notices=tuple(notices)),
    )


def _time(
    table: Table, choices: dict[str, Choice], notices: list[Notice]
) -> tuple[Table, Column, str, str]:
    """Return the table without rows that have no time; time, its unit and name."""
    import polars as pl

    for quantity in ("time_s", "unix_time_s", "date_time", "step_time_s"):
        choice = choices.get(quantity)
        if choice is None:
            continue
        if quantity == "date_time":
            found = clocks.stamps_s(table.series(choice.name))
            if found is None:
                continue
            values, unit = found[0] - found[0][np.isfinite(found[0])][0], "s"
        else:
            values, unit = _clock_values(table, choice)
        if quantity == "unix_time_s":
            values = values - values[np.isfinite(values)][:1].sum()
        good = np.isfinite(values)
        if not good.any() or good.sum() < 0.5 * good.size:
            if quantity == "time_s" and len(choices.keys() & {"unix_time_s"}):
                continue
            raise InputError(
                f"column {choice.name!r} is not a time: {int((~good).sum())} of "
                f"{good.size} records cannot be read",
                "name the time column in a mapping: --mapping FILE.toml",
            )
        if not good.all():
            lost = np.asarray(table.lines)[~good].tolist()
            notices.append(unreadable_lines(lost, "have no readable time"))
            table, values = table.rows(pl.Series(good)), values[good]
        if quantity == "step_time_s":
            notices.append(
                Notice(
                    "only_step_time",
                    "the file has no time of the whole test: each step is a segment",
                )
            )
        if quantity == "date_time":
            notices.append(
                Notice(
                    "time_from_wall_clock",
                    f"no test time is known here: taken from {choice.name}, which "
                    "steps where a clock is set",
                )
            )
        return table, values, unit, choice.name
    raise InputError(
        "no time column is known here",
        "name it in a mapping: --mapping FILE.toml",
    )


def _clock_values(table: Table, choice: Choice) -> tuple[Column, str]:
    import polars as pl

    series = table.series(choice.name)
    if series.dtype == pl.String and clocks.looks_like_duration(series):
        return clocks.durations_s(series), CLOCK_UNIT
    values, _ = table.numbers(choice.name)
    unit = choice.unit
    return np.where(np.isfinite(values), values, np.nan), "" if (
        unit == CLOCK_UNIT
    ) else unit


def _wall(
    table: Table, choices: dict[str, Choice], time_name: str
) -> tuple[Column, bool] | None:
    """Return wall-clock seconds, and whether they are UTC."""
    unix = choices.get("unix_time_s")
    if unix is not None:
        values, _ = table.numbers(unix.name)
        scale = conversion("unix_time_s", unix.unit or "s")
        return values * (scale[0] if scale else 1.0), True
    stamp = choices.get("date_time")
    if stamp is None:
        return None
    return clocks.stamps_s(table.series(stamp.name))


def _values(
    table: Table, choice: Choice, quantity: str, notices: list[Notice]
) -> Column:
    if DIMENSIONS[quantity] == "time":
        return _clock_values(table, choice)[0]
    values, bad = table.numbers(choice.name)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        values = np.where(np.isinf(values), np.nan, values)
        bad = sorted({*bad, *infinite.tolist()})
    if bad:
        first = table.lines[bad[0]]
        notices.append(
            Notice(
                "unreadable_values",
                f"{choice.name}: {len(bad)} values are not numbers and count as "
                f"missing; the first is in line {first}",
            )
        )
    return values


def _proved_voltage(values: Column, name: str, notices: list[Notice]) -> Column:
    factor = proofs.voltage_factor(values)
    if factor is None:
        raise InputError(
            f"column {name!r} has no unit, and its values do not show one",
            f'state it in a mapping: source = "{name}", quantity = "voltage_v", '
            'unit = "V"',
        )
    notices.append(
        Notice(
            "unit_proved",
            f"{name}: no unit in the file; as mV or kV its values could be no cell's, "
            "so it is V",
        )
    )
    return values * factor


def _seconds(
    values: Column,
    unit: str,
    name: str,
    wall: tuple[Column, bool] | None,
    columns: dict[str, Column],
    notices: list[Notice],
) -> Column:
    scale = conversion("time_s", unit)
    if scale is not None:
        return values * scale[0]
    proof = proofs.time_factor(
        values,
        None if wall is None else wall[0],
        columns.get("current_a"),
        {n: columns[n] for n in COUNTERS if n in columns},
    )
    if proof is None:
        raise InputError(
            f"column {name!r} has no unit, and nothing in the file proves one",
            f'state it in a mapping: source = "{name}", quantity = "time_s", '
            'unit = "s"',
        )
    notices.append(
        Notice(
            "unit_proved",
            f"{name}: no unit in the file; {proof[1]} proves {proof[0]:g} s per unit",
        )
    )
    return values * proof[0]


def _prove_unknown(
    time_s: Column,
    columns: dict[str, Column],
    unknown: dict[str, tuple[Column, str]],
    counters: dict[str, Column],
    notices: list[Notice],
) -> None:
    """Move columns whose unit the data prove into `columns`; report the others."""
    if "step_time_s" in unknown:
        values, name = unknown.pop("step_time_s")
        dt, ds = np.diff(time_s), np.diff(values)
        with np.errstate(invalid="ignore"):
            both = (dt > 0) & (ds > 0)
        rate = float(np.median(dt[both] / ds[both])) if both.any() else 1.0
        if both.any():
            columns["step_time_s"] = values * float(f"{rate:.3g}")
    if "current_a" in unknown:
        values, name = unknown["current_a"]
        proof = proofs.current_factor(
            time_s, values, columns.get("voltage_v"), columns.get("power_w"), counters
        )
        if proof is not None:
            del unknown["current_a"]
            columns["current_a"] = values * proof[0]
            notices.append(
                Notice(
                    "unit_proved",
                    f"{name}: no unit in the file; {proof[1]} proves {proof[0]:g} A "
                    "per unit",
                )
            )
    current = columns.get("current_a")
    for quantity in COUNTERS:
        if quantity in unknown and current is not None:
            values, name = unknown[quantity]
            factor = proofs.counter_factor(time_s, current, values)
            if factor is not None:
                del unknown[quantity]
                columns[quantity] = values * factor
                notices.append(
                    Notice(
                        "unit_proved",
                        f"{name}: no unit in the file; the integrated current proves "
                        f"{factor:g} Ah per unit",
                    )
                )
    if unknown:
        names = ", ".join(name for _, name in unknown.values())
        notices.append(
            Notice(
                "unit_unknown",
                f"no unit in the file for {names}: left out; state the units in a "
                "mapping (--mapping FILE.toml)",
                Severity.SUSPECT if "current_a" in unknown else Severity.WARNING,
            )
        )


def _apply_sign(
    rule: str,
    columns: dict[str, Column],
    states: Column | None,
    notices: list[Notice],
) -> None:
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


def _tidy(columns: dict[str, Column], notices: list[Notice]) -> None:
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


def _voltage_doubts(voltage: Column | None, choice: Choice | None) -> list[Notice]:
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


def _segments(
    table: Table, time_s: Column, restart_column: str, notices: list[Notice]
) -> list[int]:
    starts = set((np.flatnonzero(np.diff(time_s) < 0) + 1).tolist())
    if restart_column:
        texts = table.texts(restart_column)
        changes = (texts != texts.shift(1)).fill_null(False).arg_true().to_list()
        backward = starts - set(changes)
        starts |= set(changes)
    else:
        backward = starts
    if backward:
        row = min(backward)
        notices.append(
            Notice(
                "time_goes_back",
                f"time goes back {len(backward)} times, first in line "
                f"{table.lines[row]}: {time_s[row - 1]:g} s, then {time_s[row]:g} s; "
                "each starts a segment",
            )
        )
    return sorted({0, *starts})


def _start(
    time_s: Column, wall: tuple[Column, bool] | None, header: dict[str, str]
) -> datetime | None:
    if wall is None or not time_s.size or not np.isfinite(wall[0][0]):
        return None
    epoch_s = float(wall[0][0] - time_s[0])
    if not clocks.EPOCH_RANGE_S[0] < epoch_s < clocks.EPOCH_RANGE_S[1]:
        return None
    if wall[1]:
        return datetime.fromtimestamp(epoch_s, UTC)
    # Without a zone the moment is known to a day only: a fact, not a start_utc.
    header.setdefault("start_time", clocks.iso(epoch_s))
    return None


def _spectra(time_s: Column, columns: dict[str, Column]) -> tuple[Spectrum, ...]:
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
