"""Tables of features: CSV, or Parquet with vector columns."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from battlife.errors import InputError
from battlife.model._arrays import Column
from battlife.model.provenance import Source
from battlife.model.table import FeatureTable

if TYPE_CHECKING:
    import polars as pl

MAX_TABLE_BYTES: Final = 1 << 30
PARQUET_MAGIC: Final = b"PAR1"
NUMERIC_SHARE: Final = 0.5
"""A column of which at least this share of the written values are numbers is one of
numbers; what else stands in it is missing."""


def read_feature_table(path: Path) -> FeatureTable:
    """Read a table of features.

    In a CSV file a vector is written as its numbers in brackets, separated by commas,
    semicolons or spaces.

    Raises
    ------
    InputError
        No such file, not a table, no rows, or a column name that stands twice.
    """
    import polars as pl

    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise InputError(f"{path}: larger than {MAX_TABLE_BYTES >> 20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened: {error.strerror or error}", "check the path"
        ) from error
    parquet = content.startswith(PARQUET_MAGIC)
    try:
        frame = pl.read_parquet(io.BytesIO(content)) if parquet else _csv(content)
    # polars panics with a BaseException of its own on some damaged files.
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        raise InputError(
            f"{path}: cannot be read as a table: {str(error).splitlines()[0]}",
            "a table is CSV or Parquet with one header line; a model that learned from "
            "a table without --estimator reads no recordings",
        ) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise InputError(f"{path}: damaged: {error}") from error
    if not frame.height or not frame.width:
        raise InputError(
            f"{path}: has no rows", "a table needs a header line and rows below it"
        )
    digest = hashlib.sha256(content).hexdigest()
    source = Source(
        str(path), digest, len(content), "parquet table" if parquet else "csv table"
    )
    return _table(frame, source)


def is_table(path: Path, needed: Sequence[str]) -> bool:
    """Say whether a file is CSV or Parquet with all the columns named."""
    if path.suffix.lower() not in {".csv", ".tsv", ".txt", ".parquet"}:
        return False
    try:
        table = read_feature_table(path)
    except InputError:
        return False
    return set(needed) <= set(table.names)


def _csv(content: bytes) -> "pl.DataFrame":
    import polars as pl

    head = content[: 1 << 16].removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    delimiter = max(",;\t", key=lambda d: head.count(d.encode()))
    names = [n.strip().strip('"') for n in head.decode("utf-8").split(delimiter)]
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise InputError(
            f"column {repeated[0]!r} stands twice in the header", "rename one of them"
        )
    return pl.read_csv(
        io.BytesIO(content),
        separator=delimiter,
        infer_schema=False,
        truncate_ragged_lines=False,
    )


def _table(frame: "pl.DataFrame", source: Source) -> FeatureTable:
    import polars as pl

    numbers: dict[str, Column] = {}
    vectors: dict[str, tuple[Column, ...]] = {}
    texts: dict[str, tuple[str, ...]] = {}
    for column in frame:
        kind = column.dtype
        name = column.name.strip()
        if isinstance(kind, pl.List | pl.Array):
            vectors[name] = tuple(_vector(v) for v in column.to_list())
        elif kind.is_numeric() or kind == pl.Boolean:
            numbers[name] = column.cast(pl.Float64).to_numpy().copy()
        elif kind == pl.String:
            written = [(v or "").strip() for v in column.to_list()]
            texts[name] = tuple(written)
            _add_parsed(name, written, numbers, vectors)
        else:
            texts[name] = tuple("" if v is None else str(v) for v in column.to_list())
    return FeatureTable(numbers, vectors, texts, (source,))


def _add_parsed(
    name: str,
    written: list[str],
    numbers: dict[str, Column],
    vectors: dict[str, tuple[Column, ...]],
) -> None:
    """Add what a column of texts holds: numbers, vectors, or nothing but texts."""
    filled = sum(1 for text in written if text)
    if not filled:
        return
    parsed = np.array([_number(text) for text in written])
    if np.isfinite(parsed).sum() >= NUMERIC_SHARE * filled:
        numbers[name] = parsed
        return
    if sum(text.startswith("[") for text in written) > NUMERIC_SHARE * filled:
        vectors[name] = tuple(_vector(_parts(text)) for text in written)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def _parts(text: str) -> list[float]:
    inner = text.strip("[] ").replace(",", " ").replace(";", " ")
    return [_number(part) for part in inner.split()]


def _vector(values: Sequence[float | None] | None) -> Column:
    """Return a vector; empty where it is missing or not of numbers."""
    try:
        return np.array([np.nan if v is None else v for v in values or []], dtype=float)
    except (TypeError, ValueError):
        return np.empty(0)
