"""Batteries that are Modbus RTU servers: Pylontech RT and Seplos v3.

Sources: aiobmsble docs/pylontech_bms.md, dbus-serialbattery bms/seplosv3.py and XZH BMS
Modbus-RTU Protocol V0.3, as facts; the framing from Modbus over serial line V1.02.
"""

from collections.abc import Mapping
from typing import Final

from battlife.simulate.pack_model import PackModel, PackSpec, Shown

_READ_BITS: Final = frozenset({1, 2})
_READ_REGISTERS: Final = frozenset({3, 4})
_WRITE_ONE: Final = frozenset({5, 6})
_WRITE_MANY: Final = frozenset({15, 16})
_ILLEGAL_FUNCTION: Final = 1
_ILLEGAL_ADDRESS: Final = 2
_ILLEGAL_VALUE: Final = 3


def crc(data: bytes) -> bytes:
    """Return the CRC of a Modbus RTU message, as it is sent."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def take(buffer: bytearray) -> bytes | None:
    """Remove and return the first request with a right CRC."""
    while len(buffer) >= 8:
        function = buffer[1]
        known = _READ_BITS | _READ_REGISTERS | _WRITE_ONE
        if function in known or function in _WRITE_MANY:
            length = 8 if function in known else 9 + buffer[6]
            if len(buffer) < length:
                return None
            request = bytes(buffer[:length])
            if crc(request[:-2]) == request[-2:]:
                del buffer[:length]
                return request
        del buffer[0]
    return None


class _ModbusDevice:
    """What the families share: frames, addresses, exceptions."""

    def request(self, buffer: bytearray) -> bytes | None:
        """Remove and return the first request with a right CRC."""
        return take(buffer)

    def is_write(self, request: bytes) -> bool:
        """Say whether its function writes."""
        return request[1] in _WRITE_ONE or request[1] in _WRITE_MANY

    def answer(self, request: bytes, packs: Mapping[int, PackModel]) -> bytes:
        """Return the registers asked for, or the exception."""
        address, function = request[0], request[1]
        if address not in packs:
            return b""
        if self.is_write(request):
            return self._refused(request, _ILLEGAL_FUNCTION)
        start = int.from_bytes(request[2:4], "big")
        count = int.from_bytes(request[4:6], "big")
        if not 0 < count <= (2000 if function in _READ_BITS else 125):
            return self._refused(request, _ILLEGAL_VALUE)
        held = self._held(function, packs[address].shown())
        if any(start + i not in held for i in range(count)):
            return self._refused(request, _ILLEGAL_ADDRESS)
        values = [held[start + i] for i in range(count)]
        if function in _READ_BITS:
            bits = sum(bool(v) << i for i, v in enumerate(values))
            data = bits.to_bytes((count + 7) // 8, "little")
        else:
            data = b"".join(v.to_bytes(2, "big") for v in values)
        body = bytes([address, function, len(data)]) + data
        return body + crc(body)

    def _refused(self, request: bytes, code: int) -> bytes:
        body = bytes([request[0], request[1] | 0x80, code])
        return body + crc(body)

    def _held(self, function: int, shown: Shown) -> dict[int, int]:
        raise NotImplementedError


class PylontechModbus(_ModbusDevice):
    """Answers function 3, registers 0x1016 to 0x1022."""

    ADDRESS: Final = 1
    SPEC: Final = PackSpec(n_cells=4, capacity_ah=100.0, n_sensors=2)

    def _held(self, function: int, shown: Shown) -> dict[int, int]:
        if function != 3:
            return {}
        cells, degc = shown.cell_voltage_v, shown.temperature_degc
        values = (
            _u16(shown.voltage_v * 100),
            _s16(shown.current_a * 10),
            _u16(max(cells) * 1000),
            _u16(min(cells) * 1000),
            _s16(max(degc) * 10),
            _s16(min(degc) * 10),
            _u16(shown.soc * 100),
            _u16(shown.soh * 100),
            _u16(abs(shown.voltage_v * shown.current_a)),
            0,
            _u16(shown.energy_throughput_wh / 100 % 0x10000),
            _u16(shown.design_ah * 10),
            _u16(shown.design_ah * 10),
        )
        return {0x1016 + i: value for i, value in enumerate(values)}


class SeplosV3(_ModbusDevice):
    """Answers functions 4 and 1.

    Registers 0x1000 (pack), 0x1100 (cells), 0x1300 (settings) and 0x1700 (versions);
    bits 0x1200 (events).
    """

    ADDRESS: Final = 0
    SPEC: Final = PackSpec(n_cells=16, capacity_ah=280.0, n_sensors=4)
    LIMIT_A: Final = 180  # above 200 A firmware differs on the unit of the current

    def _held(self, function: int, shown: Shown) -> dict[int, int]:
        if function == 1:
            return self._bits(shown)
        if function != 4:
            return {}
        held = {0x1000 + i: 0 for i in range(0x12)}
        held |= {0x1100 + i: 0 for i in range(0x1A)}
        held |= {0x1300 + i: 0 for i in range(0x6A)}
        held[0x1000] = _u16(shown.voltage_v * 100)
        held[0x1001] = _s16(shown.current_a * 100)
        held[0x1002] = _u16(shown.remaining_ah * 100)
        held[0x1003] = _u16(shown.full_ah * 100)
        held[0x1004] = _u16(shown.charge_throughput_ah / 10)
        held[0x1005] = _u16(shown.soc * 1000)
        held[0x1006] = _u16(shown.soh * 1000)
        held[0x1007] = _u16(shown.cycle_count)
        held[0x100F] = held[0x1010] = self.LIMIT_A
        for i, volt in enumerate(shown.cell_voltage_v[:16]):
            held[0x1100 + i] = _u16(volt * 1000)
        for i, degc in enumerate(shown.temperature_degc[:4]):
            held[0x1110 + i] = _u16(degc * 10 + 2731)
        held[0x1119] = _u16(shown.temperature_degc[-1] * 10 + 2731)
        held[0x1300] = min(4, len(shown.temperature_degc))
        held[0x1301] = min(16, len(shown.cell_voltage_v))
        held[0x1358] = _u16(shown.design_ah * 100)
        held[0x1359] = _u16(shown.full_ah * 100)
        held |= _text(0x1700, 10, "XZH-ElecTech Co.,Ltd")
        held |= _text(0x170A, 10, "BATTLIFE-SIMULATED")
        held |= _text(0x1714, 1, "01")
        held |= _text(0x1715, 30, "SIMULATED0001")
        return held

    def _bits(self, shown: Shown) -> dict[int, int]:
        held = {0x1200 + i: 0 for i in range(0x90)}
        for i, on in enumerate(shown.balancing[:16]):
            held[0x1230 + i] = on
        held[0x1240] = shown.current_a < 0
        held[0x1241] = shown.current_a > 0
        held[0x1244] = shown.current_a == 0
        held[0x1249] = "cell_overvoltage" in shown.alarms
        held[0x124B] = "cell_undervoltage" in shown.alarms
        held[0x1251] = "over_temperature" in shown.alarms
        held[0x1266] = "short_circuit" in shown.alarms
        held[0x1278] = shown.discharge_enabled
        held[0x1279] = shown.charge_enabled
        held[0x1280] = any(shown.balancing)
        return held


def _text(start: int, n_words: int, text: str) -> dict[int, int]:
    data = text.encode("ascii").ljust(2 * n_words, b"\0")
    return {
        start + i: int.from_bytes(data[2 * i : 2 * i + 2], "big")
        for i in range(n_words)
    }


def _u16(value: float) -> int:
    number = round(value)
    if not 0 <= number <= 0xFFFF:
        raise ValueError(f"{value} does not fit into a register")
    return number


def _s16(value: float) -> int:
    return int.from_bytes(round(value).to_bytes(2, "big", signed=True), "big")
