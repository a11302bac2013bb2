"""The ASCII frames that Pylontech, Seplos and Pace speak over RS485 and RS232.

``~ VER ADR CID1 CID2 LENGTH INFO CHKSUM CR``, everything between as hexadecimal text.
An answer has a return code where its request has the command, so what an answer means
follows from the request before it: the decoder listens to both.

Sources: python-pylontech (pylontech/pylontech.py), SEPLOS BMS Communication Protocol
V2.0 (both after YD/T 1363.3).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from battlife.errors import ProtocolError
from battlife.model import Frame, Notice, Reading, Rejected, Request, Value
from battlife.wire._line import Found, Line, Piece
from battlife.wire.checksums import negated_sum16

BATTERY: Final = 0x46
"""CID1 of a lithium battery."""
MAX_INFO: Final = 1024
"""Characters of INFO; the answers of these families have less than 300."""
MAX_CELLS: Final = 32
MAX_SENSORS: Final = 16
KELVIN: Final = 2731
"""Tenths of a kelvin at 0 degC, as these devices round it."""

_FRAME: Final = re.compile(rb"~[0-9A-Fa-f]*")
_HEAD: Final = 13  # "~", VER, ADR, CID1, CID2, LENGTH
_TAIL: Final = 5  # CHKSUM, CR
_CR: Final = 0x0D

RETURN_CODES: Final[Mapping[int, str]] = {
    0x01: "version of the protocol not supported",
    0x02: "it received a wrong checksum",
    0x03: "it received a wrong length checksum",
    0x04: "it does not know the command",
    0x05: "the command has a wrong format",
    0x06: "the command has invalid data",
    0x07: "it has no data",
    0x09: "operation or write error",
    0x90: "wrong address",
    0x91: "the packs do not reach each other",
    0xE1: "it does not know the device type",
    0xE2: "it could not execute the command",
    0xE3: "fault of the device",
    0xE4: "not permitted",
}
"""What a device answers instead of data."""

_COMMANDS_OF_OTHERS: Final = frozenset({0x90, 0x91})
"""Return codes that are commands too where INFO is empty; sent by the host."""


class Said(NamedTuple):
    """What an INFO says."""

    values: Mapping[str, Value]
    notices: tuple[Notice, ...] = ()


class WrongShapeError(Exception):
    """An INFO is not what the command's answer looks like."""


@dataclass(frozen=True)
class Command:
    """One reading command of a family.

    Attributes
    ----------
    name : of the Request and of the Reading that answers it
    cid2 : its code
    understand : INFO of an answer -> what it says; raises WrongShapeError
    every_s : see Request
    with_info : the request carries the number of the pack as INFO
    """

    name: str
    cid2: int
    understand: Callable[[bytes], Said]
    every_s: float = 0.0
    with_info: bool = True

    def request(self, version: int, address: int, pack: int) -> Request:
        """Return the request to a pack: its address and its number."""
        info = bytes([pack]) if self.with_info else b""
        return Request(
            self.name,
            build(version, address, self.cid2, info),
            timeout_s=1.5,
            gap_s=0.05,
            every_s=self.every_s,
        )


@dataclass(frozen=True, slots=True)
class AsciiFrame:
    """One right frame; `code` is a command (request) or a return code (answer)."""

    version: int
    address: int
    cid1: int
    code: int
    info: bytes


def build(version: int, address: int, cid2: int, info: bytes = b"") -> bytes:
    """Return the bytes of a request."""
    head = bytes([version, address, BATTERY, cid2])
    text = (head + length_field(2 * len(info)).to_bytes(2, "big") + info).hex()
    line = text.upper().encode("ascii")
    return b"~" + line + f"{negated_sum16(line):04X}\r".encode("ascii")


def length_field(n_chars: int) -> int:
    """Return LENGTH: the count of characters under the checksum of its nibbles."""
    nibbles = (n_chars >> 8 & 15) + (n_chars >> 4 & 15) + (n_chars & 15)
    return (-nibbles & 15) << 12 | n_chars


