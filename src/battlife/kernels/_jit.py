"""The only decorator kernels use, and where compiled code is cached.

Rules of a kernel: read-only C-contiguous float64 arrays and scalars in, arrays or
scalars out; NaN says "cannot"; allocates outside loops; never raises for data. No
``fastmath`` (it deletes NaN checks) and no ``parallel`` (it changes the last bits).
"""

import os
import tempfile
from collections.abc import Callable
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


_choose_cache_dir()

import numba  # noqa: E402  (the cache place must be chosen before the import)

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
