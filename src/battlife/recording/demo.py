"""A rig of simulated packs, recorded: what a newcomer without hardware can see."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from battlife.recording.recorder import record
from battlife.recording.rig import Limits, Rig, RigDevice
from battlife.recording.sealing import Recorded
from battlife.recording.status import Status
from battlife.simulate import running

PACKS: Final = {
    "simulated-zoe": ("zoe_gen1", ()),
    "simulated-leaf": ("leaf", ("bms_reset",)),
    "simulated-jbd": ("jbd_uart", ()),
}
"""Unit: protocol and faults. The Leaf's BMS was reset, so that it claims 100 %."""
DURATION_S: Final = 6.0


def record_simulated(
    out: Path,
    *,
    operator: str = "demo",
    duration_s: float = DURATION_S,
    on_update: Callable[[Status], None] | None = None,
) -> Recorded:
    """Record a simulated Zoe, Leaf and JBD pack over TCP into an archive.

    Parameters
    ----------
    out : the archive, must not exist
    duration_s : of the recording in s
    """
    with ExitStack() as stack:
        devices = []
        for unit, (protocol, faults) in PACKS.items():
            served = stack.enter_context(
                running(protocol, faults=faults, seed=7, tcp=0)
            )
            target = f"{protocol}@{served.channel}"
            devices.append(RigDevice(protocol, target, 1.0, unit))
        rig = Rig(
            name="simulated rig",
            devices=tuple(devices),
            limits=Limits(
                cell_voltage_max_v=4.3, cell_voltage_min_v=2.5, temperature_max_degc=60
            ),
        )
        return record(
            rig,
            out,
            units={unit: unit for unit in PACKS},
            operator=operator,
            duration_s=duration_s,
            wake=True,
            on_update=on_update,
        )
