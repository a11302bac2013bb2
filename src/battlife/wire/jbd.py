"""JBD (Jiabaida, also LLT and Xiaoxiang) BMS over UART, 9600 baud.

Sources: protocol of the vendor as used by dbus-serialbattery (bms/lltjbd.py) and
aiobmsble (docs/jbd_bms.md); frames of esphome-jbd-bms. Only registers 03, 04 and 05
are read; the factory mode, which the other registers need, is never entered.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import ProtocolError
from battlife.model import Frame, Notice, Reading, Rejected, Request, Value
from battlife.wire._line import Found, Line, Piece
from battlife.wire.checksums import negated_sum16

START, END, READ, WRITE = 0xDD, 0x77, 0xA5, 0x5A
NAMES: Final = {0x03: "basic", 0x04: "cells", 0x05: "hardware"}
BASIC_BYTES: Final = 23
MAX_CELLS: Final = 32

PROTECTIONS: Final = (
    "cell over-voltage",
    "cell under-voltage",
    "pack over-voltage",
    "pack under-voltage",
    "charge over-temperature",
    "charge under-temperature",
    "discharge over-temperature",
    "discharge under-temperature",
    "charge over-current",
    "discharge over-current",
    "short circuit",
    "front-end error",
    "MOSFET software lock",
)
"""Protection bits from bit 0."""

CRITICAL: Final = frozenset(
    {
        "short circuit",
        "front-end error",
        "charge over-temperature",
        "discharge over-temperature",
    }
)
"""Cells that are hot or shorted must not be handled; behind a failed front end no
voltage can be believed."""


def look(data: bytes) -> Found:
    """Say what begins at the head of some bytes: a request, an answer, or nothing."""
    if data[0] != START:
        return Found("no")
    if len(data) < 4:
        return Found("more")
    request = data[1] in (READ, WRITE)
    if not request and data[2] not in (0x00, 0x80):
        return Found("no")
    length = data[3] + 7
    if len(data) < length:
        return Found("more")
    message = data[:length]
    if message[-1] != END:
        return Found("wrong", length, f"ends in {message[-1]:02X}, not in 77")
    stated = int.from_bytes(message[-3:-1], "big")
    right = negated_sum16(message[2:-3])
    if stated != right:
        return Found("wrong", length, f"checksum {stated:04X}, calculated {right:04X}")
    return Found("message", length)


@dataclass(frozen=True)
class JbdUart:
    """The BMS on one UART; it has no address."""

    name: ClassVar[str] = "jbd_uart"
    description: ClassVar[str] = "JBD, LLT and Xiaoxiang BMS over UART"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    device: ClassVar[str] = ""
    bauds: ClassVar[Sequence[int]] = (9600, 115200)
    permitted: ClassVar[Sequence[Request]] = tuple(
        Request(
            message,
            bytes([START, READ, register, 0])
            + negated_sum16(bytes([register, 0])).to_bytes(2, "big")
            + bytes([END]),
            every_s=float("inf") if message == "hardware" else 0.0,
        )
        for register, message in NAMES.items()
    )
    probes: ClassVar[Sequence[Request]] = permitted[:1]
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        del known
        return self.permitted

    def decoder(self) -> "JbdDecoder":
        """Return a decoder that has heard nothing yet."""
        return JbdDecoder()


class JbdDecoder:
    """Decodes the answers of one BMS."""

    def __init__(self) -> None:
        self._line = Line(look, START)

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
    answer = raw[1] not in (READ, WRITE)
    name = NAMES.get(raw[1], "") if answer else ""
    if piece.why:
        yield _rejected(piece.time_s, name, raw, piece.why)
    elif not name:
        return  # what was asked, or an answer to somebody else's question
    elif raw[2] != 0x00:
        why = f"the BMS reports error {raw[2]:02X}"
        yield _rejected(piece.time_s, name, raw, why)
    else:
        yield _decoded(piece.time_s, name, raw)


def _rejected(time_s: float, name: str, raw: bytes, why: str) -> Rejected:
    error = ProtocolError(
        f"JBD {name or 'message'}: {why}",
        "check wiring and baud rate; the line may be noisy",
    )
    return Rejected(time_s, "", error, raw, name)


def _decoded(time_s: float, name: str, raw: bytes) -> Reading | Rejected:
    data = raw[4:-3]
    if name == "cells":
        if not data or len(data) % 2 or len(data) // 2 > MAX_CELLS:
            why = f"{len(data)} bytes are no list of cell voltages"
            return _rejected(time_s, name, raw, why)
        cells = tuple(_u16(data, i) / 1000 for i in range(0, len(data), 2))
        return Reading(time_s, "", name, {"cell_voltage_v": cells}, raw)
    if name == "hardware":
        try:
            text = data.decode("ascii").strip("\0 ")
        except UnicodeDecodeError:
            return _rejected(time_s, name, raw, "the hardware name is no text")
        return Reading(time_s, "", name, {"hardware_version": text}, raw)
    if len(data) < BASIC_BYTES or len(data) < BASIC_BYTES + 2 * data[22]:
        why = f"{len(data)} bytes are too few for its {data[22:23].hex()} sensors"
        return _rejected(time_s, name, raw, why)
    return _basic(time_s, raw, data)


def _basic(time_s: float, raw: bytes, data: bytes) -> Reading:
    n_cells, n_sensors = data[21], data[22]
    faults = _named(_u16(data, 16))
    balance = _u16(data, 12) | _u16(data, 14) << 16
    date = _u16(data, 10)
    values: dict[str, Value] = {
        "voltage_v": _u16(data, 0) / 100,
        "current_a": int.from_bytes(data[2:4], "big", signed=True) / 100,
        "remaining_capacity_ah": _u16(data, 4) / 100,
        "design_capacity_ah": _u16(data, 6) / 100,
        "cycle_count": float(_u16(data, 8)),
        "soc": data[19] / 100,
        "temperature_degc": tuple(
            # In tenths of a kelvin from 273.1 K.
            round((_u16(data, BASIC_BYTES + 2 * i) - 2731) / 10, 1)
            for i in range(n_sensors)
        ),
        "balancing": balance != 0,
        "jbd_balancing_cells": tuple(
            float(balance >> i & 1) for i in range(min(n_cells, MAX_CELLS))
        ),
        "jbd_n_cells": float(n_cells),
        "charge_enabled": bool(data[20] & 1),
        "discharge_enabled": bool(data[20] & 2),
        "fault_codes": faults,
        "software_version": f"{data[18] >> 4}.{data[18] & 15}",
    }
    month, day = date >> 5 & 15, date & 31
    if 1 <= month <= 12 and day:
        made = f"{2000 + (date >> 9):04d}-{month:02d}-{day:02d}"
        values["jbd_manufactured"] = made
    critical = [f for f in faults if f in CRITICAL]
    notices = tuple(
        Notice("critical_fault_code", f"the BMS reports: {fault}") for fault in critical
    )
    return Reading(time_s, "", "basic", values, raw, None, notices)


def _named(bits: int) -> tuple[str, ...]:
    """Return the protections that are set; an unknown bit is told by its number."""
    return tuple(
        PROTECTIONS[i] if i < len(PROTECTIONS) else f"protection bit {i}"
        for i in range(16)
        if bits >> i & 1
    )


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
