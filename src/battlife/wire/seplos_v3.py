"""Seplos BMS 3.0: Modbus RTU, 19200 baud; a pack, and the system of all packs.

Registers 0x1000 on are of one pack. From 0x2000 on the first pack sums up all packs;
for one alone that is the same. The frames of the Bluetooth module are the same
messages.

References
----------
Registers, bits and worked examples: XZH BMS Modbus-RTU Protocol V0.3 (translation in
esphome-seplos-bms, docs). Frames: docs/pdus/v3 there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import InputError
from battlife.model import Notice, Request, Value
from battlife.wire._ev import Said, critical_notice, scaled
from battlife.wire.modbus import Block, ModbusDecoder
from battlife.wire.modbus_messages import READ_COILS, READ_INPUT, Answer, Read

N_CELLS: Final = 16
N_SENSORS: Final = 4
HIGHEST_ADDRESS: Final = 0x7F

LARGE_BOARD_A: Final = 200
"""Boards for more current may send it in tenths of an ampere (protocol V0.2)."""

EVENTS: Final[Mapping[int, tuple[str, ...]]] = {
    1: (
        "cell high-voltage alarm",
        "cell over-voltage",
        "cell low-voltage alarm",
        "cell under-voltage",
        "pack high-voltage alarm",
        "pack over-voltage",
        "pack low-voltage alarm",
        "pack under-voltage",
    ),
    2: (
        "charge high-temperature alarm",
        "charge over-temperature",
        "charge low-temperature alarm",
        "charge under-temperature",
        "discharge high-temperature alarm",
        "discharge over-temperature",
        "discharge low-temperature alarm",
        "discharge under-temperature",
    ),
    3: (
        "ambient high-temperature alarm",
        "ambient over-temperature",
        "ambient low-temperature alarm",
        "ambient under-temperature",
        "MOSFET high-temperature alarm",
        "MOSFET over-temperature",
        "",  # heating: no fault
        "",
    ),
    4: (
        "charge current alarm",
        "charge over-current",
        "charge over-current level 2",
        "discharge current alarm",
        "discharge over-current",
        "discharge over-current level 2",
        "short circuit",
        "",
    ),
    5: (
        "short circuit lock",
        "reverse connection",
        "charge over-current lock",
        "discharge over-current lock",
        "",
        "",
        "",
        "",
    ),
    6: (
        "",
        "",
        "SOC low alarm",
        "SOC low",
        "cell voltage difference alarm",
        "",
        "tilt lock",
        "",
    ),
    9: (
        "temperature sensor fault",
        "front-end fault",
        "charge MOSFET fault",
        "discharge MOSFET fault",
        "cell fault",
        "sensing wire open",
        "button fault",
        "fire suppression alarm",
    ),
}
"""Event bits by their byte, counted from the byte of the system state; "" says nothing
that is a fault. Names that end in "alarm" are warnings but the last."""

CRITICAL: Final = frozenset(
    {
        "charge over-temperature",
        "discharge over-temperature",
        "short circuit",
        "short circuit lock",
        "front-end fault",
        "charge MOSFET fault",
        "cell fault",
        "fire suppression alarm",
    }
)

_STATES: Final = (
    "discharge",
    "charge",
    "float charge",
    "full",
    "standby",
    "shut down",
)
_N_EVENT_BYTES: Final = 10
_FETS, _BALANCING = 7, 8  # bytes of the events


def _pack(answer: Answer) -> Said:
    charge_a, discharge_a = answer.u16(0x1010), answer.u16(0x100F)
    values: dict[str, Value | None] = {
        "voltage_v": scaled(answer.u16(0x1000), 0.01),
        "remaining_capacity_ah": scaled(answer.u16(0x1002), 0.01),
        "full_capacity_ah": scaled(_sized(answer.u16(0x1003)), 0.01),
        "seplos_discharged_ah": scaled(answer.u16(0x1004), 10.0),
        "soc": scaled(answer.u16(0x1005), 0.001),
        "reported_soh": scaled(_sized(answer.u16(0x1006)), 0.001),
        "cycle_count": scaled(answer.u16(0x1007), 1.0),
        "seplos_discharge_current_limit_a": scaled(discharge_a, 1.0),
        "seplos_charge_current_limit_a": scaled(charge_a, 1.0),
    }
    if charge_a is None or discharge_a is None or values["soc"] is None:
        return Said(values)
    if max(charge_a, discharge_a) > LARGE_BOARD_A:
        notice = Notice(
            "current_unit_unknown",
            f"its board is for more than {LARGE_BOARD_A} A; firmware differs on "
            "whether it then sends hundredths or tenths of an ampere: no current given",
        )
        return Said(values, (notice,))
    values["current_a"] = scaled(answer.s16(0x1001), 0.01)
    return Said(values)


def _cells(answer: Answer) -> Said:
    cells = [answer.u16(0x1100 + i) for i in range(N_CELLS)]
    degrees = [_degc(answer.u16(0x1110 + i)) for i in range(N_SENSORS)]
    values: dict[str, Value | None] = {
        "seplos_ambient_degc": _degc(answer.u16(0x1118)),
        "seplos_mosfet_degc": _degc(answer.u16(0x1119)),
    }
    if any(raw is not None for raw in cells):
        values["cell_voltage_v"] = _fitted(
            [None if raw in (0, 0xFFFF, None) else raw / 1000 for raw in cells]
        )
    if any(d is not None for d in degrees):
        values["temperature_degc"] = _fitted(degrees)
    return Said(values)


def _sized(raw: int | None) -> int | None:
    """Return a number that cannot be 0: then the firmware does not know it."""
    return raw or None


def _fitted(values: list[float | None]) -> tuple[float, ...]:
    """Return values at their positions, without the missing ones at the end."""
    while values and values[-1] is None:
        values.pop()
    return tuple(math.nan if v is None else v for v in values)


def _degc(raw: int | None) -> float | None:
    return None if raw is None or raw in (0, 0xFFFF) else (raw - 2731) / 10


def _status(answer: Answer) -> Said:
    said = _events(answer, 0x1240)
    values = dict(said.values)
    balancing = [answer.bit(0x1230 + i) for i in range(N_CELLS)]
    if None not in balancing:
        values["balancing"] = any(balancing)
        values["seplos_balancing_cells"] = tuple(float(bool(b)) for b in balancing)
    return Said(values, said.notices)


def _system_status(answer: Answer) -> Said:
    return _events(answer, 0x2200)


def _events(answer: Answer, start: int) -> Said:
    """Return what the bytes from the system state on say, if they are all there."""
    bits = [answer.bit(start + i) for i in range(8 * _N_EVENT_BYTES)]
    if None in bits:
        return Said({})
    found = [
        names[bit]
        for byte, names in EVENTS.items()
        for bit in range(8)
        if names[bit] and bits[8 * byte + bit]
    ]
    warnings = [n for n in found if n.endswith("alarm") and n not in CRITICAL]
    faults = tuple(n for n in found if n not in warnings)
    states = tuple(name for i, name in enumerate(_STATES) if bits[i])
    values: dict[str, Value | None] = {
        "fault_codes": faults,
        "seplos_warnings": tuple(warnings),
        "seplos_state": ", ".join(states) or None,
        "discharge_enabled": bool(bits[8 * _FETS]),
        "charge_enabled": bool(bits[8 * _FETS + 1]),
        "seplos_heating": bool(bits[8 * _FETS + 3]),
    }
    notices = tuple(
        critical_notice(f"the BMS reports: {fault}")
        for fault in faults
        if fault in CRITICAL
    )
    return Said(values, notices)


def _settings(answer: Answer) -> Said:
    return Said(
        {
            "seplos_n_cells": scaled(answer.u16(0x1301), 1.0),
            "design_capacity_ah": scaled(_sized(answer.u16(0x1358)), 0.01),
            "full_capacity_ah": scaled(_sized(answer.u16(0x1359)), 0.01),
        }
    )


def _versions(answer: Answer) -> Said:
    return Said(
        {
            "seplos_maker": answer.text(0x1700, 10),
            "hardware_version": answer.text(0x170A, 10),
            "software_version": answer.text(0x1714, 1),
            "serial_number": answer.text(0x1715, 15),
        }
    )


def _inverter(answer: Answer) -> Said:
    return Said({"seplos_inverter_protocol": answer.text(0x1812, 16)})


def _system(answer: Answer) -> Said:
    n_packs = answer.u16(0x2016)
    values: dict[str, Value | None] = {
        "voltage_v": scaled(answer.u32_low_first(0x2000), 0.01),
        "current_a": scaled(answer.s32_low_first(0x2002), 0.1),
        "remaining_capacity_ah": scaled(answer.u32_low_first(0x2004), 0.01),
        "full_capacity_ah": scaled(_sized(answer.u32_low_first(0x2006)), 0.01),
        "design_capacity_ah": scaled(_sized(answer.u32_low_first(0x200A)), 0.01),
        "soc": scaled(answer.u16(0x2018), 0.001),
        "reported_soh": scaled(_sized(answer.u16(0x2019)), 0.001),
        "cycle_count": scaled(answer.u16(0x2017), 1.0),
    }
    if n_packs != 1:
        # Of all packs: it must not pass for a value of the one that speaks.
        values = {f"seplos_system_{name}": value for name, value in values.items()}
    values["seplos_n_packs"] = scaled(n_packs, 1.0)
    values["seplos_discharged_ah"] = scaled(answer.u32_low_first(0x2008), 10.0)
    return Said(values)


def _extremes(answer: Answer) -> Said:
    return Said(
        {
            "seplos_cell_voltage_max_v": scaled(answer.u16(0x2100), 0.001),
            "seplos_cell_voltage_min_v": scaled(answer.u16(0x2101), 0.001),
            "seplos_temperature_max_degc": _extreme_degc(answer.u16(0x2108)),
            "seplos_temperature_min_degc": _extreme_degc(answer.u16(0x2109)),
        }
    )


def _extreme_degc(raw: int | None) -> float | None:
    """Return a temperature that some firmware sends in 0.1 K and some in 0.1 degC."""
    if raw is None or raw == 0xFFFF:
        return None
    # No cell is at 200 degC and none below 230 K (-43 degC): the two do not overlap.
    if 2300 <= raw < 4000:
        return (raw - 2731) / 10
    signed = raw - ((raw & 0x8000) << 1)
    return signed / 10 if -500 <= signed < 2000 else None


PACK: Final = Block("pack", READ_INPUT, 0x1000, 0x12, _pack)
CELLS: Final = Block("cells", READ_INPUT, 0x1100, 0x1A, _cells)
STATUS: Final = Block("status", READ_COILS, 0x1200, 0x90, _status)
SETTINGS: Final = Block(
    "settings", READ_INPUT, 0x1300, 0x6A, _settings, every_s=math.inf
)
VERSIONS: Final = Block(
    "versions", READ_INPUT, 0x1700, 0x33, _versions, every_s=math.inf
)
INVERTER: Final = Block("inverter", READ_INPUT, 0x1800, 0x24, _inverter)
SYSTEM: Final = Block("system", READ_INPUT, 0x2000, 0x1A, _system)
EXTREMES: Final = Block("extremes", READ_INPUT, 0x2100, 0x16, _extremes, stop=0x211A)
SYSTEM_STATUS: Final = Block("system_status", READ_COILS, 0x2200, 0x50, _system_status)

BLOCKS: Final = (
    PACK,
    CELLS,
    STATUS,
    SETTINGS,
    VERSIONS,
    INVERTER,
    SYSTEM,
    EXTREMES,
    SYSTEM_STATUS,
)
ASKED: Final = (PACK, CELLS, STATUS, SETTINGS, VERSIONS)


def assumed(unit: int, function: int, data: bytes) -> Read | None:
    """Return the read that an answer without a request can only belong to.

    Where two blocks have as many bytes, their contents must tell them apart: the high
    words of the system's voltage and capacities are zero, cells are not.
    """
    size = len(data)
    if function == READ_COILS:
        return STATUS.read(unit) if size == STATUS.read(unit).n_bytes else None
    if function != READ_INPUT:
        return None
    if size in (0x22, 0x24):
        return Read(unit, function, 0x1000, size // 2)
    if size == 0x2C:
        return EXTREMES.read(unit)
    words = [int.from_bytes(data[i : i + 2], "big") for i in range(0, size, 2)]
    if size == 0x34:
        cells = all(1000 <= word <= 5000 for word in words[:N_CELLS])
        system = not any(words[i] for i in (1, 5, 7, 11)) and 0 < words[22] <= 16
        if cells and not system:
            return CELLS.read(unit)
        return SYSTEM.read(unit) if system and not cells else None
    if size == 0x48 and not data[:4].isalnum():
        return INVERTER.read(unit)
    return VERSIONS.read(unit) if size == 0x66 else None


@dataclass(frozen=True)
class SeplosV3:
    """One pack of the line.

    Attributes
    ----------
    address : of the pack, 0 to 127

    Raises
    ------
    InputError
        It cannot have this address.
    """

    address: int = 0

    name: ClassVar[str] = "seplos_v3"
    description: ClassVar[str] = "Seplos BMS 3.0 (Modbus RTU)"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    bauds: ClassVar[Sequence[int]] = (19200, 9600)
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.address <= HIGHEST_ADDRESS:
            raise InputError(
                f"a Seplos BMS cannot have the address {self.address}",
                f"addresses are 0 to {HIGHEST_ADDRESS}; the switches of the BMS set it",
            )

    @property
    def device(self) -> str:
        """Label of its readings."""
        return str(self.address)

    @property
    def permitted(self) -> Sequence[Request]:
        """Everything that may be sent: reads."""
        return tuple(block.request(self.address) for block in (*ASKED, SYSTEM))

    @property
    def probes(self) -> Sequence[Request]:
        """The read of the pack's values."""
        return (PACK.request(self.address),)

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle.

        A large board is asked for its system too, whose current has a known unit.
        """
        limit = known.get("seplos_discharge_current_limit_a", 0.0)
        large = isinstance(limit, (int, float)) and limit > LARGE_BOARD_A
        blocks = (*ASKED, SYSTEM) if large else ASKED
        return tuple(block.request(self.address) for block in blocks)

    def decoder(self) -> ModbusDecoder:
        """Return a decoder that has heard nothing yet."""
        return ModbusDecoder(BLOCKS, assumed)
