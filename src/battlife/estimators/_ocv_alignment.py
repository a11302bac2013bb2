"""Where the two half-cell curves lie under the voltage of a full cell, and how surely.

Uncertainty: what is wrong with a fit is not noise but half-cell curves that are not
quite those of the cell. Their error is taken as a process with the correlation of
CORRELATED, of a size that leaves the residuals found: e' = (I - J G) e has the mean
square tr((I - J G) R (I - J G)') for e of unit size, with J the derivatives and G the
estimator. The covariance is then G R G' of that size, which contains what the fit hid
by following it (Rasmussen, Williams, Gaussian Processes, 2006, 2.7 and 4.2.1, gives
linear models with such a process; R is a mean of two of theirs).
"""

import math
from dataclasses import dataclass

import numpy as np

from battlife.estimators._half_cells import HalfCell
from battlife.kernels.half_cell import (
    N_PARAMETERS,
    cell_slopes,
    cell_voltage,
    starts,
)
from battlife.kernels.half_cell_fit import fit_half_cells
from battlife.kernels.incremental import mean_per_bin
from battlife.model import Column

BINS = 400
"""Means of the voltage over equal charges that are fitted; a quarter of them finds the
basins."""
RHO = 0.95
"""Correlation of neighbouring residuals of BINS: half-cell curves are wrong over a
twentieth of the window. Chosen on synthetic cells whose curves were bent over 2 to
30 % of it: errors fall by half from 0 to 0.95, and beyond that the fit finds false
minima."""
VOLTAGE_V = 0.003
"""Expected residual of a voltage: the scale of weights alone, not of uncertainties."""
CHARGE = 0.001
"""And of the charge, a share of the window, which counts where the curve is steep."""
PRIOR_V = 0.05
"""Polarisation expected before the fit: a cell at C/10 drops 5 to 10 mV, an aged one
several times that."""
BEYOND = 0.02
"""Lithiation by which a fit may leave a measured curve: the width of its ends."""
PLACES = 12
APART = 0.06
"""Starts, and how far apart they are in one lithiation at least."""
CORRELATED = (0.1, 0.5)
"""Shares of the window over which the error of half-cell curves is alike: the width of
a step of graphite, and that of a whole stage. Checked on synthetic cells whose curves
were bent over 3 to 30 % (tests/unit/estimators/test_ocv_alignment.py)."""
SAME = 0.004
"""Fits closer than this in every lithiation are one."""
RIVAL = 9.0
"""Difference of chi-square (three standard deviations) under which another minimum is
not excluded."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """A fit of one slow charge or discharge.

    Attributes
    ----------
    parameters : (5,) x0, x1, y0, y1 (lithiation of negative and positive at the
        low-voltage and the high-voltage end of the window) and the polarisation in V
    covariance : (5, 5)
    charge_ah : Ah of the window
    share, voltage_v, model_v : (n,) s from the low-voltage end, V measured, V fitted
    rivals : other minima that the residuals do not exclude
    at_edge : a parameter lies at the end of what a half-cell curve covers
    offset, gain : (5,) change of the parameters per V of voltage offset, per relative
        gain of the voltage
    """

    parameters: Column
    covariance: Column
    charge_ah: float
    share: Column
    voltage_v: Column
    model_v: Column
    rivals: int
    at_edge: bool
    offset: Column
    gain: Column

    @property
    def rmse_v(self) -> float:
        """Root mean square residual in V."""
        return float(np.sqrt(np.mean((self.voltage_v - self.model_v) ** 2)))

    def capacities(self) -> tuple[Column, Column]:
        """Return what the electrodes and the lithium hold, and its covariance.

        Returns
        -------
        values : (3,) Ah: positive, negative, lithium inventory. C_p = Q / (y0 - y1),
            C_n = Q / (x1 - x0), n = C_n x0 + C_p y0, the same anywhere in the window
        covariance : (3, 3) Ah^2
        """
        x0, x1, y0, y1, _ = self.parameters
        q = self.charge_ah
        c_n, c_p = q / (x1 - x0), q / (y0 - y1)
        d_n = np.array([c_n / (x1 - x0), -c_n / (x1 - x0), 0.0, 0.0, 0.0])
        d_p = np.array([0.0, 0.0, -c_p / (y0 - y1), c_p / (y0 - y1), 0.0])
        d_li = x0 * d_n + y0 * d_p
        d_li += np.array([c_n, 0.0, c_p, 0.0, 0.0])
        jacobian = np.array([d_p, d_n, d_li])
        spread: Column = jacobian @ self.covariance @ jacobian.T
        return np.array([c_p, c_n, c_n * x0 + c_p * y0]), spread


def align(
    charge_ah: Column,
    voltage_v: Column,
    direction: int,
    positive: HalfCell,
    negative: HalfCell,
    curve_error_v: float,
) -> Alignment | None:
    """Fit the half-cell curves to one charge or discharge, None where none fits.

    Parameters
    ----------
    charge_ah : (n,) Ah since its start, unsigned and rising
    voltage_v : (n,) V per cell
    direction : +1 charges, -1 discharges
    positive, negative : half-cell curves
    curve_error_v : V, standard deviation of their error at the least
    """
    total = float(charge_ah[-1])
    share = charge_ah / total
    if direction < 0:
        share, voltage_v = (1.0 - share)[::-1], voltage_v[::-1]
    share, voltage_v = np.ascontiguousarray(share), np.ascontiguousarray(voltage_v)
    place, mean = _reduced(share, voltage_v, BINS)
    curves = (
        *(positive.voltage_v, positive.first, positive.step),
        *(negative.voltage_v, negative.first, negative.step),
    )
    weight = _weights(place, mean)
    begin = starts(place, mean, *curves, PLACES, APART)
    # By voltage alone first, whose basins are wide; then as the residuals want it.
    coarse = slice(None, None, 4)
    few = tuple(np.ascontiguousarray(a[coarse]) for a in (place, mean, weight))
    found, _ = fit_half_cells(begin, *few, 0.0, PRIOR_V, *curves, BEYOND)
    basins = _distinct(found)
    if not basins.size:
        return None
    fits, normal = fit_half_cells(
        basins, place, mean, weight, RHO, PRIOR_V, *curves, BEYOND
    )
    chosen = _distinct(fits)
    if not chosen.size:
        return None
    best = chosen[0, :5].copy()
    at = int(np.flatnonzero((fits[:, :5] == best).all(axis=1))[0])
    model = cell_voltage(best, place, *curves)
    jacobian = cell_slopes(best, place, *curves)
    hat = _estimator(jacobian, weight, normal[at].reshape(5, 5))
    covariance, scale = _covariance(
        place, mean - model, weight, jacobian, hat, curve_error_v
    )
    rivals = int(np.sum(2.0 * (chosen[1:, 5] - chosen[0, 5]) < RIVAL * scale))
    low = np.array([negative.first] * 2 + [positive.first] * 2) - BEYOND
    high = np.array([negative.last] * 2 + [positive.last] * 2) + BEYOND
    edge = (best[:4] <= low + 1e-6) | (best[:4] >= high - 1e-6)
    return Alignment(
        parameters=best,
        covariance=covariance,
        offset=hat.sum(axis=1),
        gain=hat @ mean,
        charge_ah=total,
        share=place,
        voltage_v=mean,
        model_v=model,
        rivals=rivals,
        at_edge=bool(edge.any()),
    )


def _reduced(share: Column, voltage_v: Column, bins: int) -> tuple[Column, Column]:
    """Return (middle of each bin of charge, mean voltage over it), gaps left out."""
    mean = mean_per_bin(share, voltage_v, 0, share.size, 0.0, 1.0 / bins, bins)
    known = np.isfinite(mean)
    place = (np.arange(bins) + 0.5) / bins
    return np.ascontiguousarray(place[known]), np.ascontiguousarray(mean[known])


def _weights(share: Column, voltage_v: Column) -> Column:
    """Return (n,) 1/V: less where the curve is steep and a charge decides."""
    slope = np.gradient(voltage_v, share)
    weight: Column = 1.0 / np.hypot(VOLTAGE_V, CHARGE * slope)
    return weight


def _distinct(fits: Column) -> Column:
    """Return the fits that ended, best first, each once."""
    ended = fits[np.isfinite(fits[:, 5])]
    kept: list[Column] = []
    for row in ended[np.argsort(ended[:, 5], kind="stable")]:
        if all(np.abs(row[:4] - other[:4]).max() > SAME for other in kept):
            kept.append(row)
    return np.ascontiguousarray(np.array(kept).reshape(-1, fits.shape[1]))


def _estimator(jacobian: Column, weight: Column, normal: Column) -> Column:
    """Return the (5, n) change of the parameters per V at each place."""
    slopes = _decorrelated(jacobian * weight[:, np.newaxis])
    # The transposed decorrelation, so that it may act on any error of the voltage.
    back = math.sqrt(1.0 - RHO * RHO)
    whole = slopes.copy()
    whole[0] *= back
    whole[:-1] -= RHO * slopes[1:]
    hat: Column = (
        np.linalg.pinv(normal, hermitian=True) @ (whole * weight[:, np.newaxis]).T
    )
    return hat


def _covariance(
    share: Column,
    residual: Column,
    weight: Column,
    jacobian: Column,
    hat: Column,
    least_v: float,
) -> tuple[Column, float]:
    """Return the (5, 5) covariance, and the variance of decorrelated residuals."""
    # An error that is alike over a twentieth is alike over four bins of 400.
    first = np.arange(0, share.size, 4)
    count = np.diff(np.append(first, share.size))
    middle = np.add.reduceat(share, first) / count
    apart = np.abs(middle[:, np.newaxis] - middle[np.newaxis, :])
    r = np.exp(-apart / CORRELATED[0])
    for length in CORRELATED[1:]:
        r += np.exp(-apart / length)
    r /= len(CORRELATED)
    slopes = np.add.reduceat(jacobian * weight[:, np.newaxis], first, axis=0)
    square = (jacobian * weight[:, np.newaxis]).T @ (jacobian * weight[:, np.newaxis])
    moved = np.add.reduceat(hat / weight, first, axis=1) @ r
    spread = moved @ np.add.reduceat(hat / weight, first, axis=1).T
    left = share.size - 2.0 * float(np.sum(moved.T * slopes))
    left += float(np.sum(square * spread))
    floor = (least_v / VOLTAGE_V) ** 2
    size = max(float(np.mean((residual * weight) ** 2)), floor)
    size *= share.size / max(left, 1e-3 * share.size)
    after = _decorrelated((residual * weight)[:, np.newaxis])
    variance = float(np.sum(after**2)) / (share.size - N_PARAMETERS)
    return spread * size, max(variance, size * (1.0 - RHO * RHO))


def _decorrelated(rows: Column) -> Column:
    """Return (n, k) less RHO times the row before, the first one scaled."""
    after = rows.copy()
    after[1:] -= RHO * rows[:-1]
    after[0] *= math.sqrt(1.0 - RHO * RHO)
    return after
