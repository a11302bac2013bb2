"""From the name of a channel to a driver that sends only what is permitted."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from battlife.drivers.can_bus import CanBus
from battlife.drivers.gate import Allowed, Gate
from battlife.drivers.serial_line import SerialLine
from battlife.drivers.target import flag, parse_channel, whole
from battlife.errors import InputError
from battlife.model import Driver, WireProtocol

USUAL_BAUD: Final = 9600
USUAL_BITRATE: Final = 500_000


def open_driver(
    channel: str,
    protocols: Sequence[WireProtocol],
    *,
    options: Mapping[str, str] | None = None,
    allowed: Allowed | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Driver:
    """Return the open driver of a channel; nothing not permitted leaves it.

    Parameters
    ----------
    channel : see :func:`battlife.drivers.target.parse_channel`
    protocols : of the devices on it; () listens only
    options : of the channel, see :data:`battlife.drivers.target.LINE_KEYS`
    allowed : by the operator; read requests alone by default
    clock : s, stamps the frames

    Raises
    ------
    InputError
        The channel or an option is wrong, or a protocol is not for such a channel.
    HardwareError
        It cannot be opened.
    """
    driver = driver_of(
        channel, protocols, options=options, allowed=allowed, clock=clock
    )
    driver.open()
    return driver


def driver_of(
    channel: str,
    protocols: Sequence[WireProtocol],
    *,
    options: Mapping[str, str] | None = None,
    allowed: Allowed | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Driver:
    """Return the driver of a channel as :func:`open_driver`, not open yet."""
    given = options or {}
    parsed = parse_channel(channel)
    for device in protocols:
        if device.medium != parsed.medium:
            kind = "serial line" if device.medium == "serial" else "CAN bus"
            raise InputError(
                f"{device.name} is spoken on a {kind}, and {channel} is none",
                "name a port such as /dev/ttyUSB0"
                if device.medium == "serial"
                else "name a bus as interface:channel, such as slcan:/dev/ttyACM0",
            )
    rates = [rate for device in protocols for rate in device.bauds[:1]]
    inner: Driver
    if parsed.medium == "serial":
        baud = whole(given, "baud", rates[0] if rates else USUAL_BAUD)
        inner = SerialLine(channel, baud=baud, clock=clock)
    else:
        inner = CanBus(
            channel,
            bitrate=whole(given, "bitrate", rates[0] if rates else USUAL_BITRATE),
            fd=flag(given, "fd"),
            listen_only=flag(given, "listen_only"),
            options=given,
            clock=clock,
        )
    return Gate(inner, protocols, allowed or Allowed())
