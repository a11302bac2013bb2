"""A recording keeps every frame, survives what goes wrong, and is sealed."""

import errno
import os
import sys
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from battlife.archive import journal as journals
from battlife.archive import open_archive, verify_archive
from battlife.archive.journal import (
    BlockKind,
    JournalReader,
    JournalWriter,
    frames_of,
    journal_path,
)
from battlife.errors import HardwareError, InputError
from battlife.model import SIMULATED_DATA, SIMULATED_ID, Frame, Reading
from battlife.pipeline.journals import Replay, extracted
from battlife.recording.alarms import Alarm
from battlife.recording.recorder import record
from battlife.recording.recovering import recover
from battlife.recording.rig import Limits, Rig, RigDevice
from battlife.recording.sealing import Recorded, seal
from battlife.recording.status import Status
from battlife.recording.watching import watch
from scripted_rig import ScriptedLine, cells_frame, connected, state_frame

LIMITS = Limits(cell_voltage_max_v=4.2)


def rig_of(*channels: str, limits: Limits = LIMITS, run: tuple[str, ...] = ()) -> Rig:
    devices = tuple(
        RigDevice(f"d{i}", f"scripted@{c}", 1.0) for i, c in enumerate(channels)
    )
    return Rig("bench 3", devices, "cal-1", limits, run)


def cells(n: int, channel: str = "can0", volts: float = 3.7) -> list[Frame]:
    return [
        cells_frame(float(t), volts, 3.71, 3.72, 3.73, channel=channel)
        for t in range(n)
    ]


def recorded(
    out: Path, *scripts: list[Any], rig: Rig | None = None, **options: Any
) -> Recorded:
    """Record until the first script is through."""
    stop = Event()
    lines = []
    for i, script in enumerate(scripts):
        steps = [*script, stop.set] if i == 0 else script
        lines.append(ScriptedLine(f"can{i}", [f"d{i}"], steps))
    rig = rig or rig_of(*(line.channel for line in lines))
    options.setdefault("unit", "4711")
    return record(rig, out, connect=connected(lines), stop=stop, **options)


def test_every_frame_is_in_the_archive_and_the_trace_has_its_values(
    tmp_path: Path,
) -> None:
    out = tmp_path / "pack.h5"
    truth = [*cells(5), state_frame(5.0, -12.5, 23)]
    found = recorded(out, [[f] for f in truth], operator="ana")
    assert (found.units, found.n_frames, found.n_lost) == (("4711",), 6, 0)
    assert found.reason == "stopped"
    assert not journal_path(out).exists()
    assert verify_archive(out, {}).integrity == "intact"
    with open_archive(out) as archive:
        trace = archive.trace("4711")
        pack = archive.pack("4711")
        copy = extracted(archive, tmp_path)
    kept = [
        f
        for b in JournalReader(copy).blocks()
        if b.kind is BlockKind.FRAMES
        for f in frames_of(b, ["can0"])
    ]
    assert kept == truth
    assert trace.columns["cell_voltage_v"][:, 0].tolist() == [3.7, 3.71, 3.72, 3.73]
    assert trace.columns["current_a"][-1] == -12.5
    assert (pack.nominal_ah, pack.nominal_source) == (50.0, "bms")
    provenance = trace.provenance
    assert (provenance.rig, provenance.calibration) == ("bench 3", "cal-1")
    assert provenance.header["operator"] == "ana"
    assert not provenance.simulated


def test_the_mark_of_a_simulated_device_is_kept(tmp_path: Path) -> None:
    mark = Frame(0.0, "can0", "rx", SIMULATED_DATA, SIMULATED_ID)
    found = recorded(tmp_path / "a.h5", [[mark], cells(2)])
    assert found.simulated
    with open_archive(tmp_path / "a.h5") as archive:
        assert archive.trace("4711").provenance.simulated


