"""Rows of features from recordings, by the method whose model they are for."""

import types
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, TypeAlias

from battlife.errors import InputError
from battlife.model.pack import Pack
from battlife.model.table import FeatureTable
from battlife.model.trace import Trace

Featurise: TypeAlias = Callable[[Trace, Pack], FeatureTable]

FEATURISERS: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "pulse": "battlife.estimators.learned.pulse_traces:rows",
        "partial_charge": "battlife.estimators.learned.charge_traces:rows",
        "impedance_soh": "battlife.estimators.learned.impedance_traces:rows",
    }
)
"""Method to "module:function". A function finds what its method needs in a recording
and returns one row for each: features, and the numbers `start_sample`, `stop_sample`
and `cycle` that say where it was found. A row without features says why under
`refused`. It raises EstimateError where there is none."""


def features_of(method: str, trace: Trace, pack: Pack) -> FeatureTable:
    """Return the rows of features that a recording holds.

    Raises
    ------
    InputError
        The method learns from tables alone.
    EstimateError
        The recording holds nothing the method could use.
    """
    if method not in FEATURISERS:
        raise InputError(
            f"{method!r} takes tables of features, not recordings",
            f"methods for recordings: {', '.join(sorted(FEATURISERS)) or 'none'}",
        )
    module, _, name = FEATURISERS[method].partition(":")
    featurise: Featurise = getattr(import_module(module), name)
    return featurise(trace, pack)
