"""Run many grading jobs, one after another or in several processes."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from battlife.archive import remove_leftovers
from battlife.archive.keys import load_or_create_key
from battlife.archive.model_file import decode_model, encode_model
from battlife.errors import InputError
from battlife.grading import parse_policy
from battlife.pipeline.finding import Passed
from battlife.pipeline.grade_rows import grade_row, history
from battlife.pipeline.grading import (
    GradeOptions,
    UnitResult,
    grade_job,
    passed_result,
)
from battlife.pipeline.rows import Row
from battlife.pipeline.sources import Job, LoadOptions


@dataclass(frozen=True)
class _Shared:
    """What a worker process needs; the key stays on disk and is loaded there."""

    load: LoadOptions
    policy_toml: str
    policy_name: str
    archives: Path
    operator: str
    reason: str
    embed: bool
    model: bytes


_options: GradeOptions | None = None
"""Set once in each worker process by its initialiser, never in the parent."""


def run_jobs(
    jobs: Sequence[Job], options: GradeOptions, workers: int = 1
) -> Iterator[list[Row]]:
    """Yield the rows of each job, in the order of the jobs, as it is archived.

    Results do not depend on the number of workers. Stopping loses nothing that was
    yielded, and a repeated run goes on where this one stopped.

    Parameters
    ----------
    workers : processes; 1 works in this one

    Raises
    ------
    InputError
        Several workers and a key that is not stored: they could not share it.
    """
    if not jobs:
        return
    try:
        options.archives.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{options.archives}: cannot be made: {error.strerror}",
            "choose a folder you may write to with --archives",
        ) from error
    remove_leftovers(options.archives)
    if workers <= 1 or len(jobs) < 2:
        for job in jobs:
            yield [with_history(r) for r in grade_job(job, options)]
        return
    if not options.key.persistent:
        raise InputError(
            "several workers need a signing key that is stored",
            "set BATTLIFE_HOME to a folder that you keep, or use --workers 1",
        )
    shared = _Shared(
        options.load,
        options.policy.toml,
        options.policy.name,
        options.archives,
        options.operator,
        options.reason,
        options.embed,
        encode_model(options.model) if options.model else b"",
    )
    # spawn: the same on every system, and no half-copied locks of other libraries.
    with ProcessPoolExecutor(
        min(workers, len(jobs)), get_context("spawn"), _begin, (shared,)
    ) as pool:
        try:
            yield from pool.map(_grade, jobs)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def passed_row(passed: Passed) -> Row:
    """Return the row of a file that was not graded."""
    return with_history(passed_result(passed))


def with_history(result: UnitResult) -> Row:
    """Return a grade row with capacity over cycles beside it."""
    return grade_row(result) | {"history": history(result.estimates)}


def _begin(shared: _Shared) -> None:
    global _options
    _options = GradeOptions(
        load=shared.load,
        policy=parse_policy(shared.policy_toml.encode(), shared.policy_name),
        archives=shared.archives,
        key=load_or_create_key(),
        operator=shared.operator,
        reason=shared.reason,
        embed=shared.embed,
        model=decode_model(shared.model) if shared.model else None,
    )


def _grade(job: Job) -> list[Row]:
    if _options is None:
        raise RuntimeError("the worker was not initialised")
    return [with_history(r) for r in grade_job(job, _options)]
