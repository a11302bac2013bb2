"""Takes the signals of a message out of its bytes.

cantools describes the file; its own decoding lays all signals of a message side by
side, which fails or gives wrong values where signals overlap. Here each signal is
taken by itself: bit numbers as in the DBC format, Intel from the lowest bit up,
Motorola from the highest bit down.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from battlife.errors import InputError

if TYPE_CHECKING:
    from cantools.database.can import Message
    from cantools.database.can.signal import Signal

_FLOATS: Final = {16: ("<H", "<e"), 32: ("<L", "<f"), 64: ("<Q", "<d")}


@dataclass(frozen=True, slots=True)
class SignalReader:
    """A signal of a message.

    Attributes
    ----------
    name : of the signal
    end : bytes a frame needs to hold it
    little : True for Intel byte order
    shift : bits below it, of a little- or big-endian number of `end` bytes
    bits : its length
    signed : True for two's complement
    float_format : how its bits become a floating-point number, None for an integer
    scaled : makes the value in the unit of the file of it
    low, high : declared range, None if there is none
    """

    name: str
    end: int
    little: bool
    shift: int
    bits: int
    signed: bool
    float_format: tuple[str, str] | None
    scaled: Callable[[Any], Any]
    low: float | None
    high: float | None

    def raw(self, data: bytes) -> int:
        """Return its bits as an unsigned number."""
        whole = int.from_bytes(data[: self.end], "little" if self.little else "big")
        return whole >> self.shift & (1 << self.bits) - 1

    def value(self, raw: int) -> float:
        """Return the value of its bits, in the unit of the file."""
        number: float = raw
        if self.float_format is not None:
            packed, unpacked = self.float_format
            (number,) = struct.unpack(unpacked, struct.pack(packed, raw))
        elif self.signed and raw >> (self.bits - 1):
            number = raw - (1 << self.bits)
        return float(self.scaled(number))


@dataclass(frozen=True, slots=True)
class MessageReader:
    """A message: its signals, and which of them a multiplexer selects.

    Attributes
    ----------
    name : of the message
    length : bytes the file announces
    plain : signals of every frame
    selected : multiplexers, each with its signals and the numbers that select them
    """

    name: str
    length: int
    plain: tuple[SignalReader, ...]
    selected: tuple[
        tuple[SignalReader, tuple[tuple[SignalReader, frozenset[int]], ...]], ...
    ]

    @property
    def signals(self) -> tuple[SignalReader, ...]:
        """Every signal of the message."""
        chosen = tuple(s for _, group in self.selected for s, _ in group)
        return self.plain + chosen

    def values(self, data: bytes) -> list[tuple[SignalReader, float]]:
        """Return the signals that lie wholly inside `data`, with their values.

        Raises
        ------
        ValueError
            A multiplexer has a number that selects nothing.
        """
        there: dict[str, SignalReader] = {s.name: s for s in self.plain}
        for multiplexer, others in self.selected:
            if multiplexer.name not in there or multiplexer.end > len(data):
                continue
            chosen = multiplexer.raw(data)
            known = [signal for signal, numbers in others if chosen in numbers]
            if not known:
                raise ValueError(
                    f"{multiplexer.name} is {chosen}, which selects nothing"
                )
            there.update((signal.name, signal) for signal in known)
        return [
            (signal, signal.value(signal.raw(data)))
            for signal in there.values()
            if signal.end <= len(data)
        ]


def message_reader(message: "Message") -> MessageReader:
    """Return how the signals of a message are taken out of it.

    Raises
    ------
    InputError
        A signal is of a kind that no DBC file can describe.
    """
    readers = {s.name: _signal(message.name, s) for s in message.signals}
    plain = []
    groups: dict[str, list[tuple[SignalReader, frozenset[int]]]] = {}
    for signal in message.signals:
        reader = readers[signal.name]
        owner = signal.multiplexer_signal
        if owner is None or not signal.multiplexer_ids:
            plain.append(reader)
        elif owner not in readers:
            raise InputError(
                f"{message.name}.{signal.name} has the multiplexer {owner}, which the "
                "message does not have",
                "correct the DBC file",
            )
        else:
            numbers = frozenset(signal.multiplexer_ids)
            groups.setdefault(owner, []).append((reader, numbers))
    ordered = _outermost_first(groups, {s.name for s in plain})
    selected = tuple((readers[name], tuple(groups[name])) for name in ordered)
    return MessageReader(message.name, message.length, tuple(plain), selected)


def _outermost_first(
    groups: dict[str, list[tuple[SignalReader, frozenset[int]]]], known: set[str]
) -> Sequence[str]:
    """Return the multiplexers so that each comes after the one that selects it."""
    ordered: list[str] = []
    rest = set(groups)
    while ready := sorted(rest & known):
        ordered.extend(ready)
        rest -= set(ready)
        for name in ready:
            known |= {signal.name for signal, _ in groups[name]}
    return ordered


def _signal(message: str, signal: "Signal") -> SignalReader:
    bits, start = signal.length, signal.start
    float_format = _FLOATS.get(bits) if signal.is_float else None
    if bits < 1 or (signal.is_float and float_format is None):
        raise InputError(
            f"{message}.{signal.name} has {bits} bits", "correct the DBC file"
        )
    little = signal.byte_order == "little_endian"
    if little:
        shift, end = start, (start + bits + 7) // 8
    else:
        # Bits counted from the highest bit of the first byte on.
        first = start // 8 * 8 + 7 - start % 8
        end = (first + bits + 7) // 8
        shift = end * 8 - first - bits
    low, high = signal.minimum, signal.maximum
    # From 0 to 0 is how a DBC file says that no range is declared.
    ranged = low is not None and high is not None and low < high
    scale = signal.conversion
    return SignalReader(
        signal.name,
        end,
        little,
        shift,
        bits,
        signal.is_signed,
        float_format,
        lambda raw: scale.raw_to_scaled(raw, decode_choices=False),
        float(low) if ranged and low is not None else None,
        float(high) if ranged and high is not None else None,
    )
