"""Neware .nda and .ndax, read through fastnda."""

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from battlife.errors import InputError
from battlife.model import STEP_KINDS, Column, Notice, Severity, StepTable, Trace
from battlife.readers.shape import TEMPERATURES, gap_notice, shaped
from battlife.readers.zipped import check_zip

if TYPE_CHECKING:
    import polars as pl

_CHARGE: Final = frozenset({1, 3, 7, 9, 11, 18, 27, 29})
_DISCHARGE: Final = frozenset({2, 8, 10, 19, 20, 26, 28})
_REST: Final = frozenset({4, 13, 22})
"""Neware's codes of a step type: CC, CV, CCCV, CP, CR and their mixtures."""


class NewareReader:
    """Reads the binary records of a Neware cycler."""

    name = "neware_nda"
    description = "Neware .nda and .ndax"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the head is of a Neware record or of a container of them."""
        if head.startswith(b"NEWARE"):
            return True
        if not head.startswith(b"PK\x03\x04") or b"[Content_Types].xml" in head:
            return False
        parts = (b"TestInfo.xml", b"EditStep.xml", b"Step.xml", b".ndc")
        return any(part in head for part in parts)

    def read(self, path: Path) -> Sequence[Trace]:
        """Read the one channel a file holds.

        `time_s` is the tester's step clock summed over its steps, so it does not
        jump when the PC's clock is set; the wall clock is in `unix_time_s`.

        Raises
        ------
        InputError
            Damaged, cut before the first record, or of an unknown version.
        """
        with path.open("rb") as file:
            head = file.read(128)
        packed = head.startswith(b"PK")
        notices: list[Notice] = []
        if packed:
            names = check_zip(path)
            if not any(name.endswith(".ndc") for name in names):
                raise InputError(
                    f"{path}: a zip container without records (.ndc)",
                    "is this a Neware export?",
                )
        else:
            notices.extend(_declared(head, path.stat().st_size))
        frame, said = _frame(path, packed)
        notices.extend(
            Notice("reader_warning", text.splitlines()[0][:300]) for text in said
        )
        if frame.height == 0:
            raise InputError(f"{path}: no records", "was the export interrupted?")
        facts = _facts(path) if packed else {}
        return (_trace(path, frame, facts, notices, packed),)


def _declared(head: bytes, size: int) -> tuple[Notice, ...]:
    """Compare the data block a .nda declares with the size of the file."""
    if len(head) < 98:
        return ()
    # The version of the file sets where the pointer to its main block stands.
    wide = head[14] >= 129
    begin, length = struct.unpack_from(
        "<QQ" if wide else "<II", head, 82 if wide else 64
    )
    if not 0 < begin < 1 << 24 or length == 0 or begin + length <= size:
        return ()
    return (
        Notice(
            "truncated_record",
            f"the file declares records up to byte {begin + length} and ends at "
            f"{size}: {begin + length - size} bytes are missing",
        ),
    )


@contextmanager
def _quiet() -> Iterator[list[str]]:
    """Collect what the library would write to stderr."""
    said: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    log = logging.getLogger("fastnda")
    handler, propagate = Collect(logging.WARNING), log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield said
        said.extend(str(w.message) for w in caught)
    finally:
        log.removeHandler(handler)
        log.propagate = propagate


@contextmanager
def _zlib_kept() -> Iterator[None]:
    """Undo what importing fastnda does to zlib.

    It puts another library's functions in place of zlib's for the whole process, and
    those raise other errors than every other reader expects of damaged data.
    """
    kept = zlib.decompress, zlib.decompressobj
    try:
        yield
    finally:
        zlib.decompress, zlib.decompressobj = kept


def _frame(path: Path, packed: bool) -> tuple["pl.DataFrame", list[str]]:
    with _zlib_kept():
        from fastnda.nda import read_nda
        from fastnda.ndax import read_ndax
        from fastnda.utils import _add_total_time as add_total_time

    with _quiet() as said:
        try:
            frame = read_ndax(path) if packed else read_nda(path)
            if "total_time_s" not in frame.columns:
                frame = add_total_time(frame)
        except (MemoryError, OSError):
            raise
        except BaseException as error:  # polars panics are not Exceptions
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            raise InputError(
                f"{path}: the Neware records cannot be read: "
                f"{type(error).__name__}: {str(error)[:200]}",
                "the file is damaged or of a version not known here; export it as "
                ".xlsx or CSV with Neware's own program",
            ) from error
    return frame, sorted(set(said))


def _facts(path: Path) -> dict[str, str]:
    """Return what TestInfo.xml states; nothing if it cannot be read."""
    import zipfile
    from xml.etree import ElementTree

    with zipfile.ZipFile(path) as archive:
        if "TestInfo.xml" not in archive.namelist():
            return {}
        raw = archive.read("TestInfo.xml")
    if b"<!ENTITY" in raw or b"<!DOCTYPE" in raw:
        return {}
    try:
        root = ElementTree.fromstring(raw.decode("gb18030", "replace").split("?>")[-1])
    except ElementTree.ParseError:
        return {}
    found = root.find("config/TestInfo")
    stated: Mapping[str, str] = found.attrib if found is not None else {}
    return {
        "serial_number": stated.get("Barcode", ""),
        "channel": "-".join(
            stated[k] for k in ("DevID", "UnitID", "ChlID") if stated.get(k)
        ),
        "procedure": stated.get("StepName", ""),
        "start_time": stated.get("StartTime", ""),
        "comment": stated.get("Remark", ""),
        "operator": stated.get("Creator", ""),
    }


def _trace(
    path: Path,
    frame: "pl.DataFrame",
    facts: dict[str, str],
    notices: list[Notice],
    packed: bool,
) -> Trace:
    def column(name: str, factor: float = 1.0) -> Column:
        values = frame.get_column(name).cast(float).fill_null(float("nan")).to_numpy()
        return np.asarray(values, dtype=np.float64) * factor

    have = frame.columns
    index = column("index")
    notices.extend(gap_notice(index, "record index"))
    if index[0] != 1:
        notices.append(
            Notice("missing_records", f"the first record is number {index[0]:g}, not 1")
        )
    time_s = column("total_time_s")
    columns: dict[str, Column] = {}
    for source, quantity, factor in (
        ("voltage_V", "voltage_v", 1.0),
        ("current_mA", "current_a", 1e-3),
        ("step_time_s", "step_time_s", 1.0),
        ("cycle_count", "cycle_index", 1.0),
        ("step_index", "step_index", 1.0),
        ("step_count", "step_count", 1.0),
    ):
        if source in have:
            columns[quantity] = column(source, factor)
    columns.update(_counters(have, column))
    start_utc = None
    if packed and "unix_time_s" in have:
        # A .nda states local time or none: only the container has true UTC.
        unix = column("unix_time_s")
        columns["unix_time_s"] = unix
        start_utc = _utc(unix[0] - time_s[0], facts.get("start_time", ""))
        back = int((np.diff(unix) < 0).sum())
        if back:
            notices.append(
                Notice(
                    "wall_clock_goes_back",
                    f"the wall clock goes back {back} times; time_s is the tester's "
                    "step clock and does not",
                )
            )
    columns.update(_temperatures(have, column, notices))
    return shaped(
        facts.get("serial_number", "").strip() or path.stem,
        time_s,
        columns,
        start_utc=start_utc,
        header=facts,
        notices=notices,
        steps=_steps(frame, time_s, column),
    )


def _counters(have: Sequence[str], column: Any) -> dict[str, Column]:
    """Return the step's own counters, unsigned per direction."""
    columns: dict[str, Column] = {}
    for what, unit, quantity in (
        ("capacity", "mAh", "capacity_ah"),
        ("energy", "mWh", "energy_wh"),
    ):
        signed = f"{what}_{unit}"
        if signed in have:
            values = column(signed, 1e-3)
            columns[f"charge_{quantity}"] = np.maximum(values, 0.0)
            columns[f"discharge_{quantity}"] = np.maximum(-values, 0.0)
        elif f"charge_{signed}" in have:
            for way in ("charge", "discharge"):
                columns[f"{way}_{quantity}"] = np.abs(column(f"{way}_{signed}", 1e-3))
    return columns


