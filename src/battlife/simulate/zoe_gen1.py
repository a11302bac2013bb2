"""Renault Zoe of the first generation: the battery controller (LBC), 22 and 41 kWh.

Sources, as facts: CanZE assets/ZOE LBC_Fields.csv (what each field is called there;
its older list has the full capacity of group 61); Battery-Emulator
RENAULT-ZOE-GEN1-BATTERY and its log 28_RenaultZoe1_base_pid.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from battlife.simulate.bits import big, held, packed, put
from battlife.simulate.can_bus import Broadcast, BusFrame, PackView, measured_ah
from battlife.simulate.isotp_server import IsoTpServer
from battlife.simulate.pack_model import PackModel, PackSpec, Shown
from battlife.simulate.slcan_server import SlcanServer, adapter
from battlife.simulate.uds_server import UdsServer, stray

SPECS: Final[Mapping[str, PackSpec]] = MappingProxyType(
    {
        name: PackSpec(
            n_cells=96,
            capacity_ah=ah,
            chemistry="nmc",
            claimed_soh=0.90,
            n_sensors=12,
        )
        for name, ah in (("22kwh", 65.0), ("41kwh", 118.0))
    }
)

_KEEP_ALIVE_ID: Final = 0x423
_KEEP_ALIVE_S: Final = 0.2  # it is sent each 100 ms; two missed ones are too many
_TOGGLES: Final = (0x5D, 0xB2)
_FUSE_CELL: Final = 47  # counted from 0: the service fuse is in its loop
_FUSE_BLOWN_V: Final = 0.05
_N_FIRST: Final = 62
_N_PLACES: Final = 24
_KM_PER_KWH: Final = 5.2
_CHARGE_KW: Final = 22.0
_REGENERATION_KW: Final = 30.0
_DISCHARGE_KW: Final = 30.0
# Relays and whether they may close; 0 is precharge and 3 unknown.
_CLOSED, _OPENED = 1, 2
_ALLOWED: Final = 1
_COUNTERS: Final = (12, 803, 240, 575, 3, 1)
# SAE J2012: pack voltage high and low, over-temperature, isolation; P0A80 asks for
# another pack.
CODES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "cell_overvoltage": 0x0AFB,
        "cell_undervoltage": 0x0AFA,
        "over_temperature": 0x0A7E,
        "low_isolation": 0x0AA6,
        "short_circuit": 0x0A80,
    }
)
"""Trouble codes of the alarms, for packs whose own lists are not published."""


class ZoeNode:
    """Asleep until 0x423 arrives, and again 200 ms after the last one.

    Parameters
    ----------
    view : of the pack
    variant : key of :data:`SPECS`
    """

    def __init__(self, view: PackView, variant: str) -> None:
        fuse_blown = "blown_service_fuse" in view.pack.faults
        self._server = UdsServer(
            view,
            lambda request: group(
                request, view(), measured_ah(view.pack), fuse_blown=fuse_blown
            ),
            CODES,
            session=0xC0,
        )
        self._transport = IsoTpServer(0x79B, 0x7BB, self._server.answer)
        self.writes = self._server.writes
        self.broadcasts = [
            Broadcast(0x155, 0.01, lambda n: power(view())),
            Broadcast(0x424, 0.1, lambda n: flags(view(), n)),
            Broadcast(0x425, 0.1, lambda n: cells(view())),
            Broadcast(0x427, 0.1, lambda n: energy(view())),
            Broadcast(0x654, 0.5, lambda n: charge(view())),
            Broadcast(0x658, 0.5, lambda n: health(view())),
        ]
        if variant == "22kwh":
            self.broadcasts.append(Broadcast(0x42E, 0.1, lambda n: voltage(view())))
        self._kept_s: float | None = None

    def awake(self, now_s: float) -> bool:
        """Say whether it was kept awake within the last 200 ms."""
        return self._kept_s is not None and now_s - self._kept_s <= _KEEP_ALIVE_S

    def take(self, frame: BusFrame, now_s: float) -> list[BusFrame]:
        """Take a frame; a request is not even heard while it sleeps."""
        if _keeps_awake(frame):
            self._kept_s = now_s
        elif not self._transport.is_for(frame):
            self.writes.append(stray(frame))
        elif self.awake(now_s):
            return self._transport.take(frame, now_s)
        return []

    def due(self, now_s: float) -> list[BusFrame]:
        """Return the frames of a long answer."""
        frames = self._transport.due(now_s)
        return frames if self.awake(now_s) else []


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
    return adapter(ZoeNode(view, variant), view, faults, seed, bus_load=bus_load)


def _keeps_awake(frame: BusFrame) -> bool:
    data = frame.data
    return (
        frame.identifier == _KEEP_ALIVE_ID
        and not frame.extended
        and len(data) == 8
        and data[:4] + data[5:6] + data[7:] == bytes.fromhex("071D000280C8")
        and data[4] in _TOGGLES
        and data[6] in _TOGGLES
    )


def power(shown: Shown) -> bytes:
    """Return 0x155: charge limit, current, SOC."""
    current = held((shown.current_a + 500) * 4, 12)
    return (
        big(_CHARGE_KW * 1000 / 300, 1)
        + big(current, 2)
        + b"\0"
        + big(shown.soc * 100 / 0.0025, 2)
        + bytes(2)
    )


def flags(shown: Shown, number: int) -> bytes:
    """Return 0x424: alarms, limits, temperatures, SOH."""
    alarms = shown.alarms
    first = ("cell_undervoltage" in alarms) | ("low_isolation" in alarms) << 2
    second = ("over_temperature" in alarms) << 2 | ("cell_overvoltage" in alarms) << 6
    degc = shown.temperature_degc
    return bytes(
        [
            first,
            second,
            round(_REGENERATION_KW * 2),
            round(_DISCHARGE_KW * 2),
            held(min(degc) + 40, 8),
            held(shown.soh * 100, 8),
            0xAA if number % 2 else 0x55,
            held(max(degc) + 40, 8),
        ]
    )


def cells(shown: Shown) -> bytes:
    """Return 0x425: highest and lowest cell."""
    high = held((max(shown.cell_voltage_v) - 1) * 100, 9)
    low = held((min(shown.cell_voltage_v) - 1) * 100, 9)
    return bytes(4) + bytes([high >> 7, (high & 0x7F) << 1, low >> 8, low & 0xFF])


def energy(shown: Shown) -> bytes:
    """Return 0x427: remaining energy in bits 49 to 57, counted from the front."""
    data = bytearray(8)
    kwh = shown.remaining_ah * 3.7 * len(shown.cell_voltage_v) / 1000
    put(data, 54, 9, held(kwh * 10, 9))
    return bytes(data)


def voltage(shown: Shown) -> bytes:
    """Return 0x42E: pack voltage in bits 25 to 34, temperature in 44 to 50."""
    data = bytearray(8)
    put(data, 30, 10, held(shown.voltage_v * 2, 10))
    mean = sum(shown.temperature_degc) / len(shown.temperature_degc)
    put(data, 43, 7, held(mean + 40, 7))
    return bytes(data)


def charge(shown: Shown) -> bytes:
    """Return 0x654: SOC in bits 25 to 31."""
    data = bytearray(8)
    put(data, 30, 7, held(shown.soc * 100, 7))
    return bytes(data)


def health(shown: Shown) -> bytes:
    """Return 0x658: serial number, SOH in bits 33 to 39."""
    data = bytearray(b"\0SIM" + bytes(4))
    put(data, 38, 7, held(shown.soh * 100, 7))
    return bytes(data)


def group(
    request: bytes, shown: Shown, full_ah: float, *, fuse_blown: bool
) -> bytes | None:
    """Return what follows `61 gg` in the answer to `21 gg`."""
    number = request[1] if request[0] == 0x21 else 0
    if number == 0x01:
        return state(shown)
    if number == 0x03:
        return voltages(shown)
    if number == 0x04:
        return temperatures(shown)
    if number == 0x07:
        return packed(shown.balancing)
    if number in (0x41, 0x42):
        volt = list(shown.cell_voltage_v)
        if fuse_blown:
            volt[_FUSE_CELL] = _FUSE_BLOWN_V
        half = volt[:_N_FIRST] if number == 0x41 else volt[_N_FIRST:]
        return b"".join(big(v * 1000, 2) for v in half)
    if number == 0x61:
        kwh = shown.energy_throughput_wh / 1000
        return lifetime(full_ah, shown.soh, kwh * _KM_PER_KWH, kwh)
    if number == 0x66:
        return b"".join(big(count, 2) for count in _COUNTERS)
    return None


def state(shown: Shown) -> bytes:
    """Return group 01, from byte 2 of the answer on."""
    data = bytearray(47)
    data[2:4] = big(shown.current_a * 10 + 5000, 2)
    data[22:24] = big(_REGENERATION_KW * 100, 2)  # "input possible power"
    data[24:26] = big(_DISCHARGE_KW * 100, 2)
    data[28:30] = big(shown.aux_voltage_v * 100, 2)
    data[36:40] = big(shown.soc * 1e6, 4)
    data[42:44] = big(_CHARGE_KW * 100, 2)
    data[44] = 2 << 4 | 1 << 3 | 1  # interlock, its flag, the service plug: all closed
    data[45:47] = big(shown.isolation_ohm / 100, 2)
    return bytes(data[2:])


def voltages(
    shown: Shown,
    *,
    open_v: float | None = None,
    lowest_soc: float | None = None,
    highest_soc: float | None = None,
    relays: int | None = None,
) -> bytes:
    """Return group 03; what the pack model does not tell apart is its mean."""
    volt = shown.cell_voltage_v
    data = bytearray(29)
    data[2:4] = big((sum(volt) / len(volt) if open_v is None else open_v) * 100, 2)
    data[4:6] = big((shown.soc if lowest_soc is None else lowest_soc) * 10_000, 2)
    data[6:8] = big((shown.soc if highest_soc is None else highest_soc) * 10_000, 2)
    data[12:14] = big(max(volt) * 100, 2)
    data[14:16] = big(min(volt) * 100, 2)
    data[19:23] = b"\xff" * 4
    if relays is None:
        relays = _CLOSED if shown.contactors_closed else _OPENED
    data[23] = relays << 2 | _ALLOWED
    data[24:26] = big(shown.soc * 10_000, 2)
    return bytes(data[2:])


def temperatures(shown: Shown) -> bytes:
    """Return group 04: 24 places for sensors; lowest, mean and highest behind."""
    degc = shown.temperature_degc
    data = bytearray(b"\xff" * 75)
    for i, value in enumerate(degc[:_N_PLACES]):
        # The voltage at the divider, falling with the temperature.
        data[3 * i : 3 * i + 3] = big(2500 - 25 * value, 2) + big(value + 40, 1)
    data[72:] = b"".join(
        big(v + 40, 1) for v in (min(degc), sum(degc) / len(degc), max(degc))
    )
    return bytes(data)


def lifetime(
    full_ah: float,
    soh: float,
    km: float,
    kwh: float,
    *,
    group_soh: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> bytes:
    """Return group 61: measured full capacity, SOH, way and energy."""
    return (
        big(full_ah * 10_000, 4)
        + b"".join(big(part * 200, 1) for part in group_soh)
        + big(soh * 200, 1) * 2
        + big(km, 4)
        + big(kwh, 4)
        + b"\xff"
    )
