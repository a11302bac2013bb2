"""Pylontech and Seplos v2 batteries on an ASCII line.

Sources: python-pylontech (MIT), esphome-seplos-bms (Apache-2.0), dbus-serialbattery
bms/seplos.py, as facts; alarms as Pylontech's low-voltage RS485 protocol V3.3 lays
them out, and esphome-seplos-bms for the twenty items of Seplos.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from battlife.simulate import ascii_frames as ascii
from battlife.simulate.pack_model import PackModel, PackSpec, Shown

_ANALOG: Final = 0x42
_ALARM: Final = 0x44
_VERSION: Final = 0x4F
_SERIAL: Final = 0x93
_READS: Final = frozenset(
    {_ANALOG, _ALARM, 0x47, 0x4D, _VERSION, 0x51, 0x92, _SERIAL, 0xC1, 0xC2}
)
_NAME: Final = b"BATTLIFE-SIM"


class _AsciiDevice:
    """What the families share: frames, addresses, error answers."""

    VERSION: ClassVar[int] = 0x20

    def request(self, buffer: bytearray) -> bytes | None:
        """Remove and return the first frame."""
        return ascii.take(buffer)

    def is_write(self, request: bytes) -> bool:
        """Say whether its command is none of the reading ones."""
        command = ascii.parse(request)
        return command is not None and command.cid2 not in _READS

    def answer(self, request: bytes, packs: Mapping[int, PackModel]) -> bytes:
        """Return the answer of the addressed pack, if it is on the line."""
        command = ascii.parse(request)
        if command is None or command.address not in packs:
            return b""
        address = command.address
        if command.info is None:
            return self._frame(address, ascii.BAD_CHECKSUM)
        info = self._info(command, packs[address].shown())
        if info is None:
            return self._frame(address, ascii.UNKNOWN_COMMAND)
        return self._frame(address, ascii.OK, info)

    def _frame(self, address: int, code: int, info: bytes = b"") -> bytes:
        return ascii.frame(self.VERSION, address, code, info)

    def _info(self, command: ascii.Command, shown: Shown) -> bytes | None:
        raise NotImplementedError


class PylontechRs485(_AsciiDevice):
    """Answers 42 analog, 44 alarms, 4F version and 93 serial number."""

    ADDRESS: Final = 2
    SPEC: Final = PackSpec(n_cells=15, capacity_ah=74.0, n_sensors=5)

    def _info(self, command: ascii.Command, shown: Shown) -> bytes | None:
        if command.cid2 == _ANALOG:
            return pylontech_analog(command.address, shown)
        if command.cid2 == _ALARM:
            return pylontech_alarms(command.address, shown)
        if command.cid2 == _SERIAL:
            return bytes([command.address]) + _NAME.ljust(16, b"0")
        return b"" if command.cid2 == _VERSION else None


class SeplosV2(_AsciiDevice):
    """Answers 42 telemetry, 44 alarms and 4F version."""

    ADDRESS: Final = 0
    SPEC: Final = PackSpec(n_cells=16, capacity_ah=180.0, n_sensors=6)

    def _info(self, command: ascii.Command, shown: Shown) -> bytes | None:
        if command.cid2 == _ANALOG:
            return seplos_telemetry(shown)
        if command.cid2 == _ALARM:
            return seplos_alarms(shown)
        return b"" if command.cid2 == _VERSION else None


def pylontech_analog(address: int, shown: Shown) -> bytes:
    """Return INFO of the answer to 42: cells, temperatures, current, charge."""
    fits = shown.design_ah * 1000 < 0xFFFF
    remaining, total = round(shown.remaining_ah * 1000), round(shown.full_ah * 1000)
    return (
        bytes([0x11, address, len(shown.cell_voltage_v)])
        + _u16(*(v * 1000 for v in shown.cell_voltage_v))
        + bytes([len(shown.temperature_degc)])
        + _u16(*(t * 10 + 2731 for t in shown.temperature_degc))
        + _s16(shown.current_a * 10)
        + _u16(shown.voltage_v * 1000, remaining if fits else 0xFFFF)
        + bytes([2 if fits else 4])
        + _u16(total if fits else 0xFFFF, shown.cycle_count)
        + (b"" if fits else remaining.to_bytes(3, "big") + total.to_bytes(3, "big"))
    )


def seplos_telemetry(shown: Shown) -> bytes:
    """Return INFO of the answer to 42: cells, temperatures, current, charge, SOH."""
    return (
        bytes([0x00, 0x01, len(shown.cell_voltage_v)])
        + _u16(*(v * 1000 for v in shown.cell_voltage_v))
        + bytes([len(shown.temperature_degc)])
        + _u16(*(t * 10 + 2731 for t in shown.temperature_degc))
        + _s16(shown.current_a * 100)
        + _u16(shown.voltage_v * 100, shown.remaining_ah * 100)
        + bytes([0x0A])
        + _u16(shown.full_ah * 100, shown.soc * 1000, shown.design_ah * 100)
        + _u16(shown.cycle_count, shown.soh * 1000, shown.voltage_v * 100)
        + bytes(8)
    )


def pylontech_alarms(address: int, shown: Shown) -> bytes:
    """Return INFO of the answer to 44: states, then five status bytes."""
    told = shown.alarms
    shorted = 0xF0 if "short_circuit" in told else 0  # another error of the current
    status_1 = ("cell_undervoltage" in told) << 1 | ("over_temperature" in told) << 5
    status_2 = shown.charge_enabled << 1 | shown.discharge_enabled << 2
    return (
        bytes([0x00, address])
        + states(shown)
        + bytes([0, 0, shorted, status_1, status_2, 0, 0, 0])
    )


def seplos_alarms(shown: Shown) -> bytes:
    """Return INFO of the answer to 44: states, then twenty items of the maker."""
    told = shown.alarms
    items = bytearray(20)
    items[1] = ("cell_overvoltage" in told) << 1 | ("cell_undervoltage" in told) << 3
    items[2] = ("over_temperature" in told) << 5
    items[4] = ("short_circuit" in told) << 5
    items[6] = shown.discharge_enabled | shown.charge_enabled << 1
    items[7:9] = balanced(shown).to_bytes(2, "little")
    return bytes([0x00, 0x01]) + states(shown) + bytes([0, 0, 20]) + bytes(items)


def states(shown: Shown) -> bytes:
    """Return a byte per cell and per sensor: 01 too low, 02 too high; counts first."""
    volt, degc, told = shown.cell_voltage_v, shown.temperature_degc, shown.alarms
    return _states(
        volt, "cell_undervoltage" in told, "cell_overvoltage" in told
    ) + _states(degc, False, "over_temperature" in told)


def balanced(shown: Shown) -> int:
    """Return a bit per cell that is being discharged to match the others."""
    return sum(1 << i for i, on in enumerate(shown.balancing[:16]) if on)


def _states(values: Sequence[float], low: bool, high: bool) -> bytes:
    found = bytearray(len(values))
    if values and low:
        found[values.index(min(values))] = 1
    if values and high:
        found[values.index(max(values))] = 2
    return bytes([len(values)]) + bytes(found)


def _u16(*values: float) -> bytes:
    return b"".join(round(value).to_bytes(2, "big") for value in values)


def _s16(value: float) -> bytes:
    return round(value).to_bytes(2, "big", signed=True)
