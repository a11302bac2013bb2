"""A serial line as bytes: messages cut out of fragments, echoes and junk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from battlife.model import Frame

MAX_PENDING: Final = 1 << 12
"""Bytes kept while a message is not complete: more than any message of a BMS."""

Verdict = Literal["message", "wrong", "more", "no"]


@dataclass(frozen=True)
class Found:
    """What begins at the head of the bytes.

    Attributes
    ----------
    verdict : "message" complete and right; "wrong" shaped like one and not right;
        "more" may become one; "no" is none
    length : bytes of it, where it is complete
    why : what is wrong
    """

    verdict: Verdict
    length: int = 0
    why: str = ""


@dataclass(frozen=True)
class Piece:
    """One complete run of bytes.

    Attributes
    ----------
    time_s : s, of its last byte
    data : the bytes
    why : what is wrong with them, "" for a right message
    direction : "rx" or "tx", of the frame that completed it
    start : position of its first byte among those of its direction
    """

    time_s: float
    data: bytes
    why: str
    direction: str
    start: int = 0


class Line:
    """Cuts messages out of the bytes of each direction.

    Parameters
    ----------
    look : says what begins at the head of some bytes (never empty)

    Notes
    -----
    A wrong message gives up one byte only: a right one may begin inside it, where a
    byte was lost. Its remains are not told again until a right one has come.
    """

    def __init__(self, look: Callable[[bytes], Found]) -> None:
        self._look = look
        self._pending = {"rx": b"", "tx": b""}
        self._told = {"rx": False, "tx": False}
        self._start = {"rx": 0, "tx": 0}  # of what is pending
        self._time_s = 0.0

    def feed(self, frame: Frame) -> Iterator[Piece]:
        """Take the next bytes; yield what they complete."""
        if frame.identifier is not None or frame.kind != "data":
            return
        self._time_s = frame.time_s
        yield from self._cut(frame.direction, frame.data)

    def finish(self) -> Iterator[Piece]:
        """Yield what stands behind a message that the end left incomplete."""
        for direction in self._pending:
            while self._pending[direction]:
                self._start[direction] += 1
                rest, self._pending[direction] = self._pending[direction][1:], b""
                yield from self._cut(direction, rest)

    def _cut(self, direction: str, fresh: bytes) -> Iterator[Piece]:
        data = self._pending[direction] + fresh
        start = self._start[direction]
        at = 0
        while at < len(data):
            found = self._look(data[at : at + MAX_PENDING])
            if found.verdict == "more" and len(data) - at < MAX_PENDING:
                break
            raw = data[at : at + found.length]
            if found.verdict == "message":
                self._told[direction] = False
                yield Piece(self._time_s, raw, "", direction, start + at)
                at += found.length
                continue
            if found.verdict == "wrong" and not self._told[direction]:
                self._told[direction] = True
                yield Piece(self._time_s, raw, found.why, direction, start + at)
            at += 1
        self._pending[direction] = data[at:]
        self._start[direction] = start + at

    def rest(self) -> bytes:
        """Return the received bytes that the end left incomplete."""
        return self._pending["rx"]
