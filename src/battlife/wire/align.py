"""Readings of one unit, put on a time grid: the Trace that estimators take.

A grid sample holds the latest value of each quantity, as it was said; a value older
than the maximum age is missing. Nothing is interpolated or averaged. Where nothing was
heard for longer than that, a new segment begins, so that nobody integrates over the
gap; the same where the clock of a log goes back.
"""

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from battlife import __version__
from battlife.errors import InputError
from battlife.model import (
    VALUE_KINDS,
    Notice,
    Provenance,
    Reading,
    Step,
    Trace,
    Value,
)
from battlife.quantities import QUANTITIES

Floats = npt.NDArray[np.float64]

COLUMN_OF: Final[Mapping[str, str]] = {"temperature_degc": "cell_temperature_degc"}
"""Decoded names whose column has another one: a pack's sensors are per cell."""

BLOCK_ROWS: Final = 4096
"""Rows kept before they are written, column by column."""

MAX_VALUES: Final = 1 << 31
"""Most values of one trace (16 GiB): beyond it the period is a mistake."""

MAX_IN_MEMORY: Final = 1 << 27
"""Most values of a trace that is not backed by files (1 GiB)."""

MAX_NOTICES: Final = 50

HEADERS: Final[Mapping[str, str]] = {
    "serial_number": "serial_number",
    "software_version": "software_version",
    "hardware_version": "vendor.hardware_version",
}


def align(
    readings: Callable[[], Iterable[Reading]],
    *,
    unit_id: str,
    start_utc: datetime | None,
    period_s: float,
    max_age_s: float,
    provenance: Provenance,
    folder: Path | None = None,
) -> Trace:
    """Return the readings of one unit as a Trace.

    Parameters
    ----------
    readings : gives the readings in order, twice the same: they are gone through once
        to learn the columns and once to fill them
    unit_id : identity of the unit
    start_utc : moment of time_s = 0 of the readings
    period_s : s between two samples
    max_age_s : s after which a value is missing
    provenance : what is known already; header and notices of the readings are added
    folder : where columns may be files, so that a week-long recording needs no
        memory; None keeps them in memory

    Returns
    -------
    Flags as 0 and 1; a quantity that no reading has is no column.

    Raises
    ------
    InputError
        No reading carries a number, or the period makes more samples than can be.
    """
    if not (period_s > 0 and math.isfinite(period_s)):
        raise InputError(f"a period must be positive, not {period_s:g} s")
    max_age_s = max(max_age_s, period_s)
    plan = _Plan()
    counted = _Grid(period_s, max_age_s)
    for reading in readings():
        plan.add(reading)
        if numbers(reading.values):
            counted.advance(reading.time_s)
    counted.close()
    if not plan.widths:
        raise InputError(
            f"{unit_id}: no message of this device carries a number",
            "is it the right protocol, and was the device awake?",
        )
    n_values = sum(plan.widths.values()) + 1
    limit = MAX_VALUES if folder is not None else MAX_IN_MEMORY
    if counted.n_rows * n_values > limit:
        raise InputError(
            f"{unit_id}: {counted.n_rows} samples of {n_values} values are more than "
            "can be kept",
            f"choose a longer period than {period_s:g} s",
        )
    sink = _Sink(plan.widths, counted.n_rows, folder)
    state = _State(plan.widths, max_age_s)
    filled = _Grid(period_s, max_age_s, state, sink)
    for reading in readings():
        values = numbers(reading.values)
        if values:
            state.put(filled.advance(reading.time_s), values)
    filled.close()
    columns = sink.finished()
    notices = [*plan.notices(), *filled.notices()]
    return Trace(
        unit_id=unit_id,
        start_utc=start_utc,
        time_s=columns.pop("time_s"),
        segment_start=np.array(filled.segment_start, dtype=np.int64),
        columns=columns,
        provenance=replace(provenance, header={**plan.header, **provenance.header})
        .with_notices(*notices)
        .with_step(
            Step(
                "wire.align",
                {"period_s": f"{period_s:g}", "max_age_s": f"{max_age_s:g}"},
                __version__,
            )
        ),
    )


