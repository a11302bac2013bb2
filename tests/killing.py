"""Kill a recording at a random moment and see what is left of it."""

import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from battlife.archive import open_archive, verify_archive
from battlife.archive.journal import BlockKind, JournalReader, frames_of, journal_path
from battlife.errors import ArchiveError
from battlife.pipeline.journals import extracted
from battlife.recording.recovering import recover
from scripted_rig import COUNT_ID

CHILD = Path(__file__).with_name("recording_child.py")
SECONDS = 0.6
"""Length of a recording that is not killed: moments after it hit the sealing."""


@dataclass(frozen=True)
class Outcome:
    """What a kill left: frames announced as safe, frames found, and at what stage."""

    acknowledged: int
    found: int
    stage: str

    @property
    def lost(self) -> int:
        return max(self.acknowledged - self.found, 0)


def kill_once(out: Path, rng: random.Random) -> Outcome:
    """Start a recording, kill it -9 at a random moment, recover it, count.

    Raises
    ------
    AssertionError
        A file that cannot be read, or frames that are not 0, 1, 2, … in order.
    """
    paths = [str(CHILD.parent)]
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(out), str(SECONDS)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert child.stdout is not None
    journal = journal_path(out)
    while not journal.exists() and child.poll() is None:
        time.sleep(0.001)
    time.sleep(rng.uniform(0.0, SECONDS + 0.4))
    assert child.poll() in (None, 0), "the recording failed by itself"
    child.kill()
    told = child.stdout.read().split(b"\n")
    child.stdout.close()
    child.wait()
    # The last line may be torn: what was told whole is what counts.
    acknowledged = int(told[-2]) if len(told) > 1 else 0
    stage = "recording" if journal.exists() else "sealed"
    if journal.exists() and out.exists():
        stage = "sealing"
    if journal.exists():
        try:
            recover(journal, out)
        except ArchiveError:
            # Killed before the head was on the disk: nothing was announced.
            assert acknowledged == 0
            return Outcome(0, 0, "starting")
    assert verify_archive(out, {}).integrity == "intact"
    return Outcome(acknowledged, count(out), stage)


def count(out: Path) -> int:
    """Return how many frames an archive holds; the numbered ones have no hole."""
    with tempfile.TemporaryDirectory() as name, open_archive(out) as archive:
        reader = JournalReader(extracted(archive, Path(name)))
        frames = [
            f
            for b in reader.blocks()
            if b.kind is BlockKind.FRAMES
            for f in frames_of(b, ["can0"])
        ]
    numbers = [
        struct.unpack(">Q", f.data)[0] for f in frames if f.identifier == COUNT_ID
    ]
    assert numbers == list(range(len(numbers)))
    return len(frames)
