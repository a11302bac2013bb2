"""Finding the reader of a bus log, and what opening adds."""

import os
import time
from pathlib import Path

import pytest

from battlife.errors import FormatError, InputError
from battlife.readers import (
    all_frame_readers,
    all_readers,
    detect,
    detect_frames,
    hash_file,
    open_frames,
)
from battlife.readers.frame_logs import opening
from battlife.readers.frame_logs.opening import recognised
from frame_log_samples import samples

LOG = "(1.0) can0 044#2A\n(2.0) can0 045#2B\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "candump.log"
    path.write_text(LOG)
    return path


def test_every_sample_has_one_reader_and_no_other_format(tmp_path: Path) -> None:
    for name, (reader, data) in samples(tmp_path).items():
        path = tmp_path / "x.dat"
        path.write_bytes(data)
        found = detect_frames(path)
        assert found is not None, name
        assert found.name == reader, name
        with pytest.raises(FormatError, match=rf"bus log \({reader}\)"):
            detect(path)


def test_names_are_unique_and_told_apart_from_other_readers() -> None:
    readers = all_frame_readers()
    assert len(readers) == 16
    assert not set(readers) & set(all_readers())
    assert all(reader.description for reader in readers.values())


def test_an_opened_log_has_its_hash_and_format(log: Path) -> None:
    opened = open_frames(log)
    assert (opened.source.sha256, opened.source.size_bytes) == hash_file(log)
    assert opened.source.format == "candump"
    assert len(list(opened)) == 2
    with pytest.raises(ValueError, match="read once"):
        list(opened)


def test_what_is_no_bus_log(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("Test_Time(s),Current(A),Voltage(V)\n1.0,2.0,3.0\n")
    assert detect_frames(path) is None
    with pytest.raises(FormatError, match="as a bus log"):
        open_frames(path)
    for name, word in (("none", "opened"), (".", "folder")):
        with pytest.raises(InputError, match=word):
            open_frames(tmp_path / name)


def test_several_readers_are_listed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readers = all_frame_readers()
    both = {"candump": readers["candump"], "other": readers["candump"]}
    monkeypatch.setattr(opening, "all_frame_readers", lambda: both)
    with pytest.raises(FormatError, match="candump, candump"):
        detect_frames(log)


def test_a_log_beyond_the_bound_is_refused(log: Path) -> None:
    with pytest.raises(InputError, match="more than the 10"):
        open_frames(log, max_bytes=10)


def test_a_log_that_grows_while_it_is_read_is_refused(log: Path) -> None:
    opened = open_frames(log)
    frames = iter(opened)
    next(frames)
    with log.open("a") as file:
        file.write("(3.0) can0 046#2C\n")
    with pytest.raises(InputError, match="changed"):
        list(frames)


def test_a_log_that_is_only_touched_is_read(log: Path) -> None:
    opened = open_frames(log)
    os.utime(log, (1, 1))
    assert len(list(opened)) == 2


@pytest.mark.parametrize(
    "unit", [b"\n", b" ", b"\t", b"AA ", b"AA\n", b"0x", b"( ", b"1.", b"[0] ", b"A"]
)
def test_no_head_takes_long_to_recognise(unit: bytes) -> None:
    began = time.process_time()
    recognised((unit * 4096)[:4096], "x")
    assert time.process_time() - began < 0.5


def test_importing_the_readers_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, battlife.readers; battlife.readers.all_frame_readers(); "
        "heavy = {'can', 'asammdf', 'pandas', 'cantools', 'numba', 'scipy'}; "
        "print(heavy & set(sys.modules))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "set()"
