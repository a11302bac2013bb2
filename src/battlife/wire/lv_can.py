"""Low-voltage storage batteries: what they tell an inverter on CAN, 11-bit, 500 kbit/s.

The dialect of Pylontech, SMA and Victron, which many makers speak. It is broadcast; one
pack speaks for all that are connected to it. Little-endian. The only check is the CRC
of the CAN frames themselves. Temperatures of 0x373 are taken as kelvin, as Victron and
BYD send them.

References
----------
Frames of Pylontech US5000 of both dialects: setfirelabs.com, "Pylontech battery CAN
comms v1.2 vs v1.3". Identifiers and scales: dbus-serialbattery, bms/lltjbd_can.py;
OpenDTU (Pylontech and Pytes receivers); dfch/BydCanProtocol.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final, Literal

from battlife.errors import ProtocolError
from battlife.model import Allow, Frame, Notice, Reading, Rejected, Request, Value
from battlife.wire._ev import Broadcast, Said, critical_notice

_KELVIN: Final = 273
_PARTS_WITHIN_S: Final = 10.0

PROTECTIONS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "over-voltage",
        2: "under-voltage",
        3: "over-temperature",
        4: "under-temperature",
        7: "discharge over-current",
        8: "charge over-current",
        11: "system error",
    }
)
"""Bits of 0x359 from bit 0 of its first byte on; warnings follow 16 bits later."""

ALARMS: Final = (
    "general alarm",
    "over-voltage",
    "under-voltage",
    "over-temperature",
    "under-temperature",
    "charge over-temperature",
    "charge under-temperature",
    "discharge over-current",
    "charge over-current",
    "contactor fault",
    "short circuit",
    "internal fault",
    "cell imbalance",
)
"""Pairs of bits of 0x35A, of which 01 says active; warnings follow 32 bits later."""

CRITICAL: Final = frozenset(
    {
        "over-temperature",
        "charge over-temperature",
        "short circuit",
        "internal fault",
        "system error",
    }
)


def _limits(data: bytes) -> Said:
    return Said(
        {
            "lv_charge_voltage_limit_v": _tenths(_u16(data, 0)),
            "lv_charge_current_limit_a": _tenths(_s16(data, 2)),
            "lv_discharge_current_limit_a": _tenths(_s16(data, 4)),
            "lv_discharge_voltage_limit_v": _tenths(_u16(data, 6)),
        }
    )


def _soc(data: bytes) -> Said:
    percent, health, fine = _u16(data, 0), _u16(data, 2), _u16(data, 4)
    if percent is not None and percent > 100:
        raise ProtocolError(
            f"a state of charge of {percent} % is none",
            "is it another device that uses the identifier 0x355?",
        )
    soc = None if percent is None else percent / 100
    # Hundredths of a percent; a pack that lacks them sends 0 there.
    if fine and percent is not None and abs(fine - 100 * percent) <= 100:
        soc = fine / 10000
    return Said({"soc": soc, "reported_soh": None if health is None else health / 100})


def _pack(data: bytes) -> Said:
    volts, degc = _u16(data, 0), _tenths(_s16(data, 4))
    return Said(
        {
            "voltage_v": None if volts is None else volts / 100,
            "current_a": _tenths(_s16(data, 2)),
            "temperature_degc": None if degc is None else (degc,),
        }
    )


def _protections(data: bytes) -> Said:
    bits = int.from_bytes(data[:4], "little")
    faults, warnings = _named(bits & 0xFFFF), _named(bits >> 16)
    values: dict[str, Value | None] = {
        "fault_codes": faults,
        "lv_warnings": warnings,
        "lv_n_modules": float(data[4]) if len(data) > 4 else None,
    }
    return Said(values, _critical(faults))


def _named(bits: int) -> tuple[str, ...]:
    return tuple(
        PROTECTIONS.get(i, f"protection bit {i}") for i in range(16) if bits >> i & 1
    )


def _alarms(data: bytes) -> Said:
    faults, warnings = _active(data[:4]), _active(data[4:8])
    return Said({"fault_codes": faults, "lv_warnings": warnings}, _critical(faults))


def _active(data: bytes) -> tuple[str, ...]:
    pairs = int.from_bytes(data, "little")
    return tuple(name for i, name in enumerate(ALARMS) if pairs >> 2 * i & 3 == 1)


def _critical(faults: Sequence[str]) -> tuple[Notice, ...]:
    return tuple(
        critical_notice(f"the battery reports: {fault}")
        for fault in faults
        if fault in CRITICAL
    )


def _requests(data: bytes) -> Said:
    return Said(
        {
            "charge_enabled": bool(data[0] & 0x80),
            "discharge_enabled": bool(data[0] & 0x40),
            "lv_force_charge_requested": bool(data[0] & 0x30),
            "lv_full_charge_requested": bool(data[0] & 0x08),
        }
    )


def _maker(data: bytes) -> Said:
    return Said({"lv_maker": _text(data)})


def _battery(data: bytes) -> Said:
    return Said(
        {
            "lv_chemistry": _text(data[:2]),
            # As sent: makers disagree about its order.
            "lv_bms_version": data[2:4].hex(),
            "lv_capacity_ah": _sized(_u16(data, 4)),
        }
    )


def _modules(data: bytes) -> Said:
    names = ("online", "blocking_charge", "blocking_discharge", "offline")
    counts = (_u16(data, 2 * i) for i in range(4))
    return Said(
        {
            f"lv_n_modules_{name}": None if count is None else float(count)
            for name, count in zip(names, counts, strict=True)
        }
    )


def _extremes(data: bytes) -> Said:
    low, high = _sized(_u16(data, 0)), _sized(_u16(data, 2))
    cold, warm = _sized(_u16(data, 4)), _sized(_u16(data, 6))
    return Said(
        {
            "lv_cell_voltage_min_v": None if low is None else low / 1000,
            "lv_cell_voltage_max_v": None if high is None else high / 1000,
            "lv_temperature_min_degc": None if cold is None else cold - _KELVIN,
            "lv_temperature_max_degc": None if warm is None else warm - _KELVIN,
        }
    )


def _energy(data: bytes) -> Said:
    charged = int.from_bytes(data[:4], "little")
    discharged = int.from_bytes(data[4:8], "little")
    if not charged and not discharged:
        return Said({})  # a pack that does not count sends zeros
    return Said(
        {
            "lv_charged_energy_wh": 100.0 * charged,
            "lv_discharged_energy_wh": 100.0 * discharged,
        }
    )


def _capacity(data: bytes) -> Said:
    return Said({"lv_capacity_ah": _sized(_u16(data, 0))})


BROADCASTS: Final[Mapping[int, Broadcast]] = MappingProxyType(
    {
        0x351: Broadcast("limits", 6, _limits),
        0x355: Broadcast("soc", 4, _soc),
        0x356: Broadcast("pack", 6, _pack),
        0x359: Broadcast("protections", 4, _protections),
        0x35A: Broadcast("alarms", 8, _alarms),
        0x35C: Broadcast("requests", 1, _requests),
        0x35E: Broadcast("maker", 1, _maker),
        0x35F: Broadcast("battery", 6, _battery),
        0x372: Broadcast("modules", 8, _modules),
        0x373: Broadcast("extremes", 8, _extremes),
        0x374: Broadcast(
            "lowest_cell", 1, lambda d: Said({"lv_lowest_cell": _text(d)})
        ),
        0x375: Broadcast(
            "highest_cell", 1, lambda d: Said({"lv_highest_cell": _text(d)})
        ),
        0x376: Broadcast(
            "coldest_cell", 1, lambda d: Said({"lv_coldest_cell": _text(d)})
        ),
        0x377: Broadcast(
            "warmest_cell", 1, lambda d: Said({"lv_warmest_cell": _text(d)})
        ),
        0x378: Broadcast("energy", 8, _energy),
        0x379: Broadcast("capacity", 2, _capacity),
    }
)
"""By identifier: messages of one frame."""

_HALVES: Final[Mapping[int, tuple[int, str, str]]] = MappingProxyType(
    {
        0x370: (0, "model", "hardware_version"),
        0x371: (1, "model", "hardware_version"),
        0x380: (0, "serial", "serial_number"),
        0x381: (1, "serial", "serial_number"),
    }
)
"""By identifier: which half of which text."""


@dataclass(frozen=True)
class LvCan:
    """The batteries on one bus; they have no address."""

    name: ClassVar[str] = "lv_can"
    description: ClassVar[str] = (
        "low-voltage storage batteries as they talk to an inverter (Pylontech, SMA, "
        "Victron)"
    )
    medium: ClassVar[Literal["serial", "can"]] = "can"
    device: ClassVar[str] = ""
    bauds: ClassVar[Sequence[int]] = (500000, 250000)
    keep_alive: ClassVar[Sequence[Request]] = (
        Request("inverter_alive", bytes(8), Allow.WAKE, 0x305),
    )
    """What an inverter says once a second; some packs switch off without it."""
    keep_alive_s: ClassVar[float] = 1.0
    permitted: ClassVar[Sequence[Request]] = keep_alive
    probes: ClassVar[Sequence[Request]] = ()
    signature: ClassVar[Sequence[str]] = ("limits", "soc", "pack")
    clear_faults: ClassVar[Sequence[Request]] = ()

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle: none, everything is broadcast."""
        del known
        return ()

    def decoder(self) -> "LvDecoder":
        """Return a decoder that has heard nothing yet."""
        return LvDecoder()


