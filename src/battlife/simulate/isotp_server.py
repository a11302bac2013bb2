"""The answering side of ISO-TP, without threads or a clock of its own.

Source: ISO 15765-2: single, first, consecutive and flow-control frames with normal
addressing, block size, minimum separation, N_Bs and N_Cr of one second.
"""

from collections.abc import Callable
from typing import Final

from battlife.simulate.can_bus import BusFrame

_TIMEOUT_S: Final = 1.0
_LONGEST: Final = 4095
_CONTINUE, _WAIT, _OVERFLOW = 0, 1, 2

Answer = Callable[[bytes, float], bytes | None]


class IsoTpServer:
    """Takes requests on one identifier and answers on another.

    Parameters
    ----------
    request_id, response_id : CAN identifiers
    answer : gets a whole request and the time in s; None keeps silent
    extended : 29-bit identifiers
    padding : byte that fills frames up to eight, None leaves them short
    block_size, separation_ms : what its own flow control asks of the host
    """

    def __init__(
        self,
        request_id: int,
        response_id: int,
        answer: Answer,
        *,
        extended: bool = False,
        padding: int | None = 0x00,
        block_size: int = 0,
        separation_ms: int = 0,
    ) -> None:
        self.request_id = request_id
        self.response_id = response_id
        self._answer = answer
        self._extended = extended
        self._padding = padding
        self._flow = bytes([0x30, block_size, separation_ms])
        self._block_size = block_size
        self._request = bytearray()
        self._missing = 0
        self._expected = 0  # sequence number of the next consecutive frame
        self._in_block = 0
        self._heard_s = 0.0
        self._out = b""
        self._number = 0
        self._left_in_block: int | None = 0
        self._separation_s = 0.0
        self._next_s = 0.0
        self._waits_until_s: float | None = None

    def is_for(self, frame: BusFrame) -> bool:
        """Say whether a frame of the host is meant for this server."""
        return (
            frame.identifier == self.request_id
            and frame.extended == self._extended
            and not frame.remote
        )

    def take(self, frame: BusFrame, now_s: float) -> list[BusFrame]:
        """Take a frame for which :meth:`is_for` holds; return what is sent at once."""
        data = frame.data
        if not data:
            return []
        kind, low = data[0] >> 4, data[0] & 0x0F
        if kind == 0:
            self._missing = 0
            if not 1 <= low <= min(7, len(data) - 1):
                return []
            return self._requested(bytes(data[1 : 1 + low]), now_s)
        if kind == 1 and len(data) == 8:
            return self._first(low << 8 | data[1], data[2:], now_s)
        if kind == 2:
            return self._consecutive(low, data[1:], now_s)
        if kind == 3 and len(data) >= 3:
            return self._flow_control(low, data[1], data[2], now_s)
        return []

    def due(self, now_s: float) -> list[BusFrame]:
        """Return the consecutive frames whose time has come."""
        if self._waits_until_s is not None:
            if now_s > self._waits_until_s:
                self._stop()
            return []
        frames = []
        while self._out and now_s >= self._next_s:
            frames.append(self._frame(bytes([0x20 | self._number]) + self._out[:7]))
            self._out = self._out[7:]
            self._number = (self._number + 1) & 0x0F
            self._next_s = now_s + self._separation_s
            if self._left_in_block is not None:
                self._left_in_block -= 1
                if not self._left_in_block and self._out:
                    self._waits_until_s = now_s + _TIMEOUT_S
                    break
        return frames

    def _first(self, length: int, data: bytes, now_s: float) -> list[BusFrame]:
        self._missing = 0
        if length == 0:  # 32-bit length: longer than any request here
            return [self._frame(bytes([0x30 | _OVERFLOW, 0, 0]))]
        if length < 8:
            return []
        self._request = bytearray(data)
        self._missing = length - len(data)
        self._expected = 1
        self._in_block = 0
        self._heard_s = now_s
        return [self._frame(self._flow)]

    def _consecutive(self, number: int, data: bytes, now_s: float) -> list[BusFrame]:
        if not self._missing:
            return []
        if number != self._expected or now_s - self._heard_s > _TIMEOUT_S:
            self._missing = 0
            return []
        part = data[: self._missing]
        if len(part) < min(7, self._missing):
            self._missing = 0
            return []
        self._request += part
        self._missing -= len(part)
        self._expected = (number + 1) & 0x0F
        self._heard_s = now_s
        if not self._missing:
            return self._requested(bytes(self._request), now_s)
        self._in_block += 1
        if self._block_size and self._in_block == self._block_size:
            self._in_block = 0
            return [self._frame(self._flow)]
        return []

    def _requested(self, request: bytes, now_s: float) -> list[BusFrame]:
        self._stop()
        answer = self._answer(request, now_s)
        if not answer:
            return []
        assert len(answer) <= _LONGEST
        if len(answer) <= 7:
            return [self._frame(bytes([len(answer)]) + answer)]
        self._out = answer[6:]
        self._number = 1
        self._waits_until_s = now_s + _TIMEOUT_S
        return [self._frame((0x1000 | len(answer)).to_bytes(2, "big") + answer[:6])]

    def _flow_control(
        self, state: int, block_size: int, separation: int, now_s: float
    ) -> list[BusFrame]:
        if self._waits_until_s is None:
            return []
        if state == _WAIT:
            self._waits_until_s = now_s + _TIMEOUT_S
            return []
        if state != _CONTINUE:
            self._stop()
            return []
        self._waits_until_s = None
        self._left_in_block = block_size or None
        self._separation_s = _seconds(separation)
        self._next_s = now_s
        return self.due(now_s)

    def _stop(self) -> None:
        self._out = b""
        self._waits_until_s = None

    def _frame(self, data: bytes) -> BusFrame:
        if self._padding is not None:
            data = data.ljust(8, bytes([self._padding]))
        return BusFrame(self.response_id, data, extended=self._extended)


def _seconds(separation: int) -> float:
    if separation <= 0x7F:
        return separation / 1000
    if 0xF1 <= separation <= 0xF9:
        return (separation - 0xF0) / 10_000
    return 0.127  # reserved values mean the longest
