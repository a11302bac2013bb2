"""Crossings and values between samples."""

import math

import numpy as np
import pytest

from battlife.kernels.interpolate import crossing_time, first_below, value_at


def test_first_below_is_strict_and_passes_over_missing():
    values = np.array([4.0, 3.0, np.nan, 2.9, 2.0])
    assert first_below(values, 0, 5, 3.0) == 3
    assert first_below(values, 0, 3, 3.0) == -1
    assert first_below(values, 4, 4, 3.0) == -1


def test_value_at_agrees_with_numpy():
    rng = np.random.default_rng(5)
    time = np.cumsum(rng.uniform(0.1, 10, 200))
    values = rng.normal(size=200)
    for at in rng.uniform(time[0], time[-1], 500):
        expected = np.interp(at, time, values)
        assert value_at(time, values, 0, 200, at) == pytest.approx(expected, abs=1e-12)
    for k in (0, 7, 199):
        assert value_at(time, values, 0, 200, time[k]) == values[k]


def test_value_outside_or_beside_a_gap_is_nan():
    time = np.array([0.0, 1.0, 2.0, 3.0])
    values = np.array([1.0, np.nan, 3.0, 4.0])
    assert math.isnan(value_at(time, values, 0, 4, -0.1))
    assert math.isnan(value_at(time, values, 0, 4, 3.1))
    assert math.isnan(value_at(time, values, 0, 4, 0.5))
    assert math.isnan(value_at(time, values, 2, 2, 2.0))
    assert value_at(time, values, 2, 4, 2.5) == 3.5


def test_repeated_stamps_take_the_later_sample():
    time = np.array([0.0, 1.0, 1.0, 2.0])
    values = np.array([0.0, 1.0, 5.0, 6.0])
    assert value_at(time, values, 0, 4, 1.0) == 5.0
    assert value_at(time, values, 0, 4, 1.5) == 5.5


def test_crossing_time():
    time, values = np.array([10.0, 20.0]), np.array([2.8, 2.6])
    assert crossing_time(time, values, 1, 2.7) == pytest.approx(15.0)
    assert math.isnan(crossing_time(time, values, 1, 2.5))
    flat = np.array([2.7, 2.7])
    assert math.isnan(crossing_time(time, flat, 1, 2.7))
