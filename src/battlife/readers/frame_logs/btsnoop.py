"""Bluetooth captures of a phone (btsnoop): what an app and a BMS wrote to each other.

Source: the btsnoop format of RFC 1761's snoop with HCI data links 1001 and 1002, and
the Bluetooth Core Specification (HCI ACL data, L2CAP, ATT). Values that were written
are "tx", notified or indicated ones "rx"; bytes of a serial line, as a BMS has them.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

from battlife.model import Direction, Frame, Severity
from battlife.readers.frame_logs.findings import Findings, LogReader

MAX_RECORD: Final = 1 << 17
_MAGIC: Final = b"btsnoop\x00"
_RECORD: Final = struct.Struct(">LLLLq")
_EPOCH_US: Final = 0x00DC_DDB3_0F2F_8000
"""1970 on a clock that counts microseconds from the year 0."""
_HCI_H1: Final = 1001
_HCI_H4: Final = 1002
_ACL: Final = 2
_ATT_CHANNEL: Final = 4
_CONTINUED: Final = 1
# Write request and command; notification and indication: opcode, handle, value.
_VALUES: Final = frozenset({0x12, 0x52, 0x1B, 0x1D})
_MAX_MESSAGE: Final = 1 << 16


def _read(file: BinaryIO, findings: Findings) -> Iterator[Frame]:
    head = file.read(16)
    if len(head) < 16 or not head.startswith(_MAGIC):
        raise findings.refused("no btsnoop capture", "is it another format?")
    version, link = struct.unpack_from(">LL", head, 8)
    if version != 1 or link not in (_HCI_H1, _HCI_H4):
        raise findings.refused(
            f"btsnoop version {version} with data link {link}",
            "only captures of HCI (1001, 1002) are understood",
        )
    parts: dict[tuple[int, bool], bytearray] = {}
    n_records = n_frames = 0
    dropped = 0
    while True:
        where = file.tell()
        lead = file.read(_RECORD.size)
        if not lead:
            break
        if len(lead) < _RECORD.size:
            findings.cut("the last record is cut off", f"at byte {where}")
            break
        length, kept, flags, drops, time_us = _RECORD.unpack(lead)
        if not kept <= length <= MAX_RECORD or flags > 15 or time_us < _EPOCH_US:
            findings.damage(
                "what follows the damage is not read",
                f"byte {where}, no record begins there",
                "damaged_rest",
            )
            break
        data = file.read(kept)
        if len(data) < kept:
            findings.cut("the last record is cut off", f"at byte {where}")
            break
        n_records += 1
        if drops > dropped:
            findings.count(
                "frames_lost", "the capture says it lost records", f"{drops - dropped}"
            )
        dropped = drops
        if kept < length:
            findings.damage(
                "records that the capture kept only in part are left out",
                f"at byte {where}",
                "packets_cut",
            )
            continue
        received = bool(flags & 1)
        time_s = findings.seconds((time_us - _EPOCH_US) * 1000)
        packet = _acl(data, link, flags)
        if packet is None:
            continue
        for frame in _values(time_s, packet, received, parts):
            n_frames += 1
            yield frame
    findings.count(
        "other_packets",
        "the rest of the records are commands and events of Bluetooth",
        f"{n_records} records, {n_frames} of them carry bytes",
        Severity.INFO,
    )


def _acl(data: bytes, link: int, flags: int) -> bytes | None:
    """Return an ACL packet, without the byte that says it is one."""
    if link == _HCI_H4:
        return data[1:] if data[:1] == bytes([_ACL]) else None
    return None if flags & 2 else data


def _values(
    time_s: float,
    packet: bytes,
    received: bool,
    parts: dict[tuple[int, bool], bytearray],
) -> Iterator[Frame]:
    """Yield the value of an attribute that a packet completes."""
    if len(packet) < 4:
        return
    word, length = struct.unpack_from("<HH", packet)
    connection, boundary = word & 0xFFF, word >> 12 & 3
    content = packet[4 : 4 + length]
    key = (connection, received)
    if boundary == _CONTINUED:
        if key not in parts:
            return
        parts[key] += content
    else:
        # At most one message per connection and direction is open, 64 KiB each.
        parts[key] = bytearray(content)
    message = parts[key]
    if len(message) < 4 or len(message) > _MAX_MESSAGE:
        return
    size, channel = struct.unpack_from("<HH", message)
    if len(message) < 4 + size:
        return
    del parts[key]
    body = bytes(message[4 : 4 + size])
    if channel != _ATT_CHANNEL or len(body) < 4:
        return
    if body[0] not in _VALUES:
        return
    direction: Direction = "rx" if received else "tx"
    yield Frame(time_s, f"hci:{connection:03X}", direction, body[3:])


READER: Final = LogReader(
    "btsnoop",
    "btsnoop HCI capture of Bluetooth: bytes written and notified",
    lambda head: head.startswith(_MAGIC),
    _read,
)
