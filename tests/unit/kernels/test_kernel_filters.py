"""Filters of a cell beside the same equations as matrices; mixtures beside SciPy."""

import numpy as np
import pytest
from scipy.stats import norm

import filter_samples
from battlife.kernels._cell_step import BEYOND, N_SETTINGS
from battlife.kernels.cell_filter import (
    extended_filter,
    hysteresis_share,
    relaxed_current,
)
from battlife.kernels.mixture import mixture_bounds
from battlife.kernels.sigma_filter import sigma_filter

SETTINGS = np.array(
    [2.0, 0.99, 60.0, 20.0, 1e-3, 0.03, 15.0, 0.25, 1.7e-3, 2e-5]
    + [300.0, 3.0, 60.0, -0.7, 5.0, 0.003, 0.02, 200.0]
)


def curve(values, place):
    return np.interp(place, np.arange(values.size), values)


def slope_voltage(curves, grid, x, p, now, relaxing):
    """Return (voltage, slopes, variance of what the slope leaves out, ohmic)."""
    top = curves.shape[1] - 1.001
    place = np.clip((x[0] - grid[0]) * grid[1], 0.0, top)
    wide = max(np.sqrt(p[0, 0]) * grid[1], 1.0)
    below, above = max(place - wide, 0.0), min(place + wide, top)
    low, middle, high = (curve(curves[0], at) for at in (below, place, above))
    bend = 0.5 * (high + low) - middle
    ohmic = curve(curves[2], place) * now + relaxing
    slopes = np.array([(high - low) * grid[1] / (above - below), 1, 1, ohmic, 0, 0])
    voltage = middle + 0.5 * bend + x[1] + x[2] + (1 + x[3]) * ohmic
    return voltage, slopes @ p, slopes @ p @ slopes + 0.5 * bend**2, ohmic


def sigma_voltage(curves, grid, x, p, now, relaxing):
    """Return the same from thirteen points."""

    def at(state):
        place = np.clip((state[0] - grid[0]) * grid[1], 0.0, curves.shape[1] - 1.001)
        return curve(curves[0], place) + state[1] + state[2] + (1 + state[3]) * ohmic

    place = np.clip((x[0] - grid[0]) * grid[1], 0.0, curves.shape[1] - 1.001)
    ohmic = curve(curves[2], place) * now + relaxing
    root = np.linalg.cholesky(p + 1e-18 * np.eye(6))
    reach = np.sqrt(3.0)
    up = np.array([at(x + reach * column) for column in root.T])
    down = np.array([at(x - reach * column) for column in root.T])
    middle = at(x)
    voltage = -middle + (up.sum() + down.sum()) / 6
    slopes, bends = up - down, up + down - 2 * middle
    variance = (slopes**2).sum() / 12 + (bends**2).sum() / 18
    return voltage, root @ slopes / (2 * reach), variance, ohmic


