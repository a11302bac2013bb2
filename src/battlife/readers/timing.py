"""The time of a table: which column, in which unit, and where segments start."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Severity
from battlife.readers import clocks, proofs
from battlife.readers.choosing import COUNTERS, Choice
from battlife.readers.columns import conversion
from battlife.readers.damage import unreadable_lines
from battlife.readers.tables import Table
from battlife.readers.vocabulary import CLOCK_UNIT

LOST_SHARE = 0.05
"""Share of records without a readable time beyond which the rest is no record of the
test: one damaged line is an accident, one in twenty is another way of writing."""
BACK_SHARE = 0.25
"""Share of records at which time goes back beyond which they are in no order."""
MIN_LOST = 5


def find_time(
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
            values, unit = clock_values(table, choice)
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
            found_lost = unreadable_lines(lost, "have no readable time")
            if len(lost) >= MIN_LOST and len(lost) > LOST_SHARE * good.size:
                found_lost = replace(found_lost, severity=Severity.SUSPECT)
            notices.append(found_lost)
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


def clock_values(table: Table, choice: Choice) -> tuple[Column, str]:
    """Return the values of a time column and their unit, "" if none is stated.

    Returns
    -------
    (n,) NaN where it cannot be read; unit
    """
    import polars as pl

    series = table.series(choice.name)
    if series.dtype == pl.String and clocks.looks_like_duration(series):
        return clocks.durations_s(series), CLOCK_UNIT
    values, _ = table.numbers(choice.name)
    unit = choice.unit
    return np.where(np.isfinite(values), values, np.nan), "" if (
        unit == CLOCK_UNIT
    ) else unit


def wall_clock(
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


def in_seconds(
    values: Column,
    unit: str,
    name: str,
    wall: tuple[Column, bool] | None,
    columns: dict[str, Column],
    notices: list[Notice],
) -> Column:
    """Return time in s, by the unit stated or one that the data prove.

    Parameters
    ----------
    values : (n,) in `unit`, "" where none is stated
    name : of the column
    wall : (n,) s of the wall clock and whether it is UTC
    columns : current and counters, for a proof

    Raises
    ------
    InputError
        No unit is stated and none can be proved.
    """
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


def table_segments(
    table: Table, time_s: Column, restart_column: str, notices: list[Notice]
) -> list[int]:
    """Return the first row of each segment: where time goes back.

    Parameters
    ----------
    time_s : (n,) s
    restart_column : a segment starts where it changes, "" for none
    """
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
        unordered = len(backward) > max(BACK_SHARE * time_s.size, MIN_LOST)
        notices.append(
            Notice(
                "time_goes_back",
                f"time goes back {len(backward)} times, first in line "
                f"{table.lines[row]}: {time_s[row - 1]:g} s, then {time_s[row]:g} s; "
                "each starts a segment"
                + (": the records are in no order" if unordered else ""),
                Severity.SUSPECT if unordered else Severity.WARNING,
            )
        )
    return sorted({0, *starts})


def start_of(
    time_s: Column, wall: tuple[Column, bool] | None, header: dict[str, str]
) -> datetime | None:
    """Return the moment of time zero, None where the zone is not known.

    A stamp without a zone goes into `header` as ``start_time``.
    """
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
