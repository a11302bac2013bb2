"""Charge and energy against plain NumPy and hand-computed figures."""

import math

import numpy as np
import pytest

from battlife.kernels.charge import (
    cumulative_charge,
    integrate_charge,
    integrate_energy,
)


def split_by_numpy(time_s, current_a):
    """Return (charged, discharged) in Ah with each zero crossing made a sample."""
    t, i = [time_s[0]], [current_a[0]]
    for k in range(1, time_s.size):
        a, b = current_a[k - 1], current_a[k]
        if a * b < 0:
            t.append(time_s[k - 1] + (time_s[k] - time_s[k - 1]) * a / (a - b))
            i.append(0.0)
        t.append(time_s[k])
        i.append(b)
    t, i = np.array(t), np.array(i)
    return (
        np.trapezoid(np.maximum(i, 0), t) / 3600,
        np.trapezoid(np.maximum(-i, 0), t) / 3600,
    )


@pytest.mark.parametrize("n", [2, 3, 9, 10, 17, 1000])
def test_agrees_with_numpy_on_random_signs_and_steps(n):
    rng = np.random.default_rng(n)
    time = np.cumsum(rng.uniform(0, 20, n))
    current = rng.normal(0, 5, n)
    got = integrate_charge(time, current, 0, n)
    assert got == pytest.approx(split_by_numpy(time, current), rel=1e-12, abs=1e-15)


def test_zero_crossing_inside_an_interval_is_split_exactly():
    # From +1 A to -3 A in 4 s: crosses after 1 s; 0.5 As charged, 4.5 As discharged.
    time, current = np.array([0.0, 4.0]), np.array([1.0, -3.0])
    assert integrate_charge(time, current, 0, 2) == pytest.approx(
        (0.5 / 3600, 4.5 / 3600), rel=1e-15
    )


def test_pure_discharge_charges_exactly_nothing():
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.uniform(0.1, 10, 997))
    current = -rng.uniform(0.1, 30, 997)
    charged, discharged = integrate_charge(time, current, 0, 997)
    assert charged == 0.0
    assert discharged == pytest.approx(-np.trapezoid(current, time) / 3600, rel=1e-13)


def test_window_counts_only_its_samples():
    time = np.arange(6.0) * 3600
    current = np.array([100.0, 1.0, 1.0, 1.0, 100.0, 100.0])
    assert integrate_charge(time, current, 1, 4) == pytest.approx((2.0, 0.0))
    assert integrate_charge(time, current, 2, 3) == (0.0, 0.0)
    assert integrate_charge(time, current, 2, 2) == (0.0, 0.0)


@pytest.mark.parametrize("at", [0, 5, 19])
def test_a_missing_current_says_cannot(at):
    time = np.arange(20.0)
    current = np.ones(20)
    current[at] = np.nan
    assert all(math.isnan(v) for v in integrate_charge(time, current, 0, 20))
    power = integrate_energy(time, current, np.full(20, 3.7), 0, 20)
    assert all(math.isnan(v) for v in power)


def test_energy_is_the_trapezoid_of_power():
    rng = np.random.default_rng(3)
    time = np.cumsum(rng.uniform(0, 20, 500))
    current, voltage = rng.normal(0, 5, 500), rng.uniform(2.5, 4.2, 500)
    got = integrate_energy(time, current, voltage, 0, 500)
    assert got == pytest.approx(split_by_numpy(time, current * voltage), rel=1e-12)


def test_cumulative_charge_agrees_with_numpy():
    rng = np.random.default_rng(4)
    time = np.cumsum(rng.uniform(0, 20, 300))
    current = rng.normal(0, 5, 300)
    mean = (current[1:] + current[:-1]) / 2
    expected = np.concatenate([[0], np.cumsum(mean * np.diff(time))]) / 3600
    got = cumulative_charge(time, current, 0, 300)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    window = cumulative_charge(time, current, 100, 200)
    np.testing.assert_allclose(window, expected[100:200] - expected[100], atol=1e-12)


def test_read_only_input_is_accepted_and_repeats_are_identical():
    time = np.arange(1000.0)
    current = np.sin(time)
    time.flags.writeable = current.flags.writeable = False
    assert integrate_charge(time, current, 0, 1000) == integrate_charge(
        time, current, 0, 1000
    )
