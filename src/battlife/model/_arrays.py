"""Array types of the data model and the one function that makes them read-only."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Column: TypeAlias = npt.NDArray[np.float64]
"""Read-only, C-contiguous float64."""

IndexColumn: TypeAlias = npt.NDArray[np.int64]
"""Read-only, C-contiguous int64."""


def frozen_floats(values: npt.ArrayLike) -> Column:
    """Return `values` as read-only C-contiguous float64; copies if writable."""
    array = np.asarray(values, dtype=np.float64)
    if array.flags.writeable or not array.flags.c_contiguous:
        array = np.array(array, dtype=np.float64, order="C", copy=True)
        array.flags.writeable = False
    return array


def frozen_indices(values: npt.ArrayLike) -> IndexColumn:
    """Return `values` as read-only C-contiguous int64; copies if writable."""
    array = np.asarray(values, dtype=np.int64)
    if array.flags.writeable or not array.flags.c_contiguous:
        array = np.array(array, dtype=np.int64, order="C", copy=True)
        array.flags.writeable = False
    return array
