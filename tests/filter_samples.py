"""A cell with known numbers, its Model, and records simulated from it."""

import numpy as np

from battlife.estimators._cell_model import CellModel
from battlife.model import Provenance, Trace
from battlife.model.learned import Model

CAPACITY_AH = 2.0


def nmc() -> CellModel:
    """Return a cell with a sloping curve."""
    soc = np.linspace(0.0, 1.0, 101)
    one = np.ones(soc.size)
    ocv = 3.45 + 0.7 * soc - 0.45 * np.exp(-18 * soc) + 0.05 * soc**8
    return CellModel(
        soc=soc,
        ocv_v=ocv,
        ocv_v_per_k=np.zeros(soc.size),
        gap_shape=one,
        r0_shape=one,
        error_v=np.hypot(0.005, 0.01 * np.gradient(ocv, soc)),
        temperature_degc=[0.0, 25.0],
        r0_ohm=[0.1, 0.04],
        rc_ohm=[[0.02, 0.03], [0.01, 0.015]],
        rc_s=[[5.0, 200.0], [5.0, 200.0]],
        hysteresis_v=[0.01, 0.01],
        hysteresis_rate=[60.0, 60.0],
        capacity_ah=[CAPACITY_AH, CAPACITY_AH],
        efficiency=[1.0, 1.0],
        doubt_v=[0.0, 0.0],
        r_doubt=[0.0, 0.0],
        range_v=(2.8, 4.3),
        chemistry="NMC",
    )


def lfp() -> CellModel:
    """Return a cell with a flat curve between two knees."""
    from dataclasses import replace

    soc = np.linspace(0.0, 1.0, 101)
    ocv = (
        3.24
        + 0.05 * np.tanh((soc - 0.2) / 0.12)
        + 0.018 * np.tanh((soc - 0.7) / 0.03)
        + 0.03 * soc
        - 0.6 * np.exp(-40 * soc)
        + 0.3 * np.exp(-60 * (1 - soc))
    )
    return replace(
        nmc(),
        ocv_v=ocv,
        error_v=np.hypot(0.005, 0.01 * np.gradient(ocv, soc)),
        hysteresis_v=[0.02, 0.02],
        range_v=(2.4, 3.7),
        chemistry="LFP",
    )


def model(cell: CellModel | None = None) -> Model:
    """Return a cell as a Model."""
    return (cell or nmc()).to_model("soc_ekf", (), "test")


def load(rng: np.random.Generator, n: int, mean_a: float) -> np.ndarray:
    """Return (n,) A of random pulses of 5 to 60 s around a mean."""
    current = np.empty(n)
    k = 0
    while k < n:
        length = int(rng.integers(5, 60))
        current[k : k + length] = mean_a + 1.5 * rng.normal() * rng.choice([0.3, 1.0])
        k += length
    return current


def run(
    cell: CellModel,
    current_a: np.ndarray,
    soc: float,
    rng: np.random.Generator,
    degc: float = 25.0,
    capacity: float = 1.0,
    curve_v: np.ndarray | float = 0.0,
    resistance: float = 1.0,
    noise_v: float = 0.001,
    hysteresis: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (voltage, soc) at 1 Hz of a cell that differs from its model."""
    at = cell.at(degc)
    axis = at.grid[0] + np.arange(at.curves.shape[1]) / at.grid[1]
    mean = np.concatenate([[0.0], 0.5 * (current_a[1:] + current_a[:-1])])
    passed = mean / 3600.0 / (at.capacity_ah * capacity)
    z = soc + np.cumsum(passed)
    v = np.interp(z, axis, at.curves[0]) + np.interp(
        z, np.linspace(0, 1, 101), np.broadcast_to(curve_v, 101)
    )
    polarised = np.interp(z, axis, at.curves[2]) * current_a
    for ohm, tau in at.rc:
        keep, inner = np.exp(-1.0 / tau), 0.0
        for k in range(current_a.size):
            inner = keep * inner + (1.0 - keep) * mean[k]
            polarised[k] += ohm * inner
    h = np.empty(current_a.size)
    share = hysteresis
    for k in range(current_a.size):
        keep = np.exp(-at.hysteresis_rate * abs(passed[k]))
        share = keep * share + (1.0 - keep) * np.sign(passed[k])
        h[k] = share
    v = v + h * np.interp(z, axis, at.curves[1]) + resistance * polarised
    return v + noise_v * rng.normal(size=v.size), z


def drive(provenance: Provenance = Provenance()) -> Trace:  # noqa: B008 (frozen)
    """Return an hour of driving from 80 %."""
    rng = np.random.default_rng(5)
    current = load(rng, 3600, -0.8)
    voltage, _ = run(nmc(), current, 0.8, rng)
    return traced(current, voltage, provenance=provenance)


def rested(provenance: Provenance = Provenance()) -> Trace:  # noqa: B008 (frozen)
    """Return a discharge in four parts with rests between."""
    rng = np.random.default_rng(6)
    rest, part = np.zeros(900), np.full(1400, -1.0)
    current = np.concatenate([rest, *([part, rest] * 4)])
    voltage, _ = run(nmc(), current, 0.95, rng)
    return traced(current, voltage, provenance=provenance)


def traced(
    current: np.ndarray,
    voltage: np.ndarray,
    degc: float = 25.0,
    provenance: Provenance = Provenance(),  # noqa: B008 (frozen)
) -> Trace:
    """Return columns at 1 Hz as a trace."""
    columns = {
        "current_a": current,
        "voltage_v": voltage,
        "temperature_degc": np.full(current.size, degc),
    }
    time = np.arange(current.size, dtype=float)
    return Trace("cell", None, time, [0], columns, provenance=provenance)
