"""BioLogic .mpr: modules of EC-Lab, with one packed record per sample.

The layout is public knowledge, worked out by several open projects; the column table
below states facts of the format: the id of a column, its name in EC-Lab and its type.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Severity, Spectrum, Trace
from battlife.readers.shape import shaped

MAX_BYTES: Final = 1 << 30
_MAGIC: Final = b"BIO-LOGIC MODULAR FILE\x1a"
_FIRST_MODULE: Final = 52
_FLAGS: Final = frozenset({1, 2, 3, 21, 31, 65})
"""Mode, ox/red, error, control changes, Ns changes, counter inc.: bits of one byte."""
_DATA_START: Final = {2: 405, 3: 406, 10: 1007, 11: 1007}
"""Where records begin in a "VMP data" module, by its version."""
_LOG_STARTS: Final = (585, 465, 469, 473)
"""Where the "VMP LOG" module may hold the start as days since 1899-12-30."""

_TYPES: Final[Mapping[int, tuple[str, str]]] = {
    4: ("time/s", "<f8"),
    5: ("control/V/mA", "<f4"),
    6: ("Ewe/V", "<f4"),
    7: ("dq/mA.h", "<f8"),
    8: ("I/mA", "<f4"),
    9: ("Ece/V", "<f4"),
    11: ("<I>/mA", "<f8"),
    13: ("(Q-Qo)/mA.h", "<f8"),
    16: ("Analog IN 1/V", "<f4"),
    17: ("Analog IN 2/V", "<f4"),
    19: ("control/V", "<f4"),
    20: ("control/mA", "<f4"),
    23: ("dQ/mA.h", "<f8"),
    24: ("cycle number", "<f8"),
    26: ("Rapp/Ohm", "<f4"),
    32: ("freq/Hz", "<f4"),
    33: ("|Ewe|/V", "<f4"),
    34: ("|I|/A", "<f4"),
    35: ("Phase(Z)/deg", "<f4"),
    36: ("|Z|/Ohm", "<f4"),
    37: ("Re(Z)/Ohm", "<f4"),
    38: ("-Im(Z)/Ohm", "<f4"),
    39: ("I Range", "<u2"),
    69: ("R/Ohm", "<f4"),
    70: ("P/W", "<f4"),
    74: ("|Energy|/W.h", "<f8"),
    75: ("Analog OUT/V", "<f4"),
    76: ("<I>/mA", "<f4"),
    77: ("<Ewe>/V", "<f4"),
    78: ("Cs-2/uF-2", "<f4"),
    96: ("|Ece|/V", "<f4"),
    98: ("Phase(Zce)/deg", "<f4"),
    99: ("|Zce|/Ohm", "<f4"),
    100: ("Re(Zce)/Ohm", "<f4"),
    101: ("-Im(Zce)/Ohm", "<f4"),
    123: ("Energy charge/W.h", "<f8"),
    124: ("Energy discharge/W.h", "<f8"),
    125: ("Capacitance charge/uF", "<f8"),
    126: ("Capacitance discharge/uF", "<f8"),
    131: ("Ns", "<u2"),
    163: ("|Estack|/V", "<f4"),
    168: ("Rcmp/Ohm", "<f4"),
    169: ("Cs/uF", "<f4"),
    172: ("Cp/uF", "<f4"),
    173: ("Cp-2/uF-2", "<f4"),
    174: ("<Ewe>/V", "<f4"),
    178: ("(Q-Qo)/C", "<f4"),
    179: ("dQ/C", "<f4"),
    182: ("step time/s", "<f8"),
    185: ("<Ece>/V", "<f4"),
    211: ("Q charge/discharge/mA.h", "<f8"),
    212: ("half cycle", "<u4"),
    213: ("z cycle", "<u4"),
    217: ("THD Ewe/%", "<f4"),
    218: ("THD I/%", "<f4"),
    220: ("NSD Ewe/%", "<f4"),
    221: ("NSD I/%", "<f4"),
    223: ("NSR Ewe/%", "<f4"),
    224: ("NSR I/%", "<f4"),
    434: ("(Q-Qo)/C", "<f4"),
    435: ("dQ/C", "<f4"),
    438: ("step time/s", "<f8"),
    462: ("Temperature/degC", "<f4"),
    467: ("Q charge/discharge/mA.h", "<f8"),
    468: ("half cycle", "<u4"),
    469: ("z cycle", "<u4"),
    471: ("<Ece>/V", "<f4"),
    473: ("THD Ewe/%", "<f4"),
    474: ("THD I/%", "<f4"),
    476: ("NSD Ewe/%", "<f4"),
    477: ("NSD I/%", "<f4"),
    479: ("NSR Ewe/%", "<f4"),
    480: ("NSR I/%", "<f4"),
    **{486 + i: (f"|Ewe h{i + 2}|/V", "<f4") for i in range(6)},
    **{492 + i: (f"|I h{i + 2}|/A", "<f4") for i in range(6)},
}
"""Column id to name and NumPy type."""

_QUANTITIES: Final = (
    ("<I>/mA", "current_a", 1e-3),
    ("I/mA", "current_a", 1e-3),
    ("Ewe/V", "voltage_v", 1.0),
    ("<Ewe>/V", "voltage_v", 1.0),
    ("P/W", "power_w", 1.0),
    ("(Q-Qo)/mA.h", "net_capacity_ah", 1e-3),
    ("Energy charge/W.h", "charge_energy_wh", 1.0),
    ("Energy discharge/W.h", "discharge_energy_wh", 1.0),
    ("step time/s", "step_time_s", 1.0),
    ("cycle number", "cycle_index", 1.0),
    ("Ns", "step_index", 1.0),
    ("Temperature/degC", "temperature_degc", 1.0),
)
"""EC-Lab's name, quantity, factor; the first that is present is taken."""


