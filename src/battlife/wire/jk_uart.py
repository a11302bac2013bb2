"""JK (Jikong) BMS on its UART or GPS port, frames 4E 57, 115200 baud.

Sources: esphome-jk-bms (docs/protocol-design-uart-ttl-gps-port.md, Apache-2.0),
dbus-serialbattery (bms/jkbms.py). Only "read all" is ever sent. This protocol knows
no state of health; that of RS485 and Bluetooth (:mod:`battlife.wire.jk_pb`) does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import ProtocolError
from battlife.model import Frame, Notice, Reading, Rejected, Request, Value
from battlife.wire._line import Found, Line, Piece
from battlife.wire.checksums import sum16

START: Final = b"NW"  # 4E 57
READ_ALL: Final = 0x06
_ANSWERS: Final = (1, 2)  # asked for, by itself
_HEAD, _TAIL = 11, 9  # record number, 68, checksum
_SHORTEST: Final = _HEAD + _TAIL + 1
_LONGEST: Final = 512
_END: Final = 0x68
MAX_CELLS: Final = 32

_CELLS: Final = 0x79
_SIZES: Final[Mapping[int, int]] = {
    **dict.fromkeys((0x85, 0x86, 0x9D, 0xA9, 0xAB, 0xAC, 0xAE, 0xAF), 1),
    **dict.fromkeys((0xB1, 0xB3, 0xB8, 0xC0), 1),
    **dict.fromkeys(range(0x80, 0x85), 2),
    **dict.fromkeys((0x87, 0x8A, 0x8B, 0x8C), 2),
    **dict.fromkeys(range(0x8E, 0x9D), 2),
    **dict.fromkeys(range(0x9E, 0xA9), 2),
    **dict.fromkeys((0xAD, 0xB0), 2),
    **dict.fromkeys((0x89, 0xAA, 0xB5, 0xB6, 0xB9), 4),
    0xB2: 10,
    0xB4: 8,
    0xB7: 15,
    0xBA: 24,
}
"""Bytes of each field but the cells, whose length is in the message."""

_NEEDED: Final = (_CELLS, 0x83, 0x84, 0x85, 0x8B, 0x8C)

_NUMBERS: Final[Mapping[int, tuple[str, float]]] = {
    0x87: ("cycle_count", 1),
    0x89: ("charge_throughput_ah", 1),
    0x8E: ("jk_pack_over_voltage_v", 100),
    0x8F: ("jk_pack_under_voltage_v", 100),
    0x90: ("jk_cell_over_voltage_v", 1000),
    0x93: ("jk_cell_under_voltage_v", 1000),
    0x97: ("jk_max_discharge_current_a", 1),
    0x99: ("jk_max_charge_current_a", 1),
    0xAA: ("design_capacity_ah", 1),
}
"""Fields that are numbers: name, and how many of its units make one."""
CHEMISTRIES: Final = ("LFP", "NMC", "LTO")

WARNINGS: Final = (
    "low state of charge",
    "MOSFET over-temperature",
    "charge over-voltage",
    "discharge under-voltage",
    "battery over-temperature",
    "charge over-current",
    "discharge over-current",
    "cell voltage difference",
    "battery box over-temperature",
    "battery under-temperature",
    "cell over-voltage",
    "cell under-voltage",
    "309_A protection",
    "309_B protection",
)
"""Warning bits from bit 0."""

CRITICAL: Final = frozenset({"battery over-temperature"})
"""Cells too hot must not be handled."""


class _WrongError(Exception):
    """The fields of a message are not those of the protocol."""


def look(data: bytes) -> Found:
    """Say what begins at the head of some bytes: a message, or nothing."""
    if not data.startswith(START[: len(data)]):
        return Found("no")
    if len(data) < 4:
        return Found("more")
    length = int.from_bytes(data[2:4], "big") + 2
    if not _SHORTEST <= length <= _LONGEST:
        return Found("no")
    if len(data) < length:
        return Found("more")
    message = data[:length]
    stated = int.from_bytes(message[-4:], "big")
    right = sum16(message[:-4])
    if stated != right:
        return Found("wrong", length, f"checksum {stated:08X}, calculated {right:08X}")
    if message[-5] != _END:
        return Found("wrong", length, f"ends in {message[-5]:02X}, not in 68")
    return Found("message", length)


def _read_all() -> bytes:
    body = START + bytes.fromhex("0013 00000000 06 03 00 00 00000000 68")
    return body + sum16(body).to_bytes(4, "big")


@dataclass(frozen=True)
class JkUart:
    """The BMS on one UART; it has no address."""

    name: ClassVar[str] = "jk_uart"
    description: ClassVar[str] = "JK BMS on its UART or GPS port (4E 57)"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    device: ClassVar[str] = ""
    bauds: ClassVar[Sequence[int]] = (115200,)
    permitted: ClassVar[Sequence[Request]] = (
        Request("status", _read_all(), timeout_s=0.5, gap_s=0.1),
    )
    probes: ClassVar[Sequence[Request]] = permitted
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        del known
        return self.permitted

    def decoder(self) -> "JkUartDecoder":
        """Return a decoder that has heard nothing yet."""
        return JkUartDecoder()


class JkUartDecoder:
    """Decodes the answers to "read all"."""

    def __init__(self) -> None:
        self._line = Line(look, first=START[0])

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next bytes; yield what they complete."""
        for piece in self._line.feed(frame):
            yield from _taken(piece)

    def finish(self) -> Iterator[Reading | Rejected]:
        """Yield what stands behind a message that the end cut off."""
        for piece in self._line.finish():
            yield from _taken(piece)


