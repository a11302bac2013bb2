"""From a table of text and the meaning of its columns to a Trace."""

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Provenance, Severity, Trace
from battlife.readers import proofs, signs
from battlife.readers.choosing import COUNTERS, Choice, Given, choose
from battlife.readers.clock_columns import settle_clocks
from battlife.readers.columns import conversion
from battlife.readers.tables import Table
from battlife.readers.tidying import (
    SPECTRUM,
    apply_sign,
    spectra_of,
    tidy,
    voltage_doubts,
)
from battlife.readers.timing import (
    clock_values,
    find_time,
    in_seconds,
    start_of,
    table_segments,
    wall_clock,
)
from battlife.readers.vocabulary import DIMENSIONS

UNREADABLE_SHARE = 0.01
"""Share of voltages or currents that are written but not read beyond which they are
written in another way, and what is read is a selection."""
MIN_UNREADABLE = 3


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
    table = settle_clocks(table, choices, notices)
    table, raw_time, time_unit, time_name = find_time(table, choices, notices)
    wall = wall_clock(table, choices, time_name)
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
    time_s = in_seconds(raw_time, time_unit, time_name, wall, columns, notices)
    _prove_unknown(time_s, columns, unknown, known_counters, notices)
    states = None
    if "state" in choices:
        states = signs.state_directions(table.texts(choices["state"].name))
    apply_sign(given.sign, columns, states, notices)
    tidy(columns, notices)
    notices += proofs.time_contradictions(
        time_s,
        None if wall is None else wall[0],
        columns.get("step_time_s"),
    )
    notices += voltage_doubts(columns.get("voltage_v"), choices.get("voltage_v"))
    if "current_a" not in columns and "current_a" not in choices:
        notices.append(
            Notice(
                "no_current",
                "no column of current is known here: no charge can be counted",
            )
        )
    segments = table_segments(table, time_s, given.restart_column, notices)
    header = dict(given.header)
    start = start_of(time_s, wall, header)
    used = {c.name for c in choices.values()}
    extra = [n for n in table.names if n not in used and not n.startswith("column ")]
    again = [n for n in extra if _repeats(n, used)]
    if again:
        notices.append(
            Notice(
                "repeated_names",
                f"{', '.join(again[:10])}: the header gives these names more than "
                "once; the first column of each is read",
            )
        )
    if extra:
        listed = ", ".join(extra[:40]) + (", ..." if len(extra) > 40 else "")
        notices.append(Notice("columns_not_used", listed, Severity.INFO))
    spectra = spectra_of(time_s, columns)
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


def _repeats(name: str, used: set[str]) -> bool:
    """Say whether a name is a repeat of one that is used, as ``unique_names`` marks."""
    base, _, number = name.rpartition(".")
    return number.isdigit() and base in used


def _values(
    table: Table, choice: Choice, quantity: str, notices: list[Notice]
) -> Column:
    if DIMENSIONS[quantity] == "time":
        return clock_values(table, choice)[0]
    values, bad = table.numbers(choice.name)
    unreadable = len(bad)
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
                Severity.SUSPECT
                if quantity in ("voltage_v", "current_a")
                and unreadable > max(UNREADABLE_SHARE * values.size, MIN_UNREADABLE)
                else Severity.WARNING,
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
