"""dQ/dV at 1 mV beside NumPy, and beside ampworks and cellpy where installed.

The peers take charge and voltage and give dQ/dV of one half-cycle, as the kernel does;
ampworks fits a spline through all rows and evaluates it, cellpy interpolates, smooths
and differentiates. Their dependencies may clash with battlife's: an environment of
their own runs this file too.
"""

import numpy as np
import pytest

from battlife.kernels.charge import cumulative_charge
from battlife.kernels.incremental import charge_per_bin, smoothed

SIZES = [10**4, 10**6, 10**7]
PEER_ROWS = 10**5
STEP_V, FIRST_V, BINS = 0.001, 3.0, 1200


def half_cycle(n: int, noise_v: float = 0.0):
    """Return (time, current, charge, voltage) of a slow charge with two plateaus."""
    share = np.linspace(0, 1, n)
    voltage = 3.0 + 1.15 * share + 0.05 * np.sin(12 * share) / 12
    if noise_v:
        voltage = voltage + np.random.default_rng(1).normal(0, noise_v, n)
    time = np.arange(n, dtype=np.float64)
    current = np.full(n, 2.0 * 3600 / n)
    return time, current, 2.0 * share, voltage


def by_numpy(charge, voltage):
    """Return the charge per bin from the voltages at the samples."""
    middle = 0.5 * (voltage[1:] + voltage[:-1])
    at = ((middle - FIRST_V) / STEP_V).astype(np.int64)
    return np.bincount(at, np.diff(charge), minlength=BINS) / STEP_V


def run(benchmark, function, n: int, group: str, rounds: int = 7):
    """Time `function` warm, and keep its size for the ratios."""
    benchmark.group = group
    benchmark.extra_info["rows"] = n
    benchmark.pedantic(
        function, rounds=rounds, iterations=max(1, 10**5 // n), warmup_rounds=1
    )


@pytest.mark.parametrize("n", [*SIZES, PEER_ROWS])
def test_kernel(benchmark, n):
    _, _, charge, voltage = half_cycle(n)
    run(
        benchmark,
        lambda: charge_per_bin(voltage, charge, 0, n, FIRST_V, STEP_V, BINS),
        n,
        f"dQ/dV {n:.0e}",
    )


@pytest.mark.parametrize("noise_v", [1e-5, 3e-4])
def test_kernel_with_noise(benchmark, noise_v):
    n = 10**6
    _, _, charge, voltage = half_cycle(n, noise_v)
    run(
        benchmark,
        lambda: charge_per_bin(voltage, charge, 0, n, FIRST_V, STEP_V, BINS),
        n,
        f"dQ/dV {n:.0e}",
    )


@pytest.mark.parametrize("n", [*SIZES, PEER_ROWS])
def test_from_current_to_smoothed(benchmark, n):
    time, current, _, voltage = half_cycle(n)

    def whole():
        charge = cumulative_charge(time, current, 0, n)
        counted = charge_per_bin(voltage, charge, 0, n, FIRST_V, STEP_V, BINS)
        return smoothed(counted / STEP_V, 5.0)

    run(benchmark, whole, n, f"dQ/dV {n:.0e}")


@pytest.mark.parametrize(
    "n", [pytest.param(n, id=f"{n}-numpy") for n in (*SIZES, PEER_ROWS)]
)
def test_baseline(benchmark, n):
    _, _, charge, voltage = half_cycle(n)
    expected = charge_per_bin(voltage, charge, 0, n, FIRST_V, STEP_V, BINS) / STEP_V
    inner = slice(5, 1140)
    np.testing.assert_allclose(
        by_numpy(charge, voltage)[inner], expected[inner], rtol=0.3
    )
    run(benchmark, lambda: by_numpy(charge, voltage), n, f"dQ/dV {n:.0e}")


@pytest.mark.filterwarnings("ignore")
def test_ampworks(benchmark):
    pytest.importorskip("ampworks", reason="a peer: pip install ampworks")
    import ampworks
    from ampworks.dqdv import DqdvSpline

    time, current, charge, voltage = half_cycle(PEER_ROWS)
    data = ampworks.Dataset(
        {
            "Seconds": time,
            "Hours": time / 3600,
            "Amps": current,
            "Volts": voltage,
            "Ah": charge,
            "SOC": charge / charge[-1],
        }
    )

    def whole():
        spline = DqdvSpline().fit(data)
        return spline.dqdv_(np.linspace(0, 1, BINS))

    run(benchmark, whole, PEER_ROWS, f"dQ/dV {PEER_ROWS:.0e}", rounds=3)


@pytest.mark.filterwarnings("ignore")
def test_cellpy(benchmark):
    pytest.importorskip("cellpy", reason="a peer: pip install cellpy")
    from cellpy.utils.ica import dqdv_np

    _, _, charge, voltage = half_cycle(PEER_ROWS)
    run(
        benchmark,
        lambda: dqdv_np(voltage, charge, voltage_resolution=STEP_V),
        PEER_ROWS,
        f"dQ/dV {PEER_ROWS:.0e}",
        rounds=3,
    )
