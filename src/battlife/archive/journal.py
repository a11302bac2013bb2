"""The append-only journal: the only thing a recording writes until it is sealed.

A block counts once ``fdatasync`` has returned. Reading stops at the first block that
is torn, so whatever a crash leaves, what was acknowledged is read back and nothing
else is. The layout, to the byte, is in docs/formats.md.
"""

import json
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from battlife.archive.frame_blocks import RUN_BYTES, largest, packed, unpacked
from battlife.archive.locking import lock_file
from battlife.errors import ArchiveError, InputError
from battlife.model import Frame

MAGIC: Final = b"BLJRNL\r\n"
BLOCK_MAGIC: Final = b"BLK1"
VERSION: Final = 1
MAX_PAYLOAD: Final = 1 << 20
MAX_CHANNELS: Final = 256
SUFFIX: Final = ".journal"

_HEAD: Final = struct.Struct("<8sI16s")
_BLOCK: Final = struct.Struct("<4sQQQB3xI")
_CRC: Final = struct.Struct("<I")


class BlockKind(IntEnum):
    """What a block carries."""

    HEADER = 0
    """JSON: the rig, its devices and channels; always the first block."""
    FRAMES = 1
    """Frames, packed and deflated."""
    EVENT = 2
    """JSON: something that happened, with "event" and "time_s"."""
    END = 3
    """JSON: the recording ended in order."""


@dataclass(frozen=True)
class Block:
    """One whole block of a journal.

    Attributes
    ----------
    sequence : from 0, no gaps
    monotonic_ns : ns of the writer's monotonic clock, when the block was made
    utc_ns : ns since 1970-01-01 UTC at the same moment
    kind : see :class:`BlockKind`
    payload : as it is stored
    """

    sequence: int
    monotonic_ns: int
    utc_ns: int
    kind: BlockKind
    payload: bytes

    def json(self) -> dict[str, Any]:
        """Return the object of a block that is not frames.

        Raises
        ------
        ArchiveError
            The payload is no JSON object.
        """
        try:
            value = json.loads(self.payload)
        except (ValueError, RecursionError) as error:
            raise ArchiveError(f"journal block {self.sequence} is no JSON") from error
        if not isinstance(value, dict):
            raise ArchiveError(f"journal block {self.sequence} is no JSON object")
        return value


def journal_path(output: Path) -> Path:
    """Return where the journal of an archive is kept until it is sealed."""
    return output.with_name(output.name + SUFFIX)


