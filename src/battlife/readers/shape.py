"""Shapes the arrays a binary or spectrum reader found into a Trace."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from battlife.model import (
    Column,
    IndexColumn,
    Notice,
    Provenance,
    Severity,
    Spectrum,
    StepTable,
    Trace,
)

TEMPERATURES = (
    "temperature_degc",
    "temperature_2_degc",
    "temperature_3_degc",
    "temperature_4_degc",
)
"""Columns for the sensors of a tester, in the order of its own numbering."""


def segment_starts(time_s: Column) -> tuple[IndexColumn, tuple[Notice, ...]]:
    """Start a segment wherever time goes back.

    Parameters
    ----------
    time_s : (n,) s, finite

    Returns
    -------
    (k,) first sample of each segment, and notices on going back and on repeats
    """
    step = np.diff(time_s)
    back = np.flatnonzero(step < 0) + 1
    repeats = int((step == 0).sum())
    notices: list[Notice] = []
    if back.size:
        row = int(back[0])
        notices.append(
            Notice(
                "time_goes_back",
                f"time goes back {back.size} times, first at sample {row}: "
                f"{time_s[row - 1]:g} s, then {time_s[row]:g} s; each starts a segment",
            )
        )
    if repeats:
        notices.append(
            Notice(
                "time_repeats",
                f"{repeats} samples repeat the time of the sample before; all are kept",
                Severity.INFO,
            )
        )
    return np.concatenate(([0], back)).astype(np.int64), tuple(notices)


def shaped(
    unit_id: str,
    time_s: npt.ArrayLike,
    columns: Mapping[str, npt.ArrayLike],
    *,
    start_utc: datetime | None = None,
    header: Mapping[str, object] | None = None,
    notices: Iterable[Notice] = (),
    steps: StepTable | None = None,
    spectra: Sequence[Spectrum] = (),
) -> Trace:
    """Return a Trace, with segments where time goes back.

    Samples whose time is not a number cannot be placed: they are kept out and
    counted in a notice. Columns without a single number are left out.

    Parameters
    ----------
    time_s : (n,) s since the start
    columns : (n,) each, in battlife's units and signs
    header : facts the source states; empty ones are left out
    """
    time = np.asarray(time_s, dtype=np.float64)
    arrays = {k: np.asarray(v, dtype=np.float64) for k, v in columns.items()}
    found = list(notices)
    placed = np.isfinite(time)
    if not placed.all():
        lost = int((~placed).sum())
        found.append(
            Notice(
                "rows_without_time",
                f"{lost} of {time.size} rows have no time and are kept out",
            )
        )
        time = time[placed]
        arrays = {k: v[placed] for k, v in arrays.items()}
    starts, on_time = segment_starts(time)
    facts = {k: str(v).strip() for k, v in (header or {}).items()}
    return Trace(
        unit_id=unit_id,
        start_utc=start_utc,
        time_s=time,
        segment_start=starts,
        columns={k: v for k, v in arrays.items() if np.isfinite(v).any()},
        steps=steps,
        spectra=tuple(spectra),
        provenance=Provenance(
            header={k: v for k, v in facts.items() if v},
            notices=(*found, *on_time),
        ),
    )


def gap_notice(index: npt.ArrayLike, what: str) -> tuple[Notice, ...]:
    """Report missing or repeated numbers in the source's own record counter.

    Parameters
    ----------
    index : (n,) the counter, in the order of the records
    what : the source's name of the counter
    """
    counter = np.asarray(index, dtype=np.float64)
    if counter.size < 2:
        return ()
    step = np.diff(counter)
    odd = np.flatnonzero(step != 1)
    if not odd.size:
        return ()
    row = int(odd[0])
    return (
        Notice(
            "missing_records",
            f"{what} is not consecutive at {odd.size} places, first after record "
            f"{row}: {counter[row]:g}, then {counter[row + 1]:g}",
        ),
    )
