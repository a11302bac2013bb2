"""A table of features: one row per measurement of a unit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from battlife.errors import InputError
from battlife.model._arrays import Column, frozen_floats
from battlife.model.provenance import Source


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Scalar, vector and text columns of n rows.

    Attributes
    ----------
    numbers : (n,) each, NaN where missing
    vectors : n vectors each, of their own lengths; empty where missing
    texts : n texts each; every column of a file is here as it was written
    sources : files the rows came from

    Raises
    ------
    InputError
        Columns differ in length.
    """

    numbers: Mapping[str, Column] = field(default_factory=dict)
    vectors: Mapping[str, tuple[Column, ...]] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        numbers = {n: frozen_floats(v) for n, v in self.numbers.items()}
        vectors = {
            n: tuple(frozen_floats(v) for v in rows) for n, rows in self.vectors.items()
        }
        lengths = {v.size for v in numbers.values()}
        lengths |= {len(v) for v in vectors.values()}
        lengths |= {len(v) for v in self.texts.values()}
        if len(lengths) > 1:
            raise InputError(f"columns of a table differ in length: {sorted(lengths)}")
        object.__setattr__(self, "numbers", MappingProxyType(numbers))
        object.__setattr__(self, "vectors", MappingProxyType(vectors))
        object.__setattr__(self, "texts", MappingProxyType(dict(self.texts)))

    def __len__(self) -> int:
        if self.numbers:
            return int(next(iter(self.numbers.values())).size)
        return len(next(iter((self.vectors or self.texts or {"": ()}).values())))

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, in the order of the file."""
        return tuple(dict.fromkeys((*self.texts, *self.numbers, *self.vectors)))

    def number(self, name: str) -> Column:
        """Return the (n,) column `name`.

        Raises
        ------
        InputError
            There is none, or it holds no numbers.
        """
        if name not in self.numbers:
            kind = "holds no numbers" if name in self.names else "is not there"
            raise InputError(
                f"column {name!r} {kind}", f"columns: {', '.join(self.names)}"
            )
        return self.numbers[name]

    def label(self, name: str) -> tuple[str, ...]:
        """Return column `name` as n texts; whole numbers without a point.

        Raises
        ------
        InputError
            There is no such column, or it holds vectors.
        """
        if name in self.texts:
            return self.texts[name]
        if name in self.numbers:
            return tuple("" if np.isnan(v) else f"{v:.12g}" for v in self.numbers[name])
        raise InputError(
            f"column {name!r} is not there", f"columns: {', '.join(self.names)}"
        )
