"""Seplos BMS of the second generation (EMU10xx, EMU11xx) over RS485.

Sources: SEPLOS BMS Communication Protocol V2.0; esphome-seplos-bms
(components/seplos_bms, Apache-2.0). Addresses are those of the DIP switch, from 0.
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
)

VERSION: Final = 0x20
_ITEMS: Final = 10
_ALARM_ITEMS: Final = 20
_SWITCHES, _BALANCE, _SYSTEM, _DISCONNECTED = 6, 7, 9, 10
"""Positions among the alarm items; events 1 to 6 come first."""

_EVENTS: Final[Mapping[int, Mapping[int, str]]] = {
    0: {
        0: "voltage sensor fault",
        1: "temperature sensor fault",
        2: "current sensor fault",
        3: "key switch fault",
        4: "cell voltage dropout fault",
        5: "charge switch fault",
        6: "discharge switch fault",
        7: "current limit switch fault",
    },
    1: {
        0: "cell high voltage alarm",
        1: "cell over-voltage protection",
        2: "cell low voltage alarm",
        3: "cell under-voltage protection",
        4: "pack high voltage alarm",
        5: "pack over-voltage protection",
        6: "pack low voltage alarm",
        7: "pack under-voltage protection",
    },
    2: {
        0: "charge high temperature alarm",
        1: "charge over-temperature protection",
        2: "charge low temperature alarm",
        3: "charge under-temperature protection",
        4: "discharge high temperature alarm",
        5: "discharge over-temperature protection",
        6: "discharge low temperature alarm",
        7: "discharge under-temperature protection",
    },
    3: {
        0: "ambient high temperature alarm",
        1: "ambient over-temperature protection",
        2: "ambient low temperature alarm",
        3: "ambient under-temperature protection",
        4: "power stage over-temperature protection",
        5: "power stage high temperature alarm",
    },
    4: {
        0: "charge over-current alarm",
        1: "charge over-current protection",
        2: "discharge over-current alarm",
        3: "discharge over-current protection",
        4: "transient over-current protection",
        5: "output short circuit protection",
        6: "transient over-current lockout",
        7: "output short circuit lockout",
    },
    5: {
        0: "charge high voltage protection",
        2: "residual capacity alarm",
        3: "residual capacity protection",
        4: "charging forbidden: cell voltage low",
        5: "output reverse polarity protection",
        6: "output connection fault",
    },
    13: {0: "EEPROM fault", 1: "clock fault"},
}
"""Alarm events 1 to 6 and 8, by position among the items, by bit. Bits that only tell
what the BMS is doing (heating, waiting for a charger) are no faults."""

CRITICAL: Final = (
    "voltage sensor fault",
    "cell voltage dropout fault",
    "charge over-temperature protection",
    "discharge over-temperature protection",
    "output short circuit protection",
    "output short circuit lockout",
)
"""Shorted, too hot, or with voltages that cannot be believed."""


def analog(info: bytes) -> Said:
    """Return what an answer to 42 (telemetry) says."""
    fields = Fields(info)
    fields.bytes(2)  # flag, group
    cells = cell_voltages(fields)
    degc = temperatures(fields)
    if len(degc) < 2:
        raise WrongShapeError("an answer without ambient and power temperature")
    current = fields.signed() / 100
    volts = fields.unsigned() / 100
    remaining = fields.unsigned() / 100
    items = fields.unsigned(1)
    if items != _ITEMS:
        raise WrongShapeError(f"{items} items of the maker, Seplos has {_ITEMS}")
    full, soc, rated, cycles, soh, port = (fields.unsigned() for _ in range(6))
    fields.bytes(8)
    fields.end()
    return Said(
        {
            "voltage_v": volts,
            "current_a": current,
            "cell_voltage_v": cells,
            "temperature_degc": degc[:-2],
            "seplos_ambient_temperature_degc": degc[-2],
            "seplos_power_temperature_degc": degc[-1],
            "soc": soc / 1000,
            "reported_soh": soh / 1000,
            "remaining_capacity_ah": remaining,
            "full_capacity_ah": full / 100,
            "design_capacity_ah": rated / 100,
            "cycle_count": float(cycles),
            "seplos_port_voltage_v": port / 100,
        }
    )


def alarms(info: bytes) -> Said:
    """Return what an answer to 44 (alarms and states) says."""
    fields = Fields(info)
    fields.bytes(2)  # flag, group
    n_cells = fields.count(MAX_CELLS, "cells")
    faults = alarm_bytes(fields, n_cells, "cell {} voltage")
    n_sensors = fields.count(MAX_SENSORS, "sensors")
    faults += alarm_bytes(fields, n_sensors, "temperature {}")
    faults += alarm_bytes(fields, 1, "current")
    faults += alarm_bytes(fields, 1, "pack voltage")
    items = fields.unsigned(1)
    if items != _ALARM_ITEMS:
        raise WrongShapeError(f"{items} alarm items, Seplos has {_ALARM_ITEMS}")
    item = fields.bytes(_ALARM_ITEMS)
    fields.end()
    for position, names in _EVENTS.items():
        faults += set_bits(item[position], names)
    lost = item[_DISCONNECTED] | item[_DISCONNECTED + 1] << 8
    unseen = [f"cell {i + 1} disconnected" for i in range(16) if lost >> i & 1]
    faults += unseen
    balance = item[_BALANCE] | item[_BALANCE + 1] << 8
    values: dict[str, Value] = {
        "fault_codes": tuple(faults),
        "discharge_enabled": bool(item[_SWITCHES] & 1),
        "charge_enabled": bool(item[_SWITCHES] & 2),
        "balancing": balance != 0,
        "seplos_balancing_cells": tuple(
            float(balance >> i & 1) for i in range(min(n_cells, 16))
        ),
        "seplos_heating": bool(item[3] & 0x40),
        "seplos_standby": bool(item[_SYSTEM] & 0x10),
    }
    return Said(values, critical(faults, (*CRITICAL, *unseen)))


def nothing(info: bytes) -> Said:
    """Return that a pack answers: 4F has its version in the head, and no INFO."""
    expect(info, 0)
    return Said({})


COMMANDS: Final = (
    Command("analog", 0x42, analog),
    Command("alarms", 0x44, alarms),
    Command("protocol_version", 0x4F, nothing, float("inf"), False),
)


@dataclass(frozen=True)
class SeplosV2:
    """One pack of a line.

    Attributes
    ----------
    address : of its DIP switch, 0 to 15
    """

    address: int = 0

    name: ClassVar[str] = "seplos_v2"
    description: ClassVar[str] = "Seplos BMS of the second generation over RS485"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    bauds: ClassVar[Sequence[int]] = (19200, 9600)
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.address <= 15:
            raise InputError(
                f"seplos_v2 has no address {self.address}",
                "its DIP switches give 0 to 15",
            )

    @property
    def device(self) -> str:
        """Address of the pack, as its readings carry it."""
        return str(self.address)

    @property
    def permitted(self) -> Sequence[Request]:
        """Everything that may be sent: reading commands."""
        return tuple(c.request(VERSION, self.address, self.address) for c in COMMANDS)

    @property
    def probes(self) -> Sequence[Request]:
        """The request that asks whether the pack is there."""
        return self.permitted[:1]

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        del known
        return self.permitted[:2]

    def decoder(self) -> AsciiDecoder:
        """Return a decoder that has heard nothing yet."""
        return AsciiDecoder("Seplos", COMMANDS)
