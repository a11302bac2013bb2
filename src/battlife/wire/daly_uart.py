"""Daly BMS over UART or RS485: frames of 13 bytes, 9600 baud."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import InputError, ProtocolError
from battlife.model import Frame, Reading, Rejected, Request, Value
from battlife.wire._daly import ASK, EVERY_S, ORDER, PARTS, Parts, says
from battlife.wire._line import Found, Line, Piece
from battlife.wire.checksums import sum8

START: Final = 0xA5
LENGTH: Final = 13
FIRST_HOST: Final = 0x40
"""The host is 40 hex to the first board, 41 to the second; a board answers with its
own number, 1 for the first."""
MAX_BOARDS: Final = 32
HINT: Final = "check wiring and baud rate; the line may be noisy"


def look(data: bytes) -> Found:
    """Say what begins at the head of some bytes."""
    if data[0] != START:
        return Found("no")
    if len(data) >= 4 and data[3] != 8:
        return Found("no")
    if len(data) < LENGTH:
        return Found("more")
    right = sum8(data[: LENGTH - 1])
    if data[LENGTH - 1] != right:
        why = f"checksum {data[LENGTH - 1]:02X}, calculated {right:02X}"
        return Found("wrong", LENGTH, why)
    return Found("message", LENGTH)


def request(command: int, address: int) -> Request:
    """Return the request of a command; it asks nothing but to read."""
    body = bytes([START, FIRST_HOST + address - 1, command, 8]) + bytes(8)
    return Request(
        ASK[command],
        body + bytes([sum8(body)]),
        gap_s=0.02,
        every_s=EVERY_S.get(command, 0.0),
    )


@dataclass(frozen=True)
class DalyUart:
    """One board; boards on one line have the addresses 1, 2, ..."""

    address: int = 1

    name: ClassVar[str] = "daly_uart"
    description: ClassVar[str] = "Daly BMS over UART or RS485"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    bauds: ClassVar[Sequence[int]] = (9600,)
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.address <= MAX_BOARDS:
            raise InputError(f"a Daly address is 1 to {MAX_BOARDS}, not {self.address}")

    @property
    def device(self) -> str:
        """Label of this board's readings."""
        return str(self.address)

    @property
    def permitted(self) -> Sequence[Request]:
        """All reads of a cycle."""
        return tuple(request(command, self.address) for command in ORDER)

    @property
    def probes(self) -> Sequence[Request]:
        """The pack message."""
        return (request(0x90, self.address),)

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        del known
        return self.permitted

    def decoder(self) -> "DalyDecoder":
        """Return a decoder that has heard nothing yet."""
        return DalyDecoder()


class DalyDecoder:
    """Decodes the answers of all boards of a line."""

    def __init__(self) -> None:
        self._line = Line(look, START)
        self._parts: dict[int, Parts] = {}

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next bytes; yield what they complete."""
        for piece in self._line.feed(frame):
            yield from self._taken(piece)

    def finish(self) -> Iterator[Reading | Rejected]:
        """Yield what stands behind a message that the end cut off."""
        for piece in self._line.finish():
            yield from self._taken(piece)

    def _taken(self, piece: Piece) -> Iterator[Reading | Rejected]:
        raw = piece.data
        board, command = raw[1], raw[2]
        name = ASK.get(command, "")
        if piece.why:
            error = ProtocolError(f"Daly {name or 'message'}: {piece.why}", HINT)
            yield Rejected(piece.time_s, "", error, raw)
        elif name and 1 <= board <= MAX_BOARDS:
            parts = self._parts.setdefault(board, Parts())
            found = answer(piece.time_s, str(board), command, raw[4:12], raw, parts)
            if found is not None:
                yield found


def answer(
    time_s: float,
    device: str,
    command: int,
    data: bytes,
    raw: bytes,
    parts: Parts,
    identifier: int | None = None,
) -> Reading | Rejected | None:
    """Return what one frame of a board says, None while others are to come."""
    name = ASK[command]
    try:
        if command in PARTS:
            found = parts.add(command, data, raw)
            if found is None:
                return None
            values, whole = found
            return Reading(time_s, device, name, values, whole, identifier)
        values, notices = says(command, data)
    except ProtocolError as error:
        return Rejected(time_s, device, error, raw, name, identifier)
    parts.learn(values)
    return Reading(time_s, device, name, values, raw, identifier, notices)
