"""What is written comes back; writing is atomic and repeatable."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from archive_samples import MOMENT, make_evaluation, make_trace
from battlife.archive import (
    ArchivedSource,
    ArchivedUnit,
    append_evaluation,
    is_archive,
    open_archive,
    verify_archive,
    write_archive,
)
from battlife.archive.keys import SigningKey
from battlife.archive.records import encoded
from battlife.errors import ArchiveError, InputError
from battlife.model import Pack, trace_sha256
from battlife.readers import hash_file


def test_everything_comes_back(archive: Path, log: Path, tmp_path: Path) -> None:
    with open_archive(archive) as opened:
        assert opened.units == ("cell 7",)
        trace = opened.trace("cell 7")
        assert trace_sha256(trace) == trace_sha256(make_trace())
        assert trace.provenance == make_trace().provenance
        assert opened.pack("cell 7") == Pack("cell 7", nominal_ah=2.0)
        (evaluation,) = opened.evaluations("cell 7")
        expected = make_evaluation()
        assert evaluation.grade == expected.grade
        assert evaluation.created_utc == MOMENT
        got, want = evaluation.estimates[0], expected.estimates[0]
        assert got.measurements == want.measurements
        assert got.options == want.options
        assert type(got.options["repeats"]) is int
        assert np.isnan(got.conditions["temperature_degc"])
        copy = tmp_path / "copy.csv"
        opened.extract_source(0, copy)
        assert copy.read_bytes() == log.read_bytes()
        window = opened.window("cell 7", "cell_voltage_v", 10, 20)
        assert np.array_equal(window, make_trace().columns["cell_voltage_v"][:, 10:20])


def test_same_content_gives_same_bytes(
    archive: Path, key: SigningKey, log: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again.h5"
    source = ArchivedSource(log, hash_file(log)[0], "log.csv", "generic")
    unit = ArchivedUnit(make_trace(), Pack("cell 7", nominal_ah=2.0))
    write_archive(again, [source], [unit], [make_evaluation()], key=key, ledger=False)
    assert again.read_bytes() == archive.read_bytes()


def test_an_evaluation_is_added_and_the_old_one_stays(
    archive: Path, key: SigningKey
) -> None:
    append_evaluation(archive, make_evaluation(reason="new policy"), key=key)
    with open_archive(archive) as opened:
        reasons = [e.reason for e in opened.evaluations("cell 7")]
    assert reasons == ["first", "new policy"]
    checked = verify_archive(archive, {key.fingerprint: "ana"})
    assert (checked.integrity, checked.trust) == ("intact", "trusted")
    with pytest.raises(ArchiveError, match="no unit"):
        append_evaluation(archive, make_evaluation("other"), key=key)


def test_hash_alone(key: SigningKey, log: Path, tmp_path: Path) -> None:
    path = tmp_path / "hash.h5"
    source = ArchivedSource(log, hash_file(log)[0], "log.csv", "generic")
    unit = ArchivedUnit(make_trace(), Pack("cell 7"))
    write_archive(path, [source], [unit], [], key=key, embed=False, ledger=False)
    with open_archive(path) as opened:
        assert opened.sources[0].sha256 == hash_file(log)[0]
        assert not opened.sources[0].embedded
        with pytest.raises(ArchiveError, match="hash alone"):
            opened.extract_source(0, tmp_path / "x")


@pytest.mark.parametrize("bad", ["../../etc", "=cmd|calc", "a/b", ".", "..", "é 7"])
def test_ids_from_outside_are_no_paths(
    bad: str, key: SigningKey, tmp_path: Path
) -> None:
    path = tmp_path / "x.h5"
    unit = ArchivedUnit(make_trace(bad), Pack(bad))
    write_archive(path, [], [unit], [make_evaluation(bad)], key=key, ledger=False)
    with open_archive(path) as opened:
        assert opened.units == (bad,)
        assert opened.trace(bad).unit_id == bad
    assert "/" not in encoded(bad) and encoded(bad) not in (".", "..")


def test_a_source_that_changed_is_refused(
    key: SigningKey, log: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.h5"
    source = ArchivedSource(log, hash_file(log)[0], "log.csv", "generic")
    log.write_bytes(b"another file")
    with pytest.raises(InputError, match="changed"):
        write_archive(
            path, [source], [ArchivedUnit(make_trace(), Pack("c"))], [], key=key
        )
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("x.h5")] == []


def test_the_head_tells_an_archive(archive: Path) -> None:
    head = archive.read_bytes()[:4096]
    assert is_archive(head)
    assert not is_archive(b"\x89HDF\r\n\x1a\n" + bytes(600))
    assert not is_archive(b"")


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from archive_samples import make_trace, make_evaluation
from battlife.archive import ArchivedUnit, write_archive
from battlife.archive.keys import load_or_create_key
from battlife.model import Pack
key = load_or_create_key(Path(sys.argv[3]))
unit = ArchivedUnit(make_trace(n=200_000), Pack("cell 7"))
print("ready", flush=True)
while True:
    write_archive(Path(sys.argv[1]), [], [unit], [make_evaluation()], key=key,
                  ledger=False)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path, key: SigningKey) -> None:
    target = tmp_path / "killed.h5"
    here = str(Path(__file__).parents[2])
    rng = np.random.default_rng(1)
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, target, here, tmp_path / "keys"],
            stdout=subprocess.PIPE,
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            deadline = time.monotonic() + 120
            while not target.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(float(rng.uniform(0.0, 0.5)))
            writer.send_signal(signal.SIGKILL)
        if target.exists():
            checked = verify_archive(target, {key.fingerprint: "ana"})
            assert checked.integrity == "intact", checked.findings
    assert target.exists()


def test_dataclasses_with_unknown_keys_are_refused() -> None:
    from battlife.archive import from_text, to_text

    text = to_text(Pack("x"))
    assert from_text(text, Pack) == Pack("x")
    with pytest.raises(ArchiveError):
        from_text(text.replace('"maker"', '"marker"'), Pack)
    with pytest.raises(ArchiveError):
        from_text("{", Pack)
    assert dataclasses.is_dataclass(Pack)
