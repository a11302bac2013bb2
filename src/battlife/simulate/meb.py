"""Volkswagen MEB (ID.3, ID.4, Enyaq, Q4): the battery controller.

Sources, as facts: Battery-Emulator MEB-BATTERY; OBDb Volkswagen-ID.4 (real answers).
On the bench it is spoken to on classic CAN with 29-bit identifiers.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from battlife.simulate.bits import big, held
from battlife.simulate.can_bus import PackView
from battlife.simulate.isotp_server import IsoTpServer
from battlife.simulate.pack_model import PackModel, PackSpec, Shown
from battlife.simulate.slcan_server import SlcanServer, adapter
from battlife.simulate.uds_server import DiagnosedNode, UdsServer
from battlife.simulate.zoe_gen1 import CODES

SPECS: Final[Mapping[str, PackSpec]] = MappingProxyType(
    {
        name: PackSpec(
            n_cells=n_cells,
            capacity_ah=ah,
            chemistry="nmc",
            health=0.95,
            claimed_soh=0.96,
            n_sensors=n_sensors,
            cycle_count=120,
        )
        for name, n_cells, ah, n_sensors in (
            ("96s", 96, 234.0, 12),
            ("84s", 84, 156.0, 7),
            ("108s", 108, 156.0, 9),
        )
    }
)

_FIRST_CELL: Final = 0x1E40
_N_PLACES: Final = 108
_NOT_FITTED: Final = 0xFFE
_FIRST_SENSOR: Final = 0x1EAE
_N_SENSORS: Final = 16
# Wh of a count. The source gives one scale for all four counters: for the charge it
# is taken as mAh.
_COUNTER_WH: Final = 0.11650853
_LIMIT_A: Final = 300.0


def station(
    pack: PackModel,
    faults: frozenset[str],
    seed: int,
    *,
    variant: str,
    bus_load: float = 0.0,
) -> SlcanServer:
    """Return the BMS on its bus, behind an SLCAN adapter."""
    del variant  # the pack says how many cells it has
    view = PackView(pack)
    server = UdsServer(
        view,
        lambda request: value(int.from_bytes(request[1:], "big"), view()),
        CODES,
        clears_by_obd=True,
    )
    transport = IsoTpServer(
        0x17FC007B, 0x17FE007B, server.answer, extended=True, padding=0x55
    )
    node = DiagnosedNode(server, transport)
    return adapter(node, view, faults, seed, bus_load=bus_load)


def value(did: int, shown: Shown) -> bytes | None:
    """Return what follows the echoed identifier, None for one it does not have."""
    volt, degc = shown.cell_voltage_v, shown.temperature_degc
    cell, sensor = did - _FIRST_CELL, did - _FIRST_SENSOR
    if 0 <= cell < _N_PLACES:
        raw = _NOT_FITTED
        if cell < len(volt):
            raw = min(held(volt[cell] * 1000 - 1000, 12), _NOT_FITTED - 1)
        return big(raw, 2)
    if 0 <= sensor < min(_N_SENSORS, len(degc)):
        return big((degc[sensor] + 40) * 8, 2)
    pick = _VALUES.get(did)
    return None if pick is None else pick(shown)


def current(shown: Shown) -> bytes:
    """Return 1E3D; what leaves the pack is negative."""
    return big((shown.current_a + 1500) * 100, 4)


def _numbered(values: tuple[float, ...], wanted: float, per_unit: int) -> bytes:
    signed = per_unit == 64
    return big(wanted * per_unit, 2, signed=signed) + big(values.index(wanted) + 1, 2)


def _throughput(shown: Shown) -> bytes:
    charged_ah, charged_wh = shown.charge_throughput_ah, shown.energy_throughput_wh
    # A pack gives back a little less than it took; what left it counts downwards.
    counts = (
        -0.95 * charged_ah * 1000,
        charged_ah * 1000,
        charged_wh,
        -0.92 * charged_wh,
    )
    return b"".join(big(c / _COUNTER_WH, 4, signed=True) for c in counts)


_VALUES: Final[Mapping[int, Callable[[Shown], bytes]]] = {
    0x028C: lambda s: big(s.soc * 250, 1),
    0x50CE: lambda s: big(s.soh * 10_000, 2),
    0x1E3B: lambda s: big(s.voltage_v * 4, 2),
    0x1E3D: current,
    0x1E0E: lambda s: _numbered(s.temperature_degc, max(s.temperature_degc), 64),
    0x1E0F: lambda s: _numbered(s.temperature_degc, min(s.temperature_degc), 64),
    0x1E33: lambda s: _numbered(s.cell_voltage_v, max(s.cell_voltage_v), 4096),
    0x1E34: lambda s: _numbered(s.cell_voltage_v, min(s.cell_voltage_v), 4096),
    0x1E2C: lambda s: big(s.soc * 10_000, 2),
    0x1E2D: lambda s: big(s.soc * 10_000, 2),
    0x1E36: lambda s: big(sum(s.cell_voltage_v) * 32, 2),
    0x1E38: lambda s: big(s.voltage_v * 32, 2),
    0x1E32: _throughput,
    0x1E1B: lambda s: big(_LIMIT_A * 5, 2),
    0x1E1C: lambda s: big(_LIMIT_A * 5, 2),
    0x189B: lambda s: big((s.voltage_v + 1000) * 2, 2),
}
