"""Which column of a table is meant for which quantity."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from battlife.readers.columns import meaning
from battlife.readers.tables import Table

COUNTERS = (
    "charge_capacity_ah",
    "discharge_capacity_ah",
    "step_capacity_ah",
    "net_capacity_ah",
)
"""What a tester counts of charge."""


@dataclass(frozen=True)
class Given:
    """What is known of a file besides its table.

    Attributes
    ----------
    unit_id : identity of the unit under test
    columns : column name to (quantity, unit); unit "" if only the header states it
    only_these : True if no other column is to be read
    sign : one of :data:`battlife.readers.signs.RULES`
    restart_column : a segment starts where this column changes, "" for none
    header : facts of the preamble
    """

    unit_id: str
    columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    only_these: bool = False
    sign: str = "auto"
    restart_column: str = ""
    header: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """The column chosen for a quantity, and the unit stated for it."""

    name: str
    unit: str


def choose(table: Table, given: Given) -> dict[str, Choice]:
    """Return the column chosen for each quantity the table holds."""
    chosen: dict[str, tuple[int, Choice]] = {}
    for position, name in enumerate(table.names):
        told = given.columns.get(name)
        if told is not None:
            known = meaning(name)
            unit = told[1] or (known.unit if known is not None else "")
            chosen[told[0]] = (-1, Choice(name, unit))
            continue
        known = None if given.only_these else meaning(name)
        if known is None or position >= len(table.names):
            continue
        if known.quantity not in chosen or known.rank < chosen[known.quantity][0]:
            chosen[known.quantity] = (known.rank, Choice(name, known.unit))
    return {quantity: choice for quantity, (_, choice) in chosen.items()}
