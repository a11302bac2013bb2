"""The circuit of a pulse beside NumPy and SciPy."""

import numpy as np
import pytest
import scipy.optimize

from battlife.kernels.pulse_circuit import fit_pulse, respond

ON, OFF = 0.3, 20.4


def window(seed=1):
    """Return (time, current, off): rest, 20 s at -4 A, rest; irregular samples."""
    rng = np.random.default_rng(seed)
    time = np.concatenate(
        [[0.0], ON + np.cumsum(rng.uniform(0.05, 0.4, 80)), np.arange(20.5, 60, 1.0)]
    )
    time = np.sort(time)
    loaded = (time > ON) & (time <= OFF)
    return time, np.where(loaded, -4.0, 0.0), int(np.flatnonzero(loaded)[-1]) + 1


def by_numpy(time, tau):
    """Return the answer of 1 ohm and tau to -4 A from ON to OFF."""
    since = np.clip(time - ON, 0, OFF - ON)
    charged = 1 - np.exp(-since / tau)
    return -4.0 * charged * np.exp(-np.clip(time - OFF, 0, None) / tau)


@pytest.mark.parametrize("tau", [0.2, 3.0, 500.0])
def test_the_answer_of_a_pair_is_the_exponential(tau):
    time, current, off = window()
    answer, slope = np.empty(time.size), np.empty(time.size)
    respond(time, current, off, ON, OFF, tau, answer, slope)
    np.testing.assert_allclose(answer, by_numpy(time, tau), atol=1e-12)
    step = 1e-6
    chord = by_numpy(time, tau * np.exp(step)) - by_numpy(time, tau * np.exp(-step))
    np.testing.assert_allclose(slope, chord / (2 * step), atol=1e-8)


def test_without_an_end_it_is_the_charge():
    time, current, off = window()
    answer, slope = np.empty(time.size), np.empty(time.size)
    respond(time, current, off, ON, OFF, np.inf, answer, slope)
    expected = -4.0 * np.clip(time - ON, 0, OFF - ON)
    np.testing.assert_allclose(answer, expected, atol=1e-12)


@pytest.mark.parametrize("pairs", [1, 2])
def test_scipy_finds_no_better_circuit(pairs):
    time, current, off = window()
    rng = np.random.default_rng(5)
    clean = 0.02 * current + 0.01 * by_numpy(time, 1.5)
    if pairs == 2:
        clean = clean + 0.02 * by_numpy(time, 12.0)
    clean = clean - 1e-5 * 4.0 * np.clip(time - ON, 0, OFF - ON)
    voltage = 3.7 + clean
    voltage[1:] += 1e-4 * rng.standard_normal(time.size - 1)
    values, inverse, fitted, squares = fit_pulse(
        time, current, voltage, off, ON, OFF, 0.2, 60.0, pairs
    )
    charge = -4.0 * np.clip(time - ON, 0, OFF - ON)

    def residuals(x):
        v = voltage[0] + x[0] * current + x[1] * charge
        for ohm, log_tau in zip(x[2::2], x[3::2], strict=True):
            v = v + ohm * by_numpy(time, np.exp(log_tau))
        return (v - voltage)[1:]

    start = values.copy()
    start[3::2] = np.log(start[3::2])
    peer = scipy.optimize.least_squares(residuals, start, xtol=1e-14, ftol=1e-14)
    assert squares == pytest.approx(float((residuals(start) ** 2).sum()), rel=1e-6)
    assert squares <= 2 * peer.cost * 1.005
    np.testing.assert_allclose((fitted - voltage)[1:], residuals(start), atol=1e-12)
    expected = np.linalg.inv(peer.jac.T @ peer.jac)
    np.testing.assert_allclose(
        np.sqrt(np.diag(inverse)), np.sqrt(np.diag(expected)), rtol=0.1
    )


def test_what_does_not_fit_is_nan_or_nothing():
    time, current, off = window()
    values, _, _, squares = fit_pulse(
        time[:4], current[:4], current[:4], 4, ON, OFF, 0.2, 60.0, 1
    )
    assert np.isnan(values).all()
    assert np.isnan(squares)
    # A wrong sign leaves every resistance at nothing.
    values, _, _, _ = fit_pulse(
        time, current, 3.7 - 0.02 * current, off, ON, OFF, 0.2, 60.0, 2
    )
    assert values[0] == 0.0
    assert (values[2::2] == 0.0).all()
