import numpy as np
import pytest

from battlife.estimators.learned.conformal import group_quantile, promised


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_a_row_of_a_new_unit_is_covered_as_often_as_promised(coverage):
    rng = np.random.default_rng(1)
    held = []
    for _ in range(2000):
        levels = rng.lognormal(size=26)
        sizes = rng.integers(1, 12, 25)
        groups = np.repeat(np.arange(25), sizes)
        scores = levels[groups] * rng.random(groups.size)
        held.append(
            levels[25] * rng.random() <= group_quantile(scores, groups, coverage)
        )
    assert coverage - 0.02 < np.mean(held) < coverage + 0.06


def test_too_few_units_promise_less_rather_than_infinity():
    scores, groups = np.array([1.0, 2.0, 3.0]), np.array([0, 1, 2])
    assert group_quantile(scores, groups, 0.9) == np.inf
    assert promised(3, 0.9) == 0.75
    assert group_quantile(scores, groups, promised(3, 0.9)) == 3.0


def test_a_unit_with_many_rows_has_one_vote():
    scores = np.concatenate([np.full(1000, 9.0), np.arange(1.0, 10.0)])
    groups = np.concatenate([np.zeros(1000), np.arange(1, 10)]).astype(np.int64)
    assert group_quantile(scores, groups, 0.5) == 6.0
