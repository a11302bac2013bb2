"""The care every file is opened with: first bytes, size, hash."""

import hashlib
from pathlib import Path
from typing import Final

from battlife.errors import InputError

HEAD_BYTES: Final = 4096
MAX_FILE_BYTES: Final = 4 << 30
"""Largest file read unless the caller allows more: a reader may need a few times
the size in memory, and a week at 1 kHz as text stays below it."""


def hash_file(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of a file as lower-case hex, and its size in bytes."""
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest(), size


def file_head(path: Path) -> bytes:
    """Return the first 4 KiB of a file.

    Raises
    ------
    InputError
        It is missing, a folder, empty, or its name is no text.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{ascii(str(path))}: the file's name is not valid text",
            "rename the file: an audit record cannot name it",
        ) from error
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder", "name a file in it")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened: {error.strerror}", "check the path"
        ) from error
    if not head:
        raise InputError(f"{path}: the file is empty", "was the export interrupted?")
    return head


def file_state(path: Path) -> tuple[int, int]:
    """Return size and modification time in ns."""
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return found.st_size, found.st_mtime_ns
