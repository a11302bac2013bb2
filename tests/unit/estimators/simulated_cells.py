"""A simulated cell with a known answer, for the tests of estimators."""

import numpy as np

from battlife.model import Pack, Provenance, Trace

CAPACITY_AH = 2.0
OHM = 0.05


def ocv(soc):
    """Return a rising open-circuit voltage in V."""
    soc = np.clip(soc, 0, 1)
    return 3.0 + 1.2 * soc - 0.6 * np.exp(-20 * soc)


def trace_of(current, dt_s=10.0, *, soc=0.0, capacity_ah=CAPACITY_AH, degc=25.0, **kw):
    """Return the trace of an ohmic cell under `current` (n,) A, charge positive."""
    current = np.asarray(current, dtype=float)
    time = np.arange(current.size) * dt_s
    mean = np.concatenate([[0.0], (current[1:] + current[:-1]) / 2])
    charge = soc + np.cumsum(mean * dt_s) / 3600 / capacity_ah
    columns = {"current_a": current, "voltage_v": ocv(charge) + OHM * current}
    if degc is not None:
        columns["temperature_degc"] = np.full(current.size, degc)
    return Trace(
        "cell", None, time, [0], columns, provenance=kw.pop("provenance", Provenance())
    )


def cycle(load_a=2.0, hours=1.0, dt_s=10.0, rest=30):
    """Return the current of one full cycle: rest, charge, rest, discharge, rest."""
    n = round(hours * 3600 / dt_s)
    full = round(CAPACITY_AH / load_a * 3600 / dt_s)
    assert n <= full
    zero = np.zeros(rest)
    return np.concatenate(
        [zero, np.full(full, load_a), zero, np.full(n, -load_a), zero]
    )


PACK = Pack(
    "cell",
    nominal_ah=2.0,
    nominal_wh=7.4,
    nominal_source="units.toml",
    reference_degc=25.0,
    sensor={
        "current_a": 0.004,
        "voltage_v": 0.002,
        "current_relative": 0.001,
        "voltage_relative": 0.0005,
    },
    calibration="rig 1, 2026-01",
)
