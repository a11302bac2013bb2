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
MAX_CELLS: Final = 26_000_000
"""Largest grid of a sheet; a grid is allocated from its outermost cell."""

_BLOCK: Final = 1 << 19
_LONGEST: Final = 32
"""Bytes a cell reference may take with its attribute name."""
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
                is_sheet = member.filename.startswith("xl/worksheets/")
                if _cells_at_most(archive, member, is_sheet) > MAX_CELLS:
                    _check_grid(path, member.filename, archive.read(member))
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
    cells = _CELL.findall(data)
    rows = max((int(row) for _, row in cells), default=0)
    columns = max((_column_number(c) for c in {c for c, _ in cells}), default=0)
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


def _cells_at_most(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, is_sheet: bool
) -> int:
    """Read a member to its checksum; bound the grid it spans if it is a sheet.

    Reading is measured against other programs: this bound, from the lengths of the
    references, costs a tenth of parsing them and settles all but very large sheets.

    Returns
    -------
    cells, a bound from above; 0 for what is not a sheet
    """
    columns = digits = 0
    tail = b""
    with archive.open(member) as stream:
        while block := stream.read(_BLOCK):
            if is_sheet:
                text = tail + block
                reach = _reach(text)
                columns, digits = max(columns, reach[0]), max(digits, reach[1])
                tail = text[-_LONGEST:]
    if not is_sheet:
        return 0
    reach = _reach(tail + bytes(_LONGEST))
    return max(columns, reach[0]) * int(10 ** max(digits, reach[1]))


def _reach(data: bytes) -> tuple[int, int]:
    """Return a bound of columns, and of digits of a row, of the cells in a text.

    References ` r="AB12"` that begin in the last bytes of the text are left for the
    next; one in another spelling gives a bound beyond any sheet.
    """
    import numpy as np

    beyond = (MAX_CELLS + 1, 0)
    text = np.frombuffer(data, dtype=np.uint8)
    n = text.size - _LONGEST
    if n <= 0:
        return 0, 0
    at = np.flatnonzero((text[1 : n + 1] == ord("r")) & (text[:n] <= ord(" "))) + 1
    after = text[at + 1]
    equals = after == ord("=")
    plain = equals & (text[at + 2] == ord('"'))
    if (equals & ~plain).any() or (after <= ord(" ")).any():
        return beyond
    at = at[plain] + 3
    at = at[text[at] > ord("9")]  # a row's own number has no letter
    second, third = text[at + 1] > ord("9"), text[at + 2] > ord("9")
    if third.any():
        return beyond
    at = at + 1 + second
    digits = -1
    while at.size and digits < 8:
        at = at[text[at] != ord('"')] + 1
        digits += 1
    return (26 * 27 if second.any() else 26), max(digits, 0)
