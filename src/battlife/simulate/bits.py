"""Fields of messages, most significant bit first."""

from collections.abc import Sequence


def put(data: bytearray, start: int, length: int, raw: int) -> None:
    """Write a field whose first, most significant bit is `start`.

    Bits are numbered as in a DBC file: 0 is the lowest bit of byte 0, 7 its highest,
    8 the lowest of byte 1; behind the lowest bit of a byte follows the highest of
    the next. A negative number is written as two's complement.

    Raises
    ------
    ValueError
        The number does not fit, or the field runs over the end.
    """
    if not -(1 << (length - 1)) <= raw < 1 << length:
        raise ValueError(f"{raw} does not fit into {length} bits")
    byte, bit = divmod(start, 8)
    for i in reversed(range(length)):
        if byte >= len(data):
            raise ValueError(f"{length} bits from {start} run over {len(data)} bytes")
        value = raw >> i & 1
        data[byte] = data[byte] & ~(1 << bit) | value << bit
        byte, bit = (byte, bit - 1) if bit else (byte + 1, 7)


def held(value: float, bits: int, *, signed: bool = False) -> int:
    """Return the nearest whole number that the bits can hold.

    A control unit whose quantity leaves the range of its field stays at the end of
    the range: two cells on one sense wire are more than any field foresees.
    """
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, 2**bits - 1)
    return min(max(round(value), low), high)


def big(value: float, size: int, *, signed: bool = False) -> bytes:
    """Return the number of :func:`held` in `size` bytes, big-endian."""
    return held(value, 8 * size, signed=signed).to_bytes(size, "big", signed=signed)


def packed(flags: Sequence[bool]) -> bytes:
    """Return one bit a flag, the first one highest in the first byte."""
    data = bytearray((len(flags) + 7) // 8)
    for i, flag in enumerate(flags):
        data[i // 8] |= flag << 7 - i % 8
    return bytes(data)
