"""The temperature of a unit, however many sensors it has."""

import numpy as np

from battlife.model import Column, Spectrum, Trace


def unit_temperature(trace: Trace) -> Column | None:
    """Return the (n,) temperature of the unit in degC, None if nothing measured it.

    Where a pack has sensors and no temperature of its own it is their mean, as test
    standards take it; NaN where no sensor gives a value.
    """
    own = trace.columns.get("temperature_degc")
    sensors = trace.columns.get("cell_temperature_degc")
    if own is not None or sensors is None:
        return own
    known = np.isfinite(sensors)
    count = known.sum(axis=0)
    total = np.where(known, sensors, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def spectrum_temperature(trace: Trace, spectrum: Spectrum) -> float:
    """Return the temperature of a spectrum in degC, NaN if nothing measured it."""
    if np.isfinite(spectrum.temperature_degc):
        return spectrum.temperature_degc
    column = unit_temperature(trace)
    if column is None or not np.isfinite(spectrum.time_s):
        return float("nan")
    if trace.n_segments > 1 or not trace.n_samples:
        return float("nan")
    at = int(np.searchsorted(trace.time_s, spectrum.time_s))
    return float(column[min(at, trace.n_samples - 1)])
