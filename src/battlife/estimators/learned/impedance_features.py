"""Impedance spectra of one grid of frequencies: sizes of -Z'' over frequency.

What the series resistance and the contacts add to Z' is no feature: on a retired cell
they say how it was clamped. -Z'' has none of them. Its logarithms are given from where
the inductance of the leads has ended; learners may take differences of them, which have
not even the size of the electrodes.

References
----------
Zhang et al., Nat. Commun. 11 (2020) 1706 (capacity from a spectrum).
Orazem, Tribollet, Electrochemical Impedance Spectroscopy (2nd ed., Wiley, 2017), §18.2
(logarithms of the imaginary part).
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from battlife.estimators.learned.column_groups import column_groups
from battlife.estimators.learned.design import Design
from battlife.estimators.learned.featurisers import Featuriser
from battlife.estimators.learned.impedance_traces import NEGATIVE_IMAGINARY, REAL
from battlife.model._arrays import Column

FEWEST: Final = 20
"""Frequencies that make a spectrum."""
INDUCTIVE: Final = 0.13
"""Share of a sweep of unknown frequencies at its fast end that is left out: of six
decades from 20 kHz, what lies above 3 kHz, where leads and windings show."""
LEAST: Final = 1e-3
"""Of its median, -Z'' counts as at least this share: its logarithm must exist."""
RISING: Final = 0.9
"""Share of the steps of Z' that go up on the way from fast to slow."""
CAPACITIVE: Final = 0.8
"""Share of the sweep at which -Z'' is above zero."""
DOMAIN: Final = 9
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


def _seen(
    which: int, inductive: float, knows: Callable[[Design, Column, Column], bool]
) -> Featuriser:
    """Return what sees a table whose -Z'' is the group of this number.

    Parameters
    ----------
    which : 0 or 1
    inductive : share of the sweep left out at its fast end
    knows : (design, (n, m) Z', (n, m) -Z'') to whether these are its columns
    """

    def recognises(design: Design, raw: Column) -> bool:
        groups = _spectrum(design)
        if groups is None or not len(raw):
            return False
        return knows(design, raw[:, groups[1 - which]], raw[:, groups[which]])

    def features(design: Design, raw: Column) -> Column:
        groups = _spectrum(design)
        assert groups is not None  # recognised when the model was made
        logs = _logs(raw[:, groups[which]])
        return logs[:, round(inductive * logs.shape[1]) :]

    def signature(design: Design, raw: Column) -> Column:
        logs = features(design, raw)
        points = np.linspace(0, logs.shape[1] - 1, DOMAIN).round().astype(int)
        return logs[:, points]

    return Featuriser(recognises, features, signature, ("spectrum",))


def _by_values(design: Design, real: Column, imaginary: Column) -> bool:
    del design
    return _is_spectrum(real, imaginary)


def _by_name(design: Design, real: Column, imaginary: Column) -> bool:
    del real, imaginary
    return design.names == (REAL, NEGATIVE_IMAGINARY)


REAL_FIRST: Final = _seen(1, INDUCTIVE, _by_values)
IMAGINARY_FIRST: Final = _seen(0, INDUCTIVE, _by_values)
OF_RECORDING: Final = _seen(1, 0.0, _by_name)
