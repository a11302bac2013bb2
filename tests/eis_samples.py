"""A spectrum whose circuit is known, for the tests of impedance."""

import numpy as np

from battlife.model import Provenance, Spectrum, Trace

OHM, ARC_OHM, TAU_S, ALPHA, SIGMA, HENRY = 0.02, 0.015, 0.01, 0.85, 0.002, 2e-8
FREQUENCY_HZ = np.logspace(4, -2, 61)


def impedance(frequency_hz=FREQUENCY_HZ):
    """Return (m,) ohm of L-R-ZARC-W."""
    w = 2 * np.pi * frequency_hz
    arc = ARC_OHM / (1 + (1j * w * TAU_S) ** ALPHA)
    return OHM + 1j * w * HENRY + arc + SIGMA * (1 - 1j) / np.sqrt(w)


def noisy(seed=0, share=5e-4):
    """Return the impedance with noise of a share of its magnitude."""
    rng = np.random.default_rng(seed)
    z = impedance()
    return z + share * np.abs(z) * (
        rng.standard_normal(z.size) + 1j * rng.standard_normal(z.size)
    )


NOWHERE = Provenance()


def spectrum_trace(z=None, frequency_hz=FREQUENCY_HZ, provenance=NOWHERE):
    """Return the trace of one spectrum, with the time each point took."""
    z = noisy() if z is None else z
    time = np.cumsum(3.0 / frequency_hz)
    spectrum = Spectrum(frequency_hz, z.real, z.imag, 0.0, 3.7, 25.0)
    columns = {
        "current_a": np.zeros(time.size),
        "voltage_v": np.full(time.size, 3.7),
        "temperature_degc": np.full(time.size, 25.0),
    }
    return Trace(
        "cell", None, time, [0], columns, spectra=(spectrum,), provenance=provenance
    )


def sample(provenance: Provenance = NOWHERE) -> Trace:
    """Return the trace for the shared estimator tests."""
    return spectrum_trace(provenance=provenance)
