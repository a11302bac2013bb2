"""Twenty-one voltages of a pulse test as resistances, their ratios and rest drifts.

The test: rest, then charge and discharge pulses at two rates and a charge pulse at a
third, each followed by a rest; the voltage is read at both ends of all. A jump of the
voltage at a change of current is mostly ohmic, what follows under load or at rest is
polarisation. Logarithms of the jumps turn ratios into differences: the ratio of two
polarisations does not depend on the contact resistance of the fixture, nor on the size
of the cell. How far the voltage of the rests moves away from the first one says how
steep the open-circuit voltage is there and how slowly the cell relaxes.

References
----------
Tao et al., Nat. Commun. 15 (2024), doi:10.1038/s41467-024-54454-0 (the test).
Barai et al., Prog. Energy Combust. Sci. 72 (2019) 1 (what a pulse contains).
"""

from typing import Final

import numpy as np

from battlife.estimators.learned.design import Design
from battlife.estimators.learned.featurisers import Featuriser
from battlife.model._arrays import Column

READINGS: Final = 21
SIGNS: Final = np.array([1, 1, -1, -1, -1, -1, 1, 1] * 2 + [1, 1, -1, -1])
"""Of the change to the next reading: pulse on, during, off, rest; twice for charge and
discharge, then once for charge."""
RESTS: Final = (4, 8, 12, 16, 20)
"""Readings at the end of a rest."""
LEAST_V: Final = 2e-4
"""A smaller or reversed jump counts as this: two steps of a 0.1 mV cycler."""
VOLTAGE: Final = (0.5, 6.0)
"""Of a cell, V: the medians of all readings of a lot lie within."""


def _columns(design: Design) -> tuple[int, ...] | None:
    """Return where in the matrix the 21 readings stand, in their order."""
    at = np.concatenate([[0], np.cumsum([n or 1 for n in design.lengths])])
    for k, length in enumerate(design.lengths):
        if length == READINGS:
            return tuple(range(int(at[k]), int(at[k]) + READINGS))
    stems: dict[str, dict[int, int]] = {}
    for k, (name, length) in enumerate(zip(design.names, design.lengths, strict=True)):
        stem = name.rstrip("0123456789")
        number = name[len(stem) :]
        if not length and number:
            stems.setdefault(stem, {})[int(number)] = int(at[k])
    for found in stems.values():
        for first in (1, 0):
            wanted = range(first, first + READINGS)
            if len(found) == READINGS and all(n in found for n in wanted):
                return tuple(found[n] for n in wanted)
    return None


def _recognises(design: Design, raw: Column) -> bool:
    columns = _columns(design)
    if columns is None or not len(raw):
        return False
    middle = np.median(raw[:, columns], axis=0)
    if not ((middle > VOLTAGE[0]) & (middle < VOLTAGE[1])).all():
        return False
    jumps = np.median(np.diff(raw[:, columns], axis=1), axis=0) * SIGNS
    return bool((jumps > 0).all())


def _parts(design: Design, raw: Column) -> tuple[Column, Column, Column, Column]:
    """Return first reading, rest drifts, logarithms of jumps, and other columns."""
    columns = _columns(design)
    assert columns is not None  # recognised when the model was made
    others = [k for k in range(raw.shape[1]) if k not in columns]
    u = raw[:, columns]
    drifts = u[:, RESTS] - u[:, :1]
    logs = np.log(np.maximum(np.diff(u, axis=1) * SIGNS, LEAST_V))
    return u[:, :1], drifts, logs, raw[:, others]


def _features(design: Design, raw: Column) -> Column:
    first, drifts, log, others = _parts(design, raw)
    ohmic, polar = log[:, ::2], log[:, 1::2]
    size = ohmic.mean(axis=1, keepdims=True)
    # polar: charge pulse, its rest, discharge pulse, its rest; per rate.
    reference = polar[:, 4]
    ratios = [
        polar[:, 4] - size[:, 0],  # polarisation to ohmic
        polar[:, 6] - reference,  # discharge to charge
        polar[:, 0] - reference,  # low rate to middle
        polar[:, 8] - reference,  # high rate to middle
        polar[:, 2] - polar[:, 6],
        polar[:, 5] - polar[:, 4],  # rest to pulse, for each pulse
        polar[:, 7] - polar[:, 6],
        polar[:, 1] - polar[:, 0],
        polar[:, 3] - polar[:, 2],
        polar[:, 9] - polar[:, 8],
    ]
    # Ohmic jumps at the middle and high rate; at the low one resolution shows.
    shape = ohmic[:, 4:] - size
    shape = shape[:, [0, 2, 4, 1, 5]]
    return np.column_stack([first, drifts, size, *ratios, shape, others])


def _signature(design: Design, raw: Column) -> Column:
    return np.column_stack(_parts(design, raw))


LEARNERS: Final = ("gps", "stiff_network")
"""Two smooth learners of different make: their errors are partly each one's own. Ridge
beside them gained nothing on units left out."""
PULSE: Final = Featuriser(_recognises, _features, _signature, LEARNERS)
