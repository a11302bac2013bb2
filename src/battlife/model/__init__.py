"""Frozen data: Trace, Pack, Estimate, Grade, and the interfaces between layers."""

from battlife.model._arrays import Column, IndexColumn, frozen_floats, frozen_indices
from battlife.model._hash import trace_sha256
from battlife.model.estimate import Estimate, Measurement, Scalar
from battlife.model.grade import Clearance, Grade, Outcome, Reason, Route
from battlife.model.interfaces import Estimator, Reader
from battlife.model.pack import Cell, Module, Pack
from battlife.model.provenance import (
    HEADER_KEYS,
    Notice,
    Provenance,
    Severity,
    Source,
    Step,
)
from battlife.model.trace import (
    STEP_COLUMNS,
    STEP_KINDS,
    Spectrum,
    StepTable,
    Trace,
)

__all__ = [
    "HEADER_KEYS",
    "STEP_COLUMNS",
    "STEP_KINDS",
    "Cell",
    "Clearance",
    "Column",
    "Estimate",
    "Estimator",
    "Grade",
    "IndexColumn",
    "Measurement",
    "Module",
    "Notice",
    "Outcome",
    "Pack",
    "Provenance",
    "Reader",
    "Reason",
    "Route",
    "Scalar",
    "Severity",
    "Source",
    "Spectrum",
    "Step",
    "StepTable",
    "Trace",
    "frozen_floats",
    "frozen_indices",
    "trace_sha256",
]
