"""Walk folders for logs, tie the files of one unit together, tell duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from battlife.errors import BattlifeError, FormatError, InputError
from battlife.pipeline.sources import Job, LoadOptions, Records, looks_like_archive
from battlife.readers import detect, detect_frames, hash_file
from battlife.readers.units import UNITS_FILE

LEDGER_NAME = "ledger.jsonl"
"""Its presence marks a folder of archives: evaluated again where it is named itself,
passed over where it is met on the way."""


@dataclass(frozen=True)
class Passed:
    """A file that is not graded, and why.

    Attributes
    ----------
    path : the file
    sha256 : "" if it could not be read
    status : "skipped", "duplicate" or "error"
    error : says why
    """

    path: Path
    sha256: str
    status: str
    error: BattlifeError


@dataclass(frozen=True)
class Found:
    """What a run will do."""

    jobs: tuple[Job, ...]
    passed: tuple[Passed, ...]


def find(paths: Sequence[Path], options: LoadOptions) -> Found:
    """Return the jobs behind files and folders, in the order given and by name.

    A folder is walked; what no reader recognises there is skipped, while a foreign
    file that was named is an error. A log met twice, by content, is a duplicate.
    """
    jobs: list[Job] = []
    passed: list[Passed] = []
    claimed: dict[Path, Path] = {}
    seen: dict[str, Path] = {}
    records = Records(options.units_file)
    for path, named in _files(paths, passed):
        resolved = path.resolve()
        if resolved in claimed:
            first = claimed[resolved]
            if first != path:
                passed.append(_duplicate(path, _digest(path), first))
            continue
        try:
            archived = looks_like_archive(path)
            record = None if archived else records.of(path)
            files = record.paths() if record is not None else (path,)
            claimed.update({p.resolve(): p for p in files})
            claimed[resolved] = path
            digests = [hash_file(p)[0] for p in files]
            chosen = options.format is not None or options.mapping is not None
            chosen |= options.decoding is not None and detect_frames(path) is not None
            if record is None and not archived and not chosen:
                detect(path)
        except BattlifeError as error:
            foreign = isinstance(error, FormatError) and not named
            passed.append(
                Passed(path, _digest(path), "skipped" if foreign else "error", error)
            )
            continue
        key = "+".join(digests)
        if key in seen:
            passed.append(_duplicate(path, digests[0], seen[key]))
            continue
        seen[key] = path
        jobs.append(Job(files, record, named, tuple(digests), archived))
    return Found(tuple(jobs), tuple(passed))


def has_ledger(folder: Path) -> bool:
    """Return whether a folder is one of archives; False where it cannot be entered."""
    try:
        return (folder / LEDGER_NAME).is_file()
    except OSError:
        return False


def _duplicate(path: Path, sha256: str, first: Path) -> Passed:
    error = InputError(f"{path}: the same log as {first}", "it counts once")
    return Passed(path, sha256, "duplicate", error)


def _files(paths: Sequence[Path], passed: list[Passed]) -> list[tuple[Path, bool]]:
    found: list[tuple[Path, bool]] = []
    for path in paths:
        if path.is_dir() and has_ledger(path):
            found += [(p, True) for p in sorted(path.glob("*.h5"))]
        elif path.is_dir():
            found += [(p, False) for p in _walk(path, passed)]
        elif path.exists():
            found.append((path, True))
        else:
            error = InputError(f"{path}: no such file or folder", "check the path")
            passed.append(Passed(path, "", "error", error))
    return found


def _walk(folder: Path, passed: list[Passed]) -> list[Path]:
    """Return the files below a folder by name; what cannot be entered is an error."""
    if has_ledger(folder):
        return []
    files: list[Path] = []
    try:
        entries = sorted(folder.iterdir(), key=lambda p: p.name)
    except OSError as error:
        refusal = InputError(f"{folder}: cannot be listed: {error.strerror}")
        passed.append(Passed(folder, "", "error", refusal))
        return []
    for entry in entries:
        if entry.name.startswith(".") or entry.name == UNITS_FILE:
            continue
        if entry.is_dir():
            if not entry.is_symlink():
                files += _walk(entry, passed)
        elif entry.is_file():
            files.append(entry)
        else:
            refusal = InputError(f"{entry}: is no file, or a link that leads nowhere")
            passed.append(Passed(entry, "", "skipped", refusal))
    return files


def _digest(path: Path) -> str:
    try:
        return hash_file(path)[0]
    except BattlifeError:
        return ""