@dataclass(frozen=True)
class _Module:
    """One module: short name, version, stated length and the bytes that are there."""

    name: str
    version: int
    length: int
    body: bytes


class BiologicMprReader:
    """Reads the binary record of a BioLogic potentiostat or cycler."""

    name = "biologic_mpr"
    description = "BioLogic EC-Lab .mpr"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the head is of EC-Lab's modular file."""
        return head.startswith(_MAGIC)

    def read(self, path: Path) -> Sequence[Trace]:
        """Read the one technique a file holds.

        Raises
        ------
        InputError
            No data module, an unknown column or version, or a damaged file.
        """
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: {size} bytes, more than {MAX_BYTES}")
        data = path.read_bytes()
        notices: list[Notice] = []
        modules = list(_modules(path, data, notices))
        record = next((m for m in modules if m.name == "VMP data"), None)
        if record is None:
            raise InputError(
                f"{path}: no data module",
                "the file was cut, or holds settings alone",
            )
        table = _table(path, record, notices)
        log = next((m for m in modules if m.name == "VMP LOG"), None)
        if log is None:
            notices.append(
                Notice(
                    "no_log_module",
                    "the file has no log module: the test was still running, or the "
                    "file was cut",
                )
            )
        return (_trace(path, table, _start(log), notices),)


def _modules(path: Path, data: bytes, notices: list[Notice]) -> Iterator[_Module]:
    at = _FIRST_MODULE
    while at < len(data):
        if data[at : at + 6] != b"MODULE":
            raise InputError(
                f"{path}: no module where one must begin, at byte {at}",
                "the file is damaged: copy it again",
            )
        if at + 65 > len(data):
            notices.append(Notice("truncated_record", "the last module header is cut"))
            return
        name = data[at + 6 : at + 16].decode("latin-1").strip("\x00 ")
        length, version = struct.unpack_from("<II", data, at + 41)
        begin = at + 57
        if length == 0xFFFFFFFF:
            # EC-Lab since 11.50 puts a maximum in front and a word in between.
            length, _, version = struct.unpack_from("<III", data, at + 45)
            begin = at + 65
        body = data[begin : begin + length]
        if len(body) < length:
            notices.append(
                Notice(
                    "truncated_record",
                    f"module {name!r} states {length} bytes, {len(body)} are there",
                )
            )
        yield _Module(name, version, length, body)
        at = begin + length


