"""Ivium .ids and .idf: text blocks in a binary frame."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from battlife.errors import InputError
from battlife.model import Notice, Trace
from battlife.readers.spectrum import Rows, fewer, spectrum_trace

MAX_BYTES: Final = 256 << 20
_DATA: Final = b"primary_data"
_METHOD: Final = re.compile(rb"\nMethod=([^\r\n]*)")
_END: Final = b"\n\0\0\0\0\n\0\0\0\0\n"
_NAMES: Final = ("z_re_ohm", "z_im_ohm", "frequency_hz")


class IviumReader:
    """Reads impedance of IviumSoft: columns Z1 (real), Z2 (imaginary), frequency."""

    name = "ivium"
    description = "Ivium .ids and .idf impedance"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the head lists IviumSoft's kinds of data."""
        return b"Peaks=" in head[:512] and b"Corrosion=" in head[:512]

    def read(self, path: Path) -> Sequence[Trace]:
        """Read every impedance data set of the file, one spectrum each.

        Raises
        ------
        InputError
            A method other than impedance, or no data.
        """
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: {size} bytes, more than {MAX_BYTES}")
        data = path.read_bytes()
        pieces = data.split(_DATA)
        notices: list[Notice] = []
        if not data.endswith(_END):
            notices.append(
                Notice(
                    "truncated_record",
                    "the file does not end as IviumSoft ends it: data sets may be "
                    "missing",
                )
            )
        sweeps: list[Rows] = []
        method = b""
        for before, piece in zip(pieces, pieces[1:], strict=False):
            methods = _METHOD.findall(before)
            method = methods[-1] if methods else method
            if method.strip() != b"Impedance":
                raise InputError(
                    f"{path}: method {method.decode('latin-1')!r} is not read",
                    "only impedance of Ivium is read; export others as CSV",
                )
            sweeps.append(_block(path, piece, notices))
        if not sweeps:
            raise InputError(f"{path}: no block of data", "was the file cut?")
        return (
            spectrum_trace(
                path,
                [
                    (
                        rows.column("frequency_hz"),
                        rows.column("z_re_ohm"),
                        rows.column("z_im_ohm"),
                    )
                    for rows in sweeps
                ],
                notices=notices,
            ),
        )


def _block(path: Path, piece: bytes, notices: list[Notice]) -> Rows:
    """Return one block: column count, row count, rows."""
    lines = piece.split(b"\n")
    try:
        width, count = int(lines[1]), int(lines[2])
    except (IndexError, ValueError):
        raise InputError(
            f"{path}: a block of data has no row count", "the file is damaged or cut"
        ) from None
    if width != len(_NAMES):
        raise InputError(
            f"{path}: a block of {width} columns, expected {len(_NAMES)}",
            "only impedance of Ivium is read",
        )
    rows = Rows(_NAMES)
    for line in lines[3 : 3 + max(count, 0)]:
        fields = line.decode("latin-1").split()
        if len(fields) != width:
            break
        rows.add(fields)
    notices += fewer(len(rows.values), count, "points in a block")
    return rows


READER = IviumReader()
