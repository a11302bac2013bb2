"""Kernels of impedance beside NumPy and SciPy."""

import numpy as np
import pytest
import scipy.optimize

from battlife.kernels import circuit, solving
from battlife.kernels.kramers_kronig import linear_kk
from battlife.kernels.relaxation_times import SERIES, distribution, not_negative
from eis_samples import ARC_OHM, FREQUENCY_HZ, HENRY, OHM, SIGMA, impedance, noisy

OMEGA = 2 * np.pi * FREQUENCY_HZ


@pytest.mark.parametrize(("p", "m"), [(1, 1), (3, 7), (8, 8), (20, 61)])
def test_least_squares_is_numpys(p, m):
    rng = np.random.default_rng(p)
    columns, target = rng.standard_normal((p, m)), rng.standard_normal(m)
    expected = np.linalg.lstsq(columns.T, target, rcond=None)[0]
    found = solving.least_squares(columns.copy(), target.copy())
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_dependent_column_adds_nothing():
    one = np.array([1.0, 2.0, 3.0])
    columns = np.array([one, 2 * one, [1.0, 0.0, -1.0]])
    found = solving.least_squares(columns.copy(), one * 4)
    assert found[1] == 0.0
    np.testing.assert_allclose(found @ columns, one * 4)


def test_cholesky_solves_and_inverts():
    rng = np.random.default_rng(3)
    part = rng.standard_normal((6, 9))
    matrix = part @ part.T
    factor = matrix.copy()
    assert solving.factorise(factor, 6) == 1
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(matrix))
    vector = rng.standard_normal(6)
    solution = vector.copy()
    solving.substitute(factor, 6, solution)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, vector))
    inverse = np.empty((6, 6))
    solving.invert(factor, 6, inverse)
    np.testing.assert_allclose(inverse, np.linalg.inv(matrix))
    assert solving.factorise(-np.eye(2), 2) == 0


@pytest.mark.parametrize("n", [0, 1, 3, 4, 9])
def test_the_inner_product_is_a_sum(n):
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal(n), rng.standard_normal(n)
    assert solving.inner_product(a, b, 0, n) == pytest.approx(float(a @ b))


def kk_by_numpy(omega, z, m):
    """Return the linear Kramers-Kronig description with m relaxations."""
    tau = np.geomspace(1 / omega.max(), 1 / omega.min(), m)
    columns = [np.ones_like(omega), 1j * omega, 1 / (1j * omega)]
    columns += [1 / (1 + 1j * omega * t) for t in tau]
    weighted = np.array(columns).T / np.abs(z)[:, None]
    size = np.abs(weighted).max(axis=0)
    matrix = np.vstack([weighted.real, weighted.imag]) / size
    unit = z / np.abs(z)
    found = np.linalg.lstsq(matrix, np.r_[unit.real, unit.imag], rcond=1e-14)[0] / size
    resistances = found[3:]
    mu = 1 + resistances[resistances < 0].sum() / resistances[resistances > 0].sum()
    return np.array(columns).T @ found, mu


def test_the_kramers_kronig_test_is_numpys():
    z = noisy()
    re, im, facts = linear_kk(OMEGA, z.real.copy(), z.imag.copy(), 18, 50, 0.85)
    m = int(facts[1])
    expected, mu = kk_by_numpy(OMEGA, z, m)
    np.testing.assert_allclose(re + 1j * im, expected, rtol=1e-6)
    assert facts[0] == pytest.approx(mu, abs=1e-6)
    # It stops at the first number of relaxations whose mu is low enough.
    assert mu <= 0.85
    assert m == 18 or kk_by_numpy(OMEGA, z, m - 1)[1] > 0.85


def test_a_spectrum_too_short_gives_nan():
    one = np.ones(2)
    re, _, facts = linear_kk(one, one, one, 2, 2, 0.85)
    assert np.isnan(re).all()
    assert np.isnan(facts).all()


KINDS = np.array(
    [circuit.L, circuit.R, circuit.C, circuit.RC, circuit.ZARC, circuit.W, circuit.CPE]
)
THETA = np.log([2e-8, 0.02, 50.0, 0.01, 0.002, 0.015, 0.1, 1.0, 0.004, 300.0, 1.0])
THETA[7], THETA[10] = 1.2, 0.5


def by_numpy(omega, theta):
    """Return the impedance of KINDS."""
    ind, ohm, cap, r1, t1, r2, t2, a2, sigma, q, a3 = theta
    alpha2, alpha3 = (0.3 + 0.7 / (1 + np.exp(-a)) for a in (a2, a3))
    jw = 1j * omega
    return (
        jw * np.exp(ind)
        + np.exp(ohm)
        + 1 / (jw * np.exp(cap))
        + np.exp(r1) / (1 + jw * np.exp(t1))
        + np.exp(r2) / (1 + (jw * np.exp(t2)) ** alpha2)
        + np.exp(sigma) * (1 - 1j) / np.sqrt(omega)
        + 1 / (np.exp(q) * jw**alpha3)
    )


