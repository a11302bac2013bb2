"""Write rows as a table: CSV, Excel or Parquet."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from battlife.errors import InputError
from battlife.reports._writing import replacing

SUFFIXES: Final = (".csv", ".xlsx", ".parquet")

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_table(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows to a file; it appears whole or not at all.

    Parameters
    ----------
    rows : flat; a column for each key in order of first appearance, None is empty
    path : its suffix chooses the format

    Raises
    ------
    InputError
        The suffix is not known, or the file cannot be written.

    Notes
    -----
    Text that a spreadsheet would take for a formula gets an apostrophe in front;
    numbers stay numbers, so -1.5 is not touched. CSV starts with a byte-order mark:
    Excel takes UTF-8 without one for the local code page, other readers skip it.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"{path}: no table format is called {suffix!r}",
            f"one of {', '.join(SUFFIXES)}",
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    write = {".csv": _csv, ".xlsx": _xlsx, ".parquet": _parquet}[suffix]
    with replacing(path) as partial:
        write(rows, names, partial)


def harmless(value: Any) -> Any:
    """Return text that no spreadsheet takes for a formula; numbers unchanged."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def _csv(rows: Sequence[Mapping[str, Any]], names: list[str], path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([harmless(n) for n in names])
        for row in rows:
            writer.writerow([harmless(row.get(n)) for n in names])


def _xlsx(rows: Sequence[Mapping[str, Any]], names: list[str], path: Path) -> None:
    import xlsxwriter

    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
    }
    book = xlsxwriter.Workbook(str(path), options)
    sheet = book.add_worksheet("grades")
    bold = book.add_format({"bold": True})
    for column, name in enumerate(names):
        sheet.write_string(0, column, str(harmless(name)), bold)
    for line, row in enumerate(rows, 1):
        for column, name in enumerate(names):
            sheet.write(line, column, harmless(row.get(name)))
    sheet.freeze_panes(1, 0)
    try:
        book.close()
    except xlsxwriter.exceptions.FileCreateError as error:
        # What the disk said comes wrapped; the caller translates OSError.
        raise OSError(str(error)) from error


def _parquet(rows: Sequence[Mapping[str, Any]], names: list[str], path: Path) -> None:
    import polars

    columns = {name: [row.get(name) for row in rows] for name in names}
    polars.DataFrame(columns, strict=False).write_parquet(path)
