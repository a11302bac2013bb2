"""Turn a journal into the sealed archive; the journal goes only after that holds."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from battlife.archive import (
    ArchivedSource,
    ArchivedUnit,
    Evaluation,
    open_archive,
    verify_archive,
    write_archive,
)
from battlife.archive.journal import JournalReader, header_of
from battlife.archive.keys import load_or_create_key
from battlife.archive.locking import lock_file
from battlife.errors import ArchiveError, InputError
from battlife.model import Notice, Source
from battlife.pipeline.journal_units import RecordedUnit, units_of
from battlife.pipeline.journals import READER, Summary
from battlife.pipeline.software import software_versions
from battlife.recording.alarms import Alarm


@dataclass(frozen=True)
class Recorded:
    """A recording that is sealed.

    Attributes
    ----------
    output : the archive
    units : ids of the units in it
    n_frames, n_lost, n_rejected, n_timeouts : counts of the whole recording
    n_samples : grid samples of all units
    duration_s : s from the start to the last block
    alarms : each at its latest state; at most 10,000
    simulated : True if a byte of it came from a simulated device
    reason : why it ended: "duration", "stopped", "interrupted" (Ctrl-C), "failed"
        (every channel for good), "" if a crash cut it off
    tail_bytes : bytes of an unfinished block that a crash left, not used
    notices : what is odd about it
    """

    output: Path
    units: tuple[str, ...]
    n_frames: int
    n_lost: int
    n_rejected: int
    n_timeouts: int
    n_samples: int
    duration_s: float
    alarms: tuple[Alarm, ...]
    simulated: bool
    reason: str
    tail_bytes: int
    notices: tuple[Notice, ...]


def seal(
    journal: Path,
    out: Path,
    *,
    operator: str = "",
    alarms: tuple[Alarm, ...] | None = None,
) -> Recorded:
    """Write the archive of a journal, verify it, and remove the journal.

    May be called again after a crash at any point: an archive that already embeds this
    journal is kept, and the journal removed.

    Parameters
    ----------
    journal : of a recording that ended or was interrupted
    out : the archive
    operator : who seals it, "" for whom the journal names
    alarms : of the recording; None takes them from the journal

    Raises
    ------
    InputError
        The journal is being written, `out` is something else, or the disk is full.
    ArchiveError
        No journal, or the archive does not verify.
    """
    with _only_writer(journal):
        header = header_of(JournalReader(journal))
        with journal.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = journal.stat().st_size
        operator = operator or str(header.get("operator", ""))
        source = Source(journal.name, digest, size, READER)
        with _beside(out) as folder:
            units, summary = units_of(journal, folder, sources=(source,))
            if out.exists():
                _require_same(out, digest)
            else:
                _write(journal, out, digest, units, operator)
            recorded = _recorded(out, units, summary, alarms)
        _verify(out)
    # Windows removes no open file; a second `recover` in between does no harm.
    _remove(journal)
    return recorded


def _write(
    journal: Path,
    out: Path,
    digest: str,
    units: list[RecordedUnit],
    operator: str,
) -> None:
    write_archive(
        out,
        [ArchivedSource(journal, digest, journal.name, READER)],
        [ArchivedUnit(u.trace, u.pack) for u in units],
        [
            Evaluation(
                unit_id=u.trace.unit_id,
                estimates=(),
                grade=None,
                operator=operator,
                reason="record",
                created_utc=datetime.now(UTC),
                software=software_versions(),
                inputs={},
            )
            for u in units
        ],
        key=load_or_create_key(),
        ledger=False,
    )


def _recorded(
    out: Path,
    units: list[RecordedUnit],
    summary: Summary,
    alarms: tuple[Alarm, ...] | None,
) -> Recorded:
    notices = dict.fromkeys(n for u in units for n in u.trace.provenance.notices)
    return Recorded(
        output=out,
        units=tuple(u.trace.unit_id for u in units),
        n_frames=summary.n_frames,
        n_lost=sum(summary.lost.values()),
        n_rejected=sum(summary.rejected.values()),
        n_timeouts=sum(summary.timeouts.values()),
        n_samples=sum(u.trace.n_samples for u in units),
        duration_s=summary.duration_s,
        alarms=_alarms(summary) if alarms is None else alarms,
        simulated=summary.simulated,
        reason=summary.reason,
        tail_bytes=summary.tail_bytes,
        notices=tuple(notices),
    )


def _alarms(summary: Summary) -> tuple[Alarm, ...]:
    """Return the alarms that a journal's events tell, each at its latest state."""
    found: dict[tuple[object, ...], Alarm] = {}
    nan = float("nan")
    for event in summary.events:
        if event.get("event") != "alarm":
            continue
        ended = event.get("ended_s")
        alarm = Alarm(
            code=str(event.get("code", "")),
            device=str(event.get("device", "")),
            unit_id=str(event.get("unit_id", "")),
            which=str(event.get("which", "")),
            value=_number(event.get("value"), nan),
            limit=_number(event.get("limit"), nan),
            unit=str(event.get("unit", "")),
            started_s=_number(event.get("started_s"), nan),
            ended_s=None if ended is None else _number(ended, nan),
        )
        found[alarm.device, alarm.code, alarm.which, alarm.started_s] = alarm
    return tuple(found.values())


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) else default


def _require_same(out: Path, digest: str) -> None:
    """Refuse to touch an output that is not the archive of this very journal."""
    try:
        with open_archive(out) as archive:
            same = any(s.sha256 == digest and s.embedded for s in archive.sources)
    except ArchiveError:
        same = False
    if not same:
        raise InputError(
            f"{out}: exists already and is not the archive of this journal",
            "choose another name; the journal stays as it is",
        )


def _verify(out: Path) -> None:
    found = verify_archive(out, {})
    if found.integrity != "intact":
        told = "; ".join(n.message for n in found.findings)
        raise ArchiveError(
            f"{out}: does not verify after it was written: {told}",
            "the journal is kept: look at the disk, then `battlife recover`",
        )


def _remove(journal: Path) -> None:
    try:
        journal.unlink()
    except OSError as error:
        raise InputError(
            f"{journal}: cannot be removed: {error.strerror or error}",
            "the archive is whole; the journal may be removed by hand",
        ) from error


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """Give a folder for what is too large for the memory, on the disk of `out`."""
    try:
        with tempfile.TemporaryDirectory(
            prefix=f".{out.name}.", dir=out.parent, ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)
    except OSError as error:
        raise InputError(
            f"{out}: cannot be written: {error.strerror or error}",
            "the journal is kept: make room or choose another -o, then `battlife "
            "recover`",
        ) from error


@contextmanager
def _only_writer(journal: Path) -> Iterator[None]:
    """Hold the journal's lock, so that nobody seals a recording that runs."""
    try:
        descriptor = os.open(journal, os.O_RDWR | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise InputError(
            f"{journal}: {error.strerror or error}", "check the path"
        ) from error
    try:
        lock_file(descriptor, journal)
        yield
    finally:
        os.close(descriptor)
