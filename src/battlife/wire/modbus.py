"""Modbus RTU overheard: which answer belongs to which read.

An answer does not say what was asked, so the requests on the line must be known: sent
by this side, echoed by the adapter, or sent by another master. Messages are found by
length and CRC wherever they begin; everything else is junk.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from battlife.errors import ProtocolError
from battlife.model import Frame, Reading, Rejected, Request
from battlife.wire._ev import Said
from battlife.wire._modbus_heard import Heard
from battlife.wire.modbus_messages import (
    ERROR,
    EXCEPTIONS,
    LONGEST,
    WRITES,
    Answer,
    Read,
    lengths,
    request_in,
)

ANSWER_WITHIN_S: Final = 30.0
"""A request older than this is answered no more."""
LATE_WITHIN_S: Final = 5.0
"""A request followed by another within this may still be the one that is answered."""
MOST_ASKED: Final = 16
"""Requests that may wait for their answers, of all units together."""
_SLICE: Final = 256  # bytes looked at in one go, however many a frame has


@dataclass(frozen=True)
class Block:
    """Registers or bits that a device's protocol knows.

    Attributes
    ----------
    name : of the message, and of the request for it
    function, start, count : the read that asks for it
    says : gives what an answer says, by register; it must take reads of other spans
        too; raises ProtocolError
    stop : one past the last register known, where that is more than is asked for
    every_s, timeout_s : as of :class:`Request`
    """

    name: str
    function: int
    start: int
    count: int
    says: Callable[[Answer], Said]
    stop: int = 0
    every_s: float = 0.0
    timeout_s: float = 0.5

    def read(self, unit: int) -> Read:
        """Return the read that asks a unit for it."""
        return Read(unit, self.function, self.start, self.count)

    def request(self, unit: int) -> Request:
        """Return the request that asks a unit for it."""
        return Request(
            self.name,
            self.read(unit).data,
            timeout_s=self.timeout_s,
            every_s=self.every_s,
        )

    def covers(self, read: Read) -> bool:
        """Say whether a read has registers of the block."""
        stop = max(self.stop, self.start + self.count)
        return (
            read.function == self.function
            and read.start < stop
            and read.start + read.count > self.start
        )


def _never(unit: int, function: int, data: bytes) -> Read | None:
    return None


@dataclass(frozen=True)
class _Asked:
    read: Read
    time_s: float


@dataclass
class ModbusDecoder:
    """Decodes what the units of one line answer.

    Parameters
    ----------
    blocks : what is known of the registers
    assumed : unit, function and data of a sound answer whose request was not heard;
        gives the read it can only be the answer to, or None
    """

    blocks: Sequence[Block]
    assumed: Callable[[int, int, bytes], Read | None] = _never
    _asked: list[_Asked] = field(default_factory=list)
    _sent: bytearray = field(default_factory=bytearray)
    _heard: Heard = field(default_factory=Heard)
    _rejected: bool = False  # the answer to the latest request already

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next bytes; return what they complete."""
        if frame.kind != "data" or frame.identifier is not None:
            return
        if frame.direction == "tx":
            # Half duplex: an answer that has not ended yet was cut off.
            yield from self._cut_off(frame.time_s)
            self._send(frame)
            return
        for at in range(0, len(frame.data), _SLICE):
            self._heard.add(frame.data[at : at + _SLICE])
            yield from self._scan(frame.time_s)

    def finish(self) -> Iterator[Reading | Rejected]:
        """Return what the end of the bytes leaves cut off."""
        time_s = self._asked[-1].time_s if self._asked else 0.0
        yield from self._cut_off(time_s)

    def _send(self, frame: Frame) -> None:
        """Learn the requests this side sends, in however many pieces."""
        sent = self._sent
        sent += frame.data
        at = 0
        while len(sent) - at >= 8:
            read = request_in(bytes(sent[at : at + 8]))
            if read is None:
                at += 1
                continue
            self._ask(read, frame.time_s)
            at += 8
        del sent[:at]

    def _ask(self, read: Read, time_s: float) -> None:
        kept = [
            a
            for a in self._asked
            if a.read != read and 0 <= time_s - a.time_s <= ANSWER_WITHIN_S
        ]
        self._asked = [*kept[1 - MOST_ASKED :], _Asked(read, time_s)]
        self._rejected = False

    def _scan(self, time_s: float) -> Iterator[Reading | Rejected]:
        while (found := self._first_message()) is not None:
            at, message = found
            yield from self._damaged(at, time_s)
            self._heard.drop(at + len(message))
            self._heard.unchecked()
            yield from self._take(message, time_s)
        yield from self._damaged(len(self._heard), time_s)
        self._heard.checked()
        self._forget()

    def _first_message(self) -> tuple[int, bytes] | None:
        """Return the first sound message and where it begins."""
        for at, message in self._heard.messages():
            if self._stands_alone(message, at):
                return at, message
        return None

    def _stands_alone(self, message: bytes, at: int) -> bool:
        """Say whether a sound message is no accident within an answer still to end.

        Among the registers of an answer, five to eight bytes can have a CRC that fits
        by chance. So there only what somebody asked for counts.
        """
        if request_in(message) is not None or self._fitting(message):
            return True
        heard, asked = self._heard.data, [a.read for a in self._asked]
        if message[1] & ERROR and any(
            (read.unit, read.function) == (message[0], message[1] & ~ERROR)
            for read in asked
        ):
            return True
        for read in asked:
            unended = max(0, len(heard) - 4 - read.n_bytes)
            if heard.find(_head(read), unended, at + 2) >= 0:
                return False
        return True

    def _take(self, message: bytes, time_s: float) -> list[Reading | Rejected]:
        unit, function = message[0], message[1]
        if function & ERROR:
            return [self._refusal(message, time_s)]
        if function in WRITES:
            return []
        fitting = self._fitting(message)
        read = request_in(message)
        if read is not None and (not fitting or read in {a.read for a in self._asked}):
            self._ask(read, time_s)
            return []
        if len(message) != 5 + message[2]:
            return []  # asks for more than an answer can hold
        if not fitting:
            assumed = self.assumed(unit, function, message[3:-2])
            if assumed is None:
                return [self._unasked(message, time_s)]
            return self._said(Answer(assumed, message[3:-2]), message, time_s)
        self._asked = [a for a in self._asked if a not in fitting]
        fresh = [a for a in fitting if time_s - a.time_s <= ANSWER_WITHIN_S]
        if not fresh:
            return [self._unasked(message, time_s)]
        asked_s = fresh[-1].time_s
        rivals = [a for a in fresh if asked_s - a.time_s <= LATE_WITHIN_S]
        if len(rivals) > 1:
            error = ProtocolError(
                f"unit {unit} was asked for {len(rivals)} blocks of "
                f"{len(message) - 5} bytes and answered once",
                "ask slower, so that a late answer is not taken for the next one",
            )
            name = self._name(fresh[-1].read)
            return [Rejected(time_s, str(unit), error, message, name)]
        return self._said(Answer(fresh[-1].read, message[3:-2]), message, time_s)

    def _fitting(self, message: bytes) -> list[_Asked]:
        """Return the requests that an answer could belong to."""
        return [
            a
            for a in self._asked
            if (a.read.unit, a.read.function) == (message[0], message[1])
            and len(message) == 5 + message[2]
            and a.read.n_bytes == message[2]
        ]

    def _said(
        self, answer: Answer, raw: bytes, time_s: float
    ) -> list[Reading | Rejected]:
        items: list[Reading | Rejected] = []
        read, device = answer.read, str(answer.read.unit)
        for block in self.blocks:
            if not block.covers(read):
                continue
            try:
                said = block.says(answer)
            except ProtocolError as error:
                items.append(Rejected(time_s, device, error, raw, block.name))
                continue
            values = {k: v for k, v in said.values.items() if v is not None}
            if values or block.read(read.unit) == read:
                items.append(
                    Reading(
                        time_s, device, block.name, values, raw, notices=said.notices
                    )
                )
        return items

    def _refusal(self, message: bytes, time_s: float) -> Rejected:
        unit, function, code = message[0], message[1] & ~ERROR, message[2]
        name = ""
        for asked in reversed(self._asked):
            if (asked.read.unit, asked.read.function) == (unit, function):
                name = self._name(asked.read)
                self._asked.remove(asked)
                break
        error = ProtocolError(
            f"unit {unit} refuses function {function}: exception {code}, "
            + EXCEPTIONS.get(code, "of an unknown meaning"),
            "is it this family of battery, with a firmware that has the registers?",
        )
        return Rejected(time_s, str(unit), error, message, name)

    def _unasked(self, message: bytes, time_s: float) -> Rejected:
        error = ProtocolError(
            f"an answer of unit {message[0]} with {message[2]} bytes, and no request "
            "for it was heard",
            "record both directions: the answer alone does not say what it holds",
        )
        return Rejected(time_s, str(message[0]), error, message)

    def _damaged(self, stop: int, time_s: float) -> Iterator[Rejected]:
        """Tell that the answer awaited is there, before `stop`, with a wrong CRC."""
        if self._rejected or not self._asked:
            return
        read = self._asked[-1].read
        at = self._heard.data.find(_head(read), 0, stop)
        end = at + 5 + read.n_bytes
        if at < 0 or end > len(self._heard):
            return
        # It is not sound: sound messages are taken first.
        self._rejected = True
        error = ProtocolError(
            f"the answer of unit {read.unit} has a wrong CRC",
            "check wiring, termination and baud rate",
        )
        raw = bytes(self._heard.data[at:end])
        yield Rejected(time_s, str(read.unit), error, raw, self._name(read))

    def _cut_off(self, time_s: float) -> Iterator[Rejected]:
        heard = bytes(self._heard.data)
        self._heard.drop(len(heard))
        if self._rejected or not self._asked:
            return
        read = self._asked[-1].read
        at = heard.find(_head(read))
        if at < 0:
            return
        self._rejected = True
        error = ProtocolError(
            f"the answer of unit {read.unit} ends after {len(heard) - at} of "
            f"{5 + read.n_bytes} bytes",
            "check the wiring; a shorter cable or a lower load on the host may help",
        )
        yield Rejected(time_s, str(read.unit), error, heard[at:], self._name(read))

    def _forget(self) -> None:
        """Drop the bytes in which no message can begin any more."""
        heard = self._heard.data
        for at in range(max(0, len(heard) - LONGEST), len(heard)):
            if any(at + n > len(heard) for n in lengths(heard, at)):
                break
        else:
            at = len(heard)
        self._heard.drop(at)

    def _name(self, read: Read) -> str:
        for block in self.blocks:
            if block.read(read.unit) == read:
                return block.name
        return next((b.name for b in self.blocks if b.covers(read)), "")


def _head(read: Read) -> bytes:
    return bytes([read.unit, read.function, read.n_bytes])
