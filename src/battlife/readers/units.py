"""units.toml: what a log cannot say, and which files make one unit."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from battlife.errors import InputError
from battlife.model import Pack, Reader, Trace
from battlife.quantities import QUANTITIES
from battlife.readers._join import join_traces

UNITS_FILE: Final = "units.toml"
MAX_TOML_BYTES: Final = 4 << 20
MAX_FILES: Final = 10_000
ALIGNMENTS: Final = ("segment", "interpolate")
RELATIVE_SENSORS: Final = frozenset({"voltage_relative", "current_relative"})
"""Standard uncertainties of the gain, as a fraction of the reading."""

__all__ = [
    "UNITS_FILE",
    "FileEntry",
    "UnitRecord",
    "find_units_file",
    "join",
    "load_units",
    "pack_from",
]

_TEXT_KEYS: Final = ("chemistry", "maker", "origin", "calibration")
_NUMBER_KEYS: Final = (
    "nominal_ah",
    "nominal_wh",
    "cutoff_v",
    "reference_degc",
    "test_degc",
)
_UNIT_KEYS: Final = frozenset(
    {
        "id",
        "files",
        "cells_in_series",
        "manufactured",
        "damage",
        "sensor",
        "format",
        "mapping",
        *_TEXT_KEYS,
        *_NUMBER_KEYS,
    }
)
_FILE_KEYS: Final = frozenset(
    {"path", "period_s", "offset_s", "align", "format", "mapping"}
)


@dataclass(frozen=True)
class FileEntry:
    """One entry of ``files``: a glob and how to read what it finds.

    Attributes
    ----------
    path : glob relative to the folder of units.toml
    period_s : sampling period in s of a log that has no time of its own
    offset_s : time in s of its first sample on the unit's time base; None if unknown
    align : "segment" keeps a log as segments of its own; "interpolate" puts its
        columns onto the samples of the other logs
    format : name of the reader, "" to detect
    mapping : column mapping, None for none
    """

    path: str
    period_s: float | None = None
    offset_s: float | None = None
    align: str = "segment"
    format: str = ""
    mapping: Path | None = None


@dataclass(frozen=True)
class UnitRecord:
    """One ``[[unit]]``.

    Attributes
    ----------
    pack : identity of the unit
    files : in the order in which they are joined
    folder : of the units.toml, where the globs start
    """

    pack: Pack
    files: tuple[FileEntry, ...]
    folder: Path = field(default_factory=Path)

    def matches(self) -> tuple[tuple[Path, FileEntry], ...]:
        """Return every file of the unit with its entry, each file once.

        Raises
        ------
        InputError
            An entry matches nothing, or leads out of the folder.
        """
        found: dict[Path, FileEntry] = {}
        root = self.folder.resolve()
        for entry in self.files:
            paths = sorted(p for p in _glob(self.folder, entry.path) if p.is_file())
            if not paths:
                raise InputError(
                    f"{self.folder / UNITS_FILE}: unit {self.pack.id!r}: no file "
                    f"matches {entry.path!r}",
                    "paths are relative to the folder of units.toml",
                )
            for path in paths:
                if not path.resolve().is_relative_to(root):
                    raise InputError(
                        f"{path}: leads out of {self.folder}",
                        "put the log, not a link to it, beside units.toml",
                    )
                found.setdefault(path, entry)
            if len(found) > MAX_FILES:
                raise InputError(
                    f"unit {self.pack.id!r} has more than {MAX_FILES} files"
                )
        return tuple(found.items())

    def paths(self) -> tuple[Path, ...]:
        """Return the files of the unit in joining order; see :meth:`matches`."""
        return tuple(path for path, _ in self.matches())

    def read(self, reader: Reader | None = None) -> tuple[Trace, ...]:
        """Read the files of the unit, one trace per file, in joining order.

        Parameters
        ----------
        reader : overrules detection and what the entries name

        Raises
        ------
        InputError
            A file cannot be read, holds several units, or has no time and no
            ``period_s``.
        """
        traces: list[Trace] = []
        for path, entry in self.matches():
            traces.append(self._one(path, entry, reader))
        return tuple(traces)

    def _one(self, path: Path, entry: FileEntry, reader: Reader | None) -> Trace:
        from battlife.readers import detect, read

        chosen = reader if reader is not None else _reader_of(entry)
        if entry.period_s is not None:
            chosen = chosen if chosen is not None else detect(path)
            if not hasattr(chosen, "period_s"):
                raise InputError(
                    f"{path}: period_s is given, but {chosen.name} has its own time",
                    "remove period_s from units.toml",
                )
            chosen = replace(chosen, period_s=entry.period_s)  # type: ignore[type-var]  # dataclass: has the field
        found = read(path, chosen)
        if len(found) != 1:
            ids = ", ".join(t.unit_id for t in found)
            raise InputError(
                f"{path}: holds {len(found)} units ({ids}), and units.toml ties the "
                f"file to {self.pack.id!r} alone",
                "split the export by channel",
            )
        return found[0]


def load_units(path: Path) -> tuple[UnitRecord, ...]:
    """Read a units.toml.

    Raises
    ------
    InputError
        Not TOML, an unknown key, a value of the wrong type, or an empty or
        repeated id.
    """
    document = _parse(path)
    _known(document, frozenset({"unit", "schema"}), str(path))
    rows = document.get("unit")
    if not isinstance(rows, list) or not rows:
        raise InputError(
            f"{path}: has no [[unit]]", "one [[unit]] per battery; see docs/formats.md"
        )
    records: list[UnitRecord] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        where = f"{path}: unit {number}"
        if not isinstance(row, dict):
            raise InputError(f"{where}: must be a table")
        record = _record(row, where, path.parent)
        if record.pack.id in seen:
            raise InputError(f"{where}: id {record.pack.id!r} is given twice")
        seen.add(record.pack.id)
        records.append(record)
    return tuple(records)


def find_units_file(folder: Path) -> Path | None:
    """Return the units.toml of a folder, None if it has none."""
    path = folder / UNITS_FILE
    return path if path.is_file() else None


def join(traces: Sequence[Trace], record: UnitRecord) -> Trace:
    """Join the traces of one unit's files into one Trace.

    Parameters
    ----------
    traces : one per file, in the order of ``record.matches()``

    Returns
    -------
    One or more segments per file. Time is absolute where every file knows its start;
    else the files are laid end to end, with a notice. A log with an ``offset_s``
    starts there; with ``align = "interpolate"`` its columns are put onto the samples
    of the other logs and a Step records it. The same bytes met twice count once.

    Raises
    ------
    InputError
        No trace, or an alignment that cannot be made.
    """
    entries = [entry for _, entry in record.matches()]
    if len(traces) != len(entries):
        raise ValueError(f"{len(traces)} traces for {len(entries)} files")
    return join_traces(
        record.pack.id,
        tuple(traces),
        tuple(e.offset_s for e in entries),
        tuple(e.align == "interpolate" for e in entries),
    )


def pack_from(
    trace: Trace,
    record: UnitRecord | None,
    unit_id: str,
    nominal_ah: float | None = None,
) -> Pack:
    """Return the identity of a unit.

    Rated capacity comes from the command line, then units.toml, then the file's
    header, then the BMS, and ``nominal_source`` says which. A header's value may be
    the tester's default rather than the cell's.

    Raises
    ------
    InputError
        A rated capacity that is not a positive number.
    """
    pack = record.pack if record is not None else Pack(unit_id)
    pack = replace(pack, id=unit_id)
    if nominal_ah is not None:
        if not 0 < nominal_ah < float("inf"):
            raise InputError(f"nominal capacity must be positive, not {nominal_ah}")
        return replace(pack, nominal_ah=nominal_ah, nominal_source="command line")
    if pack.nominal_ah is not None:
        return replace(pack, nominal_source="units.toml")
    for key, source in (
        ("nominal_capacity_ah", "file"),
        ("vendor.design_capacity_ah", "bms"),
    ):
        try:
            stated = float(trace.provenance.header.get(key, ""))
        except ValueError:
            continue
        if 0 < stated < float("inf"):
            return replace(pack, nominal_ah=stated, nominal_source=source)
    return pack


def _parse(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TOML_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_TOML_BYTES:
        raise InputError(f"{path}: larger than {MAX_TOML_BYTES} bytes")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(
            f"{path}: is not valid TOML: {error}", "see the example in docs/formats.md"
        ) from error


def _record(row: Mapping[str, Any], where: str, folder: Path) -> UnitRecord:
    _known(row, _UNIT_KEYS, where)
    unit_id = row.get("id")
    if not isinstance(unit_id, str) or not unit_id.strip():
        raise InputError(f"{where}: id must be a text that is not empty")
    where = f"{where} ({unit_id})"
    numbers = {k: _number(row, k, where) for k in _NUMBER_KEYS}
    for key in ("nominal_ah", "nominal_wh", "cutoff_v"):
        value = numbers[key]
        if value is not None and value <= 0:
            raise InputError(f"{where}: {key} must be positive, not {value}")
    series = row.get("cells_in_series")
    if series is not None and (type(series) is not int or series < 1):
        raise InputError(f"{where}: cells_in_series must be a whole number from 1")
    made = row.get("manufactured")
    if made is not None and (not isinstance(made, date) or isinstance(made, datetime)):
        raise InputError(f"{where}: manufactured must be a date such as 2007-01-01")
    damage = row.get("damage", [])
    if not isinstance(damage, list) or not all(isinstance(d, str) for d in damage):
        raise InputError(f"{where}: damage must be a list of texts")
    pack = Pack(
        id=unit_id.strip(),
        cells_in_series=series,
        manufactured=made,
        damage=tuple(damage),
        sensor=_sensor(row.get("sensor", {}), where),
        nominal_source="units.toml" if numbers["nominal_ah"] is not None else "",
        nominal_ah=numbers["nominal_ah"],
        nominal_wh=numbers["nominal_wh"],
        cutoff_v=numbers["cutoff_v"],
        reference_degc=numbers["reference_degc"],
        test_degc=numbers["test_degc"],
        **{k: _text(row, k, where) for k in _TEXT_KEYS},  # type: ignore[arg-type]  # keys of Pack that hold text
    )
    files = row.get("files")
    if not isinstance(files, list) or not files:
        raise InputError(f"{where}: files must be a list that is not empty")
    return UnitRecord(pack, tuple(_entry(f, row, where, folder) for f in files), folder)


def _entry(
    item: object, unit: Mapping[str, Any], where: str, folder: Path
) -> FileEntry:
    table: Mapping[str, Any]
    if isinstance(item, str):
        table = {"path": item}
    elif isinstance(item, dict):
        table = item
    else:
        raise InputError(f"{where}: an entry of files is a path or a table")
    _known(table, _FILE_KEYS, f"{where}: files")
    path = _text(table, "path", f"{where}: files")
    if not path:
        raise InputError(f"{where}: an entry of files has no path")
    _inside(path, where)
    period = _number(table, "period_s", where)
    if period is not None and period <= 0:
        raise InputError(f"{where}: period_s must be positive, not {period}")
    offset = _number(table, "offset_s", where)
    align = _text(table, "align", where) or ALIGNMENTS[0]
    if align not in ALIGNMENTS:
        raise InputError(
            f"{where}: align = {align!r}", f"known: {', '.join(ALIGNMENTS)}"
        )
    if align == "interpolate" and offset is None:
        raise InputError(
            f'{where}: align = "interpolate" needs offset_s',
            "state when the log began on the time base of the others",
        )
    mapping = _text(table, "mapping", where) or _text(unit, "mapping", where)
    if mapping:
        _inside(mapping, where)
    return FileEntry(
        path=path,
        period_s=period,
        offset_s=offset,
        align=align,
        format=_text(table, "format", where) or _text(unit, "format", where),
        mapping=folder / mapping if mapping else None,
    )


def _known(table: Mapping[str, Any], keys: frozenset[str], where: str) -> None:
    unknown = sorted(set(table) - keys)
    if unknown:
        raise InputError(
            f"{where}: unknown key {', '.join(unknown)}",
            f"known: {', '.join(sorted(keys))}",
        )


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise InputError(f"{where}: {key} must be a text, not {value!r}")
    return value.strip()


def _number(table: Mapping[str, Any], key: str, where: str) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{where}: {key} must be a number, not {value!r}")
    if not abs(value) < float("inf"):
        raise InputError(f"{where}: {key} must be finite, not {value}")
    return float(value)


def _sensor(table: object, where: str) -> dict[str, float]:
    if not isinstance(table, dict):
        raise InputError(f"{where}: sensor must be a table of standard uncertainties")
    _known(table, frozenset(QUANTITIES) | RELATIVE_SENSORS, f"{where}: sensor")
    found: dict[str, float] = {}
    for key in table:
        value = _number(table, key, f"{where}: sensor")
        if value is None or value < 0:
            raise InputError(f"{where}: sensor.{key} must not be negative")
        found[key] = value
    return found


def _inside(path: str, where: str) -> None:
    parts = path.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0] or "\0" in path:
        raise InputError(
            f"{where}: {path!r} leads out of the folder of units.toml",
            "keep units.toml beside or above its logs",
        )


def _glob(folder: Path, pattern: str) -> list[Path]:
    exact = folder / pattern
    try:
        if exact.is_file():  # Neware names hold brackets, which are no glob
            return [exact]
        return list(folder.glob(pattern))
    except (ValueError, OSError, NotImplementedError) as error:
        raise InputError(f"{pattern!r} is no usable path: {error}") from error


def _reader_of(entry: FileEntry) -> Reader | None:
    if entry.mapping is not None:
        from battlife.readers.mapped import load_mapping

        return load_mapping(entry.mapping)
    if not entry.format:
        return None
    from battlife.readers import all_readers

    readers = all_readers()
    if entry.format not in readers:
        raise InputError(
            f"{entry.path}: no reader is called {entry.format!r}",
            f"known: {', '.join(readers)}",
        )
    return readers[entry.format]
