"""Capture files of packets: pcap and pcapng, record by record.

Source: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from battlife.model import Severity
from battlife.readers.frame_logs.findings import NS, Findings

MAX_PACKET: Final = 1 << 20
MAX_BLOCK: Final = 16 << 20
MAX_INTERFACES: Final = 1024
_PCAP_MAGIC: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_SECTION: Final = b"\x0a\x0d\x0d\x0a"
_SECTION_TYPE: Final = 0x0A0D0D0A
_BLOCK_INTERFACE: Final = 1
_BLOCK_SIMPLE: Final = 3
_BLOCK_ENHANCED: Final = 6
_OPTION_TSRESOL: Final = 9
MAGICS: Final = (*_PCAP_MAGIC, _SECTION)


@dataclass(frozen=True, slots=True)
class Packet:
    """One captured packet.

    Attributes
    ----------
    time_ns : ns since 1970 in UTC; None where the capture gives no time
    interface : number of the interface
    link : what its bytes are (tcpdump.org/linktypes.html)
    data : the bytes
    whole : False where the capture kept only the first of them
    """

    time_ns: int | None
    interface: int
    link: int
    data: bytes
    whole: bool


def packets(file: BinaryIO, findings: Findings) -> Iterator[Packet]:
    """Yield the packets of a pcap or pcapng file in their order.

    Raises
    ------
    InputError
        It is neither, or damaged before its first packet.
    """
    magic = file.read(4)
    if magic in _PCAP_MAGIC:
        order, unit_ns = _PCAP_MAGIC[magic]
        yield from _pcap(file, findings, order, unit_ns)
    elif magic == _SECTION:
        file.seek(0)
        yield from _Pcapng(file, findings).packets()
    else:
        raise findings.refused("neither pcap nor pcapng", "is it another format?")


def _pcap(
    file: BinaryIO, findings: Findings, order: str, unit_ns: int
) -> Iterator[Packet]:
    head = file.read(20)
    if len(head) < 20:
        raise findings.refused("the head of the capture is cut off", "get all of it")
    link = struct.unpack_from(order + "L", head, 16)[0] & 0x0FFF_FFFF
    record = struct.Struct(order + "LLLL")
    while True:
        where = file.tell()
        lead = file.read(record.size)
        if not lead:
            return
        if len(lead) < record.size:
            findings.cut("the last packet is cut off", f"at byte {where}")
            return
        seconds, fraction, kept, length = record.unpack(lead)
        if kept > MAX_PACKET or kept > length or fraction * unit_ns >= NS:
            _stop(findings, where, "no packet begins there")
            return
        data = file.read(kept)
        if len(data) < kept:
            findings.cut("the last packet is cut off", f"at byte {where}")
            return
        yield Packet(seconds * NS + fraction * unit_ns, 0, link, data, kept == length)


def _stop(findings: Findings, where: int, why: str) -> None:
    findings.damage(
        "what follows the damage is not read", f"byte {where}, {why}", "damaged_rest"
    )


class _Pcapng:
    def __init__(self, file: BinaryIO, findings: Findings) -> None:
        self._file = file
        self._findings = findings
        self._order = "<"
        self._links: list[tuple[int, int]] = []

    def packets(self) -> Iterator[Packet]:
        while True:
            where = self._file.tell()
            lead = self._file.read(8)
            if not lead:
                return
            if len(lead) < 8:
                self._findings.cut("the last block is cut off", f"at byte {where}")
                return
            if lead[:4] == _SECTION:
                order = self._file.read(4)
                self._file.seek(-len(order), 1)
                if order not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
                    _stop(self._findings, where, "no section begins there")
                    return
                self._order = "<" if order[0] == 0x4D else ">"
                self._links = []
            kind, length = struct.unpack(self._order + "LL", lead)
            if length < 12 or length % 4 or length > MAX_BLOCK:
                _stop(self._findings, where, "no block begins there")
                return
            body = self._file.read(length - 8)
            if len(body) < length - 8:
                self._findings.cut("the last block is cut off", f"at byte {where}")
                return
            if struct.unpack_from(self._order + "L", body, length - 12)[0] != length:
                _stop(self._findings, where, "a block of two lengths")
                return
            try:
                packet = self._packet(kind, body[:-4])
            except (struct.error, IndexError) as error:
                self._findings.damage(
                    "blocks that are no packets are left out", f"byte {where}, {error}"
                )
                continue
            if packet is not None:
                yield packet

    def _packet(self, kind: int, body: bytes) -> Packet | None:
        if kind == _BLOCK_INTERFACE:
            if len(self._links) >= MAX_INTERFACES:
                raise self._findings.refused(
                    f"more than {MAX_INTERFACES} interfaces", "the capture is damaged"
                )
            link = struct.unpack_from(self._order + "H", body)[0]
            self._links.append((link, self._resolution(body[8:])))
            return None
        if kind == _BLOCK_SIMPLE:
            (length,) = struct.unpack_from(self._order + "L", body)
            data = body[4 : 4 + length]
            return Packet(None, 0, self._links[0][0], data, len(data) == length)
        if kind != _BLOCK_ENHANCED:
            if kind != _SECTION_TYPE:
                self._findings.count(
                    "other_blocks",
                    "blocks of another kind hold no packet",
                    f"type {kind}",
                    Severity.INFO,
                )
            return None
        number, high, low, kept, length = struct.unpack_from(self._order + "5L", body)
        link, per_second = self._links[number]
        data = body[20 : 20 + kept]
        if len(data) < kept or kept > length:
            raise IndexError("a packet longer than its block")
        time_ns = ((high << 32) + low) * NS // per_second
        return Packet(time_ns, number, link, data, kept == length)

    def _resolution(self, options: bytes) -> int:
        """Return ticks per second of an interface."""
        at = 0
        while at + 4 <= len(options):
            code, length = struct.unpack_from(self._order + "HH", options, at)
            if code == 0:
                break
            if code == _OPTION_TSRESOL and length >= 1 and at + 4 < len(options):
                value = options[at + 4]
                power = min(value & 0x7F, 63)
                return int(1 << power if value & 0x80 else int("1" + "0" * power))
            at += 4 + length + (-length % 4)
        return 1_000_000
