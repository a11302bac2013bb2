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
    outermost = _plain_grid(data)
    if outermost is None:
        cells = _CELL.findall(data)
        rows = max((int(row) for _, row in cells), default=0)
        columns = max((_column_number(c) for c in {c for c, _ in cells}), default=0)
    else:
        rows, columns = outermost
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


def _plain_grid(data: bytes) -> tuple[int, int] | None:
    """Return the outermost row and column of references written ` r="AB12"`.

    Reading is measured against other programs, so this runs over all bytes at once.

    Returns
    -------
    rows and columns, or None if a reference is spelled in another way
    """
    import numpy as np

    text = np.frombuffer(data + bytes(32), dtype=np.uint8)
    at = np.flatnonzero((text[1:-31] == ord("r")) & (text[:-32] <= ord(" "))) + 1
    after = text[at + 1]
    equals = after == ord("=")
    plain = equals & (text[at + 2] == ord('"'))
    if (equals & ~plain).any() or (after <= ord(" ")).any():
        return None
    at = at[plain] + 3
    column = np.zeros(at.size, dtype=np.int64)
    row = np.zeros(at.size, dtype=np.int64)
    for i in range(12):
        mark = text[at + i].astype(np.int64)
        upper = mark & 0xDF  # ASCII letters differ from lower case in one bit
        letter = (upper >= ord("A")) & (upper <= ord("Z"))
        digit = (mark >= ord("0")) & (mark <= ord("9"))
        if not (letter | digit).any():
            break
        column = np.where(letter, column * 26 + upper - 64, column)
        row = np.where(digit, row * 10 + mark - 48, row)
        # A reference that has ended points at the zeros behind the text.
        at = np.where(letter | digit, at, text.size - 16)
    else:
        return None
    return int(row.max(initial=0)), int(column.max(initial=0))
