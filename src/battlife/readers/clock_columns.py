"""Time columns that are not what their header says: stamps, time of day, step time."""

from dataclasses import replace

import numpy as np

from battlife.model import Column, Notice, Severity
from battlife.readers import clocks
from battlife.readers.choosing import Choice
from battlife.readers.columns import conversion, plain
from battlife.readers.tables import Table
from battlife.readers.timing import clock_values

DAY_S = 86400.0
WALL_RESOLUTION_S = 2.0
"""Stamps are often whole seconds; two of them are apart by up to this much more."""
_STEP_NAMES = ("time", "record time", "时间")
"""Headers that some testers give to the time of the step."""


def settle_clocks(
    table: Table, choices: dict[str, Choice], notices: list[Notice]
) -> Table:
    """Give each time column the meaning its values show; change `choices` in place.

    - Wall-clock stamps under a header of a test time (EC-Lab's ``time/s`` with
      absolute dates) become the wall clock.
    - A date beside a time of day becomes one wall clock.
    - A ``Time`` that restarts within a file whose stamps run on is the time of a
      step: the steps are laid one after another at their stamps.

    Returns
    -------
    the table, with a column added where two were joined
    """
    if "time_s" not in choices:
        return table
    if _are_stamps(table, choices["time_s"]):
        choices["date_time"] = choices.pop("time_s")
        return table
    if "date_time" not in choices:
        return table
    joined = _date_and_time(table, choices)
    if joined is not None:
        return joined
    return _steps_laid(table, choices, notices)


def _are_stamps(table: Table, choice: Choice) -> bool:
    import polars as pl

    series = table.series(choice.name)
    if series.dtype in (pl.Datetime, pl.Date):
        return True
    if series.dtype != pl.String or clocks.looks_like_duration(series):
        return False
    values, _ = table.numbers(choice.name)
    if np.isfinite(values).sum() >= 0.5 * values.size:
        return False
    found = clocks.stamps_s(series)
    return found is not None and bool(np.isfinite(found[0]).mean() >= 0.5)


def _date_and_time(table: Table, choices: dict[str, Choice]) -> Table | None:
    """Return the table with one column of stamps, None if there are no two to join."""
    import polars as pl

    date, time = choices["date_time"], choices["time_s"]
    series = table.series(time.name)
    if series.dtype != pl.String or not clocks.looks_like_duration(series):
        return None
    days = clocks.dates_s(table.texts(date.name))
    if days is None:
        return None
    of_day = clocks.durations_s(series)
    good = np.isfinite(days) & np.isfinite(of_day)
    if good.sum() < 2 or float(of_day[good].max()) >= DAY_S:
        return None
    # A time of day falls where the date advances and nowhere else; an elapsed time
    # runs on.
    new_day = np.diff(days[good]) > 0
    if not np.array_equal(new_day, np.diff(of_day[good]) < 0):
        return None
    name = f"{date.name} {time.name}"
    stamps = pl.Series(name, (days + of_day) * 1e6).cast(pl.Int64, strict=False)
    frame = table.frame.with_columns(stamps.cast(pl.Datetime("us")).alias(name))
    del choices["time_s"]
    choices["date_time"] = Choice(name, "")
    return replace(table, names=(*table.names, name), frame=frame)


def _steps_laid(
    table: Table, choices: dict[str, Choice], notices: list[Notice]
) -> Table:
    import polars as pl

    time, date = choices["time_s"], choices["date_time"]
    if plain(time.name.split("(")[0]) not in _STEP_NAMES:
        return table
    values, unit = clock_values(table, time)
    scale = conversion("time_s", unit)
    stamps = clocks.stamps_s(table.series(date.name))
    if scale is None or stamps is None:
        return table
    step_s, wall_s = values * scale[0], stamps[0]
    if not (np.isfinite(step_s).all() and np.isfinite(wall_s).all()):
        return table
    starts = np.flatnonzero(np.diff(step_s) < 0) + 1
    if not starts.size or (np.diff(wall_s) < 0).any():
        return table
    time_s, apart = _laid(step_s, wall_s, starts)
    choices.setdefault("step_time_s", Choice(time.name, time.unit))
    name = f"{time.name} since the start"
    del choices["time_s"]
    choices["time_s"] = Choice(name, "s")
    notices.append(
        Notice(
            "time_from_steps",
            f"{time.name} restarts {starts.size} times while {date.name} runs on: it "
            "is the time of the step; each step is placed by its first stamp"
            + (f", up to {apart:.0f} s beside later ones" if apart > 0 else ""),
            Severity.WARNING,
        )
    )
    frame = table.frame.with_columns(pl.Series(name, time_s))
    return replace(table, names=(*table.names, name), frame=frame)


def _laid(
    step_s: Column, wall_s: Column, starts: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[Column, float]:
    """Return time since the first record, and how far stamps are from it at most.

    A step begins at its first stamp, or where the one before ended if that is later
    by no more than stamps resolve.
    """
    time_s = np.empty_like(step_s)
    bounds = [0, *starts.tolist(), step_s.size]
    end = 0.0
    for a, b in zip(bounds[:-1], bounds[1:], strict=True):
        begin = float(wall_s[a] - wall_s[0])
        if end > begin and end - begin <= WALL_RESOLUTION_S:
            begin = end
        time_s[a:b] = begin + step_s[a:b] - step_s[a]
        end = float(time_s[b - 1])
    apart = float(np.abs(time_s - (wall_s - wall_s[0])).max())
    return time_s, apart if apart > WALL_RESOLUTION_S else 0.0
