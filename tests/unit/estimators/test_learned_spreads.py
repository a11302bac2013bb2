import warnings

import numpy as np

from battlife.estimators.learned.spreads import SPREADS, clues


def test_learners_that_state_no_spread_give_finite_clues():
    values = np.array([[0.7, 0.8, 0.9], [0.7, 0.8, 0.9]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = clues(
            values,
            np.zeros((2, 3)),
            np.array([0.5, 0.5]),
            np.zeros(3),
            np.zeros((3, 1)),
        )
    assert np.isfinite(found).all()
    for fit, predict in SPREADS.values():
        made = fit(found, np.array([0.01, -0.02, 0.01]), np.arange(3))
        assert (predict(made, found) > 0).all()
