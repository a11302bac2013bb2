"""Sheets of an .xlsx workbook as rows of cells."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from battlife.errors import FormatError, InputError
from battlife.readers.zipped import check_zip

MAX_SHEETS: Final = 64
"""Sheets read of a workbook that is not Arbin's."""


def first_sheets(names: Sequence[str]) -> Sequence[str]:
    """Return the sheets that are read where nothing says which."""
    return names[:MAX_SHEETS]


def sheets(
    path: Path, wanted: Callable[[Sequence[str]], Iterable[str]] = first_sheets
) -> list[tuple[str, list[list[Any]]]]:
    """Return name and rows of the sheets that are wanted.

    Parameters
    ----------
    path : the workbook
    wanted : from the names of all sheets those to read

    Raises
    ------
    InputError
        Damaged, encrypted, or larger inside than any export.
    FormatError
        A zip container that is no workbook.
    """
    from python_calamine import (
        CalamineError,
        CalamineWorkbook,
        PasswordError,
        XmlError,
        ZipError,
    )

    names = check_zip(path)
    if not any(name.startswith("xl/") for name in names):
        raise FormatError(
            f"{path}: a zip container, but not an .xlsx workbook",
            "see `battlife formats`",
        )
    try:
        with CalamineWorkbook.from_path(path) as book:
            return [(name, _rows(book, name)) for name in wanted(book.sheet_names)]
    except (CalamineError, PasswordError, XmlError, ZipError, ValueError) as error:
        raise InputError(
            f"{path}: the workbook cannot be read: {error}",
            "remove a password, or export it again as .xlsx",
        ) from error


def _rows(book: Any, name: str) -> list[list[Any]]:
    return list(book.get_sheet_by_name(name).to_python(skip_empty_area=False))
