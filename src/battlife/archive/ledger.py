"""The chained list of a folder's archives: a discarded result leaves a trace.

``ledger.jsonl`` holds one canonical JSON line per archive written or added to; each
names the SHA-256 of the line before it and is signed.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from battlife.archive.keys import SigningKey, check, fingerprint
from battlife.errors import ArchiveError
from battlife.model import Notice, Severity

NAME: Final = "ledger.jsonl"
LOCK: Final = ".ledger.lock"
MAX_BYTES: Final = 256 << 20


def append(folder: Path, archive: Path, block: bytes, key: SigningKey) -> None:
    """Add one line for an archive that was just sealed.

    Concurrent writers wait for each other; a line torn by a crash is completed with a
    line break first, so that it stays visible and damages nothing after it.

    Parameters
    ----------
    folder : holds the ledger
    archive : the sealed file
    block : its seal
    key : signs the line
    """
    with _locked(folder):
        path = folder / NAME
        lines, torn = _lines(path)
        previous = hashlib.sha256(lines[-1]).hexdigest() if lines else ""
        entry = {
            "archive": archive.name,
            "seal_sha256": hashlib.sha256(block).hexdigest(),
            "previous": previous,
            "sequence": len(lines),
            "utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "public_key": key.public.hex(),
            "signer": key.name,
        }
        entry["signature"] = key.sign(_canonical(entry)).hex()
        with path.open("ab") as file:
            file.write((b"\n" if torn else b"") + _canonical(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong in a folder.

    Attributes
    ----------
    archive : file name it is about, "" where it is about the ledger itself
    notice : what was found
    """

    archive: str
    notice: Notice


def check_ledger(folder: Path, trusted: Mapping[str, str]) -> list[Finding]:
    """Return what is wrong between a folder's ledger and its archives.

    Parameters
    ----------
    folder : of the archives
    trusted : fingerprints whose lines count

    Raises
    ------
    ArchiveError
        There is no ledger.
    """
    path = folder / NAME
    if not path.is_file():
        raise ArchiveError(f"{folder}: has no ledger")
    lines, torn = _lines(path)
    findings: list[Finding] = []

    def found(
        code: str,
        message: str,
        severity: Severity = Severity.SUSPECT,
        archive: str = "",
    ) -> None:
        findings.append(Finding(archive, Notice(code, message, severity)))

    if torn:
        found(
            "ledger_torn",
            f"{path}: the last line was cut off by a crash",
            Severity.WARNING,
        )
    latest: dict[str, str] = {}
    previous = ""
    unknown: set[str] = set()
    for number, line in enumerate(lines):
        entry = _entry(line)
        if entry is None:
            found("ledger_line_damaged", f"{path}: line {number + 1} is damaged")
        else:
            if entry.get("previous") != previous:
                found(
                    "ledger_chain_broken",
                    f"{path}: line {number + 1} does not follow the line before it",
                )
            public = _bytes(entry.get("public_key"))
            signature = _bytes(entry.pop("signature", None))
            if not check(public, _canonical(entry), signature):
                found(
                    "ledger_line_forged",
                    f"{path}: line {number + 1} is not signed by the key it names",
                )
            elif fingerprint(public) not in (*trusted, *unknown):
                unknown.add(fingerprint(public))
                found(
                    "ledger_signer_unknown",
                    f"{path}: line {number + 1} is signed by the unknown key "
                    f"{fingerprint(public)}",
                    Severity.WARNING,
                )
            latest[str(entry.get("archive"))] = str(entry.get("seal_sha256"))
        previous = hashlib.sha256(line).hexdigest()
    for name, seal in sorted(latest.items()):
        archive = folder / Path(name).name
        if not archive.is_file():
            found(
                "archive_removed",
                f"{name}: listed in the ledger, not in the folder",
                archive=name,
            )
            continue
        with archive.open("rb") as file:
            block = file.read(512)
        if hashlib.sha256(block).hexdigest() != seal:
            found(
                "archive_replaced",
                f"{name}: its seal is not the last one in the ledger",
                archive=name,
            )
    for archive in sorted(folder.glob("*.h5")):
        if archive.name not in latest:
            found(
                "archive_unlisted",
                f"{archive.name}: not listed in the ledger",
                archive=archive.name,
            )
    return findings


def _lines(path: Path) -> tuple[list[bytes], bool]:
    """Return the complete lines of a ledger, and whether the last one is torn."""
    if not path.is_file():
        return [], False
    if path.stat().st_size > MAX_BYTES:
        raise ArchiveError(f"{path}: larger than {MAX_BYTES} bytes")
    content = path.read_bytes()
    lines = content.split(b"\n")
    torn = bool(lines[-1])
    return (lines if torn else lines[:-1]), torn


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _bytes(text: object) -> bytes:
    try:
        return bytes.fromhex(str(text))
    except ValueError:
        return b""


def _canonical(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system releases it if the process dies."""
    with (folder / LOCK).open("a+b") as lock:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]  # Windows only
            try:
                yield
            finally:
                lock.seek(0)
                msvcrt.locking(lock.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]  # Windows only
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)
