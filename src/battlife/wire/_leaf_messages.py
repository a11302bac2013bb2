"""What the messages of a Nissan Leaf's LBC say, each by itself.

References
----------
Broadcasts: leaf_can_bus_messages, EV-can_{ZE0,AZE0,ZE1}.dbc. Groups: Battery-Emulator,
NISSAN-LEAF-BATTERY.cpp and PR #2901; OVMS, vehicle_nissanleaf.cpp and issue #162.
"""

from collections.abc import Mapping
from typing import Final

from battlife.errors import ProtocolError
from battlife.model import Notice
from battlife.wire._ev import (
    NAN,
    STANDARD_CRITICAL,
    Broadcast,
    Message,
    Said,
    bits,
    clearing,
    fault_codes,
    scaled,
    signed,
    unsigned,
)
from battlife.wire.checksums import crc8

N_CELLS: Final = 96
POLYNOMIAL: Final = 0x85
LENGTH_24_KWH: Final = 41
LENGTH_30_KWH: Final = 43
LENGTH_ZE1: Final = 53
LENGTH_WAKING: Final = 44
"""Bytes of a group 01 answer, the two of its head included."""
MAX_CELL_MV: Final = 5000
"""From here on a cell voltage is no measurement (Battery-Emulator)."""
MAX_SOC: Final = 1.1
SUPPLY_V: Final = (6.0, 20.0)
"""No LBC runs outside; the same bytes of a Zoe's answer are a power and lie below."""
_GROUP: Final = 2  # bytes before a group's data


def _group_01(data: bytes) -> Said:
    if len(data) == LENGTH_WAKING:
        raise ProtocolError(
            "group 01 is short, as shortly after waking", "ask again in a second"
        )
    if len(data) not in (LENGTH_24_KWH, LENGTH_30_KWH, LENGTH_ZE1):
        raise ProtocolError(
            f"group 01 has {len(data) - _GROUP} bytes, which no known Leaf gives",
            "is it another maker's battery? a Zoe answers to the same request",
        )
    g = data[_GROUP:]
    ze1 = len(data) == LENGTH_ZE1
    hx_at, soc_at, ah_at = (28, 31, 35) if ze1 else (26, 29, 33)
    soc = scaled(unsigned(g, soc_at, 3), 1e-6)
    supply = scaled(unsigned(g, 20), 0.001)
    if (soc is not None and soc > MAX_SOC) or (
        supply is not None and not SUPPLY_V[0] <= supply <= SUPPLY_V[1]
    ):
        raise ProtocolError(
            f"group 01 gives a SOC of {soc} and a supply of {supply} V",
            "is it another maker's battery? a Zoe answers to the same request",
        )
    hx = unsigned(g, hx_at)
    return Said(
        {
            "leaf_current_1_a": scaled(signed(g, 0, 4), 1 / 1024),
            "leaf_current_2_a": scaled(signed(g, 6, 4), 1 / 1024),
            "leaf_pack_voltage_v": scaled(unsigned(g, 18), 0.01),
            "aux_voltage_v": supply,
            "isolation_ohm": scaled(unsigned(g, 22), 1000.0),
            "hx": None if hx is None else hx / (10240 if ze1 else 10000),
            "soc": soc,
            "full_capacity_ah": scaled(unsigned(g, ah_at, 3), 1e-4),
        }
    )


def _group_02(data: bytes) -> Said:
    cells = [unsigned(data, _GROUP + 2 * i) for i in range(N_CELLS)]
    return Said(
        {
            "cell_voltage_v": tuple(
                NAN if mv is None or mv >= MAX_CELL_MV else mv / 1000 for mv in cells
            ),
            "voltage_v": scaled(unsigned(data, _GROUP + 2 * N_CELLS), 0.01),
            "leaf_bus_voltage_v": scaled(
                unsigned(data, _GROUP + 2 * N_CELLS + 2), 0.01
            ),
        }
    )


