"""Every kernel once with bounds checks, from a cache that cannot be warm."""

import os
import subprocess
import sys

import pytest

CHARGE = """
import numpy as np
from battlife.kernels.charge import *
from battlife.kernels.interpolate import *
from battlife.kernels.steps import *
for n in (0, 1, 2, 8, 9, 10, 33):
    t = np.arange(n) * 10.0
    i = np.where(np.arange(n) % 7 < 3, 2.0, -1.0)
    v = np.linspace(4.2, 2.5, n)
    integrate_charge(t, i, 0, n)
    integrate_energy(t, i, v, 0, n)
    cumulative_charge(t, i, 0, n)
    find_steps(i, 0, n, 0.1)
    find_half_cycles(t, i, 0, n, 1e-4)
    first_below(v, 0, n, 2.7)
    value_at(t, v, 0, n, 15.0)
    if n > 1:
        crossing_time(t, v, n - 1, 2.6)
t = np.arange(5000) * 1.0
i = np.where(np.arange(5000) // 50 % 2 == 0, 1.0, -1.0)
assert find_half_cycles(t, i, 0, 5000, 1e-4)[0].size == 100
try:
    crossing_time(t, i, 5001, 0.0)
except IndexError:
    print("checked")
"""

IMPEDANCE = """
import numpy as np
from battlife.kernels.circuit import *
from battlife.kernels.kramers_kronig import *
from battlife.kernels.pulse_circuit import *
from battlife.kernels.relaxation_times import *
from battlife.kernels.solving import *
for n in (3, 4, 5, 12, 31):
    w = np.geomspace(1.0, 1e4, n)
    z = 1 + 1 / (1 + 0.1j * w) + 1e-5j * w
    re, im = z.real.copy(), z.imag.copy()
    linear_kk(w, re, im, 2, max(2, min(n - 2, 8)), 0.85)
    tau = np.geomspace(1e-5, 2.0, max(n, 4))
    distribution(w, re, im, tau, 10.0 ** -np.arange(6), 1e-4)
    kinds = np.arange(7)
    theta = np.zeros(11)
    fit_circuit(w, re, im, kinds, theta, theta - 5, theta + 5)
    t = np.arange(n) * 1.0
    i = np.where((t > 0) & (t < n // 2), -1.0, 0.0)
    for off in (max(n // 2, 2), n):
        for pairs in (1, 2):
            fit_pulse(t, i, 3.7 + 0.1 * i, off, 0.5, off - 0.5, 1.0, 30.0, pairs)
matrix = np.eye(3)
factorise(matrix, 3)
inverse = np.empty((3, 3))
invert(matrix, 3, inverse)
not_negative(matrix, np.ones(3), np.zeros(3), 1e-12)
try:
    inner_product(np.ones(3), np.ones(3), 0, 5)
except IndexError:
    print("checked")
"""

PULSES = """
import numpy as np
from battlife.kernels.pulses import *
for n in (3, 4, 9, 40):
    t = np.arange(n) * 1.0
    i = np.where(t > n - 3, -1.0, 0.0)
    v = 3.7 + 0.1 * np.roll(i, -1)
    begin, before, first = (np.array([k]) for k in (0, n - 3, n - 2))
    limits = np.array([0.05, 5.0, 4.0, 1e-4, 10.0])
    leading_voltages(t, i, v, begin, before, first, 0.1, limits)
    leading_voltages(t, i, v, begin, before, first, 2.0, limits)
    on = np.array([n - 2.5])
    times = np.array([0.1, 1.0, 50.0])
    pulse_resistances(t, i, v, before, first, first + 2, on, on * 0, times, 0.5)
try:
    leading_voltages(t, i, v, begin, before, first + 50, 0.1, limits)
except IndexError:
    print("checked")
"""


@pytest.mark.parametrize(
    "code", [CHARGE, IMPEDANCE, PULSES], ids=["charge", "impedance", "pulses"]
)
def test_no_kernel_reads_or_writes_out_of_bounds(tmp_path, code):
    environment = os.environ | {
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "checked"  # the flag was really on
