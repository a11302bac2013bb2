"""Which channels this computer has."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

LOOK_S: Final = 5.0
"""Longest time that python-can may look for adapters."""


@dataclass(frozen=True)
class Found:
    """A channel that is present.

    Attributes
    ----------
    channel : as a target names it
    kind : "serial" or "can"
    description : as the system gives it
    """

    channel: str
    kind: Literal["serial", "can"]
    description: str


def channels() -> list[Found]:
    """Return the serial ports and CAN interfaces present; nothing is sent."""
    import can
    from serial.tools import list_ports

    found = [
        Found(port.device, "serial", port.description or "")
        for port in sorted(list_ports.comports(), key=lambda p: p.device)
    ]
    # slcan and virtual would name every serial port, and a bus that does not exist.
    names = sorted(can.VALID_INTERFACES - {"slcan", "virtual", "serial", "robotell"})
    with _unlogged():
        configs = can.detect_available_configs(names, timeout=LOOK_S)
    for config in configs:
        name = f"{config['interface']}:{config['channel']}"
        found.append(Found(name, "can", f"{config['interface']} interface"))
    return found


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep python-can from telling of each vendor's library that is not installed."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
