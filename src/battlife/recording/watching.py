"""Look at a recording, running or finished, touching nothing."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Final

from battlife.archive import is_archive, open_archive
from battlife.archive.journal import (
    SUFFIX,
    JournalReader,
    header_of,
    journal_path,
)
from battlife.errors import InputError
from battlife.model import Reading, Rejected
from battlife.pipeline.journals import (
    Replay,
    channels_of,
    devices_of,
    extracted,
    readings_of,
)

POLL_S: Final = 0.2


def watch(
    path: Path, *, follow: bool = True, stop: Event | None = None
) -> Iterator[tuple[str, Reading | Rejected]]:
    """Yield what the devices of a recording said, with their names, in order.

    Parameters
    ----------
    path : an archive, a journal, or the archive that a running recording will write
    follow : of a journal that did not end: wait for more until it ends
    stop : ends the waiting when set

    Raises
    ------
    InputError, ArchiveError
        It cannot be read, or is no recording.
    """
    if not path.exists() and journal_path(path).exists():
        path = journal_path(path)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", "check the path") from (
            error
        )
    with tempfile.TemporaryDirectory(prefix="battlife-watch-") as name:
        folder = Path(name)
        if is_archive(head):
            with open_archive(path) as archive:
                journal = extracted(archive, folder)
            yield from readings_of(journal, folder)
        else:
            yield from _followed(path, folder, follow, stop or Event())


def _followed(
    path: Path, folder: Path, follow: bool, stop: Event
) -> Iterator[tuple[str, Reading | Rejected]]:
    reader = JournalReader(path)
    header = header_of(reader)
    replay = Replay(devices_of(header, folder), channels_of(header))
    while True:
        try:
            for block in reader.blocks():
                for frame in replay.frames(block):
                    yield from replay.feed(frame)
        except InputError:
            if path.exists() or reader.path != path:
                raise
            # It was sealed meanwhile: the rest is in the copy that the archive holds.
            with open_archive(path.with_name(path.name.removesuffix(SUFFIX))) as sealed:
                reader.path = extracted(sealed, folder)
            continue
        if reader.ended or not follow or stop.wait(POLL_S):
            break
    yield from replay.finish()
