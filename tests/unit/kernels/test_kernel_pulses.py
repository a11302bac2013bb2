"""Resistances of steps beside NumPy."""

import numpy as np
import pytest

from battlife.kernels.pulses import (
    FOUND,
    MISSING,
    TOO_COARSE,
    TOO_SHORT,
    WRONG_SIGN,
    pulse_resistances,
    step_resistance,
)

TIME = np.concatenate([[0.0, 10.0], 10.0 + np.cumsum(np.full(60, 0.37))])
CURRENT = np.where(TIME > 10.0, -5.0, 0.0)
VOLTAGE = 3.7 + np.where(TIME > 10.0, -0.1 - 0.002 * np.sqrt(np.abs(TIME - 10.0)), 0.0)


def step(t, voltage=VOLTAGE, on_s=10.05, u_on_s=0.0, finest=0.5):
    return step_resistance(
        TIME, CURRENT, voltage, 1, 2, TIME.size, on_s, u_on_s, t, finest
    )


@pytest.mark.parametrize("t", [1.0, 2.5, 10.0, 20.0])
def test_it_is_the_interpolated_change(t):
    outcome, ohm, step_a, slope, used = step(t)
    at = 10.05 + t
    expected = np.interp(at, TIME, VOLTAGE) - 3.7
    assert outcome == FOUND
    assert ohm == pytest.approx(expected / -5.0)
    assert step_a == -5.0
    assert TIME[used - 2] < at <= TIME[used - 1]
    assert slope == pytest.approx((VOLTAGE[used - 1] - VOLTAGE[used - 2]) / 0.37)


def test_what_a_step_does_not_give_is_told():
    assert step(30.0)[0] == TOO_SHORT
    assert step(0.3)[0] == TOO_COARSE
    assert step(0.2)[0] == TOO_COARSE
    assert step(10.0, np.full(TIME.size, np.nan))[0] == MISSING
    assert step(10.0, 7.4 - VOLTAGE)[0] == WRONG_SIGN
    assert np.isnan(step(30.0)[1])


def test_the_table_is_the_single_steps():
    index = np.array([1, 1])
    first, stop = np.array([2, 2]), np.array([TIME.size, 20])
    on, u_on = np.array([10.05, 10.2]), np.array([0.0, 0.05])
    times = np.array([1.0, 5.0, 15.0])
    table = pulse_resistances(
        TIME, CURRENT, VOLTAGE, index, first, stop, on, u_on, times, 0.5
    )
    for m in range(2):
        for k in range(3):
            one = step_resistance(
                TIME, CURRENT, VOLTAGE, 1, 2, stop[m], on[m], u_on[m], times[k], 0.5
            )
            np.testing.assert_array_equal(table[m, k], one[1])
    assert np.isnan(table[1, 2])
