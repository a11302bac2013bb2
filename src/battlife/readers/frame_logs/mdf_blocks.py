"""The blocks of an MDF 4 file, and the byte streams that its data lists make.

Source: the block layout of ASAM MDF 4 as its public documentation and the asammdf
project describe it. Every length and link is checked against the file.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from battlife.errors import InputError
from battlife.readers.frame_logs.findings import BadRecord, Findings

MAX_META: Final = 1 << 20
"""Largest block that is not data."""
MAX_PACKED: Final = 64 << 20
MAX_BLOCKS: Final = 1 << 20
_HEAD: Final = struct.Struct("<4s4xQQ")
_DATA: Final = frozenset({b"##DT", b"##SD", b"##DV", b"##RD"})
_READ: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its kind, its links and its data."""

    kind: bytes
    links: tuple[int, ...]
    data: bytes

    def link(self, index: int) -> int:
        """Return a link, 0 where the block has none."""
        return self.links[index] if index < len(self.links) else 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a stream: bytes of the file, packed or not."""

    begin: int
    where: int
    packed: int
    length: int
    columns: int = -1


class Blocks:
    """Reads blocks of an open file."""

    def __init__(self, file: BinaryIO, findings: Findings, unfinished: bool) -> None:
        self._file = file
        self._findings = findings
        self._unfinished = unfinished
        self.size = os.fstat(file.fileno()).st_size

    def damaged(self, why: str) -> InputError:
        """Return the error that the structure cannot be followed."""
        return self._findings.refused(
            f"the MDF structure is damaged: {why}", "get the file again from its logger"
        )

    def at(self, where: int, *kinds: bytes) -> Block:
        """Return the block at a position, of one of the kinds."""
        kind, length, n_links = self._head(where)
        if kind not in kinds or length > MAX_META or 24 + 8 * n_links > length:
            raise self.damaged(f"no block of {kinds[0].decode()} at byte {where}")
        body = self._read(where + 24, length - 24)
        links = struct.unpack_from(f"<{n_links}Q", body)
        return Block(kind, links, body[8 * n_links :])

    def chain(self, where: int, kind: bytes) -> Iterator[tuple[int, Block]]:
        """Yield the blocks of a list; the first link of each is the next."""
        seen: set[int] = set()
        while where:
            if where in seen or len(seen) > MAX_BLOCKS:
                raise self.damaged(f"a list goes round at byte {where}")
            seen.add(where)
            block = self.at(where, kind)
            yield where, block
            where = block.link(0)

    def text(self, where: int) -> str:
        """Return the text of a TX block, "" for none."""
        if not where:
            return ""
        block = self.at(where, b"##TX", b"##MD")
        return block.data.split(b"\0", 1)[0].decode("utf-8", "replace")

    def stream(self, where: int) -> "Stream":
        """Return the bytes that a data link stands for."""
        pieces: list[_Piece] = []
        total = 0
        if where:
            for piece in self._pieces(where):
                placed = _Piece(
                    total, piece.where, piece.packed, piece.length, piece.columns
                )
                pieces.append(placed)
                total += piece.length
        return Stream(self._file, pieces, total)

    def _pieces(self, where: int) -> Iterator[_Piece]:
        kind, length, _ = self._head(where, data=True)
        if kind in _DATA:
            if self._unfinished and length <= 24 or where + length > self.size:
                if not self._unfinished:
                    self._findings.cut(
                        "the data is cut off",
                        f"{where + length - self.size} bytes are missing",
                    )
                length = self.size - where
            yield _Piece(0, where + 24, 0, length - 24)
        elif kind == b"##DZ":
            yield self._packed(where, length)
        elif kind == b"##HL":
            yield from self._pieces(self.at(where, b"##HL").link(0))
        elif kind == b"##DL":
            for _, block in self.chain(where, b"##DL"):
                for link in block.links[1:]:
                    if link:
                        if self._head(link, data=True)[0] in (b"##DL", b"##HL"):
                            raise self.damaged(f"a list in a list at byte {link}")
                        yield from self._pieces(link)
        else:
            raise self.damaged(f"no data at byte {where}")

    def _packed(self, where: int, length: int) -> _Piece:
        if length < 48 or where + length > self.size:
            raise self.damaged(f"packed data at byte {where} is cut off")
        head = self._read(where + 24, 24)
        method, columns, unpacked, packed = struct.unpack("<2xBxLQQ", head)
        if method > 1 or unpacked > MAX_PACKED or packed > length - 48:
            raise self.damaged(f"packed data at byte {where} of an unknown kind")
        return _Piece(0, where + 48, packed, unpacked, columns if method else 0)

    def _head(self, where: int, data: bool = False) -> tuple[bytes, int, int]:
        kind, length, n_links = _HEAD.unpack(self._read(where, _HEAD.size))
        if length < 24 or (not data and where + length > self.size):
            raise self.damaged(f"a block of {length} bytes at byte {where}")
        return kind, length, n_links

    def _read(self, where: int, length: int) -> bytes:
        if where + length > self.size:
            raise self.damaged(f"a link to byte {where} of {self.size}")
        self._file.seek(where)
        data = self._file.read(length)
        if len(data) < length:
            raise self.damaged(f"no {length} bytes at byte {where}")
        return data


class Stream:
    """Bytes made of pieces of a file; any part can be read."""

    def __init__(self, file: BinaryIO, pieces: list[_Piece], length: int) -> None:
        self._file = file
        self._pieces = pieces
        self.length = length
        self._at = 0
        self._open: _Piece | None = None
        self._content = b""

    def read(self, where: int, length: int) -> bytes:
        """Return up to `length` bytes from `where`.

        Raises
        ------
        BadRecord
            A packed piece cannot be unpacked.
        """
        found = bytearray()
        while len(found) < length and where < self.length:
            piece = self._piece(where)
            inside = where - piece.begin
            part = self._part(piece, inside, length - len(found))
            if not part:
                break
            found += part
            where += len(part)
        return bytes(found)

    def _piece(self, where: int) -> _Piece:
        if where < self._pieces[self._at].begin:
            self._at = 0
        while True:
            piece = self._pieces[self._at]
            if where < piece.begin + piece.length:
                return piece
            self._at += 1

    def _part(self, piece: _Piece, inside: int, length: int) -> bytes:
        if piece.columns >= 0:
            if self._open is not piece:
                self._open, self._content = piece, b""
                self._file.seek(piece.where)
                self._content = _unpacked(self._file.read(piece.packed), piece)
            return self._content[inside : inside + length]
        self._file.seek(piece.where + inside)
        return self._file.read(min(length, piece.length - inside))


def _unpacked(packed: bytes, piece: _Piece) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, piece.length + 1)
    except zlib.error as error:
        raise BadRecord(f"packed data cannot be unpacked: {error}") from None
    if len(data) != piece.length or not unpacker.eof:
        raise BadRecord("packed data has another length than announced")
    if piece.columns > 1:
        rows = len(data) // piece.columns
        body = data[: rows * piece.columns]
        turned = bytearray(len(body))
        for column in range(piece.columns):
            turned[column :: piece.columns] = body[column * rows : (column + 1) * rows]
        data = bytes(turned) + data[rows * piece.columns :]
    return data


class Run:
    """A stream read front to back, some records at a time."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._where = 0
        self._buffer = b""
        self._at = 0

    @property
    def where(self) -> int:
        """Position of the next byte in the stream."""
        return self._where - len(self._buffer) + self._at

    def take(self, length: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        if self._at + length > len(self._buffer):
            more = self._stream.read(self._where, max(_READ, length))
            self._where += len(more)
            self._buffer = self._buffer[self._at :] + more
            self._at = 0
        data = self._buffer[self._at : self._at + length]
        self._at += len(data)
        return data
