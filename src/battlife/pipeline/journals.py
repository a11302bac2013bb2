"""What the journal of a recording says: its frames, readings and traces.

The same bytes give the same traces, on the day of the recording and from the copy that
an archive embeds.
"""

import base64
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from battlife import wire
from battlife.archive import Archive
from battlife.archive.journal import (
    Block,
    BlockKind,
    JournalReader,
    frames_of,
    header_of,
)
from battlife.errors import ArchiveError, InputError
from battlife.model import (
    SIMULATED_LINE,
    Frame,
    Reading,
    Rejected,
    WireProtocol,
    is_simulated,
)
from battlife.wire.align import numbers

READER: Final = "journal"
"""Name of the reader of an archive's source that is a journal."""
MAX_EVENTS: Final = 1000


@dataclass(frozen=True)
class JournalDevice:
    """One device of a recording.

    Attributes
    ----------
    name : in the rig
    unit_id : unit it measured
    period_s : s between two questions
    channel : as in the frames
    wire : its protocol
    """

    name: str
    unit_id: str
    period_s: float
    channel: str
    wire: WireProtocol


@dataclass
class Summary:
    """What one pass over a journal finds besides the values.

    Attributes
    ----------
    ended : True if the recording ended in order
    reason : why it ended, "" if a crash cut it off
    tail_bytes : bytes behind the last whole block, not used
    events : as the recorder wrote them, at most :data:`MAX_EVENTS`
    gives : names of columns by device
    rejected : messages that were not right, by device
    lost : frames lost by channel, as the drivers counted
    timeouts : questions without an answer, by device
    """

    ended: bool = False
    reason: str = ""
    tail_bytes: int = 0
    n_frames: int = 0
    n_events: int = 0
    duration_s: float = 0.0
    simulated: bool = False
    clock_step_s: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)
    gives: dict[str, set[str]] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    timeouts: dict[str, int] = field(default_factory=dict)

    def take_event(self, block: Block) -> None:
        """Keep an event, or the counts that one or the end carries."""
        facts = block.json()
        if block.kind is BlockKind.END:
            self.reason = str(facts.get("reason", ""))
        if block.kind is BlockKind.END or facts.get("event") == "counts":
            self.lost.update(_counts(facts, "lost"))
            self.timeouts.update(_counts(facts, "timeouts"))
            return
        self.n_events += 1
        if len(self.events) < MAX_EVENTS:
            self.events.append(facts)


def wire_facts(protocol: WireProtocol) -> dict[str, object]:
    """Return what a journal's header keeps of a protocol, files with their bytes."""
    options: dict[str, object] = {}
    files: dict[str, str] = {}
    if dataclasses.is_dataclass(protocol):
        for entry in dataclasses.fields(protocol):
            value = getattr(protocol, entry.name)
            if not entry.init or value is None:
                continue
            if isinstance(value, Path):
                options[entry.name] = value.name
                files[entry.name] = base64.b64encode(value.read_bytes()).decode()
            elif isinstance(value, (bool, int, float, str)):
                options[entry.name] = value
    return {"protocol": protocol.name, "options": options, "files": files}


