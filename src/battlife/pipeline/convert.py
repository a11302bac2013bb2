"""What is in a file, and the same data in another format."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from battlife import __version__
from battlife.errors import InputError
from battlife.model import Notice, Trace
from battlife.pipeline.rows import SCHEMA, Row, notice_rows
from battlife.quantities import QUANTITIES
from battlife.readers import OpenLog

if TYPE_CHECKING:
    import polars

BDF_SUFFIXES = (".bdf.csv", ".bdf.parquet")


def record_count(trace: Trace) -> int:
    """Return the rows of the source's table.

    Samples; where the source has no samples, its steps, or else its spectrum points.
    """
    if trace.n_samples:
        return trace.n_samples
    if trace.steps is not None and len(trace.steps):
        return len(trace.steps)
    return sum(len(s) for s in trace.spectra)


def info_row(path: Path, traces: Sequence[Trace]) -> Row:
    """Return the contract's `info` object of one file.

    Parameters
    ----------
    path : as the user gave it
    traces : one per unit, as read
    """
    first = traces[0]
    source = first.provenance.sources[0] if first.provenance.sources else None
    channels = sorted({name for t in traces for name in t.columns})
    notices: list[Notice] = [n for t in traces for n in t.provenance.notices]
    return {
        "schema": SCHEMA,
        "source": str(path),
        "sha256": source.sha256 if source else None,
        "format": source.format if source else None,
        "units": [t.unit_id for t in traces],
        "n_samples": sum(record_count(t) for t in traces),
        "n_steps": sum(len(t.steps) for t in traces if t.steps is not None),
        "n_spectra": sum(len(t.spectra) for t in traces),
        "n_segments": sum(t.n_segments for t in traces if t.n_samples),
        "n_frames": None,
        "duration_s": sum(t.duration_s for t in traces) if traces else None,
        "start_utc": first.start_utc.isoformat() if first.start_utc else None,
        "channels": channels,
        "n_cycles": _cycle_count(traces),
        "voltage_v": _span(traces, "voltage_v"),
        "current_a": _span(traces, "current_a"),
        "charge_capacity_ah": _largest(traces, "charge_capacity_ah", 1.0),
        "discharge_capacity_ah": _largest(traces, "discharge_capacity_ah", -1.0),
        "header": {k: v for t in traces for k, v in t.provenance.header.items()},
        "suspect": any(t.provenance.suspect for t in traces),
        "warnings": [n["message"] for n in notice_rows(notices)],
        "notices": notice_rows(notices),
    }


def frames_row(path: Path, log: OpenLog) -> Row:
    """Return the contract's `info` object of a bus log, as far as frames tell.

    Raises
    ------
    InputError
        The log cannot be read to its end.
    """
    first_s = last_s = None
    channels: dict[str, int] = {}
    identifiers: set[int] = set()
    kinds: dict[str, int] = {}
    for frame in log:
        first_s = frame.time_s if first_s is None else min(first_s, frame.time_s)
        last_s = frame.time_s if last_s is None else max(last_s, frame.time_s)
        channels[frame.channel] = channels.get(frame.channel, 0) + 1
        kinds[frame.kind] = kinds.get(frame.kind, 0) + 1
        if frame.identifier is not None and frame.kind == "data":
            identifiers.add(frame.identifier)
    notices = list(log.notices)
    return {
        "schema": SCHEMA,
        "source": str(path),
        "sha256": log.source.sha256,
        "format": log.source.format,
        "units": [],
        "n_samples": 0,
        "n_frames": sum(channels.values()),
        "n_error_frames": kinds.get("error", 0),
        "n_identifiers": len(identifiers),
        "duration_s": None if first_s is None or last_s is None else last_s - first_s,
        "start_utc": log.start_utc.isoformat() if log.start_utc else None,
        "channels": sorted(channels),
        "n_cycles": None,
        "suspect": False,
        "warnings": [n["message"] for n in notice_rows(notices)],
        "notices": notice_rows(notices),
    }


def _cycle_count(traces: Sequence[Trace]) -> int | None:
    counts: list[int] = []
    for trace in traces:
        column = trace.columns.get("cycle_index")
        if column is None and trace.steps is not None:
            column = trace.steps.columns.get("cycle_index")
        if column is not None and np.isfinite(column).any():
            counts.append(int(np.unique(column[np.isfinite(column)]).size))
    return sum(counts) if counts else None


def _span(traces: Sequence[Trace], name: str) -> Row | None:
    arrays = [t.columns[name] for t in traces if name in t.columns]
    values = np.concatenate(arrays) if arrays else np.empty(0)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    quantity = QUANTITIES[name]
    return {
        "first": float(values[0]),
        "last": float(values[-1]),
        "min": float(values.min()),
        "max": float(values.max()),
        "unit": quantity.unit,
    }


def _largest(traces: Sequence[Trace], name: str, sign: float) -> float | None:
    """Return the largest value of the tester's counter of one direction, in Ah.

    A tester with one counter for both directions counts for the direction in which
    the current flows.
    """
    arrays = []
    for trace in traces:
        if name in trace.columns:
            arrays.append(trace.columns[name])
        elif "step_capacity_ah" in trace.columns and "current_a" in trace.columns:
            flows = sign * trace.columns["current_a"] > 0
            arrays.append(trace.columns["step_capacity_ah"][flows])
        elif trace.steps is not None and name in trace.steps.columns:
            arrays.append(trace.steps.columns[name])
    values = np.concatenate(arrays) if arrays else np.empty(0)
    values = values[np.isfinite(values)]
    return float(values.max()) if values.size else None


def bdf_table(trace: Trace) -> "polars.DataFrame":
    """Return a trace as a table with Battery Data Format column names.

    A quantity that the format has no name for keeps its battlife name; one row of a
    cell quantity becomes one column, counted from 1.

    Raises
    ------
    InputError
        The trace has no samples.
    """
    import polars

    if not trace.n_samples or not trace.columns:
        raise InputError(
            f"{trace.unit_id}: there are no samples to export, only steps or spectra",
            "convert to .h5, which keeps them",
        )
    columns: dict[str, Any] = {QUANTITIES["time_s"].bdf_name: trace.time_s}
    if trace.start_utc is not None and "unix_time_s" not in trace.columns:
        unix = trace.start_utc.timestamp() + trace.time_s
        columns[QUANTITIES["unix_time_s"].bdf_name] = unix
    for name, values in trace.columns.items():
        quantity = QUANTITIES[name]
        if quantity.per_cell:
            for row in range(values.shape[0]):
                columns[f"{name}_{row + 1}"] = values[row]
        else:
            columns[quantity.bdf_name or name] = values
    return polars.DataFrame(columns)


def write_bdf(trace: Trace, output: Path) -> None:
    """Write a trace as BDF, `.bdf.csv` or `.bdf.parquet`, replacing atomically."""
    table = bdf_table(trace)
    part = output.with_name(output.name + ".part")
    try:
        if output.name.endswith(".bdf.csv"):
            table.write_csv(part, null_value="", float_precision=None)
        else:
            table.write_parquet(part, statistics=False)
        os.replace(part, output)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(
            f"{output}: cannot be written: {error.strerror}", "choose another place"
        ) from error


def output_kind(output: Path) -> str:
    """Return "h5", "bdf.csv" or "bdf.parquet" from an output name.

    Raises
    ------
    InputError
        Any other ending.
    """
    name = output.name.lower()
    for suffix in (".h5", *BDF_SUFFIXES):
        if name.endswith(suffix):
            return suffix[1:]
    raise InputError(
        f"{output}: unknown output format",
        "end the name in .h5, .bdf.csv or .bdf.parquet",
    )


SOFTWARE = f"battlife {__version__}"