def evaluated(theta, z):
    n, p = OMEGA.size, theta.size
    real, imaginary = np.empty((p, n)), np.empty((p, n))
    re, im = np.empty(n), np.empty(n)
    total = circuit.evaluate(
        OMEGA, z.real.copy(), z.imag.copy(), KINDS, theta, real, imaginary, re, im
    )
    return total, real + 1j * imaginary, re + 1j * im


def test_every_element_and_its_derivative_is_numpys():
    z = noisy()
    total, slopes, found = evaluated(THETA, z)
    np.testing.assert_allclose(found, by_numpy(OMEGA, THETA), rtol=1e-12)
    assert total == pytest.approx(
        float((np.abs(found - z) ** 2 / np.abs(z) ** 2).sum())
    )
    for j in range(THETA.size):
        step = np.zeros(THETA.size)
        step[j] = 1e-6
        chord = (by_numpy(OMEGA, THETA + step) - by_numpy(OMEGA, THETA - step)) / 2e-6
        np.testing.assert_allclose(slopes[j], chord, rtol=1e-5, atol=1e-10)


def test_the_fit_finds_the_parameters_and_scipy_finds_no_better():
    z = noisy()
    kinds = np.array([circuit.L, circuit.R, circuit.ZARC, circuit.W])
    start = np.array([*np.log([1e-8, 0.01, 0.01, 0.1]), 0.9, np.log(0.01)])
    wide = np.full(6, 12.0)
    theta, inverse, facts = circuit.fit_circuit(
        OMEGA, z.real.copy(), z.imag.copy(), kinds, start, start - wide, start + wide
    )
    assert np.exp(theta[[0, 1, 2, 5]]) == pytest.approx(
        [HENRY, OHM, ARC_OHM, SIGMA], rel=0.03
    )

    def residuals(t):
        alpha = 0.3 + 0.7 / (1 + np.exp(-t[4]))
        arc = np.exp(t[2]) / (1 + (1j * OMEGA * np.exp(t[3])) ** alpha)
        fit = 1j * OMEGA * np.exp(t[0]) + np.exp(t[1]) + arc
        fit = fit + np.exp(t[5]) * (1 - 1j) / np.sqrt(OMEGA)
        off = (fit - z) / np.abs(z)
        return np.r_[off.real, off.imag]

    peer = scipy.optimize.least_squares(residuals, start, xtol=1e-12, ftol=1e-12)
    assert facts[0] == pytest.approx(2 * peer.cost, rel=1e-5)
    np.testing.assert_allclose(theta, peer.x, atol=2e-3)
    np.testing.assert_allclose(inverse, np.linalg.inv(peer.jac.T @ peer.jac), rtol=0.05)


def test_a_parameter_the_data_do_not_hold_is_not_invented():
    z = np.full(20, 1.0 + 0.0j)
    omega = np.geomspace(1, 1e4, 20)
    kinds = np.array([circuit.R, circuit.L])
    start = np.log([0.5, 1e-12])
    theta, inverse, _ = circuit.fit_circuit(
        omega, z.real.copy(), z.imag.copy(), kinds, start, start - 9, start + 9
    )
    assert np.exp(theta[0]) == pytest.approx(1.0)
    assert not inverse[1, 1] < 1e3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("warm", [False, True])
def test_not_negative_is_scipys(seed, warm):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((40, 15))
    target = matrix @ np.clip(rng.standard_normal(15), 0, None)
    target += 0.3 * rng.standard_normal(40)
    expected, _ = scipy.optimize.nnls(matrix, target)
    start = rng.standard_normal(15) if warm else np.zeros(15)
    found = not_negative(matrix.T @ matrix, matrix.T @ target, start, 1e-10)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_distribution_holds_the_resistance_of_the_arc():
    z = impedance() - SIGMA * (1 - 1j) / np.sqrt(OMEGA)
    tau = np.geomspace(1e-5, 50.0, 70)
    penalties = 10.0 ** np.arange(1, -8.1, -0.5)
    ohm, facts = distribution(OMEGA, z.real.copy(), z.imag.copy(), tau, penalties, 1e-3)
    assert facts[0] <= 1e-3
    assert ohm.min() >= 0.0
    assert ohm[0] == pytest.approx(OHM, rel=0.02)
    assert ohm[1] == pytest.approx(HENRY, rel=0.05)
    assert ohm[SERIES:].sum() == pytest.approx(ARC_OHM, rel=0.02)
    assert tau[np.argmax(ohm[SERIES:])] == pytest.approx(0.01, rel=0.2)
