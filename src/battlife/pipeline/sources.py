"""Find the logs, tell which belong together, and load them as units."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from battlife import wire
from battlife.archive import is_archive, open_archive
from battlife.errors import FormatError, InputError
from battlife.estimators import DESCRIPTIONS
from battlife.model import Pack, Reader, Source, Trace
from battlife.pipeline.decoding import READER, DecodedReader, Decoding, to_toml
from battlife.readers import (
    HEAD_BYTES,
    all_frame_readers,
    all_readers,
    detect_frames,
    read,
)
from battlife.readers.mapped import load_mapping
from battlife.readers.units import (
    UnitRecord,
    find_units_file,
    join,
    load_units,
    pack_from,
)


@dataclass(frozen=True)
class LoadOptions:
    """How to read, where detection or the file does not say.

    Attributes
    ----------
    format : name of the reader, overrules detection
    mapping : column mapping of a CSV or Parquet file
    units_file : units.toml; None looks beside each log
    unit : id of the unit under test, overrules the file's
    nominal_ah : rated capacity in Ah, before any other source
    decoding : how the frames of bus logs become values
    """

    format: str | None = None
    mapping: Path | None = None
    units_file: Path | None = None
    unit: str | None = None
    nominal_ah: float | None = None
    decoding: Decoding | None = None

    def settings(self, source: Source | None = None) -> str:
        """Return the TOML that reading needs again: a mapping, or how to decode.

        Parameters
        ----------
        source : leaves out what this one was not read with
        """
        if self.mapping is not None:
            return self.mapping.read_text("utf-8")
        if self.decoding is None or (source and source.format != READER):
            return ""
        return to_toml(self.decoding, self.format)


@dataclass(frozen=True)
class Unit:
    """One unit as loaded: what was measured and what is known of it."""

    trace: Trace
    pack: Pack


@dataclass(frozen=True)
class Job:
    """Files that are read together, and the record that says so.

    Attributes
    ----------
    files : in the order in which they are joined
    record : entry of units.toml, None where there is none
    named : True if the user named a file himself; a foreign file is then an error
    sha256 : digest of each file, where it is known already
    is_archive : True if the one file is an archive, to be evaluated again
    """

    files: tuple[Path, ...]
    record: UnitRecord | None
    named: bool
    sha256: tuple[str, ...] = ()
    is_archive: bool = False


def known() -> Iterator[tuple[str, str, str]]:
    """Yield (kind, name, description) of readers, protocols, drivers, estimators."""
    for reader in all_readers().values():
        yield "reader", reader.name, reader.description
    yield "reader", "archive", "battlife's own sealed HDF5 archive (.h5)"
    for log in all_frame_readers().values():
        yield "reader", log.name, f"{log.description} (with --protocol)"
    for name in wire.names():
        yield "protocol", name, wire.description(name)
    yield "driver", "serial", "serial ports, pty, socket:// and rfc2217:// (pyserial)"
    yield "driver", "can", "CAN and CAN FD, every interface of python-can"
    for name, description in DESCRIPTIONS.items():
        yield "estimator", name, description


def check_format(name: str | None) -> None:
    """Raise FormatError if a reader is named that does not exist."""
    if name not in all_frame_readers():
        choose_reader(LoadOptions(format=name))


def choose_reader(options: LoadOptions) -> Reader | None:
    """Return the reader the options name, None to detect.

    Raises
    ------
    FormatError
        No reader has that name.
    """
    if options.mapping is not None:
        return load_mapping(options.mapping)
    if options.format is None:
        return None
    readers = all_readers()
    if options.format in readers:
        return readers[options.format]
    if options.format in all_frame_readers():
        raise FormatError(
            f"{options.format} is a bus log; it holds frames, not columns",
            "give --protocol NAME, which says what the frames mean",
        )
    raise FormatError(
        f"no reader is called {options.format!r}",
        f"known: {', '.join([*readers, *all_frame_readers()])}",
    )


def reader_for(path: Path, options: LoadOptions) -> Reader | None:
    """Return the reader of one file, None to detect.

    Raises
    ------
    FormatError
        No reader has the name given.
    """
    decoding = options.decoding
    if decoding is not None and options.mapping is None:
        if options.format in all_frame_readers():
            return DecodedReader(decoding, options.format)
        if options.format is None and detect_frames(path) is not None:
            return DecodedReader(decoding)
    return choose_reader(options)


def load_file(path: Path, options: LoadOptions) -> Sequence[Trace]:
    """Read one file as it is: a log, or the traces inside an archive.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    if looks_like_archive(path):
        with open_archive(path) as archive:
            return tuple(archive.trace(unit) for unit in archive.units)
    return read(path, reader_for(path, options))


def load_units_of(path: Path, options: LoadOptions) -> tuple[Unit, ...]:
    """Load every unit of one file, joined with the files units.toml ties to it.

    Raises
    ------
    InputError
        The file cannot be read, or units.toml is wrong.
    """
    if looks_like_archive(path):
        with open_archive(path) as archive:
            return tuple(Unit(archive.trace(u), archive.pack(u)) for u in archive.units)
    record = Records(options.units_file).of(path)
    files = record.paths() if record is not None else (path,)
    return load_job(Job(files, record, named=True), options)


def load_job(job: Job, options: LoadOptions) -> tuple[Unit, ...]:
    """Read the files of a job into units.

    Raises
    ------
    InputError
        A file cannot be read, or does not fit what units.toml says.
    """
    reader = reader_for(job.files[0], options)
    if job.record is None:
        traces = [t for path in job.files for t in read(path, reader)]
        if options.unit is not None:
            if len(traces) > 1:
                found = ", ".join(t.unit_id for t in traces)
                raise InputError(
                    f"--unit {options.unit}: the source holds several units: {found}",
                    "leave --unit out, or split the source",
                )
            traces = [replace(traces[0], unit_id=options.unit)]
    else:
        traces = [join(job.record.read(reader), job.record)]
    return tuple(
        Unit(t, pack_from(t, job.record, t.unit_id, options.nominal_ah)) for t in traces
    )


class Records:
    """The units.toml entries of a run, each file of them read once.

    Parameters
    ----------
    units_file : units.toml of all logs; None looks beside each log
    """

    def __init__(self, units_file: Path | None = None) -> None:
        self._units_file = units_file
        self._by_file: dict[Path, dict[Path, UnitRecord]] = {}

    def of(self, path: Path) -> UnitRecord | None:
        """Return the entry that names a log, None if there is none.

        Raises
        ------
        InputError
            The units.toml is wrong.
        """
        chosen = self._units_file or find_units_file(path.parent)
        if chosen is None:
            return None
        if chosen not in self._by_file:
            self._by_file[chosen] = {
                file.resolve(): record
                for record in load_units(chosen)
                for file in record.paths()
            }
        return self._by_file[chosen].get(path.resolve())


def looks_like_archive(path: Path) -> bool:
    """Return whether a file begins as an archive of battlife does."""
    try:
        with path.open("rb") as file:
            return is_archive(file.read(HEAD_BYTES))
    except OSError:
        return False
