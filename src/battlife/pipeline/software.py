"""Which software computed a value."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from battlife import __version__

COMPUTING = ("numpy", "scipy", "numba", "h5py")


@cache
def software_versions() -> dict[str, str]:
    """Return the versions that can change the last bits of a result."""
    found = {"battlife": __version__, "python": platform.python_version()}
    for name in COMPUTING:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["machine"] = platform.machine()
    return found
