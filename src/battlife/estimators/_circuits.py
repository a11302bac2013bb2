"""Equivalent circuits: their text, where their fit begins, which of them is taken."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.errors import InputError
from battlife.estimators._residuals import related
from battlife.kernels import circuit as kernel
from battlife.model import Column

Floats = npt.NDArray[np.float64]

CODES: Final = {
    "R": kernel.R,
    "L": kernel.L,
    "C": kernel.C,
    "RC": kernel.RC,
    "ZARC": kernel.ZARC,
    "W": kernel.W,
    "CPE": kernel.CPE,
}
ARCS: Final = ("RC", "ZARC")
CANDIDATES: Final = (
    "R-RC",
    "R-ZARC",
    "R-RC-W",
    "R-ZARC-W",
    "R-ZARC-CPE",
    "R-ZARC-ZARC",
    "R-ZARC-ZARC-W",
    "R-ZARC-ZARC-CPE",
    "R-ZARC-ZARC-ZARC",
)
"""Circuits of a cell, simple ones first: the ohmic resistance, one to three arcs,
diffusion (W) or a blocking end (CPE). Each is tried with an inductance in front where
the spectrum is inductive at its highest frequencies, and the best one both ways."""
DETERMINED: Final = 0.5
"""Largest standard uncertainty of the logarithm of a parameter that still counts as
determined: a factor of 1.65 either way."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A circuit fitted to a spectrum.

    Attributes
    ----------
    elements : in series, arcs from fast to slow
    values : of every parameter, in the order of the elements
    covariance : (p, p) of the logarithms of the values, of alpha itself for an alpha
    rms : root mean square of the relative residuals
    bic : Bayesian information criterion, lower is better
    fit_re, fit_im : (n,) ohm
    """

    elements: tuple[str, ...]
    values: Floats
    covariance: Floats
    rms: float
    bic: float
    fit_re: Floats
    fit_im: Floats

    @property
    def text(self) -> str:
        """The circuit as written: ``L-R-ZARC-W``."""
        return "-".join(self.elements)

    @property
    def places(self) -> tuple[int, ...]:
        """Index of the first parameter of each element."""
        sizes = [kernel.SIZES[CODES[e]] for e in self.elements]
        return tuple(int(k) for k in np.cumsum([0, *sizes[:-1]]))

    def undetermined(self) -> bool:
        """Say whether the data leave a resistance or a time open."""
        spread = np.sqrt(np.diag(self.covariance))
        for element, at in zip(self.elements, self.places, strict=True):
            count = 2 if element in ARCS else 1
            if element != "L" and not (spread[at : at + count] <= DETERMINED).all():
                return True
        return False


def parse(text: str) -> tuple[str, ...]:
    """Return the elements of a circuit written as ``L-R-ZARC-ZARC-W``.

    Raises
    ------
    InputError
        An element is unknown, or there is not exactly one R, or two of L, W, C, CPE.
    """
    elements = tuple(part.strip().upper() for part in text.split("-"))
    unknown = [e for e in elements if e not in CODES]
    if unknown:
        raise InputError(
            f"circuit {text!r}: no element is called {unknown[0]!r}",
            f"elements in series, joined by '-': {', '.join(CODES)}",
        )
    if any(elements.count(e) > 1 for e in CODES if e not in ARCS) or (
        elements.count("R") != 1
    ):
        raise InputError(
            f"circuit {text!r}: one R, and at most one each of L, C, W and CPE",
            "e.g. L-R-ZARC-ZARC-W; only RC and ZARC may be repeated",
        )
    return elements


def best_fit(
    omega: Column,
    re: Column,
    im: Column,
    circuits: Sequence[str],
    arcs: Floats,
    noise: float,
) -> Fit | None:
    """Return the circuit with the lowest information criterion, None if none fits.

    Parameters
    ----------
    omega : (n,) rad/s, falling
    re, im : (n,) ohm
    circuits : candidates; with a single one it is taken even if a parameter stays
        undetermined
    arcs : (k, 2) resistance in ohm and time constant in s of the peaks of the
        distribution of relaxation times, largest first
    noise : relative residual that is as good as the data: once a determined circuit
        leaves no more, larger ones are not tried
    """
    fits = []
    for text in circuits:
        elements = parse(text)
        count = sum(kernel.SIZES[CODES[e]] for e in elements)
        if 2 * omega.size <= 2 * count:
            continue
        found = fit(omega, re, im, elements, arcs)
        if found is not None and (len(circuits) == 1 or not found.undetermined()):
            fits.append(found)
            if found.rms <= noise:
                break
    if not fits:
        return None
    best = min(fits, key=lambda f: f.bic)
    if len(circuits) == 1:
        return best
    # Too small to turn the spectrum inductive, an inductance still bends its top.
    other = best.elements[1:] if best.elements[0] == "L" else ("L", *best.elements)
    found = fit(omega, re, im, other, arcs)
    if found is not None and found.bic < best.bic and not found.undetermined():
        return found
    return best


def fit(
    omega: Column, re: Column, im: Column, elements: tuple[str, ...], arcs: Floats
) -> Fit | None:
    """Return one circuit fitted from several beginnings, None where none converges."""
    kinds = np.array([CODES[e] for e in elements], dtype=np.int64)
    best = None
    for start, least, most in _beginnings(omega, re, im, elements, arcs):
        theta, inverse, facts = kernel.fit_circuit(
            omega, re, im, kinds, start, least, most
        )
        if np.isfinite(facts[0]) and (best is None or facts[0] < best[2][0]):
            best = theta, inverse, facts
    if best is None:
        return None
    theta, inverse, facts = best
    n, p = omega.size, theta.size
    real, imaginary = np.empty((p, n)), np.empty((p, n))
    fit_re, fit_im = np.empty(n), np.empty(n)
    kernel.evaluate(omega, re, im, kinds, theta, real, imaginary, fit_re, fit_im)
    squares = max(float(facts[0]), 1e-24)
    order = np.argsort(omega)
    size = np.hypot(re, im)
    off = [((a - b) / size)[order] for a, b in ((fit_re, re), (fit_im, im))]
    variance = squares / (2 * n - p) * related(off)
    values = np.exp(theta)
    slopes = np.ones(p)
    for place in _alphas(elements):
        share = 1.0 / (1.0 + math.exp(-theta[place]))
        values[place] = kernel.ALPHA_LEAST + (1.0 - kernel.ALPHA_LEAST) * share
        slopes[place] = (1.0 - kernel.ALPHA_LEAST) * share * (1.0 - share)
    covariance = variance * inverse * np.outer(slopes, slopes)
    bic = 2 * n * math.log(squares / (2 * n)) + p * math.log(2 * n)
    unsorted = Fit(
        elements, values, covariance, math.sqrt(squares / (2 * n)), bic, fit_re, fit_im
    )
    return _fast_first(unsorted)


def _beginnings(
    omega: Column, re: Column, im: Column, elements: tuple[str, ...], arcs: Floats
) -> list[tuple[Floats, Floats, Floats]]:
    """Return (start, least, most) of the unbounded parameters, one per beginning."""
    size = np.hypot(re, im)
    scale = float(size.max())
    fast, slow = float(omega.max()), float(omega.min())
    ohmic = max(float(re.min()), 1e-4 * scale)
    span = max(float(re.max()) - ohmic, 1e-3 * scale)
    n_arcs = sum(e in ARCS for e in elements)
    shares = (np.arange(n_arcs) + 1.0) / (n_arcs + 1.0)
    spaced = np.column_stack(
        [np.full(n_arcs, span / max(n_arcs, 1)), (slow / fast) ** -shares / fast]
    )
    wanted = [spaced]
    if n_arcs and len(arcs):
        seen = arcs[:n_arcs]
        more = [seen[0] * (0.3, 30.0**k) for k in range(1, n_arcs - len(seen) + 1)]
        wanted.append(np.vstack([seen, *more]) if more else seen)
    tail = max(float(-im[np.argmin(omega)]), 1e-3 * scale)
    found = []
    for beginning in wanted:
        ordered = beginning[np.argsort(beginning[:, 1])]
        start: list[float] = []
        least: list[float] = []
        most: list[float] = []
        arc = iter(ordered)
        for element in elements:
            if element in ARCS:
                ohm, tau = next(arc)
                typical = [max(ohm, 1e-4 * scale), tau]
                low = [1e-6 * scale, 0.05 / fast]
                high = [1e4 * scale, 20.0 / slow]
            else:
                value = {
                    "R": ohmic,
                    "L": max(float(im[np.argmax(omega)]), 1e-3 * ohmic) / fast,
                    "C": 1.0 / (slow * tail),
                    "W": tail * math.sqrt(slow),
                    "CPE": 1.0 / (tail * slow**0.8),
                }[element]
                typical, low, high = [value], [1e-6 * value], [1e6 * value]
            start += [math.log(v) for v in typical]
            least += [math.log(v) for v in low]
            most += [math.log(v) for v in high]
            if element in ("ZARC", "CPE"):
                # alpha = 0.8, within 0.30 and 0.9999.
                start, least, most = [*start, 0.92], [*least, -7.0], [*most, 9.0]
        found.append((np.array(start), np.array(least), np.array(most)))
    return found


def _alphas(elements: Sequence[str]) -> list[int]:
    """Return the places of the exponents among the parameters."""
    places, at = [], 0
    for element in elements:
        at += kernel.SIZES[CODES[element]]
        if element in ("ZARC", "CPE"):
            places.append(at - 1)
    return places


def _fast_first(found: Fit) -> Fit:
    """Return the fit with its arcs of one kind in the order of their time constants."""
    places = found.places
    order = list(range(len(found.elements)))
    for kind in ARCS:
        here = [k for k in order if found.elements[k] == kind]
        ranked = sorted(here, key=lambda k: found.values[places[k] + 1])
        for at, k in zip(here, ranked, strict=True):
            order[at] = k
    index = np.concatenate(
        [
            np.arange(places[k], places[k] + kernel.SIZES[CODES[found.elements[k]]])
            for k in order
        ]
    )
    return Fit(
        found.elements,
        found.values[index],
        found.covariance[np.ix_(index, index)],
        found.rms,
        found.bic,
        found.fit_re,
        found.fit_im,
    )
