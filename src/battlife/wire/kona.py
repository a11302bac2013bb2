"""Hyundai and Kia packs on classic CAN: Kona, e-Niro, Soul; Ioniq with service 21.

The BMS needs no session. It resolves 20 mV per cell, so spreads of cells want a meter.
Its current is positive while discharging and is turned round here.

References
----------
Answers: evDash, src/CarKiaEniro.cpp (positions, checked on its captures, the Ioniq's
one byte earlier); broadcasts of the P-CAN: projectgus/kona-ev-dbc pcan.dbc, checked on
projectgus/hyundai-kona-ev-can-logs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from battlife.errors import ProtocolError
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
    clearing,
    fault_codes,
    scaled,
    signed,
    unsigned,
)

CELLS_PER_BLOCK: Final = 32
BLOCKS: Final = 3
EXTRA_AT: Final = CELLS_PER_BLOCK * BLOCKS
"""Cells before the two that the message of the state of health carries."""

_LINK: Final = Link(0x7E4, 0x7EC)
_MODULES: Final = {3: 4, 2: 5}
"""Temperatures of modules by bytes of the answer's head: Kona 4, Ioniq 5."""


def _main(data: bytes) -> Said:
    head = _head(data)
    at = head - 3  # positions are the Kona's
    return Said(
        {
            "soc": scaled(unsigned(data, 7 + at, 1), 1 / 200),
            "max_charge_power_w": scaled(unsigned(data, 8 + at), 10.0),
            "max_discharge_power_w": scaled(unsigned(data, 10 + at), 10.0),
            "contactors_closed": bool(data[12 + at] & 1),
            "kona_relay_bits": float(data[12 + at]),
            "current_a": scaled(-signed(data, 13 + at), 0.1),
            "voltage_v": scaled(unsigned(data, 15 + at), 0.1),
            "kona_temperature_max_degc": float(signed(data, 17 + at, 1)),
            "kona_temperature_min_degc": float(signed(data, 18 + at, 1)),
            "temperature_degc": tuple(
                float(signed(data, 19 + at + i, 1)) for i in range(_MODULES[head])
            ),
            "kona_inlet_degc": float(signed(data, 25 + at, 1)),
            "kona_max_cell_v": scaled(unsigned(data, 26 + at, 1), 1 / 50),
            "kona_max_cell": float(data[27 + at]),
            "kona_min_cell_v": scaled(unsigned(data, 28 + at, 1), 1 / 50),
            "kona_min_cell": float(data[29 + at]),
            "kona_fan_hz": float(data[31 + at]),
            "aux_voltage_v": scaled(unsigned(data, 32 + at, 1), 0.1),
            "charge_throughput_ah": scaled(unsigned(data, 33 + at, 4), 0.1),
            "kona_discharge_throughput_ah": scaled(unsigned(data, 37 + at, 4), 0.1),
            "energy_throughput_wh": scaled(unsigned(data, 41 + at, 4), 100.0),
            "kona_discharge_energy_wh": scaled(unsigned(data, 45 + at, 4), 100.0),
            "kona_operating_time_s": scaled(unsigned(data, 49 + at, 4), 1.0),
            "kona_link_voltage_v": scaled(unsigned(data, 54 + at), 1.0),
            "isolation_ohm": scaled(unsigned(data, 60 + at), 1000.0),
        }
    )


def _cells(block: int) -> Callable[[bytes], Said]:
    def says(data: bytes) -> Said:
        at = _head(data) + 4
        cells = [_cell(raw) for raw in data[at : at + CELLS_PER_BLOCK]]
        if block == BLOCKS - 1:
            cells = _fitted(cells)
        return Said(
            {"cell_voltage_v": (NAN,) * (CELLS_PER_BLOCK * block) + tuple(cells)}
        )

    return says


def _health(data: bytes) -> Said:
    at = _head(data) - 3
    extra = _fitted([_cell(raw) for raw in data[37 + at : 39 + at]])
    return Said(
        {
            "reported_soh": scaled(unsigned(data, 28 + at), 1e-3),
            "kona_display_soc": scaled(unsigned(data, 34 + at, 1), 1 / 200),
            "kona_heater_degc": float(signed(data, 26 + at, 1)),
            "cell_voltage_v": (NAN,) * EXTRA_AT + tuple(extra) if extra else None,
        }
    )


def _coolant(data: bytes) -> Said:
    return Said({"kona_coolant_degc": float(signed(data, 7, 1))})


def _head(data: bytes) -> int:
    """Return the bytes before the answer's data: 62 hi lo or 61 group."""
    return 3 if data[0] == 0x62 else 2


def _cell(raw: int) -> float:
    # 0 is sent for a place without a cell as for a wire without voltage.
    return NAN if raw in (0, 0xFF) else raw / 50


