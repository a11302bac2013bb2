"""NASA Ames battery ageing sets: one MATLAB v5 file per cell, many operations."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from battlife.errors import InputError
from battlife.model import STEP_KINDS, Column, Notice, Severity, StepTable, Trace
from battlife.readers.matlab import check_elements, damaged, first_fields
from battlife.readers.shape import segment_starts, shaped

_SAMPLES: Final = {
    "voltage_v": ("Voltage_measured",),
    "current_a": ("Current_measured",),
    "temperature_degc": ("Temperature_measured",),
    "load_current_a": ("Current_load", "Current_charge"),
    "load_voltage_v": ("Voltage_load", "Voltage_charge"),
}


class NasaMatReader:
    """Reads a NASA PCoE battery file: every operation is a segment and a step."""

    name = "nasa_mat"
    description = "NASA PCoE battery ageing file (MATLAB v5 .mat)"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether a MATLAB file begins with a structure of cycles alone.

        Also where its first variable cannot be seen, and v7.3: refused in `read`.
        """
        if not head.startswith((b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file")):
            return False
        return first_fields(head) in (None, ("cycle",))

    def read(self, path: Path) -> Sequence[Trace]:
        """Read the one cell a file holds.

        Time runs from the start of the first operation. Each operation with samples
        is a segment; each operation, also an empty one, is a row of the StepTable
        (`step_index` is its index in the file). `discharge_capacity_ah` of a step is
        NASA's own: from load-on until 2.7 V is first crossed.

        Raises
        ------
        InputError
            MATLAB v7.3, damaged, or without the structure of the set.
        """
        data = path.read_bytes()
        check_elements(path, data)
        return (_trace(path, _operations(path)),)


def _operations(path: Path) -> Any:
    from scipy.io import loadmat

    try:
        content = loadmat(str(path), squeeze_me=True)
    except Exception as error:  # scipy raises a dozen types for damaged files
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    for value in content.values():
        names = getattr(getattr(value, "dtype", None), "names", None)
        if names and "cycle" in names and value.size == 1:
            operations = np.atleast_1d(value["cycle"].item())
            needed = {"type", "time", "data"}
            if operations.dtype.names and needed <= set(operations.dtype.names):
                return operations
    raise InputError(
        f"{path}: a MATLAB file without the structure <cell>.cycle(k).data",
        "is it complete? Other structures are read by the names of their vectors",
    )


def _trace(path: Path, operations: Any) -> Trace:
    n = operations.size
    kind = np.full(n, STEP_KINDS.index("other"))
    steps = {
        name: np.full(n, np.nan)
        for name in (
            "segment",
            "start_s",
            "duration_s",
            "step_index",
            "ambient_temperature_degc",
            "discharge_capacity_ah",
        )
    }
    steps["step_index"] = np.arange(n, dtype=np.float64)
    samples: dict[str, list[Column]] = {name: [] for name in (*_SAMPLES, "time_s")}
    ambient: list[Column] = []
    resistances: list[str] = []
    notices: list[Notice] = []
    empty: list[int] = []
    lost = n_segments = without_frequency = 0
    first: datetime | None = None
    for k, operation in enumerate(operations):
        name = str(operation["type"]).strip().lower()
        if name in STEP_KINDS:
            kind[k] = STEP_KINDS.index(name)
        start = _moment(operation["time"])
        if start is None:
            raise damaged(path, f"operation {k} has no start time")
        first = first or start
        start_s = (start - first).total_seconds()
        steps["start_s"][k] = start_s
        degc = _scalar(operation, "ambient_temperature")
        steps["ambient_temperature_degc"][k] = degc
        data = operation["data"]
        steps["discharge_capacity_ah"][k] = _scalar(data, "Capacity")
        if name == "impedance":
            without_frequency += 1
            re, rct = _scalar(data, "Re"), _scalar(data, "Rct")
            resistances.append(f"{k}: {re:.6g} {rct:.6g}")
            continue
        time_s = _vector(data, "Time")
        columns = {q: _first(data, names, time_s.size) for q, names in _SAMPLES.items()}
        placed = np.isfinite(time_s)
        lost += int((~placed).sum())
        if not placed.any():
            empty.append(k)
            continue
        local = time_s[placed]
        steps["segment"][k] = n_segments
        n_segments += segment_starts(local)[0].size
        steps["duration_s"][k] = float(local[-1] - local[0])
        samples["time_s"].append(start_s + local)
        for quantity, values in columns.items():
            samples[quantity].append(values[placed])
        ambient.append(np.full(local.size, degc))
    notices.extend(_notices(n, empty, lost, without_frequency))
    return _assembled(
        path, kind, steps, samples, ambient, first, notices, "; ".join(resistances)
    )


def _assembled(
    path: Path,
    kind: np.ndarray[Any, Any],
    steps: dict[str, Column],
    samples: dict[str, list[Column]],
    ambient: list[Column],
    first: datetime | None,
    notices: list[Notice],
    resistances: str,
) -> Trace:
    joined = {
        name: np.concatenate(parts) if parts else np.zeros(0)
        for name, parts in samples.items()
    }
    time_s = joined.pop("time_s")
    joined["ambient_temperature_degc"] = (
        np.concatenate(ambient) if ambient else np.zeros(0)
    )
    trace = shaped(
        path.stem,
        time_s,
        joined,
        header={
            # README of the data set: "Battery capacity (Ahr) for discharge till 2.7V".
            "vendor.capacity_cutoff_v": "2.7",
            "start_time": first.isoformat(sep=" ") if first else "",
            "vendor.re_rct_ohm": resistances,
        },
        notices=notices,
        steps=StepTable(kind, steps),
    )
    return _with_operations(trace, [part.size for part in samples["time_s"]])


def _with_operations(trace: Trace, sizes: list[int]) -> Trace:
    """Start a segment at each operation, and where time goes back inside one."""
    from dataclasses import replace

    begins = np.cumsum([0, *sizes[:-1]]) if sizes else np.zeros(1)
    starts = np.union1d(begins, trace.segment_start).astype(np.int64)
    return replace(trace, segment_start=starts)


def _notices(n: int, empty: list[int], lost: int, impedance: int) -> list[Notice]:
    notices = [
        Notice(
            "operations_are_segments",
            f"{n} operations; each with samples is a segment of its own",
            Severity.INFO,
        )
    ]
    if empty:
        shown = ", ".join(map(str, empty[:10]))
        notices.append(
            Notice(
                "missing_records",
                f"{len(empty)} charge or discharge operations hold no samples: "
                f"index {shown}{', ...' if len(empty) > 10 else ''}",
            )
        )
    if lost:
        notices.append(
            Notice("rows_without_time", f"{lost} samples have no time; kept out")
        )
    if impedance:
        notices.append(
            Notice(
                "spectra_without_frequency",
                f"{impedance} impedance operations state no frequencies: their Re and "
                "Rct are in the header, no spectrum is made",
                Severity.INFO,
            )
        )
    return notices


def _moment(value: Any) -> datetime | None:
    vector = _floats(value)
    if vector.size != 6 or not np.isfinite(vector).all():
        return None
    try:
        year, month, date = (int(v) for v in vector[:3])
        day = datetime(year, month, date)
        return day + timedelta(
            hours=float(vector[3]), minutes=float(vector[4]), seconds=float(vector[5])
        )
    except (ValueError, OverflowError):
        return None


def _floats(value: Any) -> Column:
    array = np.atleast_1d(np.asarray(value))
    if array.dtype == object and array.size == 1:
        array = np.atleast_1d(np.asarray(array.item()))
    if array.dtype.kind not in "fiuc":
        return np.zeros(0)
    return np.real(array).astype(np.float64).ravel()


def _vector(record: Any, name: str) -> Column:
    names = getattr(getattr(record, "dtype", None), "names", None) or ()
    return _floats(record[name]) if name in names else np.zeros(0)


def _scalar(record: Any, name: str) -> float:
    values = _vector(record, name)
    return float(values[0]) if values.size == 1 else float("nan")


def _first(record: Any, names: tuple[str, ...], n: int) -> Column:
    """Return the first of several columns the record has, all NaN if none fits."""
    for name in names:
        values = _vector(record, name)
        if values.size == n:
            return values
    return np.full(n, np.nan)


READER = NasaMatReader()
