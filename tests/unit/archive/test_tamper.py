"""Every change is found, and named where the manifest can name it."""

import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from battlife.archive import Verification, open_archive, verify_archive
from battlife.archive.keys import SigningKey
from battlife.archive.seal import BLOCK, put_seal
from battlife.errors import ArchiveError

UNIT = "/units/cell%207"


def codes(checked: Verification) -> set[str]:
    return {n.code for n in checked.findings}


def test_an_intact_archive_is_intact(archive: Path, key: SigningKey) -> None:
    checked = verify_archive(archive, {key.fingerprint: "ana"})
    assert checked.integrity == "intact"
    assert checked.trust == "trusted"
    assert checked.findings == ()
    assert verify_archive(archive, {}).trust == "unknown"


def test_every_random_bit_flip_is_found(archive: Path, key: SigningKey) -> None:
    content = bytearray(archive.read_bytes())
    rng = np.random.default_rng(20)
    signed = 350  # bytes of the block that carry the seal; the rest must be zero
    positions = [int(p) for p in rng.integers(0, len(content), 250)]
    positions += [0, 8, 12, 20, 60, 84, 100, 290, signed, BLOCK - 1, len(content) - 1]
    flipped = archive.with_name("flipped.h5")
    for position in positions:
        bit = 1 << int(rng.integers(8))
        content[position] ^= bit
        flipped.write_bytes(content)
        content[position] ^= bit
        checked = verify_archive(flipped, {key.fingerprint: "ana"})
        assert checked.integrity == "altered", position
        assert checked.findings


def _edit_value(file: Any) -> None:
    file[f"{UNIT}/trace/columns/voltage_v"][3] = 4.0


def _edit_attribute(file: Any) -> None:
    file[f"{UNIT}/trace/columns/voltage_v"].attrs["unit"] = np.bytes_(b"mV")


def _edit_attribute_type(file: Any) -> None:
    file.attrs["schema"] = np.float64(1)


def _add(file: Any) -> None:
    file[f"{UNIT}/trace/columns"].create_dataset("power_w", data=np.zeros(3))


def _remove(file: Any) -> None:
    del file[f"{UNIT}/grade/0001"]


def _swap(file: Any) -> None:
    columns = file[f"{UNIT}/trace/columns"]
    columns.move("voltage_v", "x")
    columns.move("current_a", "voltage_v")
    columns.move("x", "current_a")


def _soft_link(file: Any) -> None:
    columns = file[f"{UNIT}/trace/columns"]
    del columns["current_a"]
    columns["current_a"] = h5py.SoftLink(f"{UNIT}/trace/columns/voltage_v")


