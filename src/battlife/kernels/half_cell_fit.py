"""Least-squares fit of two half-cell curves to the voltage of a full cell.

The model is :func:`battlife.kernels.half_cell.cell_voltage`. Minimised by
Levenberg-Marquardt with analytic derivatives (Nocedal, Wright, Numerical Optimization,
2006, 10.3).

Neighbouring residuals are alike, because what is wrong with a half-cell curve is wrong
over a stretch of it: residuals are decorrelated as those of a first-order process,
r_k - rho r_(k-1) (Prais-Winsten; Greene, Econometric Analysis, 2012, 20.9), which
weighs slopes, hence dV/dQ, beside voltages.
"""

import math

import numpy as np
import numpy.typing as npt

from battlife.kernels._jit import F8, F8_2D, float64, int64, kernel, tuple_of
from battlife.kernels.half_cell import CURVES, N_PARAMETERS, curve_at

Floats = npt.NDArray[np.float64]

_ROUNDS = 60


@kernel(int64(float64[:, ::1], float64[::1]))
def _solve(matrix: Floats, right: Floats) -> int:
    """Solve in place by Cholesky; the answer replaces `right`. 0 if not positive."""
    n = right.size
    for j in range(n):
        for k in range(j):
            matrix[j, j] -= matrix[j, k] * matrix[j, k]
        if not matrix[j, j] > 0.0:
            return 0
        matrix[j, j] = math.sqrt(matrix[j, j])
        for i in range(j + 1, n):
            for k in range(j):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
            matrix[i, j] /= matrix[j, j]
    for i in range(n):
        for k in range(i):
            right[i] -= matrix[i, k] * right[k]
        right[i] /= matrix[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            right[i] -= matrix[k, i] * right[k]
        right[i] /= matrix[i, i]
    return 1


@kernel(
    float64(
        float64[::1],
        F8,
        F8,
        F8,
        float64,
        float64,
        *CURVES,
        float64[::1],
        float64[:, ::1],
    )
)
def _residuals(
    parameters: Floats,
    share: Floats,
    voltage_v: Floats,
    weight: Floats,
    rho: float,
    prior_v: float,
    positive: Floats,
    first_p: float,
    step_p: float,
    negative: Floats,
    first_n: float,
    step_n: float,
    residual: Floats,
    jacobian: Floats,
) -> float:
    """Fill the decorrelated residuals and their derivatives; return half their square.

    The last row is the prior of c. Both are taken of measured minus model, and the
    Jacobian of the model, so that a step is (J'J)^-1 J'r.
    """
    n = share.size
    x0, x1, y0, y1, c = parameters
    before = np.zeros(N_PARAMETERS)
    now = np.empty(N_PARAMETERS)
    last = 0.0
    total = 0.0
    for k in range(n):
        s = share[k]
        w = weight[k]
        p, dp = curve_at(positive, first_p, step_p, y0 + (y1 - y0) * s)
        q, dq = curve_at(negative, first_n, step_n, x0 + (x1 - x0) * s)
        r = w * (voltage_v[k] - p + q - c)
        now[0] = -w * dq * (1.0 - s)
        now[1] = -w * dq * s
        now[2] = w * dp * (1.0 - s)
        now[3] = w * dp * s
        now[4] = w
        back = rho
        scale = 1.0
        if k == 0:
            back = 0.0
            scale = math.sqrt(1.0 - rho * rho)
        residual[k] = scale * (r - back * last)
        for m in range(N_PARAMETERS):
            jacobian[k, m] = scale * (now[m] - back * before[m])
            before[m] = now[m]
        last = r
        total += residual[k] * residual[k]
    residual[n] = -c / prior_v
    for m in range(N_PARAMETERS):
        jacobian[n, m] = 0.0
    jacobian[n, 4] = 1.0 / prior_v
    return float(0.5 * (total + residual[n] * residual[n]))


@kernel(
    tuple_of(float64[:, ::1], 2)(F8_2D, F8, F8, F8, float64, float64, *CURVES, float64)
)
def fit_half_cells(
    begin: Floats,
    share: Floats,
    voltage_v: Floats,
    weight: Floats,
    rho: float,
    prior_v: float,
    positive: Floats,
    first_p: float,
    step_p: float,
    negative: Floats,
    first_n: float,
    step_n: float,
    beyond: float,
) -> tuple[Floats, Floats]:
    """Return the least-squares parameters from each start, and J'J of each.

    Parameters
    ----------
    begin : (k, 6) starts; the first five columns count
    share, voltage_v : (n,) s and V
    weight : (n,) 1/V, reciprocal standard deviation of each residual
    rho : correlation of neighbouring residuals, 0 to below 1
    prior_v : V, standard deviation of c before the data are seen, above 0
    positive, negative : (m,) V over lithiation, with first and step of each
    beyond : lithiation by which a parameter may leave the table

    Returns
    -------
    parameters : (k, 7) x0, x1, y0, y1, c, half the sum of squared decorrelated
        residuals, and the rounds it took; NaN where the two ends are exchanged
    normal : (k, 25) J'J at the parameters, by rows
    """
    n = share.size
    count = begin.shape[0]
    found = np.full((count, 7), np.nan)
    normal = np.full((count, N_PARAMETERS * N_PARAMETERS), np.nan)
    residual = np.empty(n + 1)
    jacobian = np.empty((n + 1, N_PARAMETERS))
    trial_r = np.empty(n + 1)
    trial_j = np.empty((n + 1, N_PARAMETERS))
    square = np.empty((N_PARAMETERS, N_PARAMETERS))
    damped = np.empty((N_PARAMETERS, N_PARAMETERS))
    gradient = np.empty(N_PARAMETERS)
    step = np.empty(N_PARAMETERS)
    at = np.empty(N_PARAMETERS)
    trial = np.empty(N_PARAMETERS)
    low = np.empty(4)
    high = np.empty(4)
    for m in range(4):
        first = first_n if m < 2 else first_p
        width = (negative.size - 1) * step_n if m < 2 else (positive.size - 1) * step_p
        low[m] = first - beyond
        high[m] = first + width + beyond
    for which in range(count):
        for m in range(N_PARAMETERS):
            at[m] = begin[which, m]
        for m in range(4):
            at[m] = min(max(at[m], low[m]), high[m])
        cost = _residuals(
            at,
            share,
            voltage_v,
            weight,
            rho,
            prior_v,
            positive,
            first_p,
            step_p,
            negative,
            first_n,
            step_n,
            residual,
            jacobian,
        )
        damping = 1e-3
        rounds = 0
        ended = False
        # One that has not ended by then is where a valley is flat, and good enough.
        while rounds < _ROUNDS and not ended:
            rounds += 1
            for a in range(N_PARAMETERS):
                for b in range(a + 1):
                    total = 0.0
                    for k in range(n + 1):
                        total += jacobian[k, a] * jacobian[k, b]
                    square[a, b] = total
                    square[b, a] = total
                total = 0.0
                for k in range(n + 1):
                    total += jacobian[k, a] * residual[k]
                gradient[a] = total
            improved = False
            while not improved and damping < 1e12:
                for a in range(N_PARAMETERS):
                    for b in range(N_PARAMETERS):
                        damped[a, b] = square[a, b]
                    damped[a, a] *= 1.0 + damping
                    damped[a, a] += 1e-12
                    step[a] = gradient[a]
                if _solve(damped, step) == 0:
                    damping *= 10.0
                    continue
                moved = 0.0
                for m in range(N_PARAMETERS):
                    trial[m] = at[m] + step[m]
                    if m < 4:
                        trial[m] = min(max(trial[m], low[m]), high[m])
                    moved = max(moved, abs(trial[m] - at[m]))
                new = _residuals(
                    trial,
                    share,
                    voltage_v,
                    weight,
                    rho,
                    prior_v,
                    positive,
                    first_p,
                    step_p,
                    negative,
                    first_n,
                    step_n,
                    trial_r,
                    trial_j,
                )
                if new < cost:
                    improved = True
                    # To 1e-7 of a lithiation; or of the sum, below any interest.
                    ended = moved < 1e-7 or cost - new < 1e-7 * cost
                    cost = new
                    at[:] = trial
                    residual[:] = trial_r
                    jacobian[:, :] = trial_j
                    damping = max(damping * 0.1, 1e-9)
                elif moved < 1e-7:
                    break
                else:
                    damping *= 10.0
            if not improved:
                ended = True
        if at[1] > at[0] and at[2] > at[3]:
            found[which, :N_PARAMETERS] = at
            found[which, 5] = cost
            found[which, 6] = rounds
            for a in range(N_PARAMETERS):
                for b in range(N_PARAMETERS):
                    total = 0.0
                    for k in range(n + 1):
                        total += jacobian[k, a] * jacobian[k, b]
                    normal[which, a * N_PARAMETERS + b] = total
    return found, normal
