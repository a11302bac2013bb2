"""Nothing leaves but what a protocol permits and the operator allowed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from battlife.errors import InputError
from battlife.model import Allow, Driver, Frame, Request, WireProtocol

PADDING: Final = 0x00
"""Fills ISO-TP frames to 8 bytes; some control units ignore shorter ones."""
MAX_SINGLE: Final = 7
"""Payload bytes of an ISO-TP single frame (ISO 15765-2)."""
FLOW_CONTROL: Final = range(0x30, 0x33)
"""First byte of a flow-control frame: go on, wait, overflow."""


@dataclass(frozen=True)
class Allowed:
    """What the operator allowed.

    Attributes
    ----------
    wake : frames that keep a battery awake
    writes : names of requests that change the device
    probing : the device is not known yet, so only Allow.READ leaves
    """

    wake: bool = False
    writes: frozenset[str] = frozenset()
    probing: bool = False

    def lets(self, request: Request) -> bool:
        """Say whether a request may leave."""
        if request.allow is Allow.READ:
            return True
        if self.probing:
            return False
        if request.allow is Allow.WAKE:
            return self.wake
        if request.allow is Allow.WRITE:
            return request.name in self.writes
        return request.allow is Allow.UNSAFE_PROBE


class Gate:
    """A driver that sends only permitted frames; otherwise the one inside it.

    Parameters
    ----------
    driver : does the work
    protocols : of the devices on its channel
    allowed : by the operator
    """

    def __init__(
        self, driver: Driver, protocols: Sequence[WireProtocol], allowed: Allowed
    ) -> None:
        self._driver = driver
        self._allowed = allowed
        self._requests = tuple(r for p in protocols for r in p.permitted)

    @property
    def channel(self) -> str:
        """Name of the channel."""
        return self._driver.channel

    @property
    def n_lost(self) -> int:
        """Frames lost since it was opened."""
        return self._driver.n_lost

    def open(self) -> None:
        """Open the channel."""
        self._driver.open()

    def send(self, frame: Frame) -> Frame:
        """Send a permitted frame.

        Raises
        ------
        InputError
            The operator did not allow it. Nothing was sent.
        ValueError
            No protocol lists it: a mistake of the caller. Nothing was sent.
        """
        refused = None
        for request in self._requests:
            if belongs(frame, request):
                if self._allowed.lets(request):
                    return self._driver.send(frame)
                refused = request
        if refused is None:
            raise ValueError(f"not permitted on {self.channel}: {_shown(frame)}")
        raise InputError(
            f"{refused.name} is not sent to {self.channel} unless it is allowed",
            _hint(refused),
        )

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame, None if nothing came within `timeout_s`."""
        return self._driver.read(timeout_s)

    def close(self) -> None:
        """Close the channel."""
        self._driver.close()


def belongs(frame: Frame, request: Request) -> bool:
    """Say whether a frame is one that sending a request makes, to the byte."""
    if frame.kind != "data" or frame.identifier != request.identifier:
        return False
    if request.identifier is None:
        return frame.data == request.data
    if (frame.extended, frame.fd) != (request.extended, request.fd):
        return False
    if request.answer is None:
        return frame.data == request.data
    if _is_flow_control(frame.data):
        return True
    return any(frame.data == segment for segment in segments(request))


def segments(request: Request) -> Iterator[bytes]:
    """Return the data fields of the ISO-TP frames that carry a request's payload.

    References
    ----------
    ISO 15765-2:2016, 9.6: single, first and consecutive frames.
    """
    payload = request.data
    if len(payload) <= MAX_SINGLE:
        yield _padded(bytes([len(payload)]) + payload)
        return
    yield bytes([0x10 | len(payload) >> 8, len(payload) & 0xFF]) + payload[:6]
    for number, start in enumerate(range(6, len(payload), 7), 1):
        part = payload[start : start + 7]
        yield _padded(bytes([0x20 | number & 0xF]) + part)


def _is_flow_control(data: bytes) -> bool:
    return (
        len(data) == 8 and data[0] in FLOW_CONTROL and data[3:] == bytes([PADDING]) * 5
    )


def _padded(data: bytes) -> bytes:
    return data + bytes([PADDING]) * (8 - len(data))


def _shown(frame: Frame) -> str:
    head = "" if frame.identifier is None else f"{frame.identifier:X}#"
    return f"{head}{frame.data.hex()}"


def _hint(request: Request) -> str:
    if request.allow is Allow.WAKE:
        return "it keeps the battery awake: say --wake"
    if request.allow is Allow.WRITE:
        return f"it changes the device: say --allow-write {request.name}"
    return "another device could take it for a write: name the device"
