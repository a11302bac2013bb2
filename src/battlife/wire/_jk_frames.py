"""What the 300-byte frames of a JK BMS say, over RS485 and Bluetooth alike.

The status frame has three layouts and no field that names them. Cells, their average
and the pack voltage stand in different places in each, so the numbers tell: a layout
is proven where the average and the pack voltage it places are those of the cells it
places.

References
----------
Layouts and alarm bits: dbus-serialbattery, bms-docs/JKBMS-PB.md (the vendor's register
map, shifted by 6); esphome-jk-bms, components/jk_bms_ble and its captures. Pack
voltage of the float layout (a double at 230): found in the captures, where it is the
sum of the cells within 2 mV.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from battlife.errors import ProtocolError
from battlife.model import Notice, Value
from battlife.wire.checksums import sum8

HEAD: Final = bytes.fromhex("55AAEB90")
COMMAND_HEAD: Final = bytes.fromhex("AA5590EB")
"""Begins what is sent and acknowledged over Bluetooth."""
LENGTH: Final = 300
NAMES: Final[Mapping[int, str]] = {1: "settings", 2: "status", 3: "about"}
"""Byte 4 of a frame, and the name of its message."""

ALARMS: Final = (
    "wire resistance",
    "MOSFET over-temperature",
    "number of cells",
    "current sensor",
    "cell over-voltage",
    "pack over-voltage",
    "charge over-current",
    "charge short circuit",
    "charge over-temperature",
    "charge under-temperature",
    "internal communication",
    "cell under-voltage",
    "pack under-voltage",
    "discharge over-current",
    "discharge short circuit",
    "discharge over-temperature",
    "charge MOSFET",
    "discharge MOSFET",
    "GPS disconnected",
    "password to be changed",
    "discharge does not switch on",
    "battery over-temperature",
    "temperature sensor",
    "parallel module",
)
"""Alarm bits from bit 0."""
CRITICAL: Final = frozenset(
    {
        "charge short circuit",
        "discharge short circuit",
        "charge over-temperature",
        "discharge over-temperature",
        "battery over-temperature",
    }
)
NO_SENSOR: Final = -2000
"""Raw temperature where no sensor is fitted (-200.0 degC)."""
HINT: Final = "is it another JK model? keep the capture: it can be decoded later"

_Said = tuple[dict[str, Value], tuple[Notice, ...]]


@dataclass(frozen=True)
class Layout:
    """Where a status frame has its fields, in bytes from the header.

    Attributes
    ----------
    name : of the layout
    n_cells : places for cells from byte 6 on
    cell_bytes : 2 (mV) or 4 (float, V)
    mask, average : of the cells that are fitted
    wires : resistances of the sense wires
    pack : pack voltage
    rest : of what follows the pack voltage, None where there is nothing of it
    """

    name: str
    n_cells: int
    cell_bytes: int
    mask: int
    average: int
    wires: int
    pack: int
    rest: int | None


CELLS_32: Final = Layout("32 cells", 32, 2, 70, 74, 80, 150, 150)
CELLS_24: Final = Layout("24 cells", 24, 2, 54, 58, 64, 118, 118)
FLOATS: Final = Layout("24 cells as floats", 24, 4, 214, 202, 102, 230, None)
LAYOUTS: Final = (CELLS_32, CELLS_24, FLOATS)

PACK_TOLERANCE: Final = 0.02
"""Part of the pack voltage that the sum of cells may differ by: it is older."""
AVERAGE_TOLERANCE_V: Final = 0.02


def wrong(frame: bytes) -> str:
    """Return what is wrong with a frame, "" for a right one."""
    # One byte of checksum would let every 256th message pass that lost bytes and ends
    # in the next one.
    if HEAD in frame[1:] or COMMAND_HEAD in frame:
        return "another message begins inside it"
    right = sum8(frame[: LENGTH - 1])
    if frame[LENGTH - 1] == right:
        return ""
    return f"checksum {frame[LENGTH - 1]:02X}, calculated {right:02X}"


def proven(frame: bytes) -> tuple[Layout, ...]:
    """Return the layouts that the numbers of a status frame prove."""
    return tuple(layout for layout in LAYOUTS if _agrees(frame, layout))


def status(frame: bytes, layout: Layout) -> _Said:
    """Return what a status frame says in a layout."""
    values: dict[str, Value] = {"voltage_v": _pack_v(frame, layout)}
    cells = _cells_v(frame, layout)
    if cells:
        values["cell_voltage_v"] = cells
        values["jk_wire_resistance_ohm"] = tuple(
            math.nan if math.isnan(cell) else ohm
            for cell, ohm in zip(cells, _wires_ohm(frame, layout), strict=False)
        )
    if layout.rest is None:
        values["balancing"] = frame[220] != 0
        values["jk_balance_current_a"] = _float(frame, 222)
        values["jk_runtime_s"] = float(_u32(frame, 286))
        return values, ()
    at = layout.rest
    present = frame[at + 64]
    wide = layout is CELLS_32
    sensors = [(at + 12, 1), (at + 14, 2)]
    if wide:
        # The other two sensors; the vendor calls them 4 and 5.
        sensors += [(at + 106, 4), (at + 108, 5)]
    faults = _alarms(frame, at + 16, 4) if wide else _alarms(frame, at + 18, 2)
    values |= {
        "current_a": _s32(frame, at + 8) / 1000,
        "temperature_degc": tuple(
            _degc(frame, place, _is_fitted(frame, place, present, bit))
            for place, bit in sensors
        ),
        "jk_mosfet_temperature_degc": _degc(
            frame, at - 6 if wide else at + 16, present & 1
        ),
        "fault_codes": faults,
        "jk_balance_current_a": _s16(frame, at + 20) / 1000,
        "balancing": frame[at + 22] != 0,
        "soc": _percent(frame[at + 23]),
        "remaining_capacity_ah": _s32(frame, at + 24) / 1000,
        "full_capacity_ah": _u32(frame, at + 28) / 1000,
        "cycle_count": float(_u32(frame, at + 32)),
        "charge_throughput_ah": _u32(frame, at + 36) / 1000,
        "reported_soh": _percent(frame[at + 40]),
        "jk_precharging": frame[at + 41] != 0,
        "jk_runtime_s": float(_u32(frame, at + 44)),
        "charge_enabled": frame[at + 48] != 0,
        "discharge_enabled": frame[at + 49] != 0,
        "jk_heating": frame[at + 65] != 0,
    }
    return values, _critical(faults)


def settings(frame: bytes) -> _Said:
    """Return what a settings frame says.

    Raises
    ------
    ProtocolError
        It is neither of the known layouts.
    """
    n_cells, capacity_mah = _u32(frame, 114), _u32(frame, 130)
    lowest_mv, highest_mv = _u32(frame, 10), _u32(frame, 18)
    if 1 <= n_cells <= CELLS_32.n_cells and 0 < lowest_mv < highest_mv <= 5000:
        return {
            "jk_n_cells": float(n_cells),
            "design_capacity_ah": capacity_mah / 1000,
            "jk_cell_under_voltage_v": lowest_mv / 1000,
            "jk_cell_over_voltage_v": highest_mv / 1000,
            "jk_max_charge_current_a": _u32(frame, 50) / 1000,
            "jk_max_discharge_current_a": _u32(frame, 62) / 1000,
            "jk_charge_switch": _u32(frame, 118) != 0,
            "jk_discharge_switch": _u32(frame, 122) != 0,
            "jk_balance_switch": _u32(frame, 126) != 0,
        }, ()
    n_cells, stop_v, start_v = _u32(frame, 34), _float(frame, 38), _float(frame, 98)
    if 1 <= n_cells <= FLOATS.n_cells and 0 < stop_v < start_v <= 5:
        return {
            "jk_n_cells": float(n_cells),
            "jk_power_off_voltage_v": stop_v,
            "jk_balance_start_voltage_v": start_v,
            "jk_balance_switch": _u32(frame, 114) != 0,
        }, ()
    raise ProtocolError("JK settings of no known layout", HINT)


def about(frame: bytes) -> _Said:
    """Return what an about frame says; passwords in it are left alone.

    The text at 46 is the name that the owner gave the device. Where he gave none, the
    PB series has the serial number there too, which some descriptions take it for.
    """
    found = {
        "jk_model": _text(frame, 6, 16),
        "hardware_version": _text(frame, 22, 8),
        "software_version": _text(frame, 30, 8),
        "serial_number": _text(frame, 86, 16),
        "jk_device_name": _text(frame, 46, 16),
        "jk_manufactured": _text(frame, 78, 8),
    }
    values: dict[str, Value] = {k: v for k, v in found.items() if v}
    values["jk_runtime_s"] = float(_u32(frame, 38))
    values["jk_power_on_count"] = float(_u32(frame, 42))
    return values, ()


def _agrees(frame: bytes, layout: Layout) -> bool:
    cells = _cells_v(frame, layout)
    fitted = [v for v in cells if not math.isnan(v)]
    if not fitted or any(not 0 <= v < 6 for v in fitted):
        return False
    mask = _u32(frame, layout.mask)
    beyond = [
        _cell_v(frame, layout, i) for i in range(layout.n_cells) if not mask >> i & 1
    ]
    pack_v, total_v = _pack_v(frame, layout), math.fsum(fitted)
    return (
        not any(beyond)
        and total_v > 0
        and abs(total_v - pack_v) <= PACK_TOLERANCE * total_v
        and abs(_average_v(frame, layout) - total_v / len(fitted))
        <= AVERAGE_TOLERANCE_V
    )


def _cells_v(frame: bytes, layout: Layout) -> tuple[float, ...]:
    """Return the cells up to the last that is fitted, NaN where none is."""
    mask = _u32(frame, layout.mask) & ((1 << layout.n_cells) - 1)
    return tuple(
        _cell_v(frame, layout, i) if mask >> i & 1 else math.nan
        for i in range(mask.bit_length())
    )


def _cell_v(frame: bytes, layout: Layout, index: int) -> float:
    at = 6 + layout.cell_bytes * index
    return _u16(frame, at) / 1000 if layout.cell_bytes == 2 else _float(frame, at)


def _average_v(frame: bytes, layout: Layout) -> float:
    at = layout.average
    return _u16(frame, at) / 1000 if layout.cell_bytes == 2 else _float(frame, at)


def _pack_v(frame: bytes, layout: Layout) -> float:
    if layout.cell_bytes == 2:
        return _u32(frame, layout.pack) / 1000
    (value,) = struct.unpack_from("<d", frame, layout.pack)
    return float(value)


def _wires_ohm(frame: bytes, layout: Layout) -> tuple[float, ...]:
    places = range(layout.n_cells)
    if layout.cell_bytes == 2:
        return tuple(_u16(frame, layout.wires + 2 * i) / 1000 for i in places)
    return tuple(_float(frame, layout.wires + 4 * i) for i in places)


def _alarms(frame: bytes, at: int, n_bytes: int) -> tuple[str, ...]:
    bits = int.from_bytes(frame[at : at + n_bytes], "little")
    return tuple(
        ALARMS[i] if i < len(ALARMS) else f"alarm bit {i}"
        for i in range(8 * n_bytes)
        if bits >> i & 1
    )


def _critical(faults: tuple[str, ...]) -> tuple[Notice, ...]:
    return tuple(
        Notice("critical_fault_code", f"the BMS reports: {fault}")
        for fault in faults
        if fault in CRITICAL
    )


def _is_fitted(frame: bytes, at: int, present: int, bit: int) -> int:
    """Return the bit of a sensor; FF claims every one, those that are not read 0."""
    if present == 0xFF and _s16(frame, at) == 0:
        return 0
    return present >> bit & 1


def _degc(frame: bytes, at: int, present: int) -> float:
    raw = _s16(frame, at)
    return raw / 10 if present and raw != NO_SENSOR else math.nan


def _percent(raw: int) -> float:
    return raw / 100 if raw <= 100 else math.nan


def _text(frame: bytes, at: int, length: int) -> str:
    """Return text up to the first zero, "" if there is none."""
    raw = frame[at : at + length].split(b"\0")[0]
    return raw.decode("ascii").strip() if raw.isascii() else ""


def _u16(frame: bytes, at: int) -> int:
    return int.from_bytes(frame[at : at + 2], "little")


def _s16(frame: bytes, at: int) -> int:
    return int.from_bytes(frame[at : at + 2], "little", signed=True)


def _u32(frame: bytes, at: int) -> int:
    return int.from_bytes(frame[at : at + 4], "little")


def _s32(frame: bytes, at: int) -> int:
    return int.from_bytes(frame[at : at + 4], "little", signed=True)


def _float(frame: bytes, at: int) -> float:
    (value,) = struct.unpack_from("<f", frame, at)
    return float(value)
