"""Nissan Leaf: the battery controller (LBC) of ZE0, AZE0 and ZE1.

Sources, as facts: leaf_can_bus_messages EV-can_{ZE0,AZE0,ZE1}.dbc; Battery-Emulator
NISSAN-LEAF-BATTERY; OVMS vehicle_nissanleaf.cpp and issue 162.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from battlife.simulate.bits import big, held, put
from battlife.simulate.can_bus import Broadcast, PackView, measured_ah
from battlife.simulate.isotp_server import IsoTpServer
from battlife.simulate.pack_model import PackModel, PackSpec, Shown
from battlife.simulate.slcan_server import SlcanServer, adapter
from battlife.simulate.uds_server import (
    STATUS_NOT_TESTED,
    Code,
    DiagnosedNode,
    UdsServer,
)

_ZE0: Final = PackSpec(
    n_cells=96,
    capacity_ah=66.0,
    chemistry="nmc",
    health=0.80,
    claimed_soh=0.79,
    n_sensors=4,
    cycle_count=900,
)
SPECS: Final[Mapping[str, PackSpec]] = MappingProxyType(
    {
        "aze0": PackSpec(
            n_cells=96,
            capacity_ah=80.0,
            chemistry="nmc",
            health=0.87,
            claimed_soh=0.85,
            n_sensors=3,
        ),
        "ze0": _ZE0,
        "ze1": PackSpec(
            n_cells=96,
            capacity_ah=115.44,
            chemistry="nmc",
            health=0.92,
            claimed_soh=0.90,
            n_sensors=3,
        ),
    }
)
"""24, 30 and 40 kWh with the Ah that they had when new."""

_WH_PER_GID: Final = 80.0
_NOMINAL_V: Final = 96 * 3.75
_DISCHARGE_LIMIT_KW: Final = 110.0
_CHARGE_LIMIT_KW: Final = 62.0
_CHARGER_LIMIT_KW: Final = 92.3
_HX: Final = 0.80
_N_QUICK_CHARGES: Final = 41
_N_CHARGES: Final = 688
# Sent to it by the vehicle controller, and by whoever wakes it on a bench.
_EXPECTED: Final = frozenset({0x1D4, 0x1F2, 0x50B, 0x50C})
# Codes of a real answer (Battery-Emulator test NissanLeafTest); what each of the
# P33xx means is not published, that of P0AA6 and the others is in SAE J2012.
_CODES: Final = {
    "cell_overvoltage": 0x33D7,
    "short_circuit": 0x33D9,
    "cell_undervoltage": 0x33DD,
    "over_temperature": 0x0A7E,
    "low_isolation": 0x0AA6,
}
_UNTESTED: Final = tuple(Code(0x3300 + i, STATUS_NOT_TESTED) for i in range(149))


def station(
    pack: PackModel,
    faults: frozenset[str],
    seed: int,
    *,
    variant: str,
    bus_load: float = 0.0,
) -> SlcanServer:
    """Return the LBC on its bus, behind an SLCAN adapter."""
    view = PackView(pack)
    server = UdsServer(
        view,
        lambda request: group(variant, request, view(), measured_ah(pack)),
        _CODES,
        other_codes=lambda: _UNTESTED,
    )
    transport = IsoTpServer(0x79B, 0x7BB, server.answer)
    node = DiagnosedNode(
        server, transport, _broadcasts(variant, view), expected=_EXPECTED
    )
    return adapter(node, view, faults, seed, bus_load=bus_load)


def _broadcasts(variant: str, view: PackView) -> list[Broadcast]:
    sent = [
        Broadcast(0x1DB, 0.01, lambda n: power(variant, view(), n), has_crc=True),
        Broadcast(0x1DC, 0.01, lambda n: limits(n), has_crc=True),
        Broadcast(0x55B, 0.1, lambda n: charge(view(), n), has_crc=True),
        Broadcast(0x5BC, 0.5, lambda n: gids(variant, view())),
        Broadcast(0x5C0, 0.5, lambda n: history(variant, view(), n)),
    ]
    if variant == "aze0":
        sent.append(Broadcast(0x59E, 0.5, lambda n: capacity(view())))
    if variant == "ze1":
        # Its presence tells a ZE1; what it says is not modelled.
        sent.append(Broadcast(0x5EB, 0.5, lambda n: bytes(8)))
    return sent


def with_crc(data: bytes) -> bytes:
    """Return seven bytes and their CRC-8: polynomial 0x85, highest bit first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x85) & 0xFF if crc & 0x80 else crc << 1
    return data + bytes([crc])


def power(variant: str, shown: Shown, number: int) -> bytes:
    """Return 0x1DB: current, voltage, relay, usable SOC."""
    data = bytearray(7)
    put(data, 7, 11, held(shown.current_a * 2, 11, signed=True))
    put(data, 23, 10, held(shown.voltage_v * 2, 10))
    put(data, 26, 2, 1)
    put(data, 27, 1, 1)  # interlock
    put(data, 29, 1, shown.contactors_closed)
    if "short_circuit" in shown.alarms:
        put(data, 8, 1, 1)  # failsafe: stop
        put(data, 12, 2, 3)
    if variant != "ze0":
        put(data, 38, 7, held(shown.soc * 100, 7))
    put(data, 49, 2, number & 3)
    return with_crc(bytes(data))


def limits(
    number: int,
    discharge_kw: float = _DISCHARGE_LIMIT_KW,
    charge_kw: float = _CHARGE_LIMIT_KW,
    charger_kw: float = _CHARGER_LIMIT_KW,
) -> bytes:
    """Return 0x1DC: what the pack can give and take."""
    data = bytearray(bytes.fromhex("000000000CE4E0"))
    put(data, 7, 10, held(discharge_kw * 4, 10))
    put(data, 13, 10, held(charge_kw * 4, 10))
    put(data, 19, 10, held((charger_kw + 10) * 10, 10))
    put(data, 25, 2, 1)
    put(data, 49, 2, number & 3)
    return with_crc(bytes(data))


