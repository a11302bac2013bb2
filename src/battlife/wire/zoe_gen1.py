"""Renault Zoe 22 and 41 kWh, Fluence and Kangoo Z.E.: the LBC of the first generation.

It answers only while somebody sends it 0x423 (Allow.WAKE), and only in a diagnostic
session. Where 22 kWh packs broadcast a pack voltage (0x42E), 41 kWh packs do not.

References
----------
Positions and scales: CanZE, app/src/main/assets/ZOE/LBC_Fields.csv and LBC_Dtcs.csv;
broadcasts, keep-alive and lengths: Battery-Emulator, RENAULT-ZOE-GEN1-BATTERY.cpp and
test/can_log_based/can_logs/28_RenaultZoe1_base_pid.txt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from battlife.errors import InputError, ProtocolError
from battlife.model import Notice, Request, Value
from battlife.wire._ev import (
    NAN,
    Broadcast,
    EvDecoder,
    Link,
    Message,
    Said,
    asked,
    beats,
    bits,
    clearing,
    critical_notice,
    fault_codes,
    scaled,
    session,
    unsigned,
)
from battlife.wire._zoe import CRITICAL, N_CELLS

FIRST_HALF: Final = 62
"""Cells in the first of the two cell messages."""
N_SENSORS: Final = 24
"""Places for temperature sensors; packs fit 12 or fewer, the others read FF."""
FUSE_AT: Final = 47
"""Index of the cell between whose neighbours the service fuse sits."""
FUSE_OPEN_V: Final = 0.1
"""Below this the fuse is open rather than the cell empty (Battery-Emulator)."""
SUPPLY_V: Final = 32.0
MAX_CURRENT_A: Final = 1000.0
"""No answer of an LBC exceeds these; the answer of another maker's control unit that
uses the same identifiers and service (Nissan's does) would."""

_LINKS: Final = {1: Link(0x79B, 0x7BB), 2: Link(0x796, 0x7B6)}
_KEEP_ALIVE_ID: Final = 0x423
_RELAY_CLOSED, _RELAY_TRANSITORY = 1, 3
_LEVEL_2: Final = 6


def _status(data: bytes) -> Said:
    current = scaled(unsigned(data, 2), 0.1, -500.0)
    supply = scaled(unsigned(data, 28), 0.01)
    soc = scaled(unsigned(data, 36, 4), 1e-6)
    if (
        (current is not None and abs(current) > MAX_CURRENT_A)
        or (supply is not None and supply > SUPPLY_V)
        or (soc is not None and soc > 1.1)
    ):
        raise ProtocolError(
            f"status gives {current} A, {supply} V supply and a SOC of {soc}",
            "another maker's battery answers to the same request: is it a Leaf?",
        )
    return Said(
        {
            "current_a": current,
            "max_charge_power_w": scaled(unsigned(data, 22), 10.0),
            "max_discharge_power_w": scaled(unsigned(data, 24), 10.0),
            "aux_voltage_v": supply,
            "soc": soc,
            "zoe_accepted_charge_power_w": scaled(unsigned(data, 42), 10.0),
            "interlock_closed": bool(data[44] >> 3 & 1),
            "zoe_service_disconnect_closed": bool(data[44] & 1),
            "isolation_ohm": scaled(unsigned(data, 45), 100.0),
        }
    )


def _limits(data: bytes) -> Said:
    relay = data[23] >> 2 & 3
    failsafe = int.from_bytes(data[17:19], "big")
    notices: tuple[Notice, ...] = ()
    if failsafe == _LEVEL_2:
        notices = (critical_notice("the LBC has set its level 2 failure"),)
    return Said(
        {
            "zoe_cell_ocv_v": scaled(unsigned(data, 2), 0.01),
            "zoe_lowest_cell_soc": scaled(unsigned(data, 4), 1e-4),
            "zoe_highest_cell_soc": scaled(unsigned(data, 6), 1e-4),
            "zoe_max_cell_v": scaled(unsigned(data, 12), 0.01),
            "zoe_min_cell_v": scaled(unsigned(data, 14), 0.01),
            "zoe_safety_mode": float(data[16]),
            "zoe_failsafe_mode": float(failsafe),
            "zoe_relay_status": float(relay),
            "zoe_relay_permit": float(data[23] & 3),
            "contactors_closed": None
            if relay == _RELAY_TRANSITORY
            else relay == _RELAY_CLOSED,
            "zoe_real_soc": scaled(unsigned(data, 24), 1e-4),
        },
        notices,
    )


def _temperatures(data: bytes) -> Said:
    sensors = [_degc(data[4 + 3 * i]) for i in range(N_SENSORS)]
    while sensors and sensors[-1] is None:
        sensors.pop()
    return Said(
        {
            "temperature_degc": tuple(NAN if t is None else t for t in sensors),
            "zoe_temperature_min_degc": _degc(data[74]),
            "zoe_temperature_avg_degc": _degc(data[75]),
            "zoe_temperature_max_degc": _degc(data[76]),
        }
    )


def _balancing(data: bytes) -> Said:
    cells = tuple(float(bits(data, 16 + i, 1)) for i in range(N_CELLS))
    return Said({"balancing": any(cells), "zoe_balancing_cells": cells})


def _first_cells(data: bytes) -> Said:
    cells = [_volt(unsigned(data, 2 + 2 * i)) for i in range(FIRST_HALF)]
    fuse = cells[FUSE_AT]
    if not fuse < FUSE_OPEN_V:
        return Said({"cell_voltage_v": tuple(cells)})
    cells[FUSE_AT] = NAN
    return Said(
        {"cell_voltage_v": tuple(cells)},
        (critical_notice(f"the service fuse is blown: {fuse:g} V across its place"),),
    )


def _last_cells(data: bytes) -> Said:
    cells = [_volt(unsigned(data, 2 + 2 * i)) for i in range(N_CELLS - FIRST_HALF)]
    return Said({"cell_voltage_v": (NAN,) * FIRST_HALF + tuple(cells)})


def _health(data: bytes) -> Said:
    return Said(
        {
            "full_capacity_ah": scaled(unsigned(data, 2, 4), 1e-4),
            "reported_soh": scaled(unsigned(data, 9, 1), 0.005),
            "zoe_lowest_soh": scaled(unsigned(data, 10, 1), 0.005),
            "zoe_mileage_km": scaled(unsigned(data, 11, 4), 1.0),
            "energy_throughput_wh": scaled(unsigned(data, 15, 4), 1000.0),
        }
    )


def _counters(data: bytes) -> Said:
    names = (
        "zoe_quick_charges",
        "zoe_normal_charges",
        "zoe_full_charges",
        "zoe_partial_charges",
        "zoe_hv_connections",
        "zoe_bolt_operations",
    )
    return Said(
        {name: scaled(unsigned(data, 2 + 2 * i), 1.0) for i, name in enumerate(names)}
    )


MESSAGES: Final = (
    session(0xC0),
    Message("status", b"\x21\x01", _status, 47),
    Message("limits", b"\x21\x03", _limits, 26),
    Message("cells_1_62", b"\x21\x41", _first_cells, 126),
    Message("cells_63_96", b"\x21\x42", _last_cells, 70),
    Message("temperatures", b"\x21\x04", _temperatures, 77, every_s=5.0),
    Message("balancing", b"\x21\x07", _balancing, 14, every_s=5.0),
    Message("health", b"\x21\x61", _health, 20, every_s=60.0),
    Message("counters", b"\x21\x66", _counters, 14, every_s=60.0),
    Message("fault_codes", b"\x19\x02\x0f", fault_codes(CRITICAL), 3, every_s=10.0),
)
_CLEAR: Final = clearing()
_REQUESTS: Final = {address: asked(MESSAGES, link) for address, link in _LINKS.items()}


def _charging(data: bytes) -> Said:
    raw_current = bits(data, 12, 12)
    return Said(
        {
            "zoe_charge_limit_w": scaled(unsigned(data, 0, 1), 300.0),
            "current_a": None if raw_current == 0xFFF else raw_current / 4 - 500,
            "soc": scaled(unsigned(data, 4), 2.5e-5),
        }
    )


_FLAGS: Final = (
    "cell_undervoltage",
    "low_isolation",
    "pack_undervoltage",
    "end_of_charge",
    "pack_overcurrent",
    "over_temperature",
    "pack_overvoltage",
    "cell_overvoltage",
)
"""Two bits each from the lowest of byte 0 on: 0 no, 3 not known."""
_CRITICAL_FLAGS: Final = {
    "low_isolation",
    "over_temperature",
    "pack_overvoltage",
    "cell_overvoltage",
}


def _protection(data: bytes) -> Said:
    flags = int.from_bytes(data[:2], "little")
    raised = tuple(n for i, n in enumerate(_FLAGS) if flags >> 2 * i & 3 in (1, 2))
    return Said(
        {
            "zoe_flags": raised,
            "zoe_regen_limit_w": scaled(unsigned(data, 2, 1), 500.0),
            "zoe_discharge_limit_w": scaled(unsigned(data, 3, 1), 500.0),
            "zoe_temperature_min_degc": _degc(data[4]),
            "reported_soh": scaled(unsigned(data, 5, 1), 0.01),
            "zoe_temperature_max_degc": _degc(data[7]),
        },
        tuple(
            critical_notice(f"the LBC signals {name.replace('_', ' ')}")
            for name in raised
            if name in _CRITICAL_FLAGS
        ),
    )


def _extremes(data: bytes) -> Said:
    most, least = bits(data, 38, 9), bits(data, 55, 9)
    return Said(
        {
            "zoe_max_cell_v": None if most == 0x1FF else most / 100 + 1,
            "zoe_min_cell_v": None if least == 0x1FF else least / 100 + 1,
        }
    )


def _energy(data: bytes) -> Said:
    raw = bits(data, 49, 9)
    return Said({"zoe_available_energy_wh": None if raw == 0x1FF else raw * 100.0})


def _voltage(data: bytes) -> Said:
    volts, degc = bits(data, 25, 10), bits(data, 44, 7)
    return Said(
        {
            "voltage_v": None if volts == 0x3FF else volts / 2,
            "zoe_temperature_avg_degc": None if degc == 0x7F else degc - 40.0,
        }
    )


def _dash_soc(data: bytes) -> Said:
    raw = bits(data, 25, 7)
    return Said({"zoe_dash_soc": None if raw == 0x7F else raw / 100})


def _identity(data: bytes) -> Said:
    raw = bits(data, 33, 7)
    serial = unsigned(data, 0, 4)
    return Said(
        {
            "zoe_dash_soh": None if raw == 0x7F else raw / 100,
            "serial_number": f"{serial:08X}" if serial else None,
        }
    )


BROADCASTS: Final[Mapping[tuple[int, bool], Broadcast]] = {
    (0x155, False): Broadcast("broadcast_155", 8, _charging),
    (0x424, False): Broadcast("broadcast_424", 8, _protection),
    (0x425, False): Broadcast("broadcast_425", 8, _extremes),
    (0x427, False): Broadcast("broadcast_427", 8, _energy),
    (0x42E, False): Broadcast("broadcast_42E", 8, _voltage),
    (0x654, False): Broadcast("broadcast_654", 8, _dash_soc),
    (0x658, False): Broadcast("broadcast_658", 8, _identity),
}


@dataclass(frozen=True)
class ZoeGen1:
    """The battery of a first-generation Zoe.

    Attributes
    ----------
    address : 1, or 2 for the second LBC where a vehicle has one

    Raises
    ------
    InputError
        There is no LBC of that address.
    """

    address: int = 1

    def __post_init__(self) -> None:
        if self.address not in _LINKS:
            raise InputError(
                f"zoe_gen1 has no address {self.address}",
                "1 is the battery, 2 its second control unit",
            )

    @property
    def name(self) -> str:
        """Name of the protocol."""
        return "zoe_gen1"

    @property
    def description(self) -> str:
        """One line on the device family."""
        return "Renault Zoe 22/41 kWh, Fluence, Kangoo Z.E. (CAN, ISO-TP)"

    @property
    def medium(self) -> Literal["can"]:
        """What carries it."""
        return "can"

    @property
    def device(self) -> str:
        """Label of its readings."""
        return "" if self.address == 1 else str(self.address)

    @property
    def bauds(self) -> Sequence[int]:
        """Bit rate of its bus."""
        return (500_000,)

    @property
    def permitted(self) -> Sequence[Request]:
        """Everything that may be sent to it."""
        return (*self.requests({}), *self.clear_faults, *self.keep_alive)

    @property
    def probes(self) -> Sequence[Request]:
        """A read that needs no session, of an answer nobody else gives."""
        return tuple(r for r in self.requests({}) if r.name == "limits")

    @property
    def signature(self) -> Sequence[str]:
        """Broadcasts of every capacity."""
        return ("broadcast_155", "broadcast_424") if self.address == 1 else ()

    @property
    def keep_alive(self) -> Sequence[Request]:
        """0x423: bytes 4 and 6 change between 5D and B2 every five frames."""
        return beats(
            _KEEP_ALIVE_ID,
            (
                bytes((0x07, 0x1D, 0x00, 0x02, toggle, 0x80, toggle, 0xC8))
                for toggle in (0x5D,) * 5 + (0xB2,) * 5
            ),
        )

    @property
    def keep_alive_s(self) -> float:
        """Period of the keep-alive in s."""
        return 0.1

    @property
    def clear_faults(self) -> Sequence[Request]:
        """Clears the trouble codes."""
        return asked((_CLEAR,), _LINKS[self.address])

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle: a session ends after 5 s of silence."""
        return _REQUESTS[self.address]

    def decoder(self) -> EvDecoder:
        """Return a decoder that has heard nothing yet."""
        return EvDecoder(
            self.device,
            _LINKS[self.address],
            (*MESSAGES, _CLEAR),
            BROADCASTS if self.address == 1 else {},
        )


def _degc(raw: int) -> float | None:
    return None if raw == 0xFF else raw - 40.0


def _volt(raw_mv: int | None) -> float:
    return NAN if raw_mv is None else raw_mv / 1000
