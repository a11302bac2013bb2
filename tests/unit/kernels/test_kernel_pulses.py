"""Resistances of steps beside NumPy."""

import numpy as np
import pytest

from battlife.kernels.pulses import (
    FOUND,
    MISSING,
    TOO_COARSE,
    TOO_SHORT,
    WRONG_SIGN,
    leading_voltages,
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


LIMITS = np.array([0.05, 5.0, 4.0, 3e-4, 10.0])
IDLE_A = 0.1


def leads_by_numpy(time, current, volt, start, before, first):
    """Say the same of one pulse, with lists."""
    begin = max(start, before - 10)
    rows = []
    for j in range(begin, before + 1):
        if not abs(current[j]) < IDLE_A:
            rows = []
        elif rows and rows[-1] == (time[j], volt[j]):
            continue
        else:
            rows.append((time[j], volt[j]))
    t, v = (np.array(x) for x in zip(*rows, strict=True)) if rows else ([], [])
    for n in (1, 2):
        if len(v) <= n or t[-1] - t[-1 - n] > LIMITS[1]:
            continue
        moves = np.diff(v[:-n])
        moves = moves[np.isfinite(moves)]
        usual = n * moves[-1] if moves.size else 0.0
        scatter = np.sqrt(n) * moves.std() if moves.size else 0.0
        step = volt[first] - v[-1 - n]
        beyond = (v[-1] - v[-1 - n] - usual) * np.sign(step)
        if beyond > max(0.05 * abs(step), 3e-4, 4.0 * scatter):
            return True
    return False


def test_a_leading_voltage_is_seen_as_with_lists():
    rng = np.random.default_rng(12)
    told = []
    for _ in range(400):
        n = int(rng.integers(3, 30))
        late = int(rng.integers(0, 4))
        loaded = np.arange(n) >= n - 2
        time = np.cumsum(rng.choice([0.0, 0.1, 1.0, 20.0], n))
        current = np.where(loaded, -5.0, rng.choice([0.0, 0.0, 0.0, 0.0, 2.0], n))
        current[-3] = 0.0
        volt = 3.7 - 0.1 * (np.arange(n) >= n - 2 - late)
        volt += rng.choice([0.0, 1e-3]) * rng.standard_normal(n)
        volt[rng.random(n) < 0.03] = np.nan
        again = np.sort(np.append(np.arange(n), rng.integers(0, n - 2)))
        time, current, volt = time[again], current[again], volt[again]
        index = (np.array([0]), np.array([n - 2]), np.array([n - 1]))
        (found,) = leading_voltages(time, current, volt, *index, IDLE_A, LIMITS)
        assert found == leads_by_numpy(time, current, volt, 0, n - 2, n - 1)
        told.append(bool(found))
    assert 100 < sum(told) < 300
