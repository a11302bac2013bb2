"""Readings of one unit, kept in a file so that they can be gone through again.

Decoding is what costs; a trace needs its readings twice, and a recording has several
units. The file has no name and vanishes with its closing: nobody else reads it.
"""

import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from battlife.errors import InputError
from battlife.model import Reading

BATCH: Final = 512
"""Readings written at once: names are stored once a batch, and memory stays flat."""


class Spool:
    """Readings in order, without their raw bytes.

    Parameters
    ----------
    folder : where the file is while it is used
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)
        self._batch: list[tuple[Any, ...]] = []

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, source: str, reading: Reading) -> None:
        """Keep a reading and who gave it.

        Raises
        ------
        InputError
            The disk is full.
        """
        facts = reading.time_s, reading.device, reading.message, dict(reading.values)
        self._batch.append((source, *facts, reading.identifier, reading.notices))
        if len(self._batch) == BATCH:
            self._flush()

    def __iter__(self) -> Iterator[tuple[str, Reading]]:
        """Yield the readings from the first, each with who gave it."""
        self._flush()
        at = 0
        while True:
            self._file.seek(at)
            try:
                batch = pickle.load(self._file)
            except EOFError:
                return
            at = self._file.tell()
            for source, time_s, device, message, values, identifier, notices in batch:
                yield (
                    source,
                    Reading(time_s, device, message, values, b"", identifier, notices),
                )

    def _flush(self) -> None:
        if not self._batch:
            return
        try:
            self._file.seek(0, 2)
            pickle.dump(self._batch, self._file, pickle.HIGHEST_PROTOCOL)
            self._file.flush()
        except OSError as error:
            raise InputError(
                f"{self._folder}: {error.strerror or error}",
                "readings are kept there while traces are made: make room",
            ) from error
        self._batch = []
