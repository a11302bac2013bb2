"""Estimates from a recording by a Model: found, featurised, answered, recorded."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Final

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators._scales import finite_max
from battlife.estimators._temperature import unit_temperature
from battlife.estimators._uncertainty import Sensor
from battlife.estimators._window import scalar
from battlife.estimators.learned.applying import Screened, apply
from battlife.estimators.learned.conditions import TEMPERATURE, TOLERANCES
from battlife.estimators.learned.tracing import features_of
from battlife.model import Estimate, Measurement, Pack, Trace, trace_sha256
from battlife.model._arrays import Column
from battlife.model.estimate import Scalar
from battlife.model.learned import Model
from battlife.model.table import FeatureTable

VERSION: Final = "1"
NAMES: Final[Mapping[str, tuple[str, float]]] = {
    "soh": ("soh_capacity", 1.0),
    "capacity_ah": ("discharge_capacity_ah", 1.0),
    "capacity_mah": ("discharge_capacity_ah", 1e-3),
}
"""What labels call a quantity, in lower case, as battlife calls it, and the factor."""


def estimates(
    method: str, trace: Trace, pack: Pack, model: Model | None, rule: str
) -> tuple[Estimate, ...]:
    """Return one Estimate for each place of a recording the method can look at.

    Parameters
    ----------
    method : name as on the command line, and of its featuriser
    rule : how the value is had, for the record

    Raises
    ------
    EstimateError
        There is no model, or the recording holds nothing the method could use.
    """
    table = described(features_of(method, trace, pack), trace, pack)
    if model is None:
        raise EstimateError(
            f"{trace.unit_id}: {method} needs the model of a lot",
            "make one with `battlife calibrate`, and give it with --model",
            ("no_model",),
        )
    digest = trace_sha256(trace)
    return tuple(
        _estimate(method, trace, pack, model, rule, table, found, digest)
        for found in apply(model, table)
    )


def described(table: FeatureTable, trace: Trace, pack: Pack) -> FeatureTable:
    """Return a table with what is known of the unit beside every row."""
    n = len(table)
    known = {"unit": trace.unit_id, "chemistry": pack.chemistry}
    nominal = np.nan if pack.nominal_ah is None else pack.nominal_ah
    numbers = {TEMPERATURE: _warmest(table, trace), **table.numbers}
    return FeatureTable(
        {**numbers, "nominal_ah": np.full(n, nominal)},
        table.vectors,
        {**table.texts, **{name: (text,) * n for name, text in known.items()}},
        trace.provenance.sources,
    )


def _warmest(table: FeatureTable, trace: Trace) -> Column:
    """Return (n,) degC of the unit where each row was found, NaN where unknown."""
    degc = unit_temperature(trace)
    places = (table.number("start_sample"), table.number("stop_sample"))
    if degc is None:
        return np.full(len(table), np.nan)
    return np.array(
        [finite_max(degc[int(a) : int(b)]) for a, b in zip(*places, strict=True)]
    )


def _estimate(
    method: str,
    trace: Trace,
    pack: Pack,
    model: Model,
    rule: str,
    table: FeatureTable,
    found: Screened,
    digest: str,
) -> Estimate:
    def place(name: str) -> int:
        return int(table.number(name)[found.row])

    begin, end = place("start_sample"), place("stop_sample")
    conditions: dict[str, Scalar] = {
        "rule": rule,
        "soc_information": str(model.attributes.get("soc_information", "none")),
        "calibration": pack.calibration or "unknown",
        "model_estimator": model.estimator,
    }
    for name in TOLERANCES:
        if name in table.numbers:
            conditions[name] = scalar(float(table.numbers[name][found.row]))
    measurements: dict[str, Measurement] = {}
    reasons = found.reasons
    if trace.provenance.suspect:
        reasons = ("suspect_source", *reasons)
    elif found.status == "ok":
        measurement = _measurement(model, pack, found)
        name = measurement.name
        measurements = {name: measurement}
        if measurements[name].uncertainty is None:
            reasons = (*reasons, "uncertainty_unknown")
    return Estimate(
        unit_id=trace.unit_id,
        method=method,
        method_version=VERSION,
        options={},
        status="ok" if measurements else "refused",
        reasons=reasons,
        measurements=measurements,
        conditions=conditions,
        cycle=place("cycle"),
        start_sample=begin,
        stop_sample=end,
        trace_sha256=digest,
        model_sha256=model.sha256,
    )


def _measurement(model: Model, pack: Pack, found: Screened) -> Measurement:
    """Return a value with its interval; its standard uncertainty as of a normal error.

    The interval was learned with the lot's rig. Of a rig that nothing is known of, it
    may not hold, so no standard uncertainty is stated.
    """
    assert found.value is not None
    assert found.low is not None and found.high is not None
    name, scale = NAMES.get(model.quantity.casefold(), (model.quantity, 1.0))
    sensor = Sensor.of(pack.sensor)
    uncertainty = None
    if sensor.voltage_known and sensor.current_known and found.coverage:
        k = NormalDist().inv_cdf(0.5 + 0.5 * found.coverage)
        uncertainty = 0.5 * scale * (found.high - found.low) / k
    unit = "Ah" if name.endswith("_ah") else model.unit
    low, high = scale * found.low, scale * found.high
    value = scale * found.value
    return Measurement(name, value, uncertainty, unit, low, high, found.coverage)
