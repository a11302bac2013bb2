"""Impedance spectra of a recording on one grid of frequencies, sound ones alone.

References
----------
Schönleber et al., Electrochim. Acta 131 (2014) 20 (linear Kramers-Kronig test).
"""

from typing import Final

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators._spectra import KK_LIMIT, Sweep, consistency
from battlife.estimators._temperature import spectrum_temperature
from battlife.estimators.learned.conditions import REFUSED, TEMPERATURE
from battlife.model import Spectrum
from battlife.model._arrays import Column
from battlife.model.pack import Pack
from battlife.model.table import FeatureTable
from battlife.model.trace import Trace

REAL: Final = "z_re_ohm"
NEGATIVE_IMAGINARY: Final = "z_negative_im_ohm"
FASTEST_HZ: Final = 1000.0
"""Where the grid begins; faster, the inductance of leads and windings shows."""
PER_DECADE: Final = 10
"""Points of the grid: as dense as sweeps are measured."""
DECADES: Final = 6
"""That the grid may reach down; a sweep gives what it has, slow points being last."""
SPARSEST: Final = 4.0
"""Points per decade of a sweep at least: between fewer, an arc is cut short."""
EDGE: Final = 1e-3
"""Share by which a sweep may miss a frequency of the grid at its ends."""


def rows(trace: Trace, pack: Pack) -> FeatureTable:
    """Return one row for every impedance spectrum of a recording.

    Columns: `z_re_ohm` and `z_negative_im_ohm` (vectors on the grid from FASTEST_HZ
    down, empty where a spectrum cannot be used, for the reason under `refused`),
    `temperature_degc`, and `start_sample`, `stop_sample`, `cycle`: where it was found.

    Raises
    ------
    EstimateError
        There is no spectrum with a usable point.
    """
    del pack
    if not any(Sweep.of(s).frequency_hz.size for s in trace.spectra):
        raise EstimateError(
            f"{trace.unit_id}: no impedance spectrum",
            "a spectrum needs frequency, real and imaginary part",
            ("no_spectrum",),
        )
    n = len(trace.spectra)
    found = [_seen(spectrum) for spectrum in trace.spectra]
    return FeatureTable(
        {
            TEMPERATURE: np.array(
                [spectrum_temperature(trace, s) for s in trace.spectra]
            ),
            "start_sample": np.zeros(n),
            "stop_sample": np.full(n, float(trace.n_samples)),
            "cycle": np.arange(float(n)),
        },
        {
            REAL: tuple(re for re, _, _ in found),
            NEGATIVE_IMAGINARY: tuple(im for _, im, _ in found),
        },
        {REFUSED: tuple(reason for _, _, reason in found)},
    )


def seen_spectrum(spectrum: Spectrum) -> tuple[Column, Column, Column]:
    """Return frequencies in Hz, Z' and -Z'' in ohm as a model sees them, or nothing."""
    re, negative_im, _ = _seen(spectrum)
    return grid()[: re.size], re, negative_im


def grid() -> Column:
    """Return the frequencies of the grid in Hz, from fast to slow."""
    steps = np.arange(DECADES * PER_DECADE + 1)
    frequency: Column = FASTEST_HZ * 10.0 ** (-steps / PER_DECADE)
    return frequency


def _seen(spectrum: Spectrum) -> tuple[Column, Column, str]:
    """Return Z', -Z'' on the grid, and why they are empty if they are."""
    sweep, nothing = Sweep.of(spectrum), np.empty(0)
    reasons = sweep.impossible()
    if reasons:
        return nothing, nothing, reasons[0]
    fastest, slowest = float(sweep.frequency_hz[0]), float(sweep.frequency_hz[-1])
    wanted = grid()
    wanted = wanted[wanted >= slowest * (1 - EDGE)]
    if fastest < FASTEST_HZ * (1 - EDGE) or not wanted.size:
        return nothing, nothing, "sweep_begins_late"
    steps = -np.diff(np.log10(sweep.frequency_hz[sweep.frequency_hz <= 2 * FASTEST_HZ]))
    if not steps.size or steps.max() > 1 / SPARSEST:
        return nothing, nothing, "too_few_points"
    if not consistency(sweep).rms <= KK_LIMIT:
        return nothing, nothing, "kk_failed"
    x, at = np.log(sweep.frequency_hz[::-1]), np.log(wanted)
    re, im = (np.interp(at, x, part[::-1]) for part in (sweep.re, sweep.im))
    return re, -im, ""
