"""Modbus RTU overheard: which answer belongs to which read.

An answer does not say what was asked, so the requests on the line must be known: sent
by this side, echoed by the adapter, or sent by another master. Messages are found by
length and CRC wherever they begin; everything else is junk.

References
----------
Modbus Application Protocol V1.1b3, 6.1 to 6.4 and 7; Modbus over Serial Line V1.02.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from battlife.errors import ProtocolError
from battlife.model import Frame, Reading, Rejected, Request
from battlife.wire._ev import Said
from battlife.wire.checksums import crc16_modbus

READ_COILS: Final = 1
READ_HOLDING: Final = 3
READ_INPUT: Final = 4

ANSWER_WITHIN_S: Final = 5.0
"""A request older than this is answered no more."""
MOST_ASKED: Final = 16
"""Requests that may wait for their answers, of all units together."""
MOST_WORDS: Final = 125
MOST_BITS: Final = 2000

_BIT_READS: Final = frozenset({1, 2})
_READS: Final = frozenset({1, 2, 3, 4})
_FIXED_WRITES: Final = frozenset({5, 6, 15, 16})
_ERROR: Final = 0x80
_LONGEST: Final = 5 + 255

_EXCEPTIONS: Final = {
    1: "it does not know the function",
    2: "it does not have these registers",
    3: "it does not take this number of registers",
    4: "it failed while reading them",
    5: "it needs longer",
    6: "it is busy",
    8: "its memory is damaged",
    10: "the gateway has no path to it",
    11: "the gateway got no answer from it",
}


@dataclass(frozen=True)
class Read:
    """A request for registers or bits.

    Attributes
    ----------
    unit : address of the device
    function : 1 or 2 for bits, 3 or 4 for registers
    start : first register or bit
    count : how many
    """

    unit: int
    function: int
    start: int
    count: int

    @property
    def n_bytes(self) -> int:
        """Bytes of data in the answer."""
        return (self.count + 7) // 8 if self.function in _BIT_READS else 2 * self.count

    @property
    def data(self) -> bytes:
        """The request as it is sent."""
        return with_crc(
            bytes([self.unit, self.function])
            + self.start.to_bytes(2, "big")
            + self.count.to_bytes(2, "big")
        )


@dataclass(frozen=True)
class Answer:
    """Registers or bits that were read, by their addresses.

    Every method returns None for what the read did not cover.

    Attributes
    ----------
    read : what was asked
    data : of the answer, without header and CRC
    """

    read: Read
    data: bytes

    def u16(self, at: int) -> int | None:
        """Return a register as an unsigned number."""
        return self._number(at, 1)

    def s16(self, at: int) -> int | None:
        """Return a register in two's complement."""
        raw = self._number(at, 1)
        return None if raw is None else raw - ((raw & 0x8000) << 1)

    def u32(self, at: int) -> int | None:
        """Return two registers as an unsigned number, high word first."""
        return self._number(at, 2)

    def u32_low_first(self, at: int) -> int | None:
        """Return two registers as an unsigned number, low word first."""
        raw = self._number(at, 2)
        return None if raw is None else raw >> 16 | (raw & 0xFFFF) << 16

    def s32_low_first(self, at: int) -> int | None:
        """Return two registers in two's complement, low word first."""
        raw = self.u32_low_first(at)
        return None if raw is None else raw - ((raw & 0x80000000) << 1)

    def text(self, at: int, n_words: int) -> str | None:
        """Return registers as text; None too if they hold no printable text."""
        raw = self._bytes(at, n_words)
        if raw is None:
            return None
        text = raw.partition(b"\0")[0].decode("ascii", "replace").strip()
        return text if text and text.isascii() and text.isprintable() else None

    def bit(self, at: int) -> bool | None:
        """Return a coil or discrete input."""
        offset = at - self.read.start
        if self.read.function not in _BIT_READS or not 0 <= offset < self.read.count:
            return None
        return bool(self.data[offset >> 3] >> (offset & 7) & 1)

    def _number(self, at: int, n_words: int) -> int | None:
        raw = self._bytes(at, n_words)
        return None if raw is None else int.from_bytes(raw, "big")

    def _bytes(self, at: int, n_words: int) -> bytes | None:
        offset = at - self.read.start
        if self.read.function in _BIT_READS or offset < 0:
            return None
        if offset + n_words > self.read.count:
            return None
        return self.data[2 * offset : 2 * (offset + n_words)]


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


def with_crc(body: bytes) -> bytes:
    """Return a message with its CRC, low byte first."""
    return body + crc16_modbus(body).to_bytes(2, "little")


