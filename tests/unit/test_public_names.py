"""The public names load at first use, and a rig script never loads Numba."""

import operator
import subprocess
import sys

import pytest

import battlife


def test_every_public_name_is_there() -> None:
    for name in battlife.__all__:
        assert getattr(battlife, name) is not None
    assert set(battlife.__all__) <= set(dir(battlife))
    with pytest.raises(AttributeError, match="nonsense"):
        operator.attrgetter("nonsense")(battlife)


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import battlife", ["numpy", "numba", "h5py", "polars"]),
        ("import battlife; battlife.open; import battlife.wire", ["numpy", "can"]),
        ("import battlife; battlife.Grade, battlife.Pack", ["numpy"]),
        ("import battlife; battlife.Trace", ["numba", "h5py", "polars"]),
        ("import battlife; battlife.read", ["numba", "h5py", "polars", "scipy"]),
        ("import battlife; battlife.open_archive", ["numba", "polars", "scipy"]),
        ("import battlife; battlife.evaluate", ["numba", "h5py", "polars", "scipy"]),
    ],
)
def test_nothing_loads_before_it_is_needed(statement: str, absent: list[str]) -> None:
    code = f"{statement}\nimport sys\nprint([m for m in {absent} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
