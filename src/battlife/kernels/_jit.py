"""The only decorator kernels use, and where compiled code is cached.

Rules of a kernel: read-only C-contiguous float64 arrays and scalars in, arrays or
scalars out; NaN says "cannot"; allocates outside loops; never raises for data. No
``fastmath`` (it deletes NaN checks), no ``parallel`` (it changes the last bits), and no
``np.dot``, ``@`` or ``np.linalg``: write the loops, Numba is loaded without BLAS.

Numba's cache looks at the file of a kernel alone: where a kernel calls a function of
another file (``_cell_step``, ``solving``), touch the kernel's file when that changes.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _choose_cache_dir() -> None:
    """Give Numba a place to cache where neither install nor home is writable."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    if _writable(Path(__file__).parent / "__pycache__"):
        return
    try:
        home_cache = Path.home() / ".cache" / "numba"
    except RuntimeError:
        home_cache = None
    if home_cache is not None and _writable(home_cache):
        return
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    fallback = Path(tempfile.gettempdir()) / f"battlife-numba-{user}"
    if _writable(fallback):
        os.environ["NUMBA_CACHE_DIR"] = str(fallback)


def _load_numba_without_scipy() -> None:
    """Import the part of Numba that tries scipy.linalg, with SciPy out of sight.

    Numba imports it only to see whether np.dot and np.linalg can be compiled. No kernel
    uses them (its matrices are small, and BLAS gives other last bits on another
    processor), and SciPy would double the time to a first result. It is importable
    again right after.
    """
    if "scipy" in sys.modules:
        return
    # None makes an import raise ImportError (Python reference, 5.3.1).
    sys.modules["scipy"] = None  # type: ignore[assignment]  # documented use of None
    try:
        import_module("numba.np.arraymath")
    finally:
        del sys.modules["scipy"]


_choose_cache_dir()
_load_numba_without_scipy()

import numba  # noqa: E402  (the cache place must be chosen before the import)

# Kernels take these from here, so that Numba is never imported before the above.
boolean = numba.boolean
float64 = numba.float64
int64 = numba.int64
types = numba.types
F8 = numba.types.Array(numba.float64, 1, "C", readonly=True)
"""Read-only (n,) float64: accepts writable arrays too."""
F8_2D = numba.types.Array(numba.float64, 2, "C", readonly=True)
"""Read-only (m, n) float64."""
I8 = numba.types.Array(numba.int64, 1, "C", readonly=True)
"""Read-only (n,) int64."""


def tuple_of(kind: Any, count: int) -> Any:
    """Return the signature of `count` results of one kind."""
    return numba.types.UniTuple(kind, count)  # type: ignore[no-untyped-call]


def kernel(signature: Any) -> Callable[[Any], Any]:
    """Compile a kernel for one explicit signature, cached, NumPy error model.

    Parameters
    ----------
    signature : a Numba signature built from F8, F8_2D, I8 and numba scalars
    """
    return numba.njit(  # type: ignore[no-any-return]
        signature, cache=True, error_model="numpy", fastmath=False, parallel=False
    )


def part_of_kernel(function: Any) -> Any:
    """Let kernels call a function, as part of their own code.

    It has no signature and no cache of its own: a kernel that is loaded from the cache
    brings it along, and a start is shorter by one load (about 10 ms) per part.
    """
    return numba.njit(error_model="numpy")(function)
