"""What the 300 bytes of a JK record say, in its three layouts.

"32S": PB series and firmware from 11. "24S": firmware 8 to 10. "JK04": firmware 3,
voltages as floating point; of it only the cells are known well enough to be read.

Sources: dbus-serialbattery (bms-docs/JKBMS-PB.md), esphome-jk-bms
(docs/protocol-design-ble.md, captures); alarm bits: BMS RS485 Modbus V1.1.
"""

import struct
from typing import Final, NamedTuple

from battlife.model import Notice, Value

RECORD_BYTES: Final = 300
_NAN: Final = float("nan")

ALARMS: Final = (
    "balance wire resistance",
    "MOSFET over-temperature",
    "number of cells differs from the setting",
    "current sensor error",
    "cell over-voltage",
    "pack over-voltage",
    "charge over-current",
    "charge short circuit",
    "charge over-temperature",
    "charge under-temperature",
    "coprocessor communication error",
    "cell under-voltage",
    "pack under-voltage",
    "discharge over-current",
    "discharge short circuit",
    "discharge over-temperature",
    "charge MOSFET error",
    "discharge MOSFET error",
    "GPS disconnected",
    "password must be changed",
    "discharge could not be switched on",
    "battery over-temperature",
    "temperature sensor error",
    "parallel module error",
)
"""Alarm bits from bit 0; the 24S layout has the first sixteen."""

CRITICAL: Final = frozenset(
    {
        "charge short circuit",
        "discharge short circuit",
        "charge over-temperature",
        "discharge over-temperature",
        "battery over-temperature",
        "coprocessor communication error",
    }
)
"""Shorted, too hot, or with voltages that cannot be believed."""


class WrongRecordError(Exception):
    """A record with a right checksum that does not hold what its type should."""


class Said(NamedTuple):
    """What a record says."""

    values: dict[str, Value]
    notices: tuple[Notice, ...] = ()


class _Layout(NamedTuple):
    """Where a status record has what, as offsets; None where it has not."""

    name: str
    n_cells: int
    mask: int  # of the cells it is set to, u32; the mean of them follows, u16
    voltage: int
    current: int
    sensors: tuple[tuple[int, int], ...]  # offset, bit of presence
    mosfet: int
    alarms: tuple[int, int]  # offset, bytes
    balancing: int  # then SOC, remaining, full, cycles, cycle capacity
    soh: int | None
    switches: int  # charge, discharge
    presence: int | None  # of the sensors


_32S: Final = _Layout(
    name="32S",
    n_cells=32,
    mask=70,
    voltage=150,
    current=158,
    sensors=((162, 0x02), (164, 0x04), (256, 0x10), (258, 0x20)),
    mosfet=144,
    alarms=(166, 4),
    balancing=172,
    soh=190,
    switches=198,
    presence=214,
)
_24S: Final = _Layout(
    name="24S",
    n_cells=24,
    mask=54,
    voltage=118,
    current=126,
    sensors=((130, 0), (132, 0)),
    mosfet=134,
    alarms=(136, 2),
    balancing=140,
    soh=None,
    switches=166,
    presence=None,
)


def record_says(record: bytes, *, proven: bool) -> Said:
    """Return what a record says.

    Parameters
    ----------
    record : 300 bytes with a right checksum
    proven : its way tells that the layout is 32S (RS485)

    Raises
    ------
    WrongRecordError
        Of a type or layout that is not known, or with values that cannot be.
    """
    kind = record[4]
    if kind == 1:
        return _settings(record)
    if kind == 2:
        return _status(record, _32S) if proven else _proved_status(record)
    if kind == 3:
        return _about(record)
    raise WrongRecordError(f"type {kind} is not known")


def _proved_status(record: bytes) -> Said:
    """Return a status whose layout its own voltages prove."""
    fitting = [lay for lay in (_32S, _24S) if _sum_fits(record, lay)]
    floats = _float_cells(record)
    if len(fitting) + (floats is not None) != 1:
        raise WrongRecordError(
            "its layout is not proven: the cells do not add up to the pack voltage"
        )
    if floats is not None:
        return Said({"cell_voltage_v": floats})
    return _status(record, fitting[0])


def _sum_fits(record: bytes, layout: _Layout) -> bool:
    """Say whether the cells add up to the pack voltage and have their stated mean."""
    millivolts = _millivolts(record, layout)
    total, pack = sum(millivolts), _u32(record, layout.voltage)
    fitted = sum(1 for mv in millivolts if mv)
    if not fitted or pack < 1000 or abs(total - pack) > 0.01 * pack + fitted:
        return False
    return abs(total / fitted - _u16(record, layout.mask + 4)) <= 2


def _float_cells(record: bytes) -> tuple[float, ...] | None:
    """Return the cells of the JK04 layout if their stated mean proves them."""
    cells = list(struct.unpack_from("<24f", record, 6))
    while cells and cells[-1] == 0:
        cells.pop()
    (mean,) = struct.unpack_from("<f", record, 202)
    if not cells or not all(0 <= c < 6 for c in cells) or not mean > 0.5:
        return None
    if abs(sum(cells) / len(cells) - mean) > 0.002:
        return None
    return tuple(round(c, 4) for c in cells)


