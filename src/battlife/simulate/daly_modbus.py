"""Newer Daly boards: registers behind the address 0xD2.

Sources, as facts: aiobmsble bms/daly_bms.py (places and scales of the registers);
answers of 62 registers at 0 and of 9 at 0x3E.
"""

from typing import Final

from battlife.simulate.modbus_devices import _ModbusDevice
from battlife.simulate.pack_model import PackSpec, Shown

_N_REGISTERS: Final = 62
_MAX_CELLS: Final = 32
_MAX_SENSORS: Final = 8
_CURRENT_ZERO: Final = 30000
_TEMPERATURE_ZERO: Final = 40
_SENSORS, _TOTALS, _COUNTS = 32, 40, 48  # first register of each group
_MOSFET: Final = 0x42
_VERSIONS: Final = 0xA9


class DalyModbus(_ModbusDevice):
    """Answers function 3 at 0 (everything), 0x3E (MOSFET) and 0xA9 (versions)."""

    ADDRESS: Final = 0xD2
    SPEC: Final = PackSpec(n_cells=16, capacity_ah=100.0, n_sensors=4)

    def _held(self, function: int, shown: Shown) -> dict[int, int]:
        if function != 3:
            return {}
        volt = shown.cell_voltage_v[:_MAX_CELLS]
        degc = shown.temperature_degc[:_MAX_SENSORS]
        held = dict.fromkeys(range(_N_REGISTERS + 9), 0)
        held |= {i: round(v * 1000) for i, v in enumerate(volt)}
        held |= {_SENSORS + i: _degc(t) for i, t in enumerate(degc)}
        totals = (
            round(shown.voltage_v * 10),
            # Above the zero it is charged; on Daly's UART it is the other way round.
            _CURRENT_ZERO + round(shown.current_a * 10),
            round(shown.soc * 1000),
            round(max(volt) * 1000),
            round(min(volt) * 1000),
            _degc(max(degc)),
            _degc(min(degc)),
            1 if shown.current_a > 0 else 2 if shown.current_a < 0 else 0,
        )
        counts = (
            round(shown.remaining_ah * 10),
            len(volt),
            len(degc),
            shown.cycle_count,
            int(any(shown.balancing)),
            int(shown.charge_enabled),
            int(shown.discharge_enabled),
            round(sum(volt) / len(volt) * 1000),
            round((max(volt) - min(volt)) * 1000),
        )
        held |= {_TOTALS + i: value for i, value in enumerate(totals)}
        held |= {_COUNTS + i: value for i, value in enumerate(counts)}
        held[_MOSFET] = _degc(degc[0])
        words = b"SIM-SW".ljust(16, b"\0") + b"BATTLIFE-SIM".ljust(48, b"\0")
        return held | {
            _VERSIONS + i: int.from_bytes(words[2 * i : 2 * i + 2], "big")
            for i in range(len(words) // 2)
        }


def _degc(value: float) -> int:
    return round(value) + _TEMPERATURE_ZERO
