"""Line with a break, for every place, beside numpy.linalg.lstsq."""

import numpy as np
import pytest

from battlife.kernels.hinge import break_scan


def plain(x, y):
    """Return the same by one least-squares problem per break."""
    result = np.full((3, x.size), np.nan)
    for k in range(4, x.size - 5):
        columns = np.column_stack([np.ones(x.size), x, np.maximum(x - x[k], 0.0)])
        beta, *_ = np.linalg.lstsq(columns, y, rcond=None)
        left = y - columns @ beta
        result[:, k] = (left @ left, beta[1], beta[1] + beta[2])
    return result


@pytest.mark.parametrize("seed", range(5))
def test_every_break_is_the_least_squares_fit(seed):
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.uniform(0.5, 5.0, 60))
    y = 1.0 - 1e-3 * x - 3e-3 * np.maximum(x - 90.0, 0.0) + rng.normal(0, 0.01, 60)
    found = np.array(break_scan(x, y))
    np.testing.assert_allclose(found, plain(x, y), rtol=1e-7, atol=1e-12)


def test_the_true_break_has_no_residual():
    x = np.arange(40.0)
    y = 2.0 - 0.01 * x - 0.05 * np.maximum(x - 25.0, 0.0)
    sse, before, after = break_scan(x, y)
    assert int(np.nanargmin(sse)) == 25
    assert before[25] == pytest.approx(-0.01)
    assert after[25] == pytest.approx(-0.06)


@pytest.mark.parametrize("n", [0, 1, 5, 9])
def test_too_few_points_say_nothing(n):
    x = np.arange(float(n))
    assert all(np.isnan(part).all() for part in break_scan(x, x))


def test_a_missing_value_says_nothing():
    x = np.arange(20.0)
    y = x.copy()
    y[3] = np.nan
    assert np.isnan(break_scan(x, y)[0]).all()


def test_repeated_places_say_nothing():
    x = np.zeros(20)
    assert np.isnan(break_scan(x, x)[0]).all()
