"""PalmSens PSTrace .pssession: UTF-16 JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Trace
from battlife.readers.spectrum import spectrum_trace

MAX_BYTES: Final = 128 << 20
_BOM: Final = b"\xff\xfe"
_FREQUENCY, _RE, _MINUS_IM, _TIME = 5, 7, 8, 0
"""ArrayType of the arrays; the imaginary part is stored as -Z''."""


class PalmSensReader:
    """Reads impedance of PSTrace sessions."""

    name = "palmsens"
    description = "PalmSens PSTrace .pssession impedance"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the head is of a PalmSens session, in UTF-16 or UTF-8."""
        plain = head[:2048].replace(b"\0", b"")
        return b"PalmSens.DataFiles" in plain

    def read(self, path: Path) -> Sequence[Trace]:
        """Read every measurement with impedance, one Trace each.

        Raises
        ------
        InputError
            Not JSON, cut, or without impedance.
        """
        session = _session(path)
        measurements = [
            m for m in _list(session, "Measurements") if _list(m, "EISDataList")
        ]
        if not measurements:
            raise InputError(
                f"{path}: the session holds no impedance",
                "only impedance of PSTrace is read; export others as CSV",
            )
        return tuple(
            _trace(path, m, f"_{i}" if len(measurements) > 1 else "")
            for i, m in enumerate(measurements, 1)
        )


def _session(path: Path) -> Mapping[str, Any]:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(f"{path}: {size} bytes, more than {MAX_BYTES}")
    data = path.read_bytes()
    text = data.decode("utf-16" if data.startswith(_BOM) else "utf-8", "replace")
    try:
        # Junk after the end of the object is normal: a second byte-order mark.
        session, _ = json.JSONDecoder().raw_decode(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: the session is not readable JSON: {error}",
            "the file is damaged or cut: save it again in PSTrace",
        ) from error
    if not isinstance(session, dict):
        raise InputError(f"{path}: the session is not an object")
    return session


def _list(record: object, name: str) -> list[Any]:
    value = record.get(name) if isinstance(record, dict) else None
    return value if isinstance(value, list) else []


def _trace(path: Path, measurement: Mapping[str, Any], suffix: str) -> Trace:
    notices: list[Notice] = []
    sweeps: list[tuple[Column, Column, Column]] = []
    times: list[Column] = []
    for data in _list(measurement, "EISDataList"):
        arrays = dict(_arrays(data))
        if not {_FREQUENCY, _RE, _MINUS_IM} <= set(arrays):
            notices.append(
                Notice("missing_records", "a data set has no frequency, ZRe or ZIm")
            )
            continue
        n = min(arrays[k].size for k in (_FREQUENCY, _RE, _MINUS_IM))
        if any(arrays[k].size != n for k in (_FREQUENCY, _RE, _MINUS_IM)):
            notices.append(
                Notice("missing_records", "arrays of a spectrum differ in length")
            )
        sweeps.append((arrays[_FREQUENCY][:n], arrays[_RE][:n], -arrays[_MINUS_IM][:n]))
        time_s = arrays.get(_TIME, np.zeros(0))
        if time_s.size == n and np.ptp(time_s) > 0:
            times.append(time_s)
    header = {
        "instrument": measurement.get("DeviceSerial", ""),
        "comment": measurement.get("Title", ""),
        "start_time": _stamp(measurement.get("UTCTimeStamp")),
    }
    return spectrum_trace(
        path,
        sweeps,
        time_s=times if len(times) == len(sweeps) else (),
        header=header,
        notices=notices,
        unit_id=f"{path.stem}{suffix}",
    )


def _arrays(data: object) -> Iterator[tuple[int, Column]]:
    """Yield the type and values of the arrays of a data set, first of a type only."""
    seen: set[int] = set()
    content = data.get("DataSet") if isinstance(data, dict) else None
    for array in _list(content, "Values"):
        kind = array.get("ArrayType") if isinstance(array, dict) else None
        if not isinstance(kind, int) or kind in seen:
            continue
        seen.add(kind)
        cells = [
            v.get("V") if isinstance(v, dict) else None
            for v in _list(array, "DataValues")
        ]
        yield (
            kind,
            np.array(
                [v if isinstance(v, (int, float)) else np.nan for v in cells],
                dtype=np.float64,
            ),
        )


def _stamp(ticks: object) -> str:
    """Return .NET ticks (100 ns since year 1) as ISO text in UTC."""
    if not isinstance(ticks, int) or not 0 < ticks < 3_000_000_000_000_000_000:
        return ""
    moment = datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
    return moment.isoformat(timespec="seconds")


READER = PalmSensReader()
