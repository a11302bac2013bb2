"""JK BMS: PB series over RS485, and the same frames as Bluetooth captures hold them.

Over RS485 an answer is 300 bytes without an address, mostly a zero, an acknowledgement
of Modbus function 16 that has one, and a zero. A frame is believed to come from whoever
acknowledges after it; on a line where acknowledgements were heard, one without is
nobody's. Bluetooth has one device and no acknowledgements.

A JK BMS is read by a Modbus *write* (function 16 to 0x161C, 0x161E, 0x1620), which
another maker's device would take for a write. So nothing of it is a probe: these
requests leave only to a device that the operator named.

Source: dbus-serialbattery, bms/jkbms_pb.py and bms-docs/JKBMS-PB.md.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import InputError, ProtocolError
from battlife.model import Frame, Reading, Rejected, Request, Value
from battlife.wire import _jk_frames as frames
from battlife.wire._line import Found, Line, Piece
from battlife.wire.checksums import crc16_modbus

TRIGGERS: Final[Mapping[int, int]] = {0x1E: 1, 0x20: 2, 0x1C: 3}
"""Low byte of the register that is written, and the kind of frame it asks for."""
GAP_S: Final = 0.1
"""Between two requests; with less, other devices of the bus answer too."""
MAX_ADDRESS: Final = 15
"""Addresses that the switches of a PB series BMS can set."""

_BETWEEN: Final = (0, 1)
"""Bytes between a frame and its acknowledgement; address 0 was seen to send none."""
_ASK_LENGTH: Final = 11
_ACK_LENGTH: Final = 8


def look(data: bytes) -> Found:
    """Say what begins at the head: a frame, a request or an acknowledgement."""
    head = data[: len(frames.HEAD)]
    if head == frames.HEAD[: len(head)]:
        if len(data) < frames.LENGTH:
            return Found("more")
        why = frames.wrong(data[: frames.LENGTH])
        return Found("wrong" if why else "message", frames.LENGTH, why)
    if not _may_be_trigger(data):
        return Found("no")
    if len(data) < _ACK_LENGTH:
        return Found("more")
    if _is_crc_right(data[:_ACK_LENGTH]):
        return Found("message", _ACK_LENGTH)
    if data[6] != 2:  # a request goes on with its number of bytes
        return Found("no")
    if len(data) < _ASK_LENGTH:
        return Found("more")
    return Found("message" if _is_crc_right(data[:_ASK_LENGTH]) else "no", _ASK_LENGTH)


def trigger(kind: int, address: int) -> bytes:
    """Return the bytes that make a device send a kind of frame."""
    (register,) = (r for r, k in TRIGGERS.items() if k == kind)
    body = bytes([address, 0x10, 0x16, register, 0, 1, 2, 0, 0])
    return body + crc16_modbus(body).to_bytes(2, "little")


@dataclass(frozen=True)
class JkPb:
    """One device of the bus.

    Attributes
    ----------
    address : as its switches set it, 0 to 15

    Raises
    ------
    InputError
        There is no such address.
    """

    address: int = 1

    name: ClassVar[str] = "jk_pb"
    description: ClassVar[str] = "JK BMS PB series (RS485), JK Bluetooth captures"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    bauds: ClassVar[Sequence[int]] = (115200, 9600)
    probes: ClassVar[Sequence[Request]] = ()
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.address <= MAX_ADDRESS:
            raise InputError(
                f"jk_pb has no address {self.address}",
                f"its switches set 0 to {MAX_ADDRESS}",
            )

    @property
    def device(self) -> str:
        """Label of its readings."""
        return str(self.address)

    @property
    def permitted(self) -> Sequence[Request]:
        """Everything that may be sent to it.

        Status comes right after settings: firmware from 15.36 on ignores a status
        request that stands alone.
        """
        return tuple(
            Request(
                frames.NAMES[kind],
                trigger(kind, self.address),
                gap_s=GAP_S,
                every_s=math.inf if kind == 3 else 0.0,
            )
            for kind in (3, 1, 2)
        )

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        return self.permitted

    def decoder(self) -> "JkPbDecoder":
        """Return a decoder that has heard nothing yet."""
        return JkPbDecoder()


class JkPbDecoder:
    """Decodes the frames of every device on a line, or of one over Bluetooth."""

    def __init__(self) -> None:
        self._line = Line(look)
        self._waiting: Piece | None = None  # a frame whose sender is not known yet
        self._acknowledged = False  # requests or acknowledgements were heard
        self._layout: frames.Layout | None = None  # over Bluetooth

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next bytes; yield what they complete."""
        for piece in self._line.feed(frame):
            yield from self._taken(piece)

    def finish(self) -> Iterator[Reading | Rejected]:
        """Yield the last frame, which nothing follows."""
        for piece in self._line.finish():
            yield from self._taken(piece)
        yield from self._unacknowledged()

    def _taken(self, piece: Piece) -> Iterator[Reading | Rejected]:
        raw = piece.data
        if raw[:4] != frames.HEAD:
            self._acknowledged = True
            waiting = self._waiting
            if (
                len(raw) == _ACK_LENGTH
                and waiting is not None
                and piece.direction == waiting.direction
                and piece.start - waiting.start - frames.LENGTH in _BETWEEN
                and TRIGGERS[raw[3]] == waiting.data[4]
            ):
                self._waiting = None
                pad = bytes(piece.start - waiting.start - frames.LENGTH)
                yield _decoded(waiting, str(raw[0]), waiting.data + pad + raw)
            else:
                yield from self._unacknowledged()
            return
        yield from self._unacknowledged()
        if piece.why:
            name = frames.NAMES.get(raw[4], "")
            yield _rejected(piece, "", piece.why, name)
        elif raw[4] in frames.NAMES:
            self._waiting = piece

    def _unacknowledged(self) -> Iterator[Reading | Rejected]:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        if self._acknowledged:
            yield _rejected(waiting, "", "no acknowledgement says who sent it")
            return
        if waiting.data[4] == 2:
            layouts = frames.proven(waiting.data)
            if len(layouts) == 1:
                self._layout = layouts[0]
            elif self._layout is None:
                why = "no layout is proven by the sum and the average of its cells"
                yield _rejected(waiting, "", why, "status")
                return
        yield _decoded(waiting, "", waiting.data, self._layout)


def _decoded(
    frame: Piece,
    device: str,
    raw: bytes,
    layout: frames.Layout | None = frames.CELLS_32,
) -> Reading | Rejected:
    name = frames.NAMES[frame.data[4]]
    try:
        if name == "status":
            assert layout is not None
            values, notices = frames.status(frame.data, layout)
        elif name == "settings":
            values, notices = frames.settings(frame.data)
        else:
            values, notices = frames.about(frame.data)
    except ProtocolError as error:
        return Rejected(frame.time_s, device, error, raw, name)
    return Reading(frame.time_s, device, name, values, raw, None, notices)


def _rejected(frame: Piece, device: str, why: str, name: str = "") -> Rejected:
    hint = "check wiring and baud rate; does another master use the bus?"
    error = ProtocolError(f"JK {name or 'frame'}: {why}", hint)
    return Rejected(frame.time_s, device, error, frame.data, name)


def _may_be_trigger(data: bytes) -> bool:
    """Say whether bytes may begin a write to the register of a kind of frame."""
    if not b"\x10\x16".startswith(data[1:3]):
        return False
    return (len(data) < 4 or data[3] in TRIGGERS) and b"\0\1".startswith(data[4:6])


def _is_crc_right(message: bytes) -> bool:
    return crc16_modbus(message[:-2]) == int.from_bytes(message[-2:], "little")
