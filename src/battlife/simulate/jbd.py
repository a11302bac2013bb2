"""JBD, LLT, Xiaoxiang: battery management systems with a UART at 9600 baud.

Source: dbus-serialbattery bms/lltjbd.py and aiobmsble docs/jbd_bms.md, as facts.
"""

from collections.abc import Mapping
from typing import Final

from battlife.simulate.pack_model import PackModel, PackSpec, Shown

_START: Final = 0xDD
_END: Final = 0x77
_READ: Final = 0xA5
_WRITE: Final = 0x5A
_REFUSED: Final = 0x80
# 29 April 2023: day, month << 5, years since 2000 << 9.
_MADE: Final = 29 | 4 << 5 | 23 << 9
_ALARM_BITS: Final = {
    "cell_overvoltage": 0,
    "cell_undervoltage": 1,
    "over_temperature": 6,
    "short_circuit": 10,
}


class JbdUart:
    """Answers registers 03, 04 and 05; a write is acknowledged and does nothing."""

    ADDRESS: Final = 0
    SPEC: Final = PackSpec(n_cells=4, capacity_ah=301.0, n_sensors=3)

    def request(self, buffer: bytearray) -> bytes | None:
        """Remove and return the first request with a right checksum."""
        while buffer:
            if buffer[0] != _START or (
                len(buffer) > 1 and buffer[1] not in (_READ, _WRITE)
            ):
                del buffer[0]
                continue
            if len(buffer) < 4 or len(buffer) < buffer[3] + 7:
                return None
            request = bytes(buffer[: buffer[3] + 7])
            if request[-1] == _END and request[-3:-1] == _check(request[2:-3]):
                del buffer[: len(request)]
                return request
            del buffer[0]
        return None

    def is_write(self, request: bytes) -> bool:
        """Say whether it is a write."""
        return request[1] == _WRITE

    def answer(self, request: bytes, packs: Mapping[int, PackModel]) -> bytes:
        """Return the answer, an error answer for a register that is not there."""
        register = request[2]
        shown = next(iter(packs.values())).shown()
        if request[1] == _WRITE:
            return message(register, b"")
        if register == 0x03:
            return message(register, basic(shown))
        if register == 0x04:
            cells = shown.cell_voltage_v
            return message(register, b"".join(_u16(v * 1000) for v in cells))
        if register == 0x05:
            return message(register, b"BATTLIFE-SIMULATED")
        return message(register, b"", _REFUSED)


def message(register: int, data: bytes, status: int = 0) -> bytes:
    """Return an answer with its frame and checksum."""
    body = bytes([status, len(data)]) + data
    return bytes([_START, register]) + body + _check(body) + bytes([_END])


def basic(shown: Shown) -> bytes:
    """Return the data of register 03."""
    balance = sum(1 << i for i, on in enumerate(shown.balancing[:32]) if on)
    protection = sum(1 << _ALARM_BITS[a] for a in shown.alarms if a in _ALARM_BITS)
    temperatures = b"".join(_u16(t * 10 + 2731) for t in shown.temperature_degc)
    return (
        _u16(shown.voltage_v * 100)
        + round(shown.current_a * 100).to_bytes(2, "big", signed=True)
        + _u16(shown.remaining_ah * 100)
        + _u16(shown.design_ah * 100)
        + _u16(shown.cycle_count)
        + _u16(_MADE)
        + _u16(balance & 0xFFFF)
        + _u16(balance >> 16)
        + _u16(protection)
        + bytes([0x16, round(shown.soc * 100)])
        + bytes([shown.charge_enabled | shown.discharge_enabled << 1])
        + bytes([len(shown.cell_voltage_v), len(shown.temperature_degc)])
        + temperatures
    )


def _u16(value: float) -> bytes:
    return round(value).to_bytes(2, "big")


def _check(data: bytes) -> bytes:
    return (0x10000 - sum(data) & 0xFFFF).to_bytes(2, "big")