class LvDecoder:
    """Decodes the broadcasts of one bus."""

    def __init__(self) -> None:
        self._first_half: dict[str, tuple[float, bytes]] = {}

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next frame; yield what it says."""
        if (
            frame.identifier is None
            or frame.extended
            or frame.kind != "data"
            or frame.direction == "tx"
        ):
            return
        broadcast = BROADCASTS.get(frame.identifier)
        if broadcast is not None:
            yield _said(frame, broadcast)
        elif frame.identifier in _HALVES:
            yield from self._half(frame)

    def finish(self) -> Iterator[Reading | Rejected]:
        """Yield what the end of the frames leaves: nothing."""
        return iter(())

    def _half(self, frame: Frame) -> Iterator[Reading]:
        assert frame.identifier is not None
        which, message, name = _HALVES[frame.identifier]
        if which == 0:
            self._first_half[message] = (frame.time_s, frame.data)
            return
        time_s, first = self._first_half.pop(message, (-_PARTS_WITHIN_S, b""))
        if not first or frame.time_s - time_s > _PARTS_WITHIN_S:
            return
        raw = first + frame.data
        text = _text(raw)
        values: dict[str, Value] = {} if text is None else {name: text}
        yield Reading(frame.time_s, "", message, values, raw, frame.identifier)


def _said(frame: Frame, broadcast: Broadcast) -> Reading | Rejected:
    data, name = frame.data, broadcast.name
    try:
        if not broadcast.length <= len(data) <= 8:
            raise ProtocolError(
                f"0x{frame.identifier:03X} has {len(data)} bytes, not "
                f"{broadcast.length} to 8",
                "is it another kind of bus?",
            )
        said = broadcast.says(data)
    except ProtocolError as error:
        return Rejected(frame.time_s, "", error, data, name, frame.identifier)
    values = {k: v for k, v in said.values.items() if v is not None}
    return Reading(frame.time_s, "", name, values, data, frame.identifier, said.notices)


def _u16(data: bytes, at: int) -> int | None:
    """Return an unsigned number, None if it is missing or has all its bits set."""
    raw = int.from_bytes(data[at : at + 2], "little")
    return None if len(data) < at + 2 or raw == 0xFFFF else raw


def _s16(data: bytes, at: int) -> int | None:
    """Return a number in two's complement, None for the sentinels of the field."""
    if len(data) < at + 2 or data[at : at + 2] in (b"\xff\x7f", b"\x00\x80"):
        return None
    return int.from_bytes(data[at : at + 2], "little", signed=True)


def _tenths(raw: int | None) -> float | None:
    return None if raw is None else raw / 10


def _sized(raw: int | None) -> float | None:
    """Return a number that cannot be 0: then it is not known."""
    return float(raw) if raw else None


def _text(data: bytes) -> str | None:
    text = data.rstrip(b"\0 ").decode("ascii", "replace")
    return text if text and text.isascii() and text.isprintable() else None
