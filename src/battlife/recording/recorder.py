"""Record every device of a rig into a journal, then seal it.

One thread per channel moves bytes, decodes them and watches the limits, so that an
alarm never waits for the disk. One thread alone writes; it is never the calling one,
so that Ctrl-C cannot come between two halves of a block.
"""

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

from battlife.archive.journal import JournalWriter, journal_path
from battlife.errors import BattlifeError, HardwareError, InputError
from battlife.model import Frame, Reading, Value, merge
from battlife.pipeline.journals import MarkFinder
from battlife.recording.alarms import Alarm, AlarmWatch, Watched, as_facts
from battlife.recording.heading import journal_header
from battlife.recording.lines import Connect, Line, LineDevice, LineStep, rig_lines
from battlife.recording.programs import Programs
from battlife.recording.rig import Rig, unit_ids
from battlife.recording.sealing import Recorded, seal
from battlife.recording.status import Status

ACKNOWLEDGE_S: Final = 0.2
"""At most this much is lost by a power cut."""
STEP_S: Final = 0.05
UPDATE_S: Final = 0.2
TICK_S: Final = 0.1
REOPEN_S: Final = 1.0
COUNTS_S: Final = 60.0
QUEUE_STEPS: Final = 50_000
"""Steps that may wait for a disk that hangs; then a channel waits too."""
MAX_ALARMS: Final = 10_000


def record(
    rig: Rig,
    out: Path | str,
    *,
    unit: str | None = None,
    units: Mapping[str, str] | None = None,
    operator: str = "",
    duration_s: float | None = None,
    wake: bool = False,
    no_limits: bool = False,
    stop: Event | None = None,
    on_update: Callable[[Status], None] | None = None,
    on_alarm: Callable[[Alarm], None] | None = None,
    on_acknowledged: Callable[[int], None] | None = None,
    connect: Connect = rig_lines,
    clock: Callable[[], float] = time.monotonic,
    utc_ns: Callable[[], int] = time.time_ns,
) -> Recorded:
    """Record a rig until it is stopped, then seal the archive.

    A channel that goes away ends nothing: it is tried again each second, and the gap
    is in the record. Ctrl-C stops like `stop`: everything acknowledged is sealed.

    Parameters
    ----------
    rig : see :func:`battlife.recording.rig.read_rig`
    out : the archive, must not exist; the journal is kept beside it meanwhile
    unit : id of the unit under test
    units : ids by what rig.toml calls its units, where it names several
    operator : who records
    duration_s : s after which to stop, None for never
    wake : send frames that keep a battery awake
    no_limits : record although the rig has no limits
    stop : ends the recording when set
    on_update : called about five times a second, from the calling thread
    on_alarm : called when an alarm begins or ends, from the channel's thread, at once
    on_acknowledged : called with the number of frames that are safe
    connect : makes the channels, see :mod:`battlife.recording.lines`
    clock, utc_ns : monotonic s and ns since 1970

    Raises
    ------
    InputError
        No limits, a wrong unit id, an output that exists, a disk that is full. In the
        last case everything acknowledged is in the journal.
    HardwareError
        A channel cannot be opened at the start.
    """
    out = Path(out)
    ids = unit_ids(rig, unit, units or {})
    if not rig.limits.any and not no_limits:
        raise InputError(
            "the rig has no limits: nothing would raise an alarm",
            "write [limits] into rig.toml, or say --no-limits",
        )
    if duration_s is not None and not duration_s > 0:
        raise InputError(f"a duration must be above 0, not {duration_s:g} s")
    if out.exists():
        raise InputError(
            f"{out}: exists already; a recording never replaces anything",
            "choose another name",
        )
    start_s = clock()

    def now_s() -> float:
        return clock() - start_s

    lines, devices = connect(rig.devices, wake, now_s)
    run = _Run(rig, lines, devices, ids, clock, now_s, stop or Event(), on_alarm)
    try:
        for line in lines:
            line.open()
        # Opening a bus may take seconds, which are neither silence nor recorded.
        start_s, start_utc_ns = clock(), utc_ns()
        header = journal_header(
            rig, devices, ids, operator, wake, start_s, start_utc_ns
        )
        with JournalWriter(
            journal_path(out),
            header,
            monotonic_ns=int(start_s * 1e9),
            utc_ns=start_utc_ns,
        ) as journal:
            run.run(journal, utc_ns, duration_s, on_update, on_acknowledged)
    finally:
        run.close()
    return seal(journal_path(out), out, operator=operator, alarms=tuple(run.alarms))


@dataclass
class _Shared:
    """What the channels' threads and the writer share, under one lock."""

    values: dict[str, dict[str, Value]] = field(default_factory=dict)
    heard_s: dict[str, float] = field(default_factory=dict)
    timeouts: dict[str, int] = field(default_factory=dict)
    n_rejected: int = 0
    n_alarms: int = 0
    away: set[str] = field(default_factory=set)
    ticked_s: float = 0.0


