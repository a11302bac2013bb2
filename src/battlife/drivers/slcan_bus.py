"""python-can's SLCAN bus, but nothing is lost in silence.

The class it extends raises a bare ValueError for bad hex, takes a DLC of 9 for 12
bytes, loses the frame behind a byte that is not ASCII, and says nothing of refused
commands or of the adapter's own overflows. Here each line stands alone, what cannot be
a frame is counted, and no more frames are under way to the adapter than it can hold.

This module loads python-can: it is imported when a bus is opened.
"""

import os
import re
import sys
import time
from collections import deque
from typing import Any, Final

import can
from can.interfaces.slcan import slcanBus
from can.util import CAN_FD_DLC

from battlife.drivers.serial_line import received

STATUS_S: Final = 1.0
"""How often the adapter is asked whether it lost something."""
SETUP_S: Final = 1.0
"""Within this time of opening a refusal may be the answer to closing an adapter that
was closed."""
WINDOW: Final = 8
"""Frames sent and not yet answered: 216 bytes at most, which is less than the smallest
receive buffer known (255 bytes, firmware_bridges on an ATmega328P)."""
ANSWER_S: Final = 1.0
"""An adapter that takes no frame for so long is stuck, or never answers at all."""
LAST_S: Final = 0.2
"""At closing: for the answers to what was sent, and to the last question for losses."""
CLOSE_S: Final = 0.8
"""For the answer to closing: our firmware waits 0.5 s for a bus that is stuck."""
LONGEST_LINE: Final = 1 + 8 + 1 + 128 + 8
"""An extended CAN FD frame with a time stamp."""
LOST: Final = 0x01 | 0x08
"""LAWICEL CAN232 manual, command F: receive FIFO full, data overrun."""

_LINE: Final = re.compile(rb"([\r\a])")
_HEX: Final = re.compile(rb"[0-9A-Fa-f]*")
_IDENTIFIER_DIGITS: Final = {
    b"t": 3, b"r": 3, b"d": 3, b"b": 3, b"T": 8, b"R": 8, b"D": 8, b"B": 8, b"x": 8,
}  # fmt: skip


