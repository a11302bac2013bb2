"""A lot of simulated cells with impedance spectra, for the tests of screening."""

from functools import cache

import numpy as np

from battlife.estimators.learned.estimating import described
from battlife.estimators.learned.tracing import features_of
from battlife.estimators.learned.training import Labels, train
from battlife.model import Pack, Provenance, Trace
from battlife.model.learned import Model
from battlife.model.table import FeatureTable
from battlife.pipeline.screening import joined
from eis_samples import spectrum_trace

FREQUENCY_HZ = np.logspace(4, -1, 51)
PACK = Pack(
    "cell",
    nominal_ah=2.0,
    chemistry="LCO",
    sensor={"current_a": 0.004, "voltage_v": 0.002},
    calibration="rig 1",
)
NOWHERE = Provenance()


def swept(soh=0.85, seed=0, contact_ohm=0.02, provenance=NOWHERE, hz=FREQUENCY_HZ):
    """Return a spectrum whose arc grows and slows as the cell ages."""
    w = 2 * np.pi * hz
    arc = 0.03 / soh**3 / (1 + (1j * w * 0.01 / soh**2) ** 0.85)
    z = contact_ohm + 1j * w * 2e-8 + arc + 0.004 / soh * (1 - 1j) / np.sqrt(w)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(z.size) + 1j * rng.standard_normal(z.size)
    return spectrum_trace(z + 3e-4 * np.abs(z) * noise, hz, provenance)


def sample(provenance: Provenance = NOWHERE) -> Trace:
    """Return a spectrum of a cell like those of the lot."""
    return swept(seed=999, provenance=provenance)


@cache
def lot(seed: int = 0, units: int = 14) -> FeatureTable:
    """Return the rows of units of many ages, each measured three times."""
    rng = np.random.default_rng(seed)
    tables = []
    for unit in range(units):
        soh, contact = rng.uniform(0.6, 1.0), rng.uniform(0.01, 0.03)
        for k in range(3):
            trace = swept(soh, 3 * unit + k, contact)
            table = described(features_of("impedance_soh", trace, PACK), trace, PACK)
            numbers = {**table.numbers, "soh": np.array([soh])}
            texts = {**table.texts, "group": (f"cell {unit}",)}
            tables.append(FeatureTable(numbers, table.vectors, texts))
    return joined(tables)


@cache
def model() -> Model:
    """Return the model of the lot."""
    return train(lot(), Labels("soh", "group"), "impedance_soh", "test")[0]
