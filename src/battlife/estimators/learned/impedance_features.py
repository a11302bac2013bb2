"""Impedance spectra of one grid of frequencies: slopes and sizes of -Z''.

What the series resistance and the contacts add to Z' is no feature: on a retired cell
they say how it was clamped. -Z'' has none of them, and a slope of its logarithm over
that of the frequency has not even the size of the electrodes: it says where the sweep
stands on the arc of the charge transfer, which grows and slows as the cell ages. The
middle of a sweep from tens of kHz to tens of mHz lies at about 20 Hz, where a ranking
of frequencies by automatic relevance, over cells at three temperatures, found most of
what a spectrum says of capacity (17.8 Hz). The first feature is the slope there; the
others are the logarithms of -Z'' from where the inductance of the leads has ended.

References
----------
Zhang et al., Nat. Commun. 11 (2020) 1706 (17.80 Hz of 20 kHz to 0.02 Hz).
Orazem, Tribollet, Electrochemical Impedance Spectroscopy (2nd ed., Wiley, 2017), §18.2
(slopes of the logarithm of the imaginary part).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from battlife.estimators.learned.column_groups import column_groups
from battlife.estimators.learned.design import Design
from battlife.estimators.learned.featurisers import Featuriser
from battlife.estimators.learned.impedance_traces import (
    NEGATIVE_IMAGINARY,
    REAL,
    grid,
)
from battlife.model._arrays import Column

Seen: TypeAlias = Callable[[Design, Column], Column]

FEWEST: Final = 20
"""Frequencies that make a spectrum."""
MIDDLE: Final = 0.5
MIDDLE_HZ: Final = 20.0
"""The same where frequencies are known."""
HALF_STEPS: Final = 2
HALF_WIDTH: Final = 0.034
"""Of the slope, as a share of the sweep: two steps of ten per decade to either side."""
INDUCTIVE: Final = 0.13
"""Share of the sweep at its fast end that is left out: below 1 kHz of six decades from
20 kHz, the inductance of leads and windings hardly shows."""
LEAST: Final = 1e-3
"""Of its median, -Z'' counts as at least this share: its logarithm must exist."""
RISING: Final = 0.9
"""Share of the steps of Z' that go up on the way from fast to slow."""
CAPACITIVE: Final = 0.8
"""Share of the sweep at which -Z'' is above zero."""
DOMAIN: Final = 8
"""Points of the sweep that tell a lot from other cells: a spectrum is smooth."""


def _spectrum(design: Design) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return the columns of the first and the second half of the spectra."""
    groups = list(column_groups(design, FEWEST).values())
    if len(groups) != 2 or len(groups[0]) != len(groups[1]):
        return None
    return groups[0], groups[1]


def _is_spectrum(real: Column, imaginary: Column) -> bool:
    """Say whether (n, m) rows are Z' and -Z'' from the fast to the slow end."""
    z, y = np.median(real, axis=0), np.median(imaginary, axis=0)
    rises = (np.diff(z) > 0).mean() >= RISING and (z > 0).all()
    capacitive = (y > 0).mean() >= CAPACITIVE and y[-1] > 0
    # Z' alone would pass as both: an arc returns towards zero before the tail.
    return bool(rises and capacitive and (np.diff(y) < 0).any())


def _logs(imaginary: Column) -> Column:
    middle = np.median(np.abs(imaginary), axis=1, keepdims=True)
    found: Column = np.log(np.maximum(imaginary, LEAST * np.maximum(middle, 1e-12)))
    return found


@dataclass(frozen=True)
class _Places:
    """Where on a sweep the features are: points from its fast end."""

    centre: int
    half: int
    first: int


def _by_share(m: int) -> _Places:
    """Return the places on a sweep whose frequencies are not known."""
    half = max(1, round(HALF_WIDTH * m))
    return _Places(int(MIDDLE * (m - 1)), half, round(INDUCTIVE * m))


def _by_frequency(m: int) -> _Places:
    """Return the places on the grid of recordings, which begins below inductance."""
    del m
    return _Places(int(np.abs(np.log(grid() / MIDDLE_HZ)).argmin()), HALF_STEPS, 0)


def _features(imaginary: Column, places: _Places) -> Column:
    logs = _logs(imaginary)
    steps = np.arange(-places.half, places.half + 1)
    around = logs[:, places.centre + steps]
    slope = around @ (steps / (steps**2).sum())
    return np.column_stack([slope, logs[:, places.first :]])


def _signature(imaginary: Column, places: _Places) -> Column:
    features = _features(imaginary, places)
    points = np.linspace(1, features.shape[1] - 1, DOMAIN).round().astype(int)
    return features[:, [0, *points.tolist()]]


def _seen(
    which: int,
    where: Callable[[int], _Places],
    knows: Callable[[Design, Column, Column], bool],
) -> Featuriser:
    """Return what sees a table whose -Z'' is the group of this number."""

    def recognises(design: Design, raw: Column) -> bool:
        groups = _spectrum(design)
        if groups is None or not len(raw):
            return False
        return knows(design, raw[:, groups[1 - which]], raw[:, groups[which]])

    def part(design: Design, raw: Column) -> Column:
        groups = _spectrum(design)
        assert groups is not None  # recognised when the model was made
        return raw[:, groups[which]]

    def see(features: Callable[[Column, _Places], Column]) -> Seen:
        def seen(design: Design, raw: Column) -> Column:
            imaginary = part(design, raw)
            return features(imaginary, where(imaginary.shape[1]))

        return seen

    return Featuriser(recognises, see(_features), see(_signature), ("spectrum",))


def _by_values(design: Design, real: Column, imaginary: Column) -> bool:
    del design
    return _is_spectrum(real, imaginary)


def _by_name(design: Design, real: Column, imaginary: Column) -> bool:
    del real
    reached = imaginary.shape[1] - 1 >= _by_frequency(0).centre + HALF_STEPS
    return design.names == (REAL, NEGATIVE_IMAGINARY) and reached


REAL_FIRST: Final = _seen(1, _by_share, _by_values)
IMAGINARY_FIRST: Final = _seen(0, _by_share, _by_values)
OF_RECORDING: Final = _seen(1, _by_frequency, _by_name)
