"""A device in the hands of a rig script: open it, read it, stream it."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from battlife.drivers.gate import Allowed
from battlife.drivers.opening import driver_of
from battlife.drivers.polling import Polled, Poller, Step, TimedOut
from battlife.drivers.target import Target, parse_channel, parse_target
from battlife.errors import HardwareError, RigTimeoutError
from battlife.model import Reading, Rejected, Request, Value, WireProtocol

PASSIVE_S: Final = 2.0
"""How long to listen to a device that is never asked; broadcasts repeat within 1 s."""
BROADCAST_S: Final = 1.2
CYCLE_S: Final = 30.0
"""A cycle of requests takes less, or the device is not answering."""
STEP_S: Final = 0.1


@dataclass(frozen=True)
class Snapshot:
    """What a device said in one cycle of requests.

    Attributes
    ----------
    device : label of the device
    values : latest value of each name since the device was opened, or since a request
        that changes it
    age_s : s since each of them was heard
    readings, rejected, timeouts : of this cycle alone
    """

    device: str
    values: Mapping[str, Value]
    age_s: Mapping[str, float]
    readings: tuple[Reading, ...]
    rejected: tuple[Rejected, ...]
    timeouts: tuple[TimedOut, ...]


class Session:
    """One device, opened.

    Parameters
    ----------
    target : as :func:`battlife.drivers.target.parse_target` takes it, or its result
    wake : send frames that keep the battery awake
    writes : names of requests that change the device and may be sent
    clock : s

    Examples
    --------
    >>> with Session("jbd_uart@/dev/ttyUSB0") as pack:          # doctest: +SKIP
    ...     print(pack.read().values["cell_voltage_v"])
    """

    def __init__(
        self,
        target: str | Target,
        *,
        wake: bool = False,
        writes: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = parse_target(target) if isinstance(target, str) else target
        self.wire: WireProtocol = self.target.wire()
        self._allowed = Allowed(wake, frozenset(writes))
        self.clock = clock
        self._heard_s: dict[str, float] = {}
        self._rate = self._baud()
        self._poller = self._made(math.inf)
        self._poller.open()

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def n_lost(self) -> int:
        """Frames lost since it was opened."""
        return self._poller.n_lost

    def close(self) -> None:
        """Close the channel."""
        self._poller.close()

    def reopen(self) -> None:
        """Open the channel again after the device came back.

        Raises
        ------
        HardwareError
            It is not back yet.
        """
        self._poller.close()
        self._poller.open()

    def read(self, timeout_s: float = CYCLE_S) -> Snapshot:
        """Return one complete cycle of requests, or of what is broadcast.

        Raises
        ------
        RigTimeoutError
            Nothing of this device was heard.
        ProtocolError
            Nothing of it was right.
        HardwareError
            The channel went away.
        """
        name = self.target.protocol
        began = self._poller.n_cycles(name)
        asks = bool(self.wire.requests(self._poller.known(name)))
        self._poller.begin(name)
        now = self.clock()
        end = now + timeout_s
        # What a pack broadcasts besides its answers comes at least once a second.
        listen_s = PASSIVE_S if not asks else BROADCAST_S if self.wire.signature else 0
        listen_until = min(end, now + listen_s)
        steps: list[Step] = []
        while True:
            now = self.clock()
            cycled = self._poller.n_cycles(name) > began and self._poller.idle
            if now >= end or (now >= listen_until and (cycled or not asks)):
                break
            steps.append(self._step(min(STEP_S, end - now)))
        return self._snapshot(steps)

    def stream(self, period_s: float = 1.0) -> Iterator[Snapshot]:
        """Yield a cycle each `period_s` seconds, for ever; a silent one too.

        Raises
        ------
        HardwareError
            The channel went away; :meth:`reopen` it and stream again.
        """
        self._poller.close()
        self._poller = self._made(period_s)
        self._poller.open()
        due = self.clock() + period_s
        while True:
            steps: list[Step] = []
            while (now := self.clock()) < due:
                steps.append(self._step(min(STEP_S, due - now)))
            due = max(due, self.clock()) + period_s
            yield self._snapshot(steps, silent=True)

    def ask(self, request: Request) -> Snapshot:
        """Send one permitted request and return its answer.

        Raises
        ------
        InputError
            The operator did not allow it.
        RigTimeoutError
            Nothing of this device was heard.
        """
        self._poller.ask(self.target.protocol, request)
        steps = [self._step(STEP_S)]
        while not self._poller.idle:
            steps.append(self._step(STEP_S))
        return self._snapshot(steps)

    def rest(self, duration_s: float) -> Snapshot:
        """Ask nothing for some time, but keep the device awake and hear what it says.

        Raises
        ------
        HardwareError
            The channel went away.
        """
        end = self.clock() + duration_s
        steps: list[Step] = []
        while (left_s := end - self.clock()) > 0:
            steps.append(self._step(min(STEP_S, left_s)))
        return self._snapshot(steps, silent=True)

    def _step(self, timeout_s: float) -> Step:
        step = self._poller.step(timeout_s)
        for _, item in step.items:
            if isinstance(item, Reading):
                self._heard_s.update(dict.fromkeys(item.values, item.time_s))
        return step

    def _snapshot(self, steps: list[Step], silent: bool = False) -> Snapshot:
        items = [item for step in steps for _, item in step.items]
        timeouts = tuple(t for step in steps for t in step.timeouts)
        readings = tuple(i for i in items if isinstance(i, Reading))
        rejected = tuple(i for i in items if isinstance(i, Rejected))
        if not readings and not silent:
            if rejected:
                raise rejected[0].error
            if timeouts:
                raise timeouts[0].error
            heard = any(f.direction == "rx" for step in steps for f in step.frames)
            raise RigTimeoutError(
                f"{self.target.protocol} on {self.target.channel} said nothing"
                + (" that was understood" if heard else ""),
                "is it powered, are the wires and the baud or bit rate right?"
                + ("" if self._allowed.wake else " Does it need --wake?"),
            )
        now = self.clock()
        known = self._poller.known(self.target.protocol)
        return Snapshot(
            self.wire.device,
            known,
            {name: now - self._heard_s[name] for name in known},
            readings,
            rejected,
            timeouts,
        )

    def _made(self, period_s: float) -> Poller:
        options = self.target.line_options()
        if self._rate is not None:
            options["baud"] = str(self._rate)
        driver = driver_of(
            self.target.channel,
            [self.wire],
            options=options,
            allowed=self._allowed,
            clock=self.clock,
        )
        return Poller(
            driver,
            [Polled(self.target.protocol, self.wire, period_s)],
            clock=self.clock,
            wake=self._allowed.wake,
        )

    def _baud(self) -> int | None:
        """Return the baud rate at which a harmless probe is answered."""
        serial = parse_channel(self.target.channel).medium == "serial"
        rates = self.wire.bauds
        if (
            not serial
            or "baud" in self.target.options
            or len(rates) < 2
            or not self.wire.probes
            or "://" in self.target.channel  # no rate crosses a network
        ):
            return None
        for rate in rates:
            if answers(
                self.target.channel,
                self.wire,
                self.wire.probes[:1],
                {"baud": str(rate)},
                self.clock,
            ):
                return rate
        return rates[0]


def open(  # battlife.open, as a file is opened
    target: str | Target, *, wake: bool = False, writes: Iterable[str] = ()
) -> Session:
    """Open a device for reading.

    Parameters
    ----------
    target : such as "jbd_uart@/dev/ttyUSB0" or "leaf@slcan:/dev/ttyACM0"
    wake : send frames that keep the battery awake
    writes : names of requests that change the device and may be sent

    Raises
    ------
    InputError
        The target is wrong.
    HardwareError
        The channel cannot be opened.
    """
    return Session(target, wake=wake, writes=writes)


def answers(
    channel: str,
    wire: WireProtocol,
    probes: Iterable[Request],
    options: Mapping[str, str],
    clock: Callable[[], float] = time.monotonic,
) -> Reading | None:
    """Ask harmless requests until one is answered with a value; return that answer.

    An answer that only acknowledges, as that to a session request does, counts if
    nothing better comes.

    Raises
    ------
    HardwareError
        The channel cannot be opened.
    """
    driver = driver_of(
        channel, [wire], options=options, allowed=Allowed(probing=True), clock=clock
    )
    poller = Poller(driver, [Polled(wire.name, wire)], clock=clock, scheduled=False)
    poller.open()
    acknowledged: Reading | None = None
    try:
        for request in probes:
            poller.ask(wire.name, request)
            while True:
                for _, item in poller.step(STEP_S).items:
                    if isinstance(item, Reading):
                        if item.values:
                            return item
                        acknowledged = item
                if poller.idle:
                    break
    except HardwareError:
        return None  # it went away while it was asked: nothing is there
    finally:
        poller.close()
    return acknowledged
