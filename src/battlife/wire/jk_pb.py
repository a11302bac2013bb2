"""JK (Jikong) BMS: records 55 AA EB 90 over RS485 (PB series) and Bluetooth captures.

A record has no address. On RS485 an acknowledgement behind it names the device; a
record without one is not believed there. Over Bluetooth nothing follows, and records
of three layouts look alike: one is taken only if the voltages in it prove it.

What is sent are Modbus writes (function 10) to registers where a JK starts a record
and nothing else. Another device could take them for writes, so nobody is probed with
them: a JK must be named.

Sources: dbus-serialbattery (bms/jkbms_pb.py, bms-docs/JKBMS-PB.md), esphome-jk-bms
(docs/protocol-design-ble.md), BMS RS485 Modbus V1.1.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, NamedTuple

from battlife.errors import InputError, ProtocolError
from battlife.model import Frame, Reading, Rejected, Request, Value
from battlife.wire._line import Found, Line, Piece
from battlife.wire.checksums import crc16_modbus, sum8
from battlife.wire.jk_records import RECORD_BYTES, WrongRecordError, record_says

START: Final = bytes.fromhex("55AAEB90")
NAMES: Final = {1: "settings", 2: "status", 3: "about"}
_REGISTERS: Final = {1: 0x1E, 2: 0x20, 3: 0x1C}
_TYPES: Final = {register: kind for kind, register in _REGISTERS.items()}
_FUNCTION: Final = b"\x10\x16"
_ASKS: Final = bytes.fromhex("0001020000")
_ASK_BYTES, _ACK_BYTES = 11, 8


def look(data: bytes) -> Found:
    """Say what begins at the head: a record, a request, an acknowledgement, nothing."""
    if data.startswith(START[: len(data)]):
        return _look_record(data)
    if not _FUNCTION.startswith(data[1:3]):
        return Found("no")
    if len(data) < _ACK_BYTES:
        return Found("more")
    if data[3] not in _TYPES or data[4:6] != _ASKS[:2]:
        return Found("no")
    if _crc_fits(data[:_ACK_BYTES]):
        return Found("message", _ACK_BYTES)
    if not _ASKS.startswith(data[4:9]):
        return Found("no")
    if len(data) < _ASK_BYTES:
        return Found("more")
    fits = _crc_fits(data[:_ASK_BYTES])
    return Found("message", _ASK_BYTES) if fits else Found("no")


def _look_record(data: bytes) -> Found:
    if len(data) < RECORD_BYTES:
        return Found("more")
    stated, right = data[RECORD_BYTES - 1], sum8(data[: RECORD_BYTES - 1])
    if stated != right:
        why = f"checksum {stated:02X}, calculated {right:02X}"
        return Found("wrong", RECORD_BYTES, why)
    return Found("message", RECORD_BYTES)


def _crc_fits(data: bytes) -> bool:
    return crc16_modbus(data[:-2]) == int.from_bytes(data[-2:], "little")


@dataclass(frozen=True)
class JkPb:
    """One BMS of an RS485 line.

    Attributes
    ----------
    address : of its switches, 0 to 15
    """

    address: int = 1

    name: ClassVar[str] = "jk_pb"
    description: ClassVar[str] = "JK BMS of the PB series over RS485; JK over Bluetooth"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    bauds: ClassVar[Sequence[int]] = (115200,)
    probes: ClassVar[Sequence[Request]] = ()
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.address <= 15:
            raise InputError(
                f"jk_pb has no address {self.address}", "its switches give 0 to 15"
            )

    @property
    def device(self) -> str:
        """Address of the BMS, as its readings carry it."""
        return str(self.address)

    @property
    def permitted(self) -> Sequence[Request]:
        """Everything that may be sent."""
        # Firmware 15.36 and later answers a status request only within 200 ms of a
        # settings request, so that comes first; the bus needs 100 ms of silence.
        return tuple(
            Request(
                NAMES[kind],
                self._ask(kind),
                timeout_s=0.5,
                gap_s=0.1,
                every_s=float("inf") if kind == 3 else 0.0,
            )
            for kind in (3, 1, 2)
        )

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        del known
        return self.permitted

    def decoder(self) -> "JkPbDecoder":
        """Return a decoder that has heard nothing yet."""
        return JkPbDecoder()

    def _ask(self, kind: int) -> bytes:
        body = bytes([self.address]) + _FUNCTION + bytes([_REGISTERS[kind]]) + _ASKS
        return body + crc16_modbus(body).to_bytes(2, "little")


class _Asked(NamedTuple):
    """The request that waits for its answer."""

    address: int
    kind: int


class JkPbDecoder:
    """Decodes the records of a line, whatever the addresses, or of a capture."""

    def __init__(self) -> None:
        self._line = Line(look)
        self._record: Piece | None = None  # waits for what follows it
        self._asked: _Asked | None = None
        self._is_bus = False  # a request or an acknowledgement was heard

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next bytes; yield what they complete."""
        for piece in self._line.feed(frame):
            if piece.why:
                if piece.direction == "rx":
                    yield self._rejected(piece, "", self._asked_name(), piece.why)
                    self._asked = None
            elif len(piece.data) == RECORD_BYTES:
                yield from self._unacknowledged()
                self._record = piece
            elif len(piece.data) == _ACK_BYTES:
                self._is_bus = True
                yield from self._acknowledged(piece)
            else:
                self._is_bus = True
                asked = _Asked(piece.data[0], _TYPES[piece.data[3]])
                if asked != self._asked or self._record is not None:
                    yield from self._unacknowledged()
                self._asked = asked

    def finish(self) -> Iterator[Reading | Rejected]:
        """Yield the last record of a capture."""
        yield from self._unacknowledged()

    def _acknowledged(self, ack: Piece) -> Iterator[Reading | Rejected]:
        address, kind = ack.data[0], _TYPES[ack.data[3]]
        device, name = str(address), NAMES[kind]
        record, self._record = self._record, None
        asked, self._asked = self._asked, None
        if record is None:
            # Told already if its record was wrong.
            if asked == (address, kind):
                why = "acknowledged, but its record was not received"
                yield self._rejected(ack, device, name, why)
            return
        raw = record.data + ack.data
        if record.data[4] != kind:
            why = f"a record of type {record.data[4]} is acknowledged as {name}"
            yield self._rejected(ack, device, name, why)
            return
        whole = Piece(ack.time_s, raw, "", ack.direction)
        yield self._decoded(whole, device, record.data, proven=True)

    def _unacknowledged(self) -> Iterator[Reading | Rejected]:
        record, self._record = self._record, None
        if record is None:
            return
        if self._is_bus:
            why = "no acknowledgement tells whose record it is"
            yield self._rejected(record, "", self._asked_name(), why)
            return
        yield self._decoded(record, "", record.data, proven=False)

    def _decoded(
        self, piece: Piece, device: str, record: bytes, *, proven: bool
    ) -> Reading | Rejected:
        name = NAMES.get(record[4], "")
        try:
            values, notices = record_says(record, proven=proven)
        except WrongRecordError as error:
            return self._rejected(piece, device, name, str(error))
        return Reading(piece.time_s, device, name, values, piece.data, None, notices)

    def _asked_name(self) -> str:
        return NAMES[self._asked.kind] if self._asked is not None else ""

    def _rejected(self, piece: Piece, device: str, name: str, why: str) -> Rejected:
        error = ProtocolError(
            f"JK {name or 'record'}: {why}",
            "check address, wiring and termination; leave 100 ms between requests",
        )
        return Rejected(piece.time_s, device, error, piece.data, name)
