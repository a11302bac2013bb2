"""The units of a recording: traces from its journal, with what is odd about it."""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from battlife.archive.journal import JournalReader, header_of
from battlife.model import (
    Notice,
    Pack,
    Provenance,
    Reading,
    Severity,
    Source,
    Trace,
)
from battlife.pipeline.journals import (
    JournalDevice,
    Summary,
    devices_of,
    start_ns_of,
    summarise,
)
from battlife.pipeline.spool import Spool
from battlife.wire.align import align, numbers

ROUNDS: Final = 3
"""A value is too old for a grid sample after this many periods of its device."""
CLOCK_STEP_S: Final = 1.0
"""UTC that parts from the monotonic clock by more was set meanwhile."""


@dataclass(frozen=True)
class RecordedUnit:
    """One unit of a recording."""

    trace: Trace
    pack: Pack


def units_of(
    path: Path, folder: Path, *, sources: tuple[Source, ...] = ()
) -> tuple[list[RecordedUnit], Summary]:
    """Return the units of a journal, and what else it holds.

    The journal is decoded once, whatever the number of its units; memory stays flat.
    Of several devices of one unit, the first in the rig's order gives a quantity.

    Parameters
    ----------
    path : the journal
    folder : where readings, columns and files of protocols are kept while they are
        used
    sources : what the provenance of the traces names
    """
    header = header_of(JournalReader(path))
    devices = devices_of(header, folder)
    unit_of = {d.name: d.unit_id for d in devices}
    with ExitStack() as files:
        spools = {
            unit_id: files.enter_context(Spool(folder))
            for unit_id in dict.fromkeys(unit_of.values())
        }
        summary = summarise(
            path, folder, lambda name, reading: spools[unit_of[name]].put(name, reading)
        )
        return [
            _unit(
                [d for d in devices if d.unit_id == unit_id],
                header,
                spool,
                summary,
                sources,
                folder,
            )
            for unit_id, spool in spools.items()
        ], summary


def _unit(
    devices: list[JournalDevice],
    header: Mapping[str, Any],
    spool: Spool,
    summary: Summary,
    sources: tuple[Source, ...],
    folder: Path,
) -> RecordedUnit:
    unit_id = devices[0].unit_id
    notices = _notices(summary, devices)
    owner, twice = _owners(devices, summary)
    if twice:
        told = ", ".join(f"{c} from {owner[c]}" for c in sorted(twice))
        text = f"several devices give the same: {told}"
        notices += (Notice("several_devices", text, Severity.INFO),)
    provenance = Provenance(
        sources=sources,
        header=_header_texts(header),
        notices=notices,
        rig=str(header.get("rig", "")),
        calibration=str(header.get("calibration", "")),
        simulated=summary.simulated,
    )
    start_utc = datetime.fromtimestamp(start_ns_of(header)[1] / 1e9, UTC)

    def readings() -> Iterator[Reading]:
        for name, reading in spool:
            if not twice:
                yield reading
                continue
            kept = {
                key: value
                for key, value in reading.values.items()
                if all(owner[column] == name for column in numbers({key: value}))
            }
            yield dataclasses.replace(reading, values=kept)

    if owner:
        periods = [d.period_s for d in devices]
        trace = align(
            readings,
            unit_id=unit_id,
            start_utc=start_utc,
            period_s=min(periods),
            max_age_s=ROUNDS * max(periods),
            provenance=provenance,
            folder=folder,
        )
    else:
        nothing = Notice("no_values", "no message of its devices carries a number")
        trace = Trace(
            unit_id=unit_id,
            start_utc=start_utc,
            time_s=np.empty(0),
            segment_start=np.zeros(1, np.int64),
            columns={},
            provenance=provenance.with_notices(nothing),
        )
    return RecordedUnit(trace, _pack(trace))


def _owners(
    devices: list[JournalDevice], summary: Summary
) -> tuple[dict[str, str], set[str]]:
    """Return which device gives each column, and which columns several give."""
    owner: dict[str, str] = {}
    twice: set[str] = set()
    for device in devices:
        for column in sorted(summary.gives.get(device.name, ())):
            if owner.setdefault(column, device.name) != device.name:
                twice.add(column)
    return owner, twice


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


def _seconds(event: Mapping[str, Any]) -> float:
    value = event.get("time_s", event.get("started_s"))
    return float(value) if isinstance(value, (int, float)) else float("nan")
