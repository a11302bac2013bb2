"""Daly BMS of the newer generation: Modbus RTU, device 0xD2, function 3.

Currents are sent with 30000 tenths of an ampere added and are positive while it
charges, the other way round than over Daly's older protocol: the state register and
the power register of real frames say so.

References
----------
Registers: esphome-daly-bms, docs/protocol-register-map.md; frames: docs/pdus there;
alarm bits: tests/esp32-ble-alarms-faker.yaml there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import InputError, ProtocolError
from battlife.model import Request, Value
from battlife.wire._daly import ALARMS, CRITICAL
from battlife.wire._ev import Said, critical_notice, scaled
from battlife.wire.modbus import Block, ModbusDecoder
from battlife.wire.modbus_messages import READ_HOLDING, Answer, Read

UNIT: Final = 0xD2
MAX_CELLS: Final = 32
MAX_SENSORS: Final = 8

_TEMPERATURES: Final = 0x20
_ALARMS: Final = 0x3A
_STATES: Final = ("idle", "charge", "discharge")
_HINT: Final = "is it a Daly of another generation, with another layout of registers?"


def _status(answer: Answer) -> Said:
    state, current = answer.u16(0x2F), answer.u16(0x29)
    if state is not None and state >= len(_STATES):
        raise ProtocolError(f"a state of {state} is none of 0, 1, 2", _HINT)
    values: dict[str, Value | None] = {
        "voltage_v": scaled(_known(answer.u16(0x28)), 0.1),
        "current_a": None if current is None else (current - 30000) / 10,
        "soc": scaled(_known(answer.u16(0x2A)), 0.001),
        "remaining_capacity_ah": scaled(_known(answer.u16(0x30)), 0.1),
        "cell_voltage_v": _cells(answer),
        "temperature_degc": _temperatures(answer),
        "daly_state": None if state is None else _STATES[state],
        "cycle_count": scaled(_known(answer.u16(0x33)), 1.0),
        "balancing": _flag(answer.u16(0x34)),
        "charge_enabled": _flag(answer.u16(0x35)),
        "discharge_enabled": _flag(answer.u16(0x36)),
        "daly_mosfet_degc": _degc(answer.u16(0x42)),
    }
    faults = _faults(answer)
    values["fault_codes"] = faults
    notices = tuple(
        critical_notice(f"the BMS reports: {fault}")
        for fault in faults or ()
        if fault in CRITICAL
    )
    return Said(values, notices)


def _cells(answer: Answer) -> tuple[float, ...] | None:
    count = answer.u16(0x31)
    if count is None or answer.u16(0) is None:
        return None
    if not 0 < count <= MAX_CELLS:
        raise ProtocolError(f"{count} cells, where it has 1 to {MAX_CELLS}", _HINT)
    return tuple(
        math.nan if raw in (0, 0xFFFF, None) else raw / 1000
        for raw in map(answer.u16, range(count))
    )


def _temperatures(answer: Answer) -> tuple[float, ...] | None:
    count = answer.u16(0x32)
    if count is None or answer.u16(_TEMPERATURES) is None:
        return None
    if count > MAX_SENSORS:
        raise ProtocolError(f"{count} sensors, where it has up to {MAX_SENSORS}", _HINT)
    degrees = (_degc(answer.u16(_TEMPERATURES + i)) for i in range(count))
    return tuple(math.nan if d is None else d for d in degrees)


def _degc(raw: int | None) -> float | None:
    """Return a temperature; 0 (-40 degC) and all ones are no sensor."""
    return None if raw is None or raw in (0, 0xFF, 0xFFFF) else float(raw - 40)


def _faults(answer: Answer) -> tuple[str, ...] | None:
    registers = [answer.u16(_ALARMS + i) for i in range(4)]
    if any(r is None for r in registers):
        return None
    return tuple(
        ALARMS.get(16 * i + bit, f"alarm register {_ALARMS + i:02X} bit {bit}")
        for i, register in enumerate(registers)
        for bit in range(16)
        if register is not None and register >> bit & 1
    )


def _known(raw: int | None) -> int | None:
    return None if raw == 0xFFFF else raw


def _flag(raw: int | None) -> bool | None:
    return None if raw is None or raw == 0xFFFF else raw != 0


def _settings(answer: Answer) -> Said:
    return Said(
        {
            "design_capacity_ah": scaled(_known(answer.u16(0x80)), 0.1),
            "daly_nominal_cell_voltage_v": scaled(_known(answer.u16(0x81)), 0.001),
        }
    )


def _versions(answer: Answer) -> Said:
    return Said(
        {
            "software_version": answer.text(0xA9, 16),
            "hardware_version": answer.text(0xB9, 16),
        }
    )


BLOCKS: Final = (
    Block("status", READ_HOLDING, 0x00, 0x3E, _status, stop=0x50),
    Block("settings", READ_HOLDING, 0x80, 0x29, _settings, every_s=math.inf),
    Block("versions", READ_HOLDING, 0xA9, 0x20, _versions, every_s=math.inf),
)

_ALONE: Final[Mapping[int, tuple[int, int]]] = {
    0x7C: (0x00, 0x3E),
    0xA0: (0x00, 0x50),
    0x52: (0x80, 0x29),
    0x40: (0xA9, 0x20),
}
"""Bytes of an answer whose request was not heard: start and count of the only read
that apps of the maker send for as many."""


def assumed(unit: int, function: int, data: bytes) -> Read | None:
    """Return the read that an answer without a request belongs to, if it is one."""
    found = _ALONE.get(len(data))
    if unit != UNIT or function != READ_HOLDING or found is None:
        return None
    return Read(unit, function, *found)


@dataclass(frozen=True)
class DalyModbus:
    """One BMS of the line.

    Attributes
    ----------
    address : of the device, 1 to 247

    Raises
    ------
    InputError
        It cannot have this address.
    """

    address: int = UNIT

    name: ClassVar[str] = "daly_modbus"
    description: ClassVar[str] = "Daly BMS, newer generation (Modbus RTU)"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    bauds: ClassVar[Sequence[int]] = (9600, 115200)
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.address <= 247:
            raise InputError(
                f"a Daly BMS cannot have the address {self.address}",
                "Modbus addresses are 1 to 247; it has 210 (0xD2) where nobody set it",
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
        """The read of its state."""
        return self.permitted[:1]

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        del known
        return self.permitted

    def decoder(self) -> ModbusDecoder:
        """Return a decoder that has heard nothing yet."""
        return ModbusDecoder(BLOCKS, assumed)
