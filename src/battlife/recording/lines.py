"""The channels of a rig, each with the devices that share it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from battlife.model import Frame, Reading, Rejected, WireProtocol
from battlife.recording.rig import RigDevice


@dataclass(frozen=True)
class LineStep:
    """What a channel gave in one step.

    Attributes
    ----------
    frames : received and sent, in order
    items : what they completed, with the name of the device in the rig
    timeouts : names of devices that left a question without an answer
    """

    frames: Sequence[Frame] = ()
    items: Sequence[tuple[str, Reading | Rejected]] = ()
    timeouts: Sequence[str] = ()


class Line(Protocol):
    """One channel; every method raises HardwareError if it went away."""

    @property
    def channel(self) -> str:
        """Name, as in its frames."""
        ...

    @property
    def n_lost(self) -> int:
        """Frames lost since the recording began."""
        ...

    def open(self) -> None:
        """Open it, again too."""
        ...

    def step(self, timeout_s: float) -> LineStep:
        """Ask what is due and return what came within `timeout_s`."""
        ...

    def close(self) -> None:
        """Close it; never raises."""
        ...


@dataclass(frozen=True)
class LineDevice:
    """One device of the rig on its channel."""

    device: RigDevice
    channel: str
    wire: WireProtocol


Connect = Callable[
    [Sequence[RigDevice], bool, Callable[[], float]],
    tuple[Sequence[Line], Sequence[LineDevice]],
]
"""Makes the lines of devices, not open yet: devices, wake, clock in s."""
