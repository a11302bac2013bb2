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

import jk_samples as jk
from battlife.model import Frame, Value
from support import DATASETS

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


def isotp(
    answer: int,
    payload: str,
    request: int,
    asked: str,
    *,
    extended: bool = False,
) -> tuple[Frame, ...]:
    """Return the frames of a question and its ISO-TP answer, flow control included."""
    data, ask = bytes.fromhex(payload), bytes.fromhex(asked)
    frames = [f">{request:X}#{len(ask):02X}{ask.hex()}{'00' * (7 - len(ask))}"]
    if len(data) < 8:
        padding = "00" * (7 - len(data))
        frames.append(f"{answer:X}#{len(data):02X}{data.hex()}{padding}")
    else:
        frames.append(f"{answer:X}#1{len(data):03X}{data[:6].hex()}")
        frames.append(f">{request:X}#3000000000000000")
        for number, at in enumerate(range(6, len(data), 7), start=1):
            part = data[at : at + 7].hex().ljust(14, "0")
            frames.append(f"{answer:X}#2{number & 15:X}{part}")
    return can(*frames, extended=extended)


SAMPLES: dict[str, list[Sample]] = {}

ISSUE_265 = "mr-manuel/venus-os_dbus-serialbattery issue 265"
AIOBMSBLE = "patman15/aiobmsble"
BATTERY_EMULATOR = "dalathegreat/Battery-Emulator"
JK_BMS = "syssi/esphome-jk-bms"

SAMPLES["jbd_uart"] = [
    Sample(
        "basic",
        serial(
            "DD03001D0587000074FB759401572E9D00000000000061630304030BEC0BDB0BD5F83177",
            "DDA50300FFFD77",
        ),
        {
            "voltage_v": 14.15,
            "current_a": 0.0,
            "remaining_capacity_ah": 299.47,
            "cycle_count": 343,
            "soc": 0.99,
            "charge_enabled": True,
            "discharge_enabled": True,
            "fault_codes": (),
            "temperature_degc": (32.1, 30.4, 29.8),
        },
        ISSUE_265,
    ),
    Sample(
        "basic",
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
        f"{AIOBMSBLE} tests/bms/test_jbd_bms.py",
    ),
    Sample(
        "cells",
        serial("DD0400080DD20DD20DD40DD6FC7677", "DDA50400FFFC77"),
        {"cell_voltage_v": (3.538, 3.538, 3.54, 3.542)},
        ISSUE_265,
    ),
    Sample(
        "hardware",
        serial("DD0500194A42442D53503034533033342D4C34532D323030412D422D55FA0877"),
        {"hardware_version": "JBD-SP04S034-L4S-200A-B-U"},
        "syssi/esphome-jbd-bms docs",
    ),
]

SAMPLES["daly_uart"] = [
    Sample(
        "pack",
        serial("A501900802FC000075A1000052", "A540900800000000000000007D"),
        {"voltage_v": 76.4, "current_a": -11.3, "soc": 0.0},
        "example of the vendor's description",
        device="1",
    ),
]
SAMPLES["daly_can"] = [
    Sample(
        "pack",
        can("18904001#01070000753002BC", extended=True),
        {"voltage_v": 26.3, "current_a": 0.0, "soc": 0.7},
        "mr-manuel/venus-os_dbus-serialbattery issue 212",
        guard="can",
        device="1",
    ),
    Sample(
        "cell_extremes",
        can("18914001#0CE0010CDE04FFFF", extended=True),
        {"daly_cell_voltage_max_v": 3.296, "daly_cell_voltage_min_v": 3.294},
        "mr-manuel/venus-os_dbus-serialbattery issue 215",
        guard="can",
        device="1",
    ),
]


def _acknowledged(frame: bytes, register: int, address: int) -> tuple[Frame, ...]:
    """Return a JK conversation: request, frame, zero, acknowledgement."""
    ask = bytes([address, 0x10, 0x16, register, 0, 1, 2, 0, 0])
    ack = ask[:6]
    return serial((frame + b"\0" + ack + _crc16(ack)).hex(), (ask + _crc16(ask)).hex())


