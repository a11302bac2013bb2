"""Workbooks with one row per sample, read by the names in their header."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from battlife.model import Notice, Severity, Trace
from battlife.readers.choosing import Given
from battlife.readers.columns import is_units_row
from battlife.readers.splitting import split_units, with_units
from battlife.readers.tables import MAX_COLUMNS, Table, unique_names

if TYPE_CHECKING:
    import polars as pl

Cell = float | int | bool | str | date | time | datetime | timedelta | None
Rows = Sequence[Sequence[Cell]]

HEADER_ROWS: Final = 60
"""A header is looked for in this many rows; preambles of workbooks are short."""


def traces(
    sheets: Sequence[tuple[str, Rows]],
    given: Given,
    score: Callable[[Sequence[str]], int],
) -> Sequence[Trace]:
    """Return one trace per unit of the sheets with the best header, () without one.

    Sheets with the same header are one table: testers start a new sheet where one is
    full.

    Parameters
    ----------
    sheets : name and rows
    given : what is known besides
    score : how good a header row is, 0 if it is none
    """
    found = [(name, _header(rows, score), rows) for name, rows in sheets]
    headed = [(n, h, r) for n, h, r in found if h is not None]
    if not headed:
        return ()
    best = max(headed, key=lambda item: item[1][1])
    names, _, first = best[1]
    used = [(n, h, r) for n, h, r in headed if h[0] == names and h[2] == first]
    body = [
        row for _, _, rows in used for row in rows[first:] if any(map(_filled, row))
    ]
    if not body:
        return ()
    taken = {name for name, _, _ in used}
    others = [item for item in found if item[2] and item[0] not in taken]
    notices = []
    if others:
        # Another table of samples, or one as long, is data that is left out.
        data = any(h is not None or len(r) > len(body) / 2 for _, h, r in others)
        listed = ", ".join(name for name, _, _ in others[:20])
        severity = Severity.WARNING if data else Severity.INFO
        notices.append(Notice("sheets_not_used", listed, severity))
    parts = [[r for r in rows[first:] if any(map(_filled, r))] for _, _, rows in used]
    joined = split_units(_table(names, body, tuple(notices)), given)
    if len(parts) == 1:
        return joined
    listed = ", ".join(name for name, _, _ in used[:20])
    if not _apart(joined, [len(part) for part in parts]):
        notice = Notice("sheets_joined", f"one record over several sheets: {listed}")
        return tuple(_noticed(trace, notice) for trace in joined)
    notice = Notice("several_units", f"time restarts on each sheet: {listed}")
    return tuple(
        _noticed(trace, notice)
        for (sheet, _, _), part in zip(used, parts, strict=True)
        if part
        for trace in split_units(
            _table(names, part, tuple(notices)),
            replace(given, unit_id=f"{given.unit_id} {sheet}"),
        )
    )


def _apart(traces: Sequence[Trace], sizes: Sequence[int]) -> bool:
    """Say whether time goes back from one sheet to the next: records of their own."""
    if len(traces) != 1 or traces[0].n_samples != sum(sizes):
        return False
    time_s = traces[0].time_s
    bounds = [b for b in np.cumsum(sizes)[:-1].tolist() if 0 < b < time_s.size]
    return any(time_s[b] < time_s[b - 1] for b in bounds)


def _noticed(trace: Trace, notice: Notice) -> Trace:
    return replace(trace, provenance=trace.provenance.with_notices(notice))


def _header(
    rows: Rows, score_of: Callable[[Sequence[str]], int]
) -> tuple[tuple[str, ...], int, int] | None:
    """Return names, score and index of the first record; None if there is no header."""
    best: tuple[tuple[str, ...], int, int] | None = None
    for index, row in enumerate(rows[:HEADER_ROWS]):
        fields = [c.strip() if isinstance(c, str) else "" for c in row[:MAX_COLUMNS]]
        score = score_of(fields)
        if not score or (best is not None and score <= best[1]):
            continue
        names, first = tuple(fields), index + 1
        below = [str(c) for c in rows[first]] if first < len(rows) else []
        if is_units_row(below):
            names, first = with_units(names, below), first + 1
        best = (names, score, first)
    return best


def _filled(cell: Cell) -> bool:
    return cell is not None and cell != ""


def _table(names: Sequence[str], body: Rows, notices: tuple[Notice, ...]) -> Table:
    import polars as pl

    unique = unique_names(names)
    columns = {}
    for position, name in enumerate(unique):
        cells = [row[position] if position < len(row) else None for row in body]
        columns[name] = _series(name, cells)
    # Rows of several sheets have no common line number: they are counted from 1.
    lines = range(1, len(body) + 1)
    return Table(unique, pl.DataFrame(columns), lines, (), ".", notices)


def _series(name: str, cells: Sequence[Cell]) -> "pl.Series":
    import polars as pl

    kinds = {type(c) for c in cells if _filled(c)}
    if kinds <= {float, int, bool}:
        values = np.array(
            [float(c) if isinstance(c, (float, int)) else np.nan for c in cells]
        )
        return pl.Series(name, values)
    if kinds <= {datetime, date}:
        moments = [_moment(c) for c in cells]
        return pl.Series(name, moments, dtype=pl.Datetime("us"))
    return pl.Series(name, [_text(c) for c in cells], dtype=pl.String)


def _moment(cell: Cell) -> datetime | None:
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=None)
    return datetime(cell.year, cell.month, cell.day) if isinstance(cell, date) else None


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, timedelta):
        seconds = cell.total_seconds()
        whole, rest = divmod(abs(seconds), 60.0)
        sign = "-" if seconds < 0 else ""
        return f"{sign}{int(whole) // 60}:{int(whole) % 60:02d}:{rest:09.6f}"
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
    return str(cell).strip()
