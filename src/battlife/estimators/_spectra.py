"""What is asked of an impedance spectrum before anything is read from it."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.kernels.kramers_kronig import linear_kk
from battlife.kernels.relaxation_times import SERIES, distribution
from battlife.model import Column, Spectrum

Floats = npt.NDArray[np.float64]

KK_LIMIT: Final = 0.005
"""Root mean square of the relative residuals of the Kramers-Kronig test above which a
spectrum is refused; sound ones leave 0.05 to 0.3 %."""
FEWEST_POINTS: Final = 10
"""Two values each against the seven parameters of the smallest circuit with diffusion
and inductance, with as many left over for the residuals."""
FEWEST_DECADES: Final = 2.0
"""One arc is 1.5 to 2 decades wide at half its height."""
INDUCTIVE: Final = 0.002
"""An imaginary part counts as inductive from this share of the magnitude: analysers
state 0.1 to 0.3 % on a cell."""
DRIFTED: Final = 0.01
"""From this share the sign of the imaginary part is no noise."""
PER_DECADE: Final = 3.0
"""Relaxations per decade of frequency at least: with fewer the test of Schoenleber
stops at random on a spectrum with a narrow arc, and the misfit of the description is
taken for one of the spectrum. A sweep has 5 to 10 points, so 10 to 20 values."""
MOST_RELAXATIONS: Final = 50
MU: Final = 0.85
"""After Schoenleber et al., section 3."""
CORRELATED: Final = 0.4
"""Correlation of neighbouring residuals from which they are no noise: that of noise
scatters around 0 by the inverse root of the number of values, 0.15 at 20 points."""
WORST: Final = 3
"""Frequencies that a refusal names."""
LEAST_NOISE: Final = 1e-3
"""No analyser is better than 0.1 % on a cell; to describe a spectrum more closely is
to describe noise."""
ENOUGH: Final = 1.2
"""The distribution may leave residuals this many times those of the Kramers-Kronig
test (Morozov's discrepancy principle: no closer than the noise)."""
PENALTIES: Final = 10.0 ** np.arange(1.0, -8.1, -0.5)
TIMES_PER_DECADE: Final = 10
PEAK: Final = 0.02
"""A peak lower than this share of the highest is not listed."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """The usable points of a spectrum, from the highest frequency down.

    Attributes
    ----------
    frequency_hz, re, im : (n,) Hz, ohm, ohm
    n_missing : points left out: no number, no frequency, or no impedance
    """

    frequency_hz: Column
    re: Column
    im: Column
    n_missing: int

    @classmethod
    def of(cls, spectrum: Spectrum) -> "Sweep":
        """Return the usable points of a spectrum."""
        f, re, im = spectrum.frequency_hz, spectrum.z_re_ohm, spectrum.z_im_ohm
        good = np.isfinite(f) & np.isfinite(re) & np.isfinite(im)
        good &= (f > 0.0) & (np.hypot(re, im) > 0.0)
        order = np.flatnonzero(good)
        order = order[np.argsort(-f[order], kind="stable")]
        return cls(f[order], re[order], im[order], int(f.size - order.size))

    @property
    def omega(self) -> Floats:
        """(n,) rad/s."""
        return 2.0 * math.pi * self.frequency_hz

    @property
    def size(self) -> Floats:
        """(n,) ohm, the magnitude."""
        return np.hypot(self.re, self.im)

    @property
    def decades(self) -> float:
        """Decades of frequency it spans."""
        return math.log10(float(self.frequency_hz[0] / self.frequency_hz[-1]))

    @property
    def inductive(self) -> bool:
        """Whether it is inductive at its highest frequencies."""
        return bool((self.im > INDUCTIVE * self.size)[:3].any())

    def impossible(self) -> tuple[str, ...]:
        """Return why these points are no spectrum of a cell; empty if they may be."""
        n = self.frequency_hz.size
        if n < FEWEST_POINTS:
            return ("too_few_points",)
        if self.decades < FEWEST_DECADES:
            return ("span_too_narrow",)
        reasons: tuple[str, ...] = ()
        if (self.re <= 0.0).any():
            reasons += ("negative_real_part",)
        inductive = np.flatnonzero(self.im > DRIFTED * self.size)
        capacitive = np.flatnonzero(self.im < -DRIFTED * self.size)
        # A cell is inductive above the frequencies at which it is capacitive; the
        # other way round the sign of the imaginary part is wrong, or the cell drifted.
        if inductive.size and (not capacitive.size or inductive[-1] > capacitive[-1]):
            reasons += ("inductive_at_low_frequency",)
        return reasons

    def at(self, values: Column, frequency_hz: float) -> float:
        """Return (n,) values at a frequency, linear in its logarithm; NaN outside."""
        f = self.frequency_hz[::-1]
        if not f[0] <= frequency_hz <= f[-1]:
            return math.nan
        return float(np.interp(math.log(frequency_hz), np.log(f), values[::-1]))

    def covers(self, frequency_hz: float) -> bool:
        """Say whether a frequency lies within the sweep."""
        return bool(self.frequency_hz[-1] <= frequency_hz <= self.frequency_hz[0])

    def crossing(self) -> tuple[float, float]:
        """Return (ohm, Hz) where it turns from inductive to capacitive, NaN if not."""
        sign = self.im > 0.0
        turn = np.flatnonzero(sign[:-1] & ~sign[1:])
        if not sign[0] or not turn.size:
            return math.nan, math.nan
        k = int(turn[0])
        share = float(self.im[k] / (self.im[k] - self.im[k + 1]))
        log_f = np.log(self.frequency_hz[k : k + 2])
        ohm = self.re[k] + share * (self.re[k + 1] - self.re[k])
        return float(ohm), float(np.exp(log_f[0] + share * (log_f[1] - log_f[0])))


@dataclass(frozen=True, eq=False)
class Consistency:
    """Outcome of the linear Kramers-Kronig test.

    Attributes
    ----------
    fit_re, fit_im : (n,) ohm
    residual_re, residual_im : (n,) fraction of the magnitude
    rms, largest : of the relative residuals, a fraction
    noise : the same as rms with the degrees of freedom of the test taken off
    mu, relaxations : how its size was chosen
    correlation : of the residuals of neighbouring frequencies, -1 to 1
    worst_hz : up to three frequencies of the largest residuals, largest first
    """

    fit_re: Floats
    fit_im: Floats
    residual_re: Floats
    residual_im: Floats
    rms: float
    largest: float
    noise: float
    mu: float
    relaxations: int
    correlation: float
    worst_hz: tuple[float, ...]

    @property
    def systematic(self) -> bool:
        """Whether the residuals run in waves: noise changes from point to point."""
        return self.correlation > CORRELATED


def consistency(sweep: Sweep) -> Consistency:
    """Return the linear Kramers-Kronig test of a sweep."""
    n = sweep.frequency_hz.size
    fewest = min(max(3, math.ceil(PER_DECADE * sweep.decades)), n // 2)
    most = max(fewest, min(n - 3, MOST_RELAXATIONS))
    fit_re, fit_im, facts = linear_kk(sweep.omega, sweep.re, sweep.im, fewest, most, MU)
    off_re = (fit_re - sweep.re) / sweep.size
    off_im = (fit_im - sweep.im) / sweep.size
    squares = float((off_re**2 + off_im**2).sum())
    count = int(facts[1])
    free = max(2 * n - count - SERIES, 1)
    neighbours = float((off_re[1:] * off_re[:-1] + off_im[1:] * off_im[:-1]).sum())
    size = np.hypot(off_re, off_im)
    worst = np.argsort(-size, kind="stable")[:WORST]
    return Consistency(
        fit_re,
        fit_im,
        off_re,
        off_im,
        math.sqrt(squares / (2 * n)),
        float(size.max()),
        math.sqrt(squares / free),
        float(facts[0]),
        count,
        neighbours / squares if squares > 0.0 else 0.0,
        tuple(sweep.frequency_hz[worst].tolist()),
    )


@dataclass(frozen=True, eq=False)
class Relaxations:
    """Distribution of relaxation times.

    Attributes
    ----------
    tau_s : (k,) s, rising
    ohm_per_decade : (k,) ohm per decade of time
    peaks : (m, 2) resistance in ohm and time in s of each peak, largest first
    rms : root mean square of the relative residuals it leaves
    penalty : weight of the curvature that was taken
    """

    tau_s: Floats
    ohm_per_decade: Floats
    peaks: Floats
    rms: float
    penalty: float


def relaxations(sweep: Sweep, noise: float) -> Relaxations:
    """Return the smoothest distribution that describes a sweep to its noise.

    Times reach half a decade beyond what the frequencies cover: what lies further
    out cannot be told from the series elements.
    """
    omega = sweep.omega
    low, high = -math.log10(omega[0]) - 0.5, -math.log10(omega[-1]) + 0.5
    count = int(math.ceil(TIMES_PER_DECADE * (high - low))) + 1
    tau = np.logspace(low, high, count)
    target = ENOUGH * max(noise, LEAST_NOISE)
    ohm, facts = distribution(omega, sweep.re, sweep.im, tau, PENALTIES, target)
    chain = ohm[SERIES:]
    per_decade = chain * (count - 1) / (high - low)
    peaks = _peaks(tau, chain)
    return Relaxations(tau, per_decade, peaks, float(facts[0]), float(facts[1]))


def _peaks(tau: Floats, ohm: Floats) -> Floats:
    """Return (resistance, time) of each peak, from valley to valley, largest first."""
    inner = np.flatnonzero((ohm[1:-1] > ohm[:-2]) & (ohm[1:-1] >= ohm[2:])) + 1
    inner = inner[ohm[inner] > PEAK * ohm.max()] if inner.size else inner
    if not inner.size:
        return np.empty((0, 2))
    valleys = [
        int(a + np.argmin(ohm[a : b + 1]))
        for a, b in zip(inner[:-1], inner[1:], strict=True)
    ]
    edges = [0, *valleys, ohm.size]
    found = np.array(
        [
            (ohm[a:b].sum(), tau[k])
            for k, a, b in zip(inner, edges[:-1], edges[1:], strict=True)
        ]
    )
    return found[np.argsort(-found[:, 0], kind="stable")]
