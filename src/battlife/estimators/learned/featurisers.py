"""From the columns of a table to features with a meaning, where the columns are known.

A featuriser knows its columns by their shape and their values, never by the name of a
cell type. It gives what is learned from, and a signature: what tells a row of the lot
from a row of another kind of cell.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from battlife.errors import InputError
from battlife.estimators.learned.design import Design
from battlife.model._arrays import Column

PLAIN: Final = "plain"
USUAL: Final = ("ridge", "ridge2", "gp")


@dataclass(frozen=True)
class Featuriser:
    """A way to see the columns of a table; stateless, so that a Model names it only.

    Attributes
    ----------
    recognises : (design, (n, width) complete rows) to whether these are its columns
    features : (design, (n, width)) to (n, p), what is learned from
    signature : (design, (n, width)) to (n, q), what the domain is judged by
    learners : names of those that are combined
    """

    recognises: Callable[[Design, Column], bool]
    features: Callable[[Design, Column], Column]
    signature: Callable[[Design, Column], Column]
    learners: tuple[str, ...] = USUAL


def _as_they_are(design: Design, raw: Column) -> Column:
    del design
    return raw


PLAIN_COLUMNS: Final = Featuriser(lambda design, raw: True, _as_they_are, _as_they_are)

_HOME: Final = "battlife.estimators.learned"
TABLE_FEATURISERS: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "pulse": f"{_HOME}.pulse_features:PULSE",
        "impedance of a recording": f"{_HOME}.impedance_features:OF_RECORDING",
        "impedance": f"{_HOME}.impedance_features:REAL_FIRST",
        "impedance, imaginary first": f"{_HOME}.impedance_features:IMAGINARY_FIRST",
        "charge and relaxation": f"{_HOME}.charge_features:CHARGE_RELAXATION",
        "relaxation and charge": f"{_HOME}.charge_features:RELAXATION_CHARGE",
        "charge": f"{_HOME}.charge_features:CHARGE",
        "relaxation": f"{_HOME}.charge_features:RELAXATION",
        PLAIN: "battlife.estimators.learned.featurisers:PLAIN_COLUMNS",
    }
)
"""Name that a Model keeps to "module:constant"; the first that recognises is taken."""


def featuriser(name: str) -> Featuriser:
    """Return the featuriser of a name.

    Raises
    ------
    InputError
        A model names one that this version does not have.
    """
    if name not in TABLE_FEATURISERS:
        raise InputError(
            f"the model needs the unknown featuriser {name!r}", "calibrate it again"
        )
    module, _, constant = TABLE_FEATURISERS[name].partition(":")
    found: Featuriser = getattr(import_module(module), constant)
    return found


def recognised(design: Design, raw: Column) -> str:
    """Return the name of the first featuriser that knows these columns."""
    for name in TABLE_FEATURISERS:
        if featuriser(name).recognises(design, raw):
            return name
    return PLAIN