def numbers(values: Mapping[str, Value]) -> dict[str, tuple[float, ...]]:
    """Return what of a reading's values can be a column, by column name."""
    found: dict[str, tuple[float, ...]] = {}
    for name, value in values.items():
        kind = VALUE_KINDS.get(name)
        if kind in ("number", "flag"):
            assert isinstance(value, (int, float))
            found[name] = (float(value),)
        elif kind == "numbers" and value:
            assert isinstance(value, tuple)
            found[COLUMN_OF.get(name, name)] = tuple(float(v) for v in value)
    return found


@dataclass
class _Plan:
    """What a first pass learns: columns with their widths, texts, notices."""

    widths: dict[str, int] = field(default_factory=dict)
    header: dict[str, str] = field(default_factory=dict)
    found: dict[tuple[str, str], tuple[Notice, float, int]] = field(
        default_factory=dict
    )
    n_more: int = 0

    def add(self, reading: Reading) -> None:
        for name, values in numbers(reading.values).items():
            self.widths[name] = max(self.widths.get(name, 0), len(values))
        for name, key in HEADERS.items():
            value = reading.values.get(name)
            if isinstance(value, str) and value.strip():
                self.header[key] = value
        design = reading.values.get("design_capacity_ah")
        if isinstance(design, float) and design > 0:
            self.header["vendor.design_capacity_ah"] = f"{design:g}"
        claimed = reading.values.get("reported_soh")
        if isinstance(claimed, float) and math.isfinite(claimed):
            self.header["vendor.reported_soh"] = f"{claimed:g}"
        for notice in reading.notices:
            self._note(notice, reading.time_s)
        codes = reading.values.get("fault_codes")
        if isinstance(codes, tuple) and codes:
            listed = ", ".join(map(str, codes))
            self._note(Notice("fault_codes", f"fault codes: {listed}"), reading.time_s)

    def _note(self, notice: Notice, time_s: float) -> None:
        key = (notice.code, notice.message)
        if key in self.found:
            first, since_s, count = self.found[key]
            self.found[key] = (first, since_s, count + 1)
        elif len(self.found) < MAX_NOTICES:
            self.found[key] = (notice, time_s, 1)
        else:
            self.n_more += 1

    def notices(self) -> list[Notice]:
        told = [
            replace(n, message=f"{n.message} (first at {since_s:.3f} s, {count} times)")
            for n, since_s, count in self.found.values()
        ]
        if self.n_more:
            told.append(Notice("more_notices", f"{self.n_more} more were not listed"))
        return told


