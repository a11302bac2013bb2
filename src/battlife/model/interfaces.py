"""The interfaces between the layers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from battlife.model.estimate import Estimate
from battlife.model.frame import Frame
from battlife.model.pack import Pack
from battlife.model.provenance import Notice
from battlife.model.reading import Reading, Rejected, Value
from battlife.model.request import Request

if TYPE_CHECKING:  # NumPy comes with it, which a rig script does not need
    from battlife.model.trace import Trace


class Reader(Protocol):
    """Reads one foreign log format into Traces."""

    @property
    def name(self) -> str:
        """Name of the format, as `--format` takes it."""
        ...

    @property
    def description(self) -> str:
        """One line on the format."""
        ...

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the first 4 KiB and the file name look like this format."""
        ...

    def read(self, path: Path) -> "Sequence[Trace]":
        """Read a whole file, one Trace per unit.

        Raises
        ------
        InputError
            The file cannot be read as this format, or not at all.
        """
        ...


class Estimator(Protocol):
    """Turns a Trace and the identity of its unit into Estimates."""

    def estimate(self, trace: "Trace", pack: Pack) -> Sequence[Estimate]:
        """Return one Estimate per part of the trace it applies to.

        Refused parts are in the sequence with their reasons.

        Raises
        ------
        EstimateError
            The trace cannot support any estimate of this kind.
        """
        ...


class FrameLog(Protocol):
    """The frames of one bus log, read once, front to back, in bounded memory."""

    @property
    def start_utc(self) -> datetime | None:
        """Moment of time_s = 0, timezone-aware, None if the log does not say."""
        ...

    @property
    def notices(self) -> Sequence[Notice]:
        """What is odd about the log; complete once the frames were read."""
        ...

    def __iter__(self) -> Iterator[Frame]: ...


class FrameReader(Protocol):
    """Reads one foreign bus-log format into Frames."""

    @property
    def name(self) -> str:
        """Name of the format, as `--format` takes it."""
        ...

    @property
    def description(self) -> str:
        """One line on the format."""
        ...

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the first 4 KiB and the file name look like this format."""
        ...

    def frames(self, path: Path) -> FrameLog:
        """Open a log; its frames come as they are asked for.

        Raises
        ------
        InputError
            The file cannot be read as this format, here or while iterating.
        """
        ...


class Driver(Protocol):
    """A way to move bytes to and from hardware.

    Every method raises HardwareError if the channel cannot be opened or went away.
    """

    @property
    def channel(self) -> str:
        """Name of the channel, as in its frames."""
        ...

    @property
    def n_lost(self) -> int:
        """Frames the transport reported or proved lost since it was opened."""
        ...

    def open(self) -> None:
        """Open the channel; opening an open one does nothing."""
        ...

    def send(self, frame: Frame) -> Frame:
        """Send a frame and return it with the time it left."""
        ...

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame, None if nothing came within `timeout_s`."""
        ...

    def close(self) -> None:
        """Close the channel; closing a closed one does nothing."""
        ...


class Decoder(Protocol):
    """Turns the frames of one channel into readings, in order, without hardware.

    The same frames in give the same readings out. It survives fragments, echoes of
    what was sent, junk, and answers of several devices between each other, and holds
    a bounded number of bytes.
    """

    def feed(self, frame: Frame) -> Iterable[Reading | Rejected]:
        """Take the next frame; return what it completes."""
        ...

    def finish(self) -> Iterable[Reading | Rejected]:
        """Return what the end of the frames leaves complete or cut off."""
        ...


class WireProtocol(Protocol):
    """What one device family says: what may be sent, and what its answers mean.

    An instance belongs to one device (an address, a DBC file); it has no state.
    """

    @property
    def name(self) -> str:
        """Name, as in PROTOCOL@CHANNEL."""
        ...

    @property
    def description(self) -> str:
        """One line on the device family."""
        ...

    @property
    def medium(self) -> Literal["serial", "can"]:
        """What carries it."""
        ...

    @property
    def device(self) -> str:
        """`Reading.device` of this device's readings; "" where a channel has one."""
        ...

    @property
    def bauds(self) -> Sequence[int]:
        """Baud rates of a serial line or bit rates of a bus, the usual one first."""
        ...

    @property
    def permitted(self) -> Sequence[Request]:
        """Everything that may ever be sent to the device; nothing else leaves."""
        ...

    @property
    def probes(self) -> Sequence[Request]:
        """Requests that ask whether such a device is there; all of Allow.READ."""
        ...

    @property
    def signature(self) -> Sequence[str]:
        """Messages which, all heard without asking, tell the device; () if none."""
        ...

    @property
    def keep_alive(self) -> Sequence[Request]:
        """Frames of Allow.WAKE sent in turn, one each `keep_alive_s`, for ever."""
        ...

    @property
    def keep_alive_s(self) -> float:
        """Period of the keep-alive frames in s."""
        ...

    @property
    def clear_faults(self) -> Sequence[Request]:
        """Requests of Allow.WRITE that clear the fault codes; () if there are none."""
        ...

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle, given what is known of the device."""
        ...

    def decoder(self) -> Decoder:
        """Return a decoder that has heard nothing yet."""
        ...