def _temperatures(
    have: Sequence[str], column: Any, notices: list[Notice]
) -> dict[str, Column]:
    sensors = iter(TEMPERATURES)
    columns: dict[str, Column] = {}
    left: list[str] = []
    for name in have:
        if not name.startswith("aux"):
            continue
        is_temperature = name.endswith("_temperature_degC")
        # A channel without a sensor is recorded as exactly 0 throughout.
        values = column(name) if is_temperature else np.zeros(0)
        sensor = next(sensors, None) if values.any() else None
        if sensor is not None:
            columns[sensor] = values
        else:
            left.append(name)
    if left:
        notices.append(
            Notice(
                "columns_left_out",
                f"auxiliary channels without a place here: {', '.join(left)}",
                Severity.INFO,
            )
        )
    return columns


def _utc(seconds: float, stated: str) -> datetime | None:
    """Return the start, unless the stamps are local time passed off as UTC.

    Older firmware writes local time: then they equal the start time of TestInfo.xml,
    which is always local.
    """
    if not 0 < seconds < 4e9:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    try:
        local = datetime.fromisoformat(stated).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if abs((moment - local).total_seconds()) > 600 else None


def _steps(frame: "pl.DataFrame", time_s: Column, column: Any) -> StepTable | None:
    """Return one row per executed step, from the records' own step type."""
    if not {"step_count", "step_type"} <= set(frame.columns):
        return None
    count = column("step_count")
    first = np.concatenate(([0], np.flatnonzero(np.diff(count) != 0) + 1))
    last = np.concatenate((first[1:] - 1, [count.size - 1]))
    types = column("step_type")[first]
    kind = np.array([_kind(t) for t in types.tolist()])
    table = {
        "start_s": time_s[first],
        "duration_s": time_s[last] - time_s[first],
        "start_voltage_v": column("voltage_V")[first],
        "end_voltage_v": column("voltage_V")[last],
        "start_current_a": column("current_mA", 1e-3)[first],
        "end_current_a": column("current_mA", 1e-3)[last],
    }
    for source, name in (("step_index", "step_index"), ("cycle_count", "cycle_index")):
        if source in frame.columns:
            table[name] = column(source)[first]
    return StepTable(kind, table)


def _kind(code: float) -> int:
    for codes, name in (
        (_CHARGE, "charge"),
        (_DISCHARGE, "discharge"),
        (_REST, "rest"),
    ):
        if code in codes:
            return STEP_KINDS.index(name)
    return STEP_KINDS.index("other")


READER = NewareReader()
