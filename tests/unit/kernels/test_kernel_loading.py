"""What loading a kernel brings with it, in a process of its own."""

import os
import subprocess
import sys

PROGRAM = """
import sys
from battlife.kernels import charge, interpolate, steps
assert "scipy" not in sys.modules, "scipy was loaded"
import numba
print(numba.config.CACHE_DIR)
import scipy.linalg
assert scipy.linalg.norm([3.0, 4.0]) == 5.0
"""


def run(environment):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_a_kernel_loads_without_scipy_and_leaves_it_importable(tmp_path):
    assert run({"NUMBA_CACHE_DIR": str(tmp_path)}) == str(tmp_path)
