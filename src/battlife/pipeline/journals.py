"""What the journal of a recording says: its frames, readings and traces.

The same bytes give the same traces, on the day of the recording and from the copy that
an archive embeds.
"""

import base64
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

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
    Notice,
    Pack,
    Provenance,
    Reading,
    Rejected,
    Severity,
    Source,
    Trace,
    WireProtocol,
    is_simulated,
)
from battlife.wire.align import align, numbers

READER: Final = "journal"
"""Name of the reader of an archive's source that is a journal."""
ROUNDS: Final = 3
"""A value is too old for a grid sample after this many periods of its device."""
MAX_EVENTS: Final = 1000
CLOCK_STEP_S: Final = 1.0
"""UTC that parts from the monotonic clock by more was set meanwhile."""


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


@dataclass(frozen=True)
class RecordedUnit:
    """One unit of a recording."""

    trace: Trace
    pack: Pack


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
            for key, content in entry["files"].items():
                # The name in the header is a stranger's: it never becomes a path.
                path = folder / f"{number}-{key.encode().hex()}.dbc"
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


def summarise(path: Path, folder: Path) -> Summary:
    """Go through a journal once and return what it holds besides values."""
    reader = JournalReader(path)
    header = header_of(reader)
    devices = devices_of(header, folder)
    channels = channels_of(header)
    replay = Replay(devices, channels)
    found = Summary()
    marks = MarkFinder(channels)
    start_ns = _start_ns(header)

    def take(items: Iterator[tuple[str, Reading | Rejected]]) -> None:
        for name, item in items:
            if isinstance(item, Reading):
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


def units_of(
    path: Path, folder: Path, *, sources: tuple[Source, ...] = ()
) -> tuple[list[RecordedUnit], Summary]:
    """Return the units of a journal, and what else it holds.

    Of several devices of one unit, the first in the rig's order gives a quantity.

    Parameters
    ----------
    path : the journal
    folder : where columns and files of protocols are kept while they are used
    sources : what the provenance of the traces names
    """
    summary = summarise(path, folder)
    header = header_of(JournalReader(path))
    devices = devices_of(header, folder)
    start_utc = datetime.fromtimestamp(_start_ns(header)[1] / 1e9, UTC)
    found = []
    for unit_id in dict.fromkeys(d.unit_id for d in devices):
        mine = [d for d in devices if d.unit_id == unit_id]
        provenance = Provenance(
            sources=sources,
            header=_header_texts(header),
            notices=_notices(summary, mine),
            rig=str(header.get("rig", "")),
            calibration=str(header.get("calibration", "")),
            simulated=summary.simulated,
        )
        readings, shared = _of_unit(path, folder, mine, summary)
        if shared:
            provenance = provenance.with_notices(shared)
        trace = _trace(readings, unit_id, start_utc, mine, provenance, folder)
        found.append(RecordedUnit(trace, _pack(trace)))
    return found, summary


def _of_unit(
    path: Path, folder: Path, devices: list[JournalDevice], summary: Summary
) -> tuple[Callable[[], Iterator[Reading]], Notice | None]:
    owner: dict[str, str] = {}
    twice: set[str] = set()
    for device in devices:
        for column in sorted(summary.gives.get(device.name, ())):
            if owner.setdefault(column, device.name) != device.name:
                twice.add(column)
    names = {d.name for d in devices}

    def readings() -> Iterator[Reading]:
        for name, item in readings_of(path, folder):
            if name not in names or isinstance(item, Rejected):
                continue
            if twice:
                kept = {
                    key: value
                    for key, value in item.values.items()
                    if all(owner[column] == name for column in numbers({key: value}))
                }
                yield dataclasses.replace(item, values=kept)
            else:
                yield item

    notice = None
    if twice:
        told = ", ".join(f"{c} from {owner[c]}" for c in sorted(twice))
        notice = Notice(
            "several_devices", f"several devices give the same: {told}", Severity.INFO
        )
    return readings, notice


