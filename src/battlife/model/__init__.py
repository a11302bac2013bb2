"""Frozen data: Frame, Trace, Pack, Estimate, Grade; interfaces between layers.

What holds arrays is loaded at first use: a rig script reads a pack without NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from battlife.model.estimate import Estimate, Measurement, Scalar
from battlife.model.frame import (
    SIMULATED_DATA,
    SIMULATED_ID,
    SIMULATED_LINE,
    Direction,
    Frame,
    is_simulated,
)
from battlife.model.grade import Clearance, Grade, Outcome, Reason, Route
from battlife.model.interfaces import (
    Decoder,
    Driver,
    Estimator,
    FrameLog,
    FrameReader,
    Reader,
    WireProtocol,
)
from battlife.model.pack import Cell, Module, Pack
from battlife.model.provenance import (
    HEADER_KEYS,
    Notice,
    Provenance,
    Severity,
    Source,
    Step,
)
from battlife.model.reading import (
    VALUE_KINDS,
    VENDORS,
    Reading,
    Readings,
    Rejected,
    Value,
    merge,
)
from battlife.model.request import Allow, Request

if TYPE_CHECKING:
    from battlife.model._arrays import (
        Column,
        IndexColumn,
        frozen_floats,
        frozen_indices,
    )
    from battlife.model._hash import trace_sha256
    from battlife.model.trace import (
        STEP_COLUMNS,
        STEP_KINDS,
        Spectrum,
        StepTable,
        Trace,
    )

__all__ = [
    "HEADER_KEYS",
    "SIMULATED_DATA",
    "SIMULATED_ID",
    "SIMULATED_LINE",
    "STEP_COLUMNS",
    "STEP_KINDS",
    "VALUE_KINDS",
    "VENDORS",
    "Allow",
    "Cell",
    "Clearance",
    "Column",
    "Decoder",
    "Direction",
    "Driver",
    "Estimate",
    "Estimator",
    "Frame",
    "FrameLog",
    "FrameReader",
    "Grade",
    "IndexColumn",
    "Measurement",
    "Module",
    "Notice",
    "Outcome",
    "Pack",
    "Provenance",
    "Reader",
    "Reading",
    "Readings",
    "Reason",
    "Rejected",
    "Request",
    "Route",
    "Scalar",
    "Severity",
    "Source",
    "Spectrum",
    "Step",
    "StepTable",
    "Trace",
    "Value",
    "WireProtocol",
    "frozen_floats",
    "frozen_indices",
    "is_simulated",
    "merge",
    "trace_sha256",
]

_HOMES = {
    "battlife.model._arrays": (
        "Column",
        "IndexColumn",
        "frozen_floats",
        "frozen_indices",
    ),
    "battlife.model._hash": ("trace_sha256",),
    "battlife.model.trace": (
        "STEP_COLUMNS",
        "STEP_KINDS",
        "Spectrum",
        "StepTable",
        "Trace",
    ),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(home), name)
            globals()[name] = value  # found at once from now on
            return value
    raise AttributeError(f"module 'battlife.model' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
