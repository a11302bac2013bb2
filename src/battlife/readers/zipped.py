"""Checks a zip container before any library opens it."""

import re
import zipfile
from pathlib import Path
from typing import Final

from battlife.errors import InputError

MAX_MEMBERS: Final = 10_000
MAX_BYTES: Final = 1 << 30
"""Largest sum of uncompressed sizes: 1 GiB, ten times the largest export seen."""
MAX_RATIO: Final = 300
"""Largest compression of a member above 16 MiB; sheets reach 30, padded records 60."""
RATIO_FROM_BYTES: Final = 16 << 20
MAX_CELLS: Final = 20_000_000
"""Largest grid of a sheet; a grid is allocated from its outermost cell."""

_CELL: Final = re.compile(rb"\sr\s*=\s*[\"']\s*([A-Za-z]{1,7})(\d{1,9})")
_PLAIN_COLUMN: Final = re.compile(rb' r="([A-Za-z]{1,7})')
_BLANKS: Final = (b" r ", b"\tr", b"\nr", b"\rr", b" r= ", b" r='", b" r=\t", b" r=\n")
"""Spellings of a cell reference other than the ` r="` every program writes."""


def check_zip(path: Path) -> tuple[str, ...]:
    """Read every member once, within bounds, and verify its checksum.

    Returns
    -------
    names of the members

    Raises
    ------
    InputError
        Not a zip, damaged, or larger inside than the bounds allow.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_sizes(path, members)
            for member in members:
                data = archive.read(member)
                if member.filename.startswith("xl/worksheets/"):
                    _check_grid(path, member.filename, data)
            return tuple(member.filename for member in members)
    except (InputError, MemoryError, OSError):
        raise
    except Exception as error:  # zipfile and its inflaters raise what bytes provoke
        raise InputError(
            f"{path}: the zip container is damaged: {error}",
            "the file was cut or changed on its way: copy or export it again",
        ) from error


def _check_sizes(path: Path, members: list[zipfile.ZipInfo]) -> None:
    total = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or total > MAX_BYTES:
        raise InputError(
            f"{path}: {len(members)} members of {total} bytes, more than "
            f"{MAX_MEMBERS} members or {MAX_BYTES} bytes",
            "export the test in parts",
        )
    for member in members:
        if member.file_size > RATIO_FROM_BYTES and (
            member.file_size > MAX_RATIO * max(member.compress_size, 1)
        ):
            raise InputError(
                f"{path}: {member.filename} expands {MAX_RATIO} times or more",
                "no instrument writes that: the file is refused",
            )


def _check_grid(path: Path, name: str, data: bytes) -> None:
    """Refuse a sheet whose outermost cell would allocate an absurd grid."""
    if any(blank in data for blank in _BLANKS):
        cells = _CELL.findall(data)
        letters = {column for column, _ in cells}
        columns = max(map(_column_number, letters), default=0)
        rows = max((int(row) for _, row in cells), default=0)
    else:
        # The same by two quick scans: reading is measured against other programs.
        letters = set(_PLAIN_COLUMN.findall(data))
        columns = max(map(_column_number, letters), default=0)
        digits = len(str(MAX_CELLS // max(columns, 1)))
        long_rows = re.findall(rb' r="[A-Za-z]{1,7}(\d{%d,})' % digits, data)
        rows = max(map(int, set(long_rows)), default=0)
    if rows * columns > MAX_CELLS:
        raise InputError(
            f"{path}: {name} spans {rows} rows and {columns} columns, more than "
            f"{MAX_CELLS} cells",
            "remove the stray cells, or export the test in parts",
        )


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number
