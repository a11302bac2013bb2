"""An SLCAN (LAWICEL) adapter in front of a simulated bus.

Sources: LAWICEL CAN232 manual for the commands and answers; python-can 4.6
can/interfaces/slcan.py for what a host really sends: an empty command while it sets
the bit rate, `O` twice, `Y` for CAN FD, `S9`.
"""

import re
from collections.abc import Iterable
from typing import Final

from battlife.simulate.can_bus import MARK, BusFrame, CanBus, Node, PackView
from battlife.simulate.faults import Disturbance

VERSION: Final = b"V0000\r"
"""Hardware and software 0.0: python-can reads four decimal digits, so the word that
it is simulated stands in the serial number."""
SERIAL: Final = b"NSIMU\r"

RX_FULL: Final = 0x01
DATA_OVERRUN: Final = 0x08
BUS_ERROR: Final = 0x80

_OK: Final = b"\r"
_REFUSED: Final = b"\a"
_BITRATES: Final = {
    b"S0": 10_000,
    b"S1": 20_000,
    b"S2": 50_000,
    b"S3": 100_000,
    b"S4": 125_000,
    b"S5": 250_000,
    b"S6": 500_000,
    b"S7": 800_000,  # LAWICEL; python-can means 750 kbit/s by it
    b"S8": 1_000_000,
    b"S9": 83_300,
}
_OSCILLATOR_HZ: Final = 8_000_000
_FD_LENGTHS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
_HEX: Final = re.compile(rb"[0-9A-Fa-f]*")
_FRAMES: Final = tuple(bytes([c]) for c in b"tTrRdDbB")
_LONGEST: Final = 1 + 8 + 1 + 128
_MAX_BACKLOG: Final = 1 << 15  # bytes; a third of a second of a full bus


class SlcanServer:
    """The adapter, as :class:`battlife.simulate.serving.Station`.

    Parameters
    ----------
    bus : what it is connected to
    disturbance : what the line to the host does; noise and a wrong baud rate only
    """

    def __init__(self, bus: CanBus, disturbance: Disturbance) -> None:
        self.received = bytearray()
        self.writes = bus.node.writes
        self.backlog = 0
        self._bus = bus
        self._disturbance = disturbance
        self._buffer = bytearray()
        self._too_long = False
        self._open = False
        self._listens = False
        self._stamps = False
        self._bitrate = bus.bitrate
        self._status = 0
        self._n_lost = 0

    def connected(self) -> None:
        """Note that a client came: the adapter was powered up."""
        self._buffer.clear()
        self._too_long = self._open = self._listens = self._stamps = False
        self._bitrate = self._bus.bitrate
        self._status = 0

    def take(self, data: bytes, now_s: float) -> bytes:
        """Take what the host sent; return the answers."""
        self.received += data
        sent = bytearray()
        for byte in data:
            if byte == 0x0D:
                sent += self._line_end(now_s)
            elif len(self._buffer) < _LONGEST:
                self._buffer.append(byte)
            else:
                self._too_long = True
        return bytes(sent)

    def due(self, now_s: float) -> bytes:
        """Return the lines of the frames that crossed the bus."""
        frames = self._bus.due(now_s)
        if not self._open:
            self._n_lost = self._bus.n_lost
            return b""
        return self._lines(frames, now_s)

    def _line_end(self, now_s: float) -> bytes:
        text, too_long = bytes(self._buffer), self._too_long
        self._buffer.clear()
        self._too_long = False
        if too_long:
            return self._said(_REFUSED, now_s)
        if text[:1] in _FRAMES:
            return self._transmit(text, now_s)
        said = self._said(self._answer(text), now_s)
        if text in (b"O", b"L") and said == _OK:
            # At once, so that no record is too short to hold the mark.
            said += self._lines([MARK], now_s)
        return said

    def _answer(self, line: bytes) -> bytes:
        kind = line[:1]
        if not line:
            return _OK
        if line == b"V":
            return VERSION
        if line == b"N":
            return SERIAL
        if line == b"C":
            was_open, self._open = self._open, False
            return _OK if was_open else _REFUSED
        if line == b"F" and self._open:
            return self._flags()
        if self._open:
            return _REFUSED  # what follows is for a closed channel
        if line in (b"O", b"L"):
            self._open, self._listens = True, line == b"L"
            self._status = 0
            return _OK
        if line in _BITRATES:
            self._bitrate = _BITRATES[line]
            return _OK
        if kind == b"s" and len(line) == 5 and _HEX.fullmatch(line[1:]):
            self._bitrate = _register_bitrate(int(line[1:], 16))
            return _OK
        if line in (b"Z0", b"Z1"):
            self._stamps = line == b"Z1"
            return _OK
        if line in (b"Y2", b"Y5") and self._bus.fd:
            return _OK
        return _REFUSED

    def _flags(self) -> bytes:
        if self._bus.n_lost > self._n_lost:
            self._n_lost = self._bus.n_lost
            self._status |= DATA_OVERRUN
        if self._bitrate != self._bus.bitrate:
            self._status |= BUS_ERROR
        status, self._status = self._status, 0
        return b"F%02X\r" % status

    def _transmit(self, line: bytes, now_s: float) -> bytes:
        frame = parsed(line)
        if frame is None or (frame.fd and not self._bus.fd):
            return self._said(_REFUSED, now_s)
        if not self._open or self._listens or self._bitrate != self._bus.bitrate:
            return self._said(_REFUSED, now_s)
        acknowledged = b"Z\r" if frame.extended else b"z\r"
        answers = self._bus.take(frame, now_s)
        return self._said(acknowledged, now_s) + self._lines(answers, now_s)

    def _lines(self, frames: Iterable[BusFrame], now_s: float) -> bytes:
        if self._bitrate != self._bus.bitrate:
            return b""  # nothing of it can be read, see _flags
        sent = bytearray()
        for frame in frames:
            text = self._said(written(frame, now_s if self._stamps else None), now_s)
            if self.backlog + len(sent) + len(text) > _MAX_BACKLOG:
                self._status |= RX_FULL | DATA_OVERRUN
                continue
            sent += text
        return bytes(sent)

    def _said(self, text: bytes, now_s: float) -> bytes:
        return self._disturbance.disturbed(text, now_s)


