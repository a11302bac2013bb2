"""The same checks for every estimator."""

from dataclasses import FrozenInstanceError, fields, is_dataclass, replace

import numpy as np
import pytest

from battlife.errors import EstimateError
from battlife.estimators import DESCRIPTIONS, ESTIMATORS, build
from battlife.model import (
    Estimate,
    Notice,
    Pack,
    Provenance,
    Severity,
    Trace,
    trace_sha256,
)
from battlife.quantities import QUANTITIES

PACK = Pack(
    "cell",
    nominal_ah=2.0,
    nominal_wh=7.4,
    cutoff_v=2.7,
    sensor={"current_a": 0.004, "voltage_v": 0.002},
    calibration="rig 1",
)
SAMPLE_S = 0.5
"""Fine enough for every method registered here."""


def sample(provenance: Provenance = Provenance()) -> Trace:  # noqa: B008 (frozen)
    """Return rest, a charge, rest and a full discharge of a 2 Ah cell."""
    zero = np.zeros(200)
    load = np.full(7200, 2.0)
    current = np.concatenate([zero, load, zero, -load, zero])
    time = np.arange(current.size) * SAMPLE_S
    mean = np.concatenate([[0.0], (current[1:] + current[:-1]) / 2])
    soc = np.clip(np.cumsum(mean * SAMPLE_S) / 7200, 0, 1)
    columns = {
        "current_a": current,
        "voltage_v": 3.0 + 1.2 * soc - 0.6 * np.exp(-20 * soc) + 0.05 * current,
        "temperature_degc": np.full(current.size, 25.0),
    }
    return Trace("cell", None, time, [0], columns, provenance=provenance)


def every():
    return [pytest.param(build(name), id=name) for name in sorted(ESTIMATORS)]


@pytest.mark.parametrize("method", every())
def test_options_are_the_fields_of_a_frozen_dataclass(method):
    assert is_dataclass(method)
    with pytest.raises(FrozenInstanceError):
        setattr(method, fields(method)[0].name, None)
    first = method.estimate(sample(), PACK)[0]
    assert set(first.options) == {f.name for f in fields(method)}


@pytest.mark.parametrize("method", every())
def test_inputs_are_unchanged_and_twice_gives_identical_bits(method):
    trace = sample()
    digest = trace_sha256(trace)
    first = method.estimate(trace, PACK)
    assert trace_sha256(trace) == digest
    assert method.estimate(sample(), PACK) == first
    assert all(e.trace_sha256 == digest for e in first)


@pytest.mark.parametrize("method", every())
def test_estimates_say_what_the_contract_asks(method):
    trace = sample()
    for estimate in method.estimate(trace, PACK):
        assert isinstance(estimate, Estimate)
        assert estimate.unit_id == "cell"
        assert estimate.method_version
        assert ESTIMATORS[estimate.method]
        assert DESCRIPTIONS[estimate.method]
        assert estimate.status == "ok"
        assert 0 <= estimate.start_sample < estimate.stop_sample <= trace.n_samples
        assert "rule" in estimate.conditions
        assert estimate.measurements
        for name, found in estimate.measurements.items():
            assert found.name == name
            assert np.isfinite(found.value)
            assert found.uncertainty > 0
            if name in QUANTITIES:
                assert found.unit == QUANTITIES[name].unit


@pytest.mark.parametrize("method", every())
@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_little_data_raises(method, n):
    trace = sample()
    columns = {k: v[:n] for k, v in trace.columns.items()}
    with pytest.raises(EstimateError) as caught:
        method.estimate(Trace("cell", None, trace.time_s[:n], [0], columns), PACK)
    assert caught.value.reasons


@pytest.mark.parametrize("method", every())
def test_nothing_but_missing_values_raises(method):
    trace = sample()
    columns = {k: np.full_like(v, np.nan) for k, v in trace.columns.items()}
    with pytest.raises(EstimateError):
        method.estimate(replace(trace, columns=columns), PACK)


@pytest.mark.parametrize("method", every())
def test_a_wrong_sign_gives_no_value(method):
    trace = sample()
    flipped = {**trace.columns, "current_a": -trace.column("current_a")}
    try:
        estimates = method.estimate(replace(trace, columns=flipped), PACK)
    except EstimateError:
        return
    assert all(e.status == "refused" and e.reasons for e in estimates)


@pytest.mark.parametrize("method", every())
def test_a_suspect_source_gives_no_value(method):
    notice = Notice("scale", "current was doubled", Severity.SUSPECT)
    for estimate in method.estimate(sample(Provenance(notices=(notice,))), PACK):
        assert estimate.status == "refused"
        assert estimate.reasons[0] == "suspect_source"
        assert not estimate.measurements


@pytest.mark.parametrize("method", every())
def test_without_a_sensor_the_uncertainty_is_unknown_not_zero(method):
    bare = replace(PACK, sensor={}, calibration="")
    for estimate in method.estimate(sample(), bare):
        assert "uncertainty_unknown" in estimate.reasons
        assert estimate.conditions["calibration"] == "unknown"
        assert all(m.uncertainty is None for m in estimate.measurements.values())


@pytest.mark.parametrize("method", every())
@pytest.mark.parametrize("seed", range(20))
def test_holes_anywhere_give_a_value_or_a_reason(method, seed):
    rng = np.random.default_rng(seed)
    trace = sample()
    columns = {}
    for name, column in trace.columns.items():
        broken = column.copy()
        for _ in range(3):
            begin = rng.integers(0, broken.size)
            broken[begin : begin + rng.integers(1, 500)] = np.nan
        columns[name] = broken
    try:
        estimates = method.estimate(replace(trace, columns=columns), PACK)
    except EstimateError as error:
        assert error.reasons
        return
    for estimate in estimates:
        assert estimate.status == "ok" or estimate.reasons
        assert all(np.isfinite(m.value) for m in estimate.measurements.values())
