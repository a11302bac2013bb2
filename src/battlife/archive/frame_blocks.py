"""Frames packed into the payload of a journal block, and back.

A deflated run: base time and count, then per frame its distance from the base in us,
channel, flags, length, identifier if it has one, data (docs/formats.md).
"""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, get_args

from battlife.model import Frame
from battlife.model.frame import FrameKind

RUN_BYTES: Final = 256 << 10
"""A run is closed when it has this many bytes."""
MAX_INFLATED: Final = 2 << 20
MAX_DATA: Final = 0xFFFF
LEVEL: Final = 1
"""Deflate level: a full CAN bus shrinks to a third at some ms per second of bus."""
_BASE: Final = struct.Struct("<qI")
_FRAME: Final = struct.Struct("<iBBH")
_ID: Final = struct.Struct("<I")
_KINDS: Final = get_args(FrameKind)
_MAX_DELTA_US: Final = (1 << 31) - 1


def largest(frame: Frame) -> int:
    """Return how many bytes a frame takes before it is deflated, at most."""
    return _FRAME.size + _ID.size + len(frame.data)


def packed(
    frames: Sequence[Frame], channel_index: Mapping[str, int]
) -> Iterator[bytes]:
    """Yield the payloads of as many blocks as the time span and size need.

    Times are kept in whole us.
    """
    parts: list[bytes] = []
    size = 0
    base = 0
    for frame in frames:
        if len(frame.data) > MAX_DATA:
            raise ValueError(f"a frame of {len(frame.data)} bytes")
        at_us = round(frame.time_s * 1e6)
        if parts and (abs(at_us - base) > _MAX_DELTA_US or size >= RUN_BYTES):
            yield _deflated(base, parts)
            parts, size = [], 0
        if not parts:
            base = at_us
        flags = (
            (frame.direction == "tx")
            | frame.extended << 1
            | frame.fd << 2
            | (frame.identifier is not None) << 3
            | _KINDS.index(frame.kind) << 4
        )
        part = _FRAME.pack(
            at_us - base, channel_index[frame.channel], flags, len(frame.data)
        )
        if frame.identifier is not None:
            part += _ID.pack(frame.identifier)
        parts.append(part + frame.data)
        size += len(parts[-1])
    if parts:
        yield _deflated(base, parts)


def _deflated(base_us: int, parts: Sequence[bytes]) -> bytes:
    return zlib.compress(_BASE.pack(base_us, len(parts)) + b"".join(parts), LEVEL)


def unpacked(payload: bytes, channels: Sequence[str]) -> Iterator[Frame]:
    """Yield the frames of a payload.

    Raises
    ------
    struct.error, zlib.error, IndexError, ValueError
        It is no such run, or one that inflates beyond what any run has.
    """
    content = _inflated(payload)
    base_us, count = _BASE.unpack_from(content)
    at = _BASE.size
    for _ in range(count):
        delta_us, channel, flags, length = _FRAME.unpack_from(content, at)
        at += _FRAME.size
        identifier = None
        if flags & 8:
            identifier = _ID.unpack_from(content, at)[0]
            at += _ID.size
        if at + length > len(content):
            raise ValueError("a frame is longer than its block")
        yield Frame(
            (base_us + delta_us) / 1e6,
            channels[channel],
            "tx" if flags & 1 else "rx",
            content[at : at + length],
            identifier,
            bool(flags & 2),
            bool(flags & 4),
            _KINDS[flags >> 4 & 3],
        )
        at += length
    if at != len(content):
        raise ValueError("bytes behind the last frame")


def _inflated(payload: bytes) -> bytes:
    inflate = zlib.decompressobj()
    content = inflate.decompress(payload, MAX_INFLATED)
    if not inflate.eof or inflate.unused_data:
        raise ValueError("not one deflated run of bounded size")
    return content