def _external_link(file: Any) -> None:
    file["outside"] = h5py.ExternalLink("/etc/hostname", "/x")


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((3,), dtype="f8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "x", (3,))
    file[f"{UNIT}/trace/columns"].create_virtual_dataset("power_w", layout)


EDITS: dict[str, tuple[Callable[[Any], None], str, str]] = {
    "value": (_edit_value, "content_changed", "voltage_v"),
    "attribute": (_edit_attribute, "attribute_changed", "unit"),
    "attribute type": (_edit_attribute_type, "attribute_changed", "schema"),
    "added": (_add, "object_added", "power_w"),
    "removed": (_remove, "object_removed", "grade/0001"),
    "swapped": (_swap, "content_changed", "current_a"),
    "soft link": (_soft_link, "not_readable", "SoftLink"),
    "external link": (_external_link, "not_readable", "ExternalLink"),
    "virtual": (_virtual, "not_readable", "another file"),
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("resealed", [False, True])
def test_an_edit_is_found_and_named(
    name: str, resealed: bool, archive: Path, key: SigningKey, other_key: SigningKey
) -> None:
    edit, code, mentioned = EDITS[name]
    with h5py.File(archive, "r+") as file:
        edit(file)
    if resealed:
        put_seal(archive, other_key)
    checked = verify_archive(archive, {key.fingerprint: "ana"})
    assert checked.integrity == "altered"
    named = [n.message for n in checked.findings if n.code == code]
    assert any(mentioned in m for m in named), checked.findings
    if resealed:
        assert checked.trust == "unknown"
        assert "signers_differ" in codes(checked) or "not_readable" in codes(checked)
        assert "bytes_changed" not in codes(checked)


def test_a_manifest_forged_with_another_key_shows_its_signer(
    archive: Path, key: SigningKey, other_key: SigningKey
) -> None:
    from battlife.archive.write import _put_manifest

    with h5py.File(archive, "r+") as file:
        _edit_value(file)
        del file["manifest/0001"]
        _put_manifest(file, archive, other_key, {})
    put_seal(archive, other_key)
    checked = verify_archive(archive, {key.fingerprint: "ana"})
    assert checked.trust == "unknown"
    assert checked.fingerprint == other_key.fingerprint
    assert {"signer_unknown", "manifest_signer_unknown"} <= codes(checked)


def test_history_that_was_edited_is_found(
    archive: Path, key: SigningKey, other_key: SigningKey
) -> None:
    from battlife.archive.write import _put_manifest

    with h5py.File(archive, "r+") as file:
        _edit_value(file)
        _put_manifest(file, archive, other_key, {})
    put_seal(archive, other_key)
    checked = verify_archive(archive, {key.fingerprint: "ana"})
    assert checked.integrity == "altered"
    assert "history_changed" in codes(checked)


def test_length(archive: Path, key: SigningKey) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content + b"\0")
    assert "bytes_appended" in codes(verify_archive(archive, {}))
    for size in (0, 100, 512, 700, len(content) // 2, len(content) - 1):
        archive.write_bytes(content[:size])
        checked = verify_archive(archive, {key.fingerprint: "ana"})
        assert checked.integrity == "altered", size


def test_garbage_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(b"\0" * 4096)
    assert codes(verify_archive(path, {})) == {"not_an_archive"}
    path.write_bytes(b"hello" * 1000)
    assert verify_archive(path, {}).integrity == "altered"


def test_unsealed(archive: Path) -> None:
    with archive.open("r+b") as file:
        file.write(bytes(BLOCK))
    assert verify_archive(archive, {}).integrity == "unsealed"


def _hostile(path: Path, build: Callable[[Any], None]) -> None:
    with h5py.File(path, "w", userblock_size=BLOCK) as file:
        file.attrs["schema"] = np.int64(1)
        file.create_group("units")
        build(file)


def _four_tebibyte(file: Any) -> None:
    file.create_dataset("x", (1 << 39,), "f8", chunks=(1 << 16,), compression="gzip")


def _bomb(file: Any) -> None:
    file.create_dataset("x", (64, 1 << 20), "f8", chunks=(64, 1 << 20))


def _external_storage(file: Any) -> None:
    outside = Path(file.filename).with_name("secret.bin")
    outside.write_bytes(bytes(80))
    file.create_dataset("x", (10,), "f8", external=[(str(outside), 0, 80)])


def _filter(file: Any) -> None:
    file.create_dataset("x", data=np.zeros(100), chunks=(100,), compression="lzf")


def _strings(file: Any) -> None:
    file.create_dataset("x", data=["a"], dtype=h5py.string_dtype())


def _hard_link_loop(file: Any) -> None:
    file["units"]["again"] = file["/"]


def _chunk_bomb(file: Any) -> None:
    data = file.create_dataset("x", (1 << 16,), "u1", chunks=True, compression="gzip")
    bomb = zlib.compress(bytes(200 << 20), 9)
    data.id.write_direct_chunk((0,), bomb)


@pytest.mark.parametrize(
    "build",
    [
        _four_tebibyte,
        _chunk_bomb,
        _bomb,
        _external_storage,
        _filter,
        _strings,
        _hard_link_loop,
    ],
)
def test_hostile_files_are_refused(
    build: Callable[[Any], None], tmp_path: Path
) -> None:
    path = tmp_path / "hostile.h5"
    _hostile(path, build)
    with pytest.raises(ArchiveError):
        open_archive(path)
    assert "not_readable" in codes(verify_archive(path, {}))


def test_ledger(archive: Path, key: SigningKey) -> None:
    from battlife.archive.ledger import NAME, check_ledger

    folder, trusted = archive.parent, {key.fingerprint: "ana"}
    assert check_ledger(folder, trusted) == []
    copy = folder / "copy.h5"
    shutil.copyfile(archive, copy)
    assert [n.notice.code for n in check_ledger(folder, trusted)] == [
        "archive_unlisted"
    ]
    copy.unlink()
    archive.rename(folder.parent / "gone.h5")
    assert [n.notice.code for n in check_ledger(folder, trusted)] == ["archive_removed"]
    ledger = folder / NAME
    entry = json.loads(ledger.read_text())
    entry["archive"] = "other.h5"
    ledger.write_text(json.dumps(entry) + "\n")
    found = {n.notice.code for n in check_ledger(folder, trusted)}
    assert "ledger_line_forged" in found


def test_a_torn_ledger_line_is_reported_and_survived(
    archive: Path, key: SigningKey
) -> None:
    from battlife.archive.ledger import NAME, append, check_ledger

    folder, trusted = archive.parent, {key.fingerprint: "ana"}
    with (folder / NAME).open("ab") as file:
        file.write(b'{"archive": "to')
    assert "ledger_torn" in {n.notice.code for n in check_ledger(folder, trusted)}
    append(folder, archive, archive.read_bytes()[:BLOCK], key)
    found = {n.notice.code for n in check_ledger(folder, trusted)}
    assert found == {"ledger_line_damaged"}
