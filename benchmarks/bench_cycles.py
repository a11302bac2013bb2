"""Finding steps and cycles beside NumPy, and beside beep where it is installed.

beep groups by the cycle and step numbers the tester wrote (it finds nothing itself)
and summarises them; battlife finds them in the current. Each does what it needs to
name the charge and discharge of every cycle.
"""

import numpy as np
import pytest

from battlife.kernels.charge import integrate_charge
from battlife.kernels.steps import find_half_cycles, find_steps

SIZES = [10**4, 10**6, 10**7]
ROWS_PER_CYCLE = 1000
PEER_ROWS = 10**5
"""beep takes minutes for more."""


def cycles(n: int):
    """Return (time, current) of n rows: charge, rest, discharge, rest, irregular."""
    rng = np.random.default_rng(2)
    one = np.concatenate([np.full(450, 1.0), np.zeros(50), np.full(450, -1.0)])
    one = np.concatenate([one, np.zeros(ROWS_PER_CYCLE - one.size)])
    current = np.tile(one, n // ROWS_PER_CYCLE)
    return np.cumsum(rng.uniform(1, 15, n)), current


def by_kernels(time, current):
    """Return the steps and, of each half-cycle, what it charged and discharged."""
    n = time.size
    steps = find_steps(current, 0, n, 0.01)
    first, last, _ = find_half_cycles(time, current, 0, n, 0.02)
    halves = [
        integrate_charge(time, current, int(a), int(b) + 1)
        for a, b in zip(first, last, strict=True)
    ]
    return steps, halves


def by_numpy(time, current):
    """Return the same, for data whose half-cycles no pulse interrupts."""
    kind = np.sign(np.where(np.abs(current) > 0.01, current, 0.0))
    edges = np.flatnonzero(np.diff(kind)) + 1
    loaded = kind[np.concatenate([[0], edges])] != 0
    bounds = np.concatenate([[0], edges, [time.size]])
    halves = [
        np.trapezoid(current[max(a - 1, 0) : b + 1], time[max(a - 1, 0) : b + 1])
        for a, b, on in zip(bounds[:-1], bounds[1:], loaded, strict=True)
        if on
    ]
    return edges, halves


def run(benchmark, function, n: int):
    """Time `function` warm, and keep its size for the ratios."""
    benchmark.group = f"cycles {n:.0e}"
    benchmark.extra_info["rows"] = n
    benchmark.pedantic(function, rounds=5, iterations=1, warmup_rounds=1)


@pytest.mark.parametrize("n", [*SIZES, PEER_ROWS])
def test_kernels(benchmark, n):
    time, current = cycles(n)
    run(benchmark, lambda: by_kernels(time, current), n)


@pytest.mark.parametrize(
    "n", [pytest.param(n, id=f"{n}-numpy") for n in (*SIZES, PEER_ROWS)]
)
def test_baseline(benchmark, n):
    time, current = cycles(n)
    run(benchmark, lambda: by_numpy(time, current), n)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("work", ["summarize_cycles", "interpolate_cycles"])
def test_beep(benchmark, work):
    pytest.importorskip("beep", reason="a peer: pip install --group bench")
    import pandas
    from beep.structure.arbin import ArbinDatapath

    time, current = cycles(PEER_ROWS)
    cycle = np.arange(PEER_ROWS) // ROWS_PER_CYCLE
    kind = np.sign(current).astype(int)
    step = np.cumsum(np.concatenate([[0], np.diff(kind) != 0]))
    hours = np.diff(time, prepend=time[0]) / 3600
    table = pandas.DataFrame(
        {
            "test_time": time,
            "date_time": time + 1.6e9,
            "date_time_iso": pandas.to_datetime(time + 1.6e9, unit="s").strftime(
                "%Y-%m-%dT%H:%M:%S+00:00"
            ),
            "cycle_index": cycle,
            "step_index": step % 4,
            "current": current,
            "voltage": 3.7 + 0.5 * np.sin(time / 3000),
            "temperature": 25.0,
            "internal_resistance": 0.05,
        }
    )
    for name, sign in (("charge", 1), ("discharge", -1)):
        table[f"{name}_capacity"] = np.maximum(sign * current, 0) * hours
        grouped = table.groupby("cycle_index")[f"{name}_capacity"]
        table[f"{name}_capacity"] = grouped.cumsum()
        table[f"{name}_energy"] = 3.7 * table[f"{name}_capacity"]
    path = ArbinDatapath(table, {}, paths={"raw": None})
    run(benchmark, getattr(path, work), PEER_ROWS)
