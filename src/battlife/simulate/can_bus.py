"""A CAN bus with one simulated device on it, and what can be wrong with it."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from battlife.model.frame import SIMULATED_DATA, SIMULATED_ID
from battlife.simulate.faults import SILENT_AFTER_S
from battlife.simulate.pack_model import PackModel, Shown

FULL_LOAD_HZ: Final = 4000.0
"""Frames of 8 bytes in a second that fill a bus of 500 kbit/s: about 125 bits each
with stuff bits and the space between frames."""
FILLER_ID: Final = 0x7E0
"""Carries a running number (u32, big-endian) in its first four bytes, so that whoever
listens can tell whether one is missing."""

_MARK_PERIOD_S: Final = 1.0
_FRESH_S: Final = 0.01
_BEHIND_S: Final = 0.25  # what a bus did longer ago is past, nobody heard it


@dataclass(frozen=True, slots=True)
class BusFrame:
    """A frame on the bus.

    Attributes
    ----------
    identifier, extended, fd : as in :class:`battlife.model.Frame`
    data : up to 8 bytes, with `fd` up to 64
    remote : a request for a frame; it has no data
    has_crc : the last byte of the data is a checksum over the others
    damaged : one bit is to be turned on the way from the adapter to the host
    """

    identifier: int
    data: bytes
    extended: bool = False
    fd: bool = False
    remote: bool = False
    has_crc: bool = False
    damaged: bool = False


MARK: Final = BusFrame(SIMULATED_ID, SIMULATED_DATA)
"""Says that the bus is simulated."""


@dataclass(frozen=True)
class Broadcast:
    """A message that a device repeats.

    Attributes
    ----------
    period_s : s between two
    encode : returns the data of the n-th, n from 0
    identifier, extended, fd, has_crc : as in :class:`BusFrame`
    """

    identifier: int
    period_s: float
    encode: Callable[[int], bytes]
    extended: bool = False
    fd: bool = False
    has_crc: bool = False

    def frame(self, number: int) -> BusFrame:
        """Return the n-th message."""
        return BusFrame(
            self.identifier,
            self.encode(number),
            extended=self.extended,
            fd=self.fd,
            has_crc=self.has_crc,
        )


class Node(Protocol):
    """A device on the bus."""

    writes: list[bytes]
    """Requests it received that would have changed a real device."""

    @property
    def broadcasts(self) -> Sequence[Broadcast]:
        """What it repeats unasked while it is awake."""
        ...

    def awake(self, now_s: float) -> bool:
        """Say whether it is heard at all."""
        ...

    def take(self, frame: BusFrame, now_s: float) -> Sequence[BusFrame]:
        """Take a frame of the host; return what it answers at once."""
        ...

    def due(self, now_s: float) -> Sequence[BusFrame]:
        """Return the frames of answers whose time has come."""
        ...


class PackView:
    """What a BMS shows, measured anew at most every 10 ms.

    Parameters
    ----------
    pack : what it measures
    """

    def __init__(self, pack: PackModel) -> None:
        self.pack = pack
        self._shown: Shown | None = None
        self._at_s = 0.0
        self.now_s = 0.0

    def __call__(self) -> Shown:
        """Return what it shows at `now_s`, which the bus sets."""
        if self._shown is None or self.now_s - self._at_s >= _FRESH_S:
            self.pack.catch_up()
            self._shown, self._at_s = self.pack.shown(), self.now_s
        return self._shown

    def forget(self) -> None:
        """Measure anew at the next call: something was changed."""
        self._shown = None


def measured_ah(pack: PackModel) -> float:
    """Return the Ah that a controller has measured; its reset leaves them alone."""
    ah = pack.truth()["full_capacity_ah"]
    assert isinstance(ah, float)
    return ah


class Schedule:
    """Broadcasts in the order in which they are due.

    Parameters
    ----------
    broadcasts : each first due at 0 s
    """

    def __init__(self, broadcasts: Sequence[Broadcast]) -> None:
        self._broadcasts = tuple(broadcasts)
        # Due time, identifier (the lower wins the bus), position, running number.
        self._heap = [(0.0, b.identifier, i, 0) for i, b in enumerate(self._broadcasts)]
        heapq.heapify(self._heap)

    def due(self, now_s: float, *, heard: bool = True) -> list[BusFrame]:
        """Return what became due; what nobody can hear takes its turn unsaid."""
        frames = []
        while self._heap and self._heap[0][0] <= now_s:
            at_s, identifier, i, number = self._heap[0]
            broadcast = self._broadcasts[i]
            next_s = at_s + broadcast.period_s
            if heard and at_s >= now_s - max(_BEHIND_S, broadcast.period_s):
                frames.append(broadcast.frame(number))
                number += 1
            elif next_s < now_s - _BEHIND_S:
                skipped = int((now_s - at_s) / broadcast.period_s)
                next_s = at_s + max(1, skipped) * broadcast.period_s
            heapq.heapreplace(self._heap, (next_s, identifier, i, number))
        return frames


class CanBus:
    """A bus with one device, the mark of a simulation, and other traffic.

    Parameters
    ----------
    node : the device
    view : of the pack behind it
    faults : names of :data:`battlife.simulate.faults.FAULTS`
    bitrate : bit/s
    fd : CAN FD frames are possible
    bus_load : fraction of :data:`FULL_LOAD_HZ` that the bus carries with fillers
    """

    def __init__(
        self,
        node: Node,
        view: PackView,
        *,
        faults: frozenset[str] = frozenset(),
        bitrate: int = 500_000,
        fd: bool = False,
        bus_load: float = 0.0,
    ) -> None:
        self.node = node
        self.bitrate = bitrate
        self.fd = fd
        self.n_lost = 0
        """Frames of the device that the adapter missed."""
        self._view = view
        self._faults = faults
        self._mark = Schedule(
            [Broadcast(SIMULATED_ID, _MARK_PERIOD_S, lambda n: SIMULATED_DATA)]
        )
        self._schedule = Schedule(node.broadcasts)
        own_hz = sum(1 / b.period_s for b in node.broadcasts)
        self._filler_hz = max(0.0, bus_load * FULL_LOAD_HZ - own_hz)
        self._filled_s = 0.0
        self._n_filled = 0
        self._count = 0

    def take(self, frame: BusFrame, now_s: float) -> list[BusFrame]:
        """Take a frame of the host; return what follows at once."""
        self._view.now_s = now_s
        answers = self.node.take(frame, now_s)
        return self._through(answers, now_s)

    def due(self, now_s: float) -> list[BusFrame]:
        """Return what crosses the bus by now."""
        self._view.now_s = now_s
        heard = self.node.awake(now_s) and not self._silent(now_s)
        own = [*self._schedule.due(now_s, heard=heard), *self.node.due(now_s)]
        return [
            *self._mark.due(now_s),
            *self._through(own, now_s),
            *self._filler(now_s),
        ]

    def _silent(self, now_s: float) -> bool:
        return "silence" in self._faults and now_s >= SILENT_AFTER_S

    def _through(self, frames: Sequence[BusFrame], now_s: float) -> list[BusFrame]:
        if self._silent(now_s):
            return []
        if not self._faults & {"dropped_frames", "corrupted_frames"}:
            return list(frames)
        left = []
        for frame in frames:
            self._count += 1
            if self._count % 4:
                left.append(frame)
            elif "dropped_frames" in self._faults:
                self.n_lost += 1
            else:
                left.append(_corrupted(frame))
        return left

    def _filler(self, now_s: float) -> list[BusFrame]:
        if not self._filler_hz:
            return []
        self._filled_s = max(self._filled_s, now_s - _BEHIND_S)
        count = int((now_s - self._filled_s) * self._filler_hz)
        self._filled_s += count / self._filler_hz
        first, self._n_filled = self._n_filled, self._n_filled + count
        return [
            BusFrame(FILLER_ID, (n & 0xFFFFFFFF).to_bytes(4, "big") + b"FILL")
            for n in range(first, first + count)
        ]


def _corrupted(frame: BusFrame) -> BusFrame:
    # Where the message has a checksum of its own, that is made wrong. Elsewhere a
    # turned bit of the data could not be noticed by anybody, and on a real bus CAN's
    # own checksum catches it: what remains is the line between adapter and host.
    if not frame.has_crc:
        return replace(frame, damaged=True)
    return replace(frame, data=frame.data[:-1] + bytes([frame.data[-1] ^ 0x10]))
