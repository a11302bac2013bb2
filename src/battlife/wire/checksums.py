"""Checksums of the protocols: pure functions of bytes."""

from functools import cache
from typing import Final

_BYTE: Final = 0xFF


def sum8(data: bytes) -> int:
    """Return the sum of the bytes modulo 256 (Daly, JK)."""
    return sum(data) & _BYTE


def sum16(data: bytes) -> int:
    """Return the sum of the bytes modulo 65536 (JK over UART)."""
    return sum(data) & 0xFFFF


def negated_sum16(data: bytes) -> int:
    """Return what added to the sum of the bytes gives 0 modulo 65536.

    JBD sums the bytes from the register (request) or status (answer) on; the ASCII
    protocols of Pylontech, Seplos and Pace sum the characters between "~" and the
    checksum.
    """
    return -sum(data) & 0xFFFF


def crc16_modbus(data: bytes) -> int:
    """Return the CRC-16/MODBUS: init FFFF, reflected polynomial A001.

    On the wire the low byte comes first (Modbus over serial line, V1.02, 6.2.2).
    """
    crc = 0xFFFF
    table = _reflected_table(0xA001)
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & _BYTE]
    return crc


def crc16_modbus_step(register: int, byte: int) -> int:
    """Return the register of CRC-16/MODBUS after one more byte."""
    return (register >> 8) ^ _reflected_table(0xA001)[(register ^ byte) & _BYTE]


def crc8(data: bytes, polynomial: int, initial: int = 0, final: int = 0) -> int:
    """Return a CRC-8, most significant bit first.

    Nissan: polynomial 0x85. SAE J1850: 0x1D. AUTOSAR 8H2F: 0x2F with initial and
    final 0xFF.
    """
    crc = initial
    table = _crc8_table(polynomial)
    for byte in data:
        crc = table[crc ^ byte]
    return crc ^ final


@cache
def _reflected_table(polynomial: int) -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        table.append(value)
    return tuple(table)


@cache
def _crc8_table(polynomial: int) -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = ((value << 1) & _BYTE) ^ (polynomial if value & 0x80 else 0)
        table.append(value)
    return tuple(table)
