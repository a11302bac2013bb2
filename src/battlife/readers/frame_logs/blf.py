"""Vector BLF: objects in zlib containers, counted in the head of the file.

Source: the layout as the vector_blf and python-can projects publish it, as facts. The
head gives the size of the file and the number of objects, so what is missing is told;
a container has the checksum of zlib.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from battlife.model import Severity
from battlife.model.frame import (
    MAX_CAN_ID,
    MAX_EXTENDED_ID,
    Direction,
    Frame,
    FrameKind,
)
from battlife.readers.frame_logs.findings import BadRecord, Findings, LogReader
from battlife.readers.frame_logs.lines import CAN_BYTES, FD_LENGTHS

MAX_CONTAINER: Final = 64 << 20
"""Largest container, packed or unpacked; Vector writes 128 KiB."""
MAX_OBJECT: Final = 16 << 20
_HEAD: Final = struct.Struct("<4sL8xQQLL8H8H")
_BASE: Final = struct.Struct("<4sHHLL")
_PACKED: Final = struct.Struct("<H6xL4x")
_MARK: Final = b"LOBJ"
_TIME_AT: Final = {1: struct.Struct("<LHHQ"), 2: struct.Struct("<LBxHQ")}
_TEN_US: Final = 1

_CAN: Final = struct.Struct("<HBBL8s")
_CAN_FD: Final = struct.Struct("<HBBLLBBB5x64s")
_CAN_FD_64: Final = struct.Struct("<BBBBLLLLLLLHBBL")
_CONTAINER_TYPE: Final = 10
_RESTORE_POINTS: Final = 115
_CAN_TYPES: Final = frozenset({1, 86})
_ERROR_TYPES: Final = frozenset({2, 73, 104})
_FD_TYPE: Final = 100
_FD_64_TYPE: Final = 101
_EXTENDED: Final = 0x8000_0000
_REMOTE: Final = 0x80
_REMOTE_64: Final = 0x10
_FD_64: Final = 0x1000


def _read(file: BinaryIO, findings: Findings) -> Iterator[Frame]:
    size = os.fstat(file.fileno()).st_size
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise findings.refused(
            "the head of the BLF file is cut off", "get the whole file"
        )
    mark, head_size, file_size, _, announced, _, *times = _HEAD.unpack(head)
    if mark != b"LOGG" or not _HEAD.size <= head_size <= 4096:
        raise findings.refused("no head of a BLF file", "is it another format?")
    year, month, _, day, hour, minute, second, ms = times[:8]
    if year:
        findings.local_start(
            f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03}"
        )
    findings.starts_at(0)
    file.seek(head_size)
    objects = _Objects(findings)
    for where, block in _blocks(file, findings, size):
        yield from objects.frames(block, where)
        if objects.lost:
            break
    if objects.rest and not findings.damaged:
        findings.cut(
            "the last object is cut off", f"{len(objects.rest)} bytes are left"
        )
    if announced == 0 and objects.n:
        findings.count(
            "not_closed",
            "the log was not closed: what its logger still held is missing",
            f"{objects.n} objects are there, and the head counts none",
        )
    elif announced != objects.n:
        findings.cut(
            "the head counts another number of objects",
            f"{announced}, and {objects.n} are readable",
        )
    elif file_size != size:
        findings.count(
            "wrong_size",
            "the head gives another size of the file",
            f"{file_size} bytes, and it has {size}",
        )


def _blocks(
    file: BinaryIO, findings: Findings, size: int
) -> Iterator[tuple[int, bytes]]:
    """Yield the content of each container, or a bare object, and where it begins."""
    while True:
        where = file.tell()
        base = file.read(_BASE.size)
        if not base or not base.strip(b"\0"):
            return
        if len(base) < _BASE.size:
            findings.cut("a container is cut off", f"at byte {where} of {size}")
            return
        mark, _, _, length, kind = _BASE.unpack(base)
        if mark != _MARK or not _BASE.size <= length <= MAX_CONTAINER:
            _stop(findings, where, size, "no container begins there")
            return
        body = file.read(length - _BASE.size)
        if len(body) < length - _BASE.size:
            findings.cut("a container is cut off", f"at byte {where} of {size}")
            return
        if kind != _CONTAINER_TYPE:
            yield where, base + body + b"\0" * (length % 4)
        else:
            try:
                yield where, _unpacked(body)
            except BadRecord as error:
                _stop(findings, where, size, str(error))
                return
        file.seek(length % 4, os.SEEK_CUR)


def _stop(findings: Findings, where: int, size: int, why: str) -> None:
    findings.damage(
        "what follows the damage is not read",
        f"byte {where} of {size}, {why}",
        "damaged_rest",
    )


def _unpacked(body: bytes) -> bytes:
    if len(body) < _PACKED.size:
        raise BadRecord("the container is too short")
    method, length = _PACKED.unpack_from(body)
    content = body[_PACKED.size :]
    if length > MAX_CONTAINER:
        raise BadRecord(f"the container announces {length} bytes")
    if method == 0:
        data = content
    elif method == 2:
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(content, length + 1)
        except zlib.error as error:
            raise BadRecord(f"the container cannot be unpacked: {error}") from None
        if not unpacker.eof:
            raise BadRecord("the packed data has no end")
    else:
        raise BadRecord(f"the container is packed in an unknown way ({method})")
    if len(data) != length:
        raise BadRecord(f"the container holds {len(data)} bytes, not {length}")
    return data


class _Objects:
    """The objects of the containers; one may go over from one into the next."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self.rest = b""
        self.n = 0
        self.lost = False

    def frames(self, block: bytes, where: int) -> Iterator[Frame]:
        data = self.rest + block
        at = 0
        while True:
            begin = data.find(_MARK, at, at + 8)
            if begin < 0:
                if len(data) - at >= 8 and data[at : at + 8].strip(b"\0"):
                    self._lose(where)
                    return
                break
            if len(data) - begin < _BASE.size:
                break
            _, head_size, version, length, kind = _BASE.unpack_from(data, begin)
            if not _BASE.size <= length <= MAX_OBJECT:
                self._lose(where)
                return
            if begin + length > len(data):
                break
            at = begin + length
            if kind != _RESTORE_POINTS:
                self.n += 1
            try:
                frame = self._frame(data[begin:at], head_size, version, kind)
            except (BadRecord, struct.error) as error:
                self._findings.damage(
                    "objects that are no frames are left out",
                    f"in the container at byte {where}, {error}",
                )
                continue
            if frame is not None:
                yield frame
        self.rest = data[at:]

    def _lose(self, where: int) -> None:
        self.lost = True
        self._findings.damage(
            "what follows the damage is not read",
            f"no object begins where it should, in the container at byte {where}",
            "damaged_rest",
        )

    def _frame(
        self, whole: bytes, head_size: int, version: int, kind: int
    ) -> Frame | None:
        known = kind in _CAN_TYPES or kind in (_FD_TYPE, _FD_64_TYPE)
        if not known and kind not in _ERROR_TYPES:
            self._findings.count(
                "other_objects",
                "objects of another kind, which hold no CAN frame, are passed over",
                f"type {kind}",
                Severity.INFO,
            )
            return None
        if version not in _TIME_AT:
            raise BadRecord(f"object head of unknown version {version}")
        flags, *_, ticks = _TIME_AT[version].unpack_from(whole, _BASE.size)
        time_ns = ticks * 10_000 if flags == _TEN_US else ticks
        # An object says where its head ends; the plain one ends at 32.
        at = head_size if head_size >= 32 else 32
        if kind in _ERROR_TYPES:
            (channel,) = struct.unpack_from("<H", whole, at)
            time_s = self._findings.seconds(time_ns)
            return Frame(time_s, str(channel), "rx", b"", 0, kind="error")
        if kind in _CAN_TYPES:
            return self._can(time_ns, _CAN.unpack_from(whole, at))
        if kind == _FD_TYPE:
            return self._can_fd(time_ns, _CAN_FD.unpack_from(whole, at))
        return self._can_fd_64(time_ns, whole, at)

    def _can(self, time_ns: int, fields: tuple[int, int, int, int, bytes]) -> Frame:
        channel, flags, code, raw_id, data = fields
        kind: FrameKind = "remote" if flags & _REMOTE else "data"
        length = 0 if kind == "remote" else min(code, CAN_BYTES)
        sent = bool(flags & 1)
        return self._made(time_ns, channel, raw_id, data[:length], sent, False, kind)

    def _can_fd(
        self,
        time_ns: int,
        fields: tuple[int, int, int, int, int, int, int, int, bytes],
    ) -> Frame:
        channel, flags, code, raw_id, _, _, fd_flags, valid, data = fields
        kind: FrameKind = "remote" if flags & _REMOTE else "data"
        fd = bool(fd_flags & 1)
        length = 0 if kind == "remote" else _valid(valid, code, fd)
        sent = bool(flags & 1)
        return self._made(time_ns, channel, raw_id, data[:length], sent, fd, kind)

    def _can_fd_64(self, time_ns: int, whole: bytes, at: int) -> Frame:
        fields = _CAN_FD_64.unpack_from(whole, at)
        channel, code, valid, _, raw_id, _, flags = fields[:7]
        sent = fields[12] == 1
        kind: FrameKind = "remote" if flags & _REMOTE_64 else "data"
        fd = bool(flags & _FD_64)
        length = 0 if kind == "remote" else _valid(valid, code, fd)
        begin = at + _CAN_FD_64.size
        # More data of Vector's own may follow the bytes of the frame.
        end = fields[13] if begin <= fields[13] <= len(whole) else len(whole)
        data = whole[begin : min(begin + length, end)]
        if len(data) < length:
            self._findings.count(
                "bytes_left_out",
                "frames end before their length; Vector's library reads 00 there",
                f"{len(data)} bytes of {length}",
                Severity.INFO,
            )
            data = data.ljust(length, b"\0")
        return self._made(time_ns, channel, raw_id, data, sent, fd, kind)

    def _made(
        self,
        time_ns: int,
        channel: int,
        raw_id: int,
        data: bytes,
        sent: bool,
        fd: bool,
        kind: FrameKind,
    ) -> Frame:
        identifier = raw_id & MAX_EXTENDED_ID
        extended = bool(raw_id & _EXTENDED) or identifier > MAX_CAN_ID
        if raw_id & ~_EXTENDED != identifier or extended > bool(raw_id & _EXTENDED):
            self._findings.count(
                "odd_identifier",
                "identifiers with bits that no CAN frame has, or of 29 bits without "
                "their flag",
                f"{raw_id:X}",
            )
        direction: Direction = "tx" if sent else "rx"
        time_s = self._findings.seconds(time_ns)
        return Frame(
            time_s, str(channel), direction, data, identifier, extended, fd, kind
        )


def _valid(valid: int, code: int, fd: bool) -> int:
    if code > 15 or valid != (FD_LENGTHS[code] if fd else min(code, CAN_BYTES)):
        raise BadRecord(f"{valid} bytes of a length code {code}")
    return valid


READER: Final = LogReader(
    "vector_blf",
    "Vector BLF (CANoe, CANalyzer, python-can)",
    lambda head: head.startswith(b"LOGG"),
    _read,
)
