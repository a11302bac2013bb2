"""What a method computed along an axis: for pictures and tables, not for the archive.

A curve can always be computed again from the trace, the options and the model, so
that archives keep numbers and reasons alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from battlife.errors import InputError
from battlife.model._arrays import Column, frozen_floats


@dataclass(frozen=True, eq=False)
class Curve:
    """Columns of one length; the first is the axis the others run along.

    Attributes
    ----------
    name : what it shows, e.g. "ica", "soc", "nyquist_fit"
    columns : (m,) each; names end in their unit (`voltage_v`, `ica_ah_per_v`)

    Raises
    ------
    InputError
        No column, columns of different length, or one that is not one-dimensional.
    """

    name: str
    columns: Mapping[str, Column]

    def __post_init__(self) -> None:
        columns = {n: frozen_floats(v) for n, v in self.columns.items()}
        if len({c.shape for c in columns.values()}) != 1 or any(
            c.ndim != 1 for c in columns.values()
        ):
            raise InputError(f"curve {self.name!r}: columns differ in length")
        object.__setattr__(self, "columns", MappingProxyType(columns))

    def __len__(self) -> int:
        return int(next(iter(self.columns.values())).size)
