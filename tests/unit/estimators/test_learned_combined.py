import numpy as np
import pytest

from battlife.estimators.learned.learners import LEARNERS
from battlife.estimators.learned.parts import _weights
from battlife.estimators.learned.spreads import SPREADS

RNG = np.random.default_rng(5)
UNITS = np.repeat(np.arange(30), 4)
FEATURES = RNG.standard_normal((120, 3))
TRUTH = 0.8 + 0.05 * np.tanh(FEATURES[:, 0]) + 0.02 * FEATURES[:, 1] ** 2


def test_shares_are_drawn_to_equal_ones_by_few_units_and_not_by_many():
    noise = RNG.standard_normal(3000)
    truth = np.zeros(3000)
    values = np.array([noise, 2.0 * np.roll(noise, 7)])  # best alone: 0.8 and 0.2
    many = _weights(values, truth, np.arange(3000))
    few = _weights(values, truth, np.arange(3000) // 1000)
    assert many == pytest.approx([0.8, 0.2], abs=0.05)
    assert 0.5 < few[0] < many[0] - 0.05
    assert few.sum() == pytest.approx(1.0)


def test_the_rows_of_a_unit_count_together():
    values = np.array([TRUTH + 0.01, TRUTH - 0.02])
    once = _weights(values[:, ::4], TRUTH[::4], UNITS[::4])
    again = _weights(
        np.repeat(values[:, ::4], 9, axis=1),
        np.repeat(TRUTH[::4], 9),
        np.repeat(UNITS[::4], 9),
    )
    assert again == pytest.approx(once, abs=1e-6)


def test_several_processes_predict_and_state_more_where_they_know_less():
    learner = LEARNERS["gps"]
    arrays = learner.fit(FEATURES, TRUTH, UNITS)
    assert {"0/theta", "1/theta", "2/theta"} <= set(arrays)
    new = RNG.standard_normal((50, 3))
    value, spread = learner.predict(arrays, new)
    truth = 0.8 + 0.05 * np.tanh(new[:, 0]) + 0.02 * new[:, 1] ** 2
    assert np.abs(value - truth).mean() < 0.003
    known = learner.predict(arrays, FEATURES)[1]
    assert np.median(spread) > np.median(known)


def test_a_damped_spread_is_half_way_to_the_usual_one():
    stated = np.exp(np.linspace(-6.0, -3.0, 31))
    found = np.column_stack([np.zeros(31), np.log(stated), np.zeros((31, 3))])
    error = stated * RNG.choice([-1.0, 1.0], 31)
    for name in ("stated", "learned"):
        fit, predict = SPREADS[name]
        made = fit(found, error, np.arange(31))
        plain = np.log(predict(made, found))
        damped = np.log(SPREADS[f"{name}, damped"][1](made, found))
        middle = np.log(made["usual"][0])
        assert damped - middle == pytest.approx(0.5 * (plain - middle))
