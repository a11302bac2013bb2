"""What a journal gives back, whatever became of its tail."""

import errno
import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from battlife.archive import journal
from battlife.archive.journal import (
    BlockKind,
    JournalReader,
    JournalWriter,
    frames_of,
    header_of,
)
from battlife.errors import ArchiveError, InputError
from battlife.model import Frame

CHANNELS = ["can0", "/dev/ttyUSB0"]

FRAMES = st.builds(
    Frame,
    time_s=st.integers(0, 10**13).map(lambda us: us / 1e6),
    channel=st.sampled_from(CHANNELS),
    direction=st.sampled_from(["rx", "tx"]),
    data=st.binary(max_size=100),
    identifier=st.none() | st.integers(0, 0x1FFFFFFF),
    extended=st.booleans(),
    fd=st.booleans(),
    kind=st.sampled_from(["data", "remote", "error"]),
)


def frame(number: int) -> Frame:
    return Frame(number / 1e3, "can0", "rx", number.to_bytes(8), 0x7BB)


def write(path: Path, groups: list[list[Frame]], *, end: bool = True) -> list[int]:
    """Return the size of the file after each acknowledge."""
    sizes = []
    with JournalWriter(path, {"channels": CHANNELS}, monotonic_ns=1, utc_ns=2) as out:
        for group in groups:
            out.append(group, 3, 4)
            assert out.acknowledge(3, 4) == out.n_frames
            sizes.append(path.stat().st_size)
        if end:
            out.end({"reason": "done"}, 5, 6)
    return sizes


def read(path: Path) -> tuple[list[Frame], JournalReader]:
    reader = JournalReader(path)
    found: list[Frame] = []
    for block in reader.blocks():
        if block.kind is BlockKind.FRAMES:
            found += frames_of(block, CHANNELS)
    return found, reader


@settings(max_examples=50, deadline=None)
@given(groups=st.lists(st.lists(FRAMES, max_size=8), max_size=5))
def test_frames_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[Frame]]
) -> None:
    path = tmp_path_factory.mktemp("j") / "a.journal"
    write(path, groups)
    found, reader = read(path)
    assert found == [f for group in groups for f in group]
    assert reader.ended
    assert reader.tail_bytes == 0


