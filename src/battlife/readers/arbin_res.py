"""Arbin .res: an Access (Jet 4) database, read through access-parser."""

import contextlib
import io
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Trace
from battlife.readers.shape import TEMPERATURES, gap_notice, shaped

MAX_BYTES: Final = 512 << 20
"""A .res is parsed record by record in memory; tests beyond this are split by Arbin."""
_MAGIC: Final = b"\x00\x01\x00\x00Standard Jet DB\x00"
_PAGE: Final = 4096
_SAMPLES: Final = "Channel_Normal_Table"
_TEMPERATURE_TYPE: Final = 1
"""Data_Type of the auxiliary table: 0 voltage, 1 temperature, 2 pressure."""

_COLUMNS: Final[Mapping[str, str]] = {
    "Step_Time": "step_time_s",
    "Step_Index": "step_index",
    "Cycle_Index": "cycle_index",
    "Current": "current_a",
    "Voltage": "voltage_v",
    "Charge_Capacity": "charge_capacity_ah",
    "Discharge_Capacity": "discharge_capacity_ah",
    "Charge_Energy": "charge_energy_wh",
    "Discharge_Energy": "discharge_energy_wh",
    "Internal_Resistance": "internal_resistance_ohm",
}
_FACTS: Final[Mapping[str, str]] = {
    "Item_ID": "serial_number",
    "Creator": "operator",
    "Schedule_File_Name": "procedure",
    "Comments": "comment",
    "Software_Version": "software_version",
    "Serial_Number": "instrument",
    "Test_Name": "vendor.test_name",
}


