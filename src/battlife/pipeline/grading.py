"""From logs to archived grades: resumable, one bad file never stops the rest."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from battlife import __version__
from battlife.archive import (
    ArchivedSource,
    ArchivedUnit,
    Evaluation,
    append_evaluation,
    open_archive,
    require_seal,
    to_text,
    write_archive,
)
from battlife.archive.keys import SigningKey, trusted_keys
from battlife.errors import (
    ArchiveError,
    BattlifeError,
    EstimateError,
    FormatError,
    InputError,
)
from battlife.grading import Policy
from battlife.model import (
    Estimate,
    Grade,
    Measurement,
    Notice,
    Pack,
    Source,
    Trace,
)
from battlife.model.learned import Model
from battlife.pipeline.evaluate import Evaluated, evaluate, latest, with_sensor
from battlife.pipeline.finding import Passed, has_ledger
from battlife.pipeline.naming import safe_stem
from battlife.pipeline.software import software_versions
from battlife.pipeline.sources import Job, LoadOptions, Unit, load_job
from battlife.readers.units import UnitRecord


@dataclass(frozen=True)
class GradeOptions:
    """What a grading run needs to know.

    Attributes
    ----------
    load : how to read
    policy : decides
    archives : folder of the archives
    key : signs them
    operator : who is responsible
    reason : why this evaluation was made
    embed : keep the original bytes in the archive, or their hash alone
    model : what a calibration made, for the screening method it is for
    """

    load: LoadOptions
    policy: Policy
    archives: Path
    key: SigningKey
    operator: str = ""
    reason: str = "grade"
    embed: bool = True
    model: Model | None = None


@dataclass(frozen=True)
class UnitResult:
    """One line of a grading run.

    Attributes
    ----------
    status : "graded", "refused", "error", "skipped" or "duplicate"
    reported_soh : what the unit's BMS claims, a fraction; never a measurement
    decided_by : the measurements that speak for the unit, by name
    resumed : True if an earlier run had computed it from the same input and policy
    """

    unit: str | None
    sources: tuple[Source, ...]
    status: str
    operator: str = ""
    measured_utc: datetime | None = None
    header_time: str = ""
    pack: Pack | None = None
    reported_soh: float | None = None
    decided_by: Mapping[str, Measurement] = field(default_factory=dict)
    grade: Grade | None = None
    estimates: tuple[Estimate, ...] = ()
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    simulated: bool = False
    archive: Path | None = None
    error: BattlifeError | None = None
    resumed: bool = False


def grade_job(job: Job, options: GradeOptions) -> tuple[UnitResult, ...]:
    """Grade the units of one job; errors become results, not exceptions."""
    try:
        if job.is_archive:
            return _resume(_own_copy(job, options), options, {})
        key = _input_key(job, options)
        archive = _archived(options.archives, key)
        if archive is not None:
            now = dict(zip(job.sha256, map(str, job.files), strict=True))
            return _resume(archive, options, now)
        units = load_job(job, options.load)
        target = options.archives / _archive_name(units, key)
        return _grade_units(job, units, target, options)
    except BattlifeError as error:
        status = "refused" if isinstance(error, EstimateError) else "error"
        if isinstance(error, FormatError) and not job.named:
            status = "skipped"
        sources = tuple(
            Source(str(p), digest, 0, "")
            for p, digest in zip(job.files, job.sha256, strict=True)
        )
        unit = job.record.pack.id if job.record is not None else options.load.unit
        return (
            UnitResult(unit, sources, status, operator=options.operator, error=error),
        )


def passed_result(passed: Passed) -> UnitResult:
    """Return the result of a file that was not graded."""
    source = Source(str(passed.path), passed.sha256, 0, "")
    return UnitResult(None, (source,), passed.status, error=passed.error)


def _grade_units(
    job: Job,
    units: Sequence[Unit],
    target: Path,
    options: GradeOptions,
) -> tuple[UnitResult, ...]:
    results = []
    evaluations = []
    record = to_text(job.record) if job.record is not None else ""
    for unit in units:
        evaluated = evaluate(unit.trace, unit.pack, options.policy, options.model)
        evaluations.append(_evaluation(unit.trace.unit_id, evaluated, options, record))
        results.append(
            _result(unit, evaluated, target, options.operator, options.policy)
        )
    sources = units[0].trace.provenance.sources
    write_archive(
        target,
        [
            ArchivedSource(
                path=Path(s.path),
                sha256=s.sha256,
                name=_inner_name(Path(s.path), job.record),
                reader=s.format,
                mapping_toml=options.load.settings(s),
            )
            for s in sources
        ],
        [ArchivedUnit(u.trace, u.pack) for u in units],
        evaluations,
        key=options.key,
        embed=options.embed,
        model=options.model,
    )
    return tuple(results)


def _inner_name(path: Path, record: UnitRecord | None) -> str:
    """Return the name under which units.toml finds a file, else its own name."""
    if record is None:
        return path.name
    return path.resolve().relative_to(record.folder.resolve()).as_posix()


def _evaluation(
    unit_id: str,
    evaluated: Evaluated,
    options: GradeOptions,
    record: str = "",
) -> Evaluation:
    return Evaluation(
        unit_id=unit_id,
        estimates=evaluated.estimates,
        grade=evaluated.grade,
        operator=options.operator,
        reason=options.reason,
        created_utc=datetime.now(UTC),
        software=software_versions(),
        inputs={
            "policy_toml": options.policy.toml,
            "policy_sha256": options.policy.sha256,
            "not_applicable": json.dumps(
                dict(evaluated.not_applicable), sort_keys=True
            ),
            "refusal": evaluated.refusal.message if evaluated.refusal else "",
            "evaluation_key": evaluation_key(options.policy, options.model),
            "model_sha256": options.model.sha256 if options.model else "",
            "record": record,
        },
    )


def evaluation_key(policy: Policy, model: Model | None = None) -> str:
    """Return what an evaluation depends on besides its archive."""
    learned = f":{model.sha256}" if model is not None else ""
    return f"{policy.sha256}:{__version__}{learned}"


def _result(
    unit: Unit,
    evaluated: Evaluated,
    archive: Path,
    operator: str,
    policy: Policy,
    resumed: bool = False,
) -> UnitResult:
    provenance = unit.trace.provenance
    return UnitResult(
        unit=unit.trace.unit_id,
        sources=provenance.sources,
        status="graded" if evaluated.grade is not None else "refused",
        operator=operator,
        measured_utc=_measured(unit.trace),
        header_time=provenance.header.get("start_time", ""),
        pack=with_sensor(unit.pack, policy),
        reported_soh=_reported_soh(unit.trace),
        grade=evaluated.grade,
        estimates=evaluated.estimates,
        decided_by=latest(evaluated.estimates, unit.pack, policy),
        not_applicable=evaluated.not_applicable,
        notices=provenance.notices,
        simulated=provenance.simulated,
        archive=archive,
        error=evaluated.refusal,
        resumed=resumed,
    )


def _reported_soh(trace: Trace) -> float | None:
    """Return the last state of health that the BMS claimed, None if it claims none."""
    column = trace.columns.get("reported_soh")
    known = column[np.isfinite(column)] if column is not None else np.empty(0)
    return float(known[-1]) if known.size else None


def _measured(trace: Trace) -> datetime | None:
    """Return the moment of the last sample, None where the source has no clock."""
    if trace.start_utc is None:
        return None
    last = float(trace.time_s.max()) if trace.n_samples else 0.0
    return trace.start_utc + timedelta(seconds=last)


def _resume(
    archive: Path, options: GradeOptions, paths: Mapping[str, str]
) -> tuple[UnitResult, ...]:
    """Return the results an archive already holds; append where the policy is new.

    Parameters
    ----------
    paths : where the originals are now, by hash

    Raises
    ------
    ArchiveError
        It was altered, or sealed by somebody the operator does not trust: neither
        may pass for a result, nor get the operator's seal.
    """
    seal = require_seal(archive)
    if seal.fingerprint not in trusted_keys() | {options.key.fingerprint: ""}:
        raise ArchiveError(
            f"{archive}: sealed by {seal.name} with the key {seal.fingerprint}, which "
            "you do not trust",
            "trust that key with `battlife keys trust FILE`, or use another --archives",
        )
    with open_archive(archive) as opened:
        units = [
            Unit(_moved(opened.trace(u), paths), opened.pack(u)) for u in opened.units
        ]
        last = {u: opened.evaluations(u) for u in opened.units}
    results = []
    for unit in units:
        history = last[unit.trace.unit_id]
        wanted = evaluation_key(options.policy, options.model)
        current = history[-1] if history else None
        if current is None or current.inputs.get("evaluation_key") != wanted:
            evaluated = evaluate(unit.trace, unit.pack, options.policy, options.model)
            fresh = _evaluation(unit.trace.unit_id, evaluated, options)
            append_evaluation(archive, fresh, key=options.key, model=options.model)
            results.append(
                _result(unit, evaluated, archive, options.operator, options.policy)
            )
            continue
        refusal = current.inputs.get("refusal", "")
        evaluated = Evaluated(
            current.estimates,
            json.loads(current.inputs.get("not_applicable", "{}")),
            current.grade,
            EstimateError(refusal) if refusal else None,
        )
        results.append(
            _result(unit, evaluated, archive, current.operator, options.policy, True)
        )
    return tuple(results)


def _own_copy(job: Job, options: GradeOptions) -> Path:
    """Return the archive to add an evaluation to: sources are never written to.

    One in a folder of archives is added to where it is; any other is copied into the
    folder of archives first.
    """
    given = job.files[0]
    if has_ledger(given.parent):
        return given
    require_seal(given)
    target = options.archives / f"{given.stem}-{job.sha256[0][:16]}.h5"
    if not target.exists():
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            shutil.copyfile(given, part)
            os.replace(part, target)
        except OSError as error:
            raise InputError(
                f"{target}: cannot be written: {error.strerror}",
                "choose another folder with --archives",
            ) from error
        finally:
            part.unlink(missing_ok=True)
    return target


def _moved(trace: Trace, paths: Mapping[str, str]) -> Trace:
    """Return the trace with its sources under the paths of this run."""
    provenance = trace.provenance
    sources = tuple(
        replace(s, path=paths.get(s.sha256, s.path)) for s in provenance.sources
    )
    return replace(trace, provenance=replace(provenance, sources=sources))


def _input_key(job: Job, options: GradeOptions) -> str:
    """Return a digest of everything an archive of a job depends on."""
    digest = hashlib.sha256()
    load = options.load
    # A unit without a stated id takes the file's name.
    names = [p.name for p in job.files] if job.record is None else []
    parts = [
        *job.sha256,
        *names,
        "embedded" if options.embed else "hash",
        to_text(replace(job.record, folder=Path())) if job.record is not None else "",
        load.format or "",
        load.settings(),
        load.unit or "",
        repr(load.nominal_ah),
    ]
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:16]


def _archive_name(units: Sequence[Unit], key: str) -> str:
    if not units:
        raise InputError("the source holds no unit")
    return f"{safe_stem(units[0].trace.unit_id)}-{key}.h5"


def _archived(folder: Path, key: str) -> Path | None:
    found = sorted(folder.glob(f"*-{key}.h5"))
    return found[0] if found else None
