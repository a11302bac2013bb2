"""Find every change of an archive, and name what the manifest can name."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from battlife.archive import manifest
from battlife.archive.guard import translated
from battlife.archive.keys import check, fingerprint
from battlife.archive.seal import (
    BLOCK,
    HDF5_MAGIC,
    Seal,
    digest_behind,
    read_seal,
    stated_end,
)
from battlife.errors import ArchiveError
from battlife.model import Notice, Severity


@dataclass(frozen=True)
class Verification:
    """What a look at an archive found.

    Attributes
    ----------
    integrity : "intact", "altered" or "unsealed"
    signer_name : as the seal states it, "" if there is none
    fingerprint : of the key that sealed it, "" if there is none
    trust : "trusted", "unknown", or "none" where nobody validly signed
    findings : what is wrong or worth knowing
    """

    integrity: str
    signer_name: str
    fingerprint: str
    trust: str
    findings: tuple[Notice, ...]


def verify_archive(path: Path, trusted: Mapping[str, str]) -> Verification:
    """Check seal, manifest and every object of an archive; needs no network.

    Parameters
    ----------
    path : the archive
    trusted : fingerprint to name of the keys that count

    Returns
    -------
    A file that is no archive at all is "altered": what it was cannot be told.
    """
    findings: list[Notice] = []
    try:
        seal = read_seal(path)
    except ArchiveError as error:
        findings.append(_bad("seal_damaged", error.message))
        _check_manifest(path, trusted, findings)
        return Verification("altered", "", "", "none", tuple(findings))
    with path.open("rb") as file:
        file.seek(BLOCK)
        is_hdf5 = file.read(len(HDF5_MAGIC)) == HDF5_MAGIC
    if seal is None and is_hdf5:
        _check_manifest(path, trusted, findings)
        altered = any(n.severity is Severity.SUSPECT for n in findings)
        findings.append(_bad("not_sealed", f"{path}: nobody sealed this file"))
        state = "altered" if altered else "unsealed"
        return Verification(state, "", "", "none", tuple(findings))
    if seal is None:
        findings.append(_bad("not_an_archive", f"{path}: is not a battlife archive"))
        return Verification("altered", "", "", "none", tuple(findings))
    _check_seal(path, seal, findings)
    _check_manifest(path, trusted, findings, seal)
    altered = any(n.severity is Severity.SUSPECT for n in findings)
    trust = "none"
    if seal.signed:
        trust = "trusted" if seal.fingerprint in trusted else "unknown"
        if trust == "unknown":
            findings.append(
                Notice(
                    "signer_unknown",
                    f"sealed by {seal.name or 'nobody named'} with the key "
                    f"{seal.fingerprint}, which you do not trust: anyone can seal a "
                    "file with a key of his own",
                )
            )
    name = trusted.get(seal.fingerprint) or seal.name
    return Verification(
        "altered" if altered else "intact",
        name if seal.signed else "",
        seal.fingerprint if seal.signed else "",
        trust,
        tuple(findings),
    )


def _bad(code: str, message: str) -> Notice:
    return Notice(code, message, Severity.SUSPECT)


def _check_seal(path: Path, seal: Seal, findings: list[Notice]) -> None:
    if not seal.signed:
        findings.append(_bad("seal_forged", "the signature of the seal is wrong"))
    digest, length = digest_behind(path)
    if length < seal.length:
        findings.append(
            _bad("truncated", f"{length} bytes, sealed with {seal.length}: cut off")
        )
    elif length > seal.length:
        extra = length - seal.length
        findings.append(_bad("bytes_appended", f"{extra} bytes follow the sealed end"))
    if digest != seal.sha256:
        findings.append(_bad("bytes_changed", "the bytes are not those sealed"))
    end = stated_end(path)
    if end is not None and end != length:
        findings.append(
            _bad("end_differs", f"HDF5 states its end at {end}, the file at {length}")
        )


def _check_manifest(
    path: Path,
    trusted: Mapping[str, str],
    findings: list[Notice],
    seal: Seal | None = None,
) -> None:
    import h5py

    try:
        with translated(path), h5py.File(path, "r") as file:
            present = manifest.present_objects(file, path)
            group = file.get(manifest.GROUP)
            if not isinstance(group, h5py.Group) or not len(group):
                findings.append(_bad("no_manifest", f"{path}: has no manifest"))
                return
            last = _check_chain(group, trusted, findings, seal)
            findings += manifest.differences(last, present)
    except ArchiveError as error:
        findings.append(_bad("not_readable", error.message))


def _check_chain(
    group: Any,
    trusted: Mapping[str, str],
    findings: list[Notice],
    seal: Seal | None,
) -> Mapping[str, Any]:
    """Check each manifest against the one before it; return the last one's objects."""
    previous = ""
    before: Mapping[str, Any] = {}
    public = b""
    for number, name in enumerate(sorted(group), start=1):
        data = group[name]
        content = data[...].tobytes()
        where = f"manifest {name}"
        found = manifest.parse(content, where)
        if (found["sequence"], found["previous"]) != (number, previous):
            findings.append(_bad("chain_broken", f"{where} does not follow the last"))
        public = _hex(data, "public_key")
        if not check(public, content, _hex(data, "signature")):
            findings.append(_bad("manifest_forged", f"{where}: wrong signature"))
        elif fingerprint(public) not in trusted:
            findings.append(
                Notice(
                    "manifest_signer_unknown",
                    f"{where} is signed by the unknown key {fingerprint(public)}",
                )
            )
        for path, entry in before.items():
            now = found["objects"].get(path)
            kept = now is not None and now.get("sha256") == entry.get("sha256")
            if not kept:
                findings.append(
                    _bad("history_changed", f"{where} no longer lists {path} as it was")
                )
        before = found["objects"]
        previous = hashlib.sha256(content).hexdigest()
    if seal is not None and public != seal.public:
        findings.append(
            _bad("signers_differ", "seal and last manifest are signed by two keys")
        )
    return before


def _hex(data: Any, name: str) -> bytes:
    try:
        return bytes.fromhex(bytes(data.attrs[name]).rstrip(b"\0").decode("ascii"))
    except (KeyError, ValueError, TypeError):
        return b""
