"""Check archives offline and compute their results again."""

import math
import re
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from pathlib import Path

from battlife.archive import (
    Archive,
    ArchivedSource,
    Evaluation,
    from_text,
    open_archive,
    verify_archive,
)
from battlife.archive.keys import fingerprint_of, trusted_keys
from battlife.archive.ledger import Finding, check_ledger
from battlife.errors import ArchiveError, BattlifeError, FormatError, InputError
from battlife.grading import parse_policy
from battlife.model import Estimate, Notice, Reader, Severity, Trace, trace_sha256
from battlife.pipeline.decoding import READER as DECODED
from battlife.pipeline.decoding import from_toml
from battlife.pipeline.evaluate import evaluate
from battlife.pipeline.finding import LEDGER_NAME, has_ledger
from battlife.pipeline.journal_units import units_of
from battlife.pipeline.journals import READER as JOURNAL
from battlife.pipeline.rows import SCHEMA, Row, notice_rows
from battlife.readers import all_readers, read
from battlife.readers.mapped import user_mapping
from battlife.readers.units import UnitRecord, join

RELATIVE_TOLERANCE = 1e-9
"""Across processors the last bits of library functions may differ; more is a change."""


class Recompute(IntEnum):
    """How a repeated computation compares; the worst one counts."""

    IDENTICAL = 0
    WITHIN_TOLERANCE = 1
    NOT_POSSIBLE = 2
    DIFFERENT = 3


def expand(files: Sequence[Path]) -> list[Path]:
    """Return archives named, and those in the folders named, by name.

    Raises
    ------
    InputError
        A folder holds no archive.
    """
    found: list[Path] = []
    for path in files:
        if path.is_dir():
            inside = sorted(path.glob("*.h5"))
            if not inside and not has_ledger(path):
                raise InputError(f"{path}: no archives here", "name a folder of .h5")
            found += inside
        else:
            found.append(path)
    return found


def trusted_from(trust: Sequence[str]) -> Mapping[str, str]:
    """Return the keys to trust, by fingerprint; with none given, those on file.

    Raises
    ------
    InputError
        A file is not a public key.
    """
    if not trust:
        return trusted_keys()
    found: dict[str, str] = {}
    for item in trust:
        path = Path(item)
        if path.is_file():
            found[fingerprint_of(path.read_text("utf-8", "replace"))] = path.stem
        elif re.fullmatch(r"[0-9a-f]{4}(-[0-9a-f]{4})+", item.strip().lower()):
            found[item.strip().lower()] = ""
        else:
            raise InputError(
                f"--trust {item}: no such file, and not a fingerprint",
                "give a public key file (battlife keys export) or a fingerprint",
            )
    return found


def ledger_findings(folder: Path, trusted: Mapping[str, str]) -> list[Finding]:
    """Return what is wrong between a folder and its ledger, nothing if it has none."""
    if not has_ledger(folder):
        return []
    return check_ledger(folder, trusted)


def ledger_row(
    folder: Path, findings: Sequence[Finding], shown: set[str]
) -> Row | None:
    """Return the object of a ledger, None if every finding stands with its archive.

    Parameters
    ----------
    shown : file names of the archives that have an object of their own
    """
    rest = [f.notice for f in findings if f.archive not in shown]
    if not rest:
        return None
    suspect = any(n.severity is Severity.SUSPECT for n in rest)
    return {
        "schema": SCHEMA,
        "source": str(folder / LEDGER_NAME),
        "integrity": "altered" if suspect else "intact",
        "signer": {"name": "", "fingerprint": "", "trust": "none"},
        "recompute": Recompute.NOT_POSSIBLE.name.lower(),
        "findings": notice_rows(rest),
    }


