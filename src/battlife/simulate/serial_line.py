"""A serial line with one or more devices that answer requests."""

from collections.abc import Mapping
from typing import Final, Protocol

from battlife.model.frame import SIMULATED_LINE
from battlife.simulate.faults import Disturbance
from battlife.simulate.pack_model import PackModel

_MARK_PERIOD_S: Final = 10.0
_MAX_BUFFERED: Final = 4096


class SerialDevice(Protocol):
    """One family of devices: cuts requests out of a line and answers them.

    An instance serves every address of its line.
    """

    def request(self, buffer: bytearray) -> bytes | None:
        """Remove and return the first whole request; junk before it goes as well.

        None leaves the buffer to grow.
        """
        ...

    def is_write(self, request: bytes) -> bool:
        """Say whether the request would change a real device."""
        ...

    def answer(self, request: bytes, packs: Mapping[int, PackModel]) -> bytes:
        """Return the answer, b"" where a real device keeps silent."""
        ...


class SerialLine:
    """The far end of a serial cable, as :class:`battlife.simulate.serving.Station`.

    Parameters
    ----------
    device : the family
    packs : by address
    disturbance : what the line does to answers
    """

    def __init__(
        self,
        device: SerialDevice,
        packs: Mapping[int, PackModel],
        disturbance: Disturbance,
    ) -> None:
        self.received = bytearray()
        self.writes: list[bytes] = []
        self.backlog = 0
        self._device = device
        self._packs = packs
        self._disturbance = disturbance
        self._buffer = bytearray()
        self._marked_s: float | None = None

    def connected(self) -> None:
        """Note that a client came: it has not seen the mark yet."""
        self._marked_s = None
        self._buffer.clear()

    def take(self, data: bytes, now_s: float) -> bytes:
        """Take what arrived; return the answers, the mark first where it is due."""
        self.received += data
        self._buffer += data
        del self._buffer[: max(0, len(self._buffer) - _MAX_BUFFERED)]
        sent = b""
        while (request := self._device.request(self._buffer)) is not None:
            if self._device.is_write(request):
                self.writes.append(request)
            for pack in self._packs.values():
                pack.catch_up()
            answer = self._device.answer(request, self._packs)
            if not answer:
                continue
            answer = self._disturbance.disturbed(answer, now_s)
            if answer and self._mark_is_due(now_s):
                self._marked_s = now_s
                sent += SIMULATED_LINE
            sent += answer
        return sent

    def due(self, now_s: float) -> bytes:
        """Return nothing: these devices speak when asked."""
        return b""

    def _mark_is_due(self, now_s: float) -> bool:
        return self._marked_s is None or now_s - self._marked_s >= _MARK_PERIOD_S