def _table(path: Path, module: _Module, notices: list[Notice]) -> dict[str, Column]:
    """Return the columns of the data module as float64, by EC-Lab's name."""
    body = module.body
    if len(body) < 5:
        raise InputError(f"{path}: the data module is cut before its first record")
    n, n_columns = struct.unpack_from("<IB", body)
    wide = module.version >= 3
    # Since version 10 the number of columns is a 16-bit number too.
    at = 6 if module.version >= 10 else 5
    if len(body) < at + (2 if wide else 1) * n_columns:
        raise InputError(f"{path}: the data module is cut before its first record")
    ids = struct.unpack_from(f"<{n_columns}{'H' if wide else 'B'}", body, at)
    fields: list[tuple[str, str]] = []
    for column in ids:
        if column in _FLAGS:
            if ("flags", "u1") not in fields:
                fields.append(("flags", "u1"))
            continue
        if column not in _TYPES:
            raise InputError(
                f"{path}: column id {column} is not known here",
                "export the file as text (.mpt) in EC-Lab and read that",
            )
        name, kind = _TYPES[column]
        if name in dict(fields):
            raise InputError(f"{path}: column {name!r} occurs twice")
        fields.append((name, kind))
    if not fields:
        raise InputError(f"{path}: the data module has no columns")
    layout = np.dtype(fields)
    start = _DATA_START.get(module.version)
    if start is None:
        raise InputError(
            f"{path}: version {module.version} of the data module is not known here",
            "export the file as text (.mpt) in EC-Lab and read that",
        )
    if start + n * layout.itemsize != module.length:
        raise InputError(
            f"{path}: {n} records of {layout.itemsize} bytes do not fill the "
            f"{module.length - start} bytes of the data module",
            "the file is damaged, or its columns have changed their types",
        )
    there = min(n, max(0, (len(body) - start) // layout.itemsize))
    if there < n:
        notices.append(
            Notice("missing_records", f"{n} records are declared, {there} are there")
        )
    if not there:
        raise InputError(f"{path}: the file holds no complete record")
    records = np.frombuffer(body, dtype=layout, count=there, offset=start)
    return {
        name: records[name].astype(np.float64) for name, _ in fields if name != "flags"
    }


def _trace(
    path: Path,
    table: dict[str, Column],
    start: str,
    notices: list[Notice],
) -> Trace:
    if "time/s" not in table:
        raise InputError(
            f"{path}: the record has no time column",
            "export the file as text (.mpt) in EC-Lab with time/s",
        )
    time_s = table["time/s"]
    columns: dict[str, Column] = {}
    for name, quantity, factor in _QUANTITIES:
        if name in table and quantity not in columns:
            columns[quantity] = table[name] * factor
    half_cycle = table.get("Q charge/discharge/mA.h")
    if half_cycle is not None:
        columns["charge_capacity_ah"] = np.maximum(half_cycle, 0.0) * 1e-3
        columns["discharge_capacity_ah"] = np.maximum(-half_cycle, 0.0) * 1e-3
    if "current_a" not in columns:
        notices.append(
            Notice(
                "no_current",
                "the file records charge but no current; none is derived",
            )
        )
    return shaped(
        path.stem,
        time_s,
        columns,
        header={"start_time": start},
        notices=notices,
        spectra=_spectra(time_s, columns.get("voltage_v"), table, notices),
    )


def _spectra(
    time_s: Column,
    voltage_v: Column | None,
    table: dict[str, Column],
    notices: list[Notice],
) -> tuple[Spectrum, ...]:
    """Return one spectrum per sweep: it ends where the frequency turns round."""
    if not {"freq/Hz", "Re(Z)/Ohm", "-Im(Z)/Ohm"} <= set(table):
        return ()
    rows = np.flatnonzero(table["freq/Hz"] > 0)
    if not rows.size:
        return ()
    frequency = table["freq/Hz"][rows]
    step = np.sign(np.diff(frequency))
    direction = step[step != 0][0] if step.any() else 1.0
    turns = np.flatnonzero(step == -direction) + 1
    spectra = []
    for part in np.split(rows, turns):
        spectra.append(
            Spectrum(
                table["freq/Hz"][part],
                table["Re(Z)/Ohm"][part],
                -table["-Im(Z)/Ohm"][part],
                time_s=float(time_s[part[0]]),
                voltage_v=(
                    float("nan") if voltage_v is None else float(voltage_v[part[0]])
                ),
            )
        )
    notices.append(
        Notice(
            "spectra", f"{len(spectra)} impedance spectra in the record", Severity.INFO
        )
    )
    return tuple(spectra)


def _start(log: _Module | None) -> str:
    """Return the start of the acquisition, local time, "" if it is not found."""
    if log is None:
        return ""
    for at in _LOG_STARTS:
        if at + 8 <= len(log.body):
            days = struct.unpack_from("<d", log.body, at)[0]
            if 36526.0 < days < 73050.0:  # 2000 to 2099
                moment = datetime(1899, 12, 30) + timedelta(days=days)
                return moment.isoformat(sep=" ", timespec="seconds")
    return ""


READER = BiologicMprReader()
