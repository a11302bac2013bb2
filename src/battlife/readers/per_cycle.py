"""Tables with one row per cycle (batterydata.energy.gov): said, not misread."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from battlife.errors import InputError
from battlife.model import Trace
from battlife.readers import tables


@dataclass(frozen=True)
class PerCycleSummary:
    """Recognises a per-cycle summary and says what to read instead."""

    name: str = "per_cycle_summary"
    description: str = "batterydata.energy.gov per-cycle summary: refused with a hint"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the header is that of a per-cycle summary."""
        first = tables.split_lines(tables.decode(head))[0]
        return first.startswith("Cycle_Index,Cycle_Label,Time_s,") and "Q_dis" in first

    def read(self, path: Path) -> Sequence[Trace]:
        """Refuse: a summary has no samples to estimate from.

        Raises
        ------
        InputError
            Always; the hint names what to read instead.
        """
        rows = sum(1 for s in tables.split_lines(tables.read_text(path)) if s.strip())
        raise InputError(
            f"{path}: a summary with one row per cycle ({max(rows - 1, 0)} rows), not "
            "samples: a capacity in it cannot be checked",
            "grade the raw time series of the same test, whose name ends in -raw.csv",
        )


READER = PerCycleSummary()