def devices_of(header: Mapping[str, Any], folder: Path) -> list[JournalDevice]:
    """Return the devices of a journal.

    Parameters
    ----------
    header : of the journal
    folder : where files that a protocol needs (a DBC) are put

    Raises
    ------
    ArchiveError
        The header is not one that a recording writes.
    InputError
        A protocol is not known here.
    """
    found = []
    try:
        for number, entry in enumerate(header["devices"]):
            options: dict[str, object] = dict(entry["options"])
            for index, (key, content) in enumerate(entry["files"].items()):
                # The name in the header is a stranger's: it never becomes a path.
                path = folder / f"{number}-{index}.dbc"
                path.write_bytes(base64.b64decode(content, validate=True))
                options[key] = path
            found.append(
                JournalDevice(
                    name=str(entry["name"]),
                    unit_id=str(entry["unit_id"]),
                    period_s=float(entry["period_s"]),
                    channel=str(entry["channel"]),
                    wire=wire.protocol(str(entry["protocol"]), **options),
                )
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArchiveError(
            f"the header of the journal is not complete: {error!r}",
            "it was not written by battlife",
        ) from error
    if not found:
        raise ArchiveError("the journal names no device")
    return found


class Replay:
    """Decodes the blocks of a journal as they come.

    Parameters
    ----------
    devices : of the journal
    channels : of its header
    """

    def __init__(self, devices: list[JournalDevice], channels: list[str]) -> None:
        self._channels = channels
        self._decoders = [(d, d.wire.decoder()) for d in devices]
        self._by_channel: dict[str, list[Any]] = {}
        for pair in self._decoders:
            self._by_channel.setdefault(pair[0].channel, []).append(pair)

    def frames(self, block: Block) -> list[Frame]:
        """Return the frames of a block, none if it carries something else."""
        if block.kind is not BlockKind.FRAMES:
            return []
        return frames_of(block, self._channels)

    def feed(self, frame: Frame) -> Iterator[tuple[str, Reading | Rejected]]:
        """Yield what a frame completes, with the name of the device."""
        for device, decoder in self._by_channel.get(frame.channel, ()):
            for item in decoder.feed(frame):
                if self._belongs(item, device):
                    yield device.name, item

    def finish(self) -> Iterator[tuple[str, Reading | Rejected]]:
        """Yield what the end of the frames leaves."""
        for device, decoder in self._decoders:
            for item in decoder.finish():
                if self._belongs(item, device):
                    yield device.name, item

    def _belongs(self, item: Reading | Rejected, device: JournalDevice) -> bool:
        """Return whether an item of a shared channel is about this device."""
        if item.device and device.wire.device:
            return item.device == device.wire.device
        if isinstance(item, Reading):
            return True
        # Every decoder of a protocol sees the same bad bytes: they count once.
        alike = [
            d
            for d, _ in self._by_channel[device.channel]
            if d.wire.name == device.wire.name
        ]
        return alike[0] is device


def readings_of(path: Path, folder: Path) -> Iterator[tuple[str, Reading | Rejected]]:
    """Yield everything a journal's devices said, in order.

    Parameters
    ----------
    path : the journal
    folder : for files that a protocol needs

    Raises
    ------
    InputError, ArchiveError
        It cannot be read, or was not written by battlife.
    """
    reader = JournalReader(path)
    header = header_of(reader)
    replay = Replay(devices_of(header, folder), channels_of(header))
    for block in reader.blocks():
        for frame in replay.frames(block):
            yield from replay.feed(frame)
    yield from replay.finish()


def channels_of(header: Mapping[str, Any]) -> list[str]:
    """Return the channels of a journal's header."""
    channels = header.get("channels")
    if not isinstance(channels, list):
        raise ArchiveError("the journal names no channels")
    return [str(c) for c in channels]


def summarise(
    path: Path, folder: Path, keep: Callable[[str, Reading], None]
) -> Summary:
    """Go through a journal once and return what it holds besides values.

    Parameters
    ----------
    path : the journal
    folder : for files that a protocol needs
    keep : takes each reading with the name of its device

    Raises
    ------
    InputError, ArchiveError
        It cannot be read, or was not written by battlife.
    """
    reader = JournalReader(path)
    header = header_of(reader)
    devices = devices_of(header, folder)
    channels = channels_of(header)
    replay = Replay(devices, channels)
    found = Summary()
    marks = MarkFinder(channels)
    start_ns = start_ns_of(header)

    def take(items: Iterator[tuple[str, Reading | Rejected]]) -> None:
        for name, item in items:
            if isinstance(item, Reading):
                keep(name, item)
                found.gives.setdefault(name, set()).update(numbers(item.values))
            else:
                found.rejected[name] = found.rejected.get(name, 0) + 1

    for block in reader.blocks():
        elapsed_s = (block.monotonic_ns - start_ns[0]) / 1e9
        step_s = (block.utc_ns - start_ns[1]) / 1e9 - elapsed_s
        if abs(step_s) > abs(found.clock_step_s):
            found.clock_step_s = step_s
        found.duration_s = max(found.duration_s, elapsed_s)
        if block.kind in (BlockKind.EVENT, BlockKind.END):
            found.take_event(block)
        for frame in replay.frames(block):
            found.n_frames += 1
            marks.feed(frame)
            take(replay.feed(frame))
    take(replay.finish())
    found.ended, found.tail_bytes = reader.ended, reader.tail_bytes
    found.simulated = marks.found or bool(header.get("simulated"))
    return found


class MarkFinder:
    """Looks for the mark of simulated devices, also over the edges of frames."""

    def __init__(self, channels: list[str]) -> None:
        self.found = False
        self._tail = dict.fromkeys(channels, b"")

    def feed(self, frame: Frame) -> None:
        """Take the next frame."""
        if self.found:
            return
        if frame.identifier is not None:
            self.found = is_simulated(frame)
        elif frame.direction == "rx":
            text = self._tail.get(frame.channel, b"") + frame.data
            self.found = SIMULATED_LINE.rstrip() in text
            self._tail[frame.channel] = text[-len(SIMULATED_LINE) :]


def _counts(facts: Mapping[str, Any], key: str) -> dict[str, int]:
    counts = facts.get(key)
    if not isinstance(counts, dict):
        return {}
    return {str(k): v for k, v in counts.items() if isinstance(v, int) and v > 0}


def start_ns_of(header: Mapping[str, Any]) -> tuple[int, int]:
    """Return when a journal began: monotonic and UTC, in ns."""
    try:
        return int(header["start_monotonic_ns"]), int(header["start_utc_ns"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArchiveError("the journal does not say when it began") from error


def extracted(archive: Archive, folder: Path) -> Path:
    """Return the journal that an open archive embeds, written into `folder`.

    Raises
    ------
    InputError
        The archive was not made from a recording.
    """
    for index, source in enumerate(archive.sources):
        if source.reader == READER:
            path = folder / f"source-{index}.journal"
            archive.extract_source(index, path)
            return path
    raise InputError(f"{archive.path}: was not made from a recording")
