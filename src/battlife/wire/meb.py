"""Volkswagen MEB packs: ID.3, ID.4, Enyaq, Q4 e-tron and sisters, over UDS.

One value per data identifier, cells included. Packs have 84, 96 or 108 cells; places
without a cell answer FFE, which tells how many to ask for.

References
----------
Battery-Emulator, MEB-BATTERY.{h,cpp} (identifiers, scales, broadcasts, checksum);
scales checked on real answers in OBDb/Volkswagen-ID.4.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from battlife.errors import InputError, ProtocolError
from battlife.model import Request, Value
from battlife.wire._ev import (
    NAN,
    STANDARD_CRITICAL,
    Broadcast,
    EvDecoder,
    Link,
    Message,
    Said,
    asked,
    at_position,
    fault_codes,
    flag,
    scaled,
    signed,
    unsigned,
)
from battlife.wire.checksums import crc8

MAX_CELLS: Final = 108
LAST_OF_SIZE: Final = (84, 96)
"""Cells of the smaller packs: whether the next one is fitted tells the size."""
N_SENSORS: Final = 16
NOT_FITTED: Final = 0xFFE
"""From here on a cell value is none."""
ENERGY_PER_COUNT_WH: Final = 0.11650853
"""Wh of one count of the energy counters."""

CLASSIC: Final = 0x17FC007B
FD: Final = 0x1C40007B
_LINKS: Final = {
    CLASSIC: Link(CLASSIC, 0x17FE007B, True),
    FD: Link(FD, 0x1C42007B, True, True),
}
_CELL_1: Final = 0x1E40
_SENSOR_1: Final = 0x1EAE


def _number(
    name: str, scale: float, offset: float = 0.0, n_bytes: int = 2
) -> tuple[int, Callable[[bytes], Said]]:
    def says(data: bytes) -> Said:
        return Said({name: scaled(unsigned(data, 3, n_bytes), scale, offset)})

    return 3 + n_bytes, says


def _with_number(
    name: str, scale: float, place: str, is_signed: bool = False
) -> tuple[int, Callable[[bytes], Said]]:
    """Return how a value followed by the number of its cell or sensor is read."""

    def says(data: bytes) -> Said:
        raw = signed(data, 3) if is_signed else unsigned(data, 3)
        return Said({name: scaled(raw, scale), place: scaled(unsigned(data, 5), 1.0)})

    return 7, says


def _cell(position: int) -> Callable[[bytes], Said]:
    def says(data: bytes) -> Said:
        raw = int.from_bytes(data[3:5], "big")
        fitted = raw < NOT_FITTED
        values: dict[str, Value | None] = {}
        if position in LAST_OF_SIZE:
            values[_fitted_name(position)] = fitted
        if fitted:
            volts = (raw + 1000) / 1000
            values["cell_voltage_v"] = at_position(volts, position, position + 1)
        elif position < LAST_OF_SIZE[0]:
            values["cell_voltage_v"] = at_position(None, position, position + 1)
        return Said(values)

    return says


def _fitted_name(position: int) -> str:
    return f"meb_cell_{position + 1}_fitted"


def _sensor(position: int) -> Callable[[bytes], Said]:
    def says(data: bytes) -> Said:
        degc = scaled(unsigned(data, 3), 1 / 8, -40.0)
        return Said(
            {"temperature_degc": (NAN,) * position + (NAN if degc is None else degc,)}
        )

    return says


def _counters(data: bytes) -> Said:
    discharged_ah, charged_ah, charged, discharged = (
        signed(data, 3 + 4 * i, 4) for i in range(4)
    )
    # No source gives the scale of the ampere hours.
    return Said(
        {
            "meb_discharge_counts": float(discharged_ah),
            "meb_charge_counts": float(charged_ah),
            "energy_throughput_wh": charged * ENERGY_PER_COUNT_WH,
            "meb_discharge_energy_wh": abs(discharged) * ENERGY_PER_COUNT_WH,
        }
    )


def _read(
    name: str, did: int, what: tuple[int, Callable[[bytes], Said]], every_s: float = 0.0
) -> Message:
    length, says = what
    ask = b"\x22" + did.to_bytes(2, "big")
    return Message(name, ask, says, length, every_s=every_s)


_LIVE: Final = (
    _read("voltage", 0x1E3B, _number("voltage_v", 0.25)),
    _read("current", 0x1E3D, _number("current_a", 0.01, -1500.0, 4)),
    _read("soc", 0x028C, _number("soc", 0.004, 0.0, 1)),
    _read("max_cell", 0x1E33, _with_number("meb_max_cell_v", 1 / 4096, "meb_max_cell")),
    _read("min_cell", 0x1E34, _with_number("meb_min_cell_v", 1 / 4096, "meb_min_cell")),
    _read(
        "max_temperature",
        0x1E0E,
        _with_number("meb_temperature_max_degc", 1 / 64, "meb_hottest_sensor", True),
    ),
    _read(
        "min_temperature",
        0x1E0F,
        _with_number("meb_temperature_min_degc", 1 / 64, "meb_coldest_sensor", True),
    ),
)
_SLOW: Final = tuple(
    _read(name, did, what, every_s=every_s)
    for name, did, every_s, what in (
        ("current_dc2", 0x1E3E, 10.0, _number("meb_dc2_current_a", 0.01, -1500.0, 4)),
        ("max_cell_soc", 0x1E2C, 10.0, _number("meb_max_cell_soc", 1e-4)),
        ("min_cell_soc", 0x1E2D, 10.0, _number("meb_min_cell_soc", 1e-4)),
        (
            "voltage_before_contactors",
            0x1E36,
            10.0,
            _number("meb_voltage_before_contactors_v", 1 / 32),
        ),
        (
            "voltage_after_contactors",
            0x1E38,
            10.0,
            _number("meb_voltage_after_contactors_v", 1 / 32),
        ),
        ("charge_limit", 0x1E1B, 10.0, _number("meb_charge_limit_a", 0.2)),
        ("discharge_limit", 0x1E1C, 10.0, _number("meb_discharge_limit_a", 0.2)),
        ("counters", 0x1E32, 60.0, (19, _counters)),
        ("soh", 0x50CE, 60.0, _number("reported_soh", 1e-4)),
    )
)
_CELLS: Final = tuple(
    _read(f"cell_{i + 1}", _CELL_1 + i, (5, _cell(i)), every_s=5.0)
    for i in range(MAX_CELLS)
)
_SENSORS: Final = tuple(
    _read(f"temperature_{i + 1}", _SENSOR_1 + i, (5, _sensor(i)), every_s=10.0)
    for i in range(N_SENSORS)
)
_FAULTS: Final = Message(
    "fault_codes", b"\x19\x02\x0f", fault_codes(STANDARD_CRITICAL), 3, every_s=30.0
)
MESSAGES: Final = (*_LIVE, *_CELLS, *_SENSORS, _FAULTS, *_SLOW)
_REQUESTS: Final = {address: asked(MESSAGES, link) for address, link in _LINKS.items()}
_BEYOND: Final = {
    n: frozenset(f"cell_{i + 1}" for i in range(n, MAX_CELLS))
    for n in (*LAST_OF_SIZE, *(n + 1 for n in LAST_OF_SIZE))
}
"""Names of the requests for cells after the n-th."""

_E2E_POLYNOMIAL: Final = 0x2F
_BMS_11_SECRETS: Final = bytes.fromhex("79B967ADD5F770AA44615ADC26B4D2C3")
"""Byte that ends the checksummed data, by the counter in byte 1 (AUTOSAR E2E 2)."""


def _bms_24(data: bytes) -> Said:
    raw = (data[3] & 0x1F) << 7 | data[2] >> 1
    return Said(
        {
            "isolation_ohm": None if raw == 0xFFF else raw * 5000.0,
            "balancing": flag(data[1] >> 6, 1, 2),
        }
    )


def _bms_11(data: bytes) -> Said:
    secret = _BMS_11_SECRETS[data[1] & 0xF]
    expected = crc8(data[1:8] + bytes([secret]), _E2E_POLYNOMIAL, 0xFF, 0xFF)
    if data[0] != expected:
        raise ProtocolError(
            f"BMS_11 carries the checksum {data[0]:02X}, not {expected:02X}",
            "a bad contact at the bus, or not an MEB pack?",
        )
    state = data[2] >> 5
    values: dict[str, Value | None] = {
        "meb_isolation_fault": float(state),
        "meb_isolation_status": float(data[2] >> 1 & 0xF),
    }
    if state:  # before it knows, the rest is not filled
        most = (data[6] & 0xF) << 8 | data[5]
        least = data[7] << 4 | data[6] >> 4
        values |= {
            "meb_temperature_max_degc": _half_degc(data[3]),
            "meb_temperature_min_degc": _half_degc(data[4]),
            "meb_max_cell_v": None if most >= NOT_FITTED else (most + 1000) / 1000,
            "meb_min_cell_v": None if least >= NOT_FITTED else (least + 1000) / 1000,
        }
    return Said(values)


def _half_degc(raw: int) -> float | None:
    return None if raw >= 0xFD else raw / 2 - 40


BROADCASTS: Final[Mapping[tuple[int, bool], Broadcast]] = {
    (0x1A555550, True): Broadcast("broadcast_BMS_24", 8, _bms_24),
    (0x16A954A6, True): Broadcast("broadcast_BMS_11", 8, _bms_11),
}


@dataclass(frozen=True)
class Meb:
    """The battery of a car of Volkswagen's MEB platform.

    Attributes
    ----------
    address : identifier of the requests: 0x17FC007B, or 0x1C40007B on CAN FD

    Raises
    ------
    InputError
        The BMS has no such identifier.
    """

    address: int = CLASSIC

    def __post_init__(self) -> None:
        if self.address not in _LINKS:
            raise InputError(
                f"meb has no address 0x{self.address:X}",
                f"0x{CLASSIC:X}, or 0x{FD:X} on CAN FD",
            )

    @property
    def name(self) -> str:
        """Name of the protocol."""
        return "meb"

    @property
    def description(self) -> str:
        """One line on the device family."""
        return (
            "Volkswagen MEB: ID.3, ID.4, Enyaq, Q4 (CAN, UDS with 29-bit identifiers)"
        )

    @property
    def medium(self) -> Literal["can"]:
        """What carries it."""
        return "can"

    @property
    def device(self) -> str:
        """Label of its readings: a bus has one."""
        return ""

    @property
    def bauds(self) -> Sequence[int]:
        """Bit rate of its bus."""
        return (500_000,)

    @property
    def permitted(self) -> Sequence[Request]:
        """Everything that may be sent to it."""
        return _REQUESTS[self.address]

    @property
    def probes(self) -> Sequence[Request]:
        """The pack voltage."""
        return _REQUESTS[self.address][:1]

    @property
    def signature(self) -> Sequence[str]:
        """Broadcasts of the BMS, one of them with a checksum."""
        return tuple(b.name for b in BROADCASTS.values())

    @property
    def keep_alive(self) -> Sequence[Request]:
        """None: what wakes it imitates half a car."""
        return ()

    @property
    def keep_alive_s(self) -> float:
        """Period of the keep-alive frames in s; there are none."""
        return 1.0

    @property
    def clear_faults(self) -> Sequence[Request]:
        """None: no source proves a way that needs no secret."""
        return ()

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle, without those for cells it has not."""
        for n in LAST_OF_SIZE:
            fitted = known.get(_fitted_name(n))
            if fitted is True:
                continue
            # Until it is known, ask for the first cell that a larger pack has.
            beyond = _BEYOND[n if fitted is False else n + 1]
            return tuple(r for r in _REQUESTS[self.address] if r.name not in beyond)
        return _REQUESTS[self.address]

    def decoder(self) -> EvDecoder:
        """Return a decoder that has heard nothing yet; it hears CAN and CAN FD."""
        mine = _LINKS[self.address]
        others = tuple(link for link in _LINKS.values() if link != mine)
        return EvDecoder("", mine, MESSAGES, BROADCASTS, others)
