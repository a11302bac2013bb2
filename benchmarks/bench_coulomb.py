"""Coulomb counting, charge and discharge apart, beside NumPy; rows per second."""

import numpy as np
import pytest

from battlife.kernels.charge import integrate_charge, integrate_energy

SIZES = [10**3, 10**5, 10**7]


def current(shape: str, n: int):
    """Return (time, current): a smooth profile, or one of random sign."""
    rng = np.random.default_rng(1)
    time = np.cumsum(rng.uniform(0.5, 1.5, n))
    if shape == "smooth":
        return time, 5 * np.sin(np.linspace(0, 60, n))
    return time, rng.normal(0, 5, n)


def run(benchmark, function, n: int, group: str):
    """Time `function` warm, and keep its size for the ratios."""
    benchmark.group = group
    benchmark.extra_info["rows"] = n
    benchmark.pedantic(
        function, rounds=7, iterations=max(1, 10**6 // n), warmup_rounds=2
    )


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("shape", ["smooth", "random"])
def test_charge_kernel(benchmark, shape, n):
    time, amps = current(shape, n)
    run(benchmark, lambda: integrate_charge(time, amps, 0, n), n, f"{shape} {n:.0e}")


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("shape", ["smooth", "random"])
def test_energy_kernel(benchmark, shape, n):
    time, amps = current(shape, n)
    volts = np.full(n, 3.7)
    group = f"{shape} {n:.0e}"
    run(benchmark, lambda: integrate_energy(time, amps, volts, 0, n), n, group)


@pytest.mark.parametrize(
    ("shape", "n"),
    [
        pytest.param(s, n, id=f"{s}-{n}-net_only-numpy")
        for s in ("smooth", "random")
        for n in SIZES
    ],
)
def test_charge(benchmark, shape, n):
    """NumPy's trapezoid gives the net alone: less work than the kernel does."""
    time, amps = current(shape, n)
    run(benchmark, lambda: np.trapezoid(amps, time), n, f"{shape} {n:.0e}")


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("shape", ["smooth", "random"])
def test_charge_split_by_numpy(benchmark, shape, n):
    """The same result as the kernel's, in NumPy."""
    time, amps = current(shape, n)

    def split():
        a, b, dt = amps[:-1], amps[1:], np.diff(time)
        m = np.abs(a) + np.abs(b)
        magnitude = np.sum(dt * (m + 2 * np.minimum(a * b, 0) / (m + 1e-300)))
        net = np.sum(dt * (a + b))
        return (magnitude + net) / 14400, (magnitude - net) / 14400

    assert split() == pytest.approx(integrate_charge(time, amps, 0, n), rel=1e-9)
    run(benchmark, split, n, f"{shape} {n:.0e}")
