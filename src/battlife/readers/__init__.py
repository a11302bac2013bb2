"""One module per foreign log format; a vendor CSV is a column mapping in TOML.

:func:`read` is the way in: it detects the format, reads, stamps the source with its
hash and runs the checks that every trace must pass.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from battlife import _plugins
from battlife.errors import BattlifeError, FormatError, InputError
from battlife.model import Reader, Source, Trace
from battlife.readers._checks import checked

HEAD_BYTES = 4096
GROUP = "battlife.readers"

__all__ = ["all_readers", "detect", "hash_file", "read"]


def all_readers() -> dict[str, Reader]:
    """Return every reader known here, by name.

    An entry point of the group ``battlife.readers`` is a Reader, or a sequence of
    Readers (the shipped mappings are one such sequence).
    """
    readers: dict[str, Reader] = {}
    for loaded in _plugins.load(GROUP).values():
        for reader in loaded if isinstance(loaded, (tuple, list)) else (loaded,):
            readers[reader.name] = reader
    return dict(sorted(readers.items()))


def detect(path: Path) -> Reader:
    """Return the one reader that recognises a file.

    Raises
    ------
    InputError
        The file is missing, empty or cannot be opened.
    FormatError
        No reader recognises it, or several do.
    """
    head = _head(path)
    found = [r for r in all_readers().values() if r.recognises(head, path.name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise FormatError(
            f"{path}: no reader recognises this file",
            "see `battlife formats`; name one with --format, or describe the columns "
            "with --mapping FILE.toml",
        )
    names = ", ".join(r.name for r in found)
    raise FormatError(
        f"{path}: several readers recognise this file: {names}",
        "choose one with --format NAME",
    )


def read(path: Path, reader: Reader | None = None) -> Sequence[Trace]:
    """Read a file into one Trace per unit, hashed and checked.

    Parameters
    ----------
    path : the file
    reader : overrules detection

    Raises
    ------
    InputError
        Missing, empty, truncated beyond use, or not what the reader expects.
    FormatError
        No reader, or several.
    """
    reader = reader if reader is not None else detect(path)
    _head(path)
    digest, size = hash_file(path)
    try:
        traces = reader.read(path)
    except BattlifeError:
        raise
    except (OSError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    source = Source(str(path), digest, size, reader.name)
    return tuple(checked(_stamped(trace, source)) for trace in traces)


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


def _head(path: Path) -> bytes:
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


def _stamped(trace: Trace, source: Source) -> Trace:
    return replace(trace, provenance=replace(trace.provenance, sources=(source,)))
