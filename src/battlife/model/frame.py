"""What crossed a wire: raw, in order, before anybody says what it means."""

from dataclasses import dataclass
from typing import Final, Literal

Direction = Literal["rx", "tx"]
FrameKind = Literal["data", "remote", "error"]

SIMULATED_LINE: Final = b"BATTLIFE-SIMULATED\r\n"
"""What a simulated serial device says before its first answer. Every decoder skips
junk between messages, so the mark travels inside the record itself."""

SIMULATED_ID: Final = 0x7FD
SIMULATED_DATA: Final = b"BL-SIMUL"
"""Identifier and data of the CAN frame that a simulated bus repeats each second."""

MAX_CAN_ID: Final = 0x7FF
MAX_EXTENDED_ID: Final = 0x1FFFFFFF


@dataclass(frozen=True, slots=True)
class Frame:
    """One CAN frame, or one run of bytes as a serial line gave them.

    Attributes
    ----------
    time_s : s since the start of the recording or log
    channel : where it was seen, as the source names it ("can0", "/dev/ttyUSB0", "1")
    direction : "rx" received, "tx" sent by this side
    data : the bytes; up to 8 (CAN), 64 (CAN FD), or any run of a serial line
    identifier : CAN identifier, None for bytes of a serial line
    extended : True for a 29-bit identifier
    fd : True for a CAN FD frame
    kind : "data", "remote" or "error"; an error frame's data is not a message
    """

    time_s: float
    channel: str
    direction: Direction
    data: bytes
    identifier: int | None = None
    extended: bool = False
    fd: bool = False
    kind: FrameKind = "data"


def is_simulated(frame: Frame) -> bool:
    """Return whether a frame is the mark of a simulated device.

    A mark that a serial line split over two frames is found by whoever keeps the
    bytes of the line; this looks at one frame alone.
    """
    if frame.identifier is None:
        return SIMULATED_LINE.rstrip() in frame.data
    return frame.identifier == SIMULATED_ID and frame.data == SIMULATED_DATA
