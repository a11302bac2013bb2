"""The channels of a rig, each with the devices that share it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from battlife.drivers.gate import Allowed
from battlife.drivers.opening import driver_of
from battlife.drivers.polling import Polled, Poller
from battlife.drivers.target import Target, parse_target
from battlife.errors import HardwareError, InputError
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

    def release(self) -> LineStep:
        """Undo what the recording did to its devices, at its end or at an alarm.

        Returns
        -------
        What was said and came meanwhile.
        """
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


def rig_lines(
    devices: Sequence[RigDevice],
    wake: bool,
    clock: Callable[[], float],
    *,
    writes: frozenset[str] = frozenset(),
    line_of: Callable[[Poller, Sequence[Polled]], Line] | None = None,
) -> tuple[Sequence[Line], Sequence[LineDevice]]:
    """Return the lines of devices, each behind the driver of its channel.

    Parameters
    ----------
    devices : of the rig; those with one channel share it
    wake : let frames out that keep a battery awake, and send them
    clock : s since the start, stamps the frames
    writes : names of requests that change a device and may be sent
    line_of : makes the line of a poller and what it polls; None: :class:`PolledLine`

    Raises
    ------
    InputError
        A target is wrong, or two targets of a channel do not fit together.
    """
    shared: dict[str, list[tuple[RigDevice, Target]]] = {}
    for device in devices:
        target = parse_target(device.target)
        shared.setdefault(target.channel, []).append((device, target))
    lines: list[Line] = []
    found: dict[str, LineDevice] = {}
    for channel, members in shared.items():
        here = [(device, target.wire()) for device, target in members]
        _require_apart(channel, here)
        driver = driver_of(
            channel,
            [protocol for _, protocol in here],
            options=_line_options(channel, [target for _, target in members]),
            allowed=Allowed(wake, writes),
            clock=clock,
        )
        polled = [Polled(d.name, protocol, d.period_s) for d, protocol in here]
        poller = Poller(driver, polled, clock=clock, wake=wake)
        lines.append(line_of(poller, polled) if line_of else PolledLine(poller))
        for device, protocol in here:
            found[device.name] = LineDevice(device, driver.channel, protocol)
    return lines, [found[d.name] for d in devices]


class PolledLine:
    """A poller as a line of a recording: it only asks and listens."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller

    @property
    def channel(self) -> str:
        """Name, as in its frames."""
        return self._poller.channel

    @property
    def n_lost(self) -> int:
        """Frames lost since the recording began."""
        return self._poller.n_lost

    def open(self) -> None:
        """Open it, again too."""
        self._poller.open()

    def step(self, timeout_s: float) -> LineStep:
        """Ask what is due and return what came within `timeout_s`."""
        step = self._poller.step(timeout_s)
        return LineStep(step.frames, step.items, [t.device for t in step.timeouts])

    def release(self) -> LineStep:
        """Have nothing to undo."""
        return LineStep()

    def close(self) -> None:
        """Close it; never raises."""
        # A port that is gone may fail to close: it is gone all the same.
        with suppress(HardwareError):
            self._poller.close()


def _require_apart(
    channel: str, here: Sequence[tuple[RigDevice, WireProtocol]]
) -> None:
    seen: dict[tuple[str, str], str] = {}
    for device, protocol in here:
        key = (protocol.name, protocol.device)
        if key in seen:
            raise InputError(
                f"{seen[key]} and {device.name} are one device on {channel}",
                "give each its address, e.g. ?address=2",
            )
        seen[key] = device.name


def _line_options(channel: str, targets: Sequence[Target]) -> dict[str, str]:
    options: dict[str, str] = {}
    for target in targets:
        for key, value in target.line_options().items():
            if options.setdefault(key, value) != value:
                raise InputError(
                    f"{channel} has both {key}={options[key]} and {key}={value}",
                    "a channel has one setting for all its devices",
                )
    return options
