"""A device family and channels that do what a test says; no transport behind them."""

import struct
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from battlife.errors import HardwareError, ProtocolError
from battlife.model import Frame, Reading, Rejected, Request, Value, WireProtocol
from battlife.recording.lines import Line, LineDevice, LineStep
from battlife.recording.rig import RigDevice

CELLS_ID = 0x100
STATE_ID = 0x101
COUNT_ID = 0x102


def cells_frame(time_s: float, *volts: float, channel: str = "can0") -> Frame:
    """Return four cells in mV, big-endian."""
    data = struct.pack(">4H", *(round(v * 1000) for v in volts))
    return Frame(time_s, channel, "rx", data, CELLS_ID)


def state_frame(
    time_s: float, current_a: float, degc: int, channel: str = "can0"
) -> Frame:
    data = struct.pack(">hb", round(current_a * 10), degc)
    return Frame(time_s, channel, "rx", data, STATE_ID)


def count_frame(time_s: float, number: int, channel: str = "can0") -> Frame:
    """Return a frame with a running number, to see whether one is missing."""
    return Frame(time_s, channel, "rx", struct.pack(">Q", number), COUNT_ID)


@dataclass
class _Decoder:
    def feed(self, frame: Frame) -> Iterable[Reading | Rejected]:
        if frame.identifier == CELLS_ID:
            if len(frame.data) != 8:
                error = ProtocolError("cells: 8 bytes expected", "check the cable")
                return [Rejected(frame.time_s, "", error, frame.data, "cells")]
            volts = tuple(v / 1000 for v in struct.unpack(">4H", frame.data))
            return [
                Reading(
                    frame.time_s, "", "cells", {"cell_voltage_v": volts}, frame.data
                )
            ]
        if frame.identifier == STATE_ID:
            current, degc = struct.unpack(">hb", frame.data)
            values: dict[str, Value] = {
                "current_a": current / 10,
                "temperature_degc": (float(degc),),
                "design_capacity_ah": 50.0,
            }
            return [Reading(frame.time_s, "", "state", values, frame.data)]
        return []

    def finish(self) -> Iterable[Reading | Rejected]:
        return []


@dataclass(frozen=True)
class Scripted:
    """The device family of the frames above."""

    name: str = field(default="scripted", init=False)
    description: str = field(default="a test's own", init=False)
    medium: str = field(default="can", init=False)
    device: str = field(default="", init=False)
    bauds: Sequence[int] = field(default=(500_000,), init=False)
    permitted: Sequence[Request] = field(default=(), init=False)
    probes: Sequence[Request] = field(default=(), init=False)
    signature: Sequence[str] = field(default=(), init=False)
    keep_alive: Sequence[Request] = field(default=(), init=False)
    keep_alive_s: float = field(default=1.0, init=False)
    clear_faults: Sequence[Request] = field(default=(), init=False)

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        return ()

    def decoder(self) -> _Decoder:
        return _Decoder()


def scripted_protocol(name: str, **options: object) -> WireProtocol:
    """Stand in for battlife.wire.protocol."""
    assert name == "scripted" and not options
    return Scripted()


class ScriptedLine:
    """A channel that gives what `script` gives; an error in it is raised.

    Parameters
    ----------
    channel : name
    devices : names in the rig of the devices on it
    script : of runs of frames, errors, or functions called in the channel's thread
    """

    def __init__(
        self,
        channel: str,
        devices: Sequence[str],
        script: Iterable[Sequence[Frame] | HardwareError | Callable[[], None]],
    ) -> None:
        self.channel = channel
        self.n_lost = 0
        self.n_opened = 0
        self._script = iter(script)
        self._decoders = [(name, _Decoder()) for name in devices]
        self._waiting: deque[Frame] = deque()

    def open(self) -> None:
        self.n_opened += 1

    def close(self) -> None:
        pass

    def release(self) -> LineStep:
        return LineStep()

    def step(self, timeout_s: float) -> LineStep:
        item = next(self._script, ())
        if isinstance(item, HardwareError):
            raise item
        if callable(item):
            item()
            return LineStep()
        items = [
            (name, found)
            for frame in item
            for name, decoder in self._decoders
            for found in decoder.feed(frame)
        ]
        return LineStep(tuple(item), tuple(items))


def connected(
    lines: Sequence[ScriptedLine],
) -> Callable[
    [Sequence[RigDevice], bool, Callable[[], float]],
    tuple[Sequence[Line], Sequence[LineDevice]],
]:
    """Return a connect function that gives these lines, device by channel name."""

    def connect(
        devices: Sequence[RigDevice], wake: bool, clock: Callable[[], float]
    ) -> tuple[Sequence[Line], Sequence[LineDevice]]:
        found = [
            LineDevice(d, d.target.partition("@")[2].partition("?")[0], Scripted())
            for d in devices
        ]
        return lines, found

    return connect
