"""ISO-TP heard from the side: whole payloads out of the frames of a bus.

Nothing is sent: the requester (drivers) takes part in the conversation, this only
listens to it, live or in a log. A payload is given only if every one of its bytes was
seen in order; anything else is given as broken, once.

References
----------
ISO 15765-2:2016, 9.6 (protocol control information), 9.8 (timing).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from battlife.errors import ProtocolError
from battlife.model import Direction, Frame

MAX_PAYLOAD: Final = 4095
"""The most a first frame without escape announces; no answer of a battery is longer,
so a longer announcement is refused rather than waited for."""
NEXT_SEGMENT_S: Final = 2.0
"""A consecutive frame that comes later belongs to nothing. The standard gives up after
1 s (N_Cr); loggers stamp late."""
CLASSIC: Final = 8
"""Bytes of a full CAN frame."""
_OVERFLOW: Final = 2


@dataclass(frozen=True, slots=True)
class Payload:
    """A whole message.

    Attributes
    ----------
    time_s : s, of its last frame
    identifier : CAN identifier it came with, None where a capture gives only payloads
    extended : True for a 29-bit identifier
    direction : of its frames
    data : the payload
    """

    time_s: float
    identifier: int | None
    extended: bool
    direction: Direction
    data: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """A message that cannot be put together.

    Attributes
    ----------
    time_s : s, when that was seen
    identifier : CAN identifier of its frames
    data : what was seen of it
    error : what is wrong
    """

    time_s: float
    identifier: int | None
    data: bytes
    error: ProtocolError


@dataclass
class _Stream:
    """Frames of one identifier."""

    expected: int = 0  # bytes of the message; 0 between messages
    got: bytearray = field(default_factory=bytearray)
    sequence: int = 0  # number of the next consecutive frame
    frame_bytes: int = CLASSIC  # length of a full frame of this message
    time_s: float = 0.0
    told: bool = False  # what continues without a beginning was given already


class Reassembler:
    """Puts segmented messages together.

    Parameters
    ----------
    pairs : identifier of the requests and of the answers, and whether they are of 29
        bits; everything else is ignored
    """

    def __init__(self, pairs: Iterable[tuple[int, int, bool]]) -> None:
        self._streams: dict[tuple[int, bool], _Stream] = {}
        self._peer: dict[tuple[int, bool], tuple[int, bool]] = {}
        for request, answer, extended in pairs:
            self._peer[request, extended] = (answer, extended)
            self._peer[answer, extended] = (request, extended)

    def feed(self, frame: Frame) -> Sequence[Payload | Broken]:
        """Take the next frame of the bus; return what it completes or breaks."""
        if frame.identifier is None or frame.kind != "data" or not frame.data:
            return ()
        key = (frame.identifier, frame.extended)
        if key not in self._peer:
            return ()
        if len(frame.data) > CLASSIC and not frame.fd:
            # No CAN frame is that long: a capture gives payloads put together before.
            return (_payload(frame, frame.data),)
        stream = self._streams.setdefault(key, _Stream())
        kind = frame.data[0] >> 4
        if kind == 0:
            return (*_dropped(stream, frame, "another message began"), _single(frame))
        if kind == 1:
            broken = _dropped(stream, frame, "another message began")
            refused = _begin(stream, frame)
            return broken if refused is None else (*broken, refused)
        if kind == 2:
            return _continued(stream, frame)
        if kind == 3:
            return self._flow_control(key, frame)
        return (*_dropped(stream, frame, "a frame of no ISO-TP kind"),)

    def finish(self) -> Sequence[Broken]:
        """Return the messages that the end of the frames cuts off."""
        broken = []
        for (identifier, _), stream in self._streams.items():
            if stream.expected:
                broken.append(
                    Broken(
                        stream.time_s,
                        identifier,
                        bytes(stream.got),
                        _unfinished(stream, "the frames end"),
                    )
                )
                stream.expected = 0
        return broken

    def _flow_control(self, key: tuple[int, bool], frame: Frame) -> Sequence[Broken]:
        other = self._peer[key]
        stream = self._streams.get(other)
        if stream is None or not stream.expected:
            return ()
        if frame.data[0] & 0xF == _OVERFLOW:
            return _dropped(stream, frame, "the receiver refused it", other[0])
        stream.time_s = frame.time_s  # "wait" and "go on" both give it time
        return ()


def _single(frame: Frame) -> Payload | Broken:
    length, start = frame.data[0] & 0xF, 1
    if length == 0 and frame.fd and len(frame.data) > CLASSIC:
        length, start = frame.data[1], 2
    if length == 0 or length > len(frame.data) - start:
        return _broken(
            frame,
            frame.data[1:],
            f"a single frame of {len(frame.data)} bytes announces {length}",
        )
    return _payload(frame, frame.data[start : start + length])


def _begin(stream: _Stream, frame: Frame) -> Broken | None:
    data = frame.data
    if len(data) < CLASSIC:
        return _broken(frame, data[2:], f"a first frame of {len(data)} bytes")
    length, start = (data[0] & 0xF) << 8 | data[1], 2
    if length == 0:
        length, start = int.from_bytes(data[2:6], "big"), 6
    stream.told = True  # what continues a refused message is part of it
    if length > MAX_PAYLOAD:
        return _broken(
            frame, data[start:], f"{length} bytes announced, {MAX_PAYLOAD} at most"
        )
    if length <= len(data) - start:
        return _broken(
            frame, data[start:], f"{length} bytes announced fit a single frame"
        )
    stream.expected = length
    stream.got = bytearray(data[start:])
    stream.sequence = 1
    stream.frame_bytes = len(data)
    stream.time_s = frame.time_s
    return None


def _continued(stream: _Stream, frame: Frame) -> Sequence[Payload | Broken]:
    number = frame.data[0] & 0xF
    if not stream.expected:
        if stream.told:
            return ()
        stream.told = True
        return (_broken(frame, frame.data[1:], "its beginning was not seen"),)
    if abs(frame.time_s - stream.time_s) > NEXT_SEGMENT_S:
        wait_s = frame.time_s - stream.time_s
        return _dropped(stream, frame, f"the next frame came after {wait_s:.3g} s")
    if number != stream.sequence:
        return _dropped(
            stream, frame, f"frame {number} came where {stream.sequence} was due"
        )
    missing = stream.expected - len(stream.got)
    part = frame.data[1:]
    if len(part) < min(missing, stream.frame_bytes - 1):
        return _dropped(stream, frame, f"frame {number} is {len(frame.data)} bytes")
    stream.got += part[:missing]
    stream.sequence = (number + 1) & 0xF
    stream.time_s = frame.time_s
    if len(stream.got) < stream.expected:
        return ()
    stream.expected = 0
    stream.told = False
    return (_payload(frame, bytes(stream.got)),)


def _dropped(
    stream: _Stream, frame: Frame, why: str, identifier: int | None = None
) -> tuple[Broken, ...]:
    """Give up the message of a stream, if there is one."""
    if not stream.expected:
        return ()
    error = _unfinished(stream, why)
    seen = bytes(stream.got)
    stream.expected = 0
    stream.told = True
    return (Broken(frame.time_s, identifier or frame.identifier, seen, error),)


def _unfinished(stream: _Stream, why: str) -> ProtocolError:
    return ProtocolError(
        f"{len(stream.got)} of {stream.expected} bytes of a message: {why}",
        "were frames lost, or do two testers ask at once?",
    )


def _payload(frame: Frame, data: bytes) -> Payload:
    return Payload(
        frame.time_s, frame.identifier, frame.extended, frame.direction, bytes(data)
    )


def _broken(frame: Frame, data: bytes, why: str) -> Broken:
    error = ProtocolError(f"{why} (ISO-TP)", "were frames lost or cut?")
    return Broken(frame.time_s, frame.identifier, bytes(data), error)
