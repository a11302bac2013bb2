"""Propagated uncertainty against Monte Carlo, seeded."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_cells import PACK, cycle, trace_of

from battlife.estimators.capacity import DischargeCapacity
from battlife.estimators.dcir import PulseResistance

TRIALS = 400
"""Relative scatter of a standard deviation from 400 trials: 1 / sqrt(800) = 3.5 %."""
SENSOR = {
    "current_a": 0.01,
    "current_relative": 0.004,
    "voltage_v": 0.005,
    "voltage_relative": 0.002,
}


def disturbed(trace, rng):
    """Return the trace as a rig with one drawn offset and gain would record it."""
    errors = {name: rng.normal(0, u) for name, u in SENSOR.items()}
    columns = dict(trace.columns)
    # The offset shows while loaded: at rest a tester's ammeter is disconnected.
    current = trace.column("current_a")
    offset = np.where(current != 0, errors["current_a"], 0.0)
    columns["current_a"] = current * (1 + errors["current_relative"]) + offset
    gain = 1 + errors["voltage_relative"]
    columns["voltage_v"] = trace.column("voltage_v") * gain + errors["voltage_v"]
    return replace(trace, columns=columns)


@pytest.mark.parametrize(
    "name",
    [
        "discharge_capacity_ah",
        "discharge_energy_wh",
        "charge_capacity_ah",
        "charge_energy_wh",
        "coulombic_efficiency",
    ],
)
def test_capacity(name):
    rng = np.random.default_rng(20260101)
    # 2 s sampling, so that stopping at a sample adds nothing that matters.
    trace = trace_of(np.concatenate([cycle(dt_s=2.0), cycle(dt_s=2.0)]), dt_s=2.0)
    pack = replace(PACK, sensor=SENSOR)
    method = DischargeCapacity(cutoff_v=2.6)
    propagated = method.estimate(trace, pack)[1].measurements[name].uncertainty
    drawn = [
        method.estimate(disturbed(trace, rng), pack)[1].measurements[name].value
        for _ in range(TRIALS)
    ]
    assert np.std(drawn) == pytest.approx(propagated, rel=0.12)


def test_resistance():
    rng = np.random.default_rng(7)
    time = np.arange(0, 60, 0.05)
    current = np.where(time > 20, -2.0, 0.0)
    trace = trace_of(current, dt_s=0.05, soc=0.5)
    pack = replace(PACK, sensor=SENSOR)
    method = PulseResistance((10.0,))
    propagated = method.estimate(trace, pack)[0].measurements["dcir_10s_ohm"]
    drawn = []
    for _ in range(TRIALS):
        found = method.estimate(disturbed(trace, rng), pack)[0]
        drawn.append(found.measurements["dcir_10s_ohm"].value)
    assert np.std(drawn) == pytest.approx(propagated.uncertainty, rel=0.15)