def charge(shown: Shown, number: int) -> bytes:
    """Return 0x55B: SOC, isolation sensor."""
    data = bytearray(7)
    put(data, 7, 10, held(shown.soc * 1000, 10))
    data[2] = 0x55 if number % 2 else 0xAA
    # The sensor sees a wave that an isolation fault damps; 5000/1024 mV a step. Bit 40
    # would say that the sensor itself is broken.
    put(data, 39, 10, 150 if "low_isolation" in shown.alarms else 900)
    put(data, 55, 1, shown.soc <= 0)
    put(data, 49, 2, number & 3)
    return with_crc(bytes(data))


def gids(variant: str, shown: Shown) -> bytes:
    """Return 0x5BC: remaining energy in gids, temperature, published SOH."""
    data = bytearray(8)
    full_wh = shown.full_ah * _NOMINAL_V
    put(data, 7, 10, held(full_wh * shown.soc / _WH_PER_GID, 10))
    if variant == "ze0":
        put(data, 13, 10, held((full_wh - 250) / 80, 10))
        data[3] = held(_mean(shown.temperature_degc) + 40, 8)
    put(data, 39, 7, held(shown.soh * 100, 7))
    put(data, 52, 13, 0x1FFF)  # no charge, no time left of one
    return bytes(data)


def history(variant: str, shown: Shown, number: int) -> bytes:
    """Return 0x5C0: the largest, mean and smallest of the last drive, in turn."""
    which = number % 3
    degc, volt = shown.temperature_degc, shown.cell_voltage_v
    choose = (max, _mean, min)[which]
    data = bytearray(8)
    put(data, 7, 2, which + 1)
    if variant == "ze0":
        data[2] = held(choose(degc) + 40, 8)
    else:
        put(data, 23, 7, held(choose(degc) + 40, 7))
        put(data, 15, 7, held((choose(degc) + 40) * 2, 7))
        put(data, 47, 6, held((choose(volt) * 1000 - 1900) / 40, 6))
    return bytes(data)


def capacity(shown: Shown) -> bytes:
    """Return 0x59E: full capacity of an AZE0."""
    data = bytearray(8)
    put(data, 20, 9, held(shown.full_ah * _NOMINAL_V / 100, 9))
    return bytes(data)


def group(variant: str, request: bytes, shown: Shown, ah: float) -> bytes | None:
    """Return what follows `61 gg` in the answer to `21 gg`."""
    number = request[1] if request[0] == 0x21 else 0
    if number == 0x01:
        return state(variant, shown, ah)
    if number == 0x02:
        cells = b"".join(big(v * 1000, 2) for v in shown.cell_voltage_v)
        return cells + big(shown.voltage_v * 100, 2) * 2
    if number == 0x04:
        return _temperatures(variant, shown)
    if number == 0x06:
        return _shunts(shown)
    if number == 0x61 and variant == "ze1":
        return bytes(2) + big(shown.soh * 10_000, 2) + bytes(325)
    if number == 0x62:
        return big(_N_CHARGES, 2) + big(_N_QUICK_CHARGES, 2)
    if number == 0x83:
        return b"SIMUL-" + {"ze0": b"0", "aze0": b"A", "ze1": b"1"}[variant]
    if number == 0x84:
        return bytes(3) + b"BATTLIFE-SIM-00"
    return None


def state(variant: str, shown: Shown, ah: float, hx: float = _HX) -> bytes:
    """Return group 01; bytes of unknown meaning are those of two real captures."""
    current = big(shown.current_a * 1024, 4, signed=True)
    measured = (
        big(shown.voltage_v * 100, 2)
        + big(shown.aux_voltage_v * 1000, 2)
        + big(shown.isolation_ohm / 1000, 2)
    )
    soc, amount = big(shown.soc * 1e6, 3), big(ah * 10_000, 3)
    if variant == "ze1":
        return (
            current
            + bytes.fromhex("02AF")
            + current
            + bytes.fromhex("FFFFF0DD0B1C30D4")
            + measured
            + bytes.fromhex("00017000")
            + big(hx * 10_240, 2)
            + b"\0"
            + soc
            + b"\0"
            + amount
            + bytes.fromhex("800001FFFFFB62FFFFFCAA01AD")
        )
    return (
        current
        + bytes.fromhex("028A")
        + current
        + bytes.fromhex("FFFFFFFF12902AF8")
        + measured
        + bytes.fromhex("005C")
        + big(hx * 10_000, 2)
        + b"\0"
        + soc
        + b"\0"
        + amount
        + bytes.fromhex("800001" if variant == "ze0" else "8000010000")
    )


def _temperatures(variant: str, shown: Shown) -> bytes:
    read = [_sensor(t) for t in shown.temperature_degc]
    if len(read) == 3:  # since 2013 the third place is empty
        read.insert(2, b"\xff\xff\xff")
    fifth = big(_mean(shown.temperature_degc), 1, signed=True)
    data = b"".join(read) + fifth + b"\0"
    return data.ljust(29, b"\xff") if variant == "ze1" else data


def _sensor(degc: float) -> bytes:
    # An NTC at a divider: about -0.102 degC a step, 0 degC at 710.
    return big(710 - degc / 0.102, 2) + big(degc, 1, signed=True)


def _shunts(shown: Shown) -> bytes:
    # Four cells a byte, the first highest; a bit that is set says that none flows.
    data = bytearray(24)
    for i, balancing in enumerate(shown.balancing):
        if not balancing:
            data[i // 4] |= 8 >> i % 4
    return bytes(data)


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)
