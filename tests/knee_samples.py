"""A cell that loses capacity, for the tests of the method `knee`."""

import numpy as np

from battlife.model import Provenance, Trace

LOAD_A = 2.0
HALF = 200
"""Samples of a charge or a discharge, whatever its length: each ends at the same place
of its curve, so that capacities are in proportion."""


def fading(
    capacities: np.ndarray,
    provenance: Provenance = Provenance(),  # noqa: B008 (frozen)
) -> Trace:
    """Return a full charge and discharge at 1C for each capacity in Ah."""
    rest = np.zeros(4)
    rise = np.arange(1, HALF + 1) / HALF
    load = np.full(HALF, LOAD_A)
    current, soc, steps = [rest], [rest], [rest + 10.0]
    for capacity in capacities:
        step = np.full(HALF, capacity / LOAD_A * 3600 / HALF)
        current += [load, rest, -load, rest]
        soc += [rise, rest + 1.0, 1.0 - rise, rest]
        steps += [step, rest + 10.0, step, rest + 10.0]
    amps, charge = np.concatenate(current), np.concatenate(soc)
    columns = {
        "current_a": amps,
        "voltage_v": 3.0 + 1.2 * charge - 0.8 * np.exp(-20 * charge) + 0.05 * amps,
        "temperature_degc": np.full(amps.size, 25.0),
    }
    time = np.cumsum(np.concatenate(steps))
    return Trace("cell", None, time, [0], columns, provenance=provenance)


def ageing(provenance: Provenance = Provenance()) -> Trace:  # noqa: B008 (frozen)
    """Return 26 cycles that lose 0.4 % each."""
    return fading(2.0 - 0.008 * np.arange(26), provenance)
