"""Keys are made once, by whichever process comes first."""

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from battlife.archive import keys
from battlife.errors import InputError


def _make(folder: Path) -> str:
    return keys.load_or_create_key(folder, "x").fingerprint


def test_one_key_for_all_processes(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(_make, [tmp_path / "k"] * 8)
    assert len(set(found)) == 1
    assert {p.name for p in (tmp_path / "k").iterdir()} == {
        keys.OPERATOR_NAME,
        keys.PRIVATE_NAME,
    }


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_the_private_key_is_private(tmp_path: Path) -> None:
    keys.load_or_create_key(tmp_path, "x")
    mode = stat.S_IMODE((tmp_path / keys.PRIVATE_NAME).stat().st_mode)
    assert mode == 0o600


def test_a_place_that_cannot_be_written_gives_a_passing_key(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    key = keys.load_or_create_key(blocked / "keys", "x")
    assert not key.persistent
    assert keys.check(key.public, b"m", key.sign(b"m"))
    assert not keys.check(key.public, b"n", key.sign(b"m"))


def test_trust(tmp_path: Path) -> None:
    own = keys.load_or_create_key(tmp_path / "a", "ana")
    other = keys.load_or_create_key(tmp_path / "b", "ben")
    who = keys.trust(keys.export_public(other), "ben", tmp_path / "a")
    assert who == other.fingerprint
    assert keys.trusted_keys(tmp_path / "a") == {
        own.fingerprint: "ana",
        other.fingerprint: "ben",
    }
    with pytest.raises(InputError, match="not a public key"):
        keys.trust("hello", "x", tmp_path / "a")


def test_a_damaged_key_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / keys.PRIVATE_NAME).write_text("damaged")
    with pytest.raises(InputError, match="not a private key"):
        keys.load_or_create_key(tmp_path)
    assert (tmp_path / keys.PRIVATE_NAME).read_text() == "damaged"
