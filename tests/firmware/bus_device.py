"""A simulated battery on the rig's emulated CAN bus.

battlife's simulated devices stand behind an adapter of their own, which speaks SLCAN.
Here its lines are carried to the bus of the rig and back, so that the device is heard
through the compiled bridge, its MCP2515 and a bus with bit timing.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from battlife.simulate.pack_model import PackModel

STEP_S = 0.005
IDENTIFIER_DIGITS = {"t": 3, "T": 8}


@contextmanager
def on_bus(rig: Any, protocol: str, variant: str, seed: int = 1) -> Iterator[PackModel]:
    """Serve a device on the bus of a rig for the length of a `with` block.

    Its pack stands still, so that what is read can be compared with the truth.
    """
    module = import_module(f"battlife.simulate.{protocol}")
    pack = PackModel(module.SPECS[variant], seed=seed, clock=lambda: 0.0)
    station = module.station(pack, frozenset(), seed, variant=variant)
    stop = threading.Event()

    def serve() -> None:
        said = station.take(b"C\rS6\rO\r", time.monotonic())
        while not stop.wait(STEP_S):
            for frame in rig.command("can sent").split():
                said += station.take(as_line(frame), time.monotonic())
            said += station.due(time.monotonic())
            *lines, said = said.split(b"\r")
            for line in lines:
                if line[:1].decode() in IDENTIFIER_DIGITS:
                    rig.command(f"can send {as_frame(line.decode())}")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield pack
    finally:
        stop.set()
        thread.join()


def as_line(frame: str) -> bytes:
    """Return ID#DATA of the rig as an SLCAN line."""
    identifier, _, data = frame.partition("#")
    kind = "t" if len(identifier) == 3 else "T"
    return f"{kind}{identifier}{len(data) // 2}{data}\r".encode()


def as_frame(line: str) -> str:
    """Return an SLCAN line of a data frame as the rig takes it."""
    digits = IDENTIFIER_DIGITS[line[0]]
    n_data = 2 * int(line[1 + digits])
    return f"{line[1 : 1 + digits]}#{line[2 + digits : 2 + digits + n_data]}"
