"""Rests with a known leak, for the tests of self-discharge. Made, not measured."""

from dataclasses import dataclass

import numpy as np

from battlife.model import Provenance, Trace

SLOPE_V_PER_AH = 0.4
"""Of a 2 Ah cell at mid charge: 0.8 V over its range."""


@dataclass(frozen=True)
class Resting:
    """A load, then a rest.

    Attributes
    ----------
    leak_a : A, self-discharge
    hours : of the rest
    after_a : A, the load before it
    relaxing_v : V, amplitude of the relaxation, split over three time constants
    drift_k : K, change of temperature over the rest
    """

    leak_a: float = 2e-4
    hours: float = 72.0
    after_a: float = 1.0
    relaxing_v: float = 0.02
    slowest_h: float = 3.0
    noise_v: float = 1e-4
    quantum_v: float = 1e-4
    drift_k: float = 0.0
    entropic_v_per_k: float = 2e-4
    step_s: float = 60.0
    n_cells: int = 1
    seed: int = 0


def resting(
    made: Resting,
    provenance: Provenance = Provenance(),  # noqa: B008 (frozen)
) -> Trace:
    """Return an hour of load and the rest."""
    rng = np.random.default_rng(made.seed)
    load, n = round(3600 / made.step_s), round(made.hours * 3600 / made.step_s) + 1
    since = np.arange(1, n + 1) * made.step_s
    slow = made.slowest_h * 3600.0
    shape = sum(np.exp(-since / tau) for tau in (60.0, slow / 6.0, slow)) / 3.0
    degc = 25.0 + made.drift_k * np.concatenate([np.zeros(load), since / since[-1]])
    rest = np.sign(made.after_a) * made.relaxing_v * shape
    rest = rest - made.leak_a * SLOPE_V_PER_AH * since / 3600.0
    loaded = np.sign(made.after_a) * (0.1 + made.relaxing_v)
    loaded = loaded + SLOPE_V_PER_AH * made.after_a * np.arange(-load, 0) * (
        made.step_s / 3600.0
    )
    volt = 3.7 + np.concatenate([loaded, rest])
    volt = volt + made.entropic_v_per_k * (degc - 25.0)
    time = np.arange(load + n) * made.step_s
    current = np.concatenate([np.full(load, made.after_a), np.zeros(n)])
    cells = volt[None, :] + 0.003 * rng.standard_normal((made.n_cells, 1))
    if made.n_cells > 1:
        cells[1, load:] -= made.leak_a * SLOPE_V_PER_AH * since / 3600.0
    cells = cells + made.noise_v * rng.standard_normal(cells.shape)
    cells = np.round(cells / made.quantum_v) * made.quantum_v
    columns = {"current_a": current, "temperature_degc": degc}
    if made.n_cells > 1:
        columns |= {"cell_voltage_v": cells}
    else:
        columns |= {"voltage_v": cells[0]}
    return Trace("cell", None, time, [0], columns, provenance=provenance)


def charged(provenance: Provenance = Provenance()) -> Trace:  # noqa: B008 (frozen)
    """Return three days of rest after a charge."""
    return resting(Resting(), provenance)