def written(frame: BusFrame, stamp_s: float | None = None) -> bytes:
    """Return a frame as the adapter writes it, with a time stamp where one is given."""
    kind = "d" if frame.fd else "r" if frame.remote else "t"
    if frame.extended:
        kind = kind.upper()
    code = _FD_LENGTHS.index(len(frame.data))
    digits = 8 if frame.extended else 3
    text = f"{kind}{frame.identifier:0{digits}X}{code:X}"
    if not frame.remote:
        text += frame.data.hex().upper()
    if stamp_s is not None:
        text += f"{int(stamp_s * 1000) % 60_000:04X}"
    characters = bytearray(text.encode("ascii"))
    if frame.damaged:
        characters[-1] ^= 0x40  # turns every hexadecimal digit into none
    return bytes(characters) + b"\r"


def parsed(line: bytes) -> BusFrame | None:
    """Return the frame that the host wants sent, None if the line is none."""
    kind = line[:1]
    extended = kind in b"TRDB"
    fd, remote = kind in b"dDbB", kind in b"rR"
    start = 10 if extended else 5
    if len(line) < start or not _HEX.fullmatch(line[1:]):
        return None
    identifier = int(line[1 : start - 1], 16)
    code = int(line[start - 1 : start], 16)
    if identifier > (0x1FFFFFFF if extended else 0x7FF) or (code > 8 and not fd):
        return None
    digits = line[start:].decode("ascii")
    if len(digits) != (0 if remote else 2 * _FD_LENGTHS[code]):
        return None
    return BusFrame(
        identifier, bytes.fromhex(digits), extended=extended, fd=fd, remote=remote
    )


def _register_bitrate(registers: int) -> int:
    # SJA1000: BTR0 holds the prescaler - 1, BTR1 both time segments - 1.
    prescaler = (registers >> 8 & 0x3F) + 1
    quanta = 1 + (registers & 0x0F) + 1 + (registers >> 4 & 0x07) + 1
    return _OSCILLATOR_HZ // (prescaler * quanta)


def adapter(
    node: Node,
    view: PackView,
    faults: frozenset[str],
    seed: int,
    *,
    bitrate: int = 500_000,
    fd: bool = False,
    bus_load: float = 0.0,
) -> SlcanServer:
    """Return an adapter on a bus with a device; see :class:`CanBus` for the rest.

    Parameters
    ----------
    seed : of the noise on the line to the host
    """
    bus = CanBus(node, view, faults=faults, bitrate=bitrate, fd=fd, bus_load=bus_load)
    return SlcanServer(bus, Disturbance(faults & {"noise", "wrong_baud"}, seed))