class _State:
    """The latest value of every quantity and when it was said."""

    def __init__(self, widths: Mapping[str, int], max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self._at: dict[str, int] = {}
        total = 0
        for name, width in widths.items():
            self._at[name] = total
            total += width
        self._latest = np.full(total, np.nan)
        self._when = np.full(total, -np.inf)

    def put(self, time_s: float, values: Mapping[str, tuple[float, ...]]) -> None:
        for name, numbers_of in values.items():
            at = self._at[name]
            for i, value in enumerate(numbers_of):
                if value == value:
                    self._latest[at + i] = value
                    self._when[at + i] = time_s
                elif len(numbers_of) == 1:
                    # The device says it does not know: the old value is no longer so.
                    self._when[at] = -math.inf

    def forget(self) -> None:
        self._when.fill(-math.inf)

    def at(self, moment_s: float) -> Floats:
        fresh = moment_s - self._when <= self._max_age_s
        return np.where(fresh, self._latest, np.nan)


class _Grid:
    """Walks along the grid with the readings; counts its rows or fills them."""

    def __init__(
        self,
        period_s: float,
        max_age_s: float,
        state: _State | None = None,
        sink: "_Sink | None" = None,
    ) -> None:
        self.period_s, self.max_age_s = period_s, max_age_s
        self.state, self.sink = state, sink
        self.n_rows = 0
        self.segment_start: list[int] = []
        self.n_gaps = 0
        self.n_back = 0
        self._last_s = -math.inf
        self._next = 0  # index of the next grid point

    def advance(self, time_s: float) -> float:
        """Hand out the rows before a reading and return the time it counts from."""
        if self._last_s == -math.inf:
            self._begin(time_s)
        elif time_s - self._last_s > self.max_age_s + self.period_s:
            self.close()
            self.n_gaps += 1
            self._begin(time_s)
        elif time_s < self._last_s - self.max_age_s:
            self.close()
            self.n_back += 1
            self._begin(time_s)
        else:
            # Devices of one recording may be told a little out of order.
            time_s = max(time_s, self._last_s)
            self._rows_to(math.ceil(time_s / self.period_s - 1e-9))
        self._last_s = time_s
        return time_s

    def close(self) -> None:
        """Hand out the rows up to the grid point that closes a segment."""
        if self._last_s == -math.inf:
            return
        self._rows_to(math.ceil(self._last_s / self.period_s - 1e-9) + 1)

    def notices(self) -> list[Notice]:
        told = []
        if self.n_gaps:
            told.append(
                Notice(
                    "gaps",
                    f"{self.n_gaps} times nothing was heard for longer than "
                    f"{self.max_age_s:g} s: a new segment begins after each",
                )
            )
        if self.n_back:
            told.append(
                Notice(
                    "clock_back",
                    f"the clock goes back {self.n_back} times: a new segment begins "
                    "at each",
                )
            )
        return told

    def _begin(self, time_s: float) -> None:
        self._next = math.ceil(time_s / self.period_s - 1e-9)
        if self.state is not None:
            self.state.forget()
        if not self.segment_start or self.segment_start[-1] != self.n_rows:
            self.segment_start.append(self.n_rows)

    def _rows_to(self, stop: int) -> None:
        """Hand out the grid points before `stop`."""
        if self.sink is not None and self.state is not None:
            for index in range(self._next, stop):
                moment_s = index * self.period_s
                self.sink.put(moment_s, self.state.at(moment_s))
        self.n_rows += max(stop - self._next, 0)
        self._next = max(stop, self._next)


class _Sink:
    """Columns in memory or in files, filled a block of rows at a time."""

    def __init__(
        self,
        widths: Mapping[str, int],
        n_rows: int,
        folder: Path | None,
    ) -> None:
        self._widths = widths
        self._block = np.empty((BLOCK_ROWS, sum(widths.values()) + 1))
        self._filled = 0
        self._written = 0
        self._columns: dict[str, Floats] = {}
        for name, width in {"time_s": 1, **widths}.items():
            # A pack whose every message gives one cell still has its cells in rows.
            rows = QUANTITIES[name].per_cell
            shape = (width, n_rows) if rows else (n_rows,)
            if folder is None:
                self._columns[name] = np.empty(shape)
            else:
                descriptor, path = tempfile.mkstemp(suffix=".f8", dir=folder)
                os.close(descriptor)
                self._columns[name] = np.memmap(path, np.float64, "w+", shape=shape)

    def put(self, time_s: float, row: Floats) -> None:
        self._block[self._filled, 0] = time_s
        self._block[self._filled, 1:] = row
        self._filled += 1
        if self._filled == BLOCK_ROWS:
            self._flush()

    def finished(self) -> dict[str, Floats]:
        self._flush()
        return dict(self._columns)

    def _flush(self) -> None:
        rows = slice(self._written, self._written + self._filled)
        at = 0
        for name, column in self._columns.items():
            width = 1 if name == "time_s" else self._widths[name]
            block = self._block[: self._filled, at : at + width]
            if column.ndim == 1:
                column[rows] = block[:, 0]
            else:
                column[:, rows] = block.T
            at += width
        self._written += self._filled
        self._filled = 0
