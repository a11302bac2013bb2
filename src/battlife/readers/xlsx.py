"""Workbooks of cyclers: Arbin, Nebula, and any with a header row that is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from battlife.errors import FormatError, InputError
from battlife.model import Trace
from battlife.readers import arbin_xlsx, nebula, sheet_tables
from battlife.readers.zipped import check_zip

MAX_SHEETS = 64
"""Sheets read of a workbook that is not Arbin's."""


class WorkbookReader:
    """Reads an .xlsx workbook; the sheets say which tester wrote it."""

    name = "xlsx"
    description = "workbooks: Arbin, Nebula (one row per step), known column names"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the head is a zip with the parts of a workbook."""
        if not head.startswith(b"PK\x03\x04"):
            return False
        parts = (b"[Content_Types].xml", b"_rels/.rels", b"xl/", b"docProps/")
        return (
            any(p in head for p in parts)
            and b"word/" not in head
            and b"ppt/" not in head
        )

    def read(self, path: Path) -> Sequence[Trace]:
        """Read the workbook, one Trace per channel.

        Raises
        ------
        InputError
            Damaged, encrypted, or larger inside than any export.
        FormatError
            A workbook of another program.
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
                stated = book.sheet_names
                arbin = any(map(arbin_xlsx.is_channel, stated))
                chosen = (
                    filter(arbin_xlsx.wanted, stated) if arbin else stated[:MAX_SHEETS]
                )
                sheets = [(name, _rows(book, name)) for name in chosen]
        except (CalamineError, PasswordError, XmlError, ZipError, ValueError) as error:
            raise InputError(
                f"{path}: the workbook cannot be read: {error}",
                "remove a password, or export it again as .xlsx",
            ) from error
        if arbin:
            return arbin_xlsx.traces(path, sheets)
        for _, rows in sheets:
            if rows and nebula.is_header(rows[0]):
                return (nebula.trace(path, rows),)
        try:
            found = sheet_tables.traces(path, sheets)
        except InputError as error:
            raise InputError(f"{path}: {error.message}", error.hint) from error
        if found:
            return found
        raise FormatError(
            f"{path}: a workbook without a sheet whose header names time, V or A",
            "save the sheet as CSV and describe its columns: --mapping FILE.toml",
        )


def _rows(book: Any, name: str) -> list[list[Any]]:
    return list(book.get_sheet_by_name(name).to_python(skip_empty_area=False))


READER = WorkbookReader()
