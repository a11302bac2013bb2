"""Daly BMS over CAN: the eight data bytes of its UART frames, 250 kbit/s.

Request 18 <command> <board> 40, answer 18 <command> 40 <board>, 29 bits
(dbus-serialbattery, bms/daly_can.py and the logs of its issues 212 and 215).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import InputError, ProtocolError
from battlife.model import Frame, Reading, Rejected, Request, Value
from battlife.wire._daly import ASK, EVERY_S, ORDER, Parts
from battlife.wire.daly_uart import HINT, MAX_BOARDS, answer

PRIORITY: Final = 0x18000000
HOST: Final = 0x40


@dataclass(frozen=True)
class DalyCan:
    """One board on a bus."""

    address: int = 1

    name: ClassVar[str] = "daly_can"
    description: ClassVar[str] = "Daly BMS over CAN, 250 kbit/s"
    medium: ClassVar[Literal["serial", "can"]] = "can"
    bauds: ClassVar[Sequence[int]] = (250_000,)
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
        """All reads."""
        return tuple(self._request(command) for command in ORDER)

    @property
    def probes(self) -> Sequence[Request]:
        """The pack message."""
        return (self._request(0x90),)

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        del known
        return self.permitted

    def decoder(self) -> "DalyCanDecoder":
        """Return a decoder that has heard nothing yet."""
        return DalyCanDecoder()

    def _request(self, command: int) -> Request:
        identifier = PRIORITY | command << 16 | self.address << 8 | HOST
        return Request(
            ASK[command],
            bytes(8),
            identifier=identifier,
            extended=True,
            every_s=EVERY_S.get(command, 0.0),
        )


class DalyCanDecoder:
    """Decodes the answers of all boards of a bus."""

    def __init__(self) -> None:
        self._parts: dict[int, Parts] = {}

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next frame; yield what it completes."""
        identifier = frame.identifier
        if identifier is None or not frame.extended or frame.kind != "data":
            return
        command, board = identifier >> 16 & 0xFF, identifier & 0xFF
        host = identifier >> 8 & 0xFF
        if identifier >> 24 != PRIORITY >> 24 or host != HOST or command not in ASK:
            return
        if not 1 <= board <= MAX_BOARDS:
            return
        if len(frame.data) != 8:
            error = ProtocolError(
                f"Daly {ASK[command]}: {len(frame.data)} bytes, not 8", HINT
            )
            yield Rejected(
                frame.time_s, str(board), error, frame.data, ASK[command], identifier
            )
            return
        parts = self._parts.setdefault(board, Parts())
        found = answer(
            frame.time_s,
            str(board),
            command,
            frame.data,
            frame.data,
            parts,
            identifier,
        )
        if found is not None:
            yield found

    def finish(self) -> Iterator[Reading | Rejected]:
        """Yield what the end of the frames leaves: nothing that can be believed."""
        return iter(())
