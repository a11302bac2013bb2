"""Puts a simulated device behind a pty or a TCP port, in one thread."""

import contextlib
import os
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from battlife.errors import HardwareError
from battlife.simulate.faults import (
    UNPLUGGED_AFTER_S,
    UNPLUGGED_EVERY_S,
    UNPLUGGED_FOR_S,
)

_POLL_S: Final = 0.005
_MAX_PENDING: Final = 1 << 16  # what a client does not fetch is lost, as on a UART


class Station(Protocol):
    """What sits at the far end of a byte stream."""

    received: bytearray
    """Every byte that arrived, in order."""

    writes: list[bytes]
    """The requests among them that would have changed a real device."""

    backlog: int
    """Bytes sent that the client has not fetched yet; the port keeps it."""

    def connected(self) -> None:
        """Note that a client came: it has not seen the mark yet."""
        ...

    def take(self, data: bytes, now_s: float) -> bytes:
        """Take what arrived `now_s` after the start; return what to send."""
        ...

    def due(self, now_s: float) -> bytes:
        """Return what is sent unasked by now."""
        ...


class Port(Protocol):
    """A byte stream that a client can open by the name of its channel."""

    @property
    def channel(self) -> str:
        """What pyserial opens."""
        ...

    def open(self) -> None:
        """Make the channel exist."""
        ...

    def exchange(self, station: Station, now_s: float, timeout_s: float) -> None:
        """Move bytes for up to `timeout_s`."""
        ...

    def close(self) -> None:
        """Take the channel away."""
        ...


class PtyPort:
    """A pseudo-terminal; with `lasting` its name survives :meth:`close`."""

    def __init__(self, *, lasting: bool = False) -> None:
        self._folder = (
            tempfile.TemporaryDirectory(prefix="battlife-") if lasting else None
        )
        self._fds: tuple[int, int] | None = None
        self._pending = bytearray()
        self.channel = ""

    def open(self) -> None:
        """Make the pseudo-terminal.

        Raises
        ------
        HardwareError
            The system has none.
        """
        if not hasattr(os, "openpty"):
            raise HardwareError(
                "this system has no pseudo-terminals", "serve over TCP: --tcp 0"
            )
        import tty

        # The slave stays open here: without it a client that closes and opens again
        # would hang up the master.
        master, slave = os.openpty()
        self._fds = master, slave
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.channel = os.ttyname(slave)
        if self._folder is not None:
            link = Path(self._folder.name, "tty")
            link.unlink(missing_ok=True)
            link.symlink_to(self.channel)
            self.channel = str(link)

    def exchange(self, station: Station, now_s: float, timeout_s: float) -> None:
        """Move bytes for up to `timeout_s`."""
        assert self._fds is not None
        master = self._fds[0]
        station.backlog = len(self._pending)
        _queue(self._pending, station.due(now_s))
        readable, writable, _ = select.select(
            [master], [master] if self._pending else [], [], timeout_s
        )
        if readable:
            with contextlib.suppress(BlockingIOError, OSError):
                _queue(self._pending, station.take(os.read(master, 4096), now_s))
        if writable or self._pending:
            with contextlib.suppress(BlockingIOError):
                del self._pending[: os.write(master, self._pending)]

    def close(self) -> None:
        """Hang up; the clients see the device gone."""
        for fd in self._fds or ():
            os.close(fd)
        self._fds = None
        self._pending.clear()
        if self._folder is not None:
            Path(self._folder.name, "tty").unlink(missing_ok=True)

    def discard(self) -> None:
        """Close and forget the name."""
        self.close()
        if self._folder is not None:
            self._folder.cleanup()


class TcpPort:
    """A TCP port of this machine alone; one client at a time.

    Parameters
    ----------
    port : 0 takes a free one and keeps it
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener: socket.socket | None = None
        self._client: socket.socket | None = None
        self._pending = bytearray()

    @property
    def channel(self) -> str:
        """URL as pyserial takes it."""
        return f"socket://127.0.0.1:{self._port}"

    def open(self) -> None:
        """Listen.

        Raises
        ------
        HardwareError
            The port is taken.
        """
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self._port))
        except (OSError, OverflowError) as error:
            listener.close()
            raise HardwareError(
                f"TCP port {self._port} cannot be served: {error}",
                "another program has it; name another, or 0 for a free one",
            ) from error
        listener.listen(1)
        listener.setblocking(False)
        self._listener = listener
        self._port = listener.getsockname()[1]

    def exchange(self, station: Station, now_s: float, timeout_s: float) -> None:
        """Move bytes for up to `timeout_s`, accept a client where there is none."""
        assert self._listener is not None
        station.backlog = len(self._pending)
        unasked = station.due(now_s)
        if self._client is None:
            if select.select([self._listener], [], [], timeout_s)[0]:
                self._client = self._listener.accept()[0]
                self._client.setblocking(False)
                self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                station.connected()
            return
        _queue(self._pending, unasked)
        try:
            if select.select([self._client], [], [], timeout_s)[0]:
                data = self._client.recv(4096)
                if not data:
                    raise ConnectionResetError
                _queue(self._pending, station.take(data, now_s))
            if self._pending:
                del self._pending[: self._client.send(self._pending)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop_client()

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._pending.clear()

    def close(self) -> None:
        """Drop the client and stop listening."""
        self._drop_client()
        if self._listener is not None:
            self._listener.close()
        self._listener = None

    def discard(self) -> None:
        """Close; there is nothing else to forget."""
        self.close()


def pump(
    station: Station,
    port: PtyPort | TcpPort,
    *,
    unplug: bool,
    stop: threading.Event,
    ready: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Serve until `stop` is set; `ready` is told the channel once it answers.

    The time of the station begins with the first byte that a client sends.
    """
    start_s: float | None = None
    try:
        port.open()
        ready(port.channel)
        plugged = True
        while not stop.is_set():
            if start_s is None and station.received:
                start_s = clock()
            now_s = 0.0 if start_s is None else clock() - start_s
            in_turn_s = now_s % UNPLUGGED_EVERY_S - UNPLUGGED_AFTER_S
            away = unplug and 0 <= in_turn_s < UNPLUGGED_FOR_S
            if away and plugged:
                port.close()
            elif not away and not plugged:
                port.open()
                station.connected()
            plugged = not away
            if away:
                stop.wait(_POLL_S)
            else:
                port.exchange(station, now_s, _POLL_S)
    finally:
        port.discard()


def _queue(pending: bytearray, data: bytes) -> None:
    pending += data[: max(0, _MAX_PENDING - len(pending))]
