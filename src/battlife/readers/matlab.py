"""What the first bytes of a MATLAB v5 file say of its first variable."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from battlife.errors import InputError

MAGIC: Final = b"MATLAB 5.0 MAT-file"
MAX_BYTES: Final = 1 << 30
"""Largest size of all elements once decompressed; a cell of NASA's needs 30 MiB."""
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_MATRIX: Final = 14
_COMPRESSED: Final = 15
_STRUCT: Final = 2
_SHOWN: Final = 4096
"""Bytes of the first element that are looked at; field names take some hundreds."""
_MAX_BYTES: Final = 1 << 29
"""Largest file that is loaded; the largest of the ESC toolbox has 8 MiB."""


def first_variable(head: bytes) -> str:
    """Return the name of the first variable of a MATLAB v5 file, "" if unknown."""
    return _first(head)[0]


def first_fields(head: bytes) -> tuple[str, ...] | None:
    """Return the fields of the first variable, () if it is no structure.

    None where the head does not show them.
    """
    return _first(head)[1]


def _first(head: bytes) -> tuple[str, tuple[str, ...] | None]:
    """Return name and fields of the first variable.

    MAT-File Format, MathWorks, ch. 1: after 128 bytes of header an element, compressed
    or not, of a matrix: its flags, its dimensions, its name; of a structure then the
    length of a field name, and the names, each padded to it.
    """
    if not head.startswith(MAGIC) or len(head) < 144:
        return "", None
    kind = struct.unpack_from("<I", head, 128)[0]
    if kind == _COMPRESSED:
        try:
            body = zlib.decompressobj().decompress(head[136:], _SHOWN)
        except zlib.error:
            return "", None
    elif kind == _MATRIX:
        body = head[128 : 128 + _SHOWN]
    else:
        return "", None
    name = ""
    try:
        flags, at = _element(body, 8)
        _, at = _element(body, at)
        text, at = _element(body, at)
        name = text[:63].decode("ascii")
        if flags[0] != _STRUCT:
            return name, ()
        width, at = _element(body, at)
        fields, _ = _element(body, at)
        length = struct.unpack("<I", width)[0]
        if not 0 < length <= 64 or len(fields) % length:
            return name, None
        found = (fields[k : k + length] for k in range(0, len(fields), length))
        return name, tuple(f.split(b"\0", 1)[0].decode("ascii") for f in found)
    except (struct.error, IndexError, UnicodeDecodeError):
        return name, None


def _element(body: bytes, at: int) -> tuple[bytes, int]:
    """Return the data of an element and where the next one begins."""
    word, size = struct.unpack_from("<II", body, at)
    if word >> 16:  # up to four bytes stand within the tag
        begin, size, after = at + 4, word >> 16, at + 8
    else:
        begin, after = at + 8, at + 8 + (size + 7) // 8 * 8
    data = body[begin : begin + size]
    if len(data) < size:
        raise struct.error("cut")
    return data, after


def load_variable(path: Path, name: str) -> Any:
    """Return one variable of a MATLAB v5 file, structures as objects.

    Raises
    ------
    InputError
        The file cannot be read, is damaged, or has no such variable.
    """
    content = load(path, [name])
    if name not in content:
        raise InputError(f"{path}: a MATLAB file without the variable {name!r}")
    return content[name]


def load(path: Path, names: list[str] | None = None) -> Mapping[str, Any]:
    """Return variables of a MATLAB v5 file, structures as objects; None is all.

    Raises
    ------
    InputError
        The file cannot be read or is damaged.
    """
    from scipy.io import loadmat

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: larger than any file of its kind")
        content = loadmat(
            str(path),
            squeeze_me=True,
            struct_as_record=False,
            variable_names=names,
        )
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}"
        ) from error
    except Exception as error:  # scipy raises a dozen types for damaged files
        raise InputError(
            f"{path}: the MATLAB file is damaged: {type(error).__name__}: {error}",
            "copy it again from its source",
        ) from error
    return {k: v for k, v in content.items() if not k.startswith("__")}


def check_elements(path: Path, data: bytes) -> None:
    """Walk the top-level elements; verify lengths, checksums and total size.

    Raises
    ------
    InputError
        It is HDF5 (v7.3), damaged, or expands beyond any record.
    """
    if data.startswith(b"MATLAB 7.3") or data[512:520] == _HDF5:
        raise InputError(
            f"{path}: a MATLAB v7.3 file, which is HDF5",
            "save it in MATLAB with -v7, or export the columns as CSV",
        )
    if len(data) < 136 or data[126:128] != b"IM":
        raise InputError(
            f"{path}: the header of the MATLAB file is damaged or not little-endian"
        )
    at, total = 128, 0
    while at < len(data):
        if at + 8 > len(data):
            raise damaged(path, f"{len(data) - at} stray bytes at the end")
        kind, size = struct.unpack_from("<II", data, at)
        at += 8
        if at + size > len(data):
            raise damaged(path, f"an element of {size} bytes is cut")
        if kind == _COMPRESSED:
            total += _inflated(path, memoryview(data)[at : at + size], total)
        elif kind == _MATRIX:
            total += size
        else:
            raise damaged(path, f"unknown element type {kind}")
        at += size


def _inflated(path: Path, block: memoryview, before: int) -> int:
    """Return the size of a compressed element, reading it to its checksum."""
    stream = zlib.decompressobj()
    size = 0
    pending: bytes | memoryview = block
    try:
        while not stream.eof:
            piece = stream.decompress(pending, 1 << 20)
            size += len(piece)
            if before + size > MAX_BYTES:
                raise InputError(
                    f"{path}: expands beyond {MAX_BYTES} bytes",
                    "no record of a battery does: it is refused",
                )
            pending = stream.unconsumed_tail
            if not piece and not pending and not stream.eof:
                raise damaged(path, "a compressed element is cut")
    except zlib.error as error:
        raise damaged(path, str(error)) from error
    return size


def damaged(path: Path, why: str) -> InputError:
    """Return the error of a damaged file."""
    return InputError(
        f"{path}: the MATLAB file is damaged: {why}", "copy it again from its source"
    )
