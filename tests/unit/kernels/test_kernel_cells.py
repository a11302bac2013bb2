"""Cells beside each other, beside plain NumPy."""

import numpy as np
import pytest

from battlife.kernels.cells import cell_median, departure_sums, low_pass


def cells(seed: int, n_cells: int = 7, n: int = 900) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = 3.7 + 0.01 * rng.standard_normal((n_cells, n))
    values[rng.random(values.shape) < 0.1] = np.nan
    return values


@pytest.mark.parametrize("n_cells", [1, 2, 7, 8])
def test_median_is_that_of_numpy_where_half_of_the_cells_are_known(n_cells):
    values = cells(n_cells, n_cells)
    known = np.isfinite(values).sum(axis=0)
    enough = 2 * known >= max(n_cells, 1)
    found = cell_median(values)
    both = enough & (known > 0)
    np.testing.assert_array_equal(found[both], np.nanmedian(values[:, both], axis=0))
    assert np.isnan(found[~both]).all()


def test_no_cells_and_no_samples():
    assert np.isnan(cell_median(np.empty((0, 4)))).all()
    assert cell_median(np.empty((3, 0))).size == 0


def test_sums_are_those_of_numpy_in_each_block():
    values = cells(1)
    median = cell_median(values)
    rng = np.random.default_rng(2)
    columns = rng.standard_normal((3, values.shape[1]))
    columns[1, 40:60] = np.nan
    found = departure_sums(values, median, columns, 8)
    block = np.arange(values.shape[1]) * 8 // values.shape[1]
    rows, cols = np.triu_indices(3)
    for c in range(values.shape[0]):
        y = values[c] - median
        good = np.isfinite(y) & np.isfinite(columns).all(axis=0)
        for b in range(8):
            at = good & (block == b)
            x = columns[:, at]
            expected = [
                *(x @ x.T)[rows, cols],
                *(x @ y[at]),
                y[at] @ y[at],
                at.sum(),
            ]
            np.testing.assert_allclose(found[c * 8 + b], expected, rtol=1e-10)


def test_low_pass_is_the_exact_step_response():
    time = np.cumsum(np.random.default_rng(0).uniform(0.1, 5.0, 200))
    values = np.where(time > time[50], 2.0, 0.0)
    found = low_pass(time, values, 30.0)
    since = time - time[50]
    expected = np.where(since > 0, 2.0 * (1.0 - np.exp(-since / 30.0)), 0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_low_pass_passes_over_missing_values():
    time = np.arange(10.0)
    values = np.ones(10)
    values[[0, 4]] = np.nan
    found = low_pass(time, values, 5.0)
    assert np.isnan(found[[0, 4]]).all()
    np.testing.assert_allclose(found[[1, 2, 3, 5, 9]], 1.0)