def verify(
    path: Path,
    trusted: Mapping[str, str],
    *,
    recompute: bool = True,
    listed: Sequence[Finding] = (),
) -> Row:
    """Return the contract's `verify` object of one archive.

    Parameters
    ----------
    path : the archive
    trusted : fingerprint to name of the keys that count
    recompute : also read the originals and estimate and grade again
    listed : findings of the ledger of its folder

    Raises
    ------
    InputError
        There is no such file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file", "check the path")
    checked = verify_archive(path, trusted)
    findings = list(checked.findings)
    findings += [f.notice for f in listed if f.archive == path.name]
    answer = Recompute.NOT_POSSIBLE
    if not recompute:
        findings.append(Notice("recompute_not_asked", "the results were not repeated"))
    elif checked.integrity != "intact":
        findings.append(
            Notice(
                "recompute_refused",
                "the results of an archive that is not intact are not repeated",
            )
        )
    else:
        answer, more = _recomputed(path)
        findings += more
    return {
        "schema": SCHEMA,
        "source": str(path),
        "integrity": checked.integrity,
        "signer": {
            "name": checked.signer_name,
            "fingerprint": checked.fingerprint,
            "trust": checked.trust,
        },
        "recompute": answer.name.lower(),
        "findings": notice_rows(findings),
    }


def _recomputed(path: Path) -> tuple[Recompute, list[Notice]]:
    findings: list[Notice] = []
    worst = Recompute.IDENTICAL
    try:
        with open_archive(path) as archive:
            worst = max(worst, _source_again(archive, findings))
            for unit_id in archive.units:
                trace, pack = archive.trace(unit_id), archive.pack(unit_id)
                for evaluation in archive.evaluations(unit_id)[-1:]:
                    toml = evaluation.inputs.get("policy_toml")
                    if not toml:
                        continue
                    learned = evaluation.inputs.get("model_sha256", "")
                    again = evaluate(
                        trace,
                        pack,
                        parse_policy(toml.encode(), path.name),
                        archive.model(learned) if learned else None,
                    )
                    answer = _compare(evaluation, again.estimates)
                    if again.grade != evaluation.grade:
                        answer = Recompute.DIFFERENT
                    if answer is not Recompute.IDENTICAL:
                        findings.append(
                            Notice(
                                f"recompute_{answer.name.lower()}",
                                f"{unit_id}: the last evaluation, computed again with "
                                f"this version, is {answer.name.lower()}",
                            )
                        )
                    worst = max(worst, answer)
    except ArchiveError:
        raise
    except BattlifeError as error:
        findings.append(Notice("recompute_not_possible", error.message))
        worst = max(worst, Recompute.NOT_POSSIBLE)
    return worst, findings


def _source_again(archive: Archive, findings: list[Notice]) -> Recompute:
    """Read the embedded originals again and compare each trace with the archived."""
    if any(not s.embedded for s in archive.sources):
        findings.append(
            Notice(
                "source_not_embedded",
                "only the hash of the original is here: reading it is not repeated",
            )
        )
        return Recompute.IDENTICAL
    with tempfile.TemporaryDirectory(prefix="battlife-verify-") as folder:
        fresh = _read_again(archive, Path(folder))
        return _compared(archive, fresh, findings)


def _compared(
    archive: Archive, fresh: Sequence[Trace], findings: list[Notice]
) -> Recompute:
    """Compare traces with the archived ones; their columns may be files."""
    # --unit may have renamed the only unit: compare under the archived names.
    alone = len(fresh) == 1 and len(archive.units) == 1
    for unit in archive.units:
        wanted = _content(archive.trace(unit), unit)
        if wanted not in {_content(t, unit if alone else t.unit_id) for t in fresh}:
            findings.append(
                Notice(
                    "source_reads_differently",
                    f"{unit}: the original bytes, read again, give another trace",
                )
            )
            return Recompute.DIFFERENT
    return Recompute.IDENTICAL


def _read_again(archive: Archive, folder: Path) -> Sequence[Trace]:
    """Read the originals as they were read, in a folder of their own.

    Raises
    ------
    InputError
        They cannot be read, or their reader is not installed.
    """
    for index, source in enumerate(archive.sources):
        copy = folder / source.name
        if not copy.resolve().is_relative_to(folder.resolve()):
            raise ArchiveError(f"the original {source.name!r} leads out of its folder")
        copy.parent.mkdir(parents=True, exist_ok=True)
        archive.extract_source(index, copy)
    history = archive.evaluations(archive.units[0])
    stored = history[0].inputs.get("record", "") if history else ""
    if stored:
        record = replace(from_text(stored, UnitRecord), folder=folder)
        first = archive.sources[0]
        reader = _decoder(first, folder) if first.reader == DECODED else None
        return (join(record.read(reader), record),)
    traces: list[Trace] = []
    for source in archive.sources:
        path = folder / source.name
        if source.reader == JOURNAL:
            traces += [u.trace for u in units_of(path, folder, sources=())[0]]
        else:
            traces += read(path, _reader_of(source, folder))
    return traces


def _reader_of(source: ArchivedSource, folder: Path) -> Reader:
    """Return the reader an original was read with.

    Raises
    ------
    FormatError
        It is not installed.
    """
    if source.reader == DECODED:
        return _decoder(source, folder)
    if source.mapping_toml:
        return user_mapping(tomllib.loads(source.mapping_toml))
    reader = all_readers().get(source.reader)
    if reader is None:
        raise FormatError(f"no reader {source.reader!r} is installed")
    return reader


def _decoder(source: ArchivedSource, folder: Path) -> Reader:
    return from_toml(tomllib.loads(source.mapping_toml), folder)


def _content(trace: Trace, unit_id: str) -> str:
    return trace_sha256(replace(trace, unit_id=unit_id))


def _compare(old: Evaluation, new: Sequence[Estimate]) -> Recompute:
    if len(old.estimates) != len(new):
        return Recompute.DIFFERENT
    worst = Recompute.IDENTICAL
    for before, after in zip(old.estimates, new, strict=True):
        same = (before.method, before.status, before.reasons, before.cycle) == (
            after.method,
            after.status,
            after.reasons,
            after.cycle,
        )
        if not same or before.measurements.keys() != after.measurements.keys():
            return Recompute.DIFFERENT
        for name, measurement in before.measurements.items():
            other = after.measurements[name]
            for a, b in (
                (measurement.value, other.value),
                (measurement.uncertainty, other.uncertainty),
            ):
                worst = max(worst, _closeness(a, b))
    return worst


def _closeness(a: object, b: object) -> Recompute:
    if a == b or (a != a and b != b):
        return Recompute.IDENTICAL
    if (
        isinstance(a, float)
        and isinstance(b, float)
        and math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE)
    ):
        return Recompute.WITHIN_TOLERANCE
    return Recompute.DIFFERENT
