"""Serial lines through pyserial: ports, ptys, socket:// and rfc2217://."""

import errno
import os
import select
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from battlife.errors import HardwareError
from battlife.model import Frame

WRITE_TIMEOUT_S: Final = 2.0
POLL_S: Final = 0.002
"""Between looks at a port that the system cannot wait for (Windows, rfc2217)."""
MOST_BYTES: Final = 4096
"""In one frame."""
_TIOCGICOUNT: Final = 0x545D
_ICOUNT: Final = struct.Struct("20i")
"""linux/serial.h, serial_icounter_struct: [6] frame, [7] overrun, [10] buffer."""


class SerialLine:
    """A serial line; each frame is a run of bytes as the system gave it.

    Parameters
    ----------
    url : port or URL, as pyserial takes it
    baud : bit/s
    clock : s, stamps what is sent and received
    """

    def __init__(self, url: str, *, baud: int, clock: Callable[[], float]) -> None:
        self._url = url
        self._baud = baud
        self._clock = clock
        self._port: Any = None
        self._counted = (0, 0)
        self._lost = 0
        self._n_framing_errors = 0

    @property
    def channel(self) -> str:
        """Name of the channel, as in its frames."""
        return self._url

    @property
    def n_lost(self) -> int:
        """Overruns the system counted since the line was opened; 0 if it cannot."""
        self._count()
        return self._lost

    @property
    def n_framing_errors(self) -> int:
        """Framing errors the system counted since then: noise, or a wrong baud."""
        self._count()
        return self._n_framing_errors

    def open(self) -> None:
        """Open the line, for this process alone.

        Raises
        ------
        HardwareError
            It does not exist, is forbidden, or another program has it.
        """
        if self._port is not None:
            return
        self._port = opened(self._url, self._baud)
        self._lost = self._n_framing_errors = 0
        self._counted = _counts(self._port) or (0, 0)

    def send(self, frame: Frame) -> Frame:
        """Send the bytes of a frame and return it with the time they left."""
        port = self._opened()
        try:
            port.write(frame.data)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise _gone(self._url, error) from error
        return Frame(self._clock(), self._url, "tx", frame.data)

    def read(self, timeout_s: float) -> Frame | None:
        """Return the bytes that came, None if none came within `timeout_s`."""
        port = self._opened()
        try:
            data = received(port, timeout_s)
        except (OSError, ValueError, TypeError) as error:  # TypeError: closed meanwhile
            raise _gone(self._url, error) from error
        return Frame(self._clock(), self._url, "rx", data) if data else None

    def close(self) -> None:
        """Close the line."""
        port, self._port = self._port, None
        if port is not None:
            try:
                port.close()
            except OSError:
                return  # it went away already, which is what was wanted

    def _opened(self) -> Any:
        if self._port is None:
            raise HardwareError(f"{self._url} is not open", "open it first")
        return self._port

    def _count(self) -> None:
        if self._port is None:
            return
        found = _counts(self._port)
        if found is not None:
            self._lost = found[0] - self._counted[0]
            self._n_framing_errors = found[1] - self._counted[1]


def opened(url: str, baud: int) -> Any:
    """Open a port without blocking reads, exclusively where it is a local one.

    Raises
    ------
    HardwareError
        It does not exist, is forbidden, or another program has it.
    """
    import serial

    local = "://" not in url
    more = {"exclusive": True} if local else {}
    try:
        return serial.serial_for_url(
            url, baudrate=baud, timeout=0, write_timeout=WRITE_TIMEOUT_S, **more
        )
    except (OSError, ValueError) as error:
        raise refused(url, error) from error


def received(port: Any, timeout_s: float) -> bytes:
    """Wait for bytes of a port opened with timeout 0 and return all that are there."""
    try:
        number = port.fileno()
    except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
        number = None
    if number is not None and sys.platform != "win32":
        ready, _, _ = select.select([number], [], [], max(0.0, timeout_s))
        return bytes(port.read(MOST_BYTES)) if ready else b""
    end = time.monotonic() + timeout_s
    while True:
        data = bytes(port.read(MOST_BYTES))
        if data or time.monotonic() >= end:
            return data
        time.sleep(POLL_S)


def refused(url: str, error: Exception) -> HardwareError:
    """Return what to tell the operator about a port that cannot be opened."""
    number = getattr(error, "errno", None)
    text = str(error)
    if number == errno.ENOENT or "FileNotFoundError" in text:
        return HardwareError(f"{url} does not exist", _present())
    if number in (errno.EACCES, errno.EPERM):
        return HardwareError(
            f"{url} is forbidden to this user",
            "join the group that owns it (sudo usermod -aG dialout $USER), log in "
            "again; on Windows another program has it",
        )
    if number in (errno.EBUSY, errno.EAGAIN) or "lock" in text or "Access" in text:
        return HardwareError(
            f"{url} is busy: {holder(url) or 'another program has it'}",
            "close that program, e.g. a terminal, ModemManager or another battlife",
        )
    if "://" in url:
        return HardwareError(
            f"{url} cannot be reached: {text}",
            "is the server running, and are host and port right?",
        )
    return HardwareError(f"{url} cannot be opened: {text}", _present())


def holder(path: str, proc: Path = Path("/proc")) -> str:
    """Return which processes have a file open, "" if that cannot be told."""
    real, own = os.path.realpath(path), str(os.getpid())
    found = []
    for folder in proc.glob("[0-9]*"):
        try:
            # realpath gives a link that vanished meanwhile back as it is
            links = [os.path.realpath(link) for link in (folder / "fd").iterdir()]
            if real in links:
                name = (folder / "comm").read_text(errors="replace").strip()
                this = ", this one" if folder.name == own else ""
                found.append(f"{name} (process {folder.name}{this})")
        except OSError:
            continue  # another user's, or it ended
    return f"{', '.join(sorted(found))} has it" if found else ""


def _present() -> str:
    from serial.tools import list_ports

    ports = sorted(p.device for p in list_ports.comports())
    return f"present: {', '.join(ports)}" if ports else "no serial port is present"


def _gone(url: str, error: Exception) -> HardwareError:
    return HardwareError(
        f"{url} went away: {error}", "check the plug and the cable; it may be reopened"
    )


def _counts(port: Any) -> tuple[int, int] | None:
    """Return overruns and framing errors as Linux counts them, None if it does not."""
    if not sys.platform.startswith("linux"):
        return None
    import fcntl

    try:
        got = fcntl.ioctl(port.fileno(), _TIOCGICOUNT, bytes(_ICOUNT.size))
    except (AttributeError, OSError, TypeError):
        return None
    numbers = _ICOUNT.unpack(got)
    return numbers[7] + numbers[10], numbers[6]