class _Run:
    """One recording: its threads, its queue, its journal."""

    def __init__(
        self,
        rig: Rig,
        lines: Sequence[Line],
        devices: Sequence[LineDevice],
        ids: Mapping[str, str],
        clock: Callable[[], float],
        now_s: Callable[[], float],
        stop: Event,
        on_alarm: Callable[[Alarm], None] | None,
    ) -> None:
        self._lines = lines
        self._clock = clock
        self._now_s = now_s
        self._stop = stop
        self._on_alarm = on_alarm
        self._lock = Lock()
        self._shared = _Shared()
        self._queue: queue.Queue[Sequence[Frame] | Mapping[str, object]] = queue.Queue(
            QUEUE_STEPS
        )
        watched = [
            Watched(d.device.name, ids[d.device.name], d.device.period_s)
            for d in devices
        ]
        self._watch = AlarmWatch(rig.limits, watched)
        self._marks = MarkFinder([line.channel for line in lines])
        self._threads: list[Thread] = []
        self._counts: dict[str, object] = {}
        self._counted_s = 0.0
        self._halt = Event()
        self._alarmed = Event()
        self._written = Event()
        self._safe_s = 0.0
        self._reason = "stopped"
        self._error: BaseException | None = None
        self.alarms: list[Alarm] = []
        self._programs = Programs(rig.on_alarm, self._put_event)

    def run(
        self,
        journal: JournalWriter,
        utc_ns: Callable[[], int],
        duration_s: float | None,
        on_update: Callable[[Status], None] | None,
        on_acknowledged: Callable[[int], None] | None,
    ) -> None:
        """Keep what the channels give until the end, and write the end."""
        for line in self._lines:
            thread = Thread(target=self._serve, args=(line,), daemon=True)
            self._threads.append(thread)
            thread.start()
        writer = Thread(
            target=self._write,
            args=(journal, utc_ns, duration_s, on_acknowledged),
            name="journal",
        )
        writer.start()
        # Not writer.join(UPDATE_S): where Ctrl-C interrupts that, Python before 3.13
        # takes the thread for finished while it still writes (CPython issue 90882).
        while not self._written.is_set():
            try:
                self._written.wait(UPDATE_S)
                if on_update is not None:
                    on_update(self._status(journal))
            except KeyboardInterrupt:
                self._reason = "interrupted"
                self._stop.set()
            except BaseException:
                self._stop.set()
                self._written.wait()
                raise
        if self._error is not None:
            raise self._error

    def _write(
        self,
        journal: JournalWriter,
        utc_ns: Callable[[], int],
        duration_s: float | None,
        on_acknowledged: Callable[[int], None] | None,
    ) -> None:
        try:
            while not self._stop.is_set():
                if duration_s is not None and self._now_s() >= duration_s:
                    self._reason = "duration"
                    break
                if not any(thread.is_alive() for thread in self._threads):
                    self._reason = "failed"
                    break
                self._drain(journal, utc_ns, ACKNOWLEDGE_S)
                self._acknowledge(journal, utc_ns, on_acknowledged)
            self._halt.set()
            for thread in self._threads:
                while thread.is_alive():
                    thread.join(0.01)
                    self._drain(journal, utc_ns, 0.0)
            self._programs.close()
            self._drain(journal, utc_ns, 0.0)
            end = {
                "reason": self._reason,
                "duration_s": self._now_s(),
                **self._totals(),
            }
            journal.end(end, *self._moment(utc_ns))
            if on_acknowledged is not None:
                on_acknowledged(journal.n_acknowledged)
        except BaseException as error:
            # Handed to the calling thread, which raises it.
            self._error = error
        finally:
            self._written.set()

    def close(self) -> None:
        """Stop the threads and close the channels, whatever happened."""
        self._halt.set()
        for thread in self._threads:
            while thread.is_alive():
                # Nobody writes any more: a full queue must not hold a channel.
                self._discard()
                thread.join(0.05)
        self._programs.close()
        for line in self._lines:
            line.close()

    def _discard(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            return

    def _moment(self, utc_ns: Callable[[], int]) -> tuple[int, int]:
        return int(self._clock() * 1e9), utc_ns()

    def _drain(
        self, journal: JournalWriter, utc_ns: Callable[[], int], wait_s: float
    ) -> None:
        """Write what the channels gave, for at most `wait_s`."""
        until = time.monotonic() + wait_s
        while True:
            left_s = until - time.monotonic()
            try:
                item = self._queue.get(left_s > 0, max(left_s, 0.0) or None)
            except queue.Empty:
                return
            monotonic_ns, now_ns = self._moment(utc_ns)
            if isinstance(item, Mapping):
                journal.event(item, monotonic_ns, now_ns)
            else:
                journal.append(item, monotonic_ns, now_ns)
            if left_s <= 0 < wait_s:
                return

    def _acknowledge(
        self,
        journal: JournalWriter,
        utc_ns: Callable[[], int],
        on_acknowledged: Callable[[int], None] | None,
    ) -> None:
        now_s = self._now_s()
        monotonic_ns, now_ns = self._moment(utc_ns)
        if now_s - self._counted_s >= COUNTS_S:
            self._counted_s = now_s
            if (totals := self._totals()) != self._counts:
                self._counts = totals
                journal.event(
                    {"event": "counts", "time_s": now_s, **totals}, monotonic_ns, now_ns
                )
        before = journal.n_acknowledged
        safe = journal.acknowledge(monotonic_ns, now_ns)
        if on_acknowledged is not None and safe != before:
            on_acknowledged(safe)
        self._safe_s = now_s

    def _totals(self) -> dict[str, object]:
        with self._lock:
            return {
                "lost": {line.channel: line.n_lost for line in self._lines},
                "timeouts": dict(self._shared.timeouts),
            }

    def _status(self, journal: JournalWriter) -> Status:
        with self._lock:
            shared = self._shared
            return Status(
                time_s=self._now_s(),
                values={name: dict(v) for name, v in shared.values.items()},
                heard_s=dict(shared.heard_s),
                n_frames=journal.n_frames,
                n_acknowledged=journal.n_acknowledged,
                n_lost=sum(line.n_lost for line in self._lines),
                n_rejected=shared.n_rejected,
                n_timeouts=sum(shared.timeouts.values()),
                acknowledged_age_s=self._now_s() - self._safe_s,
                away=tuple(sorted(shared.away)),
                alarms=self._watch.active,
                n_alarms=shared.n_alarms,
                simulated=self._marks.found,
            )

    def _serve(self, line: Line) -> None:
        """Run one channel until the end; it may go away and come back."""
        try:
            released = False
            while not self._halt.is_set():
                try:
                    if self._alarmed.is_set() and not released:
                        released = True
                        self._take(line.release())
                    step = line.step(STEP_S)
                except HardwareError as error:
                    self._reopen(line, error)
                    continue
                self._take(step)
            self._take(line.release())
            line.close()  # some say only then what they lost, and the end counts it
        except BaseException as error:
            # A mistake of ours ends this channel and no other; the calling thread
            # raises it once the journal has its end.
            if not isinstance(error, BattlifeError):
                self._error = self._error or error
            with self._lock:
                self._shared.away.add(line.channel)
            facts = {"event": "gap", "channel": line.channel, "message": str(error)}
            self._put_event(facts)

    def _reopen(self, line: Line, error: HardwareError) -> None:
        channel = line.channel
        self._put_event({"event": "gap", "channel": channel, "message": error.message})
        with self._lock:
            self._shared.away.add(channel)
        while not self._halt.is_set():
            line.close()
            if self._wait(REOPEN_S):
                return
            try:
                line.open()
            except HardwareError:
                continue
            with self._lock:
                self._shared.away.discard(channel)
            self._put_event({"event": "back", "channel": channel})
            return

    def _wait(self, duration_s: float) -> bool:
        """Wait, watching the limits meanwhile; return whether it is the end."""
        until = time.monotonic() + duration_s
        while (left_s := until - time.monotonic()) > 0:
            if self._halt.wait(min(left_s, TICK_S)):
                return True
            self._take(LineStep())
        return False

    def _take(self, step: LineStep) -> None:
        changes: list[Alarm] = []
        now_s = self._now_s()
        with self._lock:
            shared = self._shared
            for name, item in step.items:
                if isinstance(item, Reading):
                    merge(shared.values.setdefault(name, {}), item.values)
                    shared.heard_s[name] = item.time_s
                    changes += self._watch.feed(name, item)
                else:
                    shared.n_rejected += 1
            for name in step.timeouts:
                shared.timeouts[name] = shared.timeouts.get(name, 0) + 1
            if now_s - shared.ticked_s >= TICK_S:
                shared.ticked_s = now_s
                changes += self._watch.tick(now_s)
            for frame in step.frames:
                self._marks.feed(frame)
            for alarm in changes:
                self._note(alarm)
        for alarm in changes:
            if alarm.ended_s is None:
                self._alarmed.set()
                self._programs.start(alarm)
            if self._on_alarm is not None:
                self._on_alarm(alarm)
        if step.frames:
            self._queue.put(step.frames)
        for alarm in changes:
            facts = {"event": "alarm", "message": alarm.message, **as_facts(alarm)}
            self._put_event(facts)

    def _note(self, alarm: Alarm) -> None:
        """Keep an alarm for the end of the recording; under the lock."""
        if alarm.ended_s is None:
            self._shared.n_alarms += 1
            if len(self.alarms) < MAX_ALARMS:
                self.alarms.append(alarm)
            return
        for i in range(len(self.alarms) - 1, -1, -1):
            old = self.alarms[i]
            if (old.device, old.code, old.which, old.started_s) == (
                alarm.device,
                alarm.code,
                alarm.which,
                alarm.started_s,
            ):
                self.alarms[i] = alarm
                return

    def _put_event(self, facts: Mapping[str, object]) -> None:
        self._queue.put({"time_s": self._now_s(), **facts})
