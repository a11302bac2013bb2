"""Steps and half-cycles on known currents."""

import numpy as np
import pytest

from battlife.kernels.steps import (
    CHARGE,
    DISCHARGE,
    REST,
    UNKNOWN,
    find_half_cycles,
    find_steps,
)


def runs_by_numpy(current, threshold):
    """Return (first, kind) of the runs of one kind."""
    kind = np.where(current > threshold, CHARGE, REST)
    kind = np.where(current < -threshold, DISCHARGE, kind)
    kind = np.where(np.isnan(current), UNKNOWN, kind)
    first = np.flatnonzero(np.concatenate([[True], np.diff(kind) != 0]))
    return first, kind[first]


def test_runs_agree_with_numpy():
    rng = np.random.default_rng(1)
    current = np.repeat(rng.choice([0.0, 0.01, 2.0, -2.0, np.nan], 200), 3)
    first, kind = find_steps(current, 0, current.size, 0.05)
    expected = runs_by_numpy(current, 0.05)
    np.testing.assert_array_equal(first, expected[0])
    np.testing.assert_array_equal(kind, expected[1])


def test_a_window_and_an_empty_one():
    current = np.array([0.0, 1.0, 1.0, -1.0, 0.0])
    first, kind = find_steps(current, 1, 4, 0.1)
    assert first.tolist() == [1, 3]
    assert kind.tolist() == [CHARGE, DISCHARGE]
    first, _ = find_steps(current, 2, 2, 0.1)
    assert first.size == 0


def cycles(n):
    """Return time and current of n cycles: 1 h charge, rest, 1 h discharge, rest."""
    one = np.concatenate([np.ones(60), np.zeros(5), -np.ones(60), np.zeros(5)])
    current = np.tile(one, n)
    return np.arange(current.size) * 60.0, current


def test_each_cycle_gives_two_half_cycles():
    time, current = cycles(40)
    first, last, direction = find_half_cycles(time, current, 0, time.size, 0.1)
    assert direction.tolist() == [1, -1] * 40
    assert first[0] == 0
    np.testing.assert_array_equal(first[1:], last[:-1])
    for k in range(80):
        part = current[first[k] + 1 : last[k]]
        assert (part * direction[k] >= 0).all()


def test_hppc_charge_pulses_do_not_split_a_discharge():
    time, current = cycles(1)
    current = current.copy()
    for k in range(70, 120, 10):
        current[k] = 0.8  # one minute of charging within the hour of discharge
    _, _, direction = find_half_cycles(time, current, 0, time.size, 0.05)
    assert direction.tolist() == [1, -1]


def test_a_square_wave_is_one_discharge():
    time = np.arange(2000) * 10.0
    current = np.where(np.arange(2000) % 2 == 0, -4.0, 0.0)
    first, last, direction = find_half_cycles(time, current, 0, 2000, 0.1)
    assert direction.tolist() == [-1]
    assert (first[0], last[0]) == (0, 1999)


def test_a_swing_below_the_hysteresis_is_no_half_cycle():
    time, current = cycles(3)
    first, _, _ = find_half_cycles(time, 0.01 * current, 0, time.size, 0.1)
    assert first.size == 0


def test_irregular_sampling_gives_the_same_extremes():
    time, current = cycles(5)
    rng = np.random.default_rng(2)
    # Ends of steps are kept, as a tester keeps them; two thirds of the rest go.
    change = np.flatnonzero(np.diff(current) != 0)
    keep = np.unique(
        np.concatenate(
            [[0, time.size - 1], change, change + 1, rng.choice(time.size, 200)]
        )
    )
    thinned = find_half_cycles(time[keep], current[keep], 0, keep.size, 0.1)
    full = find_half_cycles(time, current, 0, time.size, 0.1)
    assert thinned[2].tolist() == full[2].tolist()
    ends = time[keep][thinned[1]] - time[full[1]]
    assert np.abs(ends).max() <= 300.0  # within the rest, where nothing moves


def test_a_missing_current_adds_nothing():
    time, current = cycles(2)
    current = current.copy()
    current[30] = np.nan
    _, _, direction = find_half_cycles(time, current, 0, time.size, 0.1)
    assert direction.tolist() == [1, -1, 1, -1]


@pytest.mark.parametrize("n", [0, 1])
def test_too_little_gives_nothing(n):
    time = np.arange(float(n))
    assert find_half_cycles(time, np.ones(n), 0, n, 0.1)[0].size == 0