def _crc16(data: bytes) -> bytes:
    """Return CRC-16/MODBUS, low byte first, bit by bit as its definition says."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


SAMPLES["jk_pb"] = [
    Sample(
        "status",
        serial((jk.STATUS_V15 + b"\0" + jk.ACK_V15).hex(), jk.ASK_V15.hex()),
        {"voltage_v": 52.695, "current_a": 0.0, "soc": 0.55, "cycle_count": 62},
        "mr-manuel/venus-os_dbus-serialbattery tests/bms/test_jkbms_pb.py",
        options={"address": 3},
        device="3",
    ),
    Sample(
        "status",
        _acknowledged(jk.STATUS_V19, 0x20, 2),
        {"voltage_v": 54.028, "current_a": -0.727, "soc": 1.0, "cycle_count": 5},
        f"{JK_BMS} tests/components/jk_bms_ble/frames_jk02_32s_v19.h",
        options={"address": 2},
        device="2",
    ),
    Sample(
        "settings",
        _acknowledged(jk.SETTINGS_V19, 0x1E, 15),
        {},
        f"{JK_BMS} tests/components/jk_bms_ble/frames_jk02_32s_v19.h",
        options={"address": 15},
        device="15",
    ),
    Sample(
        "about",
        _acknowledged(jk.ABOUT_V19, 0x1C, 1),
        {"hardware_version": "19A", "software_version": "19.27"},
        f"{JK_BMS} tests/components/jk_bms_ble/frames_jk02_32s_v19.h",
        device="1",
    ),
    Sample(
        "status",
        serial(jk.STATUS_V10.hex()),
        {"voltage_v": 78.735, "soc": 0.85},
        f"{JK_BMS} docs/pdus/JK-B2A24S20P-10.07-BLE-JK02.txt",
    ),
]
SAMPLES["jk_uart"] = [
    Sample(
        "status",
        serial(
            "4E57011B00000000060001792A010EED020EFA030EF7040EEC050EF8060EFA070EF1080EF8"
            "090EE30A0EFA0B0EF10C0EFB0D0EFB0E0EF280001D81001E82001C8314EF8480D0850F8602"
            "870004890000000"
            "08A000E8B00008C00078E16268F10AE900FD2910FA0920005930BEA94"
            "0C1C9500059601"
            "2C9700079800039900059A00059B0CE49C00089D019E005A9F0046A000"
            "64A10064A20014A30046A40046A5FFECA6FFF6A7FFECA8FFF6A90EAA0000000EAB01AC01AD"
            "0411AE01AF01B0000AB114B231323334353600000000B300B4496E707574205573B5323130"
            "31B60000E200B748362E585F5F53362E312E33535F5FB800B900000000BA42543330373230"
            "3230313230303030323030353231303031C00100000000680000"
            "54D1",
            "4E5700130000000006030000000000006800000129",
        ),
        {
            "voltage_v": 53.59,
            "current_a": 2.08,
            "soc": 0.15,
            "cell_voltage_v": (
                *(3.821, 3.834, 3.831, 3.82, 3.832, 3.834, 3.825),
                *(3.832, 3.811, 3.834, 3.825, 3.835, 3.835, 3.826),
            ),
        },
        f"{JK_BMS} tests/esp8266-fake-bms.yaml",
    ),
]
SAMPLES["jk_display"] = [
    Sample(
        "status",
        serial(
            "A55A5D82100014850000000300630"
            "0E0001A001800010FC9000000010001"
            "0FD00FCD0FD11033102F0F5C0F530FC30FC20FCF0FC10FCF0FD0" + "00" * 40
        ),
        {"voltage_v": 52.53, "current_a": 0.0, "soc": 0.99},
        f"{JK_BMS} docs/display-protocol/traffic.log",
        guard="structure",
    ),
]

SAMPLES["pylontech_rs485"] = [
    Sample(
        "analog",
        ascii_line(
            "~20024600F07A11020F0CC50CC30CC50CC40CC40CC60CC50CC40CC70CC50CC60CC60CC50CC6"
            "0CC6050B370B230B230B2D0B2DFFE0BF8DFFFF04FFFF001B00BBE4012110E1D6\r",
            "~20024642E00202FD33\r",
        ),
        {"voltage_v": 49.037, "current_a": -3.2, "cycle_count": 27},
        "notes of python-pylontech users",
        device="2",
    ),
]
SAMPLES["seplos_v2"] = [
    Sample(
        "analog",
        ascii_line(
            "~2000460010960001100CD70CE90CF40CD60CEF0CE50CE10CDC0CE90CF00CE80CEF0CEA0CDA"
            "0CDE0CD8060BA60BA00B970BA60BA50BA2FD5C14A0344E0A426803134650004603E8149F00"
            "00000000000000DC6C\r",
            "~20004642E00200FD37\r",
        ),
        {
            "voltage_v": 52.8,
            "current_a": -6.76,
            "soc": 0.787,
            "remaining_capacity_ah": 133.9,
            "cycle_count": 70,
        },
        "syssi/esphome-seplos-bms",
        device="0",
    ),
]

SAMPLES["zoe_gen1"] = [
    Sample(
        "health",
        isotp(0x7BB, "6161000A8C00C8C8C8C0C00000BB7C000023E4FF", 0x79B, "2161"),
        {"reported_soh": 0.96, "zoe_mileage_km": 47996},
        f"{BATTERY_EMULATOR} test/can_log_based/can_logs/28_RenaultZoe1_base_pid.txt",
        guard="can",
    ),
    Sample(
        "broadcast_155",
        can("155#0007D00084C80000"),
        {"current_a": 0.0, "soc": 0.8498},
        f"{BATTERY_EMULATOR} test/can_log_based/can_logs/28_RenaultZoe1_base_pid.txt",
        guard="can",
    ),
]
SAMPLES["zoe_gen2"] = [
    Sample(
        "current",
        isotp(0x18DAF1DB, "62925D7F80", 0x18DADBF1, "22925D", extended=True),
        {"current_a": 0.0},
        f"{BATTERY_EMULATOR} issue 2819",
        guard="can",
    ),
]
SAMPLES["leaf"] = [
    Sample(
        "broadcast_1DB",
        can("1DB#FFC0B9EA000003D8"),
        {"current_a": -1.0, "voltage_v": 371.5, "interlock_closed": True},
        f"{BATTERY_EMULATOR} pull request 248",
    ),
    Sample(
        "broadcast_1DC",
        can("1DC#6E0F8FFD0CE4E0D1"),
        {"max_discharge_power_w": 110e3, "max_charge_power_w": 62e3},
        f"{BATTERY_EMULATOR} pull request 248",
    ),
    Sample(
        "group_01",
        isotp(
            0x7BB,
            "6101FFFFFC4E028AFFFFFF46FFFFFFFF12902AF88FCD32DE038B005C1F3D000896C600"
            "0B32908000010000",
            0x79B,
            "2101",
        ),
        {"full_capacity_ah": 73.384, "hx": 0.7997, "aux_voltage_v": 13.022},
        "openvehicles/Open-Vehicle-Monitoring-System-3 issue 162",
        guard="can",
    ),
    Sample(
        "fault_codes",
        isotp(0x7BB, "59024ED000004E33D7004E33D9004E33DD004E", 0x79B, "19020E"),
        {"fault_codes": ("U1000", "P33D7", "P33D9", "P33DD")},
        f"{BATTERY_EMULATOR} test/battery/NissanLeafTest.cpp",
        guard="can",
    ),
]
SAMPLES["kona"] = [
    Sample(
        "main",
        isotp(
            0x7EC,
            "620101FFF7E7FF99000000000300B10EFE120F11100F12000018C438C30B0000840000386400"
            "0035850000153A00001374000647010D017F0BDA0BDA03E8",
            0x7E4,
            "220101",
        ),
        {"current_a": -17.7, "voltage_v": 383.8, "kona_max_cell_v": 3.92},
        "nickn17/evDash src/CarKiaEniro.cpp",
        guard="can",
    ),
]
SAMPLES["meb"] = [
    Sample(
        "voltage",
        isotp(0x17FE007B, "621E3B0526", 0x17FC007B, "221E3B", extended=True),
        {"voltage_v": 329.5},
        "OBDb/Volkswagen-ID.4 (a fact of its tests)",
        guard="can",
    ),
    Sample(
        "cell_1",
        isotp(0x17FE007B, "621E400918", 0x17FC007B, "221E40", extended=True),
        {"cell_voltage_v": (3.328,)},
        "OBDb/Volkswagen-ID.4 (a fact of its tests)",
        guard="can",
    ),
]
SAMPLES["lv_can"] = [
    Sample(
        "pack",
        can("356#7A13F2FE6B01"),
        {"voltage_v": 49.86, "current_a": -27.0, "temperature_degc": (36.3,)},
        "setfirelabs.com, Pylontech US5000",
        guard="can",
    ),
]
SAMPLES["pace_rs232"] = [
    Sample(
        "analog",
        ascii_line(
            "~25014600F07A0001100CC70CC80CC70CC70CC70CC50CC60CC70CC70CC60CC70CC60CC60CC7"
            "0CC60CC7060B9B0B990B990B990BB30BBCFF1FCCCD12D303286A008C2710E1E4\r"
        ),
        {},
        "the test of the module names it",
        options={"address": 1},
        device="1",
    ),
]
SAMPLES["pylontech_modbus"] = [
    Sample(
        "pack",
        serial(
            "01031A052CFFD00CF00CEF00960096005B0063003F00000B9003E803E845D8",
            "01031016000D610B",
        ),
        {"voltage_v": 13.24, "current_a": -4.8, "soc": 0.91, "reported_soh": 0.99},
        f"{AIOBMSBLE} docs/pylontech_bms.md",
        device="1",
    ),
]
SAMPLES["renogy_modbus"] = [
    Sample(
        "pack",
        serial("30030EFFAA008800017BB0000186A0000FE01E", "300313B20007A48A"),
        {"current_a": -0.86, "voltage_v": 13.6, "cycle_count": 15},
        f"{AIOBMSBLE} tests/bms/test_renogy_bms.py",
        device="48",
    ),
]
SAMPLES["daly_modbus"] = [
    Sample(
        "status",
        serial(
            "D2037C"
            + "0CDC0CDB0CDC0CDC0CDC0CDC0CDE0CDC0CDC0CDC0CDC0CDC0CDC0CDC0CDE0CDC"
            + "0CDC0CDC0CDC0CDC0CDC0CDE0CDC0CDC"
            + "0000" * 8
            + "0038003600380038"
            + "0000" * 4
            + "03167530014D0CDE0CDB00380036000004150018000400000000000100010CDC0003"
            + "0000" * 5
            + "4967"
        ),
        {"voltage_v": 79.0, "current_a": 0.0, "soc": 0.333},
        "syssi/esphome-daly-bms docs/pdus/daly_bms_24cells.txt",
        device="210",
    ),
]
SAMPLES["seplos_v3"] = [
    Sample(
        "pack",
        serial(
            "01042214CDFF776B4080E80122034003E7000A0CFF0B7F0D000CFF0B810B7E"
            "000000B400B4D32E",
            "01041000001134C6",
        ),
        {
            "voltage_v": 53.25,
            "current_a": -1.37,
            "remaining_capacity_ah": 274.56,
            "soc": 0.832,
        },
        "syssi/esphome-seplos-bms docs/pdus/v3/SG16S200A-SP57B-A-all-frames.txt",
        device="1",
    ),
    Sample(
        "status",
        serial("0001120000000000000000100000000000000300006A24", "00011200009038CF"),
        {"charge_enabled": True, "discharge_enabled": True, "fault_codes": ()},
        "XZH BMS Modbus-RTU Protocol V0.3, worked example",
        device="0",
    ),
]
SAMPLES["dbc"] = [
    Sample(
        "BMS_542",
        can("542#491700000000FFFF"),
        {
            # 0x49 = 73 halves of a percent; 0x0017 from the second byte on.
            "dbc_BMS_542_SocDisp": 36.5,
            "dbc_BMS_542_uwe542_12_Backcounter": 23.0,
            "dbc_BMS_542_uwe542_78_UCCS": 6553.5,
        },
        "projectgus/hyundai-kona-ev-can-logs, 230112-7, described by kona-ev-dbc",
        {"dbc": DATASETS / "bus_logs" / "kona" / "pcan.dbc"},
        guard="can",
    ),
]

# The firmware itself, compiled and run in emulation with known inputs at its front end,
# its current sensor and its NTCs (tests/firmware/test_cell_emulated.py does it anew).
_EMULATED = "cell_bridge for the ATmega328P in emulation; inputs of the chip models"
SAMPLES["bridge"] = [
    Sample(
        "identity",
        serial(
            "000301810103BB0201072C510A110101010B0C04E1C068108C0A7C15010350C3010350C301"
            "010337B600",
            "000301010101010101072C510A119CA300",
        ),
        {
            "software_version": "1.0",
            "bridge_protocol": "110A512C",
            "bridge_n_cells": 12.0,
            "bridge_over_voltage_v": 4.2,
            "bridge_under_voltage_v": 2.7,
            "bridge_over_temperature_degc": 55.0,
            "bridge_under_temperature_degc": 0.0,
            "bridge_charge_max_a": 50.0,
            "bridge_discharge_max_a": 50.0,
            "bridge_refusal": "none",
        },
        _EMULATED,
    ),
    Sample(
        "measurement",
        serial(
            "000401820103BD0201072C510A11010C010101010102460388130125040CC409C40EC409C4"
            "09E8805781C6813582A48213838283F1836084CF843E85AD85F68100",
            "000301020101010101072C510A1166DB00",
        ),
        {
            "cell_voltage_v": tuple((33000 + 111 * i) / 10_000 for i in range(12)),
            "voltage_v": 40.3326,
            "current_a": 5.0,  # charges: 100 codes of 50 mA above the middle
            "temperature_degc": (25.0, 37.8, 25.0, 25.0),
            "contactors_closed": False,
            "fault_codes": (),
            "bridge_state": "ready",
            "bridge_calibrated": True,
            "bridge_host_alive": True,
            "bridge_time_s": 0.701,
        },
        _EMULATED,
    ),
    Sample(
        "arm",
        serial(
            "000401830203BF0201062C510A111002020101010336B300",
            "000301100101010101072C510A11E82E00",
        ),
        {"bridge_state": "closed", "fault_codes": ()},
        _EMULATED,
    ),
    Sample(
        "clear",
        serial(
            "000401830403C10201062C510A1112010101010103A3FD00",
            "000301120101010101072C510A115B8E00",
        ),
        {"bridge_state": "starting", "fault_codes": ()},
        _EMULATED,
    ),
]