def test_header_and_events_have_their_time(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    with JournalWriter(
        path, {"channels": CHANNELS, "rig": "bench"}, monotonic_ns=10, utc_ns=20
    ) as out:
        out.append([frame(1)], 30, 40)
        out.event({"event": "gap", "time_s": 1.5}, 30, 40)
        out.acknowledge(30, 40)
    reader = JournalReader(path)
    assert header_of(reader)["rig"] == "bench"
    frames, event = reader.blocks()
    assert frames.kind is BlockKind.FRAMES
    assert event.json() == {"event": "gap", "time_s": 1.5}
    assert (event.sequence, event.monotonic_ns, event.utc_ns) == (2, 30, 40)


def test_cut_anywhere_keeps_every_acknowledged_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    groups = [[frame(10 * i + j) for j in range(5)] for i in range(4)]
    sizes = write(path, groups, end=False)
    content = path.read_bytes()
    first = JournalReader(path)
    header_of(first)
    smallest = len(content) - first.tail_bytes
    for cut in range(smallest, len(content)):
        path.write_bytes(content[:cut])
        found, reader = read(path)
        whole = sum(size <= cut for size in sizes)
        assert found == [f for group in groups[:whole] for f in group]
        assert reader.tail_bytes == cut - (sizes[whole - 1] if whole else smallest)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_never_gives_another_frame(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("j") / "a.journal"
    groups = [[frame(10 * i + j) for j in range(5)] for i in range(4)]
    write(path, groups)
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    try:
        found, reader = read(path)
    except ArchiveError:
        assert bit < 8 * 32  # the head of the file itself
        return
    truth = [f for group in groups for f in group]
    assert found == truth[: len(found)]
    assert not reader.ended


@settings(max_examples=200, deadline=None)
@given(junk=st.binary(max_size=300))
def test_junk_behind_the_last_block_is_dropped(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("j") / "a.journal"
    write(path, [[frame(1)]], end=False)
    with path.open("ab") as file:
        file.write(junk)
    found, reader = read(path)
    assert found == [frame(1)]
    assert reader.tail_bytes == len(junk)


def test_blocks_of_another_run_are_not_taken(tmp_path: Path) -> None:
    # Old pages of the disk may hold blocks of a journal that was there before.
    old, new = tmp_path / "old.journal", tmp_path / "new.journal"
    write(old, [[frame(1)], [frame(2)]], end=False)
    sizes = write(new, [[frame(1)], [frame(3)]], end=False)
    tail = old.read_bytes()[sizes[0] :]
    new.write_bytes(new.read_bytes()[: sizes[0]] + tail)
    found, _ = read(new)
    assert found == [frame(1)]


def test_a_second_process_follows_a_running_journal(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    with JournalWriter(path, {"channels": CHANNELS}, monotonic_ns=1, utc_ns=2) as out:
        reader = JournalReader(path)
        header_of(reader)
        assert list(reader.blocks()) == []
        out.append([frame(1)], 3, 4)
        out.acknowledge(3, 4)
        (block,) = reader.blocks()
        assert frames_of(block, CHANNELS) == [frame(1)]
        assert list(reader.blocks()) == []


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    with JournalWriter(path, {"channels": CHANNELS}, monotonic_ns=1, utc_ns=2):
        with pytest.raises(InputError, match="there is a journal already"):
            JournalWriter(path, {"channels": CHANNELS}, monotonic_ns=1, utc_ns=2)
        descriptor = os.open(path, os.O_RDWR)
        try:
            with pytest.raises(InputError, match="another process"):
                journal.lock_file(descriptor, path)
        finally:
            os.close(descriptor)


def test_a_full_disk_keeps_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.journal"
    with JournalWriter(path, {"channels": CHANNELS}, monotonic_ns=1, utc_ns=2) as out:
        out.append([frame(1)], 3, 4)
        out.acknowledge(3, 4)
        real = os.write
        calls = []

        def half(descriptor: int, content: bytes) -> int:
            if calls:
                raise OSError(errno.ENOSPC, "No space left on device")
            calls.append(1)
            return real(descriptor, bytes(content)[:20])

        monkeypatch.setattr(os, "write", half)
        out.append([frame(2)], 5, 6)
        with pytest.raises(InputError, match="No space left"):
            out.acknowledge(5, 6)
        monkeypatch.undo()
        with pytest.raises(InputError, match="earlier failure"):
            out.event({"event": "late"}, 7, 8)
        assert out.n_acknowledged == 1
    found, reader = read(path)
    assert found == [frame(1)]
    assert reader.tail_bytes == 0


def test_a_failed_sync_acknowledges_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.journal"
    with JournalWriter(path, {"channels": CHANNELS}, monotonic_ns=1, utc_ns=2) as out:

        def fail(_: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(journal, "_data_sync", fail)
        out.append([frame(1)], 3, 4)
        with pytest.raises(InputError, match="Input/output"):
            out.acknowledge(3, 4)
        monkeypatch.undo()
        out.append([frame(2)], 3, 4)
        with pytest.raises(InputError, match="earlier failure"):
            out.acknowledge(3, 4)
        assert out.n_acknowledged == 0


@pytest.mark.parametrize("content", [b"", b"BLJRNL", b"something else", bytes(64)])
def test_what_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(content)
    with pytest.raises(ArchiveError):
        JournalReader(path)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        JournalReader(tmp_path / "none.journal")


def test_a_block_that_inflates_without_end_is_refused() -> None:
    bomb = zlib.compress(bytes(64 << 20), 9)
    block = journal.Block(1, 0, 0, BlockKind.FRAMES, bomb)
    with pytest.raises(ArchiveError):
        frames_of(block, CHANNELS)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=100))
def test_hostile_payloads_give_a_typed_error(content: bytes) -> None:
    block = journal.Block(1, 0, 0, BlockKind.FRAMES, zlib.compress(content))
    try:
        frames_of(block, CHANNELS)
    except ArchiveError:
        return
    # Only the empty run of frames and right ones are taken.
    assert len(content) >= 12
