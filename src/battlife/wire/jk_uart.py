"""JK BMS over its UART ("4E 57" frames), 115200 baud.

One answer holds everything, as items of an identifier and a value of known length. An
unknown identifier has an unknown length, so the whole answer is refused: everything
behind it would be guessed.

References
----------
JK "Communication protocol between monitoring platform and BMS" V2.5, as described in
esphome-jk-bms (docs/protocol-design-uart-ttl-gps-port.md).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import ProtocolError
from battlife.model import Frame, Notice, Reading, Rejected, Request, Value
from battlife.wire._line import Found, Line, Piece
from battlife.wire.checksums import sum16

START: Final = b"NW"
SMALLEST, LARGEST = 21, 1024
"""Bytes of a message without items, and more than any has."""
READ_ALL: Final = bytes.fromhex("4E5700130000000006030000000000006800000129")
MESSAGE: Final = "everything"
FIRST_ITEM, TAIL = 11, 9
"""An answer's items stand between these: in front are length, terminal, command,
source and kind; behind are record number, end mark and checksum."""
END: Final = 0x68
ANSWER: Final = 1
"""Byte 10 of an answer; a request has 0."""

CELLS: Final = 0x79
LENGTHS: Final[Mapping[int, int]] = {
    **dict.fromkeys((0x80, 0x81, 0x82, 0x83, 0x84), 2),
    0x85: 1,
    0x86: 1,
    0x87: 2,
    0x89: 4,
    **dict.fromkeys((0x8A, 0x8B, 0x8C), 2),
    **dict.fromkeys(range(0x8E, 0x9D), 2),
    0x9D: 1,
    **dict.fromkeys(range(0x9E, 0xA9), 2),
    0xA9: 1,
    0xAA: 4,
    0xAB: 1,
    0xAC: 1,
    0xAD: 2,
    0xAE: 1,
    0xAF: 1,
    0xB0: 2,
    0xB1: 1,
    0xB2: 10,
    0xB3: 1,
    0xB4: 8,
    0xB5: 4,
    0xB6: 4,
    0xB7: 15,
    0xB8: 1,
    0xB9: 4,
    0xBA: 24,
    0xC0: 1,
}
"""Bytes of the value behind each identifier; CELLS states its own."""

WARNINGS: Final = (
    "low SOC",
    "MOSFET over-temperature",
    "charge over-voltage",
    "discharge under-voltage",
    "battery over-temperature",
    "charge over-current",
    "discharge over-current",
    "cell voltage difference",
    "box over-temperature",
    "battery under-temperature",
    "cell over-voltage",
    "cell under-voltage",
    "309_A protection",
    "309_B protection",
)
"""Warning bits of 8B from bit 0."""
CRITICAL: Final = frozenset({"battery over-temperature"})
CHEMISTRIES: Final = ("LFP", "NMC", "LTO")
MAX_CELLS: Final = 32


def look(data: bytes) -> Found:
    """Say what begins at the head of some bytes: a request, an answer, or nothing."""
    if data[:2] != START[: len(data)]:
        return Found("no")
    if len(data) < 4:
        return Found("more")
    length = int.from_bytes(data[2:4], "big") + 2
    if not SMALLEST <= length <= LARGEST:
        return Found("no")
    if len(data) < length:
        return Found("more")
    stated = int.from_bytes(data[length - 4 : length], "big")
    right = sum16(data[: length - 4])
    if stated != right:
        return Found("wrong", length, f"checksum {stated:04X}, calculated {right:04X}")
    if data[length - 5] != END:
        return Found("wrong", length, f"{data[length - 5]:02X} stands where 68 is due")
    return Found("message", length)


@dataclass(frozen=True)
class JkUart:
    """The BMS on one UART; it has no address there."""

    name: ClassVar[str] = "jk_uart"
    description: ClassVar[str] = "JK BMS over UART (4E 57)"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    device: ClassVar[str] = ""
    bauds: ClassVar[Sequence[int]] = (115200, 9600)
    permitted: ClassVar[Sequence[Request]] = (Request(MESSAGE, READ_ALL, gap_s=0.1),)
    probes: ClassVar[Sequence[Request]] = permitted
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        return self.permitted

    def decoder(self) -> "JkUartDecoder":
        """Return a decoder that has heard nothing yet."""
        return JkUartDecoder()


class JkUartDecoder:
    """Decodes the answers of one BMS."""

    def __init__(self) -> None:
        self._line = Line(look)

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next bytes; yield what they complete."""
        for piece in self._line.feed(frame):
            yield from _taken(piece)

    def finish(self) -> Iterator[Reading | Rejected]:
        """Yield what stands behind a message that the end cut off."""
        for piece in self._line.finish():
            yield from _taken(piece)


def _taken(piece: Piece) -> Iterator[Reading | Rejected]:
    if not piece.why and piece.data[10] != ANSWER:
        return  # what was asked
    try:
        if piece.why:
            raise ProtocolError(
                f"JK answer: {piece.why}",
                "check wiring and baud rate; the line may be noisy",
            )
        values = _values(_items(piece.data[FIRST_ITEM:-TAIL]))
    except ProtocolError as error:
        yield Rejected(piece.time_s, "", error, piece.data, MESSAGE)
        return
    faults = values.get("fault_codes", ())
    assert isinstance(faults, tuple)
    notices = tuple(
        Notice("critical_fault_code", f"the BMS reports: {fault}")
        for fault in faults
        if fault in CRITICAL
    )
    yield Reading(piece.time_s, "", MESSAGE, values, piece.data, None, notices)


