"""Cells of a pack beside each other, and the break of a trajectory, beside NumPy.

No peer is known: none of the packages named in the house plan compares the cells of a
pack or finds a knee, so the baselines are straightforward NumPy.
"""

import numpy as np
import pytest

from battlife.kernels.cells import cell_median, departure_sums, low_pass
from battlife.kernels.hinge import break_scan

CELLS = 96
SIZES = [10**3, 10**4, 10**5]
POINTS = [100, 1000, 3000]
BLOCKS = 8
COLUMNS = 5


def pack(n: int):
    """Return (cells, median, columns) of n samples."""
    rng = np.random.default_rng(3)
    cells = 3.7 + 0.01 * rng.standard_normal((CELLS, 1))  # each at its own level
    cells = cells + 0.0005 * rng.standard_normal((CELLS, n))
    columns = rng.standard_normal((COLUMNS, n))
    return cells, np.median(cells, axis=0), columns


def sums_by_numpy(cells, median, columns):
    """Return the same sums as the kernel, for data without gaps."""
    rows, cols = np.triu_indices(COLUMNS)
    away = cells - median
    found = []
    for part in np.array_split(np.arange(median.size), BLOCKS):
        x, y = columns[:, part], away[:, part]
        square = np.tile((x @ x.T)[rows, cols], (CELLS, 1))
        size = np.full((CELLS, 1), float(part.size))
        found.append(np.hstack([square, y @ x.T, (y * y).sum(1)[:, None], size]))
    return np.stack(found, axis=1)


def breaks_by_numpy(x, y):
    """Return the residual of each break by one least-squares problem each."""
    found = []
    for k in range(4, x.size - 5):
        table = np.column_stack([np.ones(x.size), x, np.maximum(x - x[k], 0.0)])
        found.append(np.linalg.lstsq(table, y, rcond=None)[1])
    return found


def run(benchmark, task, function, rows):
    benchmark.group = task
    benchmark.extra_info["rows"] = rows
    benchmark.pedantic(function, rounds=5, iterations=1, warmup_rounds=1)


@pytest.mark.parametrize("n", SIZES)
def test_median(benchmark, n):
    cells, _, _ = pack(n)
    run(benchmark, f"cell median {n:.0e}", lambda: cell_median(cells), CELLS * n)


@pytest.mark.parametrize("n", [pytest.param(n, id=f"{n}-numpy") for n in SIZES])
def test_median_baseline(benchmark, n):
    cells, _, _ = pack(n)
    run(
        benchmark,
        f"cell median {n:.0e}",
        lambda: np.nanmedian(cells, axis=0),
        CELLS * n,
    )


@pytest.mark.parametrize("n", SIZES)
def test_sums(benchmark, n):
    cells, median, columns = pack(n)
    run(
        benchmark,
        f"cell departures {n:.0e}",
        lambda: departure_sums(cells, median, columns, BLOCKS),
        CELLS * n,
    )


@pytest.mark.parametrize("n", [pytest.param(n, id=f"{n}-numpy") for n in SIZES])
def test_sums_baseline(benchmark, n):
    cells, median, columns = pack(n)
    run(
        benchmark,
        f"cell departures {n:.0e}",
        lambda: sums_by_numpy(cells, median, columns),
        CELLS * n,
    )


@pytest.mark.parametrize("n", POINTS)
def test_breaks(benchmark, n):
    x = np.arange(float(n))
    y = np.random.default_rng(0).standard_normal(n)
    run(benchmark, f"knee scan {n:.0e}", lambda: break_scan(x, y), n)


@pytest.mark.parametrize("n", [pytest.param(n, id=f"{n}-numpy") for n in POINTS[:2]])
def test_breaks_baseline(benchmark, n):
    x = np.arange(float(n))
    y = np.random.default_rng(0).standard_normal(n)
    run(benchmark, f"knee scan {n:.0e}", lambda: breaks_by_numpy(x, y), n)


def test_low_pass(benchmark):
    time = np.arange(10.0**6)
    values = np.sin(time)
    run(benchmark, "low pass 1e+06", lambda: low_pass(time, values, 60.0), time.size)
