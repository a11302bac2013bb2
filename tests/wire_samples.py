"""Known-good messages of every protocol, with values that others state.

``SAMPLES[protocol]`` lists conversations. Each one holds the frames of exactly one
message (with the requests its meaning depends on, direction "tx", in front) and the
values that its source gives for it. tests/conformance/test_wire_protocols.py feeds
them whole, split, doubled, flipped and cut to every protocol's decoder.

Add a protocol: one entry, with messages of real devices where there are any::

    SAMPLES["jbd_uart"] = [
        Sample("cells", serial("DD0400080DD20DD20DD40DD6FC7677"), {...}, "source"),
    ]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from battlife.model import Frame, Value

Guard = Literal["checksum", "can", "structure"]
"""What finds a flipped bit: a checksum of the message; the CRC of the CAN frame (the
adapter drops a damaged frame, so a decoder cannot see one); or nothing but lengths and
ranges, where the protocol has no checksum at all."""


@dataclass(frozen=True)
class Sample:
    """One message.

    Attributes
    ----------
    message : name of the Reading it gives
    frames : requests that its meaning depends on ("tx"), then its bytes ("rx")
    values : some of the Reading's values, as the source states them
    source : who recorded the message, or who states its values
    options : of the protocol (address, dbc)
    guard : see Guard
    device : of the Reading
    """

    message: str
    frames: Sequence[Frame]
    values: Mapping[str, Value]
    source: str
    options: Mapping[str, object] = field(default_factory=dict)
    guard: Guard = "checksum"
    device: str = ""


def serial(received: str, sent: str = "") -> tuple[Frame, ...]:
    """Return the frames of a serial line, from hexadecimal text."""
    frames = []
    if sent:
        frames.append(Frame(0.0, "line", "tx", bytes.fromhex(sent)))
    frames.append(Frame(0.1, "line", "rx", bytes.fromhex(received)))
    return tuple(frames)


def ascii_line(received: str, sent: str = "") -> tuple[Frame, ...]:
    """Return the frames of a serial line, from its characters ("\\r" included)."""
    return serial(received.encode().hex(), sent.encode().hex())


def can(*frames: str, extended: bool = False, fd: bool = False) -> tuple[Frame, ...]:
    """Return CAN frames 10 ms apart, from "7BB#0661..."; ">79B#..." was sent."""
    result = []
    for i, text in enumerate(frames):
        identifier, _, data = text.lstrip(">").partition("#")
        result.append(
            Frame(
                0.01 * i,
                "bus",
                "tx" if text.startswith(">") else "rx",
                bytes.fromhex(data),
                int(identifier, 16),
                extended,
                fd,
            )
        )
    return tuple(result)


SAMPLES: dict[str, list[Sample]] = {}

FACTS_JBD = "mr-manuel/venus-os_dbus-serialbattery issue 265"

SAMPLES["jbd_uart"] = [
    Sample(
        "status",
        serial(
            "DD03001D0587000074FB759401572E9D00000000000061630304030BEC0BDB0BD5F83177",
            "DDA50300FFFD77",
        ),
        {
            "voltage_v": 14.15,
            "current_a": 0.0,
            "remaining_capacity_ah": 299.47,
            "jbd_nominal_capacity_ah": 301.0,
            "cycle_count": 343,
            "soc": 0.99,
            "charge_enabled": True,
            "discharge_enabled": True,
            "fault_codes": (),
            "temperature_degc": (32.1, 30.4, 29.8),
        },
        FACTS_JBD,
    ),
    Sample(
        "status",
        serial(
            "DD03001D0618FEE101F201F4002A2C7C00000000000080640304030B8B0B8A0B84F88477"
        ),
        {
            "voltage_v": 15.6,
            "current_a": -2.87,
            "remaining_capacity_ah": 4.98,
            "soc": 1.0,
            "temperature_degc": (22.4, 22.3, 21.7),
        },
        "patman15/aiobmsble tests/bms/test_jbd_bms.py",
    ),
    Sample(
        "cells",
        serial("DD0400080DD20DD20DD40DD6FC7677", "DDA50400FFFC77"),
        {"cell_voltage_v": (3.538, 3.538, 3.54, 3.542)},
        FACTS_JBD,
    ),
]

# EV packs: the CRC of the CAN frame guards their answers, so a flipped bit never
# reaches a decoder ("can"); the Leaf's broadcasts have a checksum of their own.
FACTS_ZOE = "Battery-Emulator test/can_log_based/can_logs/28_RenaultZoe1_base_pid.txt"

SAMPLES["zoe_gen1"] = [
    Sample(
        "health",
        can(
            ">79B#0221610000000000",
            "7BB#10146161000A8C00",
            ">79B#3000000000000000",
            "7BB#21C8C8C8C0C00000",
            "7BB#22BB7C000023E4FF",
        ),
        {
            "reported_soh": 0.96,
            "full_capacity_ah": 69.12,
            "zoe_mileage_km": 47996.0,
            "energy_throughput_wh": 9188000.0,
        },
        FACTS_ZOE,
        guard="can",
    ),
    Sample(
        "limits",
        can(
            "7BB#101D610301941F85",
            "7BB#2121320000000001",
            "7BB#22950193000000FF",
            "7BB#23FFFFFF01207B00",
            "7BB#2400005555555555",
        ),
        {
            "zoe_cell_ocv_v": 4.04,
            "zoe_max_cell_v": 4.05,
            "zoe_min_cell_v": 4.03,
            "contactors_closed": False,
        },
        FACTS_ZOE,
        guard="can",
    ),
    Sample(
        "broadcast_424",
        can("424#00003C3C3A63553D"),
        {"reported_soh": 0.99, "zoe_temperature_min_degc": 18.0},
        FACTS_ZOE,
        guard="can",
    ),
    Sample(
        "broadcast_42E",
        can("42E#0000005C80078000"),
        {"voltage_v": 370.0, "zoe_temperature_avg_degc": 20.0},
        FACTS_ZOE,
        guard="can",
    ),
]

SAMPLES["zoe_gen2"] = [
    Sample(
        "current",
        can(">18DADBF1#0322925D00000000", "18DAF1DB#0562925D7F80AAAA", extended=True),
        {"current_a": 0.0},
        "Battery-Emulator issue 2819",
        guard="can",
    ),
]

SAMPLES["leaf"] = [
    Sample(
        "broadcast_1DB",
        can("1DB#FFC0B9EA000003D8"),
        {
            "current_a": -1.0,
            "voltage_v": 371.5,
            "contactors_closed": True,
            "interlock_closed": True,
        },
        "log in Battery-Emulator PR 248",
    ),
    Sample(
        "broadcast_1DC",
        can("1DC#6E0F8FFD0CE4E0D1"),
        {"max_discharge_power_w": 110000.0, "max_charge_power_w": 62000.0},
        "log in Battery-Emulator PR 248",
    ),
    Sample(
        "group_01",
        can(
            ">79B#0221010000000000",
            "7BB#102B6101FFFFFC4E",
            ">79B#3000000000000000",
            "7BB#21028AFFFFFF46FF",
            "7BB#22FFFFFF12902AF8",
            "7BB#238FCD32DE038B00",
            "7BB#245C1F3D000896C6",
            "7BB#25000B3290800001",
            "7BB#260000",
        ),
        {
            "hx": 0.7997,
            "full_capacity_ah": 73.384,
            "aux_voltage_v": 13.022,
            "isolation_ohm": 907000.0,
            "leaf_pack_voltage_v": 368.13,
        },
        "OVMS issue 162 (30 kWh)",
        guard="can",
    ),
    Sample(
        "fault_codes",
        can("7BB#101359024ED00000", "7BB#214E33D7004E33D9", "7BB#22004E33DD004EFF"),
        {"fault_codes": ("U1000", "P33D7", "P33D9", "P33DD")},
        "Battery-Emulator test/battery/NissanLeafTest.cpp",
        guard="can",
    ),
]

SAMPLES["kona"] = [
    Sample(
        "main",
        can(
            ">7E4#0322010100000000",
            "7EC#103E620101FFF7E7",
            ">7E4#3000000000000000",
            "7EC#21FF990000000003",
            "7EC#2200B10EFE120F11",
            "7EC#23100F12000018C4",
            "7EC#2438C30B00008400",
            "7EC#2500386400003585",
            "7EC#260000153A000013",
            "7EC#2774000647010D01",
            "7EC#287F0BDA0BDA03E8",
        ),
        {
            "current_a": -17.7,
            "voltage_v": 383.8,
            "soc": 0.765,
            "temperature_degc": (17.0, 16.0, 15.0, 18.0),
            "charge_throughput_ah": 1443.6,
            "energy_throughput_wh": 543400.0,
            "isolation_ohm": 1000000.0,
        },
        "nickn17/evDash loadTestData()",
        guard="can",
    ),
    Sample(
        "fault_codes",
        can(">7E4#031902AF00000000", "7EC#035902FFAAAAAAAA"),
        {"fault_codes": ()},
        "projectgus/hyundai-kona-ev-can-logs 221210-1",
        guard="can",
    ),
    Sample(
        "broadcast_594",
        can("594#34213421A0620120"),
        {"max_charge_power_w": 85000.0, "max_discharge_power_w": 85000.0},
        "projectgus/hyundai-kona-ev-can-logs, a pack on the bench",
        guard="can",
    ),
]

SAMPLES["meb"] = [
    Sample(
        "voltage",
        can(
            ">17FC007B#03221E3B00000000",
            "17FE007B#05621E3B0526AAAA",
            extended=True,
        ),
        {"voltage_v": 329.5},
        "OBDb/Volkswagen-ID.4 tests",
        guard="can",
    ),
    Sample(
        "cell_1",
        can("17FE007B#05621E400918AAAA", extended=True),
        {"cell_voltage_v": (3.328,)},
        "OBDb/Volkswagen-ID.4 tests",
        guard="can",
    ),
    Sample(
        "broadcast_BMS_11",
        can("16A954A6#12E5817878B88BBB", extended=True),
        {"meb_max_cell_v": 4.0, "meb_min_cell_v": 4.0},
        "Battery-Emulator test/can_log_based/can_logs/19_Meb_crc.txt",
    ),
]
