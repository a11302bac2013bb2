"""Small neural networks, several from different beginnings, averaged.

Two hidden layers of tanh, penalised weights, fitted to all rows at once: the same lot
gives the same networks. Averaging takes away what each owes to its beginning.

References
----------
Bishop, Pattern Recognition and Machine Learning (Springer, 2006), §5.1 to 5.3.
Hansen, Salamon, IEEE Trans. Pattern Anal. Mach. Intell. 12 (1990) 993 (ensembles).
Liu, Nocedal, Math. Program. 45 (1989) 503 (L-BFGS).
"""

from typing import Any, Final

import numpy as np

from battlife.estimators.learned.scaling import Arrays, scaling, standardised
from battlife.model._arrays import Column, IndexColumn

HIDDEN: Final = 24
MEMBERS: Final = 3
PENALTY: Final = 1e-3
"""Of half the squared weights, beside half the mean squared error of a truth of unit
spread."""
STEPS: Final = 200


def fit_network(
    features: Column,
    truth: Column,
    groups: IndexColumn,
    penalty: float = PENALTY,
    count: int = MEMBERS,
) -> Arrays:
    """Return the weights of all members, one after the other."""
    from scipy.optimize import minimize

    del groups
    arrays = scaling(features, truth)
    z = standardised(features, arrays)
    mean, spread = arrays["truth"]
    y = (truth - mean) / spread
    members = []
    for seed in range(count):
        found: Any = minimize(
            _loss,
            _beginning(z.shape[1], seed),
            args=(z, y, penalty),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": STEPS},
        )
        members.append(np.asarray(found.x, dtype=np.float64))
    outputs = np.array([_output(w, z) for w in members])
    off = float((outputs.mean(axis=0) - y).std())
    return arrays | {"members": np.array(members), "spread": np.array([off])}


def predict_network(arrays: Arrays, features: Column) -> tuple[Column, Column]:
    """Return (m,) values, and (m,) spreads: of the fit, and among the members."""
    z = standardised(features, arrays)
    mean, spread = arrays["truth"]
    outputs = np.array([_output(w, z) for w in arrays["members"]])
    apart = np.sqrt(outputs.var(axis=0) + arrays["spread"][0] ** 2)
    return mean + spread * outputs.mean(axis=0), spread * apart


def _shapes(p: int) -> tuple[tuple[int, ...], ...]:
    h = HIDDEN
    return ((p, h), (h,), (h, h), (h,), (h,), (1,))


def _parts(w: Column, p: int) -> list[Column]:
    shapes = _shapes(p)
    ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
    return [a.reshape(s) for a, s in zip(np.split(w, ends), shapes, strict=True)]


def _beginning(p: int, seed: int) -> Column:
    """Return weights of unit variance at the input of every neuron, no offsets."""
    rng = np.random.default_rng(seed)
    parts = [
        rng.standard_normal(s) / np.sqrt(s[0]) if k % 2 == 0 else np.zeros(s)
        for k, s in enumerate(_shapes(p))
    ]
    return np.concatenate([part.ravel() for part in parts])


def _features(w: Column, z: Column) -> tuple[list[Column], Column, Column, Column]:
    parts = _parts(w, z.shape[1])
    first = np.tanh(z @ parts[0] + parts[1])
    second = np.tanh(first @ parts[2] + parts[3])
    return parts, first, second, second @ parts[4] + parts[5]


def _output(w: Column, z: Column) -> Column:
    return _features(w, z)[3]


def _loss(w: Column, z: Column, y: Column, penalty: float) -> tuple[float, Column]:
    """Return the penalised error and its gradient (Bishop eq. 5.53 to 5.56)."""
    parts, first, second, output = _features(w, z)
    weights = (parts[0], parts[2], parts[4])
    error = output - y
    size = sum(float((a**2).sum()) for a in weights)
    loss = 0.5 * float((error**2).mean()) + 0.5 * penalty * size
    end = error / len(y)
    back = np.outer(end, parts[4]) * (1.0 - second**2)
    front = (back @ parts[2].T) * (1.0 - first**2)
    slope = [
        (z.T @ front + penalty * parts[0]).ravel(),
        front.sum(axis=0),
        (first.T @ back + penalty * parts[2]).ravel(),
        back.sum(axis=0),
        second.T @ end + penalty * parts[4],
        np.array([end.sum()]),
    ]
    return loss, np.concatenate(slope)
