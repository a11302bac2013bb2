"""Open diagnostics bench for second-life batteries.

The public names; each is loaded at first use, so that a rig script pays only for what
it touches.

>>> import battlife
>>> traces = battlife.read(path)                                # doctest: +SKIP
>>> found = battlife.evaluate(trace, pack, battlife.load_policy())  # doctest: +SKIP
>>> with battlife.open("leaf@slcan:/dev/ttyACM0") as pack:          # doctest: +SKIP
...     print(pack.read().values["cell_voltage_v"])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from battlife.archive import (
        append_evaluation,
        open_archive,
        verify_archive,
        write_archive,
    )
    from battlife.drivers.session import open
    from battlife.errors import BattlifeError
    from battlife.estimators import build
    from battlife.grading import load_policy
    from battlife.model import Estimate, Grade, Measurement, Pack, Route, Trace
    from battlife.pipeline.evaluate import evaluate
    from battlife.readers import read
    from battlife.recording import read_rig, record

__version__ = "0.1.0"

__all__ = [
    "BattlifeError",
    "Estimate",
    "Grade",
    "Measurement",
    "Pack",
    "Route",
    "Trace",
    "append_evaluation",
    "build",
    "evaluate",
    "load_policy",
    "open",
    "open_archive",
    "read",
    "read_rig",
    "record",
    "verify_archive",
    "write_archive",
]

_HOMES = {
    "battlife.archive": (
        "append_evaluation",
        "open_archive",
        "verify_archive",
        "write_archive",
    ),
    "battlife.drivers.session": ("open",),
    "battlife.errors": ("BattlifeError",),
    "battlife.estimators": ("build",),
    "battlife.grading": ("load_policy",),
    "battlife.model": ("Estimate", "Grade", "Measurement", "Pack", "Route", "Trace"),
    "battlife.pipeline.evaluate": ("evaluate",),
    "battlife.readers": ("read",),
    "battlife.recording": ("read_rig", "record"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'battlife' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
