"""A small archive to write, read and tamper with."""

from pathlib import Path

import pytest

from archive_samples import make_evaluation, make_trace
from battlife.archive import ArchivedSource, ArchivedUnit, write_archive
from battlife.archive.keys import SigningKey, load_or_create_key
from battlife.model import Pack
from battlife.readers import hash_file


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return load_or_create_key(tmp_path / "keys", "ana")


@pytest.fixture
def other_key(tmp_path: Path) -> SigningKey:
    return load_or_create_key(tmp_path / "other-keys", "mallory")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_bytes(b"t,v\n" + b"0,3.7\n" * 5000)
    return path


@pytest.fixture
def archive(tmp_path: Path, key: SigningKey, log: Path) -> Path:
    path = tmp_path / "folder" / "cell.h5"
    path.parent.mkdir()
    source = ArchivedSource(log, hash_file(log)[0], "log.csv", "generic")
    unit = ArchivedUnit(make_trace(), Pack("cell 7", nominal_ah=2.0))
    write_archive(path, [source], [unit], [make_evaluation()], key=key)
    return path