def plain(time, current, voltage, relaxing, lasting, curves, grid, state, spread, seen):
    """Return z, its variance, innovation, its variance and likelihood, by matrices."""
    capacity, eta = SETTINGS[:2]
    x, p = state.copy(), np.diag(spread**2)
    surprise, loglik, counted, before = 1.0, 0.0, -np.inf, 0.0
    rows = []
    for k in range(time.size):
        missing = np.isnan(current[k])
        now = before if missing else current[k]
        dt = time[k] - time[k - 1] if k else 0.0
        times = max(2 * SETTINGS[6] / dt, 1.0) if dt > 0 else 1.0
        if k:
            per = dt / 3600 / capacity
            flow = 0.5 * (now + before) - x[4]
            flow *= eta if flow > 0 else 1.0
            f = np.eye(6)
            f[0, 4], f[0, 5] = -per * (1 + x[5]), flow * per
            step = flow * per * (1 + x[5])
            x[0] += step
            decays = np.exp(-SETTINGS[2:4] * abs(step))
            f[1, 1], f[2, 2] = decays
            column = int(
                np.clip((x[0] - grid[0]) * grid[1], 0, curves.shape[1] - 1.001)
            )
            level, error = curves[1, column], curves[3, column]
            level *= -1 if flow < 0 else 1
            away = SETTINGS[7] * (x[1] - level)
            x[1] = decays[0] * x[1] + (1 - decays[0]) * level
            x[2] *= decays[1]
            p = f @ p @ f.T
            p[1, 1] += (1 - decays[0] ** 2) * away**2
            more = error**2 + lasting[k] ** 2
            p[2, 2] += (1 - decays[1] ** 2) * more * surprise
            p[3, 3] += SETTINGS[8] ** 2 * dt
            p[4, 4] += SETTINGS[9] ** 2 * dt
            if missing or dt > SETTINGS[12]:
                p[0, 0] += (SETTINGS[11] * per) ** 2
        before = now
        innovation = variance = np.nan
        counts = False
        if not np.isnan(voltage[k]):
            predicted, cross, variance, ohmic = seen(
                curves, grid, x, p, now, relaxing[k]
            )
            left = SETTINGS[16] * np.exp(-(time[k] - time[0]) / SETTINGS[17])
            pulse = (
                (SETTINGS[5] * ohmic) ** 2 + SETTINGS[15] ** 2 + left**2
            ) * surprise
            variance += SETTINGS[4] ** 2 * surprise + times * pulse
            innovation = voltage[k] - predicted
            x = x + cross * innovation / variance
            p = p - np.outer(cross, cross) / variance
            x[3] = np.clip(x[3], SETTINGS[13], SETTINGS[14])
            if time[k] >= counted:
                counts, counted = True, time[k] + 2 * SETTINGS[6]
                once = variance - (times - 1) * pulse
                loglik -= 0.5 * (innovation**2 / once + np.log(once))
            if k:
                ratio = min(innovation**2 / variance, 100.0)
                surprise *= 1 + min(dt / SETTINGS[10], 1.0) * (ratio - 1)
                surprise = np.clip(surprise, 1.0, 100.0)
        over = x[0] - np.clip(x[0], -BEYOND, 1 + BEYOND)
        if over:
            if counts:
                loglik -= 0.5 * over**2 / (p[0, 0] + BEYOND**2)
            width = p[0, 0] + times * BEYOND**2
            cross = p[:, 0].copy()
            x, p = x - cross * over / width, p - np.outer(cross, cross) / width
        rows.append((x[0], p[0, 0], innovation, variance, x[3], loglik))
    return np.array(rows).T, x, np.diag(p)


def record(seed, n=600, soc=0.6):
    rng = np.random.default_rng(seed)
    current = filter_samples.load(rng, n, -0.8)
    voltage, _ = filter_samples.run(filter_samples.lfp(), current, soc, rng)
    current[200:230] = np.nan
    voltage[250:300] = np.nan
    time = np.cumsum(
        rng.choice([0.0, 1.0, 1.0, 5.0, 90.0], n, p=[0.1, 0.4, 0.3, 0.19, 0.01])
    )
    return time, current, voltage


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("kernel", "seen"),
    [(extended_filter, slope_voltage), (sigma_filter, sigma_voltage)],
    ids=["extended", "sigma"],
)
@pytest.mark.parametrize("start", [0.5, 0.97])
def test_a_filter_is_its_equations_as_matrices(kernel, seen, seed, start):
    time, current, voltage = record(seed)
    at = filter_samples.lfp().at(25.0)
    relaxing = 0.01 * relaxed_current(time, current, 0, time.size, 5.0)
    lasting = 0.002 * np.abs(np.sin(time / 300.0))
    assert SETTINGS.size == N_SETTINGS
    state = np.array([start, 0.005, 0.0, 0.1, 0.01, 0.02])
    spread = np.array([0.1, 0.02, 0.01, 0.1, 0.01, 0.03])
    found = kernel(
        time,
        current,
        voltage,
        relaxing,
        lasting,
        0,
        1,
        at.curves,
        at.grid,
        SETTINGS,
        state,
        spread,
    )
    rows, end, variances = plain(
        time,
        current,
        voltage,
        relaxing,
        lasting,
        at.curves,
        at.grid,
        state,
        spread,
        seen,
    )
    np.testing.assert_allclose(found[:, :-3], rows, rtol=2e-5, atol=1e-8)
    np.testing.assert_allclose(found[:, -3], end, rtol=2e-5, atol=1e-8)
    np.testing.assert_allclose(found[:, -2], variances, rtol=2e-4, atol=1e-9)
    assert found[0, -1] == pytest.approx(rows[5, -1], rel=1e-5)


