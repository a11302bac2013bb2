"""CAN and CAN FD buses through python-can, whatever the interface."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from battlife.drivers.serial_line import refused
from battlife.drivers.target import parse_channel, whole
from battlife.errors import HardwareError, InputError
from battlife.model import Frame

SEND_TIMEOUT_S: Final = 1.0
_SETTLE_S: Final = 2.0
"""Boards that reset when their port is opened need this; python-can's own default."""
_ERR_CONTROLLER: Final = 0x4
_ERR_RX_OVERFLOW: Final = 0x1
"""linux/can/error.h: CAN_ERR_CRTL, and CAN_ERR_CRTL_RX_OVERFLOW in data[1]."""


class CanBus:
    """A CAN bus.

    Parameters
    ----------
    channel : "interface:channel", as python-can names them
    bitrate : bit/s of the arbitration phase
    clock : s, stamps what is sent and received
    fd : open as CAN FD
    listen_only : never acknowledge a frame either (slcan). Not the default: a
        device alone on a bench repeats its frames for ever if nobody acknowledges
    options : tty_baud, data_bitrate, host, port, serial, app_name; as texts
    """

    def __init__(
        self,
        channel: str,
        *,
        bitrate: int,
        clock: Callable[[], float],
        fd: bool = False,
        listen_only: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._channel = parse_channel(channel)
        self._bitrate = bitrate
        self._clock = clock
        self._fd = fd
        self._listen_only = listen_only
        self._options = dict(options or {})
        self._bus: Any = None
        self._overflows = 0

    @property
    def channel(self) -> str:
        """Name of the channel, as in its frames."""
        return self._channel.name

    @property
    def n_lost(self) -> int:
        """Frames the adapter or the system reported lost; at least so many were.

        Known in full when it is closed; counted anew from the next opening.
        """
        return self._overflows + int(getattr(self._bus, "n_lost", 0))

    def open(self) -> None:
        """Open the bus.

        Raises
        ------
        HardwareError
            There is no such bus, its driver is not installed, or it is busy.
        InputError
            python-can has no such interface.
        """
        if self._bus is not None:
            return
        import can

        self._overflows = 0
        known = can.VALID_INTERFACES
        if self._channel.interface not in known:
            raise InputError(
                f"python-can has no interface {self._channel.interface!r}",
                f"known: {', '.join(sorted(known))}",
            )
        try:
            self._bus = self._opened()
        except (can.CanError, ImportError, OSError, ValueError, TypeError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
            if self._channel.interface == "slcan":
                raise refused(self._channel.address, cause) from error
            raise HardwareError(
                f"{self.channel} cannot be opened: {error}", self._advice()
            ) from error

    def send(self, frame: Frame) -> Frame:
        """Send a frame and return it with the time it left."""
        import can

        assert frame.identifier is not None
        message = can.Message(
            arbitration_id=frame.identifier,
            is_extended_id=frame.extended,
            is_fd=frame.fd,
            data=frame.data,
        )
        try:
            self._open_bus().send(message, timeout=SEND_TIMEOUT_S)
        except (can.CanError, OSError, ValueError) as error:
            raise self._gone("send", error) from error
        return Frame(
            self._clock(),
            self.channel,
            "tx",
            frame.data,
            frame.identifier,
            frame.extended,
            frame.fd,
        )

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame, None if nothing came within `timeout_s`."""
        import can

        try:
            message = self._open_bus().recv(max(0.0, timeout_s))
        except (can.CanError, OSError, ValueError, TypeError) as error:
            raise self._gone("receive", error) from error
        if message is None:
            return None
        data = bytes(message.data or b"")
        if (
            message.is_error_frame
            and message.arbitration_id & _ERR_CONTROLLER
            and len(data) > 1
            and data[1] & _ERR_RX_OVERFLOW
        ):
            self._overflows += 1
        return Frame(
            self._clock(),
            self.channel,
            "rx" if message.is_rx else "tx",
            data,
            message.arbitration_id,
            message.is_extended_id,
            message.is_fd,
            "error"
            if message.is_error_frame
            else "remote"
            if message.is_remote_frame
            else "data",
        )

    def close(self) -> None:
        """Close the bus."""
        import can

        bus, self._bus = self._bus, None
        if bus is None:
            return
        try:
            bus.shutdown()
        except (can.CanError, OSError, ValueError, TypeError):
            pass  # it went away already, which is what was wanted
        self._overflows += int(getattr(bus, "n_lost", 0))

    def _opened(self) -> Any:
        import can

        options = self._options
        more: dict[str, Any] = {}
        if "data_bitrate" in options:
            more["data_bitrate"] = whole(options, "data_bitrate", 0)
        if self._channel.interface == "slcan":
            from battlife.drivers.slcan_bus import CountingSlcan

            address = self._channel.address
            virtual = "://" in address or address.startswith("/dev/pts/")
            return CountingSlcan(
                address,
                tty_baudrate=whole(options, "tty_baud", 115_200),
                bitrate=self._bitrate,
                sleep_after_open=0 if virtual else _SETTLE_S,
                listen_only=self._listen_only,
                timeout=0,
                **more,
            )
        if self._fd:
            more["fd"] = True
        for key in ("host", "serial", "app_name"):
            if key in options:
                more[key] = options[key]
        if "port" in options:
            more["port"] = whole(options, "port", 0)
        return can.Bus(
            interface=self._channel.interface,
            channel=self._channel.address,
            bitrate=self._bitrate,
            ignore_config=True,
            **more,
        )

    def _open_bus(self) -> Any:
        if self._bus is None:
            raise HardwareError(f"{self.channel} is not open", "open it first")
        return self._bus

    def _gone(self, what: str, error: Exception) -> HardwareError:
        return HardwareError(
            f"{self.channel} cannot {what}: {error}",
            "check the plug, the termination (120 ohm at both ends) and the bit rate",
        )

    def _advice(self) -> str:
        if self._channel.interface == "socketcan":
            name = self._channel.address
            return (
                f"bring it up: sudo ip link set {name} up type can "
                f"bitrate {self._bitrate}"
            )
        return "is the adapter plugged in, and its maker's driver installed?"
