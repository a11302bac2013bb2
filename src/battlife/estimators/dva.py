"""Differential voltage dV/dQ of each slow charge and discharge, and its peaks.

A peak of dV/dQ lies between two plateaus: its place in charge counts what an electrode
holds up to a stage, so distances between peaks follow the loss of active material and
the place of a peak from the end the slippage of the electrodes (Bloom et al., J. Power
Sources 139, 2005, 295, doi 10.1016/j.jpowsour.2004.07.021).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from battlife.errors import InputError
from battlife.estimators._differential import Differential, OfHalfCycles, Scale
from battlife.estimators._half_cycles import HalfCycle, half_cycle_of
from battlife.estimators._peaks import Smooth
from battlife.kernels.incremental import mean_per_bin, smoothed_slope
from battlife.model import Column, Estimate, Pack, Trace
from battlife.model.curve import Curve

METHOD = "dva"
VERSION = "1"
REACH_SHARE = 0.06
"""How far a peak moves between accepted half-cycles at most, of the charge: a check-up
every few percent of ageing, and peaks of graphite 15 % apart or more."""
BINS_PER_SD = 4.0
"""Charge bins per standard deviation of the smoothing: their own width of a quarter
adds 0.3 % to it (in squares, width^2 / 12)."""
FINEST_V = 0.005
"""Voltage per cell over which the record must be resolved, as for dQ/dV."""


@dataclass(frozen=True)
class DifferentialVoltage(OfHalfCycles):
    """dV/dQ of each slow half-cycle and its peaks, followed over life.

    Attributes
    ----------
    smoothing : standard deviation of the Gaussian, a share of the largest half-cycle
        of the record or the rated capacity
    max_c_rate : 1/h, fastest rate accepted; the reasons are those of `ica`
    """

    smoothing: float = 0.01
    max_c_rate: float = 0.2

    def __post_init__(self) -> None:
        if not 1e-3 <= self.smoothing <= 0.1:
            raise InputError(f"smoothing={self.smoothing} must lie in 0.001 to 0.1")
        if not 0 < self.max_c_rate <= 10:
            raise InputError(f"max_c_rate={self.max_c_rate} must lie in (0, 10] 1/h")

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence[Curve]:
        """Return dV/dQ of the half-cycle of an estimate over charge.

        Raises
        ------
        EstimateError
            The estimate is not of a half-cycle of this trace.
        """
        half = half_cycle_of(trace, pack, estimate)
        curve = self._curve(half)
        columns = {"charge_ah": curve.x, "dva_v_per_ah": curve.y}
        return (Curve("dva", columns),)

    def _differential(self) -> Differential:
        return Differential(
            method=METHOD,
            version=VERSION,
            rule="slope of the mean voltage per charge bin, fitted with Gaussian "
            "weights; a peak is a top of that curve, its area the voltage between the "
            "places where it has fallen half-way to the lowest value on either side; "
            "charge counts from the start of the constant-current part",
            smoothing={"smoothing": "gaussian", "smoothing_share": self.smoothing},
            max_c_rate=self.max_c_rate,
            smoothing_v=FINEST_V,
            reach=lambda halves: REACH_SHARE * max(h.taken_ah for h in halves),
            curve=self._curve,
            place="ah",
            height="v_per_ah",
            area="area_v",
            units=("Ah", "V/Ah", "V"),
            scale=Scale.of_dva,
        )

    def _curve(self, half: HalfCycle) -> Smooth:
        sd = self.smoothing * half.reference_ah
        step = sd / BINS_PER_SD
        n = int(half.taken_ah / step)
        volts = mean_per_bin(
            half.charge_ah, half.voltage_v, 0, half.charge_ah.size, 0.0, step, n
        )
        y = half.direction * smoothed_slope(volts, BINS_PER_SD, step)
        per_sample = half.taken_ah / (half.voltage_v.size - 1)
        # A quantum holds the voltage for q over the slope; never less than a sample.
        level = half.quantum_v / np.maximum(np.abs(y), 1e-12)
        level = np.minimum(level, half.taken_ah)
        noise: Column = level * (half.quantum_v**2 / 12.0)
        noise += per_sample * half.noise_v**2
        place: Column = np.asarray((np.arange(n) + 0.5) * step, dtype=np.float64)
        return Smooth(place, y, sd, noise)
