"""Cells beside each other: their median, and how each departs from it.

A departure is regressed on a few columns common to all cells (current, charge, time),
in blocks of time, so that what a coefficient is worth follows from how it changes when
a block is left out.
"""

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, F8_2D, float64, int64, kernel

Floats = npt.NDArray[np.float64]


@kernel(float64[::1](F8_2D))
def cell_median(cell_voltage_v: Floats) -> Floats:
    """Return the median over the cells at each sample, missing ones left out.

    Parameters
    ----------
    cell_voltage_v : (n_cells, n) V

    Returns
    -------
    (n,) V; NaN where fewer than half of the cells have a value.
    """
    cells, n = cell_voltage_v.shape
    result = np.full(n, np.nan)
    held = np.empty(cells)
    for k in range(n):
        count = 0
        for c in range(cells):
            v = cell_voltage_v[c, k]
            if v != v:
                continue
            at = count
            while at > 0 and held[at - 1] > v:
                held[at] = held[at - 1]
                at -= 1
            held[at] = v
            count += 1
        if count == 0 or 2 * count < cells:
            continue
        half = count // 2
        if count % 2 == 1:
            result[k] = held[half]
        else:
            result[k] = 0.5 * (held[half - 1] + held[half])
    return result


@kernel(float64[:, ::1](F8_2D, F8, F8_2D, int64))
def departure_sums(
    cell_voltage_v: Floats, median_v: Floats, columns: Floats, blocks: int
) -> Floats:
    """Return the sums of a least-squares problem for each cell and block of time.

    The left side is the cell minus the median, the right side `columns`. A sample at
    which any of them is missing is left out.

    Parameters
    ----------
    cell_voltage_v : (n_cells, n) V
    median_v : (n,) V
    columns : (p, n)
    blocks : number of equal parts of the samples

    Returns
    -------
    (n_cells * blocks, p (p + 1) / 2 + p + 2): upper triangle of the products of the
    columns row by row, their products with the departure, the square of the
    departure, the number of samples. Block b of cell c is row c * blocks + b.
    """
    cells, n = cell_voltage_v.shape
    p = columns.shape[0]
    pairs = p * (p + 1) // 2
    result = np.zeros((cells * blocks, pairs + p + 2))
    # Products of columns do not depend on the cell: made once per sample.
    chunk = 256
    product = np.empty((pairs, chunk))
    for begin in range(0, n, chunk):
        size = min(chunk, n - begin)
        q = 0
        for i in range(p):
            for j in range(i, p):
                for k in range(size):
                    product[q, k] = columns[i, begin + k] * columns[j, begin + k]
                q += 1
        for c in range(cells):
            for k in range(size):
                y = cell_voltage_v[c, begin + k] - median_v[begin + k]
                whole = product[0, k]
                for q in range(p):
                    whole += columns[q, begin + k]
                if y != y or whole != whole:
                    continue
                row = c * blocks + (begin + k) * blocks // n
                for q in range(pairs):
                    result[row, q] += product[q, k]
                for q in range(p):
                    result[row, pairs + q] += columns[q, begin + k] * y
                result[row, pairs + p] += y * y
                result[row, pairs + p + 1] += 1.0
    return result


@kernel(float64[::1](F8, F8, float64))
def low_pass(time_s: Floats, values: Floats, tau_s: float) -> Floats:
    """Return values through a first-order low-pass, exact for steps between samples.

    Parameters
    ----------
    time_s : (n,) s, not decreasing
    values : (n,) each holds from the sample before to its own
    tau_s : s, time constant

    Returns
    -------
    (n,); starts at the first value; a missing value leaves the state and is missing.
    """
    n = values.size
    result = np.full(n, np.nan)
    state = np.nan
    last = 0.0
    for k in range(n):
        v = values[k]
        if v != v:
            continue
        if state != state:
            state = v
        else:
            state = v + (state - v) * np.exp(-(time_s[k] - last) / tau_s)
        last = time_s[k]
        result[k] = state
    return result
