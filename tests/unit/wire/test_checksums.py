"""Checksums: published check values, and messages of real devices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from battlife.wire.checksums import crc8, crc16_modbus, negated_sum16, sum8, sum16

CHECK = b"123456789"


def test_published_check_values():
    """CRC RevEng catalogue: what each gives for "123456789"."""
    assert crc16_modbus(CHECK) == 0x4B37
    assert crc8(CHECK, 0x1D) == 0x37  # CRC-8/GSM-A: J1850's polynomial, from 0
    assert crc8(CHECK, 0x1D, 0xFF, 0xFF) == 0x4B  # CRC-8/SAE-J1850
    assert crc8(CHECK, 0x2F, 0xFF, 0xFF) == 0xDF  # CRC-8/AUTOSAR


@pytest.mark.parametrize(
    ("body", "crc"),
    [
        ("FFC0B9EA000003", 0xD8),  # Leaf 0x1DB, Battery-Emulator pull request 248
        ("6E0F8FFD0CE4E0", 0xD1),  # Leaf 0x1DC
        ("F7070000074600", 0x7B),  # Leaf 0x1D4
        ("F7070000474600", 0xBC),
    ],
)
def test_nissan(body, crc):
    assert crc8(bytes.fromhex(body), 0x85) == crc


def test_messages_of_real_devices():
    modbus = bytes.fromhex("D2030000003ED7B9")  # Daly
    assert crc16_modbus(modbus[:-2]) == int.from_bytes(modbus[-2:], "little")
    daly = bytes.fromhex("A501900802FC000075A1000052")
    assert sum8(daly[:-1]) == daly[-1]
    jbd = bytes.fromhex("DD0400080DD20DD20DD40DD6FC7677")
    assert negated_sum16(jbd[2:-3]) == 0xFC76
    jk = bytes.fromhex("4E5700130000000006030000000000006800000129")
    assert sum16(jk[:-4]) == 0x129
    pylontech = b"~20024642E00202FD33\r"
    assert negated_sum16(pylontech[1:-5]) == int(pylontech[-5:-1], 16)


@given(st.binary(max_size=64), st.integers(0, 511))
def test_each_finds_one_flipped_bit(data, bit):
    if bit >= 8 * len(data):
        return
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    for checksum in (sum8, sum16, negated_sum16, crc16_modbus):
        assert checksum(data) != checksum(bytes(flipped))
    assert crc8(data, 0x85) != crc8(bytes(flipped), 0x85)


@given(st.binary(max_size=64))
def test_crc16_is_its_definition(data):
    """Bit by bit, as Modbus over Serial Line V1.02 (6.2.2) describes it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    assert crc16_modbus(data) == crc
    assert crc16_modbus(data + crc.to_bytes(2, "little")) == 0
