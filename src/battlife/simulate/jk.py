"""JK: the UART-TTL protocol 4E 57 and the RS485 protocol of the PB series.

Sources: esphome-jk-bms docs/protocol-design-uart-ttl-gps-port.md (Apache-2.0) and
dbus-serialbattery bms-docs/JKBMS-PB.md, as facts.
"""

from collections.abc import Mapping
from typing import Final

from battlife.simulate.modbus_devices import crc
from battlife.simulate.modbus_devices import take as take_modbus
from battlife.simulate.pack_model import PackModel, PackSpec, Shown

_UART_START: Final = b"NW"  # 4E 57
_READ_ALL: Final = 0x06
_UART_WRITE: Final = 0x02
_UART_ALARMS: Final = {
    "over_temperature": 4,
    "cell_overvoltage": 10,
    "cell_undervoltage": 11,
    "short_circuit": 6,
}
_PB_PAYLOAD: Final = 299
_PB_TYPES: Final = {0x1E: 1, 0x20: 2, 0x1C: 3}
_PB_SENSORS: Final = ((162, 0x02), (164, 0x04), (256, 0x10), (258, 0x20))


class JkUart:
    """Answers "read all"; anything else is not answered."""

    ADDRESS: Final = 0
    SPEC: Final = PackSpec(n_cells=14, capacity_ah=100.0, n_sensors=3, chemistry="nmc")

    def request(self, buffer: bytearray) -> bytes | None:
        """Remove and return the first request with a right checksum."""
        while len(buffer) >= 4:
            if buffer[:2] != _UART_START:
                del buffer[0]
                continue
            length = int.from_bytes(buffer[2:4], "big") + 2
            if not 21 <= length <= 300:
                del buffer[0]
            elif len(buffer) < length:
                return None
            else:
                request = bytes(buffer[:length])
                if sum(request[:-4]) == int.from_bytes(request[-4:], "big"):
                    del buffer[:length]
                    return request
                del buffer[0]
        return None

    def is_write(self, request: bytes) -> bool:
        """Say whether its command writes."""
        return request[8] == _UART_WRITE

    def answer(self, request: bytes, packs: Mapping[int, PackModel]) -> bytes:
        """Return everything the BMS says, to "read all"."""
        if request[8] != _READ_ALL:
            return b""
        return uart_message(next(iter(packs.values())).shown())


def uart_message(shown: Shown) -> bytes:
    """Return the answer to "read all"."""
    cells = b"".join(
        bytes([i]) + _u16(v * 1000) for i, v in enumerate(shown.cell_voltage_v, 1)
    )
    current = round(abs(shown.current_a) * 100) | (shown.current_a > 0) << 15
    alarms = sum(1 << _UART_ALARMS[a] for a in shown.alarms if a in _UART_ALARMS)
    status = (
        shown.charge_enabled
        | shown.discharge_enabled << 1
        | any(shown.balancing) << 2
        | 1 << 3
    )
    degc = shown.temperature_degc
    n_cells = len(shown.cell_voltage_v)
    tlv = (
        b"\x79" + bytes([len(cells)]) + cells
        + b"\x80" + _uart_degc(degc[0])
        + b"\x81" + _uart_degc(degc[1])
        + b"\x82" + _uart_degc(degc[2])
        + b"\x83" + _u16(shown.voltage_v * 100)
        + b"\x84" + _u16(current)
        + b"\x85" + bytes([round(shown.soc * 100), 0x86, 2])
        + b"\x87" + _u16(shown.cycle_count)
        + b"\x89" + round(shown.charge_throughput_ah).to_bytes(4, "big")
        + b"\x8a" + _u16(n_cells)
        + b"\x8b" + _u16(alarms)
        + b"\x8c" + _u16(status)
        + b"\xa9" + bytes([n_cells])
        + b"\xaa" + round(shown.design_ah).to_bytes(4, "big")
        + b"\xaf\x01"
        + b"\xb7" + b"BATTLIFE-SIMUL."
        + b"\xc0\x01"
    )  # fmt: skip
    body = bytes(4) + bytes([_READ_ALL, 0, 1]) + tlv + bytes(4) + b"\x68"
    message = _UART_START + _u16(len(body) + 6) + body
    return message + sum(message).to_bytes(4, "big")


