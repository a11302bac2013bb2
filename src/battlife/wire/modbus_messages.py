"""Modbus RTU: what one message is.

References
----------
Modbus Application Protocol V1.1b3, 6.1 to 6.4 and 7; Modbus over Serial Line V1.02.
"""

from dataclasses import dataclass
from typing import Final

from battlife.wire.checksums import crc16_modbus

READ_COILS: Final = 1
READ_HOLDING: Final = 3
READ_INPUT: Final = 4

MOST_WORDS: Final = 125
MOST_BITS: Final = 2000
LONGEST: Final = 5 + 255
"""Bytes of an answer at most."""

READS: Final = frozenset({1, 2, 3, 4})
WRITES: Final = frozenset({5, 6, 15, 16})
ERROR: Final = 0x80
"""Added to the function that is refused."""

_BIT_READS: Final = frozenset({1, 2})

EXCEPTIONS: Final = {
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


def with_crc(body: bytes) -> bytes:
    """Return a message with its CRC, low byte first."""
    return body + crc16_modbus(body).to_bytes(2, "little")


def is_sound(message: bytes) -> bool:
    """Say whether a message ends with its CRC."""
    return crc16_modbus(message[:-2]).to_bytes(2, "little") == message[-2:]


def lengths(heard: bytes | bytearray, at: int) -> tuple[int, ...]:
    """Return the lengths a message at `at` can have; of what is not there, the least.

    A length beyond the end of `heard` says that more bytes are needed to tell.
    """
    if at + 1 >= len(heard):
        return (5,)
    function = heard[at + 1]
    if function & ERROR:
        return (5,) if function & ~ERROR in READS | WRITES else ()
    if function in WRITES:
        return (8,)
    if function not in READS:
        return ()
    if at + 2 >= len(heard):
        return (8,)
    n_bytes = heard[at + 2]
    odd = function not in _BIT_READS and n_bytes & 1
    return (8,) if odd or n_bytes == 0 else (8, 5 + n_bytes)


def request_in(message: bytes) -> Read | None:
    """Return the read that 8 bytes ask for, None if they are not a sound request."""
    if len(message) != 8 or message[1] not in READS or not is_sound(message):
        return None
    start = int.from_bytes(message[2:4], "big")
    count = int.from_bytes(message[4:6], "big")
    most = MOST_BITS if message[1] in _BIT_READS else MOST_WORDS
    if not 0 < count <= most or start + count > 0x10000:
        return None
    return Read(message[0], message[1], start, count)