def _status(record: bytes, layout: _Layout) -> Said:
    cells, notices = _cells(record, layout)
    at = layout.balancing
    soc = record[at + 1]
    if soc > 100 or record[layout.switches] > 1 or record[layout.switches + 1] > 1:
        raise WrongRecordError("state of charge or switches out of range")
    offset, size = layout.alarms
    alarms = int.from_bytes(record[offset : offset + size], "little")
    faults = tuple(
        ALARMS[i] if i < len(ALARMS) else f"alarm bit {i}"
        for i in range(8 * size)
        if alarms >> i & 1
    )
    values: dict[str, Value] = {
        "voltage_v": _u32(record, layout.voltage) / 1000,
        "current_a": _s32(record, layout.current) / 1000,
        "cell_voltage_v": cells,
        "temperature_degc": _sensors(record, layout),
        "jk_mosfet_temperature_degc": _degc(record, layout.mosfet),
        "balancing": record[at] != 0,
        "soc": soc / 100,
        "remaining_capacity_ah": _s32(record, at + 2) / 1000,
        "full_capacity_ah": _u32(record, at + 6) / 1000,
        "cycle_count": float(_u32(record, at + 10)),
        "jk_cycle_capacity_ah": _u32(record, at + 14) / 1000,
        "charge_enabled": bool(record[layout.switches]),
        "discharge_enabled": bool(record[layout.switches + 1]),
        "fault_codes": faults,
    }
    if layout.soh is not None:
        if record[layout.soh] > 100:
            raise WrongRecordError(f"state of health {record[layout.soh]} %")
        values["reported_soh"] = record[layout.soh] / 100
    critical = tuple(
        Notice("critical_fault_code", f"the BMS reports: {fault}")
        for fault in faults
        if fault in CRITICAL
    )
    return Said(values, notices + critical)


def _cells(
    record: bytes, layout: _Layout
) -> tuple[tuple[float, ...], tuple[Notice, ...]]:
    """Return the cells up to the last one with a voltage.

    Cells beyond it may be dead or not fitted. The record does not tell which, so it is
    said where the BMS is set to more.
    """
    millivolts = _millivolts(record, layout)
    n_cells = max((i for i, mv in enumerate(millivolts, 1) if mv), default=0)
    if not n_cells:
        raise WrongRecordError("no cell has a voltage")
    wanted = _u32(record, layout.mask).bit_length()
    notices: tuple[Notice, ...] = ()
    if n_cells < wanted <= layout.n_cells:
        notices = (
            Notice(
                "cells_without_voltage",
                f"the BMS is set to {wanted} cells; none beyond cell {n_cells} has a "
                "voltage: they are dead or not fitted",
            ),
        )
    return tuple(mv / 1000 for mv in millivolts[:n_cells]), notices


def _sensors(record: bytes, layout: _Layout) -> tuple[float, ...]:
    present = 0 if layout.presence is None else record[layout.presence]
    degc = []
    for offset, bit in layout.sensors:
        # FF claims every sensor; one that is not fitted then reads exactly 0.
        absent = layout.presence is not None and (
            not present & bit or (present == 0xFF and _u16(record, offset) == 0)
        )
        degc.append(_NAN if absent else _degc(record, offset))
    return tuple(degc)


def _settings(record: bytes) -> Said:
    """Return the settings; the JK04 layout has other bytes where the switches are."""
    n_cells = _u32(record, 114)
    switches = [_u32(record, at) for at in (118, 122, 126)]
    capacity = _u32(record, 130)
    if not 1 <= n_cells <= 32 or max(switches) > 1 or not capacity:
        raise WrongRecordError("its layout is not proven: no number of cells in it")
    return Said(
        {
            "jk_n_cells": float(n_cells),
            "jk_charge_switch": bool(switches[0]),
            "jk_discharge_switch": bool(switches[1]),
            "jk_balance_switch": bool(switches[2]),
            "design_capacity_ah": capacity / 1000,
        }
    )


def _about(record: bytes) -> Said:
    values: dict[str, Value] = {
        "jk_model": _text(record, 6, 16),
        "hardware_version": _text(record, 22, 8),
        "software_version": _text(record, 30, 8),
        "jk_runtime_s": float(_u32(record, 38)),
    }
    serial = _text(record, 86, 11)
    if serial:
        values["serial_number"] = serial
    return Said(values)


def _millivolts(record: bytes, layout: _Layout) -> tuple[int, ...]:
    return struct.unpack_from(f"<{layout.n_cells}H", record, 6)


def _degc(record: bytes, at: int) -> float:
    """Return degC; -200 and what no sensor can show is none."""
    degc = int.from_bytes(record[at : at + 2], "little", signed=True) / 10
    return degc if -60 <= degc <= 200 else _NAN


def _text(record: bytes, at: int, size: int) -> str:
    field = record[at : at + size].partition(b"\0")[0]
    try:
        text = field.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise WrongRecordError(f"{field.hex()} is no text") from error
    if not text.isprintable():
        raise WrongRecordError(f"{field.hex()} is no text")
    return text


def _u16(record: bytes, at: int) -> int:
    return int.from_bytes(record[at : at + 2], "little")


def _u32(record: bytes, at: int) -> int:
    return int.from_bytes(record[at : at + 4], "little")


def _s32(record: bytes, at: int) -> int:
    return int.from_bytes(record[at : at + 4], "little", signed=True)
