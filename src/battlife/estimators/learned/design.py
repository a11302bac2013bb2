"""From the columns of a table to the matrix that learners see.

A design is found once, on the labelled lot, and stored: which columns, how long the
vectors are. The same design is then applied to any table.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.estimators.learned.conditions import RATINGS, TOLERANCES
from battlife.model._arrays import Column
from battlife.model.table import FeatureTable

SHORTEST_SHARE: Final = 0.02
"""Vectors are cut to a length that all but this share of the lot reach: lengths vary
by a sample or two, and one broken vector must not shorten all others."""

PLACES: Final = (
    *("start_sample", "stop_sample", "cycle", "pulse_s"),
    *TOLERANCES,
    *RATINGS,
)
"""Columns of a recording's rows that say where, of what and under which conditions they
are: no features unless they are asked for."""
SOC_STEMS: Final = ("soc", "charge_since", "charge_start")
"""A column so named holds what a used unit arrives without, or what follows the state
of charge that a charge began at: it is a feature only where it is asked for, and a
model says that it used it."""

BLANK: Final = frozenset({"", "nan", "na", "n/a", "null", "none", "-"})
"""Texts, in lower case, that stand for a missing number."""
OK: Final = ""
MISSING: Final = "feature_missing"
TOO_SHORT: Final = "vector_too_short"


@dataclass(frozen=True)
class Design:
    """Columns of a table as a matrix.

    Attributes
    ----------
    names : columns, scalar or vector, in order
    lengths : of each: 0 for a scalar, else samples taken of a vector
    """

    names: tuple[str, ...]
    lengths: tuple[int, ...]

    @property
    def width(self) -> int:
        """Number of columns of the matrix."""
        return sum(length or 1 for length in self.lengths)

    def matrix(self, table: FeatureTable) -> tuple[Column, tuple[str, ...]]:
        """Return (n, width) features and n reasons, "" where a row is complete.

        Raises
        ------
        InputError
            The table lacks a column, or has it as another kind. A column that is there
            and holds nothing is missing in every row.
        """
        n = len(table)
        features = np.full((n, self.width), np.nan)
        short = np.zeros(n, dtype=bool)
        at = 0
        for name, length in zip(self.names, self.lengths, strict=True):
            if _holds_nothing(table, name):
                at += length or 1
                continue
            if not length:
                features[:, at] = table.number(name)
                at += 1
                continue
            if name not in table.vectors:
                kind = "holds no vectors" if name in table.names else "is not there"
                raise InputError(
                    f"column {name!r} {kind}, the model needs {length} values of it",
                    f"columns: {', '.join(table.names)}",
                )
            for row, vector in enumerate(table.vectors[name]):
                if vector.size < length:
                    short[row] |= vector.size > 0
                else:
                    features[row, at : at + length] = vector[:length]
            at += length
        complete = np.isfinite(features).all(axis=1)
        reasons = np.where(complete, OK, np.where(short, TOO_SHORT, MISSING))
        return features, tuple(str(r) for r in reasons)


def design_of(table: FeatureTable, wanted: Sequence[str], taken: set[str]) -> Design:
    """Return the design of the columns wanted.

    Parameters
    ----------
    table : the labelled lot
    wanted : names and globs; empty for every column of numbers or vectors
        but those that say where a row is from, or its state of charge
    taken : columns that are truth, group or type, and never features

    Raises
    ------
    InputError
        A name that fits no column, a column without numbers, or no feature at all.
    """
    usable = [n for n in table.names if n in table.numbers or n in table.vectors]
    if wanted:
        names: list[str] = []
        for pattern in wanted:
            fitting = [n for n in usable if fnmatchcase(n, pattern)]
            if not fitting:
                raise InputError(
                    f"no column of numbers fits {pattern!r}",
                    f"columns: {', '.join(table.names)}",
                )
            names.extend(sorted(fitting, key=_natural))
        names = list(dict.fromkeys(names))
        wrong = [n for n in names if n in taken]
        if wrong:
            raise InputError(
                f"column {wrong[0]!r} cannot be a feature: it is truth, group or type",
                "name the features with --features",
            )
    else:
        names = [
            n
            for n in usable
            if n not in taken and n.casefold() not in PLACES and not _tells_soc(n)
        ]
    if not names:
        raise InputError("the table has no features", "name them with --features")
    return Design(tuple(names), tuple(_length(table, n) for n in names))


def soc_information(names: Sequence[str]) -> str:
    """Return what features of these names tell of the state of charge."""
    telling = [n.lower() for n in names if _tells_soc(n)]
    if not telling:
        return "none"
    begun = all(n.startswith("charge_start") for n in telling)
    return "charges begun as in the lot" if begun else "charge since empty"


def _tells_soc(name: str) -> bool:
    return name.lower().startswith(SOC_STEMS)


def _length(table: FeatureTable, name: str) -> int:
    if name in table.numbers:
        return 0
    lengths = np.sort([v.size for v in table.vectors[name] if v.size])
    if not lengths.size:
        raise InputError(f"column {name!r}: every vector is empty")
    return int(lengths[int(SHORTEST_SHARE * lengths.size)])


def _holds_nothing(table: FeatureTable, name: str) -> bool:
    """Say whether a column is there without one value: its kind cannot be told."""
    if name in table.numbers:
        return bool(np.isnan(table.numbers[name]).all())
    if name in table.vectors:
        return all(np.isnan(v).all() for v in table.vectors[name])
    texts = table.texts.get(name)
    return texts is not None and all(t.strip().casefold() in BLANK for t in texts)


def _natural(name: str) -> tuple[object, ...]:
    """Return a key by which U2 stands before U10."""
    return tuple(int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name))


def stored(
    design: Design,
) -> tuple[Mapping[str, Column], Mapping[str, tuple[str, ...]]]:
    """Return a design as arrays and texts of a Model."""
    lengths = np.array(design.lengths, dtype=float)
    return {"design/lengths": lengths}, {"design/names": design.names}
