"""A lot of simulated cells that were charged, for the tests of partial charges."""

from functools import cache

import numpy as np

from battlife.estimators.learned.estimating import described
from battlife.estimators.learned.tracing import features_of
from battlife.estimators.learned.training import Labels, train
from battlife.model import Pack, Provenance, Trace
from battlife.model.learned import Model
from battlife.model.table import FeatureTable
from battlife.pipeline.screening import joined

NOMINAL_AH = 2.0
SAMPLE_S = 20.0
PACK = Pack(
    "cell",
    nominal_ah=NOMINAL_AH,
    chemistry="NMC",
    sensor={"current_a": 0.004, "voltage_v": 0.002},
    calibration="rig 1",
)
NOWHERE = Provenance()


def charged(
    soh=0.85, ohm=0.05, start=0.1, current_a=1.0, degc=25.0, provenance=NOWHERE
):
    """Return rest, a charge at constant current to 4.2 V, and rest."""
    capacity = NOMINAL_AH * soh
    n = int((1.0 - start) * capacity / current_a * 3600 / SAMPLE_S)
    filled = start + np.arange(1, n + 1) * current_a * SAMPLE_S / 3600 / capacity
    rests = np.zeros(30)
    amps = np.concatenate([rests, np.full(n, current_a), rests])
    full = np.concatenate([rests + start, filled, rests + filled[-1]])
    ocv = 3.45 + 0.7 * full + 0.05 * soh * np.sin(2 * np.pi * full)
    volts = ocv + (ohm + 0.05 / soh) * amps
    kept = (volts <= 4.2) | (amps == 0.0)
    columns = {
        "current_a": amps[kept],
        "voltage_v": np.round(volts[kept], 4),
        "temperature_degc": np.full(int(kept.sum()), degc),
    }
    time = np.arange(kept.sum()) * SAMPLE_S
    return Trace("cell", None, time, [0], columns, provenance=provenance)


def sample(provenance: Provenance = NOWHERE) -> Trace:
    """Return a charge of a cell like those of the lot."""
    return charged(provenance=provenance)


@cache
def lot(seed: int = 0, units: int = 14) -> FeatureTable:
    """Return the rows of units of many ages, each charged three times."""
    rng = np.random.default_rng(seed)
    tables = []
    for unit in range(units):
        soh, ohm = rng.uniform(0.6, 1.0), rng.uniform(0.03, 0.07)
        for start in rng.uniform(0.05, 0.2, 3):
            trace = charged(soh, ohm, start)
            table = described(features_of("partial_charge", trace, PACK), trace, PACK)
            numbers = {**table.numbers, "soh": np.array([soh])}
            texts = {**table.texts, "group": (f"cell {unit}",)}
            tables.append(FeatureTable(numbers, table.vectors, texts))
    return joined(tables)


@cache
def model() -> Model:
    """Return the model of the lot."""
    return train(lot(), Labels("soh", "group"), "partial_charge", "test")[0]
