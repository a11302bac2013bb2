"""The interfaces between the layers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from battlife.model.estimate import Estimate
from battlife.model.pack import Pack
from battlife.model.trace import Trace


class Reader(Protocol):
    """Reads one foreign log format into Traces."""

    @property
    def name(self) -> str:
        """Name of the format, as `--format` takes it."""
        ...

    @property
    def description(self) -> str:
        """One line on the format."""
        ...

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the first 4 KiB and the file name look like this format."""
        ...

    def read(self, path: Path) -> Sequence[Trace]:
        """Read a whole file, one Trace per unit.

        Raises
        ------
        InputError
            The file cannot be read as this format, or not at all.
        """
        ...


class Estimator(Protocol):
    """Turns a Trace and the identity of its unit into Estimates."""

    def estimate(self, trace: Trace, pack: Pack) -> Sequence[Estimate]:
        """Return one Estimate per part of the trace it applies to.

        Refused parts are in the sequence with their reasons.

        Raises
        ------
        EstimateError
            The trace cannot support any estimate of this kind.
        """
        ...
