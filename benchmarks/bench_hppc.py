"""An HPPC record to its pulses and resistances, beside ampworks.

The record is simulated: as many rows (15,838) as the example of ampworks has, in like
steps, from an ohmic cell with one RC pair. Both find the pulses in the current and give
the resistance of each at 1 and at 10 s; ampworks needs to be told the longest pulse.
NumPy is the same work written with its functions.
"""

import numpy as np
import pytest

from battlife.estimators._pulses import PulseRecord
from battlife.estimators.dcir import PulseResistance
from battlife.estimators.ecm import PulseCircuit
from battlife.model import Pack, Trace

TIMES_S = (1.0, 10.0)
LONGEST_S = 60.0


def columns():
    """Return (time, current, voltage) like those of ampworks' example: 15,838 rows."""
    spans = [(10.0, 360, 0.0)]
    for _ in range(9):
        spans += [(10.0, 109, -1.07e-3), (10.0, 361, 0.0), (0.1, 301, -3.2e-3)]
        spans += [(0.1, 401, 0.0), (0.1, 101, 2.4e-3), (0.1, 401, 0.0)]
    spans += [(10.0, 110, -1.07e-3), (10.0, 302, 0.0)]
    current = np.concatenate([np.full(n, i) for _, n, i in spans])
    steps = np.concatenate([np.full(n, dt) for dt, n, _ in spans])
    time = np.cumsum(steps) - steps[0]
    soc = 1 + np.cumsum(current * steps) / 3600 / 3.2e-3
    slow = np.zeros(time.size)
    for k in range(1, time.size):
        kept = np.exp(-steps[k] / 40.0)
        slow[k] = kept * slow[k - 1] + (1 - kept) * current[k]
    rng = np.random.default_rng(1)
    voltage = 3.2 + 0.9 * soc + 17.0 * current + 15.0 * slow
    return time, current, voltage + 1e-5 * rng.standard_normal(time.size)


TIME, CURRENT, VOLTAGE = columns()
TRACE = Trace("cell", None, TIME, [0], {"current_a": CURRENT, "voltage_v": VOLTAGE})
PACK = Pack("cell", sensor={"current_a": 1e-6, "voltage_v": 1e-4})


def by_numpy():
    """Return (m, k) ohm of every pulse from rest."""
    loaded = np.sign(np.where(np.abs(CURRENT) > 1e-5, CURRENT, 0.0))
    edges = np.flatnonzero(np.diff(loaded)) + 1
    bounds = np.concatenate([edges, [TIME.size]])
    found = []
    for a, b in zip(bounds[:-1], bounds[1:], strict=True):
        if loaded[a] == 0 or loaded[a - 1] != 0:
            continue
        at = 0.5 * (TIME[a - 1] + TIME[a]) + np.array(TIMES_S)
        v = np.interp(at, TIME[a:b], VOLTAGE[a:b], right=np.nan)
        i = np.interp(at, TIME[a:b], CURRENT[a:b], right=np.nan)
        found.append((v - VOLTAGE[a - 1]) / (i - CURRENT[a - 1]))
    return np.array(found)


def run(benchmark, function, group="hppc extraction", rounds=20):
    benchmark.group = group
    benchmark.extra_info["rows"] = TIME.size
    return benchmark.pedantic(function, rounds=rounds, iterations=1, warmup_rounds=2)


def test_extraction(benchmark):
    found = run(benchmark, lambda: PulseRecord(TRACE, PACK).resistances(TIMES_S))
    short = np.isfinite(found).all(axis=1)
    assert short.sum() == 18
    np.testing.assert_allclose(found[short], by_numpy()[short], rtol=1e-9)


@pytest.mark.parametrize("peer", [pytest.param(0, id="numpy")])
def test_baseline(benchmark, peer):
    assert run(benchmark, by_numpy).shape == (28, 2)


@pytest.mark.filterwarnings("ignore")
def test_ampworks(benchmark):
    ampworks = pytest.importorskip("ampworks", reason="a peer, see pyproject.toml")
    data = ampworks.Dataset({"Seconds": TIME, "Amps": CURRENT, "Volts": VOLTAGE})
    table = run(
        benchmark,
        lambda: ampworks.hppc.extract_impedance(
            data, tmax=LONGEST_S, sample_times=list(TIMES_S)
        ),
        rounds=5,
    )
    assert len(table) == 18


def test_dcir(benchmark):
    run(benchmark, lambda: PulseResistance(TIMES_S).estimate(TRACE, PACK), "dcir")


def test_ecm(benchmark):
    found = run(benchmark, lambda: PulseCircuit().estimate(TRACE, PACK), "ecm", 10)
    assert sum(e.status == "ok" for e in found) == 18
