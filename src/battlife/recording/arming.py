"""Recording with the contactor of cell bridges closed: armed once, opened at the end.

An alarm of the rig opens it too: its limits may be closer than those of the bridge.
Only an operator who names `arm` gets these lines. A bridge that opened its contactor by
itself, or a channel that came back, is never armed again.
"""

from collections.abc import Callable, Sequence
from typing import Final

from battlife.drivers.contactor import FOLLOW_S
from battlife.drivers.polling import Polled, Poller
from battlife.drivers.target import parse_target
from battlife.errors import HardwareError, InputError
from battlife.model import Rejected
from battlife.recording.lines import (
    Line,
    LineDevice,
    LineStep,
    PolledLine,
    rig_lines,
)
from battlife.recording.rig import Rig, RigDevice
from battlife.wire.bridge import ARM, DISARM, Bridge

WRITES: Final = frozenset({ARM.name, DISARM.name})
LAST_S: Final = 1.0
"""For the answer to `disarm`, longer than the bridge waits for a silent host."""
STEP_S: Final = 0.05
MOST_REFUSALS: Final = 5


def bridges(rig: Rig, *, wake: bool) -> tuple[RigDevice, ...]:
    """Return the cell bridges of a rig, of which there must be one to arm.

    Raises
    ------
    InputError
        There is none, or `wake` is missing: without heartbeats none stays closed.
    """
    found = tuple(
        device
        for device in rig.devices
        if isinstance(parse_target(device.target).wire(), Bridge)
    )
    if not found:
        raise InputError(
            "the rig has no device with a contactor that battlife moves; nothing was "
            "sent",
            "only our own firmware has: bridge@CHANNEL",
        )
    if not wake:
        raise InputError(
            "an armed bridge needs the heartbeats of the host; nothing was sent",
            "say --wake too (wake=True)",
        )
    return found


def armed_lines(
    devices: Sequence[RigDevice], wake: bool, clock: Callable[[], float]
) -> tuple[Sequence[Line], Sequence[LineDevice]]:
    """Return the lines of devices, which close the contactor of each bridge.

    Parameters
    ----------
    devices, wake, clock : as :func:`battlife.recording.lines.rig_lines`
    """

    def line_of(poller: Poller, polled: Sequence[Polled]) -> Line:
        names = [p.name for p in polled if isinstance(p.wire, Bridge)]
        return ArmedLine(poller, names, clock) if names else PolledLine(poller)

    return rig_lines(devices, wake, clock, writes=WRITES, line_of=line_of)


class ArmedLine(PolledLine):
    """A line with bridges on it.

    Parameters
    ----------
    poller : of the channel
    names : of the bridges
    clock : s, that of the poller
    """

    def __init__(
        self, poller: Poller, names: Sequence[str], clock: Callable[[], float]
    ) -> None:
        super().__init__(poller)
        self._to_arm = set(names)
        self._armed: set[str] = set()
        self._clock = clock
        self._away = True
        self._n_refused = 0

    def open(self) -> None:
        """Open it, again too; what was armed before is not armed again."""
        super().open()
        self._away = False

    def step(self, timeout_s: float) -> LineStep:
        """Ask what is due, and for `arm` once a bridge is ready and hears us."""
        for name in sorted(self._to_arm):
            known = self._poller.known(name)
            if known.get("bridge_state") == "ready" and known.get("bridge_host_alive"):
                self._poller.ask(name, ARM)
                self._to_arm.discard(name)
                self._armed.add(name)
        try:
            step = super().step(timeout_s)
        except HardwareError:
            self._away = True
            raise
        for name, item in step.items:
            if isinstance(item, Rejected) and item.message == ARM.name:
                self._refused(name)
        return step

    def _refused(self, name: str) -> None:
        """Ask again a few times: the bridge may have missed heartbeats just then."""
        self._n_refused += 1
        if self._n_refused < MOST_REFUSALS:
            self._to_arm.add(name)

    def release(self) -> LineStep:
        """Open the contactor of what was armed, and see that it is open.

        Raises
        ------
        HardwareError
            It is still closed, or the line went away.
        """
        self._to_arm.clear()
        if self._away or not self._armed:
            return LineStep()
        for name in self._armed:
            self._poller.ask(name, DISARM)
        steps: list[LineStep] = []
        end_s = self._clock() + LAST_S + FOLLOW_S
        while (closed := self._closed()) and self._clock() < end_s:
            for name in closed:
                self._poller.begin(name)
            steps.append(super().step(STEP_S))
        if closed:
            raise HardwareError(
                f"{', '.join(closed)}: the contactor is CLOSED after `disarm`: it may "
                "be welded",
                "disconnect the pack by hand, then check contactor and feedback",
            )
        self._armed.clear()
        return LineStep(
            [f for step in steps for f in step.frames],
            [i for step in steps for i in step.items],
            [t for step in steps for t in step.timeouts],
        )

    def _closed(self) -> list[str]:
        """Return the armed ones that are not known to be open since `disarm`."""
        return [
            name
            for name in sorted(self._armed)
            if not self._poller.idle
            or self._poller.known(name).get("contactors_closed") is not False
        ]
