"""Lays the traces of one unit's files onto one time base."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from battlife import __version__
from battlife.errors import InputError
from battlife.model import (
    Column,
    Notice,
    Provenance,
    Severity,
    Spectrum,
    Step,
    StepTable,
    Trace,
)
from battlife.quantities import QUANTITIES

__all__ = ["join_traces"]


def join_traces(
    unit_id: str,
    traces: Sequence[Trace],
    offsets_s: Sequence[float | None],
    interpolate: Sequence[bool],
) -> Trace:
    """Join traces in their order; see :func:`battlife.readers.units.join`.

    Parameters
    ----------
    offsets_s : s, start of each trace on the common time base, None if not stated
    interpolate : True where a trace gives columns to the others' samples

    Raises
    ------
    InputError
        No trace is left to carry the time base, or cell counts differ.
    """
    notices: list[Notice] = []
    seen: set[str] = set()
    kept: list[tuple[Trace, float | None, bool]] = []
    for item in zip(traces, offsets_s, interpolate, strict=True):
        sources = item[0].provenance.sources
        if sources and all(s.sha256 in seen for s in sources):
            notices.append(
                Notice(
                    "duplicate_file",
                    f"{sources[0].path}: the same bytes were given twice; read once",
                )
            )
            continue
        seen.update(s.sha256 for s in sources)
        kept.append(item)
    bases = [(t, o) for t, o, guest in kept if not guest]
    guests = [(t, o) for t, o, guest in kept if guest]
    if not bases:
        raise InputError(
            f"{unit_id}: no file carries the time base",
            'leave align = "interpolate" out of at least one file',
        )
    shifts, start, joined = _shifts(bases)
    notices.extend(joined)
    trace = _concatenated(unit_id, [t for t, _ in bases], shifts, start)
    trace = replace(trace, provenance=trace.provenance.with_notices(*notices))
    for guest, offset in guests:
        trace = _with_guest(trace, guest, 0.0 if offset is None else offset)
    return trace


def _shifts(
    bases: Sequence[tuple[Trace, float | None]],
) -> tuple[list[float], datetime | None, list[Notice]]:
    """Return what to add to each trace's time, the common start, and notices."""
    first = bases[0][0]
    if len(bases) == 1:
        return [bases[0][1] or 0.0], first.start_utc, []
    starts = [t.start_utc for t, _ in bases]
    if all(o is None for _, o in bases) and None not in starts:
        known = [s for s in starts if s is not None]
        origin = min(known)
        return [(s - origin).total_seconds() for s in known], origin, []
    shifts: list[float] = []
    end = 0.0
    assumed = 0
    for trace, offset in bases:
        if offset is None:
            low = float(trace.time_s.min()) if trace.n_samples else 0.0
            shift = end - low if shifts else 0.0
            assumed += bool(shifts)
        else:
            shift = offset
        shifts.append(shift)
        if trace.n_samples:
            end = max(end, float(trace.time_s.max()) + shift)
    if not assumed:
        return shifts, first.start_utc, []
    notice = Notice(
        "time_base_joined",
        f"{len(bases)} files share no clock: {assumed} laid end to end, so times "
        "across files are not measured",
        Severity.WARNING,
    )
    return shifts, first.start_utc, [notice]


def _concatenated(
    unit_id: str,
    traces: Sequence[Trace],
    shifts: Sequence[float],
    start: datetime | None,
) -> Trace:
    n = sum(t.n_samples for t in traces)
    time_s = np.empty(n)
    starts: list[int] = []
    columns: dict[str, Column] = {}
    names = sorted({name for t in traces for name in t.columns})
    for name in names:
        if QUANTITIES[name].per_cell:
            counts = {t.columns[name].shape[0] for t in traces if name in t.columns}
            if len(counts) > 1:
                raise InputError(
                    f"{unit_id}: files differ in the number of cells: {sorted(counts)}",
                    "are they of one unit?",
                )
            columns[name] = np.full((counts.pop(), n), np.nan)
        else:
            columns[name] = np.full(n, np.nan)
    spectra: list[Spectrum] = []
    at = 0
    for trace, shift in zip(traces, shifts, strict=True):
        stop = at + trace.n_samples
        time_s[at:stop] = trace.time_s + shift
        if trace.n_samples:
            starts.extend(int(s) + at for s in trace.segment_start)
        for name, column in trace.columns.items():
            columns[name][..., at:stop] = column
        spectra.extend(replace(s, time_s=s.time_s + shift) for s in trace.spectra)
        at = stop
    step = Step(
        "battlife.readers.units.join",
        {"shift_s": ", ".join(f"{s:.17g}" for s in shifts)},
        __version__,
    )
    provenance = _provenance(traces)
    return Trace(
        unit_id=unit_id,
        start_utc=start,
        time_s=time_s,
        segment_start=np.array(starts or [0]),
        columns=columns,
        steps=_steps(traces, shifts),
        spectra=tuple(spectra),
        provenance=provenance.with_step(step) if len(traces) > 1 else provenance,
    )


