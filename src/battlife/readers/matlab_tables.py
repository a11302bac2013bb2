"""MATLAB structures whose fields are the columns of a table.

Laboratories save what a tester wrote as structures of vectors: one for the test, or
one for each temperature, rate and cell within another. The names are understood as
those of a text table are; a unit is nowhere stated, so that a mapping states it where
the data do not prove it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from battlife.errors import FormatError, InputError
from battlife.model import Notice, Trace
from battlife.readers.choosing import Given
from battlife.readers.columns import header_score
from battlife.readers.esc_model import VARIABLE as ESC_MODEL
from battlife.readers.esc_toolbox import VARIABLE as ESC_TEST
from battlife.readers.matlab import (
    check_elements,
    first_fields,
    first_variable,
    load,
)
from battlife.readers.splitting import MAX_UNITS, split_units
from battlife.readers.tables import MAX_COLUMNS, Table

MAX_DEPTH: Final = 12
"""Structures within structures; laboratories use up to five."""
Place = tuple[str, ...]


class MatlabTables:
    """Reads vectors of one length in structures, or side by side in the file."""

    name = "matlab"
    description = "MATLAB v5 .mat: vectors named time, voltage, current in structures"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether its first variable is seen and of no other reader's kind."""
        if first_fields(head) in (None, ("cycle",)):
            return False
        return first_variable(head) != ESC_TEST

    def read(self, path: Path) -> Sequence[Trace]:
        """Read a file, one Trace per structure that holds a table.

        Raises
        ------
        InputError
            Damaged, or a unit that is neither stated nor provable.
        FormatError
            No structure holds vectors of one length that are named as time and as
            voltage or current.
        """
        try:
            found = traces(path, Given(path.stem), header_score)
        except InputError as error:
            if str(path) in error.message:
                raise
            raise type(error)(f"{path}: {error.message}", error.hint) from error
        if found:
            return found
        with path.open("rb") as stream:
            if first_variable(stream.read(4096)) == ESC_MODEL:
                raise FormatError(
                    f"{path}: the model of a cell, not a record of one",
                    "battlife calibrate FILE.mat --estimator soc_ekf -o MODEL",
                )
        raise FormatError(
            f"{path}: a MATLAB file without vectors named time, and voltage or current",
            "it has: " + ", ".join(_listed(path)) + "; state what they mean: "
            "--mapping FILE.toml",
        )


def traces(
    path: Path, given: Given, score: Callable[[Sequence[str]], int]
) -> Sequence[Trace]:
    """Return one trace per structure with a table, () without one.

    Parameters
    ----------
    path : a MATLAB v5 file
    given : what is known besides
    score : how good names are as a header, 0 if they are none
    """
    check_elements(path, path.read_bytes())
    found = [
        (place, table)
        for place, fields in _structures(load(path))
        if (table := _table(fields, score)) is not None
    ]
    if len(found) > MAX_UNITS:
        raise InputError(f"{len(found)} structures with a table: not one per unit")
    if not found:
        return ()
    if len(found) == 1:
        return split_units(found[0][1], given)
    several = Notice(
        "several_units", f"{len(found)} structures hold a table: one trace each"
    )
    made = []
    for label, (_, table) in zip(_labels([p for p, _ in found]), found, strict=True):
        own = replace(given, unit_id=f"{given.unit_id} {label}")
        for trace in split_units(table, own):
            provenance = trace.provenance.with_notices(several)
            made.append(replace(trace, provenance=provenance))
    return tuple(made)


def _structures(
    value: Any, place: Place = ()
) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """Yield every structure and its place, in the order of the file."""
    if len(place) > MAX_DEPTH:
        return
    if isinstance(value, np.ndarray) and value.dtype == object:
        for index, entry in enumerate(value.ravel().tolist()):
            yield from _structures(entry, (*place, str(index + 1)))
        return
    names = getattr(value, "_fieldnames", None)
    if isinstance(value, Mapping):
        fields = dict(value)
    elif names is not None:
        fields = {name: getattr(value, name) for name in names}
    else:
        return
    yield place, fields
    for name, entry in fields.items():
        yield from _structures(entry, (*place, name))


def _table(
    fields: Mapping[str, Any], score: Callable[[Sequence[str]], int]
) -> Table | None:
    import polars as pl

    columns = {name: c for name, v in fields.items() if (c := _column(v)) is not None}
    if not columns or len(columns) > MAX_COLUMNS:
        return None
    size, _ = Counter(len(c) for c in columns.values()).most_common(1)[0]
    names = tuple(name for name, c in columns.items() if len(c) == size)
    if not score(names):
        return None
    others = [name for name in columns if name not in names]
    notices = []
    if others:
        listed = ", ".join(f"{name} ({len(columns[name])})" for name in others[:20])
        notices.append(
            Notice("columns_not_used", f"not of the length of the table: {listed}")
        )
    frame = pl.DataFrame({name: columns[name] for name in names})
    return Table(names, frame, range(1, size + 1), (), ".", tuple(notices))


def _column(value: Any) -> Any:
    """Return a vector of numbers, or of one letter or text per row; None if none."""
    if isinstance(value, str):
        return list(value) if len(value) > 1 else None
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.size < 2:
        return None
    if value.dtype.kind in "fiub":
        return value.astype(np.float64)
    if value.dtype.kind == "U":
        return value.tolist()
    return None


def _labels(places: Sequence[Place]) -> list[str]:
    """Return places without the names that all of them begin or end with."""
    shortest = min(len(p) for p in places) - 1
    ahead = 0
    while ahead < shortest and len({p[ahead] for p in places}) == 1:
        ahead += 1
    behind = 0
    while behind < shortest - ahead and len({p[-1 - behind] for p in places}) == 1:
        behind += 1
    return [" ".join(p[ahead : len(p) - behind]) for p in places]


def _listed(path: Path) -> list[str]:
    """Return the first names of vectors in a file, with their places."""
    found = [
        ".".join((*place, name))
        for place, fields in _structures(load(path))
        for name, value in fields.items()
        if _column(value) is not None
    ]
    return found[:12] or ["no vector"]


READER = MatlabTables()