class JkPb:
    """Answers its three reads, which are Modbus writes, with 310 bytes."""

    ADDRESS: Final = 1
    SPEC: Final = PackSpec(n_cells=16, capacity_ah=280.0, n_sensors=4)

    def request(self, buffer: bytearray) -> bytes | None:
        """Remove and return the first request with a right CRC."""
        return take_modbus(buffer)

    def is_write(self, request: bytes) -> bool:
        """Say whether it is anything but one of the three reads."""
        return request[1] != 3 and _pb_type(request) is None

    def answer(self, request: bytes, packs: Mapping[int, PackModel]) -> bytes:
        """Return the payload asked for and the acknowledgement behind it."""
        kind, pack = _pb_type(request), packs.get(request[0])
        if kind is None or pack is None:
            return b""
        head = request[:6]
        return (
            pb_payload(kind, pack.shown(), request[0])
            + b"\0"
            + head
            + (crc(head) + b"\0")
        )


def pb_payload(kind: int, shown: Shown, address: int) -> bytes:
    """Return the 300 bytes of settings (1), status (2) or about (3)."""
    data = bytearray(_PB_PAYLOAD)

    def put(offset: int, value: float, size: int) -> None:
        whole = round(value).to_bytes(size, "little", signed=value < 0)
        data[offset : offset + size] = whole

    data[0:6] = b"\x55\xaa\xeb\x90" + bytes([kind, 0])
    if kind == 1:
        put(10, 2700, 4)  # cell under-voltage and over-voltage, mV
        put(18, 3650, 4)
        put(50, shown.design_ah * 500, 4)  # largest currents, mA
        put(62, shown.design_ah * 1000, 4)
        put(114, len(shown.cell_voltage_v), 4)
        for offset in (118, 122, 126):
            put(offset, 1, 4)
        put(130, shown.design_ah * 1000, 4)
        put(270, address, 4)
    elif kind == 2:
        for i, volt in enumerate(shown.cell_voltage_v):
            put(6 + 2 * i, volt * 1000, 2)
        cells = shown.cell_voltage_v
        put(70, (1 << len(cells)) - 1, 4)  # those that are fitted
        put(74, 1000 * sum(cells) / len(cells), 2)
        put(144, shown.temperature_degc[0] * 10, 2)
        data[214] = 0x01  # its sensor
        put(150, shown.voltage_v * 1000, 4)
        put(158, shown.current_a * 1000, 4)
        sensors = zip(_PB_SENSORS, shown.temperature_degc, strict=False)
        for (offset, present), degc in sensors:
            put(offset, degc * 10, 2)
            data[214] |= present
        data[172] = any(shown.balancing)
        data[173] = round(shown.soc * 100)
        put(174, shown.remaining_ah * 1000, 4)
        put(178, shown.full_ah * 1000, 4)
        put(182, shown.cycle_count, 4)
        put(186, shown.charge_throughput_ah * 1000, 4)
        data[190] = round(shown.soh * 100)
        data[198], data[199] = shown.charge_enabled, shown.discharge_enabled
    else:
        data[6:22] = b"BATTLIFE-SIM".ljust(16, b"\0")
        data[22:30], data[30:38] = b"SIM".ljust(8, b"\0"), b"SIM".ljust(8, b"\0")
    return bytes(data) + bytes([sum(data) & 0xFF])


def _pb_type(request: bytes) -> int | None:
    if request[1:3] != b"\x10\x16" or request[4:9] != b"\0\x01\x02\0\0":
        return None
    return _PB_TYPES.get(request[3])


def _uart_degc(degc: float) -> bytes:
    return _u16(degc if degc >= 0 else 100 - degc)


def _u16(value: float) -> bytes:
    return round(value).to_bytes(2, "big")
