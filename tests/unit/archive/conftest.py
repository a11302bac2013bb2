"""Fixtures of the archive tests; the makers are in conftest_archive."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest_archive import archive, key, log, other_key  # noqa: E402

__all__ = ["archive", "key", "log", "other_key"]