def _taken(piece: Piece) -> Iterator[Reading | Rejected]:
    raw = piece.data
    if piece.why:
        if piece.direction == "rx":
            yield _rejected(piece.time_s, raw, piece.why)
    elif raw[10] in _ANSWERS and raw[8] == READ_ALL:
        try:
            values = _values(_fields(raw[_HEAD:-_TAIL]))
        except _WrongError as error:
            yield _rejected(piece.time_s, raw, str(error))
        else:
            yield _reading(piece.time_s, values, raw)


def _rejected(time_s: float, raw: bytes, why: str) -> Rejected:
    error = ProtocolError(
        f"JK status: {why}", "check wiring and baud rate; the line may be noisy"
    )
    return Rejected(time_s, "", error, raw, "status")


def _reading(time_s: float, values: Mapping[str, Value], raw: bytes) -> Reading:
    faults = values["fault_codes"]
    assert isinstance(faults, tuple)
    notices = tuple(
        Notice("critical_fault_code", f"the BMS reports: {fault}")
        for fault in faults
        if fault in CRITICAL
    )
    return Reading(time_s, "", "status", values, raw, None, notices)


def _fields(data: bytes) -> dict[int, bytes]:
    """Return the fields by their number."""
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        number = data[at]
        at += 1
        if number == _CELLS and at < len(data):
            size = data[at]
            at += 1
        elif number in _SIZES:
            size = _SIZES[number]
        else:
            raise _WrongError(f"field {number:02X} is not known, nor its length")
        if at + size > len(data):
            raise _WrongError(f"field {number:02X} is cut off")
        if number in fields:
            raise _WrongError(f"field {number:02X} is there twice")
        fields[number] = data[at : at + size]
        at += size
    missing = [f"{number:02X}" for number in _NEEDED if number not in fields]
    if missing:
        raise _WrongError(f"without field {', '.join(missing)}")
    return fields


def _values(fields: Mapping[int, bytes]) -> dict[str, Value]:
    def number(field: int) -> int:
        return int.from_bytes(fields[field], "big")

    warnings, status = number(0x8B), number(0x8C)
    cells = _cells(fields[_CELLS])
    if 0x8A in fields and number(0x8A) != len(cells):
        raise _WrongError(f"{len(cells)} cells of {number(0x8A)} in series")
    values: dict[str, Value] = {
        "cell_voltage_v": cells,
        "voltage_v": number(0x83) / 100,
        "current_a": _current(number(0x84), fields.get(0xC0)),
        "soc": number(0x85) / 100,
        "fault_codes": tuple(
            WARNINGS[i] if i < len(WARNINGS) else f"warning bit {i}"
            for i in range(16)
            if warnings >> i & 1
        ),
        "charge_enabled": bool(status & 1),
        "discharge_enabled": bool(status & 2),
        "balancing": bool(status & 4),
    }
    if 0x81 in fields and 0x82 in fields:
        values["temperature_degc"] = (_degc(number(0x81)), _degc(number(0x82)))
    if 0x80 in fields:
        values["jk_mosfet_temperature_degc"] = _degc(number(0x80))
    for field, (name, scale) in _NUMBERS.items():
        if field in fields:
            values[name] = number(field) / scale
    if fields.get(0xB9, b"").strip(b"\0"):  # 0 until the BMS has measured it
        values["full_capacity_ah"] = float(number(0xB9))
    if 0xB7 in fields:
        values["software_version"] = _text(fields[0xB7]).rstrip("_")
    if 0xBA in fields and _text(fields[0xBA]):
        values["serial_number"] = _text(fields[0xBA])
    if 0xB6 in fields:
        values["jk_runtime_s"] = 60.0 * number(0xB6)
    if 0xAF in fields and number(0xAF) < len(CHEMISTRIES):
        values["jk_chemistry"] = CHEMISTRIES[number(0xAF)]
    return values


def _cells(data: bytes) -> tuple[float, ...]:
    """Return the cells in the order of their numbers, which must run from 1."""
    n_cells, left = divmod(len(data), 3)
    numbers = [data[i] for i in range(0, len(data), 3)]
    if left or not 1 <= n_cells <= MAX_CELLS or numbers != [*range(1, n_cells + 1)]:
        raise _WrongError("the cells are not numbered 1, 2, 3, ...")
    return tuple(
        int.from_bytes(data[i + 1 : i + 3], "big") / 1000
        for i in range(0, len(data), 3)
    )


def _current(raw: int, version: bytes | None) -> float:
    """Return A, positive while charging; how it is coded follows from field C0."""
    if version == b"\x01":
        amps = (raw & 0x7FFF) / 100
        return amps if raw & 0x8000 or not raw else -amps
    if version == b"\x00":
        return (10000 - raw) / 100
    raise _WrongError("field C0 does not say how the current is coded")


def _degc(raw: int) -> float:
    """Return degC; above 100 the rest is below zero, above 140 there is no sensor."""
    if raw > 140:
        return float("nan")
    return float(raw if raw <= 100 else 100 - raw)


def _text(data: bytes) -> str:
    text = data.rstrip(b"\0").decode("ascii", "replace").strip()
    return text if text.isprintable() else ""
