"""State of charge by Kalman filters: samples per second of one core, beside filterpy.

The peers run the same filter of three states (state of charge, hysteresis, error of the
curve) on the same curve: filterpy with functions for the voltage and its slope, and
plain Python floats. Ours has the resistance as a fourth in the same call, and with the
offset of the current and the capacity six; the sigma-point filter always has six.
"""

import math

import numpy as np
import pytest

from battlife.kernels._cell_step import N_SETTINGS
from battlife.kernels.cell_filter import extended_filter, relaxed_current
from battlife.kernels.sigma_filter import sigma_filter

ROWS = {"ours": 20_000, "sigma": 20_000, "peer": 4_000}
CAPACITY_AH = 2.0
RATE, DECAY = 60.0, 20.0
R0, R1, TAU_S = 0.04, 0.015, 30.0
NOISE_V = 0.003
GAP_V, CURVE_V = 0.01, 0.005
SOC = np.linspace(-0.1, 1.1, 601)
OCV = 3.45 + 0.7 * SOC - 0.45 * np.exp(-18 * np.clip(SOC, 0.0, 1.0))
GRID = np.array([-0.1, 500.0])
CURVES = np.vstack([OCV, np.full(601, GAP_V), np.full(601, R0), np.full(601, CURVE_V)])


def drive(rows):
    """Return (time, current, voltage) at 1 Hz, around a state of charge of 0.6."""
    rng = np.random.default_rng(1)
    current = np.repeat(rng.normal(0.0, 1.5, rows // 20 + 1), 20)[:rows]
    time = np.arange(rows, dtype=float)
    soc = 0.6 + np.cumsum(current) / 3600 / CAPACITY_AH
    soc = 0.3 + np.abs((soc - 0.3) % 1.0 - 0.5)
    relaxing = R1 * relaxed_current(time, current, 0, rows, TAU_S)
    voltage = np.interp(soc, SOC, OCV) + R0 * current + relaxing
    return time, current, voltage + 0.001 * rng.normal(size=rows), relaxing


def settings():
    values = [CAPACITY_AH, 1.0, RATE, DECAY, NOISE_V, 0.0, 15.0, 0.0, 0.0, 0.0, 300.0]
    return np.array([*values, 0.0, 60.0, -0.7, 5.0, 0.0, 0.0, 200.0])


def ours(kernel, rows, spread):
    time, current, voltage, relaxing = drive(rows)
    state = np.array([0.6, 0.0, 0.0, 0.0, 0.0, 0.0])
    lasting = np.zeros(rows)
    given = (time, current, voltage, relaxing, lasting, 0, 1, CURVES, GRID)
    assert settings().size == N_SETTINGS
    return lambda: kernel(*given, settings(), state, np.array(spread))


def plain(rows):
    """Return the filter of three states in plain Python."""
    data = [x.tolist() for x in drive(rows)]
    ocv = OCV.tolist()

    def run():
        z, h, d = 0.6, 0.0, 0.0
        zz, hh, dd, zh, zd, hd = 0.01, GAP_V**2, CURVE_V**2, 0.0, 0.0, 0.0
        before = data[1][0]
        for _, now, volt, slow in zip(*data, strict=True):
            step = 0.5 * (now + before) / 3600.0 / CAPACITY_AH
            before = now
            z += step
            phi = math.exp(-RATE * abs(step))
            psi = math.exp(-DECAY * abs(step))
            h = phi * h + (1 - phi) * (GAP_V if step > 0 else -GAP_V)
            d *= psi
            zh, zd, hd = zh * phi, zd * psi, hd * phi * psi
            hh = phi * phi * hh
            dd = psi * psi * dd + (1 - psi * psi) * CURVE_V**2
            place = min(max((z + 0.1) * 500.0, 0.0), 599.0)
            j = int(place)
            slope = (ocv[j + 1] - ocv[j]) * 500.0
            seen = ocv[j] + (place - j) * (ocv[j + 1] - ocv[j]) + h + d
            seen += R0 * now + slow
            g_z, g_h, g_d = zz * slope + zh + zd, zh * slope + hh + hd, zd * slope
            g_d += hd + dd
            s = g_z * slope + g_h + g_d + NOISE_V**2
            gain = (volt - seen) / s
            z, h, d = z + g_z * gain, h + g_h * gain, d + g_d * gain
            zz, zh, zd = zz - g_z * g_z / s, zh - g_z * g_h / s, zd - g_z * g_d / s
            hh, hd, dd = hh - g_h * g_h / s, hd - g_h * g_d / s, dd - g_d * g_d / s
        return z

    return run


def with_filterpy(rows, kalman):
    time, current, voltage, relaxing = drive(rows)

    def run():
        ekf = kalman.ExtendedKalmanFilter(dim_x=3, dim_z=1)
        ekf.x = np.array([0.6, 0.0, 0.0])
        ekf.P = np.diag([0.01, GAP_V**2, CURVE_V**2])
        ekf.R = np.array([[NOISE_V**2]])
        before = current[0]
        for k in range(rows):
            step = 0.5 * (current[k] + before) / 3600.0 / CAPACITY_AH
            before = current[k]
            phi, psi = math.exp(-RATE * abs(step)), math.exp(-DECAY * abs(step))
            ekf.F = np.diag([1.0, phi, psi])
            ekf.Q = np.diag([0.0, 0.0, (1 - psi * psi) * CURVE_V**2])
            ekf.predict()
            side = GAP_V if step > 0 else -GAP_V
            ekf.x = ekf.x + np.array([step, (1 - phi) * side, 0.0])
            place = min(max((ekf.x[0] + 0.1) * 500.0, 0.0), 599.0)
            j = int(place)
            rise = OCV[j + 1] - OCV[j]
            seen = OCV[j] + (place - j) * rise + R0 * current[k] + relaxing[k]
            slopes = np.array([[rise * 500.0, 1.0, 1.0]])
            ekf.update(
                np.array([voltage[k]]),
                lambda x, slopes=slopes: slopes,
                lambda x, seen=seen: np.array([seen + x[1] + x[2]]),
            )
        return float(ekf.x[0])

    return run


def timed(benchmark, function, rows, rounds=100):
    benchmark.group = "kalman filter of a cell"
    benchmark.extra_info["rows"] = rows
    return benchmark.pedantic(function, rounds=rounds, iterations=1, warmup_rounds=1)


def test_extended_four_states(benchmark):
    spread = [0.1, GAP_V, CURVE_V, 0.0, 0.0, 0.0]
    found = timed(benchmark, ours(extended_filter, ROWS["ours"], spread), ROWS["ours"])
    assert np.isfinite(found[0]).all()


def test_extended_six_states(benchmark):
    spread = [0.1, GAP_V, CURVE_V, 0.1, 0.01, 0.03]
    found = timed(benchmark, ours(extended_filter, ROWS["ours"], spread), ROWS["ours"])
    assert np.isfinite(found[0]).all()


def test_sigma_six_states(benchmark):
    spread = [0.1, GAP_V, CURVE_V, 0.1, 0.01, 0.03]
    found = timed(benchmark, ours(sigma_filter, ROWS["sigma"], spread), ROWS["sigma"])
    assert np.isfinite(found[0]).all()


def test_plain_python(benchmark):
    rows = ROWS["peer"]
    soc = timed(benchmark, plain(rows), rows, 5)
    spread = [0.1, GAP_V, CURVE_V, 0.0, 0.0, 0.0]
    found = ours(extended_filter, rows, spread)()
    assert soc == pytest.approx(found[0, rows - 1], abs=0.01)


def test_filterpy(benchmark):
    kalman = pytest.importorskip("filterpy.kalman", reason="a peer, see pyproject.toml")
    rows = ROWS["peer"]
    soc = timed(benchmark, with_filterpy(rows, kalman), rows, 5)
    assert soc == pytest.approx(plain(rows)(), abs=1e-6)
