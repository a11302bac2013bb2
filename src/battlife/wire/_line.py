"""A serial line as bytes: messages cut out of fragments, echoes and junk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from battlife.model import Direction, Frame

MAX_PENDING: Final = 1 << 12
"""Bytes kept while a message is not complete: more than any message of a BMS."""
LONGEST_PAUSE_S: Final = 2.0
"""A message whose next byte is later than this was cut off: at 2400 baud, the slowest
in use, the longest takes 0.4 s."""

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


@dataclass
class _Bytes:
    """The bytes of one direction that are not cut yet."""

    pending: bytes = b""
    start: int = 0  # position of the first of them
    time_s: float = 0.0  # of the last of them
    told: bool = False  # a wrong message was handed out, no right one since


@dataclass
class Line:
    """Cuts messages out of the bytes of each direction.

    Parameters
    ----------
    look : says what begins at the head of some bytes (never empty)
    first : the only byte that messages begin with, None if there are several

    Notes
    -----
    A wrong message gives up one byte only: a right one may begin inside it, where a
    byte was lost. Its remains are not told again until a right one has come. What looks
    like the beginning of a message is given up as soon as a whole one stands behind it.
    """

    look: Callable[[bytes], Found]
    first: int | None = None
    _received: _Bytes = field(default_factory=_Bytes)
    _sent: _Bytes = field(default_factory=_Bytes)

    def feed(self, frame: Frame) -> Iterator[Piece]:
        """Take the next bytes; yield what they complete."""
        if frame.identifier is not None or frame.kind != "data":
            return
        mine = self._received if frame.direction == "rx" else self._sent
        if frame.time_s - mine.time_s > LONGEST_PAUSE_S:
            yield from self._cut_off(mine, frame.direction)
        mine.time_s = frame.time_s
        mine.pending += frame.data
        yield from self._cut(mine, frame.direction)

    def finish(self) -> Iterator[Piece]:
        """Yield what stands behind a message that the end left incomplete."""
        yield from self._cut_off(self._received, "rx")
        yield from self._cut_off(self._sent, "tx")

    def _cut_off(self, mine: _Bytes, direction: Direction) -> Iterator[Piece]:
        """Give up the message that is incomplete; yield those behind its head."""
        while mine.pending:
            mine.pending = mine.pending[1:]
            mine.start += 1
            yield from self._cut(mine, direction)

    def _cut(self, mine: _Bytes, direction: Direction) -> Iterator[Piece]:
        data, start, at = mine.pending, mine.start, 0
        while at < len(data):
            if self.first is not None and data[at] != self.first:
                at = data.find(self.first, at)
                if at < 0:
                    at = len(data)
                continue
            found = self.look(data[at : at + MAX_PENDING])
            if found.verdict == "more" and len(data) - at < MAX_PENDING:
                behind = self._whole_behind(data, at)
                if behind is None:
                    break
                at = behind
                continue
            raw = data[at : at + found.length]
            if found.verdict == "message":
                mine.told = False
                yield Piece(mine.time_s, raw, "", direction, start + at)
                at += found.length
                continue
            if found.verdict == "wrong" and not mine.told:
                mine.told = True
                yield Piece(mine.time_s, raw, found.why, direction, start + at)
            at += 1
        mine.pending, mine.start = data[at:], start + at

    def _whole_behind(self, data: bytes, at: int) -> int | None:
        """Return where a whole message begins behind a head, None if none does."""
        for i in range(at + 1, len(data)):
            if self.first is not None and data[i] != self.first:
                continue
            if self.look(data[i:]).verdict == "message":
                return i
        return None
