"""Pylontech low-voltage batteries (US2000, US3000, ...) over RS485.

Sources: python-pylontech (pylontech/pylontech.py, MIT), PYLON RS485-protocol-V3.3;
frames of an US3000 in public notes. The first pack of a stack has address 2.
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
    celsius,
    critical,
    expect,
    set_bits,
    temperatures,
    text_of,
)

VERSION: Final = 0x20
_FULL: Final = 0xFFFF
"""A 16-bit capacity that did not fit; the 24-bit one follows."""

_STATUS_1: Final = {
    0: "module over-voltage",
    1: "cell under-voltage",
    2: "charge over-current",
    4: "discharge over-current",
    5: "discharge over-temperature",
    6: "charge over-temperature",
    7: "module under-voltage",
}
CRITICAL: Final = ("discharge over-temperature", "charge over-temperature")
"""Cells too hot for their own battery must not be handled."""


def analog(info: bytes) -> Said:
    """Return what an answer to 42 says."""
    fields = Fields(info)
    fields.unsigned(1)  # what has changed since it was asked last
    fields.unsigned(1)  # of a pack its address; the answers of several are not taken
    cells = cell_voltages(fields)
    degc = temperatures(fields)
    current = fields.signed() / 10
    volts = fields.unsigned() / 1000
    remaining = fields.unsigned()
    items = fields.unsigned(1)
    if items not in (2, 4):
        raise WrongShapeError(f"{items} items of the maker, Pylontech has 2 or 4")
    total, cycles = fields.unsigned(), fields.unsigned()
    if items == 4:
        remaining, total = fields.unsigned(3), fields.unsigned(3)
    elif _FULL in (remaining, total):
        raise WrongShapeError("a capacity above 65.5 Ah without its wide field")
    fields.end()
    values: dict[str, Value] = {
        "voltage_v": volts,
        "current_a": current,
        "cell_voltage_v": cells,
        # The first sensor is the BMS's own; the others lie between the cells.
        "temperature_degc": degc[1:],
        "remaining_capacity_ah": remaining / 1000,
        "full_capacity_ah": total / 1000,
        "cycle_count": float(cycles),
    }
    if degc:
        values["pylontech_bms_temperature_degc"] = degc[0]
    if total:
        values["soc"] = round(remaining / total, 6)
    return Said(values)


def alarms(info: bytes) -> Said:
    """Return what an answer to 44 says."""
    fields = Fields(info)
    fields.bytes(2)  # flag, address
    faults = alarm_bytes(fields, fields.count(MAX_CELLS, "cells"), "cell {} voltage")
    n_sensors = fields.count(MAX_SENSORS, "sensors")
    faults += alarm_bytes(fields, n_sensors, "temperature {}")
    for name in ("charge current", "module voltage", "discharge current"):
        faults += alarm_bytes(fields, 1, name)
    status = fields.bytes(5)
    if fields.rest() == 1:  # an US3000C has one more
        more = fields.unsigned(1)
        faults += [f"status 6 bit {i}" for i in range(8) if more >> i & 1]
    fields.end()
    faults += set_bits(status[0], _STATUS_1)
    faults += ["status 1 bit 3"] if status[0] & 8 else []
    broken = status[3] | status[4] << 8
    cell_errors = [f"cell {i + 1} error" for i in range(16) if broken >> i & 1]
    faults += cell_errors
    values: dict[str, Value] = {
        "fault_codes": tuple(faults),
        "charge_enabled": bool(status[1] & 2),
        "discharge_enabled": bool(status[1] & 4),
        "pylontech_precharge": bool(status[1] & 1),
        "pylontech_fully_charged": bool(status[2] & 8),
    }
    return Said(values, critical(faults, (*CRITICAL, *cell_errors)))


def system_parameters(info: bytes) -> Said:
    """Return the limits that an answer to 47 states."""
    expect(info, 25)
    fields = Fields(info[1:])
    named = {}
    for name, kind in _PARAMETERS:
        if kind == "degc":
            named[f"pylontech_{name}_degc"] = celsius(fields.unsigned())
        elif kind == "a":
            # In steps of 0.1 A, as the current of 42 and the limits of 92.
            named[f"pylontech_{name}_a"] = fields.signed() / 10
        else:
            named[f"pylontech_{name}_v"] = fields.unsigned() / 1000
    return Said(named)


_PARAMETERS: Final = (
    ("cell_high_limit", "v"),
    ("cell_low_limit", "v"),
    ("cell_under_limit", "v"),
    ("charge_high_temperature", "degc"),
    ("charge_low_temperature", "degc"),
    ("charge_current_limit", "a"),
    ("module_high_limit", "v"),
    ("module_low_limit", "v"),
    ("module_under_limit", "v"),
    ("discharge_high_temperature", "degc"),
    ("discharge_low_temperature", "degc"),
    ("discharge_current_limit", "a"),
)


def management(info: bytes) -> Said:
    """Return the present limits that an answer to 92 states."""
    expect(info, 10)
    fields = Fields(info[1:])
    charge_v, discharge_v = fields.unsigned() / 1000, fields.unsigned() / 1000
    charge_a, discharge_a = fields.signed() / 10, fields.signed() / 10
    status = fields.unsigned(1)
    return Said(
        {
            "pylontech_charge_voltage_limit_v": charge_v,
            "pylontech_discharge_voltage_limit_v": discharge_v,
            "pylontech_charge_current_limit_a": charge_a,
            "pylontech_discharge_current_limit_a": discharge_a,
            "pylontech_charge_allowed": bool(status & 0x80),
            "pylontech_discharge_allowed": bool(status & 0x40),
            "pylontech_charge_immediately": bool(status & 0x30),
            "pylontech_full_charge_request": bool(status & 0x08),
        }
    )


def serial_number(info: bytes) -> Said:
    """Return the serial number that an answer to 93 states."""
    expect(info, 17)
    return Said({"serial_number": text_of(info[1:])})


def manufacturer(info: bytes) -> Said:
    """Return the names that an answer to 51 states."""
    expect(info, 32)
    return Said(
        {
            "hardware_version": text_of(info[:10]),
            "software_version": f"{info[10]}.{info[11]}",
            "pylontech_manufacturer": text_of(info[12:]).rstrip("-"),
        }
    )


def nothing(info: bytes) -> Said:
    """Return that a pack answers: 4F has its version in the head, and no INFO."""
    expect(info, 0)
    return Said({})


COMMANDS: Final = (
    Command("analog", 0x42, analog),
    Command("alarms", 0x44, alarms),
    Command("management", 0x92, management, every_s=10.0),
    Command("system_parameters", 0x47, system_parameters, float("inf"), False),
    Command("manufacturer", 0x51, manufacturer, float("inf"), False),
    Command("serial_number", 0x93, serial_number, float("inf")),
    Command("protocol_version", 0x4F, nothing, float("inf"), False),
)


@dataclass(frozen=True)
class PylontechRs485:
    """One pack of a stack.

    Attributes
    ----------
    address : of the pack, 2 for the first
    """

    address: int = 2

    name: ClassVar[str] = "pylontech_rs485"
    description: ClassVar[str] = "Pylontech low-voltage batteries over RS485 (ASCII)"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    bauds: ClassVar[Sequence[int]] = (115200, 9600, 1200)
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.address <= 254:
            raise InputError(
                f"pylontech_rs485 has no address {self.address}",
                "the first pack has 2, the next 3",
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
        return self.permitted[:-1]

    def decoder(self) -> AsciiDecoder:
        """Return a decoder that has heard nothing yet."""
        return AsciiDecoder("Pylontech", COMMANDS)
