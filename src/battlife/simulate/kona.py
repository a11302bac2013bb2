"""Hyundai and Kia on classic CAN (Kona, e-Niro, e-Soul): the battery controller.

Sources, as facts: evDash CarKiaEniro.cpp; Battery-Emulator KIA-HYUNDAI-64-BATTERY.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from battlife.simulate.bits import big
from battlife.simulate.can_bus import PackView
from battlife.simulate.isotp_server import IsoTpServer
from battlife.simulate.pack_model import PackModel, PackSpec, Shown
from battlife.simulate.slcan_server import SlcanServer, adapter
from battlife.simulate.uds_server import DiagnosedNode, UdsServer
from battlife.simulate.zoe_gen1 import CODES

SPECS: Final[Mapping[str, PackSpec]] = MappingProxyType(
    {
        "64kwh": PackSpec(
            n_cells=98,
            capacity_ah=180.0,
            chemistry="nmc",
            health=0.94,
            claimed_soh=1.0,
            n_sensors=4,
            cycle_count=8,
        )
    }
)

_PER_PAGE: Final = 32
_PAD: Final = 0xAA


def station(
    pack: PackModel,
    faults: frozenset[str],
    seed: int,
    *,
    variant: str,
    bus_load: float = 0.0,
) -> SlcanServer:
    """Return the BMS on its bus, behind an SLCAN adapter."""
    del variant  # there is one
    view = PackView(pack)
    server = UdsServer(view, lambda request: page(request, view()), CODES)
    transport = IsoTpServer(0x7E4, 0x7EC, server.answer, padding=_PAD)
    node = DiagnosedNode(server, transport)
    return adapter(node, view, faults, seed, bus_load=bus_load)


def page(request: bytes, shown: Shown) -> bytes | None:
    """Return what follows `62 01 nn` in the answer to `22 01 nn`."""
    if request[:2] != b"\x22\x01":
        return None
    number = request[2]
    if number == 0x01:
        return state(shown)
    if number in (0x02, 0x03, 0x04):
        first = (number - 2) * _PER_PAGE
        return b"\xff" * 4 + _cells(shown.cell_voltage_v[first : first + _PER_PAGE])
    if number == 0x05:
        return health(shown)
    if number == 0x06:
        data = bytearray(36)
        data[4:5] = big(min(shown.temperature_degc), 1, signed=True)
        return bytes(data)
    return None


def state(
    shown: Shown,
    *,
    inlet_degc: float | None = None,
    discharged_ah: float | None = None,
    discharged_wh: float | None = None,
    on_time_s: int = 411_393,
    available_kw: tuple[float, float] = (98.0, 150.0),
) -> bytes:
    """Return page 0101; offsets count from the 62 of the answer."""
    volt, degc = shown.cell_voltage_v, shown.temperature_degc
    data = bytearray(62)
    data[3:7] = bytes.fromhex("FFF7E7FF")
    data[7:8] = big(shown.soc * 200, 1)
    data[8:10] = big(available_kw[0] * 100, 2)
    data[10:12] = big(available_kw[1] * 100, 2)
    data[12] = shown.contactors_closed * 3
    data[13:15] = big(-shown.current_a * 10, 2, signed=True)  # discharge is positive
    data[15:17] = big(shown.voltage_v * 10, 2)
    data[17:18] = big(max(degc), 1, signed=True)
    data[18:19] = big(min(degc), 1, signed=True)
    data[19:23] = b"".join(big(t, 1, signed=True) for t in degc[:4])
    data[25:26] = big(min(degc) if inlet_degc is None else inlet_degc, 1, signed=True)
    data[26:28] = _cells((max(volt),)) + bytes([volt.index(max(volt)) + 1])
    data[28:30] = _cells((min(volt),)) + bytes([volt.index(min(volt)) + 1])
    data[32:33] = big(shown.aux_voltage_v * 10, 1)
    # A pack gives back a little less than it took.
    given_ah = shown.charge_throughput_ah * 0.95
    given_wh = shown.energy_throughput_wh * 0.92
    data[33:37] = big(shown.charge_throughput_ah * 10, 4)
    data[37:41] = big((given_ah if discharged_ah is None else discharged_ah) * 10, 4)
    data[41:45] = big(shown.energy_throughput_wh / 100, 4)
    data[45:49] = big((given_wh if discharged_wh is None else discharged_wh) / 100, 4)
    data[49:53] = big(on_time_s, 4)
    data[53] = 0x0D
    data[54:56] = big(shown.voltage_v, 2)
    data[60:62] = big(shown.isolation_ohm / 1000, 2)
    return bytes(data[3:])


def health(shown: Shown) -> bytes:
    """Return page 0105; offsets count from the 62 of the answer."""
    data = bytearray(46)
    data[3:7] = bytes.fromhex("003FFF90")
    data[26:27] = big(min(shown.temperature_degc), 1, signed=True)
    data[28:30] = big(shown.soh * 1000, 2)
    data[34:35] = big(shown.soc * 200, 1)
    rest = _cells(shown.cell_voltage_v[3 * _PER_PAGE : 3 * _PER_PAGE + 2])
    data[37 : 37 + len(rest)] = rest
    return bytes(data[3:])


def _cells(volt: tuple[float, ...]) -> bytes:
    return b"".join(big(v / 0.02, 1) for v in volt)
