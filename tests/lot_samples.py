"""A lot of simulated cells that were pulsed, for the tests of what learns from lots."""

from functools import cache

import numpy as np

from battlife.estimators.learned.pulse_traces import rows
from battlife.estimators.learned.training import Labels, train
from battlife.model import Pack, Provenance, Trace
from battlife.model.learned import Model
from battlife.model.table import FeatureTable

NOMINAL_AH = 10.0
SAMPLE_S = 0.5
RATES = (5.0, -5.0, 10.0, -10.0, 15.0)
PULSE_SAMPLES, REST_SAMPLES = 10, 120


def pulsed(
    soh: float = 0.8,
    soc: float = 0.3,
    contact_ohm: float = 0.002,
    provenance: Provenance = Provenance(),  # noqa: B008 (frozen)
    tau_s: float = 20.0,
) -> Trace:
    """Return one pulse test of a 10 Ah cell whose resistances grow as it ages."""
    current = [np.zeros(REST_SAMPLES)]
    for rate in RATES:
        current += [np.full(PULSE_SAMPLES, rate), np.zeros(REST_SAMPLES)]
    amps = np.concatenate(current)
    ohmic = contact_ohm + 0.004 / soh
    slow = 0.003 / soh**2 * (1.4 - soc)
    over = np.zeros(amps.size)
    keep = np.exp(-SAMPLE_S / tau_s)
    for k in range(1, amps.size):
        over[k] = keep * over[k - 1] + (1 - keep) * slow * amps[k - 1]
    charge = np.cumsum(amps) * SAMPLE_S / 3600 / NOMINAL_AH
    ocv = 3.3 + 0.6 * (soc + charge) / soh
    columns = {
        "current_a": amps,
        "voltage_v": np.round(ocv + ohmic * amps + over + 0.1 * slow * amps, 5),
        "temperature_degc": np.full(amps.size, 25.0),
    }
    time = np.arange(amps.size) * SAMPLE_S
    return Trace("cell", None, time, [0], columns, provenance=provenance)


def pulse_test(provenance: Provenance = Provenance()) -> Trace:  # noqa: B008 (frozen)
    """Return a test of a cell like those of the lot."""
    return pulsed(provenance=provenance)


def lot(seed: int = 0, units: int = 14, tau_s: float = 20.0) -> FeatureTable:
    """Return the rows of units of many ages, each at three states of charge."""
    rng = np.random.default_rng(seed)
    numbers: dict[str, list[float]] = {}
    names = []
    for unit in range(units):
        soh, contact = rng.uniform(0.6, 0.95), rng.uniform(0.001, 0.003)
        for soc in rng.uniform(0.1, 0.5, 3):
            row = rows(
                pulsed(soh, soc, contact, tau_s=tau_s), Pack("c", chemistry="NMC")
            )
            for name, column in row.numbers.items():
                numbers.setdefault(name, []).append(float(column[0]))
            numbers.setdefault("soh", []).append(soh)
            names.append(f"cell {unit}")
    columns = {name: np.array(values) for name, values in numbers.items()}
    kinds = ("NMC",) * len(names)
    return FeatureTable(columns, {}, {"group": tuple(names), "chemistry": kinds})


@cache
def model() -> Model:
    """Return the model of the lot."""
    return train(lot(), Labels("soh", "group"), "pulse", "test")[0]
