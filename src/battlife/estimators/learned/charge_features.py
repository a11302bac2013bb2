"""The charge that a window of voltage takes, and the relaxation after a charge.

The charge passed up to each of many voltages is a smooth curve; its coefficients in
Legendre polynomials keep the shape and average the noise of single samples. A cell
relaxes over decades of time, so a relaxation is one over the logarithm of time. Whether
a row is like the lot is judged by the first coefficients, and by logarithms of the drop
at few times: they say how far and how fast, and a broken relaxation stands out. A curve
need not be charge against voltage to be recognised as such: it begins at nothing and
never falls.

References
----------
Weng et al., J. Power Sources 235 (2013) 36 (capacity from part of a charge curve).
Zhu et al., Nat. Commun. 13 (2022) 2261 (capacity from the relaxation after a charge).
Abramowitz, Stegun, Handbook of Mathematical Functions (1964), ch. 22 (Legendre).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.estimators.learned.column_groups import column_groups, others
from battlife.estimators.learned.curve_blocks import (
    CHARGE_BLOCK,
    RELAXATION_BLOCK,
    coefficients,
)
from battlife.estimators.learned.design import Design
from battlife.estimators.learned.featurisers import Featuriser
from battlife.model._arrays import Column

FEWEST: Final = 8
"""Values that make a curve."""
DOMAIN: Final = 10
"""Coefficients of the charge that tell a lot from other cells; finer ones are noise of
the tester as much as of the cell."""
AT_NOTHING: Final = 0.02
"""Share of its last value that a curve begins with at most."""
RISING: Final = 0.98
"""Share of rows of a lot that must have the shape."""
RELAXED: Final = ((0.05, 0.08), (0.18, 0.25), (0.92, 1.0))
"""Parts of the relaxation, as shares of its length, whose mean drop is taken: about
equal steps of the logarithm of time."""
SPIKE_WINDOW: Final = 5
SPIKE_V: Final = 1e-3
"""A sample this far from the running median is none of the cell: ten steps of a 0.1 mV
cycler, and a hundred times its noise after the first seconds."""
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


def _charge(curve: Column) -> Column:
    """Return coefficients of (n, m) charges at m equally spaced voltages."""
    at = np.linspace(-1.0, 1.0, curve.shape[1])
    return coefficients(curve, at, CHARGE_BLOCK.width)


def without_spikes(curve: Column) -> Column:
    """Return (n, m) voltages with single samples that stick out put back in line.

    A relaxation falls without end, so that it is its own running median; one or two
    samples beside it are of the tester. Longer faults stay, and the first sample, from
    which it falls steeply: they are for the domain to refuse.
    """
    half = SPIKE_WINDOW // 2
    first = np.repeat(curve[:, :1], half, axis=1)
    last = curve[:, -2 : -2 - half : -1]
    padded = np.concatenate([first, curve, last], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, SPIKE_WINDOW, axis=1)
    middle: Column = np.median(windows, axis=2)
    return np.where(np.abs(curve - middle) > SPIKE_V, middle, curve)


def _relaxation(curve: Column) -> Column:
    """Return coefficients of (n, m) voltages at m equally spaced times."""
    curve = without_spikes(curve)
    at = np.log1p(np.arange(curve.shape[1]))
    return coefficients(curve, 2.0 * at / at[-1] - 1.0, RELAXATION_BLOCK.width)


def _charge_domain(curve: Column) -> Column:
    """Return the coefficients that a charge is recognised by; zero ones left out."""
    return _charge(curve)[:, : min(DOMAIN, (curve.shape[1] + 1) // 2)]


def relaxation_drops(curve: Column) -> Column:
    """Return (n, 4): first voltage in V, and logarithms of the drops in V."""
    curve = without_spikes(curve)
    m = curve.shape[1]
    drops = []
    for begin, end in RELAXED:
        first = int(begin * m)
        part = curve[:, first : max(first + 1, round(end * m))]
        drops.append(np.log(np.maximum(curve[:, 0] - part.mean(axis=1), LEAST_DROP)))
    return np.column_stack([curve[:, 0], *drops])


LEARNERS: Final = ("leading2", "curve_network", "curve_gp")


@dataclass(frozen=True)
class _Kind:
    """One kind of curve: its shape, what is learned from it, what it is told by."""

    recognises: Callable[[Column], bool]
    features: Callable[[Column], Column]
    signature: Callable[[Column], Column]


_CHARGE: Final = _Kind(_is_charge, _charge, _charge_domain)
_RELAXATION: Final = _Kind(_is_relaxation, _relaxation, relaxation_drops)
_WIDTHS: Final = (
    (_CHARGE, CHARGE_BLOCK.width),
    (_RELAXATION, RELAXATION_BLOCK.width),
)


def _curves(*kinds: _Kind) -> Featuriser:
    """Return what sees a table whose groups of columns are of these kinds, in order."""

    def recognises(design: Design, raw: Column) -> bool:
        groups = list(column_groups(design, FEWEST).values())
        return (
            bool(len(raw))
            and len(groups) == len(kinds)
            and all(
                kind.recognises(raw[:, columns])
                for kind, columns in zip(kinds, groups, strict=True)
            )
        )

    def features(design: Design, raw: Column) -> Column:
        groups = list(column_groups(design, FEWEST).values())
        seen = [np.zeros((len(raw), width)) for _, width in _WIDTHS]
        # In the order that learners know, whatever the order of the table.
        for place, (known, _) in enumerate(_WIDTHS):
            if known in kinds:
                seen[place] = known.features(raw[:, groups[kinds.index(known)]])
        return np.column_stack([*seen, raw[:, others(raw.shape[1], *groups)]])

    def signature(design: Design, raw: Column) -> Column:
        groups = list(column_groups(design, FEWEST).values())
        seen = [
            kind.signature(raw[:, columns])
            for kind, columns in zip(kinds, groups, strict=True)
        ]
        return np.column_stack([*seen, raw[:, others(raw.shape[1], *groups)]])

    return Featuriser(recognises, features, signature, LEARNERS)


CHARGE: Final = _curves(_CHARGE)
RELAXATION: Final = _curves(_RELAXATION)
CHARGE_RELAXATION: Final = _curves(_CHARGE, _RELAXATION)
RELAXATION_CHARGE: Final = _curves(_RELAXATION, _CHARGE)
