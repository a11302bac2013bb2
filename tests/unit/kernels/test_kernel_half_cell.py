"""The voltage of a cell from its half-cells, and the fit, beside plain NumPy."""

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

from battlife.kernels.half_cell import (
    cell_slopes,
    cell_voltage,
    curve_at,
    starts,
)
from battlife.kernels.half_cell_fit import fit_half_cells

GRID = np.linspace(0.1, 0.9, 401)
STEP = GRID[1] - GRID[0]
LEVELS = ((0.1, 0.15, 0.05), (0.05, 0.3, 0.02), (0.05, 0.6, 0.02))


def positive(at):
    return 4.4 - 0.9 * at - 0.25 * np.tanh(8 * (at - 0.45))


def negative(at):
    return 0.4 - 0.1 * at - sum(a * np.tanh((at - m) / w) for a, m, w in LEVELS)


POSITIVE, NEGATIVE = positive(GRID), negative(GRID)
CURVES = (POSITIVE, 0.1, STEP, NEGATIVE, 0.1, STEP)
TRUE = np.array([0.15, 0.8, 0.85, 0.25, 0.004])
SHARE = (np.arange(200) + 0.5) / 200


def test_a_curve_is_the_spline_of_its_points():
    slope = np.gradient(NEGATIVE, STEP)
    spline = CubicHermiteSpline(GRID, NEGATIVE, slope)
    for at in np.linspace(GRID[1] + 1e-6, GRID[-3], 97):
        value, rise = curve_at(NEGATIVE, 0.1, STEP, at)
        assert value == pytest.approx(spline(at), abs=1e-9)
        assert rise == pytest.approx(spline(at, 1), abs=1e-6)


def test_beyond_its_ends_a_curve_goes_on_straight():
    for at, near in ((0.0, 0.1), (1.0, 0.9)):
        value, rise = curve_at(NEGATIVE, 0.1, STEP, at)
        end, _ = curve_at(NEGATIVE, 0.1, STEP, near)
        assert value == pytest.approx(end + rise * (at - near), abs=1e-9)


def test_the_voltage_of_a_cell_is_the_difference_of_its_electrodes():
    x0, x1, y0, y1, c = TRUE
    expected = positive(y0 + (y1 - y0) * SHARE) - negative(x0 + (x1 - x0) * SHARE)
    found = cell_voltage(TRUE, SHARE, *CURVES)
    np.testing.assert_allclose(found, expected + c, atol=1e-5)


def test_the_derivatives_are_those_of_the_voltage():
    found = cell_slopes(TRUE, SHARE, *CURVES)
    for m in range(5):
        step = np.zeros(5)
        step[m] = 1e-6
        up = cell_voltage(TRUE + step, SHARE, *CURVES)
        down = cell_voltage(TRUE - step, SHARE, *CURVES)
        np.testing.assert_allclose(found[:, m], (up - down) / 2e-6, atol=2e-3)


def residuals_by_numpy(parameters, voltage, weight, rho, prior):
    residual = (voltage - cell_voltage(parameters, SHARE, *CURVES)) * weight
    after = residual.copy()
    after[1:] -= rho * residual[:-1]
    after[0] *= np.sqrt(1 - rho**2)
    return np.append(after, -parameters[4] / prior)


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_the_fit_finds_the_truth_and_its_sum_is_numpys(rho):
    noise = np.random.default_rng(1).normal(0, 2e-4, SHARE.size)
    voltage = cell_voltage(TRUE, SHARE, *CURVES) + noise
    weight = np.full(SHARE.size, 1 / 0.003)
    begin = starts(SHARE, voltage, *CURVES, 8, 0.06)
    found, normal = fit_half_cells(
        begin, SHARE, voltage, weight, rho, 0.05, *CURVES, 0.02
    )
    best = int(np.nanargmin(found[:, 5]))
    np.testing.assert_allclose(found[best, :4], TRUE[:4], atol=3e-3)
    by_numpy = residuals_by_numpy(found[best, :5], voltage, weight, rho, 0.05)
    assert found[best, 5] == pytest.approx(0.5 * by_numpy @ by_numpy, rel=1e-9)
    steps = np.eye(5) * 1e-6
    jacobian = (
        np.array(
            [
                residuals_by_numpy(found[best, :5] - s, voltage, weight, rho, 0.05)
                - residuals_by_numpy(found[best, :5] + s, voltage, weight, rho, 0.05)
                for s in steps
            ]
        ).T
        / 2e-6
    )
    np.testing.assert_allclose(
        normal[best].reshape(5, 5), jacobian.T @ jacobian, rtol=0.02, atol=20.0
    )
    # No step along the gradient is left.
    gradient = jacobian.T @ by_numpy
    left = np.linalg.solve(normal[best].reshape(5, 5), gradient)
    assert np.abs(left).max() < 1e-3


def test_starts_are_apart_and_the_best_comes_first():
    voltage = cell_voltage(TRUE, SHARE, *CURVES)
    found = starts(SHARE, voltage, *CURVES, 6, 0.1)
    assert (np.diff(found[:, 5]) >= 0).all()
    for a in range(len(found)):
        for b in range(a):
            assert np.abs(found[a, :4] - found[b, :4]).max() >= 0.1
    assert np.abs(found[:, :4] - TRUE[:4]).max(axis=1).min() < 0.15


def test_a_start_with_exchanged_ends_gives_nan():
    voltage = cell_voltage(TRUE, SHARE, *CURVES)[::-1].copy()
    weight = np.full(SHARE.size, 1 / 0.003)
    begin = np.array([[0.8, 0.15, 0.25, 0.85, 0.0, 0.0]])
    found, _ = fit_half_cells(begin, SHARE, voltage, weight, 0.0, 0.05, *CURVES, 0.02)
    assert np.isnan(found[0, 5])
