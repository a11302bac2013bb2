"""Under which conditions a lot was measured, and whether a row was measured so too.

A cell that is cold or charged faster looks older than it is, and its features may stay
among those of the lot. So the span of the conditions is kept with what was learned, and
a row from beyond it is refused by the name of the condition.

References
----------
Waldmann et al., J. Power Sources 262 (2014) 129 (temperature and ageing).
"""

import types
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

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
