"""Renogy smart lithium batteries: Modbus RTU, 9600 baud, function 3.

Cells are sent in tenths of a volt only: good for finding a broken cell, not for more.

References
----------
Registers: aiobmsble, bms/renogy_bms.py and tests/bms; dbus-serialbattery,
bms/renogy.py. Bits of the two status words agree in three independent readers of
them, one for the maker's own description.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import InputError, ProtocolError
from battlife.model import Request, Value
from battlife.wire._ev import Said, critical_notice, scaled
from battlife.wire.modbus import Block, ModbusDecoder
from battlife.wire.modbus_messages import READ_HOLDING, Answer

MAX_CELLS: Final = 16
MAX_SENSORS: Final = 16

PROTECTIONS: Final[Mapping[int, str]] = {
    0: "short circuit",
    4: "charge over-current level 2",
    5: "discharge over-current level 2",
    6: "module over-voltage",
    7: "cell under-voltage",
    8: "cell over-voltage",
    9: "charge over-current",
    10: "discharge over-current",
    11: "discharge under-temperature",
    12: "discharge over-temperature",
    13: "charge under-temperature",
    14: "charge over-temperature",
    15: "module under-voltage",
}
"""Bits of register 0x13F2 that say what was switched off for."""

WARNINGS: Final = (
    "cell voltage low",
    "cell voltage high",
    "module voltage low",
    "module voltage high",
    "charge temperature low",
    "charge temperature high",
    "discharge temperature low",
    "discharge temperature high",
)
"""Bits of register 0x13F3 from bit 0."""

CRITICAL: Final = frozenset(
    {"short circuit", "charge over-temperature", "discharge over-temperature"}
)

_ALARMS: Final = ("", "below its limit", "above its limit", "in error")
_HINT: Final = "is it another family of battery, or another firmware?"


def _pack(answer: Answer) -> Said:
    return Said(
        {
            "current_a": scaled(answer.s16(0x13B2), 0.01),
            "voltage_v": scaled(answer.u16(0x13B3), 0.1),
            "remaining_capacity_ah": scaled(answer.u32(0x13B4), 0.001),
            "full_capacity_ah": scaled(answer.u32(0x13B6), 0.001),
            "cycle_count": scaled(answer.u16(0x13B8), 1.0),
        }
    )


def _cells(answer: Answer) -> Said:
    return Said(
        {
            "cell_voltage_v": _listed(answer, 0x1388, MAX_CELLS, "cells"),
            "temperature_degc": _listed(answer, 0x1399, MAX_SENSORS, "sensors"),
        }
    )


def _listed(answer: Answer, at: int, most: int, what: str) -> tuple[float, ...] | None:
    """Return the tenths that follow the register with their number."""
    count = answer.u16(at)
    if count is None:
        return None
    if count > most:
        raise ProtocolError(f"{count} {what}, where it has up to {most}", _HINT)
    raws = [answer.s16(at + 1 + i) for i in range(count)]
    if None in raws:
        return None
    return tuple(math.nan if raw is None or raw == -1 else raw / 10 for raw in raws)


def _status(answer: Answer) -> Said:
    first, second = answer.u16(0x13F2), answer.u16(0x13F3)
    values: dict[str, Value | None] = {}
    if first is not None:
        values["charge_enabled"] = bool(first & 0x0002)
        values["discharge_enabled"] = bool(first & 0x0004)
    if second is not None:
        values["renogy_fully_charged"] = bool(second & 0x0800)
        values["renogy_heating"] = bool(second & 0x2000)
        values["renogy_warnings"] = tuple(
            name for bit, name in enumerate(WARNINGS) if second >> bit & 1
        )
    cells, sensors = answer.u32(0x13EC), answer.u32(0x13EE)
    if first is None or cells is None or sensors is None:
        return Said(values)
    faults = tuple(n for bit, n in PROTECTIONS.items() if first >> bit & 1)
    values["fault_codes"] = (
        *faults,
        *_alarms(cells, "cell {} voltage"),
        *_alarms(sensors, "cell {} temperature"),
    )
    notices = tuple(
        critical_notice(f"the BMS reports: {fault}")
        for fault in faults
        if fault in CRITICAL
    )
    return Said(values, notices)


def _alarms(pairs: int, what: str) -> list[str]:
    """Return what pairs of bits say, the last pair being number 1."""
    states = [(i + 1, pairs >> 2 * i & 3) for i in range(16)]
    return [f"{what.format(i)} {_ALARMS[state]}" for i, state in states if state]


def _identity(answer: Answer) -> Said:
    return Said(
        {
            "serial_number": answer.text(0x13F6, 8),
            "hardware_version": answer.text(0x1402, 8),
            "software_version": answer.text(0x140A, 2),
        }
    )


BLOCKS: Final = (
    Block("pack", READ_HOLDING, 0x13B2, 7, _pack),
    Block("cells", READ_HOLDING, 0x1388, 0x22, _cells),
    Block("status", READ_HOLDING, 0x13EC, 8, _status),
    # The maker's app reads it so; it begins inside the status.
    Block("identity", READ_HOLDING, 0x13F0, 0x1C, _identity, every_s=math.inf),
)


@dataclass(frozen=True)
class RenogyModbus:
    """One battery of the line.

    Attributes
    ----------
    address : of the battery, 1 to 247; from the factory 247, behind the maker's
        Bluetooth module 48

    Raises
    ------
    InputError
        It cannot have this address.
    """

    address: int = 48

    name: ClassVar[str] = "renogy_modbus"
    description: ClassVar[str] = "Renogy smart lithium batteries (Modbus RTU)"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    bauds: ClassVar[Sequence[int]] = (9600,)
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.address <= 247:
            raise InputError(
                f"a Renogy battery cannot have the address {self.address}",
                "Modbus addresses are 1 to 247; try 48 and 247",
            )

    @property
    def device(self) -> str:
        """Label of its readings."""
        return str(self.address)

    @property
    def permitted(self) -> Sequence[Request]:
        """Everything that may be sent: reads."""
        return tuple(block.request(self.address) for block in BLOCKS)

    @property
    def probes(self) -> Sequence[Request]:
        """The read of its values."""
        return self.permitted[:1]

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        del known
        return self.permitted

    def decoder(self) -> ModbusDecoder:
        """Return a decoder that has heard nothing yet."""
        return ModbusDecoder(BLOCKS)
