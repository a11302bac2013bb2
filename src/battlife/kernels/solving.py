"""Least squares for small matrices in loops: no BLAS, the same bits everywhere.

A matrix is held by its columns: row j of ``columns`` is column j, contiguous.
"""

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, F8_2D, float64, int64, kernel

Floats = npt.NDArray[np.float64]

_DEPENDENT = 1e-12
"""A column whose part independent of the others is below this share of its length
adds nothing but rounding."""


@kernel(float64(F8, F8, int64, int64))
def inner_product(a: Floats, b: Floats, start: int, stop: int) -> float:
    """Return the sum of a times b over start..stop-1.

    Four partial sums in a fixed order: as exact as one, and the processor adds them
    side by side.
    """
    first = 0.0
    second = 0.0
    third = 0.0
    fourth = 0.0
    i = start
    while i + 4 <= stop:
        first += a[i] * b[i]
        second += a[i + 1] * b[i + 1]
        third += a[i + 2] * b[i + 2]
        fourth += a[i + 3] * b[i + 3]
        i += 4
    while i < stop:
        first += a[i] * b[i]
        i += 1
    return (first + second) + (third + fourth)


@kernel(float64[::1](float64[:, ::1], float64[::1]))
def least_squares(columns: Floats, target: Floats) -> Floats:
    """Return x that minimises the length of A x - b, by Householder reflections.

    Both arguments are overwritten. A column that depends on those before it gets 0.

    Parameters
    ----------
    columns : (p, m) the p columns of A, p <= m
    target : (m,) b

    Returns
    -------
    (p,) x

    References
    ----------
    Golub, Van Loan, Matrix Computations, 4th ed., algorithm 5.2.1.
    """
    p, m = columns.shape
    diagonal = np.zeros(p)
    lengths = np.zeros(p)
    for j in range(p):
        lengths[j] = np.sqrt(inner_product(columns[j], columns[j], 0, m))
    for j in range(p):
        total = inner_product(columns[j], columns[j], j, m)
        length = np.sqrt(total)
        if not length > _DEPENDENT * lengths[j]:
            diagonal[j] = 0.0
            continue
        alpha = -length if columns[j, j] >= 0.0 else length
        diagonal[j] = alpha
        columns[j, j] -= alpha
        scale = 1.0 / (total - alpha * (columns[j, j] + alpha))
        for k in range(j + 1, p):
            inner = scale * inner_product(columns[j], columns[k], j, m)
            for i in range(j, m):
                columns[k, i] -= inner * columns[j, i]
        inner = scale * inner_product(columns[j], target, j, m)
        for i in range(j, m):
            target[i] -= inner * columns[j, i]
    solution = np.zeros(p)
    for j in range(p - 1, -1, -1):
        if diagonal[j] == 0.0:
            continue
        value = target[j]
        for k in range(j + 1, p):
            value -= columns[k, j] * solution[k]
        solution[j] = value / diagonal[j]
    return solution


@kernel(int64(float64[:, ::1], int64))
def factorise(matrix: Floats, size: int) -> int:
    """Overwrite the lower triangle of a symmetric matrix with its Cholesky factor.

    Parameters
    ----------
    matrix : at least (size, size), its lower triangle is read
    size : rows that count

    Returns
    -------
    1; 0 where the matrix is not positive definite.

    References
    ----------
    Golub, Van Loan, Matrix Computations, 4th ed., algorithm 4.2.1.
    """
    for j in range(size):
        total = matrix[j, j]
        for k in range(j):
            total -= matrix[j, k] * matrix[j, k]
        if not total > 0.0:
            return 0
        pivot = np.sqrt(total)
        matrix[j, j] = pivot
        for i in range(j + 1, size):
            value = matrix[i, j]
            for k in range(j):
                value -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = value / pivot
    return 1


@kernel(int64(F8_2D, int64, float64[::1]))
def substitute(factor: Floats, size: int, vector: Floats) -> int:
    """Overwrite `vector` with the solution of L L' x = vector; returns `size`.

    Parameters
    ----------
    factor : at least (size, size), lower triangle from :func:`factorise`
    size : rows that count
    vector : at least (size,)
    """
    for i in range(size):
        value = vector[i]
        for k in range(i):
            value -= factor[i, k] * vector[k]
        vector[i] = value / factor[i, i]
    for i in range(size - 1, -1, -1):
        value = vector[i]
        for k in range(i + 1, size):
            value -= factor[k, i] * vector[k]
        vector[i] = value / factor[i, i]
    return size


@kernel(int64(F8_2D, int64, float64[:, ::1]))
def invert(factor: Floats, size: int, result: Floats) -> int:
    """Write the inverse of L L' into `result`; returns `size`.

    Parameters
    ----------
    factor : at least (size, size), lower triangle from :func:`factorise`
    size : rows that count
    result : at least (size, size)
    """
    column = np.empty(size)
    for j in range(size):
        for i in range(size):
            column[i] = 1.0 if i == j else 0.0
        substitute(factor, size, column)
        for i in range(size):
            result[i, j] = column[i]
    return size
