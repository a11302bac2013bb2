"""Pace boards on RS232: ASCII frames of version 25.

Source, as facts: dbus-serialbattery bms/pace.py: places of the characters of a reply
with 16 cells; the fields between them, and the alarms, as the frames of the family
have them.
"""

from typing import ClassVar, Final

from battlife.simulate import ascii_frames as ascii
from battlife.simulate.ascii_devices import _AsciiDevice, balanced, states
from battlife.simulate.pack_model import PackSpec, Shown

_ANALOG: Final = 0x42
_ALARM: Final = 0x44
_SOFTWARE: Final = 0xC1
_SERIAL: Final = 0xC2
_ITEMS: Final = 3  # full, cycles, design behind the remaining capacity
_FLAG: Final = 0x00
_ZERO_DEGC: Final = 2730  # tenths of a kelvin, as readers of these boards take it


class PaceRs232(_AsciiDevice):
    """Answers 42 analog, 44 alarms, C1 software version and C2 serial number."""

    VERSION: ClassVar[int] = 0x25
    ADDRESS: Final = 0
    SPEC: Final = PackSpec(n_cells=16, capacity_ah=100.0, n_sensors=6)

    def _info(self, command: ascii.Command, shown: Shown) -> bytes | None:
        if command.cid2 == _ANALOG:
            return analog(shown)
        if command.cid2 == _ALARM:
            return alarms(shown)
        if command.cid2 == _SOFTWARE:
            return b"BATTLIFE-SIM".ljust(20)
        if command.cid2 == _SERIAL:
            return b"SIMULATED0001".ljust(40)
        return None


def analog(shown: Shown) -> bytes:
    """Return INFO of the answer to 42: cells, temperatures, current, charge."""
    volt, degc = shown.cell_voltage_v, shown.temperature_degc
    return (
        bytes([_FLAG, 1, len(volt)])
        + _u16(*(v * 1000 for v in volt))
        + bytes([len(degc)])
        + _u16(*(t * 10 + _ZERO_DEGC for t in degc))
        + round(shown.current_a * 100).to_bytes(2, "big", signed=True)
        + _u16(shown.voltage_v * 1000, shown.remaining_ah * 100)
        + bytes([_ITEMS])
        + _u16(shown.full_ah * 100, shown.cycle_count, shown.design_ah * 100)
    )


def alarms(shown: Shown) -> bytes:
    """Return INFO of the answer to 44: states, protections, switches, balancing."""
    told = shown.alarms
    protection_1 = (
        ("cell_overvoltage" in told)
        | ("cell_undervoltage" in told) << 1
        | ("short_circuit" in told) << 6
    )
    protection_2 = ("over_temperature" in told) << 1
    switches = shown.charge_enabled << 1 | shown.discharge_enabled << 2
    return (
        bytes([_FLAG, 1])
        + states(shown)
        + bytes([0, 0, 0, protection_1, protection_2, switches, 0, 0])
        + _u16(balanced(shown))
        + bytes(2)
    )


def _u16(*values: float) -> bytes:
    return b"".join(round(value).to_bytes(2, "big") for value in values)
