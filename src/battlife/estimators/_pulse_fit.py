"""The samples of one pulse and its rest, and the circuit fitted to them."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from battlife.estimators._pulses import Pulse, PulseRecord
from battlife.estimators._residuals import related
from battlife.kernels.pulse_circuit import LINEAR, fit_pulse
from battlife.model import Column

Floats = npt.NDArray[np.float64]

DETERMINED: Final = 0.5
"""Largest standard uncertainty of ln(tau), and relative one of a resistance, that
still counts as determined."""
FEWEST_RESTING: Final = 5
"""From this many samples of rest on the first is left out: testers take its current
after the load went off and its voltage before, or the other way round."""
REST_BEFORE_S: Final = 10.0
"""From this much of the rest before a pulse its drift is read."""


@dataclass(frozen=True, eq=False)
class PulseWindow:
    """Samples of one pulse and of the rest after it; sample 0 is the last before.

    Attributes
    ----------
    time, current, voltage : (m,) s, A, V
    off : first sample of the rest after, m if there is none
    on_s, u_on_s : when the load came on, and its standard uncertainty
    off_s : when it went off
    stop : sample of the trace after the last one
    """

    time: Column
    current: Column
    voltage: Column
    off: int
    on_s: float
    u_on_s: float
    off_s: float
    stop: int

    @property
    def loaded_s(self) -> float:
        """Length of the pulse in s."""
        return self.off_s - self.on_s

    @property
    def rest_s(self) -> float:
        """Length of the rest after it in s."""
        return float(self.time[-1]) - self.off_s

    @property
    def load_a(self) -> float:
        """Median current of the pulse in A, positive while charging."""
        return float(np.median(self.current[1 : self.off]))

    @property
    def swing_v(self) -> float:
        """Range of the voltage in V."""
        return float(np.ptp(self.voltage))


@dataclass(frozen=True, eq=False)
class CircuitFit:
    """Circuit of one window.

    Attributes
    ----------
    values : R0 in ohm, slope in V/As, then R in ohm and tau in s of each pair
    spread : standard uncertainty of each by the residuals, of ln(tau) for a tau
    fitted : (m,) V
    rms_v : root mean square of the residuals in V
    bic : Bayesian information criterion, lower is better
    determined : whether the data hold every pair
    """

    values: Floats
    spread: Floats
    fitted: Floats
    rms_v: float
    bic: float
    determined: bool

    @property
    def pairs(self) -> int:
        """Number of RC pairs."""
        return (self.values.size - LINEAR) // 2


def window_of(
    record: PulseRecord, pulse: Pulse, relaxation_s: float | None
) -> PulseWindow:
    """Return the samples of a pulse and of `relaxation_s` of the rest after it.

    None takes twice the length of the pulse.
    """
    time, current = record.time, record.current
    on_s, u_on_s = record.load_on(pulse)
    last = float(time[pulse.stop - 1])
    length = relaxation_s
    if length is None:
        length = 2.0 * (last - on_s)
    end = record.trace.segments()[pulse.segment].stop
    ahead = time[pulse.stop : end]
    end = pulse.stop + int(np.searchsorted(ahead, last + length, side="right"))
    after = current[pulse.stop : end]
    loaded = np.flatnonzero(~(np.abs(after) <= record.threshold_a))
    stop = pulse.stop + (int(loaded[0]) if loaded.size else after.size)
    part = slice(pulse.before, stop)
    off_s = last
    if stop > pulse.stop:
        first = float(time[pulse.stop])
        off_s = 0.5 * (last + first)
        if record.clock is not None:
            told = first - float(record.clock[pulse.stop])
            off_s = told if last <= told <= first else off_s
    taken = np.arange(part.start, part.stop)
    if stop - pulse.stop >= FEWEST_RESTING:
        taken = np.delete(taken, pulse.stop - pulse.before)
    return PulseWindow(
        time[taken],
        current[taken],
        record.voltage[taken],
        pulse.stop - pulse.before,
        on_s,
        u_on_s,
        off_s,
        stop,
    )


def circuit_of(window: PulseWindow) -> CircuitFit | None:
    """Return two pairs where the data hold them, else one; None for a wrong sign."""
    gaps = np.diff(window.time[1 : window.off])
    finest = max(float(np.median(gaps)), float(window.time[1]) - window.on_s, 1e-6)
    length = float(window.time[-1]) - window.on_s
    fits = [f for n in (1, 2) if (f := _with(window, n, finest, length)) is not None]
    good = [f for f in fits if f.determined]
    if good:
        return min(good, key=lambda f: f.bic)
    return fits[0] if fits else None


def _with(
    window: PulseWindow, pairs: int, finest: float, length: float
) -> CircuitFit | None:
    values, inverse, fitted, squares = fit_pulse(
        window.time,
        window.current,
        window.voltage,
        window.off,
        window.on_s,
        window.off_s,
        finest,
        length,
        pairs,
    )
    if not values[0] > 0.0:
        return None
    n, p = window.time.size - 1, values.size
    squares = max(squares, 1e-18 * n)
    off = (fitted - window.voltage)[1:]
    variance = squares / (n - p) * related((off,))
    spread = np.sqrt(variance * np.clip(np.diag(inverse), 0.0, None))
    ohm, tau = values[LINEAR::2], values[LINEAR + 1 :: 2]
    inside = (tau > 1.02 * finest) & (tau < 0.98 * length) & (ohm > 0.0)
    known = (spread[LINEAR::2] <= DETERMINED * ohm) & (
        spread[LINEAR + 1 :: 2] <= DETERMINED
    )
    return CircuitFit(
        values,
        spread,
        fitted,
        math.sqrt(squares / n),
        n * math.log(squares / n) + p * math.log(n),
        bool((inside & known).all()),
    )


def drift_of(record: PulseRecord, pulse: Pulse, window: PulseWindow) -> float:
    """Return what the voltage would have moved by itself while the pulse lasted, V.

    From the last REST_BEFORE_S of the rest: a cell that was loaded shortly before
    still relaxes, and its relaxation would be taken for that of the pulse.
    """
    start = record.trace.segments()[pulse.segment].start
    begin = max(start, pulse.before - 200)
    part = slice(begin, pulse.before + 1)
    time = record.time[part]
    resting = np.abs(record.current[part]) <= record.threshold_a
    resting &= time >= record.time[pulse.before] - REST_BEFORE_S
    loaded = np.flatnonzero(~resting)
    first = int(loaded[-1]) + 1 if loaded.size else 0
    t, v = time[first:], record.voltage[part][first:]
    if t.size < 2 or not t[-1] > t[0] or not np.isfinite(v[[0, -1]]).all():
        return 0.0
    moved = float(v[-1] - v[0])
    if abs(moved) <= record.voltage_step:
        return 0.0
    return moved / float(t[-1] - t[0]) * window.loaded_s