class CountingSlcan(slcanBus):
    """An SLCAN adapter that counts what went wrong.

    Attributes
    ----------
    n_malformed : lines that are no frame and no answer
    n_refused : commands the adapter refused, a frame it could not send among them
    n_overflows : times it said that it lost frames
    n_unanswered : frames sent that it neither took nor refused until the end, if it
        is one that answers
    """

    def __init__(self, channel: str, **options: Any) -> None:
        self.n_malformed = 0
        self.n_refused = 0
        self.n_overflows = 0
        self.n_unanswered = 0
        self._n_waiting = 0  # frames sent and not answered yet
        self._answers: bool | None = None  # whether it answers frames; None: unknown
        self._n_set_up = 0  # commands that open it; how many wait for an answer
        self._to_set_up = 0
        self._closing = False
        self._messages: deque[can.Message] = deque()
        self._broken = False
        self._opened_s = time.monotonic()
        self._status_s: float | None = None
        self._asked_status = False
        self._knows_status: bool | None = None
        self._lock = _locked(channel)
        try:
            super().__init__(channel, **options)
        except BaseException:
            self._unlock()
            raise
        self._n_set_up = self._to_set_up
        self._opened_s = time.monotonic()
        self._status_s = self._opened_s + STATUS_S

    def _write(self, string: str) -> None:
        super()._write(string)
        if self._status_s is None and not self._closing:
            self._to_set_up += 1

    def _unlock(self) -> None:
        number, self._lock = self._lock, -1
        if number >= 0:
            os.close(number)

    @property
    def n_lost(self) -> int:
        """Frames lost at least: malformed lines, refused frames, overflows."""
        return self.n_malformed + self.n_refused + self.n_overflows + self.n_unanswered

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Send a frame once the adapter has room for it.

        Raises
        ------
        can.CanTimeoutError
            It took none of the frames before for `timeout` (None: 1 s).
        """
        self._make_room(ANSWER_S if timeout is None else timeout)
        super().send(msg, timeout)
        self._n_waiting += 1

    def shutdown(self) -> None:
        """Ask a last time for losses, then close the channel and the port."""
        try:
            self._settle()
        except (can.CanError, OSError, ValueError, TypeError):
            pass  # it went away: what is closed below is gone already
        self.n_unanswered = self._n_waiting if self._answers else 0
        try:
            super().shutdown()
        finally:
            self._unlock()

    def set_bitrate(self, bitrate: int, data_bitrate: int | None = None) -> None:
        """Set the bit rates of a closed channel; the base class opens it next."""
        if bitrate not in self._BITRATES:
            known = ", ".join(str(rate) for rate in self._BITRATES)
            raise ValueError(f"bit rate {bitrate} is none of {known}")
        if data_bitrate and data_bitrate not in self._DATA_BITRATES:
            raise ValueError(f"data bit rate {data_bitrate} is neither 2 nor 5 Mbit/s")
        self.close()
        self._write(self._BITRATES[bitrate])
        if data_bitrate:
            self._write(self._DATA_BITRATES[data_bitrate])

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        end = time.monotonic() + (3600.0 if timeout is None else timeout)
        while not self._messages:
            self._ask_status()
            left = end - time.monotonic()
            self._read_lines(max(0.0, min(left, STATUS_S)))
            # Lines without a frame may come for ever: they extend no waiting.
            if not self._messages and time.monotonic() >= end:
                return None, False
        return self._messages.popleft(), False

    def _read_lines(self, timeout_s: float) -> None:
        with can.exceptions.error_check("the adapter went away"):
            data = received(self.serialPortOrig, timeout_s)
        self._take(data)

    def _make_room(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while self._n_waiting >= WINDOW and self._answers is not False:
            left_s = end - time.monotonic()
            if left_s > 0.0:
                self._read_lines(left_s)
            elif self._answers:
                raise can.CanTimeoutError(
                    f"the adapter took no frame for {timeout_s:g} s"
                )
            else:
                self._answers = False  # some never answer a frame

    def _settle(self) -> None:
        """Wait for the answers that are still to come, and ask for losses."""
        self._closing = True
        if self._knows_status:
            self._asked_status = True
            self._write("F")
        end = time.monotonic() + LAST_S
        while (self._n_waiting and self._answers) or self._asked_status:
            if (left_s := end - time.monotonic()) <= 0.0:
                break
            self._read_lines(left_s)
        if self._answers:
            # Frames it took may still be in its queue: it says whether they all left.
            self._write("C")
            end = time.monotonic() + CLOSE_S
            while self._closing and (left_s := end - time.monotonic()) > 0.0:
                self._read_lines(left_s)

    def _ask_status(self) -> None:
        now = time.monotonic()
        if self._status_s is None or now < self._status_s:
            return
        if self._knows_status is False:
            return
        self._status_s = now + STATUS_S
        self._asked_status = True
        self._write("F")

    def _take(self, data: bytes) -> None:
        *parts, rest = _LINE.split(bytes(self._buffer) + data)
        self._buffer.clear()
        for line, ending in zip(parts[::2], parts[1::2], strict=True):
            if self._broken:  # the head of this one was thrown away
                self._broken = False
                self.n_malformed += 1
            elif ending == b"\a":
                self._refusal()
            else:
                self._line(line)
        if len(rest) > LONGEST_LINE:
            self._broken = True
            rest = b""
        self._buffer.extend(rest)

    def _refusal(self) -> None:
        if self._asked_status and self._knows_status is None:
            self._knows_status = False
            self._asked_status = False
        elif self._to_set_up:
            # The first answer is that to closing.
            if self._to_set_up < self._n_set_up or self._is_late():
                self.n_refused += 1
            self._to_set_up -= 1
        else:
            self.n_refused += 1
            self._answered()

    def _is_late(self) -> bool:
        return time.monotonic() - self._opened_s > SETUP_S

    def _answered(self) -> None:
        if self._n_waiting:
            self._n_waiting -= 1
            self._answers = True
        else:
            self._closing = False

    def _line(self, line: bytes) -> None:
        line = line.strip(b"\n \0")
        if not line and self._to_set_up:
            self._to_set_up -= 1
            return
        if not line or line in (b"z", b"Z"):
            self._to_set_up = 0
            self._answered()
            return
        if line[:1] in _IDENTIFIER_DIGITS:
            message = parsed(line)
            if message is None:
                self.n_malformed += 1
            else:
                self._messages.append(message)
        elif line[:1] == b"F" and _HEX.fullmatch(line[1:]) and len(line) == 3:
            self._asked_status, self._knows_status = False, True
            if int(line[1:], 16) & LOST:
                self.n_overflows += 1
        elif line[:1] not in (b"V", b"v", b"N"):
            self.n_malformed += 1


def _locked(channel: str) -> int:
    """Take a local port for this process alone, before a byte is sent to it.

    Returns
    -------
    What is to be closed at the end; -1 where the system does that itself.
    """
    if "://" in channel or sys.platform == "win32":
        return -1
    import fcntl

    path = channel.partition("@")[0]  # python-can takes a rate behind it
    number = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        # The lock that pyserial takes for `exclusive`, which python-can does not ask.
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        raise
    return number


def parsed(line: bytes) -> can.Message | None:
    """Return the frame of one SLCAN line without its end, None if it is none.

    A time stamp of four (milliseconds) or eight (microseconds) digits may follow.
    """
    kind = line[:1]
    digits = _IDENTIFIER_DIGITS.get(kind)
    if digits is None or not _HEX.fullmatch(line[1:]) or len(line) < digits + 2:
        return None
    identifier = int(line[1 : 1 + digits], 16)
    code = int(line[1 + digits : 2 + digits], 16)
    fd, remote = kind in b"dDbB", kind in b"rR"
    if identifier > (0x7FF if digits == 3 else 0x1FFFFFFF) or (not fd and code > 8):
        return None
    length = CAN_FD_DLC[code]
    start = 2 + digits
    end = start if remote else start + 2 * length
    if len(line) - end not in (0, 4, 8):
        return None
    return can.Message(
        arbitration_id=identifier,
        is_extended_id=digits == 8,
        is_remote_frame=remote,
        is_fd=fd,
        bitrate_switch=kind in b"bB",
        dlc=length,
        data=None if remote else bytes.fromhex(line[start:end].decode("ascii")),
        timestamp=time.time(),
    )