def test_a_channel_that_goes_away_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("battlife.recording.recorder.REOPEN_S", 0.01)
    gone = HardwareError("can0: unplugged", "plug it in")
    found = recorded(tmp_path / "a.h5", [cells(2), gone, cells(4)[2:]])
    assert found.n_frames == 4
    assert ["gap"] == [n.code for n in found.notices if n.code == "gap"]


def test_rejected_messages_are_counted_and_never_values(tmp_path: Path) -> None:
    torn = Frame(1.0, "can0", "rx", b"\x0e", 0x100)
    found = recorded(tmp_path / "a.h5", [cells(1), [torn]])
    assert (found.n_frames, found.n_rejected) == (2, 1)
    assert "rejected" in {n.code for n in found.notices}


def test_an_alarm_is_told_kept_and_starts_its_program(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    program = (
        sys.executable,
        "-c",
        f"import os; open({str(mark)!r}, 'w').write(os.environ['BATTLIFE_ALARM'])",
    )
    told: list[Alarm] = []
    found = recorded(
        tmp_path / "a.h5",
        [
            cells(1),
            [cells_frame(1.0, 4.25, 3.7, 3.7, 3.7)],
            [cells_frame(2.0, 4.1, 4, 4, 4)],
        ],
        rig=rig_of("can0", run=program),
        on_alarm=told.append,
    )
    assert [(a.started_s, a.ended_s) for a in told] == [(1.0, None), (1.0, 2.0)]
    assert found.alarms == (told[-1],)
    assert (found.alarms[0].which, found.alarms[0].value) == ("cell 1", 4.25)
    assert mark.read_text() == "cell_over_voltage"
    with open_archive(tmp_path / "a.h5") as archive:
        notices = archive.trace("4711").provenance.notices
        copy = extracted(archive, tmp_path)
    assert "alarm_cell_over_voltage" in {n.code for n in notices}
    events = [
        b.json() for b in JournalReader(copy).blocks() if b.kind is BlockKind.EVENT
    ]
    assert [e["exit"] for e in events if e["event"] == "on_alarm"] == [0]


def test_several_units_are_one_archive(tmp_path: Path) -> None:
    rig = Rig(
        "r",
        (
            RigDevice("d0", "scripted@can0", 1.0, "left"),
            RigDevice("d1", "scripted@can1", 1.0, "right"),
        ),
        limits=LIMITS,
    )
    done = Event()
    second = [cells(3, "can1", 3.6), done.set]
    found = recorded(
        tmp_path / "a.h5",
        [cells(3), lambda: done.wait(10)],
        second,
        rig=rig,
        unit=None,
        units={"left": "A"},
    )
    assert found.units == ("A", "right")
    with open_archive(tmp_path / "a.h5") as archive:
        assert archive.trace("A").columns["cell_voltage_v"][0, 0] == 3.7
        assert archive.trace("right").columns["cell_voltage_v"][0, 0] == 3.6


def test_of_two_devices_of_a_unit_the_first_gives_a_column(tmp_path: Path) -> None:
    done = Event()
    found = recorded(
        tmp_path / "a.h5",
        [cells(3), lambda: done.wait(10)],
        [cells(3, "can1", 3.6), [state_frame(2.0, 1.5, 20, "can1")], done.set],
    )
    with open_archive(tmp_path / "a.h5") as archive:
        columns = archive.trace("4711").columns
    assert np.nanmin(columns["cell_voltage_v"][0]) == 3.7
    assert columns["current_a"][-1] == 1.5
    assert "several_devices" in {n.code for n in found.notices}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rig": rig_of("can0", limits=Limits())}, "no limits"),
        ({"unit": None}, "no id"),
        ({"unit": " "}, "no id"),
        ({"duration_s": 0.0}, "above 0"),
        ({"rig": rig_of("can0", run=("no-such-program",))}, "no program"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        recorded(tmp_path / "a.h5", [cells(1)], **options)
    assert list(tmp_path.iterdir()) == []


def test_without_limits_only_when_told(tmp_path: Path) -> None:
    rig = rig_of("can0", limits=Limits())
    assert recorded(tmp_path / "a.h5", [cells(1)], rig=rig, no_limits=True).units


def test_nothing_is_ever_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        recorded(tmp_path / "a.h5", [cells(1)])
    (tmp_path / "b.h5.journal").write_text("mine")
    with pytest.raises(InputError, match="journal already"):
        recorded(tmp_path / "b.h5", [cells(1)])
    assert (tmp_path / "b.h5.journal").read_text() == "mine"


def test_a_full_disk_is_a_typed_error_and_keeps_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.h5"
    safe: list[int] = []
    acknowledged, full = Event(), Event()

    def heard(count: int) -> None:
        safe.append(count)
        acknowledged.set()

    def fill() -> None:
        assert acknowledged.wait(10)
        full.set()

    real = os.write

    def write(descriptor: int, content: bytes) -> int:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, content)

    monkeypatch.setattr(journals.os, "write", write)
    with pytest.raises(InputError, match="No space left"):
        recorded(out, [cells(3), fill, cells(5)[3:]], on_acknowledged=heard)
    monkeypatch.undo()
    monkeypatch.setattr("battlife.wire.protocol", _scripted())
    found = recover(journal_path(out), out)
    assert safe[-1] <= found.n_frames
    assert found.n_frames >= 3
    assert "interrupted" in {n.code for n in found.notices}


def _scripted() -> object:
    from scripted_rig import scripted_protocol

    return scripted_protocol


def test_an_interrupted_journal_is_recovered_and_again(tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    path = _interrupted(out)
    with path.open("ab") as file:
        file.write(b"BLK1 torn")
    content = path.read_bytes()
    found = recover(path, out)
    assert (found.n_frames, found.tail_bytes, found.reason) == (3, 9, "")
    assert not path.exists()
    # A crash between the archive and the removal of the journal.
    path.write_bytes(content)
    before = out.read_bytes()
    assert recover(path, out) == found
    assert out.read_bytes() == before
    assert not path.exists()
    with pytest.raises(InputError, match="No such file"):
        recover(path, out)


def test_a_journal_is_not_sealed_over_something_else(tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    path = _interrupted(out)
    out.write_text("mine")
    with pytest.raises(InputError, match="not the archive of this journal"):
        recover(path, out)
    assert out.read_text() == "mine"
    assert path.exists()


def test_a_running_recording_is_not_recovered(tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    told: list[str] = []

    def try_it() -> None:
        with pytest.raises(InputError) as caught:
            seal(journal_path(out), out)
        told.append(caught.value.message)

    recorded(out, [cells(1), try_it])
    assert "another process" in told[0]


def test_a_running_recording_is_watched_to_its_end(tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    path = _interrupted(out)
    seen = list(watch(out, follow=False))
    assert [name for name, _ in seen] == ["d0"] * 3
    recover(path, out)
    again = list(watch(out))
    assert again == seen
    assert all(isinstance(item, Reading) for _, item in again)


def test_a_watcher_goes_on_in_the_archive_when_the_journal_is_sealed(
    tmp_path: Path,
) -> None:
    out = tmp_path / "a.h5"
    path = _interrupted(out)
    watching = watch(path)
    first = next(watching)
    recover(path, out)
    stop = Event()
    stop.set()
    rest = [next(watching), next(watching)]
    assert [item.time_s for _, item in [first, *rest]] == [0.0, 1.0, 2.0]


def test_the_status_tells_the_latest(tmp_path: Path) -> None:
    told: list[Status] = []
    recorded(tmp_path / "a.h5", [cells(3)], on_update=told.append)
    last = told[-1]
    assert last.values["d0"]["cell_voltage_v"] == (3.7, 3.71, 3.72, 3.73)
    assert last.heard_s == {"d0": 2.0}
    assert last.n_acknowledged == last.n_frames == 3


def test_ctrl_c_seals_what_there_is(tmp_path: Path) -> None:
    raised: list[int] = []

    def interrupt(_: Status) -> None:
        if not raised:
            raised.append(1)
            raise KeyboardInterrupt

    line = ScriptedLine("can0", ["d0"], [cells(3)])
    found = record(
        rig_of("can0"),
        tmp_path / "a.h5",
        connect=connected([line]),
        unit="4711",
        on_update=interrupt,
    )
    assert (found.reason, found.n_frames) == ("interrupted", 3)


def _interrupted(out: Path) -> Path:
    """Return the journal of a recording that has no end."""
    header = {
        "rig": "bench 3",
        "operator": "ana",
        "channels": ["can0"],
        "start_monotonic_ns": 0,
        "start_utc_ns": 10**18,
        "devices": [
            {
                "name": "d0",
                "unit_id": "4711",
                "period_s": 1.0,
                "channel": "can0",
                "protocol": "scripted",
                "options": {},
                "files": {},
            }
        ],
    }
    path = journal_path(out)
    with JournalWriter(path, header, monotonic_ns=0, utc_ns=10**18) as journal:
        journal.append(cells(3), 10**9, 10**18 + 10**9)
        journal.acknowledge(10**9, 10**18 + 10**9)
    return path


def test_a_mistake_in_a_decoder_ends_its_channel_alone_and_is_raised(
    tmp_path: Path,
) -> None:
    out = tmp_path / "a.h5"
    failed = Event()

    def fail() -> None:
        failed.set()
        raise IndexError("a mistake")

    with pytest.raises(IndexError, match="a mistake"):
        recorded(
            out,
            [cells(1), lambda: failed.wait(10), cells(3)[1:]],
            [cells(1, "can1"), fail, cells(9, "can1")],
        )
    found = recover(journal_path(out), out)
    assert (found.n_frames, found.reason) == (4, "stopped")
    assert "gap" in {n.code for n in found.notices}


def test_a_silent_channel_raises_its_alarm_while_it_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("battlife.recording.recorder.REOPEN_S", 0.3)
    monkeypatch.setattr("battlife.recording.recorder.TICK_S", 0.01)
    stop = Event()
    told: list[Alarm] = []

    def alarmed(alarm: Alarm) -> None:
        told.append(alarm)
        stop.set()

    gone = HardwareError("can0: unplugged", "plug it in")
    line = ScriptedLine("can0", ["d0"], [cells(1), gone])
    record(
        rig_of("can0", limits=Limits(silence_s=0.05)),
        tmp_path / "a.h5",
        unit="4711",
        stop=stop,
        duration_s=10.0,
        connect=connected([line]),
        on_alarm=alarmed,
    )
    assert (told[0].code, told[0].device) == ("silence", "d0")


def test_the_time_it_takes_to_open_a_bus_is_not_recorded(tmp_path: Path) -> None:
    now = [0.0]

    class SlowToOpen(ScriptedLine):
        def open(self) -> None:
            super().open()
            now[0] += 15.0  # python-can and a network, on a busy computer

    stop = Event()
    line = SlowToOpen("can0", ["d0"], [cells(1), stop.set])
    done = record(
        rig_of("can0", limits=Limits(silence_s=5)),
        tmp_path / "a.h5",
        unit="4711",
        duration_s=10,
        stop=stop,
        connect=connected([line]),
        clock=lambda: now[0],
    )
    assert done.alarms == ()
    assert done.reason == "stopped"
    assert done.duration_s == 0.0


def test_the_journal_is_decoded_once_however_many_its_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[Frame] = []
    feed = Replay.feed

    def counted(self: Replay, frame: Frame) -> object:
        fed.append(frame)
        return feed(self, frame)

    monkeypatch.setattr(Replay, "feed", counted)
    devices = tuple(
        RigDevice(f"d{i}", f"scripted@can{i}", 1.0, f"pack {i}") for i in range(3)
    )
    scripts = [[f] for f in cells(4)], [cells(5, "can1")], [cells(6, "can2")]
    rig = Rig("bench", devices, limits=LIMITS)
    found = recorded(tmp_path / "a.h5", *scripts, rig=rig, unit=None)
    assert found.units == ("pack 0", "pack 1", "pack 2")
    assert found.n_frames >= 4
    assert len(fed) == found.n_frames
