"""Incremental capacity dQ/dV of each slow charge and discharge, and its peaks.

dQ/dV is the charge that passed per voltage bin (kernels/incremental.py), smoothed by a
Gaussian of stated width, which leaves the area as it is. A peak is a plateau of the
voltage: its place follows potentials and polarisation, its height and area the
material and lithium that take part (Dubarry, Anseán, Front. Energy Res. 10, 2022,
1023555, doi 10.3389/fenrg.2022.1023555). Place and height are those of the smoothed
curve at the stated rate, not of an equilibrium.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from battlife.errors import InputError
from battlife.estimators._differential import Differential, OfHalfCycles, Scale
from battlife.estimators._half_cycles import HalfCycle, half_cycle_of
from battlife.estimators._peaks import Smooth
from battlife.kernels.incremental import charge_per_bin, smoothed
from battlife.model import Column, Estimate, Pack, Trace
from battlife.model.curve import Curve

METHOD = "ica"
VERSION = "1"
REACH_V = 0.05
"""How far a peak moves from one accepted half-cycle to the next at most, per cell:
between check-ups of an ageing cell peaks move 5 to 20 mV, and lie 60 mV apart."""


@dataclass(frozen=True)
class IncrementalCapacity(OfHalfCycles):
    """dQ/dV of each slow half-cycle and its peaks, followed over life.

    Attributes
    ----------
    step_v : V per cell, width of a voltage bin
    smoothing_v : V per cell, standard deviation of the Gaussian
    max_c_rate : 1/h, fastest rate accepted. A sound energy cell drops 50 to 100 mV at
        1C, so C/5 shifts a peak by 10 to 20 mV, less than the width of any peak; a
        comparison over life wants one rate, and C/10 or slower
    """

    step_v: float = 0.001
    smoothing_v: float = 0.005
    max_c_rate: float = 0.2

    def __post_init__(self) -> None:
        if not 1e-5 <= self.step_v <= 0.02:
            raise InputError(f"step_v={self.step_v} must lie between 1e-5 and 0.02 V")
        if not self.step_v <= self.smoothing_v <= 0.1:
            raise InputError(
                f"smoothing_v={self.smoothing_v} must lie between step_v and 0.1 V"
            )
        if not 0 < self.max_c_rate <= 10:
            raise InputError(f"max_c_rate={self.max_c_rate} must lie in (0, 10] 1/h")

    def curves(self, trace: Trace, pack: Pack, estimate: Estimate) -> Sequence[Curve]:
        """Return dQ/dV of the half-cycle of an estimate, smoothed and as counted.

        Raises
        ------
        EstimateError
            The estimate is not of a half-cycle of this trace.
        """
        half = half_cycle_of(trace, pack, estimate)
        curve = self._curve(half)
        columns = {
            "voltage_v": curve.x,
            "ica_ah_per_v": curve.y,
            "ica_unsmoothed_ah_per_v": self._counted(half)[1],
        }
        return (Curve("ica", columns),)

    def _differential(self) -> Differential:
        return Differential(
            method=METHOD,
            version=VERSION,
            rule="charge per voltage bin over the bin's width, smoothed by a Gaussian; "
            "a peak is a top of that curve, its area the charge between the places "
            "where it has fallen half-way to the lowest value on either side",
            smoothing={
                "smoothing": "gaussian",
                "smoothing_sd_v": self.smoothing_v,
                "step_v": self.step_v,
            },
            max_c_rate=self.max_c_rate,
            smoothing_v=self.smoothing_v,
            reach=lambda halves: REACH_V,
            curve=self._curve,
            place="v",
            height="ah_per_v",
            area="area_ah",
            units=("V", "Ah/V", "Ah"),
            scale=Scale.of_ica,
        )

    def _counted(self, half: HalfCycle) -> tuple[Column, Column]:
        """Return (middle of each bin in V, dQ/dV in Ah/V) without smoothing."""
        volts = half.voltage_v
        first = np.floor(float(volts.min()) / self.step_v)
        n = int(np.floor(float(volts.max()) / self.step_v) - first) + 1
        charge = charge_per_bin(
            volts,
            half.charge_ah,
            0,
            volts.size,
            float(first) * self.step_v,
            self.step_v,
            n,
        )
        return (first + 0.5 + np.arange(n)) * self.step_v, charge / self.step_v

    def _curve(self, half: HalfCycle) -> Smooth:
        x, counted = self._counted(half)
        y = smoothed(counted, self.smoothing_v / self.step_v)
        per_sample = half.taken_ah / (half.voltage_v.size - 1)
        # Quanta move samples together: a whole level's charge has one error.
        noise = y * per_sample * half.noise_v**2
        noise += y**2 * half.quantum_v**3 / 12.0
        return Smooth(x, y, self.smoothing_v, noise)