def _items(data: bytes) -> dict[int, bytes]:
    """Take the items apart.

    Raises
    ------
    ProtocolError
        An unknown item, one given twice, or one cut off.
    """
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        item, start = data[at], at + 1
        if item == CELLS:
            start += 1
            length = data[at + 1] if at + 1 < len(data) else 0
        elif item in LENGTHS:
            length = LENGTHS[item]
        else:
            raise ProtocolError(
                f"JK item {item:02X} is not known",
                "is it newer firmware? keep the bytes: they can be decoded later",
            )
        at = start + length
        if at > len(data) or item in found:
            raise ProtocolError(f"JK item {item:02X} is cut off or given twice")
        found[item] = data[start:at]
    return found


def _values(items: Mapping[int, bytes]) -> dict[str, Value]:
    """Return what the items say.

    Raises
    ------
    ProtocolError
        A list of cells that is none, or a current of unknown scale.
    """
    whole = {i: int.from_bytes(v, "big") for i, v in items.items()}
    values: dict[str, Value] = {}
    for item, (name, divisor) in _NUMBERS.items():
        if item in whole:
            values[name] = whole[item] / divisor
    for item, name in _TEXTS.items():
        text = items[item].split(b"\0")[0] if item in items else b""
        if text and text.isascii():
            values[name] = text.decode("ascii").strip().rstrip("_")
    if CELLS in items:
        values["cell_voltage_v"] = _cells(items[CELLS])
    if 0x84 in items:
        values["current_a"] = _current_a(whole[0x84], whole.get(0xC0, 0))
    # The box and MOSFET sensors are the board's own; 82 is the one at the cells.
    if 0x82 in items:
        values["temperature_degc"] = (_degc(whole[0x82]),)
    if 0x80 in items:
        values["jk_mosfet_temperature_degc"] = _degc(whole[0x80])
    if 0x81 in items:
        values["jk_box_temperature_degc"] = _degc(whole[0x81])
    if 0x85 in items:
        values["soc"] = whole[0x85] / 100 if whole[0x85] <= 100 else math.nan
    if whole.get(0xB9):  # 0 where the BMS has not found it yet
        values["full_capacity_ah"] = float(whole[0xB9])
    if 0x8B in items:
        values["fault_codes"] = _named(whole[0x8B])
    if 0x8C in items:
        values["charge_enabled"] = bool(whole[0x8C] & 1)
        values["discharge_enabled"] = bool(whole[0x8C] & 2)
        values["balancing"] = bool(whole[0x8C] & 4)
    if whole.get(0xAF, len(CHEMISTRIES)) < len(CHEMISTRIES):
        values["jk_chemistry"] = CHEMISTRIES[whole[0xAF]]
    return values


def _cells(data: bytes) -> tuple[float, ...]:
    """Return cell voltages in V from triples of a number and two bytes in mV."""
    count = len(data) // 3
    numbers = list(data[::3])
    if not count or len(data) % 3 or numbers != list(range(1, count + 1)):
        raise ProtocolError(f"JK: {data.hex()} is no list of cells 1, 2, ...")
    if count > MAX_CELLS:
        raise ProtocolError(f"JK: {count} cells, {MAX_CELLS} at most")
    return tuple(
        int.from_bytes(data[i + 1 : i + 3], "big") / 1000
        for i in range(0, len(data), 3)
    )


def _current_a(raw: int, version: int) -> float:
    """Return the current in A, positive while charging.

    Version 1 (item C0) has a sign bit that is set while charging; version 0 counts
    from 10000 down while charging and up while discharging.
    """
    if version == 1:
        size = (raw & 0x7FFF) / 100
        return size if raw & 0x8000 else 0.0 - size
    if version == 0:
        return (10000 - raw) / 100
    raise ProtocolError(
        f"JK current of version {version} has an unknown scale",
        "is it newer firmware? keep the bytes: they can be decoded later",
    )


def _degc(raw: int) -> float:
    """Return degC; what is above 100 is below zero: 101 is -1."""
    return float(raw) if raw <= 100 else float(100 - raw) if raw <= 140 else math.nan


def _named(bits: int) -> tuple[str, ...]:
    return tuple(
        WARNINGS[i] if i < len(WARNINGS) else f"warning bit {i}"
        for i in range(16)
        if bits >> i & 1
    )


_NUMBERS: Final[Mapping[int, tuple[str, float]]] = {
    0x83: ("voltage_v", 100),
    0x86: ("jk_n_sensors", 1),
    0x87: ("cycle_count", 1),
    0x89: ("charge_throughput_ah", 1),
    0x8A: ("jk_n_cells", 1),
    0x8E: ("jk_pack_over_voltage_v", 100),
    0x8F: ("jk_pack_under_voltage_v", 100),
    0x90: ("jk_cell_over_voltage_v", 1000),
    0x93: ("jk_cell_under_voltage_v", 1000),
    0x97: ("jk_max_discharge_current_a", 1),
    0x99: ("jk_max_charge_current_a", 1),
    0x9B: ("jk_balance_start_voltage_v", 1000),
    0xAA: ("design_capacity_ah", 1),
    0xB6: ("jk_runtime_min", 1),
}
"""Items that are plain numbers: name and what one unit of it counts."""
_TEXTS: Final[Mapping[int, str]] = {
    0xB5: "jk_manufactured",
    0xB7: "software_version",
    0xBA: "serial_number",
}
"""Items that are text. The password (B2) is left alone."""
