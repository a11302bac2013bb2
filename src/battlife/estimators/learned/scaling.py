"""Features and truth in units of the lot's own spread."""

from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from battlife.model._arrays import Column

Arrays: TypeAlias = Mapping[str, Column]
Flags: TypeAlias = npt.NDArray[np.bool_]

MARGIN: Final = 0.1
"""A feature is cut off beyond the training range by more than this share of it: there
a polynomial explodes. Whether a row lies too far out is for the domain to say."""
LEADING: Final = 3
"""Components by which rows are told apart where all would be too many."""


def scaling(features: Column, truth: Column) -> dict[str, Column]:
    """Return the scaling of (n, p) features and of the (n,) truth."""
    centre = features.mean(axis=0)
    scale = features.std(axis=0)
    # A feature that hardly varies says nothing; its rounding must not be blown up.
    scale = np.where(scale > 1e-12 * (1.0 + np.abs(centre)), scale, np.inf)
    z = (features - centre) / scale
    lowest, highest = z.min(axis=0), z.max(axis=0)
    room = MARGIN * (highest - lowest)
    spread = float(truth.std())
    return {
        "centre": centre,
        "scale": scale,
        "lowest": lowest - room,
        "highest": highest + room,
        "truth": np.array([truth.mean(), spread if spread > 0 else 1.0]),
    }


def standardised(features: Column, arrays: Arrays) -> Column:
    """Return (n, p) features in units of the lot's spread, cut off beyond its range."""
    z = (features - arrays["centre"]) / arrays["scale"]
    cut: Column = np.clip(z, arrays["lowest"], arrays["highest"])
    return cut


def fit_leading(features: Column) -> Arrays:
    """Return the scaling and the leading components of (n, p) features."""
    arrays = scaling(features, np.zeros(len(features)))
    z = standardised(features, arrays)
    _, s, vt = np.linalg.svd(z, full_matrices=False)
    width = np.maximum(s[:LEADING] / np.sqrt(len(z)), 1e-9)
    return arrays | {"axes": vt[:LEADING].T / width}


def leading(arrays: Arrays, features: Column) -> Column:
    """Return the (n, k) leading components, each of unit variance over the lot."""
    found: Column = standardised(features, arrays) @ arrays["axes"]
    return found


def below(arrays: Arrays, name: str) -> Arrays:
    """Return the arrays below NAME/ by their own names."""
    prefix = f"{name}/"
    return {
        n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)
    }
