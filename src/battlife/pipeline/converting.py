"""Convert logs to a sealed archive or to the Battery Data Format."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from battlife.archive import ArchivedSource, ArchivedUnit, Evaluation, write_archive
from battlife.archive.keys import load_or_create_key
from battlife.errors import InputError
from battlife.pipeline.convert import info_row, output_kind, write_bdf
from battlife.pipeline.naming import numbered
from battlife.pipeline.rows import Row
from battlife.pipeline.software import software_versions
from battlife.pipeline.sources import LoadOptions, Unit, load_units_of


def convert(
    sources: Sequence[Path], output: Path, options: LoadOptions, operator: str = ""
) -> Iterator[Row]:
    """Write the units of `sources` to `output`, yielding the info of each output.

    An archive holds all units; a BDF file holds one, so several units become several
    files, named after the unit.

    Raises
    ------
    InputError
        A source cannot be read, the output is a source, or its ending is unknown.
    """
    kind = output_kind(output)
    if any(output.resolve() == s.resolve() for s in sources):
        raise InputError(f"{output}: is the source itself", "choose another output")
    units = [u for s in sources for u in load_units_of(s, options)]
    if kind == "h5":
        _write(units, output, options, operator)
        row = info_row(output, [u.trace for u in units])
        yield row | {"output": str(output)}
        return
    for unit in units:
        target = output
        if len(units) > 1:
            stem = output.with_name(output.name.split(".")[0] + output.suffix)
            target = numbered(stem, unit.trace.unit_id)
            target = target.with_name(f"{target.stem}.{kind}")
        write_bdf(unit.trace, target)
        yield info_row(target, [unit.trace]) | {"output": str(target)}


def _write(
    units: Sequence[Unit], output: Path, options: LoadOptions, operator: str
) -> None:
    mapping = options.mapping.read_text("utf-8") if options.mapping else ""
    sources = dict.fromkeys(s for u in units for s in u.trace.provenance.sources)
    write_archive(
        output,
        [
            ArchivedSource(Path(s.path), s.sha256, Path(s.path).name, s.format, mapping)
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