def _trace(
    readings: Callable[[], Iterator[Reading]],
    unit_id: str,
    start_utc: datetime,
    devices: list[JournalDevice],
    provenance: Provenance,
    folder: Path,
) -> Trace:
    periods = [d.period_s for d in devices]
    if next((True for r in readings() if numbers(r.values)), False):
        return align(
            readings,
            unit_id=unit_id,
            start_utc=start_utc,
            period_s=min(periods),
            max_age_s=ROUNDS * max(periods),
            provenance=provenance,
            folder=folder,
        )
    return Trace(
        unit_id=unit_id,
        start_utc=start_utc,
        time_s=np.empty(0),
        segment_start=np.zeros(1, np.int64),
        columns={},
        provenance=provenance.with_notices(
            Notice("no_values", "no message of its devices carries a number")
        ),
    )


def _pack(trace: Trace) -> Pack:
    design = trace.provenance.header.get("vendor.design_capacity_ah")
    if design is None:
        return Pack(trace.unit_id)
    return Pack(trace.unit_id, nominal_ah=float(design), nominal_source="bms")


def _header_texts(header: Mapping[str, Any]) -> dict[str, str]:
    texts = {}
    if operator := str(header.get("operator", "")):
        texts["operator"] = operator
    if rig := str(header.get("rig", "")):
        texts["instrument"] = rig
    return texts


def _notices(summary: Summary, devices: list[JournalDevice]) -> tuple[Notice, ...]:
    """Return what is odd about a recording, for the unit of these devices."""
    told = []
    if not summary.ended:
        text = "the recording was interrupted"
        if summary.tail_bytes:
            text += f"; {summary.tail_bytes} bytes of an unfinished block are not used"
        told.append(Notice("interrupted", text))
    if abs(summary.clock_step_s) > CLOCK_STEP_S:
        told.append(
            Notice(
                "clock_set",
                f"the wall clock was set by {summary.clock_step_s:+.1f} s meanwhile; "
                "times count from the start",
            )
        )
    names = {d.name for d in devices}
    channels = {d.channel for d in devices}
    gaps: dict[str, list[float]] = {}
    for event in summary.events:
        kind = event.get("event")
        if kind == "gap" and event.get("channel") in channels:
            gaps.setdefault(str(event["channel"]), []).append(_seconds(event))
        elif kind == "alarm" and event.get("device") in names:
            if event.get("ended_s") is None:
                told.append(
                    Notice(
                        f"alarm_{event.get('code', '')}",
                        f"at {_seconds(event):.3f} s: {event.get('message', '')}",
                    )
                )
    for channel, times in gaps.items():
        told.append(
            Notice(
                "gap",
                f"{channel} went away {len(times)} times, first at {times[0]:.3f} s",
            )
        )
    for channel in sorted(channels & set(summary.lost)):
        count = summary.lost[channel]
        told.append(Notice("frames_lost", f"{channel} lost {count} frames"))
    for name in sorted(names & set(summary.timeouts)):
        count = summary.timeouts[name]
        told.append(Notice("timeouts", f"{name} did not answer {count} times"))
    for name in sorted(names & set(summary.rejected)):
        told.append(
            Notice(
                "rejected",
                f"{name}: {summary.rejected[name]} messages were not right and "
                "are not used",
            )
        )
    if summary.n_events > len(summary.events):
        more = summary.n_events - len(summary.events)
        told.append(Notice("more_events", f"{more} more events are in the journal"))
    return tuple(told)


def _counts(facts: Mapping[str, Any], key: str) -> dict[str, int]:
    counts = facts.get(key)
    if not isinstance(counts, dict):
        return {}
    return {str(k): v for k, v in counts.items() if isinstance(v, int) and v > 0}


def _seconds(event: Mapping[str, Any]) -> float:
    value = event.get("time_s", event.get("started_s"))
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _start_ns(header: Mapping[str, Any]) -> tuple[int, int]:
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
