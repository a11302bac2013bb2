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
    0x53: "production",
    0x57: "battery_code",
}
"""Commands that read, with the name of the message."""

ORDER: Final = (0x94, *(c for c in ASK if c not in (0x94, 0x53, 0x57)))
"""Commands of a cycle. The counts come first, since cells and sensors need them. Date
and battery code are understood but not asked for: many boards do not answer them."""
EVERY_S: Final[Mapping[int, float]] = {0x94: 30.0, 0x50: math.inf}
"""Commands that are not asked in every cycle."""

PARTS: Final[Mapping[int, int]] = {0x95: 3, 0x96: 7, 0x57: 7}
"""Values (characters) in each frame of an answer of several frames."""
N_CODE_FRAMES: Final = 5
"""Frames of the battery code (dbus-serialbattery)."""

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

CRITICAL: Final = frozenset(
    {
        "short circuit",
        "front-end fault",
        "charge MOSFET stuck",
        "charge over-temperature level 2",
        "discharge over-temperature level 2",
    }
)
"""Cells that are hot or shorted must not be handled; behind a failed front end no
voltage can be believed, and behind a stuck MOSFET nothing stops a charge."""

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
    elif command == 0x53 and 1 <= data[3] <= 12 and data[4]:
        made = f"{2000 + data[2]:04d}-{data[3]:02d}-{data[4]:02d}"
        values = {"daly_manufactured": made}
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
        self._kept: dict[int, list[tuple[bytes, bytes]]] = {}

    def learn(self, values: Mapping[str, Value]) -> None:
        """Take the numbers of cells and sensors from the counts message."""
        cells, sensors = values.get("daly_n_cells"), values.get("daly_n_sensors")
        if isinstance(cells, float) and 0 < cells <= MAX_CELLS:
            self.n_cells = int(cells)
        if isinstance(sensors, float) and 0 < sensors <= MAX_SENSORS:
            self.n_sensors = int(sensors)

    def add(
        self, command: int, data: bytes, raw: bytes
    ) -> tuple[dict[str, Value], bytes] | None:
        """Take the next frame.

        Parameters
        ----------
        command, data : of the frame
        raw : the frame as it crossed the wire

        Returns
        -------
        The values and all frames once the last one has come, None before.

        Raises
        ------
        ProtocolError
            A frame is missing, or nobody can say how many there are.
        """
        total = self._total(command)
        if total is None:
            if data[0] == 1:
                raise ProtocolError(
                    f"Daly {ASK[command]}: the number of values is not known",
                    "the counts (command 94) must be heard before",
                )
            return None
        needed = math.ceil(total / PARTS[command])
        kept = self._kept.setdefault(command, [])
        if data[0] == 1:
            kept.clear()
        if data[0] != len(kept) + 1:
            broken = bool(kept)
            kept.clear()
            if broken:
                raise ProtocolError(
                    f"Daly {ASK[command]}: frame {data[0]} is out of order",
                    "were frames lost?",
                )
            return None
        kept.append((data[1:], raw))
        if len(kept) < needed:
            return None
        # Each frame of cells ends in a byte that is not used.
        size = 2 * PARTS[command] if command == 0x95 else PARTS[command]
        body = b"".join(part[:size] for part, _ in kept)
        whole = b"".join(part for _, part in kept)
        kept.clear()
        return _joined(command, body, total), whole

    def _total(self, command: int) -> int | None:
        if command == 0x57:
            return N_CODE_FRAMES * PARTS[command]
        return self.n_cells if command == 0x95 else self.n_sensors


def _joined(command: int, body: bytes, total: int) -> dict[str, Value]:
    """Return the values of all frames of an answer."""
    if command == 0x95:
        cells = tuple(_u16(body, 2 * i) / 1000 for i in range(total))
        return {"cell_voltage_v": cells}
    if command == 0x96:
        return {"temperature_degc": tuple(float(b - 40) for b in body[:total])}
    code = body.split(b"\0")[0]
    if not code.strip() or not code.isascii():
        return {}
    return {"daly_battery_code": code.decode("ascii").strip()}


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
