"""Renault Zoe of the second generation (ZE50): the battery controller (LBC).

Sources, as facts: CanZE assets LBC_FieldsPh2.csv; Battery-Emulator
RENAULT-ZOE-GEN2-BATTERY and issue 2819.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from battlife.simulate.bits import big, packed
from battlife.simulate.can_bus import PackView
from battlife.simulate.isotp_server import IsoTpServer
from battlife.simulate.pack_model import PackModel, PackSpec, Shown
from battlife.simulate.slcan_server import SlcanServer, adapter
from battlife.simulate.uds_server import DiagnosedNode, UdsServer
from battlife.simulate.zoe_gen1 import CODES

SPECS: Final[Mapping[str, PackSpec]] = MappingProxyType(
    {
        "52kwh": PackSpec(
            n_cells=96,
            capacity_ah=156.0,
            chemistry="nmc",
            health=0.93,
            claimed_soh=0.95,
            n_sensors=12,
        )
    }
)

_FIRST_CELL: Final = 0x9021
_SKIPPED: Final = frozenset({0x9040, 0x9060, 0x9080})
_CELLS: Final = tuple(did for did in range(_FIRST_CELL, 0x9084) if did not in _SKIPPED)
_FIRST_SENSOR: Final = 0x9131
# Sent to it by the vehicle controller, and by whoever wakes it on a bench.
_EXPECTED: Final = frozenset({0x373})
_REGENERATION_KW: Final = 80.0
_DISCHARGE_KW: Final = 100.0
_CHARGE_KW: Final = 43.0
_KM_PER_KWH: Final = 5.8
_COUNTS: Final = {0x9210: 117, 0x9213: 340, 0x9214: 21}
_CLOSED, _OPEN = 2, 1


def station(
    pack: PackModel,
    faults: frozenset[str],
    seed: int,
    *,
    variant: str,
    bus_load: float = 0.0,
) -> SlcanServer:
    """Return the LBC on its bus, behind an SLCAN adapter."""
    del variant  # there is one
    view = PackView(pack)
    server = UdsServer(
        view,
        lambda request: value(int.from_bytes(request[1:], "big"), view()),
        CODES,
        session=0x03,
        long_session=True,
    )
    transport = IsoTpServer(0x18DADBF1, 0x18DAF1DB, server.answer, extended=True)
    node = DiagnosedNode(server, transport, expected=_EXPECTED)
    return adapter(node, view, faults, seed, bus_load=bus_load)


def value(did: int, shown: Shown) -> bytes | None:
    """Return what follows the echoed identifier, None for one it does not have."""
    volt, degc = shown.cell_voltage_v, shown.temperature_degc
    if did in _CELLS[: len(volt)]:
        return big(volt[_CELLS.index(did)] * 1024, 2)
    if _FIRST_SENSOR <= did < _FIRST_SENSOR + len(degc):
        return _temperature(degc[did - _FIRST_SENSOR])
    if did in _COUNTS:
        return big(_COUNTS[did], 2)
    pick = _VALUES.get(did)
    return None if pick is None else pick(shown)


def _temperature(degc: float) -> bytes:
    return big(degc / 0.0625 + 640, 2)


def _energy_wh(shown: Shown) -> float:
    return shown.remaining_ah * 3.7 * len(shown.cell_voltage_v)


def _lifetime_km(shown: Shown) -> float:
    return shown.energy_throughput_wh / 1000 * _KM_PER_KWH


def _place(values: tuple[float, ...], wanted: float) -> bytes:
    return big(values.index(wanted) + 1, 1)


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


_VALUES: Final[Mapping[int, Callable[[Shown], bytes]]] = {
    0x9001: lambda s: big(s.soc * 10_000 + 300, 2),
    0x9002: lambda s: big(s.soc * 10_000 + 300, 2),
    0x9003: lambda s: big(s.soh * 10_000, 2),
    0x9005: lambda s: big(s.voltage_v * 10, 2),
    0x9006: lambda s: big(sum(s.cell_voltage_v) * 1024, 4),
    0x9007: lambda s: big(max(s.cell_voltage_v) * 1024, 2),
    0x9008: lambda s: _place(s.cell_voltage_v, max(s.cell_voltage_v)),
    0x9009: lambda s: big(min(s.cell_voltage_v) * 1024, 2),
    0x900A: lambda s: _place(s.cell_voltage_v, min(s.cell_voltage_v)),
    0x900D: lambda s: big(s.current_a / 0.025 + 48_000, 4),
    0x900E: lambda s: big(_REGENERATION_KW * 100, 2),
    0x900F: lambda s: big(_DISCHARGE_KW * 100, 2),
    0x9011: lambda s: big(s.aux_voltage_v * 1024, 2),
    0x9012: lambda s: _temperature(_mean(s.temperature_degc)),
    0x9013: lambda s: _temperature(min(s.temperature_degc)),
    0x9014: lambda s: _temperature(max(s.temperature_degc)),
    0x9018: lambda s: big(_CHARGE_KW * 100, 2),
    0x901A: lambda s: big(_CLOSED if s.contactors_closed else _OPEN, 1),
    0x9129: lambda s: bytes(4),
    0x912B: lambda s: packed(s.balancing),
    0x91C8: lambda s: big(_energy_wh(s), 3),
    0x91CA: lambda s: big(s.contactors_closed, 1),
    0x91CB: lambda s: big(0, 1),
    0x91CF: lambda s: big(_lifetime_km(s) * 32 + 2**31, 4),
    0x925C: lambda s: big(s.contactors_closed, 1),
    0x925D: lambda s: big(s.current_a * 32 + 32_640, 2),
}
