"""Finding the reader of a bus log, and opening it with hash and bounds."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from battlife import _plugins
from battlife.errors import FormatError, InputError
from battlife.model import Frame, FrameLog, FrameReader, Notice, Source
from battlife.readers.files import MAX_FILE_BYTES, file_head, file_state, hash_file

GROUP: Final = "battlife.frame_readers"
"""Entry points: a FrameReader, or a sequence of them."""


def all_frame_readers() -> dict[str, FrameReader]:
    """Return every reader of bus logs known here, by name."""
    readers: dict[str, FrameReader] = {}
    for loaded in _plugins.load(GROUP).values():
        for reader in loaded if isinstance(loaded, (tuple, list)) else (loaded,):
            readers[reader.name] = reader
    return dict(sorted(readers.items()))


def recognised(head: bytes, name: str) -> Sequence[FrameReader]:
    """Return the readers that recognise the first 4 KiB of a file."""
    return [r for r in all_frame_readers().values() if r.recognises(head, name)]


def detect_frames(path: Path) -> FrameReader | None:
    """Return the one reader that recognises a file as a bus log, None if none does.

    Raises
    ------
    InputError
        The file is missing, empty or cannot be opened.
    FormatError
        Several readers recognise it.
    """
    found = recognised(file_head(path), path.name)
    if len(found) > 1:
        raise FormatError(
            f"{path}: several readers recognise this file: "
            + ", ".join(r.name for r in found),
            "choose one with --format NAME",
        )
    return found[0] if found else None


class OpenLog:
    """The frames of a bus log whose bytes are known by their hash.

    Attributes
    ----------
    source : the file, its hash and the format it is read as
    """

    def __init__(self, path: Path, reader: FrameReader, max_bytes: int) -> None:
        self._path = path
        self._before = file_state(path)
        if self._before[0] > max_bytes:
            raise InputError(
                f"{path}: {self._before[0]} bytes, more than the {max_bytes} that are "
                "read",
                "split the log, or raise max_bytes",
            )
        digest, size = hash_file(path)
        self.source = Source(str(path), digest, size, reader.name)
        self._log: FrameLog = reader.frames(path)

    @property
    def start_utc(self) -> datetime | None:
        """Moment of time_s = 0, None if the log does not say."""
        return self._log.start_utc

    @property
    def notices(self) -> Sequence[Notice]:
        """What is odd about the log; complete once the frames were read."""
        return self._log.notices

    def __iter__(self) -> Iterator[Frame]:
        yield from self._log
        same = (self.source.sha256, self.source.size_bytes)
        if file_state(self._path) != self._before and hash_file(self._path) != same:
            raise InputError(
                f"{self._path}: the file changed while it was read",
                "wait until the logger has finished writing, or read a copy",
            )


def open_frames(
    path: Path, reader: FrameReader | None = None, *, max_bytes: int = MAX_FILE_BYTES
) -> OpenLog:
    """Open a bus log, hashed; its frames are read once, front to back.

    The file is hashed before and, where its size or time stamp moved meanwhile,
    again after its last frame: the hash is that of the bytes read.

    Parameters
    ----------
    path : the file
    reader : overrules detection
    max_bytes : larger files are refused

    Raises
    ------
    InputError
        Missing, empty, too large or not what the reader expects; while iterating
        also damaged beyond use, or changed since it was opened.
    FormatError
        No reader, or several.
    """
    if reader is None:
        reader = detect_frames(path)
        if reader is None:
            raise FormatError(
                f"{path}: no reader recognises this file as a bus log",
                "see `battlife formats`; name one with --format",
            )
    else:
        file_head(path)
    return OpenLog(path, reader, max_bytes)
