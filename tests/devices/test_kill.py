"""Nothing acknowledged is lost: not by kill -9, not by a power cut."""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from battlife import wire
from battlife.archive import journal as journals
from battlife.archive.journal import (
    BlockKind,
    JournalReader,
    JournalWriter,
    frames_of,
)
from battlife.errors import ArchiveError
from battlife.model import Frame
from killing import kill_once
from scripted_rig import count_frame, scripted_protocol

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills with a signal")

KILLS = 20
CUTS = 200


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "protocol", scripted_protocol)


def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    rng = random.Random(1)
    outcomes = [kill_once(tmp_path / f"{i}.h5", rng) for i in range(KILLS)]
    assert sum(o.lost for o in outcomes) == 0
    # The moments hit recordings that had something to lose.
    assert sum(o.acknowledged > 0 for o in outcomes) > KILLS // 2


@dataclass
class _Disk:
    """Sees what a writer does to its file: each state, and which ones are synced."""

    states: list[bytes] = field(default_factory=list)
    synced: list[int] = field(default_factory=list)
    """Per state: index of the state that was surely on the disk by then."""
    acknowledged: list[int] = field(default_factory=list)


def after_power_loss(disk: _Disk, cut: int, page: int, rng: random.Random) -> bytes:
    """Return a file of which each page written since the last sync is kept or not.

    A page that is not kept has its old bytes, or zeros where the file only grew.
    """
    new, old = disk.states[cut], disk.states[disk.synced[cut]]
    size = rng.choice([len(old), len(new), rng.randint(len(old), len(new))])
    pages = []
    for at in range(0, size, page):
        stop = min(at + page, size)
        kept = new[at:stop] if rng.random() < 0.5 else old[at:stop]
        pages.append(kept.ljust(stop - at, b"\0"))
    return b"".join(pages)


@pytest.mark.parametrize("page", [512, 4096])
def test_a_power_cut_loses_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    path = tmp_path / "a.journal"
    disk = _Disk()
    rng = random.Random(page)
    real_write, real_sync = os.write, journals._data_sync
    sure = 0
    told = 0

    def seen(synced: bool) -> None:
        nonlocal sure
        disk.states.append(path.read_bytes())
        if synced:
            sure = len(disk.states) - 1
        disk.synced.append(sure)
        disk.acknowledged.append(told)

    def write(descriptor: int, content: memoryview) -> int:
        # In pieces, so that cuts also fall inside a block.
        piece = content[: rng.randint(1, 3000)]
        done = real_write(descriptor, piece)
        seen(synced=False)
        return done

    def sync(descriptor: int) -> None:
        real_sync(descriptor)
        seen(synced=True)

    monkeypatch.setattr(journals.os, "write", write)
    monkeypatch.setattr(journals, "_data_sync", sync)
    with JournalWriter(path, {"channels": ["can0"]}, monotonic_ns=0, utc_ns=0) as out:
        number = 0
        for _ in range(30):
            frames = [
                Frame(0.0, "can0", "rx", rng.randbytes(rng.randint(1, 400)))
                for _ in range(rng.randint(1, 40))
            ]
            frames.append(count_frame(0.0, number))
            out.append(frames, 0, 0)
            number += 1
            told = out.acknowledge(0, 0)
            disk.acknowledged[-1] = told
    monkeypatch.undo()
    whole, _ = _read(path)
    left = tmp_path / "left.journal"
    for _ in range(CUTS):
        cut = rng.randrange(len(disk.states))
        left.write_bytes(after_power_loss(disk, cut, page, rng))
        try:
            found, _ = _read(left)
        except ArchiveError:
            # Before the first acknowledge there is nothing that could be lost.
            assert disk.acknowledged[cut] == 0
            continue
        assert len(found) >= disk.acknowledged[cut]
        assert found == whole[: len(found)]


def test_the_model_does_lose_what_was_not_synced() -> None:
    # Were every page always kept, the test above could not fail.
    disk = _Disk([b"", bytes(range(1, 256)) * 64], [0, 0], [0, 0])
    results = {
        after_power_loss(disk, 1, 512, random.Random(seed)) for seed in range(20)
    }
    assert len(results) > 10


def _read(path: Path) -> tuple[list[Frame], JournalReader]:
    reader = JournalReader(path)
    found: list[Frame] = []
    for block in reader.blocks():
        if block.kind is BlockKind.FRAMES:
            found += frames_of(block, ["can0"])
    return found, reader