class JournalWriter:
    """Appends to a new journal; use as a context manager.

    Frames are collected and leave as one block with the next :meth:`acknowledge`.

    Parameters
    ----------
    path : must not exist
    header : JSON facts of the recording; "channels" lists the channels whose frames
        may be appended
    monotonic_ns, utc_ns : the moment, on the clocks of the recording

    Raises
    ------
    InputError
        The file exists or cannot be made.
    """

    def __init__(
        self,
        path: Path,
        header: Mapping[str, object],
        *,
        monotonic_ns: int,
        utc_ns: int,
    ) -> None:
        self.path = path
        channels = header.get("channels", [])
        assert isinstance(channels, list)
        if len(channels) > MAX_CHANNELS:
            raise InputError(f"{len(channels)} channels; at most {MAX_CHANNELS}")
        self._channel = {str(name): i for i, name in enumerate(channels)}
        self._sequence = 0
        self._offset = 0
        self._failed = False
        self._dirty = False
        self._pending: list[Frame] = []
        self._pending_bytes = 0
        self.n_frames = 0
        """Frames appended so far."""
        self.n_acknowledged = 0
        """Frames that survive whatever happens now."""
        run_id = secrets.token_bytes(16)
        self._seed = zlib.crc32(run_id)
        head = _HEAD.pack(MAGIC, VERSION, run_id)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            self._file = os.open(path, flags, 0o644)
        except FileExistsError as error:
            raise InputError(
                f"{path}: there is a journal already",
                "finish it with `battlife recover`, or choose another output",
            ) from error
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            lock_file(self._file, path)
            self._write(head + _CRC.pack(zlib.crc32(head)))
            self._block(BlockKind.HEADER, _json(header), monotonic_ns, utc_ns)
            self.acknowledge(monotonic_ns, utc_ns)
            _sync_folder(path.parent)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "JournalWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, frames: Sequence[Frame], monotonic_ns: int, utc_ns: int) -> None:
        """Take frames for the next block.

        Raises
        ------
        InputError
            The disk is full; everything acknowledged is kept.
        """
        for frame in frames:
            self._pending.append(frame)
            self._pending_bytes += largest(frame)
            self.n_frames += 1
            if self._pending_bytes >= RUN_BYTES:
                self._flush(monotonic_ns, utc_ns)

    def event(
        self, facts: Mapping[str, object], monotonic_ns: int, utc_ns: int
    ) -> None:
        """Write an event after the frames appended so far; not acknowledged yet."""
        self._flush(monotonic_ns, utc_ns)
        self._block(BlockKind.EVENT, _json(facts), monotonic_ns, utc_ns)

    def end(self, facts: Mapping[str, object], monotonic_ns: int, utc_ns: int) -> None:
        """Write the end block and acknowledge it."""
        self._flush(monotonic_ns, utc_ns)
        self._block(BlockKind.END, _json(facts), monotonic_ns, utc_ns)
        self.acknowledge(monotonic_ns, utc_ns)

    def acknowledge(self, monotonic_ns: int, utc_ns: int) -> int:
        """Wait until everything appended is on the disk.

        Returns
        -------
        Frames that are now safe.

        Raises
        ------
        InputError
            The disk is full or failed; everything acknowledged before is kept.
        """
        self._flush(monotonic_ns, utc_ns)
        if self._dirty:
            try:
                _data_sync(self._file)
            except OSError as error:
                # A second fsync may report success for pages the kernel has given
                # up, so nothing may be acknowledged after a failed one.
                self._failed = True
                raise _unwritable(self.path, error) from error
            self._dirty = False
        self.n_acknowledged = self.n_frames
        return self.n_acknowledged

    def close(self) -> None:
        """Close the file, which also unlocks it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _flush(self, monotonic_ns: int, utc_ns: int) -> None:
        if not self._pending:
            return
        frames, self._pending, self._pending_bytes = self._pending, [], 0
        for payload in packed(frames, self._channel):
            self._block(BlockKind.FRAMES, payload, monotonic_ns, utc_ns)

    def _block(
        self, kind: BlockKind, payload: bytes, monotonic_ns: int, utc_ns: int
    ) -> None:
        if len(payload) > MAX_PAYLOAD:
            raise InputError(
                f"{self.path}: a block of {len(payload)} bytes is too large",
                f"a DBC file and a rig together may have {MAX_PAYLOAD} bytes",
            )
        head = _BLOCK.pack(
            BLOCK_MAGIC, self._sequence, monotonic_ns, utc_ns, kind, len(payload)
        )
        crc = zlib.crc32(payload, zlib.crc32(head, self._seed))
        self._write(head + payload + _CRC.pack(crc))
        self._sequence += 1

    def _write(self, content: bytes) -> None:
        if self._failed:
            raise InputError(
                f"{self.path}: cannot be written after an earlier failure",
                "make room and finish it with `battlife recover`",
            )
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            self._failed = True
            # Half a block would be dropped by every reader; give its room back.
            os.ftruncate(self._file, self._offset)
            raise _unwritable(self.path, error) from error
        self._offset += len(content)
        self._dirty = True


class JournalReader:
    """Reads a journal, running, interrupted or finished, without touching it.

    :meth:`blocks` may be called again: it goes on where it stopped, so that a second
    process follows a recording.

    Raises
    ------
    InputError
        The file cannot be opened.
    ArchiveError
        It is no journal, or one of an unknown version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD.size + _CRC.size)
        except OSError as error:
            raise InputError(
                f"{path}: {error.strerror or error}", "check the path"
            ) from error
        if head[: len(MAGIC)] != MAGIC[: len(head)] or (
            len(head) == _HEAD.size + _CRC.size
            and _CRC.unpack_from(head, _HEAD.size)[0] != zlib.crc32(head[: _HEAD.size])
        ):
            raise ArchiveError(f"{path}: is no journal of a recording")
        if len(head) < _HEAD.size + _CRC.size:
            raise ArchiveError(
                f"{path}: the recording stopped before anything was kept",
                "nothing was acknowledged; the file may be removed",
            )
        _, version, run_id = _HEAD.unpack_from(head)
        if version != VERSION:
            raise ArchiveError(
                f"{path}: is a journal of version {version}, not {VERSION}",
                "it may come from a newer version of battlife",
            )
        self.run_id: str = run_id.hex()
        self._seed = zlib.crc32(run_id)
        self._offset = len(head)
        self._sequence = 0
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether the end block was read."""
        return self._ended

    @property
    def tail_bytes(self) -> int:
        """Bytes behind the last whole block: torn, or being written right now."""
        return max(self.path.stat().st_size - self._offset, 0)

    def blocks(self) -> Iterator[Block]:
        """Yield the whole blocks that were not yielded before."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                while not self._ended and (block := self._next(file)) is not None:
                    self._offset = file.tell()
                    self._sequence += 1
                    self._ended = block.kind is BlockKind.END
                    yield block
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror or error}") from error

    def _next(self, file: Any) -> Block | None:
        head = file.read(_BLOCK.size)
        if len(head) < _BLOCK.size:
            return None
        magic, sequence, monotonic_ns, utc_ns, kind, length = _BLOCK.unpack(head)
        if magic != BLOCK_MAGIC or sequence != self._sequence or length > MAX_PAYLOAD:
            return None
        payload = file.read(length)
        crc = file.read(_CRC.size)
        if len(payload) < length or len(crc) < _CRC.size:
            return None
        if _CRC.unpack(crc)[0] != zlib.crc32(payload, zlib.crc32(head, self._seed)):
            return None
        if (kind == BlockKind.HEADER) != (sequence == 0) or kind > BlockKind.END:
            return None
        return Block(sequence, monotonic_ns, utc_ns, BlockKind(kind), payload)


def header_of(reader: JournalReader) -> dict[str, Any]:
    """Return the header of a journal nothing was read from yet.

    Raises
    ------
    ArchiveError
        Its first block is torn or no header.
    """
    for block in reader.blocks():
        return block.json()
    raise ArchiveError(
        f"{reader.path}: the recording stopped before anything was kept",
        "nothing was acknowledged; the file may be removed",
    )


def frames_of(block: Block, channels: Sequence[str]) -> list[Frame]:
    """Return the frames of a block.

    Parameters
    ----------
    block : of kind FRAMES
    channels : of the header

    Raises
    ------
    ArchiveError
        The payload has a right checksum and is no run of frames all the same.
    """
    try:
        return list(unpacked(block.payload, channels))
    except (struct.error, zlib.error, IndexError, ValueError) as error:
        raise ArchiveError(
            f"journal block {block.sequence} does not hold frames",
            "it was not written by battlife",
        ) from error


def _json(facts: Mapping[str, object]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def _data_sync(descriptor: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # no other system lets a program wait for a folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: cannot be written: {error.strerror or error}",
        "everything acknowledged is kept: make room, then `battlife recover`",
    )
