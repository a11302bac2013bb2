"""What the first bytes of a MATLAB v5 file say of its first variable."""

import struct
import zlib
from pathlib import Path
from typing import Any, Final

from battlife.errors import InputError

MAGIC: Final = b"MATLAB 5.0 MAT-file"
_MATRIX: Final = 14
_COMPRESSED: Final = 15
_MAX_BYTES: Final = 1 << 29
"""Largest file that is loaded; the largest of the ESC toolbox has 8 MiB."""


def first_variable(head: bytes) -> str:
    """Return the name of the first variable of a MATLAB v5 file, "" if unknown.

    MAT-File Format, MathWorks, ch. 1: after 128 bytes of header an element, compressed
    or not, of a matrix: its flags (16 bytes), its dimensions, its name.
    """
    if not head.startswith(MAGIC) or len(head) < 144:
        return ""
    kind = struct.unpack_from("<I", head, 128)[0]
    if kind == _COMPRESSED:
        try:
            body = zlib.decompressobj().decompress(head[136:], 512)
        except zlib.error:
            return ""
    elif kind == _MATRIX:
        body = head[128:640]
    else:
        return ""
    try:
        at = 24  # tag of the matrix and its flags
        size = struct.unpack_from("<I", body, at + 4)[0]
        at += 8 + (size + 7) // 8 * 8
        small = struct.unpack_from("<HH", body, at)
        if small[1]:  # a name of at most four letters stands within its tag
            return body[at + 4 : at + 4 + min(small[1], 4)].decode("ascii")
        length = struct.unpack_from("<I", body, at + 4)[0]
        return body[at + 8 : at + 8 + min(length, 63)].decode("ascii")
    except (struct.error, UnicodeDecodeError):
        return ""


def load_variable(path: Path, name: str) -> Any:
    """Return one variable of a MATLAB v5 file, structures as objects.

    Raises
    ------
    InputError
        The file cannot be read, is damaged, or has no such variable.
    """
    from scipy.io import loadmat

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: larger than any file of its kind")
        content = loadmat(
            str(path),
            squeeze_me=True,
            struct_as_record=False,
            variable_names=[name],
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
    if name not in content:
        raise InputError(f"{path}: a MATLAB file without the variable {name!r}")
    return content[name]
