"""Bytes of a Modbus line, and the sound messages in them, found in linear time.

A message may begin at any byte, so that the CRC of each place would be computed anew.
Instead the register is kept once along the bytes. The CRC is linear over GF(2): the
register after `n` bytes from state `x` is that from state 0, xor `x` advanced over `n`
zero bytes; and a message with its CRC leaves 0 (R. N. Williams, "A painless guide to
CRC error detection algorithms", 1993, chapters 8 to 10).
"""

from collections.abc import Iterator
from typing import Final

from battlife.wire.checksums import crc16_modbus_step
from battlife.wire.modbus_messages import lengths

_INITIAL: Final = 0xFFFF
_NIBBLES: Final = range(4)
_ZEROS: Final = [[[value << 4 * k for value in range(16)] for k in _NIBBLES]]
"""By number of zero bytes: what becomes of each value of each nibble."""


class Heard:
    """The bytes heard and not yet taken.

    Attributes
    ----------
    data : they themselves; change them by the methods alone
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self._registers = [0]  # after each number of bytes
        self._base = 0  # bytes dropped so far: places below count from the first ever
        self._next = 0  # place whose possible messages are not known yet
        self._ending: dict[int, list[tuple[int, int]]] = {}  # by end: begin, choice
        self._n_checked = 0

    def __len__(self) -> int:
        return len(self.data)

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self.data += data
        register = self._registers[-1]
        for byte in data:
            register = crc16_modbus_step(register, byte)
            self._registers.append(register)
        stop = self._base + len(self.data)
        while self._next + 2 < stop:
            possible = lengths(self.data, self._next - self._base)
            for choice, length in enumerate(possible):
                ends = self._ending.setdefault(self._next + length, [])
                ends.append((self._next, choice))
            self._next += 1

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """Yield where each sound message begins, and it, that ends in new bytes."""
        for begin, end in self._possible():
            at, to = begin - self._base, end - self._base
            before = self._registers[at] ^ _INITIAL
            if self._registers[to] == _over_zeros(before, to - at):
                yield at, bytes(self.data[at:to])

    def checked(self) -> None:
        """Remember that no message ends in the bytes so far."""
        self._n_checked = len(self.data)

    def unchecked(self) -> None:
        """Forget what was remembered: what was in front of the bytes is gone."""
        self._n_checked = 0

    def drop(self, count: int) -> None:
        """Drop bytes in front."""
        for end in range(self._base, self._base + count + 1):
            self._ending.pop(end, None)
        del self.data[:count], self._registers[:count]
        self._base += count
        self._next = max(self._next, self._base)
        self._n_checked = max(self._n_checked - count, 0)

    def _possible(self) -> Iterator[tuple[int, int]]:
        """Yield begin and end of what may be a message and ends in new bytes."""
        base, size = self._base, len(self.data)
        if self._n_checked == 0:
            # All is new. The first that is sound ends the search, so that what was
            # searched is dropped with it.
            for at in range(size - 4):
                for length in lengths(self.data, at):
                    if at + length <= size:
                        yield base + at, base + at + length
            return
        found = sorted(
            (begin, choice, end)
            for end in range(base + self._n_checked + 1, base + size + 1)
            for begin, choice in self._ending.get(end, ())
            if begin >= base
        )
        for begin, _, end in found:
            yield begin, end


def _over_zeros(register: int, count: int) -> int:
    """Return the register after a number of zero bytes."""
    while len(_ZEROS) <= count:
        last = _ZEROS[-1]
        _ZEROS.append([[crc16_modbus_step(v, 0) for v in values] for values in last])
    first, second, third, fourth = _ZEROS[count]
    return (
        first[register & 15]
        ^ second[register >> 4 & 15]
        ^ third[register >> 8 & 15]
        ^ fourth[register >> 12]
    )
