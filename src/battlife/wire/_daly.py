"""What the eight data bytes of a Daly BMS say, over UART and CAN alike.

Sources: dbus-serialbattery (bms/daly.py, bms/daly_can.py) and the vendor's
description. Temperatures are sent with 40 added, currents with 30000 tenths of an
ampere; above it the battery discharges.
"""

import math
from collections.abc import Mapping
from typing import Final

from battlife.errors import ProtocolError
from battlife.model import Notice, Value

ASK: Final[Mapping[int, str]] = {
    0x90: "pack",
    0x91: "cell_extremes",
    0x92: "temperature_extremes",
    0x93: "state",
    0x94: "counts",
    0x95: "cells",
    0x96: "temperatures",
    0x97: "balance",
    0x98: "alarms",
    0x50: "rated",
}
"""Commands that read, with the name of the message."""

PARTS: Final[Mapping[int, int]] = {0x95: 3, 0x96: 7}
"""Values in each frame of an answer of several frames."""

MAX_CELLS: Final = 48
MAX_SENSORS: Final = 32

ALARMS: Final[Mapping[int, str]] = {
    0: "cell over-voltage level 1",
    1: "cell over-voltage level 2",
    2: "cell under-voltage level 1",
    3: "cell under-voltage level 2",
    4: "pack over-voltage level 1",
    5: "pack over-voltage level 2",
    6: "pack under-voltage level 1",
    7: "pack under-voltage level 2",
    8: "charge over-temperature level 1",
    9: "charge over-temperature level 2",
    10: "charge under-temperature level 1",
    11: "charge under-temperature level 2",
    12: "discharge over-temperature level 1",
    13: "discharge over-temperature level 2",
    14: "discharge under-temperature level 1",
    15: "discharge under-temperature level 2",
    16: "charge over-current level 1",
    17: "charge over-current level 2",
    18: "discharge over-current level 1",
    19: "discharge over-current level 2",
    20: "SOC high level 1",
    21: "SOC high level 2",
    22: "SOC low level 1",
    23: "SOC low level 2",
    24: "cell voltage difference level 1",
    25: "cell voltage difference level 2",
    26: "temperature difference level 1",
    27: "temperature difference level 2",
    32: "charge MOSFET over-temperature",
    33: "discharge MOSFET over-temperature",
    34: "charge MOSFET temperature sensor fault",
    35: "discharge MOSFET temperature sensor fault",
    36: "charge MOSFET stuck",
    37: "discharge MOSFET stuck",
    38: "charge MOSFET open",
    39: "discharge MOSFET open",
    40: "front-end fault",
    41: "cell voltage sensing open",
    42: "temperature sensor fault",
    43: "EEPROM fault",
    44: "clock fault",
    45: "precharge fault",
    46: "communication fault",
    47: "internal communication fault",
    48: "current sensor fault",
    49: "pack voltage sensor fault",
    50: "short circuit",
    51: "low voltage forbids charging",
}
"""Alarm bits: 8 times the byte, plus the bit from the low end."""

CRITICAL: Final = frozenset({"short circuit", "front-end fault", "charge MOSFET stuck"})

Said = tuple[dict[str, Value], tuple[Notice, ...]]


def says(command: int, data: bytes) -> Said:
    """Return the values of one answer of eight bytes.

    Raises
    ------
    ProtocolError
        A number that the message cannot have.
    """
    values: dict[str, Value] = {}
    notices: tuple[Notice, ...] = ()
    if command == 0x90:
        values = {
            "voltage_v": _u16(data, 0) / 10,
            "current_a": (30000 - _u16(data, 4)) / 10,
            "soc": _u16(data, 6) / 1000,
        }
    elif command == 0x91:
        values = {
            "daly_cell_voltage_max_v": _u16(data, 0) / 1000,
            "daly_cell_max_number": float(data[2]),
            "daly_cell_voltage_min_v": _u16(data, 3) / 1000,
            "daly_cell_min_number": float(data[5]),
        }
    elif command == 0x92:
        values = {
            "daly_temperature_max_degc": float(data[0] - 40),
            "daly_temperature_min_degc": float(data[2] - 40),
        }
    elif command == 0x93:
        if data[0] > 2:
            raise ProtocolError(f"Daly state: {data[0]} is none of 0, 1, 2")
        values = {
            "daly_state": ("idle", "charge", "discharge")[data[0]],
            "charge_enabled": bool(data[1]),
            "discharge_enabled": bool(data[2]),
            "remaining_capacity_ah": int.from_bytes(data[4:8], "big") / 1000,
        }
    elif command == 0x94:
        values = {
            "daly_n_cells": float(data[0]),
            "daly_n_sensors": float(data[1]),
            "cycle_count": float(_u16(data, 5)),
        }
    elif command == 0x97:
        bits = int.from_bytes(data[:6], "little")
        values = {"balancing": bits != 0}
    elif command == 0x98:
        faults = tuple(
            ALARMS.get(8 * i + bit, f"alarm byte {i} bit {bit}")
            for i in range(7)
            for bit in range(8)
            if data[i] >> bit & 1
        )
        values = {"fault_codes": faults}
        notices = tuple(
            Notice("critical_fault_code", f"the BMS reports: {fault}")
            for fault in faults
            if fault in CRITICAL
        )
    elif command == 0x50:
        values = {
            "design_capacity_ah": int.from_bytes(data[0:4], "big") / 1000,
            "daly_nominal_cell_voltage_v": int.from_bytes(data[4:8], "big") / 1000,
        }
    return values, notices


class Parts:
    """Collects the frames of an answer that has several.

    Notes
    -----
    How many there are follows from the counts message. Before that was heard nothing
    is handed out: the last frame is padded with what looks like values.
    """

    def __init__(self) -> None:
        self.n_cells: int | None = None
        self.n_sensors: int | None = None
        self._kept: dict[int, list[bytes]] = {}

    def learn(self, values: Mapping[str, Value]) -> None:
        """Take the numbers of cells and sensors from the counts message."""
        cells, sensors = values.get("daly_n_cells"), values.get("daly_n_sensors")
        if isinstance(cells, float) and 0 < cells <= MAX_CELLS:
            self.n_cells = int(cells)
        if isinstance(sensors, float) and 0 < sensors <= MAX_SENSORS:
            self.n_sensors = int(sensors)

    def add(self, command: int, data: bytes) -> tuple[dict[str, Value], str] | None:
        """Take the next frame.

        Returns
        -------
        The values once the last one has come, and "" ; no values and what is wrong
        where a frame is missing; None while frames are to come.
        """
        total = self.n_cells if command == 0x95 else self.n_sensors
        if total is None:
            if data[0] == 1:
                return {}, "the number of values is not known: the counts come first"
            return None
        needed = math.ceil(total / PARTS[command])
        kept = self._kept.setdefault(command, [])
        if data[0] == 1:
            kept.clear()
        if data[0] != len(kept) + 1:
            broken = bool(kept)
            kept.clear()
            return ({}, f"frame {data[0]} is out of order") if broken else None
        kept.append(data[1:])
        if len(kept) < needed:
            return None
        body = b"".join(kept)
        kept.clear()
        if command == 0x95:
            # Each frame ends in a byte that is not used.
            body = b"".join(body[i : i + 6] for i in range(0, len(body), 7))
            cells = tuple(_u16(body, 2 * i) / 1000 for i in range(total))
            return {"cell_voltage_v": cells}, ""
        return {"temperature_degc": tuple(float(b - 40) for b in body[:total])}, ""


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