def is_sound(message: bytes) -> bool:
    """Say whether a message ends with its CRC."""
    return crc16_modbus(message[:-2]).to_bytes(2, "little") == message[-2:]


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
    _heard: bytearray = field(default_factory=bytearray)
    _n_checked: int = 0  # bytes of _heard in which no message ends
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
        self._heard += frame.data
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
            read = _request(bytes(sent[at : at + 8]))
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
        while True:
            found = self._first_message(time_s)
            if found is None:
                break
            at, end, items = found
            yield from self._damaged(at, time_s)
            del self._heard[:end]
            self._n_checked = 0
            yield from items
        yield from self._damaged(len(self._heard), time_s)
        self._n_checked = len(self._heard)
        self._forget()

    def _first_message(
        self, time_s: float
    ) -> tuple[int, int, list[Reading | Rejected]] | None:
        """Return where the first sound message begins, ends, and what it says."""
        heard = bytes(self._heard)
        for at in range(len(heard) - 4):
            for length in _lengths(heard, at):
                end = at + length
                if not self._n_checked < end <= len(heard):
                    continue
                message = heard[at:end]
                if is_sound(message):
                    return at, end, self._take(message, time_s)
        return None

    def _take(self, message: bytes, time_s: float) -> list[Reading | Rejected]:
        unit, function = message[0], message[1]
        if function & _ERROR:
            return [self._refusal(message, time_s)]
        if function in _FIXED_WRITES:
            return []
        fitting = self._fitting(message)
        read = _request(message)
        if read is not None and (not fitting or read in {a.read for a in self._asked}):
            self._ask(read, time_s)
            return []
        if not fitting:
            assumed = self.assumed(unit, function, message[3:-2])
            if assumed is None:
                return [self._unasked(message, time_s)]
            return self._said(Answer(assumed, message[3:-2]), message, time_s)
        self._asked = [a for a in self._asked if a not in fitting]
        fresh = [a for a in fitting if time_s - a.time_s <= ANSWER_WITHIN_S]
        if not fresh:
            return [self._unasked(message, time_s)]
        if len(fresh) > 1:
            error = ProtocolError(
                f"unit {unit} was asked for {len(fresh)} blocks of "
                f"{len(message) - 5} bytes and answered once",
                "ask slower, so that a late answer is not taken for the next one",
            )
            name = self._name(fresh[-1].read)
            return [Rejected(time_s, str(unit), error, message, name)]
        return self._said(Answer(fresh[0].read, message[3:-2]), message, time_s)

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
        unit, function, code = message[0], message[1] & ~_ERROR, message[2]
        name = ""
        for asked in reversed(self._asked):
            if (asked.read.unit, asked.read.function) == (unit, function):
                name = self._name(asked.read)
                self._asked.remove(asked)
                break
        error = ProtocolError(
            f"unit {unit} refuses function {function}: exception {code}, "
            + _EXCEPTIONS.get(code, "of an unknown meaning"),
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
        at = self._heard.find(_head(read), 0, stop)
        end = at + 5 + read.n_bytes
        if at < 0 or end > len(self._heard):
            return
        # It is not sound: sound messages are taken first.
        self._rejected = True
        error = ProtocolError(
            f"the answer of unit {read.unit} has a wrong CRC",
            "check wiring, termination and baud rate",
        )
        raw = bytes(self._heard[at:end])
        yield Rejected(time_s, str(read.unit), error, raw, self._name(read))

    def _cut_off(self, time_s: float) -> Iterator[Rejected]:
        heard = bytes(self._heard)
        self._heard.clear()
        self._n_checked = 0
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
        heard = self._heard
        for at in range(max(0, len(heard) - _LONGEST), len(heard)):
            if any(at + n > len(heard) for n in _lengths(heard, at)):
                break
        else:
            at = len(heard)
        del heard[:at]
        self._n_checked -= at

    def _name(self, read: Read) -> str:
        for block in self.blocks:
            if block.read(read.unit) == read:
                return block.name
        return next((b.name for b in self.blocks if b.covers(read)), "")


def _head(read: Read) -> bytes:
    return bytes([read.unit, read.function, read.n_bytes])


def _lengths(heard: bytes | bytearray, at: int) -> tuple[int, ...]:
    """Return the lengths a message at `at` can have; of what is not there, the least.

    A length beyond the end of `heard` says that more bytes are needed to tell.
    """
    if at + 1 >= len(heard):
        return (5,)
    function = heard[at + 1]
    if function & _ERROR:
        return (5,) if function & ~_ERROR in _READS | _FIXED_WRITES else ()
    if function in _FIXED_WRITES:
        return (8,)
    if function not in _READS:
        return ()
    if at + 2 >= len(heard):
        return (8,)
    n_bytes = heard[at + 2]
    odd = function not in _BIT_READS and n_bytes & 1
    return (8,) if odd or n_bytes == 0 else (8, 5 + n_bytes)


def _request(message: bytes) -> Read | None:
    """Return the read that 8 bytes ask for, None if they are not a sound request."""
    if len(message) != 8 or message[1] not in _READS or not is_sound(message):
        return None
    start = int.from_bytes(message[2:4], "big")
    count = int.from_bytes(message[4:6], "big")
    most = MOST_BITS if message[1] in _BIT_READS else MOST_WORDS
    if not 0 < count <= most or start + count > 0x10000:
        return None
    return Read(message[0], message[1], start, count)
