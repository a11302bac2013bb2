"""Records a scripted device until it is killed; tells each acknowledged count.

Arguments: output, seconds. Writes one line per acknowledge to standard output.
"""

import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from battlife import wire
from battlife.model import Frame
from battlife.recording.recorder import record
from battlife.recording.rig import Limits, Rig, RigDevice
from scripted_rig import (
    ScriptedLine,
    cells_frame,
    connected,
    count_frame,
    scripted_protocol,
)


def bus() -> Iterator[list[Frame]]:
    """Give ten frames each 2 ms: a bus at about 4,000 frames/s, time allowing."""
    numbers = itertools.count()
    while True:
        time.sleep(0.002)
        numbered = [count_frame(n / 1000, n) for n in itertools.islice(numbers, 10)]
        yield [*numbered, cells_frame(numbered[-1].time_s, 3.7, 3.7, 3.7, 3.7)]


def main() -> None:
    wire.protocol = scripted_protocol
    rig = Rig(
        "kill", (RigDevice("d0", "scripted@can0", 0.1),), limits=Limits(n_cells=4)
    )
    record(
        rig,
        Path(sys.argv[1]),
        unit="4711",
        duration_s=float(sys.argv[2]),
        connect=connected([ScriptedLine("can0", ["d0"], bus())]),
        on_acknowledged=lambda n: os.write(1, b"%d\n" % n) and None,
    )


main()
