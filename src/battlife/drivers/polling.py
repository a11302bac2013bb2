"""One channel, its devices, and whose turn it is to speak.

A single-threaded state machine: it sends the keep-alive frames and requests that are
due, reads frames, and feeds the decoders. At most one request waits for its answer.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from battlife.drivers.isotp_exchange import IsotpExchange
from battlife.errors import HardwareError, RigTimeoutError
from battlife.model import (
    Allow,
    Decoder,
    Driver,
    Frame,
    Reading,
    Rejected,
    Request,
    Value,
    WireProtocol,
    merge,
)

MOST_FRAMES: Final = 256
"""Of one step, so that keep-alive frames and alarms stay in time on a full bus."""
LONGEST_ANSWER_S: Final = 10.0
"""An answer in many segments may take this long in all."""


@dataclass(frozen=True)
class Polled:
    """A device that is asked in turn.

    Attributes
    ----------
    name : of the device, unique on the channel
    wire : its protocol
    period_s : s from one cycle of its requests to the next
    """

    name: str
    wire: WireProtocol
    period_s: float = 1.0


@dataclass(frozen=True)
class TimedOut:
    """A request that nobody answered.

    Attributes
    ----------
    time_s : s, when waiting for it ended
    device : name of the device
    request : what was asked
    error : says so, with a hint
    """

    time_s: float
    device: str
    request: Request
    error: RigTimeoutError


@dataclass(frozen=True)
class Step:
    """What a channel gave in one step.

    Attributes
    ----------
    frames : received and sent, in order
    items : what they completed, with the name of the device
    timeouts : requests without an answer
    """

    frames: Sequence[Frame] = ()
    items: Sequence[tuple[str, Reading | Rejected]] = ()
    timeouts: Sequence[TimedOut] = ()


@dataclass
class _Device:
    polled: Polled
    decoder: Decoder
    due_s: float  # of its next cycle
    known: dict[str, Value] = field(default_factory=dict)
    asked_s: dict[str, float] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)  # names asked in this cycle
    working: bool = False  # in a cycle
    n_cycles: int = 0
    beat_s: float = -math.inf  # of its next keep-alive frame
    n_beats: int = 0


@dataclass
class _Waiting:
    device: _Device
    request: Request
    until_s: float
    latest_s: float
    exchange: IsotpExchange | None


class Poller:
    """Asks the devices of one channel by their protocols' schedules.

    Parameters
    ----------
    driver : gated; open before :meth:`step`, here or by :meth:`open`
    devices : on its channel
    clock : s, the one the driver stamps with
    wake : send the keep-alive frames; the gate must allow them too
    scheduled : ask by the protocols' schedules; else only what :meth:`ask` is given
    """

    def __init__(
        self,
        driver: Driver,
        devices: Sequence[Polled],
        *,
        clock: Callable[[], float],
        wake: bool = False,
        scheduled: bool = True,
    ) -> None:
        names = [d.name for d in devices]
        if len(set(names)) != len(names):
            raise ValueError("two devices of a channel have one name")
        self._driver = driver
        self._clock = clock
        self._wake = wake
        self._first_due_s = -math.inf if scheduled else math.inf
        self._devices = [
            _Device(d, d.wire.decoder(), due_s=self._first_due_s) for d in devices
        ]
        self._asks: deque[tuple[_Device, Request]] = deque()
        self._waiting: _Waiting | None = None
        self._free_s = -math.inf
        self._turn = 0
        self._lost_before = 0
        self._frames: list[Frame] = []
        self._items: list[tuple[str, Reading | Rejected]] = []
        self._timeouts: list[TimedOut] = []

    @property
    def channel(self) -> str:
        """Name of the channel."""
        return self._driver.channel

    @property
    def n_lost(self) -> int:
        """Frames lost since the first opening, over every reopening."""
        return self._lost_before + self._driver.n_lost

    def n_cycles(self, name: str) -> int:
        """Return how many cycles of requests of a device have ended."""
        return self._named(name).n_cycles

    def known(self, name: str) -> dict[str, Value]:
        """Return the latest values of a device."""
        return dict(self._named(name).known)

    def open(self) -> None:
        """Open the channel, again too; what is asked once is asked again."""
        self._keep_lost(self._driver.open)
        for device in self._devices:
            device.decoder = device.polled.wire.decoder()
            device.asked_s.clear()
            device.asked.clear()
            device.working = False
            device.due_s, device.beat_s = self._first_due_s, -math.inf
        self._waiting = None
        self._free_s = -math.inf

    def close(self) -> None:
        """Close the channel; :meth:`open` opens it again."""
        self._keep_lost(self._driver.close)

    def _keep_lost(self, act: Callable[[], None]) -> None:
        """Do something after which the driver may count its losses from 0 again."""
        lost = self._driver.n_lost
        try:
            act()
        finally:
            self._lost_before += max(0, lost - self._driver.n_lost)

    def ask(self, name: str, request: Request) -> None:
        """Put a request in front of the schedule; it leaves in a later step."""
        self._asks.append((self._named(name), request))

    def begin(self, name: str) -> None:
        """Start the next cycle of a device now, whatever its period."""
        self._named(name).due_s = -math.inf

    @property
    def idle(self) -> bool:
        """True if no request waits, neither to leave nor for its answer."""
        return self._waiting is None and not self._asks

    def step(self, timeout_s: float) -> Step:
        """Ask what is due and return what came within `timeout_s`.

        It returns as soon as something came, or a request was given up.

        Raises
        ------
        HardwareError
            The channel went away. What came before it is given by the next step.
        """
        end = self._clock() + timeout_s
        while True:
            now = self._clock()
            self._send_beats(now)
            self._give_up(now)
            self._send_next(now)
            self._read(min(end, self._next_s(now)) - now)
            if self._items or self._timeouts or len(self._frames) >= MOST_FRAMES:
                break
            if self._clock() >= end:
                break
        step = Step(tuple(self._frames), tuple(self._items), tuple(self._timeouts))
        self._frames, self._items, self._timeouts = [], [], []
        return step

    def _named(self, name: str) -> _Device:
        for device in self._devices:
            if device.polled.name == name:
                return device
        raise ValueError(f"no device of {self.channel} is called {name!r}")

    def _send_beats(self, now: float) -> None:
        if not self._wake:
            return
        for device in self._devices:
            wire = device.polled.wire
            if not wire.keep_alive or now < device.beat_s:
                continue
            frame = wire.keep_alive[device.n_beats % len(wire.keep_alive)]
            self._send(_framed(frame, self.channel))
            device.n_beats += 1
            device.beat_s = _next(device.beat_s, wire.keep_alive_s, now)

    def _give_up(self, now: float) -> None:
        waiting = self._waiting
        if waiting is None or now < waiting.until_s:
            return
        device, request = waiting.device.polled, waiting.request
        error = RigTimeoutError(
            f"{device.name} on {self.channel} did not answer {request.name} within "
            f"{request.timeout_s:g} s",
            _advice(device.wire, self._wake),
        )
        self._timeouts.append(TimedOut(now, device.name, request, error))
        self._done(now)

    def _done(self, now: float) -> None:
        assert self._waiting is not None
        self._free_s = now + self._waiting.request.gap_s
        self._waiting = None

    def _send_next(self, now: float) -> None:
        if self._waiting is not None or now < self._free_s:
            return
        found = self._asks.popleft() if self._asks else self._scheduled(now)
        if found is None:
            return
        device, request = found
        if request.allow is Allow.WRITE:
            # What was known before it may not be true after it, fault codes above all.
            device.known.clear()
            device.asked_s.clear()
            device.asked.clear()
        device.asked_s[request.name] = now
        exchange = None
        if request.answer is None:
            self._send(_framed(request, self.channel))
        else:
            exchange = IsotpExchange(request, self.channel, self._send)
            exchange.process()
        until = self._clock() + request.timeout_s
        latest = until + LONGEST_ANSWER_S
        self._waiting = _Waiting(device, request, until, latest, exchange)

    def _scheduled(self, now: float) -> tuple[_Device, Request] | None:
        """Return the next request of the device whose turn it is."""
        count = len(self._devices)
        for i in range(count):
            at = (self._turn + i) % count
            device = self._devices[at]
            if not device.working and now >= device.due_s:
                device.working = True
                device.asked.clear()
                device.due_s = _next(device.due_s, device.polled.period_s, now)
            if not device.working:
                continue
            request = self._next_request(device, now)
            if request is not None:
                device.asked.add(request.name)
                self._turn = at + 1
                return device, request
            device.working = False
            device.n_cycles += 1
        return None

    def _next_request(self, device: _Device, now: float) -> Request | None:
        # Asked anew each time: an answer of this cycle may tell what else to ask.
        for request in device.polled.wire.requests(device.known):
            if request.name in device.asked or request.allow is Allow.WRITE:
                continue
            if request.allow is Allow.WAKE and not self._wake:
                continue
            last = device.asked_s.get(request.name)
            if last is None or request.every_s == 0 or now - last >= request.every_s:
                return request
        return None

    def _next_s(self, now: float) -> float:
        """Return when something is due, whatever comes."""
        times = [d.due_s for d in self._devices if not d.working]
        if self._wake:
            times += [d.beat_s for d in self._devices if d.polled.wire.keep_alive]
        waiting = self._waiting
        if waiting is not None:
            times = [t for t in times if t > now] + [waiting.until_s]
            if waiting.exchange is not None and waiting.exchange.sending:
                times.append(now + 0.001)
        elif self._asks or any(d.working for d in self._devices):
            times.append(self._free_s)
        else:
            times = [max(t, self._free_s) for t in times]
        return max(now, min(times, default=math.inf))

    def _read(self, timeout_s: float) -> None:
        frame = self._driver.read(max(0.0, timeout_s))
        count = 0
        while frame is not None:
            self._take(frame)
            count += 1
            if count >= MOST_FRAMES or self._timed(self._clock()):
                return
            frame = self._driver.read(0.0)
        if self._waiting is not None and self._waiting.exchange is not None:
            self._waiting.exchange.process()

    def _timed(self, now: float) -> bool:
        """Say whether something must leave now."""
        if self._waiting is None and now >= self._free_s and self._asks:
            return True
        return self._wake and any(
            d.polled.wire.keep_alive and now >= d.beat_s for d in self._devices
        )

    def _send(self, frame: Frame) -> None:
        self._take(self._driver.send(frame))

    def _take(self, frame: Frame) -> None:
        self._frames.append(frame)
        answered = False
        for device in self._devices:
            for item in device.decoder.feed(frame):
                if self._concerns(device, item):
                    self._items.append((device.polled.name, item))
                    if isinstance(item, Reading):
                        merge(device.known, item.values)
                    waiting = self._waiting
                    answered |= (
                        waiting is not None
                        and waiting.device is device
                        and item.message == waiting.request.name
                    )
        waiting = self._waiting
        if waiting is None or frame.direction == "tx":
            return
        now = self._clock()
        if waiting.exchange is not None:
            answered |= waiting.exchange.take(frame)
            more_s = waiting.exchange.more_s
            if more_s:
                waiting.until_s = min(
                    max(waiting.until_s, now + more_s), waiting.latest_s
                )
        if answered:
            self._done(now)

    def _concerns(self, device: _Device, item: Reading | Rejected) -> bool:
        """Say whether an item is about this device and none other of the channel."""
        wire = device.polled.wire
        if item.device and wire.device:
            return item.device == wire.device
        if isinstance(item, Reading):
            return True
        # Bytes whose sender cannot be told: whoever was asked, else the first.
        waiting = self._waiting
        if waiting is not None and wire.medium == "serial":
            return waiting.device is device
        alike = [d for d in self._devices if d.polled.wire.name == wire.name]
        return alike[0] is device


def reopened(poller: Poller) -> bool:
    """Try to open a channel that went away; return whether it is back."""
    try:
        poller.close()
        poller.open()
    except HardwareError:
        return False
    return True


def _next(due_s: float, period_s: float, now: float) -> float:
    """Return the next time on the grid; a grid missed by a period starts anew."""
    missed = not math.isfinite(due_s) or now - due_s > period_s
    return (now if missed else due_s) + period_s


def _framed(request: Request, channel: str) -> Frame:
    return Frame(
        0.0,
        channel,
        "tx",
        request.data,
        request.identifier,
        request.extended,
        request.fd,
    )


def _advice(wire: WireProtocol, wake: bool) -> str:
    if wire.medium == "serial":
        rates = ", ".join(str(baud) for baud in wire.bauds)
        return (
            f"is it powered, are the wires right (A/B, RX/TX), the baud rate ({rates}) "
            "and the address?"
        )
    woken = "" if wake or not wire.keep_alive else ", does it need --wake"
    return f"has it 12 V, are the wires and the bit rate right{woken}?"