def _group_04(data: bytes) -> Said:
    g = data[_GROUP:]
    fitted = [unsigned(g, 3 * i) is not None for i in range(4)]
    degc = [
        float(signed(g, 3 * i + 2, 1)) if there else NAN
        for i, there in enumerate(fitted)
    ]
    fifth = None if len(g) != 14 or g[12] == 0xFF else float(signed(g, 12, 1))
    return Said(
        {
            "temperature_degc": tuple(degc),
            "leaf_fifth_temperature_degc": fifth,
            "leaf_thermistor_adc": tuple(
                NAN if (adc := unsigned(g, 3 * i)) is None else float(adc)
                for i in range(4)
            ),
        }
    )


def _group_06(data: bytes) -> Said:
    # Sources disagree on the order and the sense of the bits, and a set flag is no
    # proof of a bleeding cell, so the bits are given as they are.
    return Said({"leaf_shunts": data[_GROUP : _GROUP + 12].hex()})


def _group_61(data: bytes) -> Said:
    return Said({"reported_soh": scaled(unsigned(data, _GROUP + 2), 1e-4)})


def _group_62(data: bytes) -> Said:
    return Said(
        {
            "leaf_normal_charges": scaled(unsigned(data, _GROUP), 1.0),
            "leaf_quick_charges": scaled(unsigned(data, _GROUP + 2), 1.0),
        }
    )


def _group_83(data: bytes) -> Said:
    return Said({"leaf_part_number": _ascii(data[_GROUP : _GROUP + 7])})


def _group_84(data: bytes) -> Said:
    return Said({"serial_number": _ascii(data[_GROUP + 3 : _GROUP + 18])})


def _ascii(raw: bytes) -> str | None:
    text = "".join(chr(b) for b in raw if 0x20 <= b < 0x7F).strip()
    return text or None


_ONCE: Final = float("inf")
ZE1_ONLY: Final = "group_61"

MESSAGES: Final = (
    Message("group_01", b"\x21\x01", _group_01, LENGTH_24_KWH),
    Message("group_02", b"\x21\x02", _group_02, 198),
    Message("group_04", b"\x21\x04", _group_04, 16, every_s=5.0),
    Message("group_06", b"\x21\x06", _group_06, 26, every_s=30.0),
    Message(ZE1_ONLY, b"\x21\x61", _group_61, 331, every_s=60.0),
    Message("group_62", b"\x21\x62", _group_62, 6, every_s=60.0),
    Message("group_83", b"\x21\x83", _group_83, 9, every_s=_ONCE),
    Message("group_84", b"\x21\x84", _group_84, 20, every_s=_ONCE),
    # Mask FF would list some 149 tests that have not run.
    Message(
        "fault_codes", b"\x19\x02\x0e", fault_codes(STANDARD_CRITICAL), 3, every_s=30.0
    ),
)
CLEAR: Final = clearing()


def _checked(data: bytes, identifier: int) -> None:
    expected = crc8(data[:7], POLYNOMIAL)
    if data[7] != expected:
        raise ProtocolError(
            f"0x{identifier:X} carries the checksum {data[7]:02X}, not {expected:02X}",
            "a bad contact at the bus, or not a Leaf?",
        )


def _flow(data: bytes) -> Said:
    _checked(data, 0x1DB)
    raw, volts = bits(data, 0, 11), bits(data, 16, 10)
    failsafe = data[1] & 7
    return Said(
        {
            "current_a": (raw - 0x800 if raw & 0x400 else raw) / 2,
            "voltage_v": None if volts == 0x3FF else volts / 2,
            "contactors_closed": bool(data[3] >> 5 & 1),
            "interlock_closed": bool(data[3] >> 3 & 1),
            "leaf_full": bool(data[3] >> 4 & 1),
            "leaf_relay_cut_request": float(data[1] >> 3 & 3),
            "leaf_stop_request": bool(failsafe & 1),
            "leaf_charge_stop_request": bool(failsafe >> 1 & 1),
            "leaf_caution": bool(failsafe >> 2 & 1),
        }
    )


