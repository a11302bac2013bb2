"""Charge per voltage bin, smoothing and peaks beside plain NumPy."""

import numpy as np
import pytest
from scipy import signal

from battlife.kernels.incremental import (
    charge_per_bin,
    find_peaks,
    mean_per_bin,
    smoothed,
    smoothed_slope,
)


def spread_by_numpy(voltage, charge, first, step, n):
    """Return each interval's charge spread evenly over the voltages it spans."""
    edges = first + step * np.arange(n + 1)
    result = np.zeros(n)
    for a, b, q in zip(voltage[:-1], voltage[1:], np.diff(charge), strict=True):
        if not np.isfinite(a + b):
            continue
        low, high = min(a, b), max(a, b)
        if high == low:
            at = int(np.floor((a - first) / step))
            if 0 <= at < n:
                result[at] += abs(q)
            continue
        inside = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
        result += abs(q) * np.clip(inside, 0, None) / (high - low)
    return result


def walk(seed, n=4000, noise=0.004):
    rng = np.random.default_rng(seed)
    charge = np.cumsum(rng.uniform(0, 1e-3, n))
    voltage = 3.0 + np.linspace(0, 1.1, n) + rng.normal(0, noise, n)
    return voltage, charge


@pytest.mark.parametrize("noise", [0.0, 1e-4, 0.004, 0.2])
@pytest.mark.parametrize("sign", [1, -1])
def test_charge_per_bin_agrees_with_numpy(noise, sign):
    voltage, charge = walk(3, noise=noise)
    found = charge_per_bin(voltage, sign * charge, 0, voltage.size, 3.1, 0.01, 70)
    expected = spread_by_numpy(voltage, charge, 3.1, 0.01, 70)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_sum_of_the_bins_is_the_charge():
    voltage, charge = walk(4, n=100_000)
    found = charge_per_bin(voltage, charge, 0, voltage.size, 2.0, 0.001, 3000)
    assert found.sum() == pytest.approx(charge[-1] - charge[0], rel=1e-12)


def test_missing_voltages_leave_their_charge_out():
    voltage, charge = walk(5)
    voltage[[0, 700, 701, 1500, 3999]] = np.nan
    found = charge_per_bin(voltage, charge, 0, voltage.size, 2.5, 0.002, 1000)
    expected = spread_by_numpy(voltage, charge, 2.5, 0.002, 1000)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_wild_samples_and_empty_ranges_do_no_harm():
    voltage, charge = walk(6, n=200)
    voltage[50] = 1e12
    voltage[60] = -1e12
    voltage[70] = np.inf
    found = charge_per_bin(voltage, charge, 0, 200, 3.0, 0.01, 110)
    assert found.size == 110
    assert charge_per_bin(voltage, charge, 5, 5, 3.0, 0.01, 10).sum() == 0.0
    assert charge_per_bin(voltage, charge, 0, 200, 3.0, 0.01, 0).size == 0


def test_a_value_on_an_edge_is_counted_once():
    voltage = np.array([3.0, 3.1, 3.2, 3.3, 3.2, 3.1, 3.0])
    charge = np.arange(7.0)
    found = charge_per_bin(voltage, charge, 0, 7, 3.0, 0.1, 3)
    np.testing.assert_allclose(found, [2.0, 2.0, 2.0], atol=1e-9)


def test_mean_per_bin_is_the_integral_over_the_bin():
    rng = np.random.default_rng(7)
    x = np.cumsum(rng.uniform(0, 0.02, 3000))
    y = np.sin(x)
    n = 50
    found = mean_per_bin(x, y, 0, x.size, 0.5, 0.5, n)
    fine = np.linspace(0, 0.5, 2001)
    expected = [
        np.trapezoid(np.interp(0.5 + 0.5 * k + fine, x, y), fine) / 0.5
        for k in range(n)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # A bin the samples do not cover whole has no mean.
    assert np.isnan(mean_per_bin(x, y, 0, x.size, -0.2, 0.5, 1)[0])
    assert np.isnan(mean_per_bin(x, y, 0, x.size, x[-1] - 0.1, 0.5, 1)[0])


def test_smoothing_agrees_with_numpy_and_keeps_a_constant_and_the_area():
    values = np.zeros(300)
    values[100:140] = np.random.default_rng(8).uniform(0, 1, 40)
    at = np.arange(-20, 21)
    weight = np.exp(-0.5 * (at / 5.0) ** 2)
    expected = np.convolve(values, weight / weight.sum(), mode="same")
    found = smoothed(values, 5.0)
    np.testing.assert_allclose(found[30:-30], expected[30:-30], atol=1e-12)
    assert found.sum() == pytest.approx(values.sum(), rel=1e-9)
    np.testing.assert_allclose(smoothed(np.full(50, 2.0), 7.0), 2.0)


def test_the_slope_of_a_line_is_exact_to_its_ends_and_holes_are_left_out():
    values = 0.3 * np.arange(80.0)
    values[[10, 11, 40]] = np.nan
    np.testing.assert_allclose(smoothed_slope(values, 4.0, 0.1), 3.0, rtol=1e-9)
    assert np.isnan(smoothed_slope(np.full(5, np.nan), 4.0, 0.1)).all()


def test_the_slope_agrees_with_a_weighted_fit():
    values = np.random.default_rng(9).normal(size=60)
    found = smoothed_slope(values, 3.0, 1.0)
    for k in (0, 7, 30, 59):
        at = np.arange(max(k - 12, 0), min(k + 13, 60))
        weight = np.exp(-0.5 * ((at - k) / 3.0) ** 2)
        slope = np.polyfit(at, values[at], 1, w=np.sqrt(weight))[0]
        assert found[k] == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_peaks_agree_with_scipy(seed):
    values = np.cumsum(np.random.default_rng(seed).normal(size=300))
    top, left, right = find_peaks(values, np.full(300, 2.0))
    expected, _ = signal.find_peaks(values, prominence=2.0)
    np.testing.assert_array_equal(top, expected)
    assert (values[left] <= values[top]).all()
    assert (values[right] <= values[top]).all()
    assert (left <= top).all()
    assert (top <= right).all()


def test_a_flat_top_counts_once_and_an_end_is_none():
    values = np.array([5.0, 1.0, 2.0, 2.0, 2.0, 1.0, 3.0])
    top, left, right = find_peaks(values, np.full(7, 0.5))
    assert top.tolist() == [2]
    assert left.tolist() == [1]
    assert right.tolist() == [5]
