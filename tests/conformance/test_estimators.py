"""The same checks for every estimator."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any, NamedTuple

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
from estimator_samples import SAMPLES


def respectra(trace, change):
    """Return the spectra of a trace with `change` applied to each impedance."""
    spectra = []
    for spectrum in trace.spectra:
        z = change(spectrum.z_re_ohm + 1j * spectrum.z_im_ohm)
        spectra.append(replace(spectrum, z_re_ohm=z.real, z_im_ohm=z.imag))
    return tuple(spectra)


class Tried(NamedTuple):
    method: Any
    trace: Callable[..., Trace]
    pack: Pack


def every():
    for name in sorted(ESTIMATORS):
        sample = SAMPLES[name]
        model = sample.model() if sample.model else None
        built = build(name, sample.settings, model)
        yield pytest.param(Tried(built, sample.trace, sample.pack), id=name)


EVERY = list(every())


@pytest.mark.parametrize("tried", EVERY)
def test_options_are_the_fields_of_a_frozen_dataclass(tried):
    assert is_dataclass(tried.method)
    with pytest.raises(FrozenInstanceError):
        setattr(tried.method, fields(tried.method)[0].name, None)
    first = tried.method.estimate(tried.trace(), tried.pack)[0]
    assert set(first.options) == {f.name for f in fields(tried.method)} - {"model"}


@pytest.mark.parametrize("tried", EVERY)
def test_inputs_are_unchanged_and_twice_gives_identical_bits(tried):
    trace = tried.trace()
    digest = trace_sha256(trace)
    first = tried.method.estimate(trace, tried.pack)
    assert trace_sha256(trace) == digest
    assert tried.method.estimate(tried.trace(), tried.pack) == first
    assert all(e.trace_sha256 == digest for e in first)


@pytest.mark.parametrize("tried", EVERY)
def test_estimates_say_what_the_contract_asks(tried):
    trace = tried.trace()
    for estimate in tried.method.estimate(trace, tried.pack):
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


@pytest.mark.parametrize("tried", EVERY)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_little_data_raises(tried, n):
    trace = tried.trace()
    columns = {k: v[..., :n] for k, v in trace.columns.items()}
    with pytest.raises(EstimateError) as caught:
        tried.method.estimate(
            Trace("cell", None, trace.time_s[:n], [0], columns), tried.pack
        )
    assert caught.value.reasons


@pytest.mark.parametrize("tried", EVERY)
def test_nothing_but_missing_values_raises(tried):
    trace = tried.trace()
    columns = {k: np.full_like(v, np.nan) for k, v in trace.columns.items()}
    spectra = respectra(trace, lambda z: np.full_like(z, np.nan))
    with pytest.raises(EstimateError):
        tried.method.estimate(
            replace(trace, columns=columns, spectra=spectra), tried.pack
        )


@pytest.mark.parametrize("tried", EVERY)
def test_a_wrong_sign_gives_no_value(tried):
    trace = tried.trace()
    flipped = {**trace.columns, "current_a": -trace.column("current_a")}
    spectra = respectra(trace, np.conjugate)
    try:
        estimates = tried.method.estimate(
            replace(trace, columns=flipped, spectra=spectra), tried.pack
        )
    except EstimateError:
        return
    assert all(e.status == "refused" and e.reasons for e in estimates)


@pytest.mark.parametrize("tried", EVERY)
def test_a_suspect_source_gives_no_value(tried):
    notice = Notice("scale", "current was doubled", Severity.SUSPECT)
    for estimate in tried.method.estimate(
        tried.trace(Provenance(notices=(notice,))), tried.pack
    ):
        assert estimate.status == "refused"
        assert estimate.reasons[0] == "suspect_source"
        assert not estimate.measurements


@pytest.mark.parametrize("tried", EVERY)
def test_without_a_sensor_the_uncertainty_is_unknown_not_zero(tried):
    bare = replace(tried.pack, sensor={}, calibration="")
    for estimate in tried.method.estimate(tried.trace(), bare):
        assert "uncertainty_unknown" in estimate.reasons
        assert estimate.conditions["calibration"] == "unknown"
        assert all(m.uncertainty is None for m in estimate.measurements.values())


@pytest.mark.parametrize("tried", EVERY)
@pytest.mark.parametrize("seed", range(20))
def test_holes_anywhere_give_a_value_or_a_reason(tried, seed):
    rng = np.random.default_rng(seed)
    trace = tried.trace()
    columns = {}
    for name, column in trace.columns.items():
        broken = column.copy()
        for _ in range(3):
            begin = rng.integers(0, broken.shape[-1])
            broken[..., begin : begin + rng.integers(1, 500)] = np.nan
        columns[name] = broken
    spectra = respectra(trace, lambda z: np.where(rng.random(z.size) < 0.3, np.nan, z))
    try:
        estimates = tried.method.estimate(
            replace(trace, columns=columns, spectra=spectra), tried.pack
        )
    except EstimateError as error:
        assert error.reasons
        return
    for estimate in estimates:
        assert estimate.status == "ok" or estimate.reasons
        assert all(np.isfinite(m.value) for m in estimate.measurements.values())
