"""Readers driven by a column mapping in TOML, ours and the user's."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from battlife.errors import InputError
from battlife.model import HEADER_KEYS, Trace
from battlife.readers import signs, tables, texts
from battlife.readers.choosing import Given
from battlife.readers.columns import checked_conversion, header_score, is_units_row
from battlife.readers.splitting import preamble_facts, split_units, with_units
from battlife.readers.vocabulary import CLOCK_UNIT, DIMENSIONS

MAX_MAPPING_BYTES: Final = 1 << 20
PARQUET_MAGIC: Final = b"PAR1"
ZIP_MAGIC: Final = b"PK\x03\x04"
MATLAB_MAGIC: Final = b"MATLAB 5.0 MAT-file"


@dataclass(frozen=True)
class TableMapping:
    """How the table of one vendor is to be read.

    Attributes
    ----------
    name, description : as `battlife formats` prints them
    all_of : texts that must all be in the first 4 KiB
    any_of : texts one of which must be there; empty for no such demand
    none_of : texts that must not be there
    header : regular expression the header line must match, "" for none
    suffixes : file name endings, lower case; empty for any
    delimiter, decimal, encoding : "" to find it in the file
    names : column names of a file without header; empty if it has one
    columns : column name to (quantity, unit), unit "" where the header states it
    only_these : True if no column but these is to be read
    sign : one of :data:`battlife.readers.signs.RULES`
    restart_column : column whose change starts a segment, "" for none
    facts : header key to the text that stands before its value in the preamble
    unit_from : header key whose value is the unit's id, "" for the file name
    """

    name: str
    description: str
    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    header: str = ""
    suffixes: tuple[str, ...] = ()
    delimiter: str = ""
    decimal: str = ""
    encoding: str = ""
    names: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    only_these: bool = False
    sign: str = "auto"
    restart_column: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    unit_from: str = ""


@dataclass(frozen=True)
class MappedReader:
    """Reads text, Parquet, workbooks and MATLAB files by a :class:`TableMapping`."""

    mapping: TableMapping

    @property
    def name(self) -> str:
        """Name of the format."""
        return self.mapping.name

    @property
    def description(self) -> str:
        """One line on the format."""
        return self.mapping.description

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the first 4 KiB hold what the mapping asks for."""
        mapping = self.mapping
        if not (mapping.all_of or mapping.any_of or mapping.header):
            return False
        if mapping.suffixes and not name.lower().endswith(mapping.suffixes):
            return False
        text = texts.decode(head)
        return (
            all(t in text for t in mapping.all_of)
            and (not mapping.any_of or any(t in text for t in mapping.any_of))
            and not any(t in text for t in mapping.none_of)
            and (not mapping.header or _has_line(text, mapping.header))
        )

    def read(self, path: Path) -> Sequence[Trace]:
        """Read a file, one Trace per unit.

        Raises
        ------
        InputError
            The table, its time or a unit is missing.
        """
        try:
            with path.open("rb") as file:
                head = file.read(len(MATLAB_MAGIC))
            if head.startswith(ZIP_MAGIC):
                return self._workbook(path)
            if head == MATLAB_MAGIC:
                return self._matlab(path)
            parquet = head.startswith(PARQUET_MAGIC)
            table = self._parquet(path) if parquet else self._text(path)
            return self._traces(table, path)
        except InputError as error:
            if str(path) in error.message:
                raise
            raise InputError(f"{path}: {error.message}", error.hint) from error

    def _parquet(self, path: Path) -> tables.Table:
        import polars as pl

        wanted = list(self.mapping.columns) if self.mapping.only_these else None
        if wanted is not None and self.mapping.restart_column:
            wanted = list(dict.fromkeys([*wanted, self.mapping.restart_column]))
        try:
            frame = pl.read_parquet(path, columns=wanted)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(
                f"the Parquet file cannot be read: {error}",
                "is it complete, and does it have the mapped columns?",
            ) from error
        if not frame.height:
            raise InputError("the Parquet file has no rows")
        names = tuple(frame.columns)
        rows = range(1, frame.height + 1)
        return tables.Table(names, frame, rows, (), ".", ())

    def _text(self, path: Path) -> tables.Table:
        mapping = self.mapping
        lines = texts.split_lines(texts.read_text(path, mapping.encoding))
        if mapping.names:
            mark = mapping.delimiter or ","
            decimal = mapping.decimal or tables.find_decimal(lines, mark)
            layout = tables.Layout(mark, decimal, -1, mapping.names)
            return tables.parse_table(lines, layout, 0)
        found = tables.find_header(lines, self._score, mapping.delimiter)
        if found is None:
            raise InputError(
                "no line names the columns",
                self._missing_hint(),
            )
        if mapping.decimal:
            found = replace(found, decimal=mapping.decimal)
        first = found.header_line + 1
        following = next((i for i in range(first, len(lines)) if lines[i].strip()), -1)
        if following > 0:
            units = tables.split_fields(lines[following], found.delimiter)
            if is_units_row(units):
                found = replace(found, names=with_units(found.names, units))
                first = following + 1
        return tables.parse_table(lines, found, first)

    def _workbook(self, path: Path) -> Sequence[Trace]:
        from battlife.readers import sheet_tables, workbooks

        self._headed()
        sheets = workbooks.sheets(path)
        found = sheet_tables.traces(sheets, self._given(path, {}), self._score)
        if not found:
            raise InputError(
                "no sheet has a row that names the columns", self._missing_hint()
            )
        return found

    def _matlab(self, path: Path) -> Sequence[Trace]:
        from battlife.readers import matlab_tables

        self._headed()
        found = matlab_tables.traces(path, self._given(path, {}), self._score)
        if not found:
            raise InputError(
                "no structure has vectors of the mapped names", self._missing_hint()
            )
        return found

    def _headed(self) -> None:
        if self.mapping.names:
            raise InputError(
                "layout.names is for text without a header",
                "map the names that the file has",
            )

    def _given(self, path: Path, header: Mapping[str, str]) -> Given:
        mapping = self.mapping
        return Given(
            header.get(mapping.unit_from, "") or path.stem.removesuffix(".bdf"),
            mapping.columns,
            mapping.only_these,
            mapping.sign,
            mapping.restart_column,
            header,
        )

    def _score(self, fields: Sequence[str]) -> int:
        if not self.mapping.only_these:
            return header_score(fields) or self._mapped(fields)
        return self._mapped(fields)

    def _mapped(self, fields: Sequence[str]) -> int:
        wanted = self.mapping.columns
        return len(wanted) if wanted and all(n in fields for n in wanted) else 0

    def _missing_hint(self) -> str:
        if self.mapping.only_these:
            return "the mapping asks for: " + ", ".join(self.mapping.columns)
        return "is this the file you meant? Otherwise describe it: --mapping FILE.toml"

    def _traces(self, table: tables.Table, path: Path) -> Sequence[Trace]:
        mapping = self.mapping
        missing = [n for n in mapping.columns if n not in table.names]
        if mapping.restart_column and mapping.restart_column not in table.names:
            missing.append(mapping.restart_column)
        if missing and mapping.only_these:
            raise InputError(
                f"no column {missing[0]!r}", f"it has: {', '.join(table.names[:60])}"
            )
        header = preamble_facts(table.preamble, mapping.facts)
        return split_units(table, self._given(path, header))


