"""Pylontech RT batteries: Modbus RTU over their serial port or Bluetooth module.

Only the extremes of the cells are there; nobody has published what the alarms are.

References
----------
Registers and frames: aiobmsble, docs/pylontech_bms.md and tests/bms (measured on an
RT12100G31).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import InputError
from battlife.model import Request, Value
from battlife.wire._ev import Said, scaled
from battlife.wire.modbus import Block, ModbusDecoder
from battlife.wire.modbus_messages import READ_HOLDING, Answer


def _pack(answer: Answer) -> Said:
    return Said(
        {
            "voltage_v": scaled(answer.u16(0x1016), 0.01),
            "current_a": scaled(answer.s16(0x1017), 0.1),
            "pylontech_cell_voltage_max_v": scaled(answer.u16(0x1018), 0.001),
            "pylontech_cell_voltage_min_v": scaled(answer.u16(0x1019), 0.001),
            "pylontech_temperature_max_degc": scaled(answer.s16(0x101A), 0.1),
            "pylontech_temperature_min_degc": scaled(answer.s16(0x101B), 0.1),
            "soc": scaled(answer.u16(0x101C), 0.01),
            "reported_soh": scaled(answer.u16(0x101D), 0.01),
            # Nobody knows whether charged, discharged or both.
            "pylontech_energy_counter_wh": scaled(answer.u16(0x1020), 100.0),
            "pylontech_current_limit_a": scaled(answer.u16(0x1021), 0.1),
            "design_capacity_ah": scaled(answer.u16(0x1022), 0.1),
        }
    )


def _limits(answer: Answer) -> Said:
    return Said(
        {
            "pylontech_charge_voltage_limit_v": scaled(answer.u16(0x1023), 0.01),
            "pylontech_discharge_voltage_limit_v": scaled(answer.u16(0x1024), 0.01),
        }
    )


def _serial(answer: Answer) -> Said:
    return Said({"serial_number": answer.text(0x2000, 8)})


PACK: Final = Block("pack", READ_HOLDING, 0x1016, 13, _pack)
SERIAL: Final = Block("serial", READ_HOLDING, 0x2000, 8, _serial, every_s=math.inf)
LIMITS: Final = Block("limits", READ_HOLDING, 0x1023, 2, _limits)
BLOCKS: Final = (PACK, SERIAL, LIMITS)
ASKED: Final = (PACK, SERIAL)


@dataclass(frozen=True)
class PylontechModbus:
    """One battery of the line.

    Attributes
    ----------
    address : of the battery, 1 to 247

    Raises
    ------
    InputError
        It cannot have this address.
    """

    address: int = 1

    name: ClassVar[str] = "pylontech_modbus"
    description: ClassVar[str] = "Pylontech RT batteries (Modbus RTU)"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    bauds: ClassVar[Sequence[int]] = (9600, 115200)
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.address <= 247:
            raise InputError(
                f"a Pylontech battery cannot have the address {self.address}",
                "Modbus addresses are 1 to 247; it has 1 where nobody set it",
            )

    @property
    def device(self) -> str:
        """Label of its readings."""
        return str(self.address)

    @property
    def permitted(self) -> Sequence[Request]:
        """Everything that may be sent: reads."""
        return tuple(block.request(self.address) for block in ASKED)

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
