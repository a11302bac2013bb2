"""Under which conditions a lot was measured, and whether a row was measured so too.

A cell that is cold or charged faster looks older than it is, and its features may stay
among those of the lot. So the span of the conditions is kept with what was learned, and
a row from beyond it is refused by the name of the condition. A unit of another rated
capacity is another type of unit, however alike its features are.

References
----------
Waldmann et al., J. Power Sources 262 (2014) 129 (temperature and ageing).
"""

import types
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.model._arrays import Column
from battlife.model.table import FeatureTable

REFUSED: Final = "refused"
"""Column of texts by which the maker of a row says why it holds no features."""
TEMPERATURE: Final = "temperature_degc"
CURRENT: Final = "charge_current_a"
START: Final = "charge_start_v"
TOLERANCES: Final[Mapping[str, tuple[float, float]]] = types.MappingProxyType(
    {TEMPERATURE: (3.0, 0.0), CURRENT: (0.0, 0.05), START: (0.05, 0.0)}
)
"""Column to (absolute, relative) room beyond the span of the lot. Rooms are kept within
3 K, over which the resistance of a used cell changes by a tenth (Leaf modules, 10 and
25 degC); 5 % of the current change the drop over it by a twentieth. Near empty 0.05 V
at rest are a few percent of the charge. The start of a charge is a condition only for
what is learned from the start."""
OUTSIDE: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        TEMPERATURE: "temperature_outside",
        CURRENT: "current_outside",
        START: "start_outside",
    }
)
UNKNOWN: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        TEMPERATURE: "temperature_unknown",
        CURRENT: "current_unknown",
        START: "start_unknown",
    }
)
RATING: Final = "nominal_ah"
RATINGS: Final[Mapping[str, float]] = types.MappingProxyType(
    {
        RATING: 1.0,
        "nominal_capacity_ah": 1.0,
        "rated_ah": 1.0,
        "rated_capacity_ah": 1.0,
        "nominal_mah": 1e-3,
        "nominal_capacity_mah": 1e-3,
        "rated_mah": 1e-3,
        "rated_capacity_mah": 1e-3,
    }
)
"""Columns that declare the rated capacity, in lower case, and the factor to Ah. What
stands first here goes before the others."""
SAME_RATING: Final = 0.02
"""A rating that differs by more is of another type of unit. A rounded rating (33 for
33.1 Ah) differs by less. A state of health is a share of the rating: one of another
reference is wrong by as much as the ratings differ, and 2 % is what a good lot leaves
uncertain anyway."""
OTHER_RATING: Final = "rating_disagrees"


def declared_ah(table: FeatureTable) -> Column:
    """Return (n,) rated capacity in Ah that each row declares, NaN where none."""
    found = np.full(len(table), np.nan)
    # A name in lower case alone goes before the same one written otherwise.
    columns = {n.casefold(): n for n in table.numbers} | {n: n for n in table.numbers}
    for name, factor in RATINGS.items():
        if name in columns:
            values = factor * table.numbers[columns[name]]
            found = np.where(np.isnan(found) & (values > 0), values, found)
    return np.where(np.isfinite(found), found, np.nan)


def with_rating(table: FeatureTable, nominal_ah: float | None) -> FeatureTable:
    """Return a table of which every row declares this rated capacity in Ah.

    None leaves it as it is: a rating that was given goes before any column.

    Raises
    ------
    InputError
        A rated capacity that is not a positive number.
    """
    if nominal_ah is None:
        return table
    if not 0 < nominal_ah < float("inf"):
        raise InputError(f"nominal capacity must be positive, not {nominal_ah}")
    stated = np.full(len(table), float(nominal_ah))
    return replace(table, numbers={**table.numbers, RATING: stated})


def ratings_of(table: FeatureTable, rows: Sequence[int]) -> Column:
    """Return (k,) the rated capacities in Ah that rows declare, rising; may be none."""
    values = declared_ah(table)[list(rows)]
    return np.unique(values[np.isfinite(values)])


def rating_departure(ratings: Column | None, declared: float) -> str:
    """Return the reason to refuse a unit of this rated capacity in Ah, "" for none.

    Where the lot or the unit (NaN) has no rating, nothing can disagree.
    """
    if ratings is None or not ratings.size or np.isnan(declared):
        return ""
    nearest = float(np.abs(declared / ratings - 1.0).min())
    return OTHER_RATING if nearest > SAME_RATING + 1e-9 else ""


def conditions_of(
    table: FeatureTable, rows: Sequence[int], features: Sequence[str]
) -> Mapping[str, Column]:
    """Return (2,) lowest and highest of each condition that the rows state.

    Parameters
    ----------
    table, rows : of the lot
    features : names of the columns learned from
    """
    begun = any(name.startswith("charge_start") for name in features)
    found = {}
    for name in TOLERANCES:
        if name in table.numbers and (name != START or begun):
            values = table.numbers[name][list(rows)]
            values = values[np.isfinite(values)]
            if values.size:
                found[name] = np.array([values.min(), values.max()])
    return found


def departure(spans: Mapping[str, Column], table: FeatureTable, row: int) -> str:
    """Return the name of a condition that is not that of the lot, "" for none."""
    for name, (lowest, highest) in spans.items():
        value = _value(table, name, row)
        fixed, share = TOLERANCES.get(name, (0.0, 0.0))
        room = fixed + share * max(abs(lowest), abs(highest))
        if value < lowest - room or value > highest + room:
            return OUTSIDE.get(name, name)
    return ""


def unstated(spans: Mapping[str, Column], table: FeatureTable, row: int) -> str:
    """Return what qualifies a value of a row that does not state a condition."""
    for name in spans:
        if np.isnan(_value(table, name, row)):
            return UNKNOWN.get(name, name)
    return ""


def _value(table: FeatureTable, name: str, row: int) -> float:
    return float(table.numbers[name][row]) if name in table.numbers else float("nan")
