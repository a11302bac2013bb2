"""Renogy batteries: registers behind the address 0x30.

Sources, as facts: aiobmsble bms/renogy_bms.py; 7 registers at 0x13B2, 34 at 0x1388,
8 at 0x13EC (alarms and switches), 28 at 0x13F0 (names).
"""

from typing import Final

from battlife.simulate.modbus_devices import _ModbusDevice
from battlife.simulate.pack_model import PackSpec, Shown

_CELLS, _SENSORS, _STATE, _ALARMS, _NAMES = 0x1388, 0x1399, 0x13B2, 0x13EC, 0x13F0
_MAX: Final = 16
_CHARGE_SWITCH, _DISCHARGE_SWITCH = 0x2, 0x4


class RenogyModbus(_ModbusDevice):
    """Answers function 3; its cells are in steps of 0.1 V."""

    ADDRESS: Final = 0x30
    SPEC: Final = PackSpec(n_cells=4, capacity_ah=100.0, n_sensors=2)

    def _held(self, function: int, shown: Shown) -> dict[int, int]:
        if function != 3:
            return {}
        volt, degc = shown.cell_voltage_v[:_MAX], shown.temperature_degc[:_MAX]
        held = dict.fromkeys(range(_CELLS, _CELLS + 0x22), 0)
        held |= dict.fromkeys(range(_ALARMS, _NAMES + 0x1C), 0)
        held[_CELLS], held[_SENSORS] = len(volt), len(degc)
        held |= {_CELLS + 1 + i: round(v * 10) for i, v in enumerate(volt)}
        held |= {_SENSORS + 1 + i: _s16(t * 10) for i, t in enumerate(degc)}
        remaining, capacity = (
            round(ah * 1000).to_bytes(4, "big")
            for ah in (shown.remaining_ah, shown.full_ah)
        )
        held[_STATE] = _s16(shown.current_a * 100)
        held[_STATE + 1] = round(shown.voltage_v * 10)
        held |= _words(_STATE + 2, remaining + capacity)
        held[_STATE + 6] = shown.cycle_count
        switches = (
            _CHARGE_SWITCH * shown.charge_enabled
            | _DISCHARGE_SWITCH * shown.discharge_enabled
        )
        held[_ALARMS + 6] = switches
        held |= _words(_NAMES + 6, b"SIMULATED".ljust(16, b"\0"))
        held |= _words(_NAMES + 18, b"BATTLIFE-SIM".ljust(16, b"\0") + b"0000")
        return held


def _words(start: int, data: bytes) -> dict[int, int]:
    return {
        start + i: int.from_bytes(data[2 * i : 2 * i + 2], "big")
        for i in range(len(data) // 2)
    }


def _s16(value: float) -> int:
    return int.from_bytes(round(value).to_bytes(2, "big", signed=True), "big")
