"""Paths that tests share."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATASETS = ROOT / "datasets"
"""Files that travel with the project: a test of them never skips."""
SHARED = ROOT.parent / "shared" / "data"
"""Measured data that may not be copied into the project, beside the checkout."""


def shared(relative: str) -> Path:
    """Return a file of the shared data, skipping the test where it is absent."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"not redistributable and not beside this checkout: {relative}")
    return path
