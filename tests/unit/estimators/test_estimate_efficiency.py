"""A ratio of two charges is an efficiency only around one closed cycle."""

from dataclasses import replace

import numpy as np
import pytest

import knee_samples
from battlife.estimators.capacity import DischargeCapacity
from estimator_samples import PACK

NAME = "coulombic_efficiency"


def found(trace):
    return DischargeCapacity().estimate(trace, PACK)


def test_closed_cycles_give_an_efficiency_and_the_first_does_not():
    first, *later = found(knee_samples.fading(np.full(4, 2.0)))
    assert NAME not in first.measurements
    for estimate in later:
        assert 0.9 < estimate.measurements[NAME].value <= 1.0


def test_a_charge_that_began_elsewhere_is_none():
    trace = knee_samples.fading(np.full(3, 2.0))
    # The first discharge is broken off half way: what is charged then is half.
    halves = np.flatnonzero(trace.column("current_a") < 0)
    current = trace.column("current_a").copy()
    voltage = trace.column("voltage_v").copy()
    current[halves[100:200]] = 0.0
    voltage[halves[100:200]] = voltage[halves[100]]
    columns = {**trace.columns, "current_a": current, "voltage_v": voltage}
    broken = found(replace(trace, columns=columns))
    second = next(e for e in broken if e.status == "ok")
    assert NAME not in second.measurements
    why = second.conditions["refused_coulombic_efficiency"]
    assert why == "charge_from_other_state"


@pytest.mark.parametrize("gain", [0.9, 1.0, 1.1])
def test_the_gain_of_the_ammeter_cancels(gain):
    trace = knee_samples.fading(np.full(3, 2.0))
    columns = {**trace.columns, "current_a": gain * trace.column("current_a")}
    plain = found(trace)[1].measurements[NAME]
    scaled = found(replace(trace, columns=columns))[1].measurements[NAME]
    assert scaled.value == pytest.approx(plain.value, rel=1e-9)


def test_the_offset_is_the_uncertainty_and_adds_in_both_directions():
    sensor = {"current_a": 0.01, "current_relative": 0.01, "voltage_v": 0.001}
    trace = knee_samples.fading(np.full(3, 2.0))
    pack = replace(PACK, sensor=sensor)
    load = trace.column("current_a")
    moved = []
    for sign in (-1.0, 1.0):
        offset = np.where(load != 0.0, load + sign * 0.01, 0.0)
        columns = {**trace.columns, "current_a": offset}
        estimate = DischargeCapacity().estimate(replace(trace, columns=columns), pack)[
            1
        ]
        moved.append(estimate.measurements[NAME].value)
    stated = DischargeCapacity().estimate(trace, pack)[1].measurements[NAME].uncertainty
    assert stated >= 0.5 * abs(moved[1] - moved[0]) * 0.95
