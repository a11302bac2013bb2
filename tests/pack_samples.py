"""Packs with known faults for the tests of spread, anomaly and self-discharge.

Made, not measured: cells of one open-circuit curve that differ in capacity,
resistance, state of charge and temperature, under a load, read by a BMS with steps.
"""

from dataclasses import dataclass, replace

import numpy as np

from battlife.model import Provenance, Trace

# Rounded shapes over equal steps of SOC, as in battlife.simulate.pack_model.
OCV = {
    "nmc": (3.00, 3.45, 3.55, 3.60, 3.63, 3.67, 3.75, 3.85, 3.94, 4.05, 4.18),
    "lfp": (2.60, 3.20, 3.24, 3.27, 3.285, 3.29, 3.295, 3.32, 3.33, 3.335, 3.45),
}
TAU_S = 30.0
WARMER = 0.033
"""Relative resistance per K: Leaf cells at 10 degC have 1.65 times that at 25."""


@dataclass(frozen=True)
class Made:
    """What a pack is made of; the defaults are a healthy one in a drive.

    Attributes
    ----------
    fault : "none", "capacity", "resistance", "aged", "soc", "sense", "parallel",
        "short", "stuck"
    size : of the fault: share lost, ratio of resistance, Ah, V, strings lost, A
    cell : the faulty one
    """

    fault: str = "none"
    size: float = 0.0
    cell: int = 5
    n_cells: int = 16
    n_parallel: int = 3
    capacity_ah: float = 60.0
    resistance_ohm: float = 0.0012
    chemistry: str = "nmc"
    load: str = "drive"
    soc: float = 0.7
    hours: float = 3.0
    step_s: float = 1.0
    quantum_v: float = 0.001
    noise_v: float = 0.0005
    gradient_k: float = 5.0
    soc_spread: float = 0.01
    seed: int = 0


def current_of(made: Made, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return (n,) A: rest, a load, rest again."""
    current = np.zeros(n)
    first, last = n // 12, n - n // 12
    if made.load == "rest":
        return current
    if made.load == "constant":
        current[first:last] = -0.12 * made.capacity_ah
        return current
    if made.load == "cycle":
        # Half an hour each way at C/4, with rests between: charge comes back, time not.
        turn = np.floor(np.arange(n) * made.step_s / 1800.0).astype(int) % 4
        levels = np.array([-0.25, 0.0, 0.25, 0.0]) * made.capacity_ah
        current[first:last] = levels[turn][first:last]
        return current
    hold = max(1, round(8.0 / made.step_s))
    levels = rng.uniform(-0.7, 0.5, n // hold + 1) * made.capacity_ah
    current[first:last] = np.repeat(levels, hold)[first:last]
    return current


def made_pack(
    made: Made,
    provenance: Provenance = Provenance(),  # noqa: B008 (frozen)
) -> Trace:
    """Return what a BMS records of it."""
    rng = np.random.default_rng(made.seed)
    cells, at = made.n_cells, made.cell
    n = round(made.hours * 3600 / made.step_s)
    time = np.arange(n) * made.step_s
    current = current_of(made, rng, n)
    capacity = made.capacity_ah * (1 + 0.01 * rng.standard_normal(cells))
    resistance = made.resistance_ohm * (1 + 0.05 * rng.standard_normal(cells))
    degc = 22.0 + made.gradient_k * np.arange(cells) / max(cells - 1, 1)
    resistance *= np.exp(-WARMER * (degc - 25.0))
    soc = made.soc + made.soc_spread * rng.standard_normal(cells)
    leak = np.zeros(cells)
    if made.fault in ("capacity", "aged"):
        capacity[at] *= 1.0 - made.size
    if made.fault == "aged":
        resistance[at] *= 1.0 + 2.5 * made.size
    if made.fault == "resistance":
        resistance[at] *= made.size
    if made.fault == "soc":
        soc[at] += made.size
    if made.fault == "parallel":
        share = (made.n_parallel - made.size) / made.n_parallel
        capacity[at] *= share
        resistance[at] /= share
    if made.fault == "short":
        leak[at] = made.size
    decay = np.exp(-made.step_s / TAU_S)
    slow = np.zeros(n)
    for k in range(1, n):
        slow[k] = slow[k - 1] * decay + current[k] * (1 - decay)
    given = np.concatenate([[0.0], np.cumsum(current[1:] * made.step_s)]) / 3600
    charge = given[None, :] - leak[:, None] * time[None, :] / 3600
    soc_t = soc[:, None] + charge / capacity[:, None]
    grid = np.linspace(0.0, 1.0, 11)
    voltage = np.interp(soc_t, grid, OCV[made.chemistry])
    voltage += resistance[:, None] * (current + 0.5 * slow)[None, :]
    if made.fault == "sense":
        voltage[at] += made.size
        voltage[at + 1] -= made.size
    voltage += made.noise_v * rng.standard_normal(voltage.shape)
    if made.fault == "stuck":
        voltage[at] = voltage[at, 0]
    voltage = np.round(voltage / made.quantum_v) * made.quantum_v
    measured = np.round((current + 0.02 * rng.standard_normal(n)) / 0.1) * 0.1
    columns = {
        "cell_voltage_v": voltage,
        "current_a": measured,
        "voltage_v": voltage.sum(axis=0),
        "cell_temperature_degc": np.repeat(degc[::4, None], n, axis=1),
    }
    return Trace("cell", None, time, [0], columns, provenance=provenance)


def driven(provenance: Provenance = Provenance()) -> Trace:  # noqa: B008 (frozen)
    """Return a healthy pack in a drive."""
    return made_pack(Made(), provenance)


def cycled(provenance: Provenance = Provenance()) -> Trace:  # noqa: B008 (frozen)
    """Return a healthy pack cycled for eight hours, with what its BMS reports."""
    trace = made_pack(Made(load="cycle", hours=8.0, step_s=4.0), provenance)
    given = np.concatenate([[0.0], np.cumsum(trace.column("current_a")[1:] * 4.0)])
    n = trace.n_samples
    reported = {
        "soc": np.round(0.7 + given / 3600 / 60.0, 3),
        "full_capacity_ah": np.full(n, 60.0),
        "design_capacity_ah": np.full(n, 66.0),
        "reported_soh": np.full(n, 0.91),
        "cycle_count": np.full(n, 300.0),
    }
    return replace(trace, columns={**trace.columns, **reported})
