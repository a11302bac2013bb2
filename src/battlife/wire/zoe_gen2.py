"""Renault Zoe ZE50 and other packs of the second generation: the LBC over UDS.

One value per data identifier, cells included. Its broadcasts are not decoded: 0x0F8 is
known to give a wrong pack voltage (819.1 V) on some packs.

References
----------
Identifiers and scales: CanZE, app/src/main/assets/LBC_FieldsPh2.csv; frames, 0x373:
Battery-Emulator, RENAULT-ZOE-GEN2-BATTERY.{h,cpp}, issue #2819, PR #2824.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from battlife.errors import InputError
from battlife.model import Notice, Request, Value
from battlife.wire._ev import (
    NAN,
    EvDecoder,
    Link,
    Message,
    Said,
    asked,
    at_position,
    beats,
    clearing,
    critical_notice,
    fault_codes,
    flag,
    scaled,
    session,
    unsigned,
)
from battlife.wire._zoe import CRITICAL, N_CELLS

N_SENSORS: Final = 12
"""Sensors that are asked for; the LBC has identifiers for 17."""
MAX_SENSORS: Final = 17

_LINKS: Final = {
    1: Link(0x18DADBF1, 0x18DAF1DB, True),
    2: Link(0x18DADCF1, 0x18DAF1DC, True),
}
_KEEP_ALIVE_ID: Final = 0x373
_CELL_1: Final = 0x9021
_SENSOR_1: Final = 0x9131
_SKIPPED: Final = 0x20
"""Every identifier that is a multiple of this lists identifiers instead."""


def _number(
    name: str, scale: float, zero: int = 0, n_bytes: int = 2
) -> tuple[int, Callable[[bytes], Said]]:
    """Return the length and the reading of an identifier with one number.

    Its value is ``(raw - zero) * scale``; a raw value of all ones is missing.
    """

    def says(data: bytes) -> Said:
        raw = unsigned(data, 3, n_bytes)
        return Said({name: None if raw is None else scaled(raw - zero, scale)})

    return 3 + n_bytes, says


def _cell(position: int) -> Callable[[bytes], Said]:
    def says(data: bytes) -> Said:
        volts = scaled(unsigned(data, 3), 1 / 1024)
        return Said({"cell_voltage_v": at_position(volts, position, N_CELLS)})

    return says


def _sensor(position: int) -> Callable[[bytes], Said]:
    def says(data: bytes) -> Said:
        raw = unsigned(data, 3)
        degc = None if raw is None else (raw - 640) / 16
        vector = (NAN,) * position + (NAN if degc is None else degc,)
        return Said({"temperature_degc": vector})

    return says


def _interlock(data: bytes) -> Said:
    return Said({"interlock_closed": flag(data[3] & 3, 2, 1)})


def _relay_status(data: bytes) -> Said:
    return Said({"zoe_relay_status": float(data[3] & 3)})


def _bit(name: str) -> tuple[int, Callable[[bytes], Said]]:
    return 4, lambda data: Said({name: bool(data[3] & 1)})


def _balancing(data: bytes) -> Said:
    whole = int.from_bytes(data[3:], "big")
    cells = tuple(float(whole >> i & 1) for i in range(N_CELLS))
    return Said({"balancing": any(cells), "zoe_balancing_cells": cells})


def _slave_failures(data: bytes) -> Said:
    failed = _set_bits(data)
    return Said({"zoe_failed_slaves": tuple(float(i) for i in failed)})


def _busbar_failures(data: bytes) -> Said:
    failed = _set_bits(data)
    notices: tuple[Notice, ...] = ()
    if failed:
        listed = ", ".join(map(str, failed))
        notices = (critical_notice(f"busbar {listed} is in failure"),)
    return Said({"zoe_failed_busbars": tuple(float(i) for i in failed)}, notices)


def _battery_number(data: bytes) -> Said:
    text = data[3:].decode("ascii", "replace").strip(" \0")
    usable = bool(text) and text.isascii() and text.isprintable()
    return Said({"serial_number": text if usable else None})


def _set_bits(data: bytes) -> list[int]:
    """Return the numbers of the bits set, the last bit of the answer being 1."""
    whole = int.from_bytes(data[3:], "big")
    return [i + 1 for i in range(8 * (len(data) - 3)) if whole >> i & 1]


def _dids(first: int, count: int) -> list[int]:
    """Return consecutive identifiers but those that list identifiers."""
    found: list[int] = []
    did = first
    while len(found) < count:
        if did % _SKIPPED:
            found.append(did)
        did += 1
    return found


def _read(
    name: str, did: int, what: tuple[int, Callable[[bytes], Said]], every_s: float = 0.0
) -> Message:
    length, says = what
    ask = b"\x22" + did.to_bytes(2, "big")
    return Message(name, ask, says, length, every_s=every_s)


_LIVE: Final = (
    _read("current", 0x925D, _number("current_a", 1 / 32, 32640)),
    _read("voltage", 0x9005, _number("voltage_v", 0.1)),
    _read("soc", 0x9001, _number("soc", 1e-4, 300)),
    _read("max_cell", 0x9007, _number("zoe_max_cell_v", 1 / 1024)),
    _read("min_cell", 0x9009, _number("zoe_min_cell_v", 1 / 1024)),
    _read("max_temperature", 0x9014, _number("zoe_temperature_max_degc", 1 / 16, 640)),
    _read("min_temperature", 0x9013, _number("zoe_temperature_min_degc", 1 / 16, 640)),
)
_SLOW: Final = tuple(
    _read(name, did, what, every_s=10.0)
    for name, did, what in (
        ("usable_soc", 0x9002, _number("zoe_usable_soc", 1e-4)),
        ("cell_sum", 0x9006, _number("zoe_cell_sum_v", 1 / 1024, 0, 4)),
        (
            "instant_current",
            0x900D,
            _number("zoe_instant_current_a", 1 / 40, 48000, 4),
        ),
        ("regeneration_power", 0x900E, _number("zoe_regen_power_w", 10.0)),
        ("discharge_power", 0x900F, _number("max_discharge_power_w", 10.0)),
        ("charge_power", 0x9018, _number("max_charge_power_w", 10.0)),
        ("supply", 0x9011, _number("aux_voltage_v", 1 / 1024)),
        (
            "mean_temperature",
            0x9012,
            _number("zoe_temperature_avg_degc", 1 / 16, 640),
        ),
        ("interlock", 0x901A, (4, _interlock)),
        ("relay_status", 0x925C, (4, _relay_status)),
        ("main_relay_request", 0x91CA, _bit("zoe_main_relay_requested")),
        ("precharge_request", 0x91CB, _bit("zoe_precharge_requested")),
        ("balancing", 0x912B, (15, _balancing)),
        ("slave_failures", 0x9129, (6, _slave_failures)),
        ("busbar_failures", 0x91CC, (6, _busbar_failures)),
        ("available_energy", 0x91C8, _number("zoe_available_energy_wh", 1.0, 0, 3)),
    )
)
_RARE: Final = tuple(
    _read(name, did, what, every_s=60.0)
    for name, did, what in (
        ("soh", 0x9003, _number("reported_soh", 1e-4)),
        ("mileage", 0x91CF, _number("zoe_mileage_km", 1 / 32, 1 << 31, 4)),
        ("full_charges", 0x9210, _number("zoe_full_charges", 1.0)),
        ("insulated_charges", 0x9213, _number("zoe_insulated_charges", 1.0)),
        ("other_charges", 0x9214, _number("zoe_not_insulated_charges", 1.0)),
        ("charge_resistance", 0x91C6, _number("zoe_charge_dcr_ohm", 1 / 4000)),
        ("discharge_resistance", 0x91C7, _number("zoe_discharge_dcr_ohm", 1 / 4000)),
    )
)
_ONCE: Final = (
    _read("battery_number", 0x901B, (4, _battery_number), every_s=float("inf")),
)
_CELLS: Final = tuple(
    _read(f"cell_{i + 1}", did, (5, _cell(i)), every_s=5.0)
    for i, did in enumerate(_dids(_CELL_1, N_CELLS))
)
_SENSORS: Final = tuple(
    _read(f"temperature_{i + 1}", did, (5, _sensor(i)), every_s=10.0)
    for i, did in enumerate(_dids(_SENSOR_1, MAX_SENSORS))
)
_FAULTS: Final = Message(
    "fault_codes", b"\x19\x02\xff", fault_codes(CRITICAL), 3, every_s=30.0
)
_CLEAR: Final = clearing()

ASKED: Final = (
    session(0x03),
    *_LIVE,
    *_CELLS,
    *_SENSORS[:N_SENSORS],
    _FAULTS,
    *_SLOW,
    *_RARE,
    *_ONCE,
)
"""In the order of a cycle."""
_REQUESTS: Final = {address: asked(ASKED, link) for address, link in _LINKS.items()}


@dataclass(frozen=True)
class ZoeGen2:
    """The battery of a second-generation Zoe.

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
                f"zoe_gen2 has no address {self.address}",
                "1 is the battery, 2 its second control unit",
            )

    @property
    def name(self) -> str:
        """Name of the protocol."""
        return "zoe_gen2"

    @property
    def description(self) -> str:
        """One line on the device family."""
        return "Renault Zoe ZE50 (CAN, UDS with 29-bit identifiers)"

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
        """A read of one value, in the session without which nothing is told.

        The session changes nothing that stays: it ends by itself 5 s after the last
        request (S3 of ISO 14229-2).
        """
        return asked((session(0x03), _LIVE[1]), _LINKS[self.address])

    @property
    def signature(self) -> Sequence[str]:
        """None: its broadcasts are not decoded."""
        return ()

    @property
    def keep_alive(self) -> Sequence[Request]:
        """0x373 of the vehicle: bytes 2 and 3 change places every five frames."""
        return beats(
            _KEEP_ALIVE_ID,
            (
                bytes((0xC1, 0x40, *pair, 0x00, 0x01, 0xFF, 0xE3))
                for pair in ((0xB2, 0x5D),) * 5 + ((0x5D, 0xB2),) * 5
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
        """Return the requests of one cycle, the live values first."""
        return _REQUESTS[self.address]

    def decoder(self) -> EvDecoder:
        """Return a decoder that has heard nothing yet."""
        messages = (*ASKED, *_SENSORS[N_SENSORS:], _CLEAR)
        return EvDecoder(self.device, _LINKS[self.address], messages)