def _fitted(cells: list[float]) -> list[float]:
    """Leave out places without cells at the end of the last block.

    Packs have 88, 90, 96 or 98 cells: where only the last one has no voltage, that is a
    cell without a measurement rather than no cell.
    """
    n = len(cells)
    while n and cells[n - 1] != cells[n - 1]:
        n -= 1
    return cells if len(cells) - n < 2 else cells[:n]


_FAULTS: Final = Message(
    "fault_codes", b"\x19\x02\xaf", fault_codes(STANDARD_CRITICAL), 3, every_s=30.0
)
KONA: Final = (
    Message("main", b"\x22\x01\x01", _main, 62),
    *(
        Message(f"cells_{i + 1}", bytes((0x22, 1, 2 + i)), _cells(i), 39)
        for i in range(BLOCKS)
    ),
    Message("health", b"\x22\x01\x05", _health, 39, every_s=5.0),
    Message("coolant", b"\x22\x01\x06", _coolant, 8, every_s=10.0),
    _FAULTS,
)
IONIQ: Final = (
    Message("main", b"\x21\x01", _main, 61),
    *(
        Message(f"cells_{i + 1}", bytes((0x21, 2 + i)), _cells(i), 38)
        for i in range(BLOCKS)
    ),
    Message("health", b"\x21\x05", _health, 38, every_s=5.0),
    _FAULTS,
)
_CLEAR: Final = clearing()
_REQUESTS: Final = {False: asked(KONA, _LINK), True: asked(IONIQ, _LINK)}


def _limits(data: bytes) -> Said:
    return Said(
        {
            "max_charge_power_w": int.from_bytes(data[0:2], "little") * 10.0,
            "max_discharge_power_w": int.from_bytes(data[2:4], "little") * 10.0,
            "kona_broadcast_soc": (data[5] * 5 + (data[6] & 7)) / 1000,
        }
    )


def _pack(data: bytes) -> Said:
    volts = int.from_bytes(data[6:8], "little") / 10
    if not volts:
        raise ProtocolError(
            "0x595 gives no pack voltage",
            "the C-CAN uses this identifier for something else: connect the P-CAN",
        )
    current = int.from_bytes(data[4:6], "little", signed=True)
    return Said(
        {
            "current_a": -current / 10,
            "voltage_v": volts,
            "kona_precharge_relay": bool(data[1] & 1),
        }
    )


def _supply(data: bytes) -> Said:
    if not data[1]:  # not filled yet; the C-CAN uses 0x596 for something else
        return Said({})
    return Said(
        {
            "aux_voltage_v": data[1] / 10,
            "kona_temperature_min_degc": float(signed(data, 6, 1)),
            "kona_temperature_max_degc": float(signed(data, 7, 1)),
        }
    )


def _contactors(data: bytes) -> Said:
    return Said(
        {
            "contactors_closed": bool(data[0] >> 6 & 1),
            "kona_fast_charge_relay": bool(data[0] >> 5 & 1),
        }
    )


BROADCASTS: Final[Mapping[tuple[int, bool], Broadcast]] = {
    (0x594, False): Broadcast("broadcast_594", 8, _limits),
    (0x595, False): Broadcast("broadcast_595", 8, _pack),
    (0x596, False): Broadcast("broadcast_596", 8, _supply),
    (0x5A3, False): Broadcast("broadcast_5A3", 8, _contactors),
}


@dataclass(frozen=True)
class Kona:
    """The battery of a Hyundai or Kia on classic CAN.

    Attributes
    ----------
    ioniq : ask by service 21, as the Ioniq and the older Soul want it
    """

    ioniq: bool = False

    @property
    def name(self) -> str:
        """Name of the protocol."""
        return "kona"

    @property
    def description(self) -> str:
        """One line on the device family."""
        return "Hyundai Kona, Ioniq, Kia e-Niro, Soul (CAN, ISO-TP)"

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
        return (*_REQUESTS[self.ioniq], *self.clear_faults)

    @property
    def probes(self) -> Sequence[Request]:
        """The main values."""
        return _REQUESTS[self.ioniq][:1]

    @property
    def signature(self) -> Sequence[str]:
        """Broadcasts of the pack on its own bus."""
        return tuple(b.name for b in BROADCASTS.values())

    @property
    def keep_alive(self) -> Sequence[Request]:
        """None: it is awake while terminal 15 has voltage."""
        return ()

    @property
    def keep_alive_s(self) -> float:
        """Period of the keep-alive frames in s; there are none."""
        return 1.0

    @property
    def clear_faults(self) -> Sequence[Request]:
        """Clears the trouble codes."""
        return asked((_CLEAR,), _LINK)

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle."""
        return _REQUESTS[self.ioniq]

    def decoder(self) -> EvDecoder:
        """Return a decoder that has heard nothing yet; it takes both services."""
        mine, other = (IONIQ, KONA) if self.ioniq else (KONA, IONIQ)
        return EvDecoder("", _LINK, (*mine, *other, _CLEAR), BROADCASTS)
