"""Convert logs to a sealed archive or to the Battery Data Format."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from battlife.archive import ArchivedSource, ArchivedUnit, Evaluation, write_archive
from battlife.archive.keys import load_or_create_key
from battlife.errors import BattlifeError, InputError
from battlife.model import Notice, Trace
from battlife.pipeline.convert import info_row, output_kind, write_bdf
from battlife.pipeline.naming import numbered
from battlife.pipeline.rows import Row
from battlife.pipeline.software import software_versions
from battlife.pipeline.sources import LoadOptions, Unit, load_units_of
from battlife.readers import hash_file


def convert(
    sources: Sequence[Path],
    output: Path,
    options: LoadOptions,
    failed: Callable[[Path, BattlifeError], None],
    operator: str = "",
) -> Iterator[Row]:
    """Write the units of `sources` to `output`, yielding the info of each output.

    An archive holds all units; a BDF file holds one, so several units become several
    files, named after the unit.

    Parameters
    ----------
    sources : logs or archives
    output : its ending chooses the format
    failed : told of each source that cannot be read; the others are converted

    Raises
    ------
    InputError
        The output is a source, its ending is unknown, or it cannot be written.
    """
    kind = output_kind(output)
    if any(output.resolve() == s.resolve() for s in sources):
        raise InputError(f"{output}: is the source itself", "choose another output")
    units: list[Unit] = []
    for source in sources:
        try:
            units += load_units_of(source, options)
        except BattlifeError as error:
            failed(source, error)
    if not units:
        return
    if kind == "h5":
        _write(units, output, options, operator)
        yield _row(output, [u.trace for u in units], "archive")
        return
    for unit in units:
        target = output
        if len(units) > 1:
            stem = output.with_name(output.name.split(".")[0] + output.suffix)
            target = numbered(stem, unit.trace.unit_id)
            target = target.with_name(f"{target.stem}.{kind}")
        write_bdf(unit.trace, target)
        yield _row(target, [_as_bdf(unit.trace)], "bdf")


def _row(output: Path, traces: Sequence[Trace], format_name: str) -> Row:
    """Return the info object of an output, with the hash of its own bytes."""
    return info_row(output, traces) | {
        "sha256": hash_file(output)[0],
        "format": format_name,
        "output": str(output),
    }


def _as_bdf(trace: Trace) -> Trace:
    """Return the trace with a notice of what its export leaves out."""
    notices = []
    if trace.steps is not None and len(trace.steps):
        notices.append(
            Notice(
                "steps_not_exported",
                f"the {len(trace.steps)} steps of the source have no place in the "
                "format: a capacity found in the export can differ; .h5 keeps them",
            )
        )
    if trace.spectra:
        notices.append(
            Notice(
                "spectra_not_exported",
                f"{len(trace.spectra)} impedance spectra have no place in the format; "
                ".h5 keeps them",
            )
        )
    return replace(trace, provenance=trace.provenance.with_notices(*notices))


def _write(
    units: Sequence[Unit], output: Path, options: LoadOptions, operator: str
) -> None:
    sources = dict.fromkeys(s for u in units for s in u.trace.provenance.sources)
    write_archive(
        output,
        [
            ArchivedSource(
                Path(s.path),
                s.sha256,
                Path(s.path).name,
                s.format,
                options.settings(s),
            )
            for s in sources
        ],
        [ArchivedUnit(u.trace, u.pack) for u in units],
        [
            Evaluation(
                unit_id=u.trace.unit_id,
                estimates=(),
                grade=None,
                operator=operator,
                reason="convert",
                created_utc=datetime.now(UTC),
                software=software_versions(),
                inputs={},
            )
            for u in units
        ],
        key=load_or_create_key(),
        ledger=False,
    )
