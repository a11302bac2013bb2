"""Cells beside each other: their median, and how each departs from it.

A departure is regressed on a few columns common to all cells (current, charge, time),
in blocks of time, so that what a coefficient is worth follows from how it changes when
a block is left out.
"""

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, F8_2D, float64, int64, kernel, part_of_kernel

Floats = npt.NDArray[np.float64]

_CHUNK = 256  # samples; a chunk of a few columns and one cell fits the first cache


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
    # Cells keep their order from sample to sample, so that sorting by insertion in the
    # order of the sample before has little to do.
    order = np.arange(cells)
    sorted_cells = np.empty(cells, dtype=np.int64)
    for k in range(n):
        count = 0
        missing = cells
        for position in range(cells):
            c = order[position]
            v = cell_voltage_v[c, k]
            if v != v:
                missing -= 1
                sorted_cells[missing] = c
                continue
            at = count
            while at > 0 and held[at - 1] > v:
                held[at] = held[at - 1]
                sorted_cells[at] = sorted_cells[at - 1]
                at -= 1
            held[at] = v
            sorted_cells[at] = c
            count += 1
        for position in range(cells):
            order[position] = sorted_cells[position]
        if count == 0 or 2 * count < cells:
            continue
        half = count // 2
        if count % 2 == 1:
            result[k] = held[half]
        else:
            result[k] = 0.5 * (held[half - 1] + held[half])
    return result


@part_of_kernel
def _dot(column: Floats, begin: int, away: Floats, size: int) -> float:
    """Return the sum of products of column[begin:begin + size] and away[:size].

    Four running sums let the processor add side by side in a fixed order.
    """
    a = b = c = d = 0.0
    whole = 4 * (size // 4)
    for k in range(0, whole, 4):
        a += column[begin + k] * away[k]
        b += column[begin + k + 1] * away[k + 1]
        c += column[begin + k + 2] * away[k + 2]
        d += column[begin + k + 3] * away[k + 3]
    for k in range(whole, size):
        a += column[begin + k] * away[k]
    return (a + b) + (c + d)


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
    # Products of columns do not depend on the cell: made once per sample, and summed
    # once per chunk for all cells that miss nothing in it.
    product = np.empty((pairs, _CHUNK))
    away = np.empty(_CHUNK)
    shared = np.empty(pairs)
    for block in range(blocks):
        first = (block * n + blocks - 1) // blocks
        last = ((block + 1) * n + blocks - 1) // blocks
        for begin in range(first, last, _CHUNK):
            size = min(_CHUNK, last - begin)
            q = 0
            whole = 0.0
            for i in range(p):
                for j in range(i, p):
                    total = 0.0
                    for k in range(size):
                        product[q, k] = columns[i, begin + k] * columns[j, begin + k]
                        total += product[q, k]
                    shared[q] = total
                    whole += total
                    q += 1
            for c in range(cells):
                row = c * blocks + block
                square = 0.0
                for k in range(size):
                    away[k] = cell_voltage_v[c, begin + k] - median_v[begin + k]
                    square += away[k] * away[k]
                if square == square and whole == whole:
                    for q in range(pairs):
                        result[row, q] += shared[q]
                    for q in range(p):
                        result[row, pairs + q] += _dot(columns[q], begin, away, size)
                    result[row, pairs + p] += square
                    result[row, pairs + p + 1] += size
                    continue
                for k in range(size):
                    y = away[k]
                    known = y
                    for q in range(p):
                        known += columns[q, begin + k]
                    if known != known:
                        continue
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
