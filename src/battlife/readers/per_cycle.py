"""Tables with one row per cycle, as data archives publish: said, not misread."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from battlife.errors import InputError
from battlife.model import Trace
from battlife.readers import texts


@dataclass(frozen=True)
class PerCycleSummary:
    """Recognises a per-cycle summary and says what to read instead."""

    name: str = "per_cycle_summary"
    description: str = "per-cycle summary of a data archive: refused with a hint"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the header is that of a per-cycle summary."""
        first = texts.split_lines(texts.decode(head))[0]
        if first.startswith("Cycle_Index,Cycle_Label,Time_s,"):
            return "Q_dis" in first
        return first.startswith("Cycle_Index,Start_Time,End_Time,Test_Time")

    def read(self, path: Path) -> Sequence[Trace]:
        """Refuse: a summary has no samples to estimate from.

        Raises
        ------
        InputError
            Always; the hint names what to read instead.
        """
        rows = sum(1 for s in texts.split_lines(texts.read_text(path)) if s.strip())
        raise InputError(
            f"{path}: a summary with one row per cycle ({max(rows - 1, 0)} rows), not "
            "samples: a capacity in it cannot be checked",
            "grade the raw time series of the same test, whose name ends in -raw.csv "
            "or _timeseries.csv",
        )


READER = PerCycleSummary()
