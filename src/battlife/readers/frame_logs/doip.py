"""UDS payloads out of captured Ethernet: DoIP over TCP (ISO 13400-2).

Source: ISO 13400-2 as scapy and Wireshark document it: port 13400, head of 8 bytes
(version, its complement, type, length), type 8001 is a diagnostic message: source
address, target address, UDS payload.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from battlife.model import Frame, Severity
from battlife.readers.frame_logs.findings import Findings

PORT: Final = 13400
MAX_STREAMS: Final = 64
MAX_MESSAGE: Final = 1 << 16
_MAX_STREAM: Final = MAX_MESSAGE + 4096
_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_VLAN: Final = 0x8100
_TCP: Final = 6
_DIAGNOSTIC: Final = 0x8001
_SYN: Final = 2
_HALF: Final = 1 << 31


@dataclass
class _Stream:
    """One direction of a connection."""

    next: int
    buffer: bytearray = field(default_factory=bytearray)


class Diagnosis:
    """Follows the TCP streams of DoIP and hands out their UDS payloads.

    A frame of it has no identifier and the two logical addresses as its channel, so
    that request and answer are on the same one.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._streams: dict[bytes, _Stream] = {}

    def frames(self, time_s: float, packet: bytes) -> Iterator[Frame]:
        """Yield the payloads that an Ethernet packet completes."""
        segment = _segment(packet)
        if segment is None:
            return
        key, sent, flags, sequence, data = segment
        if flags & _SYN:
            self._begin(key, (sequence + 1) & 0xFFFFFFFF)
            return
        if not data:
            return
        stream = self._streams.get(key)
        if stream is None:
            stream = self._begin(key, sequence)
        ahead = (sequence - stream.next) & 0xFFFFFFFF
        if ahead >= _HALF:
            # Sent again: only what is new counts.
            data = data[min((stream.next - sequence) & 0xFFFFFFFF, len(data)) :]
        elif ahead:
            self._findings.damage(
                "segments of a connection are missing", f"{ahead} bytes", "stream_gap"
            )
            stream.buffer.clear()
            stream.next = sequence
        if not data:
            return
        stream.next = (stream.next + len(data)) & 0xFFFFFFFF
        stream.buffer += data
        yield from self._messages(time_s, stream, sent)

    def _begin(self, key: bytes, sequence: int) -> _Stream:
        while len(self._streams) >= MAX_STREAMS:
            del self._streams[next(iter(self._streams))]
        stream = self._streams[key] = _Stream(sequence)
        return stream

    def _messages(self, time_s: float, stream: _Stream, sent: bool) -> Iterator[Frame]:
        buffer = stream.buffer
        while len(buffer) >= 8:
            version, inverse, kind, length = struct.unpack_from(">BBHL", buffer)
            if version ^ inverse != 0xFF or length > MAX_MESSAGE:
                self._findings.damage("bytes that are no DoIP message", "left out")
                buffer.clear()
                return
            if len(buffer) < 8 + length:
                return
            message = bytes(buffer[8 : 8 + length])
            del buffer[: 8 + length]
            if kind == _DIAGNOSTIC and length > 4:
                source, target = struct.unpack_from(">HH", message)
                tester, unit = (source, target) if sent else (target, source)
                yield Frame(
                    time_s,
                    f"doip:{tester:04X}:{unit:04X}",
                    "tx" if sent else "rx",
                    message[4:],
                )
            else:
                self._findings.count(
                    "other_messages",
                    "DoIP messages of another kind give no frame",
                    f"type {kind:04X}",
                    Severity.INFO,
                )


def _segment(packet: bytes) -> tuple[bytes, bool, int, int, bytes] | None:
    """Return key, whether the tester sent it, flags, sequence and data, if DoIP."""
    if len(packet) < 14:
        return None
    at = 12
    (kind,) = struct.unpack_from(">H", packet, at)
    if kind == _VLAN and len(packet) >= 18:
        at = 16
        (kind,) = struct.unpack_from(">H", packet, at)
    ip = packet[at + 2 :]
    if kind == _IPV4 and len(ip) >= 20 and ip[9] == _TCP:
        size = (ip[0] & 15) * 4
        (total,) = struct.unpack_from(">H", ip, 2)
        (fragment,) = struct.unpack_from(">H", ip, 6)
        if fragment & 0x3FFF or not 20 <= size <= total <= len(ip):
            return None
        addresses, tcp = ip[12:20], ip[size:total]
    elif kind == _IPV6 and len(ip) >= 40 and ip[6] == _TCP:
        (total,) = struct.unpack_from(">H", ip, 4)
        addresses, tcp = ip[8:40], ip[40 : 40 + total]
    else:
        return None
    if len(tcp) < 20:
        return None
    source, target, sequence = struct.unpack_from(">HHL", tcp)
    if PORT not in (source, target):
        return None
    begin = (tcp[12] >> 4) * 4
    if not 20 <= begin <= len(tcp):
        return None
    key = addresses + tcp[:4]
    return key, target == PORT, tcp[13], sequence, tcp[begin:]
