"""Pace BMS over RS232 and RS485, protocol version 25.

Sources: dbus-serialbattery (bms/pace.py), esphome-pace-bms (protocol version 25, with
frames), PACE BMS RS232 communication protocol 20180705.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import InputError
from battlife.model import Request, Value
from battlife.wire.ascii_rs485 import (
    MAX_CELLS,
    MAX_SENSORS,
    AsciiDecoder,
    Command,
    Fields,
    Said,
    WrongShapeError,
    alarm_bytes,
    cell_voltages,
    critical,
    expect,
    set_bits,
    temperatures,
    text_of,
)

VERSION: Final = 0x25
_ITEMS: Final = 3
_ZERO: Final = 2730
"""Tenths of a kelvin at 0 degC as Pace rounds it; its relatives take 2731."""

_PROTECT_1: Final = {
    0: "cell over-voltage protection",
    1: "cell under-voltage protection",
    2: "pack over-voltage protection",
    3: "pack under-voltage protection",
    4: "charge over-current protection",
    5: "discharge over-current protection",
    6: "short circuit protection",
}
_PROTECT_2: Final = {
    0: "charge over-temperature protection",
    1: "discharge over-temperature protection",
    2: "charge under-temperature protection",
    3: "discharge under-temperature protection",
    4: "MOSFET over-temperature protection",
    5: "ambient over-temperature protection",
    6: "ambient under-temperature protection",
}
_FAULT: Final = {
    0: "charge MOSFET fault",
    1: "discharge MOSFET fault",
    2: "temperature sensor fault",
    4: "cell fault",
    5: "sampling fault",
}
_WARNING_1: Final = {
    0: "cell high voltage warning",
    1: "cell low voltage warning",
    2: "pack high voltage warning",
    3: "pack low voltage warning",
    4: "charge current warning",
    5: "discharge current warning",
}
_WARNING_2: Final = {
    0: "charge high temperature warning",
    1: "discharge high temperature warning",
    2: "charge low temperature warning",
    3: "discharge low temperature warning",
    4: "ambient high temperature warning",
    5: "ambient low temperature warning",
    6: "MOSFET high temperature warning",
    7: "low power warning",
}
_REVERSED: Final = "terminals reversed"
CRITICAL: Final = (
    "short circuit protection",
    "charge over-temperature protection",
    "discharge over-temperature protection",
    "cell fault",
    "sampling fault",
    _REVERSED,
)
"""Shorted, too hot, or with voltages that cannot be believed."""


def analog(info: bytes) -> Said:
    """Return what an answer to 42 says.

    Some makers append their own fields and say so by another count of items; they are
    refused, because which of them follow is not known.
    """
    fields = Fields(info)
    fields.bytes(2)  # flag, number of the pack
    cells = cell_voltages(fields)
    degc = temperatures(fields, _ZERO)
    if len(degc) < 2:
        raise WrongShapeError("an answer without MOSFET and ambient temperature")
    current = fields.signed() / 100
    volts = fields.unsigned() / 1000
    remaining = fields.unsigned() / 100
    items = fields.unsigned(1)
    if items != _ITEMS:
        raise WrongShapeError(f"{items} items of the maker, Pace has {_ITEMS}")
    full, cycles, design = (fields.unsigned() for _ in range(3))
    fields.end()
    values: dict[str, Value] = {
        "voltage_v": volts,
        "current_a": current,
        "cell_voltage_v": cells,
        "temperature_degc": degc[:-2],
        "pace_mosfet_temperature_degc": degc[-2],
        "pace_ambient_temperature_degc": degc[-1],
        "remaining_capacity_ah": remaining,
        "full_capacity_ah": full / 100,
        "design_capacity_ah": design / 100,
        "cycle_count": float(cycles),
    }
    if full:
        values["soc"] = round(remaining * 100 / full, 6)
    return Said(values)


def alarms(info: bytes) -> Said:
    """Return what an answer to 44 (warnings and states) says."""
    fields = Fields(info)
    fields.bytes(2)  # flag, number of the pack
    n_cells = fields.count(MAX_CELLS, "cells")
    faults = alarm_bytes(fields, n_cells, "cell {} voltage")
    n_sensors = fields.count(MAX_SENSORS, "sensors")
    faults += alarm_bytes(fields, n_sensors, "temperature {}")
    for name in ("charge current", "pack voltage", "discharge current"):
        faults += alarm_bytes(fields, 1, name)
    protect_1, protect_2, system, _, fault = fields.bytes(5)
    balance = fields.unsigned()
    warning_1, warning_2 = fields.bytes(2)
    fields.end()
    faults += set_bits(protect_1, _PROTECT_1) + set_bits(protect_2, _PROTECT_2)
    faults += set_bits(fault, _FAULT) + set_bits(system, {4: _REVERSED})
    faults += set_bits(warning_1, _WARNING_1) + set_bits(warning_2, _WARNING_2)
    return Said(
        {
            "fault_codes": tuple(faults),
            "charge_enabled": bool(system & 2),
            "discharge_enabled": bool(system & 4),
            "balancing": balance != 0,
            "pace_balancing_cells": tuple(
                float(balance >> i & 1) for i in range(min(n_cells, 16))
            ),
        },
        critical(faults, CRITICAL),
    )


def software(info: bytes) -> Said:
    """Return the version that an answer to C1 states."""
    expect(info, 20)
    return Said({"software_version": text_of(info)})


def serial_number(info: bytes) -> Said:
    """Return the serial numbers that an answer to C2 states: BMS, pack (if given)."""
    if len(info) not in (20, 40):
        raise WrongShapeError(f"{len(info)} bytes of INFO, expected 20 or 40")
    values: dict[str, Value] = {"pace_bms_serial_number": text_of(info[:20])}
    pack = text_of(info[20:])
    if pack:
        values["serial_number"] = pack
    return Said(values)


COMMANDS: Final = (
    Command("analog", 0x42, analog),
    Command("alarms", 0x44, alarms),
    Command("software", 0xC1, software, float("inf"), False),
    Command("serial_number", 0xC2, serial_number, float("inf"), False),
)


@dataclass(frozen=True)
class PaceRs232:
    """One pack.

    Attributes
    ----------
    address : of the pack; 0 reaches the one at the end of an RS232 cable, which is
        pack number 1
    """

    address: int = 0

    name: ClassVar[str] = "pace_rs232"
    description: ClassVar[str] = "Pace BMS over RS232 or RS485 (version 25)"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    bauds: ClassVar[Sequence[int]] = (9600, 19200, 115200)
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.address <= 15:
            raise InputError(
                f"pace_rs232 has no address {self.address}",
                "its DIP switches give 0 to 15",
            )

    @property
    def device(self) -> str:
        """Address of the pack, as its readings carry it."""
        return str(self.address)

    @property
    def permitted(self) -> Sequence[Request]:
        """Everything that may be sent: reading commands."""
        pack = max(self.address, 1)
        return tuple(c.request(VERSION, self.address, pack) for c in COMMANDS)

    @property
    def probes(self) -> Sequence[Request]:
        """The request that asks whether the pack is there."""
        return self.permitted[:1]

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        del known
        return self.permitted

    def decoder(self) -> AsciiDecoder:
        """Return a decoder that has heard nothing yet."""
        return AsciiDecoder("Pace", COMMANDS)
