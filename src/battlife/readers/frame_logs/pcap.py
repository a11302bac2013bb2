"""Frames of packet captures: SocketCAN and, as payloads, UDS over Ethernet (DoIP).

Source: tcpdump.org/linktypes/LINKTYPE_CAN_SOCKETCAN.html (identifier in network byte
order), LINKTYPE_LINUX_SLL and SLL2 (a capture of "any", where the identifier is in
the byte order of the machine), and linux/can.h.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Final

from battlife.model import Severity
from battlife.model.frame import MAX_CAN_ID, MAX_EXTENDED_ID, Direction, Frame
from battlife.readers.frame_logs import doip
from battlife.readers.frame_logs.findings import BadRecord, Findings, LogReader
from battlife.readers.frame_logs.lines import CAN_BYTES, FD_LENGTHS
from battlife.readers.frame_logs.packets import MAGICS, Packet, packets

_SOCKETCAN: Final = 227
_SLL: Final = 113
_SLL2: Final = 276
_ETHERNET: Final = 1
_DESCRIBED: Final = {_SOCKETCAN: ">L", _SLL: "<L", _SLL2: "<L"}
ORDER_PACKETS: Final = 2000
"""Packets looked at for the byte order of their identifiers."""
_OUTGOING: Final = 4
_ARPHRD_CAN: Final = 280
_PROTOCOLS: Final = {0x000C: False, 0x000D: True}
_EXTENDED: Final = 0x8000_0000
_REMOTE: Final = 0x4000_0000
_ERROR: Final = 0x2000_0000
_FD_FLAG: Final = 0x04
_FD_SIZE: Final = 72
_HEAD: Final = 8


def _read(file: BinaryIO, findings: Findings) -> Iterator[Frame]:
    orders = _orders(file, findings)
    diagnosis = doip.Diagnosis(findings)
    n_packets = 0
    n_frames = 0
    for packet in packets(file, findings):
        n_packets += 1
        if not packet.whole:
            findings.damage(
                "packets that the capture kept only in part are left out",
                f"packet {n_packets}",
                "packets_cut",
            )
            continue
        time_s = 0.0
        if packet.time_ns is not None:
            time_s = findings.seconds(packet.time_ns)
        try:
            if packet.link == _ETHERNET:
                for frame in diagnosis.frames(time_s, packet.data):
                    n_frames += 1
                    yield frame
                continue
            made = _frame(time_s, packet, orders)
        except (BadRecord, struct.error) as error:
            findings.damage(
                "packets that are no frames are left out",
                f"packet {n_packets}, {error}",
            )
            continue
        if made is not None:
            n_frames += 1
            yield made
    if n_packets > n_frames:
        findings.count(
            "other_packets",
            "packets of another kind give no frame",
            f"{n_packets} packets, {n_frames} frames",
            Severity.INFO,
        )


def _orders(file: BinaryIO, findings: Findings) -> dict[int, str]:
    """Return the byte order of the identifiers by link type.

    Scapy and libpcap's cooked captures leave it as the machine has it, against the
    description of link type 227. Most identifiers are possible in one order only;
    what the first packets leave open is read as described.
    """
    votes = {link: {">L": 0, "<L": 0} for link in _DESCRIBED}
    quiet = Findings(findings.path)
    for packet in islice(packets(file, quiet), ORDER_PACKETS):
        content = _content(packet)
        if content is None or len(content[2]) < _HEAD:
            continue
        fits = [order for order in (">L", "<L") if _possible(content[2], order)]
        if len(fits) == 1:
            votes[packet.link][fits[0]] += 1
    file.seek(0)
    orders = {}
    for link, said in _DESCRIBED.items():
        other = "<L" if said == ">L" else ">L"
        # A damaged identifier is no evidence against the rest.
        orders[link] = other if votes[link][other] > votes[link][said] else said
        if orders[link] != said and said == ">L":
            findings.count(
                "byte_order",
                "identifiers are in the byte order of the machine, not of the network",
                f"{votes[link][other]} packets are possible only so",
                Severity.INFO,
            )
    return orders


def _content(packet: Packet) -> tuple[Direction, bool | None, bytes] | None:
    """Return direction, whether CAN FD (None: its head says), and head and bytes."""
    data = packet.data
    if packet.link == _SOCKETCAN:
        return "rx", None, data
    if packet.link == _SLL and len(data) >= 16:
        kind, hardware = struct.unpack_from(">HH", data)
        (protocol,) = struct.unpack_from(">H", data, 14)
        rest = data[16:]
    elif packet.link == _SLL2 and len(data) >= 20:
        protocol, _, hardware, kind = struct.unpack_from(">H2xLHB", data)
        rest = data[20:]
    else:
        return None
    if hardware != _ARPHRD_CAN or protocol not in _PROTOCOLS:
        return None
    return "tx" if kind == _OUTGOING else "rx", _PROTOCOLS[protocol], rest


def _frame(time_s: float, packet: Packet, orders: dict[int, str]) -> Frame | None:
    if packet.link not in orders:
        raise BadRecord(f"bytes of link type {packet.link}")
    content = _content(packet)
    if content is None:
        return None
    direction, fd, data = content
    if fd is None:
        fd = len(data) == _FD_SIZE or (len(data) > 5 and bool(data[5] & _FD_FLAG))
    return _can(time_s, packet.interface, direction, data, orders[packet.link], fd)


def _possible(data: bytes, order: str) -> bool:
    (raw,) = struct.unpack_from(order, data)
    most = MAX_EXTENDED_ID if raw & _EXTENDED else MAX_CAN_ID
    return bool(raw & MAX_EXTENDED_ID <= most)


def _can(
    time_s: float,
    interface: int,
    direction: Direction,
    data: bytes,
    order: str,
    fd: bool,
) -> Frame:
    if len(data) < _HEAD:
        raise BadRecord("too short")
    (raw,) = struct.unpack_from(order, data)
    length = data[4]
    if length > (64 if fd else CAN_BYTES) or length not in FD_LENGTHS:
        raise BadRecord(f"{length} bytes in a frame")
    content = data[_HEAD : _HEAD + length]
    identifier = raw & MAX_EXTENDED_ID
    extended = bool(raw & _EXTENDED)
    if raw & _ERROR:
        return Frame(
            time_s, str(interface), direction, content, identifier, kind="error"
        )
    if identifier > MAX_CAN_ID and not extended:
        raise BadRecord(f"{raw:X} is no identifier")
    remote = bool(raw & _REMOTE)
    if len(content) < length and not remote:
        raise BadRecord(f"{len(content)} bytes where {length} are announced")
    return Frame(
        time_s,
        str(interface),
        direction,
        b"" if remote else content,
        identifier,
        extended,
        fd,
        "remote" if remote else "data",
    )


READER: Final = LogReader(
    "pcap",
    "pcap and pcapng: SocketCAN frames, UDS payloads of DoIP",
    lambda head: head.startswith(MAGICS),
    _read,
)
