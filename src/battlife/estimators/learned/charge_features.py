"""The charge that a window of voltage takes, and the relaxation after a charge.

The charge passed up to each of many voltages is a smooth curve; its coefficients in
Legendre polynomials keep the shape and average the noise of single samples, the first
few of them nearly all of it. A cell relaxes over decades of time, and by how much
follows the current and its resistance: logarithms of the drop at few times say how far
and how fast, whatever the size of the cell. A curve need not be charge against voltage
to be recognised as such: it begins at nothing and never falls.

References
----------
Weng et al., J. Power Sources 235 (2013) 36 (capacity from part of a charge curve).
Zhu et al., Nat. Commun. 13 (2022) 2261 (capacity from the relaxation after a charge).
Abramowitz, Stegun, Handbook of Mathematical Functions (1964), ch. 22 (Legendre).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.polynomial import legendre

from battlife.estimators.learned.column_groups import column_groups, others
from battlife.estimators.learned.design import Design
from battlife.estimators.learned.featurisers import Featuriser
from battlife.model._arrays import Column

FEWEST: Final = 8
"""Values that make a curve."""
ORDER: Final = 9
"""Highest polynomial: over 0.3 V a feature of the curve as narrow as 50 mV, the width
of a peak of the incremental capacity of a full cell, is kept."""
AT_NOTHING: Final = 0.02
"""Share of its last value that a curve begins with at most."""
RISING: Final = 0.98
"""Share of rows of a lot that must have the shape."""
RELAXED: Final = ((0.05, 0.08), (0.18, 0.25), (0.92, 1.0))
"""Parts of the relaxation, as shares of its length, whose mean drop is taken: about
equal steps of the logarithm of time."""
VOLTAGE: Final = (1.0, 5.0)
LARGEST_DROP: Final = 0.5
"""V. A larger fall is a discharge."""
LEAST_DROP: Final = 1e-5
"""V. A smaller or reversed drop counts as this: a tenth of a 0.1 mV cycler's step."""


def _is_charge(curve: Column) -> bool:
    """Say whether (n, m) rows are charges that begin at nothing and never fall."""
    rises = (np.diff(curve, axis=1) >= 0).all(axis=1) & (curve[:, -1] > 0)
    begins = np.abs(curve[:, 0]) <= AT_NOTHING * curve[:, -1]
    return bool((rises & begins).mean() >= RISING)


def _is_relaxation(curve: Column) -> bool:
    """Say whether (n, m) rows are voltages that fall after a charge."""
    middle = np.median(curve, axis=0)
    within = VOLTAGE[0] < middle[-1] < middle[0] < VOLTAGE[1]
    drop = middle[0] - middle[-1]
    falls = (np.diff(middle) <= 0.01 * drop).all()
    return bool(within and falls and drop < LARGEST_DROP)


def charge_coefficients(curve: Column) -> Column:
    """Return Legendre coefficients of (n, m) charges at m equally spaced voltages."""
    m = curve.shape[1]
    order = min(ORDER, (m - 1) // 2)
    basis = legendre.legvander(np.linspace(-1.0, 1.0, m), order)
    found: Column = curve @ np.linalg.pinv(basis).T
    return found


def relaxation_drops(curve: Column) -> Column:
    """Return (n, 4): first voltage in V, and logarithms of the drops in V."""
    m = curve.shape[1]
    drops = []
    for begin, end in RELAXED:
        first = int(begin * m)
        part = curve[:, first : max(first + 1, round(end * m))]
        drops.append(np.log(np.maximum(curve[:, 0] - part.mean(axis=1), LEAST_DROP)))
    return np.column_stack([curve[:, 0], *drops])


LEARNERS: Final = ("leading2", "network", "gp")
_Kind = tuple[Callable[[Column], bool], Callable[[Column], Column]]
_CHARGE: Final[_Kind] = (_is_charge, charge_coefficients)
_RELAXATION: Final[_Kind] = (_is_relaxation, relaxation_drops)


def _curves(*kinds: _Kind) -> Featuriser:
    """Return what sees a table whose groups of columns are of these kinds, in order."""

    def recognises(design: Design, raw: Column) -> bool:
        groups = list(column_groups(design, FEWEST).values())
        return (
            bool(len(raw))
            and len(groups) == len(kinds)
            and all(
                shape(raw[:, columns])
                for (shape, _), columns in zip(kinds, groups, strict=True)
            )
        )

    def see(design: Design, raw: Column) -> Column:
        groups = list(column_groups(design, FEWEST).values())
        seen = [
            (kind is not _CHARGE, features(raw[:, columns]))
            for kind, columns in zip(kinds, groups, strict=True)
            for features in (kind[1],)
        ]
        # The charge first, whatever the order of the table: learners look there.
        seen.sort(key=lambda s: s[0])
        rest = raw[:, others(raw.shape[1], *groups)]
        return np.column_stack([*(s[1] for s in seen), rest])

    return Featuriser(recognises, see, see, LEARNERS)


CHARGE: Final = _curves(_CHARGE)
RELAXATION: Final = _curves(_RELAXATION)
CHARGE_RELAXATION: Final = _curves(_CHARGE, _RELAXATION)
RELAXATION_CHARGE: Final = _curves(_RELAXATION, _CHARGE)