def look(data: bytes) -> Found:
    """Say what begins at the head of some bytes: a frame, or nothing."""
    match = _FRAME.match(data)
    if match is None:
        return Found("no")
    end = match.end()
    if end > _HEAD + MAX_INFO + _TAIL:
        return Found("wrong", end, "it does not end")
    if end == len(data):
        return Found("more")
    if end < _HEAD:
        return Found("no")
    if data[end] != _CR:
        return Found("wrong", end, "it is cut off, or a character is damaged")
    why = _wrong(data[: end + 1])
    return Found("wrong" if why else "message", end + 1, why)


def parse(raw: bytes) -> AsciiFrame:
    """Return the frame of a line that :func:`look` called a message."""
    body = bytes.fromhex(raw[1:-_TAIL].decode("ascii"))
    return AsciiFrame(body[0], body[1], body[2], body[3], body[6:])


def _wrong(raw: bytes) -> str:
    n_chars = len(raw) - _HEAD - _TAIL
    if n_chars < 0 or n_chars % 2:
        return f"{len(raw)} characters are no frame"
    stated = int(raw[9:13], 16)
    if stated != length_field(n_chars):
        return f"LENGTH {stated:04X} with {n_chars} characters of INFO"
    check, right = int(raw[-_TAIL:-1], 16), negated_sum16(raw[1:-_TAIL])
    if check != right:
        return f"checksum {check:04X}, calculated {right:04X}"
    return ""


class AsciiDecoder:
    """Decodes the conversation of a line, whatever the addresses.

    Parameters
    ----------
    family : name in messages of errors
    commands : what is understood. An answer whose request was not heard (a log of
        answers alone) is taken for that of the first command if it has exactly its
        shape, and left alone otherwise
    """

    def __init__(self, family: str, commands: Sequence[Command]) -> None:
        self._line = Line(look, first=ord("~"))
        self._family = family
        self._commands = {command.cid2: command for command in commands}
        self._unasked = commands[0]
        self._asked: dict[int, int] = {}  # by address: 256 at most

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next bytes; yield what they complete."""
        for piece in self._line.feed(frame):
            yield from self._taken(piece)

    def finish(self) -> Iterator[Reading | Rejected]:
        """Yield what stands behind a frame that the end cut off."""
        for piece in self._line.finish():
            yield from self._taken(piece)

    def _taken(self, piece: Piece) -> Iterator[Reading | Rejected]:
        if piece.why:
            if piece.direction == "rx":
                yield self._rejected(piece, "", "", piece.why)
            return
        item = self._take(piece, parse(piece.data))
        if item is not None:
            yield item

    def _take(self, piece: Piece, frame: AsciiFrame) -> Reading | Rejected | None:
        is_answer = frame.code == 0 or (
            piece.direction == "rx"
            and frame.code in RETURN_CODES
            and not self._is_command(frame)
        )
        if not is_answer:
            self._asked[frame.address] = frame.code
            return None
        device = str(frame.address)
        asked = self._asked.get(frame.address)
        command = self._unasked if asked is None else self._commands.get(asked)
        name = "" if command is None or asked is None else command.name
        if frame.code:
            why = f"the device reports {frame.code:02X}: {RETURN_CODES[frame.code]}"
            return self._rejected(piece, device, name, why)
        if command is None:
            return None  # the answer to somebody else's question
        try:
            said = command.understand(frame.info)
        except WrongShapeError as error:
            if asked is None:
                return None
            return self._rejected(piece, device, name, str(error))
        return Reading(
            piece.time_s,
            device,
            command.name,
            said.values,
            piece.data,
            None,
            said.notices,
        )

    def _is_command(self, frame: AsciiFrame) -> bool:
        """Say whether a code that is both is more likely a command's echo."""
        if frame.code in self._commands:
            return True
        return frame.code in _COMMANDS_OF_OTHERS and frame.address not in self._asked

    def _rejected(self, piece: Piece, device: str, name: str, why: str) -> Rejected:
        error = ProtocolError(
            f"{self._family} {name or 'frame'}: {why}",
            "check address, baud rate, termination and wiring of the line",
        )
        return Rejected(piece.time_s, device, error, piece.data, name)