def _has_line(text: str, pattern: str) -> bool:
    return any(re.search(pattern, line) for line in texts.split_lines(text))


_KEYS: Final = {
    "": {
        "name",
        "description",
        "recognise",
        "layout",
        "column",
        "current",
        "time",
        "facts",
        "unit_from",
        "only_these",
    },
    "recognise": {"all_of", "any_of", "none_of", "header", "suffixes"},
    "layout": {"delimiter", "decimal", "encoding", "names"},
    "column": {"source", "quantity", "unit"},
    "current": {"sign"},
    "time": {"restarts_with"},
}


def load_mapping(path: Path) -> MappedReader:
    """Return the reader that a user's mapping file describes.

    Raises
    ------
    InputError
        The file is not TOML, or a key, quantity, unit or value of it is unknown; the
        message names the key.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be opened: {error.strerror}") from error
    if len(data) > MAX_MAPPING_BYTES:
        raise InputError(f"{path}: {len(data)} bytes is no mapping")
    try:
        raw = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    raw.setdefault("description", f"by {path.name}")
    if not raw.get("column"):
        raise InputError(f"{path}: no [[column]]", "map at least the time")
    try:
        return user_mapping(raw)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.hint) from error


def user_mapping(raw: Mapping[str, Any]) -> MappedReader:
    """Return the reader of a user's mapping, which reads no column but its own."""
    return MappedReader(parse_mapping({"name": "mapping", "only_these": True, **raw}))


