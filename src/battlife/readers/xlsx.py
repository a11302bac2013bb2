"""Workbooks of cyclers: Arbin, Nebula, and any with a header row that is known."""

from collections.abc import Sequence
from pathlib import Path

from battlife.errors import FormatError, InputError
from battlife.model import Trace
from battlife.readers import arbin_xlsx, nebula, sheet_tables, workbooks
from battlife.readers.choosing import Given
from battlife.readers.columns import header_score


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
        sheets = workbooks.sheets(path, _wanted)
        arbin = any(arbin_xlsx.is_channel(name) for name, _ in sheets)
        if arbin:
            return arbin_xlsx.traces(path, sheets)
        for _, rows in sheets:
            if rows and nebula.is_header(rows[0]):
                return (nebula.trace(path, rows),)
        try:
            found = sheet_tables.traces(sheets, Given(path.stem), header_score)
        except InputError as error:
            raise InputError(f"{path}: {error.message}", error.hint) from error
        if found:
            return found
        raise FormatError(
            f"{path}: a workbook without a sheet whose header names time, V or A",
            "save the sheet as CSV and describe its columns: --mapping FILE.toml",
        )


def _wanted(names: Sequence[str]) -> Sequence[str]:
    if any(map(arbin_xlsx.is_channel, names)):
        return [name for name in names if arbin_xlsx.wanted(name)]
    return workbooks.first_sheets(names)


READER = WorkbookReader()