class Fields:
    """Reads an INFO front to back, most significant byte first.

    Every method raises WrongShapeError where the INFO ends too early.
    """

    def __init__(self, info: bytes) -> None:
        self._info = info
        self._at = 0

    def bytes(self, n_bytes: int) -> bytes:
        """Return the next bytes."""
        end = self._at + n_bytes
        if end > len(self._info):
            raise WrongShapeError(
                f"{len(self._info)} bytes of INFO are too few for what they count"
            )
        data = self._info[self._at : end]
        self._at = end
        return data

    def unsigned(self, n_bytes: int = 2) -> int:
        """Return the next unsigned number."""
        return int.from_bytes(self.bytes(n_bytes), "big")

    def signed(self, n_bytes: int = 2) -> int:
        """Return the next signed number."""
        return int.from_bytes(self.bytes(n_bytes), "big", signed=True)

    def count(self, most: int, of: str) -> int:
        """Return the next byte, which counts something."""
        n = self.unsigned(1)
        if n > most:
            raise WrongShapeError(f"{n} {of} are more than {most}")
        return n

    def rest(self) -> int:
        """Return how many bytes are left."""
        return len(self._info) - self._at

    def end(self) -> None:
        """Say that nothing may follow."""
        if self.rest():
            raise WrongShapeError(f"{self.rest()} bytes of INFO are left over")


def expect(info: bytes, n_bytes: int) -> None:
    """Raise WrongShapeError unless an INFO has exactly `n_bytes`."""
    if len(info) != n_bytes:
        raise WrongShapeError(f"{len(info)} bytes of INFO, expected {n_bytes}")


def celsius(raw: int, zero: int = KELVIN) -> float:
    """Return degC of tenths of a kelvin; 0 and FFFF are no temperature."""
    if raw in (0, 0xFFFF):
        return float("nan")
    return round((raw - zero) / 10, 1)


def cell_voltages(fields: Fields) -> tuple[float, ...]:
    """Return the count and the millivolts of cells, in V."""
    n_cells = fields.count(MAX_CELLS, "cells")
    if n_cells == 0:
        raise WrongShapeError("an answer without cells")
    return tuple(fields.unsigned() / 1000 for _ in range(n_cells))


def temperatures(fields: Fields, zero: int = KELVIN) -> tuple[float, ...]:
    """Return the count and the temperatures of sensors, in degC."""
    n_sensors = fields.count(MAX_SENSORS, "sensors")
    return tuple(celsius(fields.unsigned(), zero) for _ in range(n_sensors))


def text_of(data: bytes) -> str:
    """Return the printable text of a fixed field, without its padding."""
    try:
        text = data.rstrip(b"\0\xff").decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise WrongShapeError(f"{data.hex()} is no text") from error
    if not text.isprintable():
        raise WrongShapeError(f"{data.hex()} is no text")
    return text


def alarm_bytes(fields: Fields, count: int, what: str) -> list[str]:
    """Return the alarms of `count` bytes, one each; a normal one has none.

    00 is normal, 01 below its lower and 02 above its upper limit, F0 another fault,
    80 to EF the maker's own.
    """
    faults = []
    for i, state in enumerate(fields.bytes(count), 1):
        name = what.format(i)
        if state == 1:
            faults.append(f"{name} below lower limit")
        elif state == 2:
            faults.append(f"{name} above upper limit")
        elif state == 0xF0:
            faults.append(f"{name} other fault")
        elif 0x80 <= state < 0xF0:
            faults.append(f"{name} fault {state:02X}")
        elif state:
            raise WrongShapeError(f"{state:02X} is no state of {name}")
    return faults


def set_bits(bits: int, names: Mapping[int, str]) -> list[str]:
    """Return the names of the bits that are set; those without a name have none."""
    return [name for bit, name in names.items() if bits >> bit & 1]


def critical(faults: Sequence[str], forbid: Sequence[str]) -> tuple[Notice, ...]:
    """Return the notices of the faults that forbid handling."""
    return tuple(
        Notice("critical_fault_code", f"the BMS reports: {fault}")
        for fault in faults
        if fault in forbid
    )
