"""Delimited text as a table: delimiter, header row, ragged lines.

Nothing is dropped without a word: every line left out is counted in a notice with
its line number.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice
from battlife.readers.damage import cut_end, fieldless, nameless, unreadable_lines
from battlife.readers.numerals import MISSING, spelled

if TYPE_CHECKING:
    import polars as pl

MAX_COLUMNS: Final = 4096
MAX_LINE: Final = 1 << 18
"""Longest line of a table: more than 60 characters for each of the most columns."""
MAX_HEADER_LINE: Final = 5000
"""A header row is looked for in this many lines; real preambles have up to 400."""
HABIT_SHARE: Final = 0.05
HABIT_LINES: Final = 5
"""A second line width that this share of the lines, and this many, have is how the
writer writes; a rarer one is damage."""
DELIMITERS: Final = ("\t", ";", ",")

_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*")
_DECIMAL_POINT = re.compile(r"\s*[-+]?\d+\.\d+([eE][-+]?\d+)?\s*")


@dataclass(frozen=True)
class Layout:
    """Where the table lies in a text.

    Attributes
    ----------
    delimiter : one character
    decimal : "." or ","
    header_line : index of the header line, -1 if the table has none
    names : stripped column names in file order
    """

    delimiter: str
    decimal: str
    header_line: int
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Table:
    """Columns as text or numbers, with what was found on the way.

    Attributes
    ----------
    names : column names in file order; a repeated name gets ``.2``, ``.3``
    frame : polars frame whose columns are these names
    lines : (n,) 1-based line of each row in the file
    preamble : lines before the header
    decimal : "." or ","
    notices : what was left out
    """

    names: tuple[str, ...]
    frame: "pl.DataFrame"
    lines: Sequence[int]
    preamble: tuple[str, ...]
    decimal: str
    notices: tuple[Notice, ...]

    def __len__(self) -> int:
        return int(self.frame.height)

    def series(self, name: str) -> "pl.Series":
        """Return a column as it stands in the file."""
        return self.frame.get_column(name)

    def texts(self, name: str) -> "pl.Series":
        """Return a column as stripped text, missing as ""."""
        import polars as pl

        return self.series(name).cast(pl.String).fill_null("").str.strip_chars()

    def numbers(self, name: str) -> tuple[Column, list[int]]:
        """Return a column as numbers and the rows whose text is not a number.

        Returns
        -------
        (n,) float64, NaN where missing or unreadable; row indices of the unreadable
        """
        import polars as pl

        series = self.series(name)
        if series.dtype.is_numeric() or series.dtype == pl.Boolean:
            return series.cast(pl.Float64).fill_null(float("nan")).to_numpy(), []
        text = self.texts(name)
        values, text = spelled(text, self.decimal)
        bad: list[int] = []
        if values.null_count():
            wrong = values.is_null() & ~text.str.to_lowercase().is_in(list(MISSING))
            bad = wrong.arg_true().to_list()
        return values.fill_null(float("nan")).to_numpy(), bad

    def rows(self, keep: "pl.Series") -> "Table":
        """Return the table with only the rows where `keep` is true."""
        chosen = keep.to_numpy()
        lines = np.asarray(self.lines)[chosen].tolist()
        return Table(
            self.names,
            self.frame.filter(keep),
            lines,
            self.preamble,
            self.decimal,
            self.notices,
        )


def split_fields(line: str, delimiter: str) -> list[str]:
    """Return the fields of one line, quotes removed, blanks stripped."""
    line = unquoted(line, delimiter)
    if '"' in line and line.count('"') % 2 == 0:
        try:
            rows = list(csv.reader([line], delimiter=delimiter))
        except csv.Error:  # a field beyond the csv module's own bound
            return [field.strip() for field in line.split(delimiter)]
        return [field.strip() for field in rows[0]] if rows else []
    return [field.strip() for field in line.split(delimiter)]


def unquoted(line: str, delimiter: str) -> str:
    """Return a line without the quotes that enclose it as a whole."""
    bare = line.strip()
    if (
        len(bare) > 1
        and bare[0] == bare[-1] == '"'
        and delimiter in bare
        and '"' not in bare[1:-1]
    ):
        return bare[1:-1]
    return line


def _without_quotes(line: str, delimiter: str) -> str:
    if '"' not in line:
        return line
    line = unquoted(line, delimiter)
    if '"' not in line:
        return line
    fields = split_fields(line, delimiter)
    return delimiter.join(f.replace(delimiter, " ") for f in fields)


def find_header(
    lines: Sequence[str],
    score: Callable[[Sequence[str]], int],
    delimiter: str = "",
) -> Layout | None:
    """Return the layout whose header line scores best, None if none scores.

    Parameters
    ----------
    lines : the text
    score : how many of these fields are known column names; 0 if not a header
    delimiter : the only one tried; "" for any
    """
    best: tuple[int, int, str, list[str]] | None = None
    for index, line in enumerate(lines[:MAX_HEADER_LINE]):
        for mark in (delimiter,) if delimiter else DELIMITERS:
            if mark not in line or len(line) > MAX_LINE:
                continue
            fields = [f.lstrip("~#").strip() for f in split_fields(line, mark)]
            points = score(fields)
            if points and (best is None or points > best[0]):
                best = (points, index, mark, fields)
        if best is not None and index > best[1] + 3:
            break
    if best is None:
        return None
    _, index, mark, fields = best
    if len(fields) > MAX_COLUMNS:
        raise InputError(f"{len(fields)} columns, the limit is {MAX_COLUMNS}")
    return Layout(
        mark, find_decimal(lines[index + 1 :], mark), index, tuple(_trim(fields))
    )


def find_decimal(lines: Sequence[str], delimiter: str) -> str:
    """Return the decimal mark that the first 200 lines use."""
    if delimiter == ",":
        return "."
    commas = points = 0
    for line in lines[:200]:
        for field in line.split(delimiter):
            commas += _DECIMAL_COMMA.fullmatch(field) is not None
            points += _DECIMAL_POINT.fullmatch(field) is not None
    return "," if commas > points else "."


def parse_table(
    lines: Sequence[str],
    layout: Layout,
    first_line: int,
) -> Table:
    """Return the records below a header as a table.

    Parameters
    ----------
    lines : the whole text
    layout : where the table lies
    first_line : index of the first record

    Raises
    ------
    InputError
        There is no record, or most lines are not records of one width.
    """
    mark = layout.delimiter
    body = [
        (number, line)
        for number, line in enumerate(lines[first_line:], first_line + 1)
        if line.strip(" \t,;\x00\x1a")
    ]
    endless = [number for number, line in body if len(line) > MAX_LINE]
    if endless:
        body = [(number, line) for number, line in body if len(line) <= MAX_LINE]
    if not body:
        raise InputError("there is a header but no record", "was the export cut short?")
    if any('"' in line for _, line in body):
        body = [(number, _without_quotes(line, mark)) for number, line in body]
    chosen, width, notices = _records(body, mark, len(layout.names))
    if endless:
        notices.append(unreadable_lines(endless, f"are longer than {MAX_LINE}"))
    if width > MAX_COLUMNS:
        raise InputError(f"{width} columns, the limit is {MAX_COLUMNS}")
    notices += cut_end(lines)
    names = unique_names([*layout.names, *[""] * (width - len(layout.names))][:width])
    frame = _frame([line for _, line in chosen], mark, names)
    if layout.header_line >= 0:
        notices += nameless(frame, len(layout.names))
        notices += fieldless(layout.names, width)
    return Table(
        names,
        frame,
        [number for number, _ in chosen],
        tuple(lines[: max(layout.header_line, 0)]),
        layout.decimal,
        tuple(notices),
    )


def _records(
    body: list[tuple[int, str]], mark: str, n_names: int
) -> tuple[list[tuple[int, str]], int, list[Notice]]:
    """Return the lines of the common width, that width, and what was left out."""
    widths = [line.count(mark) for _, line in body]
    counts = Counter(widths)
    common = max(counts, key=lambda w: (counts[w], w))
    habit = max(HABIT_SHARE * len(body), HABIT_LINES)
    allowed = {w for w, c in counts.items() if c >= habit} | {common}
    width = max(allowed)
    notices: list[Notice] = []
    if len(counts) == 1:
        return body, width + 1, notices
    if widths[-1] < common and widths[-1] + 1 < n_names and widths[-1] not in allowed:
        notices.append(
            Notice(
                "truncated_record",
                f"the last record, line {body[-1][0]}, is cut: {widths[-1] + 1} of "
                f"{common + 1} fields; it is left out",
            )
        )
        body, widths = body[:-1], widths[:-1]
    elif widths[-1] < common and widths[-1] + 1 >= n_names:
        # Only the delimiter after the last field is missing.
        widths[-1], body[-1] = (
            common,
            (
                body[-1][0],
                body[-1][1] + mark * (common - widths[-1]),
            ),
        )
    chosen: list[tuple[int, str]] = []
    lost: list[int] = []
    for (number, line), found in zip(body, widths, strict=True):
        if found in allowed:
            chosen.append((number, line + mark * (width - found)))
        elif found > width and not line.split(mark, width + 1)[-1].strip(mark + " \r"):
            chosen.append((number, mark.join(line.split(mark)[: width + 1])))
        else:
            lost.append(number)
    if lost:
        if len(lost) > len(chosen):
            raise InputError(
                f"{len(lost)} of {len(body)} lines do not have the fields of the "
                f"header; the first is line {lost[0]}",
                "the file is damaged or not a table",
            )
        notices.append(unreadable_lines(lost, "do not have the fields of a record"))
    return chosen, width + 1, notices


def _frame(lines: list[str], mark: str, names: tuple[str, ...]) -> "pl.DataFrame":
    import polars as pl

    try:
        frame = pl.read_csv(
            io.BytesIO("\n".join(lines).encode("utf-8", errors="replace")),
            has_header=False,
            separator=mark,
            quote_char=None,
            infer_schema=False,
            new_columns=list(names),
        )
    except pl.exceptions.PolarsError as error:
        raise InputError(f"the table cannot be read: {error}") from error
    if frame.height != len(lines):
        raise InputError(f"{len(lines)} records became {frame.height} rows")
    return frame


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names with ``.2``, ``.3`` added to repeats; blanks get their position."""
    seen: set[str] = set()
    result: list[str] = []
    for position, name in enumerate(names):
        base = name or f"column {position + 1}"
        unique, repeat = base, 1
        while unique in seen:
            repeat += 1
            unique = f"{base}.{repeat}"
        seen.add(unique)
        result.append(unique)
    return tuple(result)


def _trim(fields: list[str]) -> list[str]:
    while fields and not fields[-1]:
        fields = fields[:-1]
    return fields