class ArbinResReader:
    """Reads an Arbin result database, one Trace per test."""

    name = "arbin_res"
    description = "Arbin .res (Access database)"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the head is of a Jet database."""
        return head.startswith(_MAGIC)

    def read(self, path: Path) -> Sequence[Trace]:
        """Read every test of the database.

        Raises
        ------
        InputError
            Not a database of Arbin, damaged, or too large.
        """
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(
                f"{path}: {size} bytes, more than {MAX_BYTES}",
                "export the test in parts",
            )
        notices: list[Notice] = []
        if size % _PAGE:
            notices.append(
                Notice(
                    "truncated_record",
                    f"the database ends inside a page: {size % _PAGE} of {_PAGE} bytes",
                )
            )
        _check_chains(path)
        tables = _tables(path, notices)
        return _traces(path, tables, notices)


def _check_chains(path: Path) -> None:
    """Refuse table definitions that continue in a circle."""
    data = path.read_bytes()
    pages = len(data) // _PAGE
    for first in range(pages):
        seen, page = set(), first
        while page and page < pages and data[page * _PAGE] == 2:
            if page in seen:
                raise _damaged(path, f"table definition at page {first} is a circle")
            seen.add(page)
            page = int.from_bytes(data[page * _PAGE + 4 : page * _PAGE + 8], "little")


def _damaged(path: Path, why: str) -> InputError:
    return InputError(
        f"{path}: the Arbin database is damaged: {why}",
        "copy it again from the tester, or export it as .xlsx",
    )


@contextlib.contextmanager
def _quiet() -> Iterator[list[str]]:
    """Collect what the library would log or print."""
    said: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if len(said) < 100:
                said.append(record.getMessage()[:200])

    log = logging.getLogger("access_parser")
    handler, propagate = Collect(logging.WARNING), log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield said
    finally:
        log.removeHandler(handler)
        log.propagate = propagate


def _tables(path: Path, notices: list[Notice]) -> dict[str, dict[str, list[Any]]]:
    """Return the tables needed; compare each with the row count it declares."""
    from access_parser import AccessParser

    class Database(AccessParser):  # type: ignore[misc]  # the library is untyped
        def parse_msys_table(self) -> dict[str, object]:
            """Skip column formats: chained memo fields Arbin does not use."""
            return {}

    tables: dict[str, dict[str, list[Any]]] = {}
    with _quiet() as said:
        try:
            database = Database(str(path))
            if _SAMPLES not in database.catalog:
                raise InputError(
                    f"{path}: an Access database without {_SAMPLES}",
                    "only result files of Arbin's MITS are read",
                )
            for name in ("Global_Table", _SAMPLES, "Auxiliary_Table"):
                if name not in database.catalog:
                    continue
                table = database.get_table(name)
                if table is None:
                    raise _damaged(path, f"{name} cannot be found")
                tables[name] = dict(table.parse())
                declared = int(table.table_header.number_of_rows)
                found = max((len(v) for v in tables[name].values()), default=0)
                if found != declared:
                    notices.append(
                        Notice(
                            "missing_records",
                            f"{name} declares {declared} rows, {found} were found",
                        )
                    )
        except (InputError, MemoryError, OSError):
            raise
        except Exception as error:  # the library raises whatever the bytes provoke
            raise _damaged(path, f"{type(error).__name__}: {str(error)[:200]}") from (
                error
            )
    if said:
        notices.append(
            Notice("reader_warning", f"{len(said)} oddities, first: {said[0]}")
        )
    return tables


def _traces(
    path: Path, tables: dict[str, dict[str, list[Any]]], notices: list[Notice]
) -> tuple[Trace, ...]:
    samples = tables.get(_SAMPLES, {})
    lengths = {len(v) for v in samples.values()}
    if len(lengths) != 1:
        raise _damaged(path, f"columns of {sorted(lengths)} rows")
    missing = {"Test_ID", "Data_Point", "Test_Time", "Voltage", "Current"} - set(
        samples
    )
    if missing:
        raise _damaged(path, f"{_SAMPLES} has no {', '.join(sorted(missing))}")
    if lengths == {0}:
        raise InputError(f"{path}: the database holds no samples")
    table = {
        name: _floats(samples[name])
        for name in ("Test_ID", "Data_Point", "Test_Time", *_COLUMNS)
        if name in samples
    }
    order = np.lexsort((table["Data_Point"], table["Test_ID"]))
    table = {name: values[order] for name, values in table.items()}
    tests = np.unique(table["Test_ID"][np.isfinite(table["Test_ID"])])
    return tuple(
        _trace(path, tables, table, float(test), len(tests), notices) for test in tests
    )


def _trace(
    path: Path,
    tables: dict[str, dict[str, list[Any]]],
    table: dict[str, Column],
    test: float,
    n_tests: int,
    notices: list[Notice],
) -> Trace:
    rows = table["Test_ID"] == test
    point = table["Data_Point"][rows]
    found = [*notices, *gap_notice(point, "Data_Point")]
    if point[0] != 1:
        found.append(
            Notice("missing_records", f"the first Data_Point is {point[0]:g}, not 1")
        )
    columns = {
        quantity: table[name][rows]
        for name, quantity in _COLUMNS.items()
        if name in table
    }
    resistance = columns.get("internal_resistance_ohm")
    if resistance is not None:
        # Arbin writes 0 until the first measurement of a resistance.
        columns["internal_resistance_ohm"] = np.where(
            resistance == 0, np.nan, resistance
        )
    columns.update(_temperatures(tables.get("Auxiliary_Table", {}), test, point))
    facts = _facts(tables.get("Global_Table", {}), test)
    stem = path.stem if n_tests == 1 else f"{path.stem}_{test:g}"
    return shaped(
        facts.get("serial_number", "").strip() or stem,
        table["Test_Time"][rows],
        columns,
        header=facts,
        notices=found,
    )


def _floats(values: Sequence[Any]) -> Column:
    return np.array(
        [v if isinstance(v, (int, float)) else math.nan for v in values],
        dtype=np.float64,
    )


def _temperatures(
    table: dict[str, list[Any]], test: float, point: Column
) -> dict[str, Column]:
    """Return auxiliary temperatures, placed on the samples by their Data_Point."""
    needed = ("Test_ID", "Data_Point", "Auxiliary_Index", "Data_Type", "X")
    if any(name not in table for name in needed):
        return {}
    arrays = {name: _floats(table[name]) for name in needed}
    if len({a.size for a in arrays.values()}) != 1:
        return {}
    rows = (arrays["Test_ID"] == test) & (arrays["Data_Type"] == _TEMPERATURE_TYPE)
    columns: dict[str, Column] = {}
    sensors = np.unique(arrays["Auxiliary_Index"][rows])
    for name, sensor in zip(TEMPERATURES, sensors, strict=False):
        chosen = rows & (arrays["Auxiliary_Index"] == sensor)
        at = np.searchsorted(point, arrays["Data_Point"][chosen])
        inside = at < point.size
        at, values = at[inside], arrays["X"][chosen][inside]
        exact = point[at] == arrays["Data_Point"][chosen][inside]
        column = np.full(point.size, np.nan)
        column[at[exact]] = values[exact]
        columns[name] = column
    return columns


def _facts(table: dict[str, list[Any]], test: float) -> dict[str, str]:
    ids = table.get("Test_ID", [])
    if test not in ids:
        return {}
    row = ids.index(test)

    def cell(name: str) -> Any:
        values = table.get(name, [])
        return values[row] if row < len(values) else None

    facts = {
        key: text
        for name, key in _FACTS.items()
        if isinstance(text := cell(name), str) and text.strip()
    }
    channel = cell("Channel_Index")
    if isinstance(channel, int):
        # The database counts channels from 0, the tester's front from 1.
        facts["channel"] = str(channel + 1)
    start = cell("Start_DateTime")
    if isinstance(start, float) and 25569 < start < 73050:
        moment = datetime(1899, 12, 30) + timedelta(days=start)
        facts["start_time"] = moment.isoformat(sep=" ", timespec="seconds")
    return facts


READER = ArbinResReader()
