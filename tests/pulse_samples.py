"""An HPPC test of a cell whose circuit is known."""

import numpy as np

from battlife.model import Provenance, Trace

R0, R1, TAU1, R2, TAU2 = 0.020, 0.006, 2.0, 0.009, 20.0
CAPACITY_AH, TOP_V, BOTTOM_V = 2.0, 4.1, 3.3
NOWHERE = Provenance()


def ocv(soc):
    return BOTTOM_V + (TOP_V - BOTTOM_V) * soc


def program(load_a=4.0, socs=(0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)):
    """Return (time, current): per SOC a 20 s pulse each way, with rests around."""
    spans = [(1.0, 60, 0.0)]
    soc = 1.0
    for target in socs:
        spans.append((10.0, round((soc - target) * CAPACITY_AH / 2.0 * 360), -2.0))
        spans += [(10.0, 60, 0.0), (1.0, 20, 0.0)]
        spans += [(0.1, 200, -load_a), (1.0, 300, 0.0)]
        spans += [(0.1, 200, 0.75 * load_a), (1.0, 300, 0.0)]
        soc = target - 0.25 * load_a * 20 / 3600 / CAPACITY_AH
    spans += [(10.0, round(soc * CAPACITY_AH / 2.0 * 360) - 1, -2.0), (10.0, 60, 0.0)]
    steps = np.concatenate([np.full(n, dt) for dt, n, _ in spans])
    current = np.concatenate([[0.0], *[np.full(n, i) for _, n, i in spans]])
    return np.concatenate([[0.0], np.cumsum(steps)]), current


def hppc(
    seed=0, noise_v=2e-4, scale=1.0, degc=25.0, provenance=NOWHERE, load_a=4.0
) -> Trace:
    """Return the trace; the current of a sample flowed since the one before."""
    time, current = program(load_a)
    steps = np.diff(time)
    soc = 1.0 + np.concatenate([[0.0], np.cumsum(current[1:] * steps)]) / 3600 / (
        CAPACITY_AH
    )
    voltage = ocv(soc) + scale * R0 * current
    for ohm, tau in ((R1, TAU1), (R2, TAU2)):
        x = np.zeros(time.size)
        kept = np.exp(-steps / tau)
        for k in range(1, time.size):
            x[k] = kept[k - 1] * x[k - 1] + (1 - kept[k - 1]) * current[k]
        voltage = voltage + scale * ohm * x
    voltage = voltage + noise_v * np.random.default_rng(seed).standard_normal(time.size)
    # The clock of the tester's step: load-on is known.
    edges = np.concatenate([[True], np.diff(current) != 0])
    begun = np.concatenate([[0.0], time[:-1]])[edges][np.cumsum(edges) - 1]
    columns = {
        "current_a": current,
        "voltage_v": voltage,
        "step_time_s": time - begun,
        "temperature_degc": np.full(time.size, degc),
    }
    return Trace("cell", None, time, [0], columns, provenance=provenance)


def pulses_only(provenance=NOWHERE) -> Trace:
    """Return the part of the test that holds one pulse pair, without SOC steps."""
    trace = hppc(provenance=provenance)
    current = trace.column("current_a")
    first = int(np.flatnonzero(current == -4.0)[0]) - 15
    part = slice(first, first + 15 + 200 + 300)
    columns = {k: v[part] for k, v in trace.columns.items()}
    return Trace(
        "cell",
        None,
        trace.time_s[part] - trace.time_s[first],
        [0],
        columns,
        provenance=provenance,
    )


def whole_test(provenance=NOWHERE) -> Trace:
    """Return the whole test for the shared estimator tests."""
    return hppc(provenance=provenance)
