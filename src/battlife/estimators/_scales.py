"""What a column itself says about its resolution and scale."""

import numpy as np
import numpy.typing as npt

from battlife.model import Column, Trace

SAMPLED = 20_000
"""Values looked at; a recorder's quantum shows in far fewer."""
COARSEST = 0.05
"""Of a column's range: a BMS that reports cells in 20 mV steps has 2 % of 1 V."""


def sampled(column: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the finite ones of at most SAMPLED evenly taken values."""
    stride = max(1, column.size // SAMPLED)
    taken = column[::stride]
    return taken[np.isfinite(taken)]


def resolution(column: npt.NDArray[np.float64]) -> float:
    """Return the smallest spacing between distinct values, in the column's unit.

    The 5th percentile of the spacings rather than the least: values printed in
    single precision differ by rounding as well as by the recorder's quantum. 0 where
    the column says nothing of a quantum: fewer than three distinct values, or values
    further apart than COARSEST of their range (a programmed level, not a quantum).
    """
    values = np.unique(sampled(column))
    if values.size < 3:
        return 0.0
    coarsest = COARSEST * float(values[-1] - values[0])
    spacing = np.diff(values)
    spacing = spacing[spacing > 1e-9 * max(abs(values[0]), abs(values[-1]), 1e-9)]
    if not spacing.size:
        return 0.0
    quantum = float(np.percentile(spacing, 5, method="lower"))
    return quantum if quantum <= coarsest else 0.0


def current_scale(current_a: npt.NDArray[np.float64]) -> float:
    """Return the magnitude of the largest sustained current in A, 0 if none.

    The 99.9th percentile of the magnitude: a single wild sample does not set it, a
    10 s pulse in a day of data, sampled evenly, may be missed and does not matter.
    """
    magnitude = np.abs(sampled(current_a))
    return float(np.quantile(magnitude, 0.999)) if magnitude.size else 0.0


def current_threshold(
    current_a: npt.NDArray[np.float64], quantum_a: float | None = None
) -> float:
    """Return the current in A below which the unit rests.

    The larger of 0.5 % of the largest sustained current and three quanta: half a
    percent is below the end of every common taper (C/20 of a 1C test is 5 %) and
    above the offset of a cycler's ammeter (0.02 to 0.1 % of range).

    Parameters
    ----------
    current_a : (n,) A
    quantum_a : its resolution in A where that is known already
    """
    if quantum_a is None:
        quantum_a = resolution(current_a)
    return max(0.005 * current_scale(current_a), 3.0 * quantum_a)


def top_voltage(trace: Trace) -> float:
    """Return the highest sustained voltage of a trace in V, NaN if it has none.

    The 99.9th percentile: end of charge, without single wild samples.
    """
    if "voltage_v" in trace.columns and trace.n_samples:
        values = sampled(trace.columns["voltage_v"])
        if values.size:
            return float(np.quantile(values, 0.999))
    if trace.steps is not None:
        return finite_max(trace.steps.column("max_voltage_v"))
    return float("nan")


def finite_max(column: Column) -> float:
    """Return the largest finite value, NaN if there is none."""
    values = column[np.isfinite(column)]
    return float(values.max()) if values.size else float("nan")