@pytest.mark.parametrize("kernel", [extended_filter, sigma_filter])
def test_keeping_every_third_sample_changes_none_of_them(kernel):
    time, current, voltage = record(1)
    at = filter_samples.lfp().at(25.0)
    state, spread = np.array([0.5, 0, 0, 0, 0, 0]), np.full(6, 0.02)
    given = (time, current, voltage, np.zeros(time.size), np.zeros(time.size), 0)
    more = (at.curves, at.grid, SETTINGS, state, spread)
    all_of_them = kernel(*given, 1, *more)
    some = kernel(*given, 3, *more)
    np.testing.assert_array_equal(some[:, :-3], all_of_them[:, :-3:3])
    np.testing.assert_array_equal(some[:, -3:], all_of_them[:, -3:])


def test_without_bias_and_capacity_they_stay_where_they_are():
    time, current, voltage = record(2)
    at = filter_samples.lfp().at(25.0)
    spread = np.array([0.1, 0.02, 0.01, 0.1, 0.0, 0.0])
    found = extended_filter(
        time,
        current,
        voltage,
        np.zeros(time.size),
        np.zeros(time.size),
        0,
        1,
        at.curves,
        at.grid,
        SETTINGS,
        np.array([0.6, 0, 0, 0, 0.005, 0.01]),
        spread,
    )
    assert found[4:, -3].tolist() == [0.005, 0.01]
    assert found[4:, -2].tolist() == [0.0, 0.0]
    assert np.isfinite(found[0]).all()


def test_the_current_of_an_rc_element_is_its_equation():
    time, current, _ = record(3)
    held = np.where(np.isnan(current), current[199], current)
    expected = [0.0]
    for k in range(1, time.size):
        keep = np.exp(-(time[k] - time[k - 1]) / 30.0)
        mean = 0.5 * (held[k] + held[k - 1])
        expected.append(keep * expected[-1] + (1 - keep) * mean)
    found = relaxed_current(time, current, 0, time.size, 30.0)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_hysteresis_goes_to_the_side_of_the_current():
    charge = np.concatenate([np.linspace(0, 1, 50), np.linspace(1, 0, 50)])
    found = hysteresis_share(charge, 20.0, 0.3)
    expected = [0.3]
    for passed in np.diff(charge):
        keep = np.exp(-20.0 * abs(passed))
        expected.append(keep * expected[-1] + (1 - keep) * np.sign(passed))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[49] == pytest.approx(1.0, abs=1e-6)
    assert found[-1] == pytest.approx(-1.0, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limits", [(-9.0, 9.0), (0.3, 0.8)])
def test_bounds_of_a_mixture_are_its_quantiles(seed, limits):
    rng = np.random.default_rng(seed)
    n, c = 5, 7
    logs = rng.normal(0, 3, (n, c))
    mean, sd = rng.uniform(0, 1, (n, c)), rng.uniform(0.01, 0.1, (n, c))
    found = mixture_bounds(logs, mean, sd**2, 0.9, *limits)
    axis = np.linspace(max(limits[0], -1.0), min(limits[1], 2.0), 200_001)
    for k in range(n):
        weight = np.exp(logs[k] - logs[k].max())
        density = norm.pdf(axis[:, None], mean[k], sd[k]) @ weight
        below = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
        below /= below[-1]
        centre = np.trapezoid(density * axis, axis) / np.trapezoid(density, axis)
        var = np.trapezoid(density * (axis - centre) ** 2, axis)
        var /= np.trapezoid(density, axis)
        low, high = np.interp([0.05, 0.95], below, axis)
        np.testing.assert_allclose(
            found[:, k], [centre, np.sqrt(var), low, high], atol=2e-5
        )


def test_a_mixture_beyond_a_limit_knows_nothing():
    one = np.ones((1, 1))
    found = mixture_bounds(one, 2.0 * one, 1e-4 * one, 0.9, 0.0, 1.0)
    assert found[:, 0].tolist() == [1.0, 1.0, 0.0, 1.0]


def test_a_mixture_without_weights_has_no_bounds():
    found = mixture_bounds(
        np.full((1, 2), np.nan), np.zeros((1, 2)), np.ones((1, 2)), 0.9, 0.0, 1.0
    )
    assert np.isnan(found).all()
