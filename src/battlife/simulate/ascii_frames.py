"""The ASCII frames that Pylontech, Seplos and Pace share, from the device's side.

``~ VER ADR CID1 CID2 LENGTH INFO CHKSUM CR``, upper-case hexadecimal. Source:
python-pylontech (MIT) and the published descriptions of the protocol, as facts.
"""

from dataclasses import dataclass
from typing import Final

_START: Final = 0x7E
_END: Final = 0x0D
_SHORTEST: Final = 18  # "~", twelve characters of head, checksum, CR
BATTERY: Final = 0x46

OK: Final = 0x00
BAD_CHECKSUM: Final = 0x02
UNKNOWN_COMMAND: Final = 0x04
BAD_FORMAT: Final = 0x05


@dataclass(frozen=True)
class Command:
    """A request, or what was meant as one: `info` is None if its checksum is wrong."""

    version: int
    address: int
    cid1: int
    cid2: int
    info: bytes | None


def take(buffer: bytearray) -> bytes | None:
    """Remove and return the first run from "~" to CR; what is before it goes."""
    while True:
        start = buffer.find(_START)
        if start < 0:
            buffer.clear()
            return None
        del buffer[:start]
        end = buffer.find(_END)
        if end < 0:
            return None
        # A "~" inside: the frame before it was cut off.
        start = buffer.rfind(_START, 0, end)
        request = bytes(buffer[start : end + 1])
        del buffer[: end + 1]
        if len(request) >= _SHORTEST:
            return request


def parse(request: bytes) -> Command | None:
    """Return the request understood, None if it is not even hexadecimal."""
    try:
        body = bytes.fromhex(request[1:-5].decode("ascii"))
        check = int(request[-5:-1], 16)
    except ValueError:
        return None
    fits = check == _checksum(request[1:-5]) and body[4:6] == _length(len(body) - 6)
    return Command(body[0], body[1], body[2], body[3], body[6:] if fits else None)


def frame(version: int, address: int, code: int, info: bytes = b"") -> bytes:
    """Return an answer with the return code `code`."""
    head = bytes([version, address, BATTERY, code]) + _length(len(info))
    text = (head + info).hex().upper().encode()
    return b"~" + text + f"{_checksum(text):04X}\r".encode()


def _length(n_bytes: int) -> bytes:
    n = 2 * n_bytes
    nibbles = (n >> 8 & 15) + (n >> 4 & 15) + (n & 15)
    return ((-nibbles & 15) << 12 | n).to_bytes(2, "big")


def _checksum(text: bytes) -> int:
    return (~sum(text) + 1) & 0xFFFF
