"""Batteries that are Modbus RTU servers: blocks of registers and what they say."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from battlife.errors import ProtocolError
from battlife.model import Frame, Notice, Reading, Rejected, Request, Value
from battlife.wire.modbus import (
    READ_COILS,
    READ_DISCRETE,
    Answer,
    Ask,
    Dialogue,
    Failure,
)

_BITS: Final = frozenset({READ_COILS, READ_DISCRETE})


@dataclass(frozen=True)
class Said:
    """What a block says.

    Attributes
    ----------
    values : by name; None leaves the name out
    notices : what is odd about it
    """

    values: Mapping[str, Value | None]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Block:
    """Registers or bits that belong together and are read at once.

    Attributes
    ----------
    name : of the message and of its request
    function, start, count : see :class:`Ask`
    says : gives what an answer says; raises ProtocolError if it cannot be right
    alone : no other answer of the family has its length, so it is understood where no
        request was seen
    every_s : s between two requests
    """

    name: str
    function: int
    start: int
    count: int
    says: Callable[[Answer], Said]
    alone: bool = False
    every_s: float = 0.0

    def ask(self, unit: int) -> Ask:
        """Return what is asked of a unit."""
        return Ask(unit, self.function, self.start, self.count)

    def request(self, unit: int, *, timeout_s: float = 0.5) -> Request:
        """Return the request to a unit."""
        return Request(
            self.name,
            self.ask(unit).data,
            timeout_s=timeout_s,
            gap_s=0.05,
            every_s=self.every_s,
        )


class BlockDecoder:
    """Turns the answers of a line into readings, of every unit on it.

    Parameters
    ----------
    blocks : what the family can be asked for
    odd_lengths : see :class:`Dialogue`
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        odd_lengths: Mapping[tuple[int, int], int] | None = None,
    ) -> None:
        self._blocks = tuple(blocks)
        assumed = {
            (b.function, b.ask(0).n_bytes): (b.start, b.count)
            for b in blocks
            if b.alone
        }
        odd = odd_lengths or {}
        for (function, written), really in odd.items():
            if (function, really) in assumed:
                assumed[function, written] = assumed[function, really]
        self._dialogue = Dialogue(assumed, odd)
        self._time_s = 0.0

    def feed(self, frame: Frame) -> Iterable[Reading | Rejected]:
        """Take the next bytes of the line."""
        self._time_s = frame.time_s
        for item in self._dialogue.feed(frame):
            yield from self._said(item)

    def finish(self) -> Iterable[Reading | Rejected]:
        """Return what the end of the frames cut off."""
        for item in self._dialogue.finish(self._time_s):
            yield from self._said(item)

    def _said(self, item: Answer | Failure) -> Iterator[Reading | Rejected]:
        if isinstance(item, Failure):
            name = self._name(item.ask) if item.ask is not None else ""
            yield Rejected(item.time_s, str(item.unit), item.error, item.raw, name)
            return
        for block in self._blocks:
            part = _part(item, block)
            if part is not None:
                yield _reading(block, part)

    def _name(self, ask: Ask) -> str:
        for block in self._blocks:
            if block.ask(ask.unit) == ask:
                return block.name
        return ""


def _part(answer: Answer, block: Block) -> Answer | None:
    """Return a block's part of an answer, None if it is not all in there."""
    ask, at = answer.ask, block.start - answer.ask.start
    if ask.function != block.function or not 0 <= at <= ask.count - block.count:
        return None
    own = block.ask(ask.unit)
    if own == ask:
        return answer
    if ask.function in _BITS:
        value = int.from_bytes(answer.data, "little") >> at
        data = (value & (1 << block.count) - 1).to_bytes(own.n_bytes, "little")
    else:
        data = answer.data[2 * at : 2 * (at + block.count)]
    return Answer(answer.time_s, own, data, answer.raw)


def _reading(block: Block, answer: Answer) -> Reading | Rejected:
    device = str(answer.ask.unit)
    try:
        said = block.says(answer)
    except ProtocolError as error:
        return Rejected(answer.time_s, device, error, answer.raw, block.name)
    values = {k: v for k, v in said.values.items() if v is not None}
    return Reading(
        answer.time_s, device, block.name, values, answer.raw, notices=said.notices
    )