def parse_mapping(raw: Mapping[str, Any]) -> TableMapping:
    """Return the mapping that a TOML document describes, checked to the key."""
    _only(raw, "", "")
    recognise = _table(raw, "recognise")
    layout = _table(raw, "layout")
    current, time = _table(raw, "current"), _table(raw, "time")
    facts = _table(raw, "facts", free=True)
    for key in facts:
        if key not in HEADER_KEYS and not key.startswith("vendor."):
            raise InputError(
                f"facts.{key}: unknown fact",
                f"known: {', '.join(sorted(HEADER_KEYS))}, or vendor.NAME",
            )
    sign = str(current.get("sign", "auto"))
    if sign not in signs.RULES:
        raise InputError(f"current.sign: {sign!r}", f"one of {', '.join(signs.RULES)}")
    delimiter = str(layout.get("delimiter", ""))
    if len(delimiter) > 1:
        raise InputError(f"layout.delimiter: {delimiter!r} is not one character")
    decimal = str(layout.get("decimal", ""))
    if decimal not in ("", ".", ","):
        raise InputError(f"layout.decimal: {decimal!r}", 'one of "." and ","')
    header = str(recognise.get("header", ""))
    try:
        re.compile(header)
    except re.error as error:
        raise InputError(f"recognise.header: no regular expression: {error}") from None
    return TableMapping(
        name=str(raw.get("name", "")),
        description=str(raw.get("description", "")),
        all_of=_texts(recognise, "recognise", "all_of"),
        any_of=_texts(recognise, "recognise", "any_of"),
        none_of=_texts(recognise, "recognise", "none_of"),
        header=header,
        suffixes=_texts(recognise, "recognise", "suffixes"),
        delimiter=delimiter,
        decimal=decimal,
        encoding=str(layout.get("encoding", "")),
        names=_texts(layout, "layout", "names"),
        columns=_columns(raw.get("column", [])),
        only_these=bool(raw.get("only_these", False)),
        sign=sign,
        restart_column=str(time.get("restarts_with", "")),
        facts={key: str(value) for key, value in facts.items()},
        unit_from=str(raw.get("unit_from", "")),
    )


def _columns(raw: object) -> dict[str, tuple[str, str]]:
    if not isinstance(raw, list):
        raise InputError("column: must be written [[column]]")
    columns: dict[str, tuple[str, str]] = {}
    for number, entry in enumerate(raw, 1):
        where = f"column {number}"
        if not isinstance(entry, dict):
            raise InputError(f"{where}: must be written [[column]]")
        _only(entry, "column", where)
        source, quantity = str(entry.get("source", "")), str(entry.get("quantity", ""))
        unit = str(entry.get("unit", ""))
        if not source:
            raise InputError(f"{where}: source is missing")
        if quantity not in DIMENSIONS:
            raise InputError(
                f"{where}: quantity: unknown quantity {quantity!r}",
                f"known: {', '.join(DIMENSIONS)}",
            )
        if unit and unit != CLOCK_UNIT:
            checked_conversion(quantity, unit, f"{where}: unit")
        if source in columns or quantity in [q for q, _ in columns.values()]:
            raise InputError(f"{where}: {source!r} or {quantity} is mapped twice")
        columns[source] = (quantity, unit)
    return columns


def _table(raw: Mapping[str, Any], key: str, free: bool = False) -> dict[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise InputError(f"{key}: must be a table [{key}]")
    if not free:
        _only(value, key, key)
    return value


def _texts(raw: Mapping[str, Any], table: str, key: str) -> tuple[str, ...]:
    value = raw.get(key, [])
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise InputError(f"{table}.{key}: must be a list of texts")
    return tuple(value)


def _only(raw: Mapping[str, Any], table: str, where: str) -> None:
    unknown = set(raw) - _KEYS[table]
    if unknown:
        name = sorted(unknown)[0]
        raise InputError(
            f"{where + ': ' if where else ''}unknown key {name!r}",
            f"known: {', '.join(sorted(_KEYS[table]))}",
        )


def shipped_mappings() -> tuple[MappedReader, ...]:
    """Return a reader per mapping that battlife ships."""
    folder = files("battlife.readers") / "mappings"
    names = sorted(f.name for f in folder.iterdir() if f.name.endswith(".toml"))
    return tuple(
        MappedReader(parse_mapping(tomllib.loads((folder / n).read_text("utf-8"))))
        for n in names
    )


READERS: Final = shipped_mappings()