def _provenance(traces: Sequence[Trace]) -> Provenance:
    header: dict[str, str] = {}
    for trace in traces:
        for key, value in trace.provenance.header.items():
            header.setdefault(key, value)
    parts = [t.provenance for t in traces]
    return replace(
        parts[0],
        sources=tuple(s for p in parts for s in p.sources),
        header=header,
        notices=tuple(n for p in parts for n in p.notices),
        steps=tuple(s for p in parts for s in p.steps),
        simulated=any(p.simulated for p in parts),
    )


def _steps(traces: Sequence[Trace], shifts: Sequence[float]) -> StepTable | None:
    if all(t.steps is None for t in traces):
        return None
    kinds: list[Column] = []
    rows: list[dict[str, Column]] = []
    segments = 0
    for trace, shift in zip(traces, shifts, strict=True):
        if trace.steps is not None:
            columns = dict(trace.steps.columns)
            if "start_s" in columns:
                columns["start_s"] = columns["start_s"] + shift
            if "segment" in columns:
                columns["segment"] = columns["segment"] + segments
            kinds.append(trace.steps.kind.astype(np.float64))
            rows.append(columns)
        segments += trace.n_segments if trace.n_samples else 0
    names = sorted({name for row in rows for name in row})
    return StepTable(
        np.concatenate(kinds).astype(np.int64),
        {
            name: np.concatenate(
                [
                    row.get(name, np.full(kind.size, np.nan))
                    for row, kind in zip(rows, kinds, strict=True)
                ]
            )
            for name in names
        },
    )


def _with_guest(trace: Trace, guest: Trace, offset_s: float) -> Trace:
    """Put a guest's columns onto the trace's samples by linear interpolation."""
    if guest.n_segments != 1 or guest.n_samples < 2:
        raise InputError(
            f"{trace.unit_id}: a log to interpolate needs one run of samples, not "
            f"{guest.n_segments} segments",
            'use align = "segment"',
        )
    clash = sorted(set(trace.columns) & set(guest.columns))
    if clash:
        raise InputError(
            f"{trace.unit_id}: both logs have {', '.join(clash)}",
            'use align = "segment", or rename the column by a mapping',
        )
    at = guest.time_s + offset_s
    columns = dict(trace.columns)
    for name, values in guest.columns.items():
        rows = np.atleast_2d(values)
        # Outside the guest's time nothing was measured.
        put = np.array(
            [
                np.interp(trace.time_s, at, row, left=np.nan, right=np.nan)
                for row in rows
            ]
        )
        columns[name] = put if values.ndim == 2 else put[0]
    inside = float(np.mean((trace.time_s >= at[0]) & (trace.time_s <= at[-1])))
    parts = (trace.provenance, guest.provenance)
    provenance = replace(
        trace.provenance,
        sources=tuple(s for p in parts for s in p.sources),
        notices=(
            *trace.provenance.notices,
            *guest.provenance.notices,
            Notice(
                "interpolated_columns",
                f"{', '.join(sorted(guest.columns))}: interpolated from a log of "
                f"{guest.n_samples} samples; {inside:.1%} of the samples are covered",
                Severity.INFO,
            ),
        ),
    )
    source = guest.provenance.sources[0].path if guest.provenance.sources else ""
    step = Step(
        "battlife.readers.units.join",
        {"interpolated": source, "offset_s": f"{offset_s:.17g}"},
        __version__,
    )
    return trace.changed(step, columns=columns, provenance=provenance)