def _power(data: bytes) -> Said:
    _checked(data, 0x1DC)
    discharge, charge, charger = (bits(data, at, 10) for at in (0, 10, 20))
    return Said(
        {
            "max_discharge_power_w": None if discharge == 0x3FF else discharge * 250.0,
            "max_charge_power_w": None if charge == 0x3FF else charge * 250.0,
            "leaf_charger_limit_w": None
            if charger == 0x3FF
            else charger * 100.0 - 10_000.0,
        }
    )


def _charge(data: bytes) -> Said:
    _checked(data, 0x55B)
    soc = bits(data, 0, 10)
    wave = bits(data, 32, 10)
    broken = bool(data[5] & 1)
    notices: tuple[Notice, ...] = ()
    if broken:
        notices = (
            Notice(
                "isolation_not_measured",
                "the LBC says its isolation sensor does not work",
            ),
        )
    return Said(
        {
            "soc": None if soc == 0x3FF else soc / 1000,
            "leaf_isolation_sensor_v": None if wave == 0x3FF else wave * 5 / 1024,
            "leaf_isolation_sensor_broken": broken,
            "leaf_empty": bool(data[6] >> 7),
        },
        notices,
    )


def _energy(data: bytes) -> Said:
    gids = bits(data, 0, 10)
    soh = data[4] >> 1
    name = "leaf_max_gids" if data[5] >> 4 & 1 else "leaf_gids"
    return Said(
        {
            name: None if gids == 0x3FF else float(gids),
            # 0 is sent until the LBC knows.
            "reported_soh": None if soh in (0, 0x7F) else soh / 100,
        }
    )


def _history(data: bytes) -> Said:
    return Said({})


def _capacity(data: bytes) -> Said:
    full = bits(data, 19, 9)
    return Said({"leaf_full_capacity_wh": None if full == 0x1FF else full * 100.0})


BROADCASTS: Final[Mapping[tuple[int, bool], Broadcast]] = {
    (0x1DB, False): Broadcast("broadcast_1DB", 8, _flow),
    (0x1DC, False): Broadcast("broadcast_1DC", 8, _power),
    (0x55B, False): Broadcast("broadcast_55B", 8, _charge),
    (0x5BC, False): Broadcast("broadcast_5BC", 8, _energy),
    (0x5C0, False): Broadcast("broadcast_5C0", 8, _history),
    (0x59E, False): Broadcast("broadcast_59E", 8, _capacity),
}

_HISTORY: Final = {1: "max", 2: "avg", 3: "min"}


def history_of_aze0(data: bytes) -> Mapping[str, float]:
    """Return what 0x5C0 of an AZE0 says; other generations fill it otherwise.

    References
    ----------
    EV-can_AZE0.dbc, multiplexed by the two highest bits.
    """
    kind = _HISTORY.get(data[0] >> 6)
    if kind is None:
        return {}
    return {
        f"leaf_temperature_{kind}_degc": data[2] / 2 - 40,
        f"leaf_cell_{kind}_v": ((data[5] >> 2) * 40 + 1900) / 1000,
        f"leaf_integrated_current_{kind}_ah": data[3] * 0.6,
        f"leaf_resistance_degradation_{kind}": (data[4] >> 1) / 100,
    }


def temperature_of_ze0(data: bytes) -> Mapping[str, float]:
    """Return the mean temperature that 0x5BC of a ZE0 carries."""
    return {} if data[3] == 0xFF else {"leaf_temperature_avg_degc": data[3] - 40.0}


def usable_soc(data: bytes) -> Mapping[str, float]:
    """Return the usable SOC that 0x1DB carries since the AZE0."""
    raw = data[4] & 0x7F
    return {} if raw == 0x7F else {"leaf_usable_soc": raw / 100}
