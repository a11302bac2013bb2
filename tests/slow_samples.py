"""A slow discharge and charge of a cell whose electrodes are known."""

import numpy as np

from battlife.model import Pack, Provenance, Trace
from support import DATASETS

POSITIVE = DATASETS / "half_cells" / "nmc_smooth.csv"
NEGATIVE = DATASETS / "half_cells" / "gr_smooth.csv"
CELL_AH = 2.0
LOW = (0.03, 0.96)
"""Lithiation of negative and positive when the cell is empty,"""
HIGH = (0.83, 0.13)
"""and when it is full."""
PACK = Pack(
    "cell",
    nominal_ah=CELL_AH,
    sensor={"current_a": 2e-4, "voltage_v": 0.001, "current_relative": 1e-3},
    calibration="rig 1",
)


def half_cell(path):
    """Return (lithiation, V) of a curve measured from full to empty."""
    table = np.genfromtxt(path, delimiter=",", names=True)
    return table["Ah"] / table["Ah"][-1], table["Volts"]


def open_circuit(soc, low=LOW, high=HIGH):
    """Return the (n,) voltage of a cell at each state of charge."""
    x = low[0] + (high[0] - low[0]) * soc
    y = low[1] + (high[1] - low[1]) * soc
    return np.interp(y, *half_cell(POSITIVE)) - np.interp(x, *half_cell(NEGATIVE))


def capacities(low=LOW, high=HIGH, cell_ah=CELL_AH):
    """Return Ah of positive, negative and lithium."""
    c_n, c_p = cell_ah / (high[0] - low[0]), cell_ah / (low[1] - high[1])
    return c_p, c_n, c_n * low[0] + c_p * low[1]


def slow(
    provenance: Provenance = Provenance(),  # noqa: B008 (frozen)
    hours=20.0,
    period_s=30.0,
    ohm=0.05,
    low=LOW,
    high=HIGH,
    cell_ah=CELL_AH,
    noise_v=0.0,
    window=(0.0, 1.0),
    seed=1,
):
    """Return rest, a discharge from `window[1]` to `window[0]`, rest, and the charge.

    Parameters
    ----------
    hours : of a whole discharge
    period_s : s between samples
    ohm : polarisation
    low, high : lithiation of negative and positive of the empty and the full cell
    cell_ah : Ah between them
    noise_v : V, standard deviation of each sample
    window : state of charge at either end
    """
    load = cell_ah / hours
    n = int(hours * 3600 / period_s * (window[1] - window[0])) + 1
    rest = np.zeros(20)
    down = np.linspace(window[1], window[0], n)
    # Current is on from one sample to the next, so that the charge is exact.
    current = np.concatenate([rest, np.full(n, -load), rest, np.full(n, load), rest])
    soc = np.concatenate(
        [rest + window[1], down, rest + window[0], down[::-1], rest + window[1]]
    )
    voltage = open_circuit(soc, low, high) + ohm * current
    if noise_v:
        voltage = voltage + np.random.default_rng(seed).normal(0, noise_v, soc.size)
    columns = {
        "current_a": current,
        "voltage_v": voltage,
        "temperature_degc": np.full(soc.size, 25.0),
    }
    time = np.arange(soc.size) * period_s
    return Trace("cell", None, time, [0], columns, provenance=provenance)
