"""Zoe of the first generation: frames of Battery-Emulator's log 28_RenaultZoe1_base_pid
(its diagnostic answers stem from a real DDT4ALL capture)."""

import math

import pytest

from battlife.errors import InputError
from battlife.model import Allow, Frame
from battlife.wire import decode, protocol
from ev_frames import listed, one, segments

ZOE = protocol("zoe_gen1")
ANSWER = 0x7BB


def said(frames, device=ZOE):
    got = decode(device, frames)
    assert not got.rejected, got.rejected
    (reading,) = got.readings
    return reading


def refused(frames, device=ZOE):
    got = decode(device, frames)
    assert not got.readings, got.readings
    (rejected,) = got.rejected
    assert rejected.error.hint
    return rejected


def answer(payload: str | bytes, identifier: int = ANSWER):
    data = bytes.fromhex(payload) if isinstance(payload, str) else payload
    return segments(data, identifier)


def test_health():
    frames = listed(
        "10 14 61 61 00 0A 8C 00|21 C8 C8 C8 C0 C0 00 00|22 BB 7C 00 00 23 E4 FF",
        ANSWER,
    )
    reading = said(frames)
    assert reading.message == "health" and reading.identifier == ANSWER
    assert reading.raw == bytes.fromhex("6161000A8C00C8C8C8C0C00000BB7C000023E4FF")
    assert reading.values == {
        "full_capacity_ah": pytest.approx(69.12),  # 96.0 % of 72 Ah
        "reported_soh": 0.96,
        "zoe_lowest_soh": 0.96,
        "zoe_mileage_km": 47_996,
        "energy_throughput_wh": 9_188_000,
    }


def test_limits():
    frames = listed(
        "10 1D 61 03 01 94 1F 85|21 21 32 00 00 00 00 01|22 95 01 93 00 00 00 FF"
        "|23 FF FF FF 01 20 7B 00|24 00 00 55 55 55 55 55",
        ANSWER,
    )
    values = said(frames).values
    assert values["zoe_cell_ocv_v"] == 4.04
    assert values["zoe_lowest_cell_soc"] == pytest.approx(0.8069)
    assert values["zoe_highest_cell_soc"] == pytest.approx(0.8498)
    assert (values["zoe_max_cell_v"], values["zoe_min_cell_v"]) == (4.05, 4.03)
    assert values["zoe_real_soc"] == pytest.approx(0.8315)
    assert values["zoe_relay_permit"] == 1
    assert values["contactors_closed"] is False  # still in precharge
    assert "soc" not in values


@pytest.mark.parametrize(
    ("state", "closed"), [(0, False), (1, True), (2, False), (3, None)]
)
def test_contactors_in_transit_are_unknown(state, closed):
    payload = bytearray(29)
    payload[:2] = b"\x61\x03"
    payload[23] = state << 2
    assert said(answer(bytes(payload))).values.get("contactors_closed") is closed


def test_level_2_failure_forbids_handling():
    payload = bytearray(29)
    payload[:2] = b"\x61\x03"
    payload[18] = 6
    (notice,) = said(answer(bytes(payload))).notices
    assert notice.code == "critical_fault_code"


def test_temperatures_of_twelve_sensors():
    frames = listed(
        "10 4F 61 04 09 12 3A 09|21 11 3A 09 14 3A 09 0D|22 3A 08 F6 3B 08 EE 3B"
        "|23 08 AC 3D 08 C0 3C 09|24 03 3A 09 11 3A 09 19|25 3A 09 14 3A FF FF FF"
        "|26 FF FF FF FF FF FF FF|27 FF FF FF FF FF FF FF|28 FF FF FF FF FF FF FF"
        "|29 FF FF FF FF FF FF FF|2A FF FF FF FF FF FF FF|2B FF 3A 3A 55 55 55 55",
        ANSWER,
    )
    values = said(frames).values
    assert values["temperature_degc"] == (18,) * 4 + (19, 19, 21, 20, 18, 18, 18, 18)
    assert "zoe_temperature_max_degc" not in values  # FF in that capture


def test_mean_of_temperatures():
    sensors = b"".join(b"\x09\x12" + bytes([58 + i]) for i in range(12))
    payload = b"\x61\x04" + sensors + b"\xff" * 36 + bytes([58, 63, 69])
    values = said(answer(payload)).values
    assert values["zoe_temperature_min_degc"] == 18
    assert values["zoe_temperature_avg_degc"] == 23
    assert values["zoe_temperature_max_degc"] == 29


def test_a_sensor_without_value_between_others_keeps_its_place():
    sensors = b"\x09\x12\x3a" + b"\xff\xff\xff" + b"\x09\x12\x3b"
    payload = b"\x61\x04" + sensors + b"\xff" * 63 + b"\x3a\x3a\x3b"
    first, second, third = said(answer(payload)).values["temperature_degc"]
    assert (first, third) == (18, 19) and math.isnan(second)


def test_cells_of_both_halves():
    first = [3700 + i for i in range(62)]
    second = [3800 + i for i in range(34)]
    frames = answer(
        b"\x61\x41" + b"".join(v.to_bytes(2, "big") for v in first)
    ) + answer(b"\x61\x42" + b"".join(v.to_bytes(2, "big") for v in second))
    got = decode(ZOE, frames)
    assert [r.message for r in got.readings] == ["cells_1_62", "cells_63_96"]
    assert got.merged()["cell_voltage_v"] == tuple(
        mv / 1000 for mv in [*first, *second]
    )


def test_a_blown_service_fuse():
    cells = [3700] * 62
    cells[47] = 99
    reading = said(answer(b"\x61\x41" + b"".join(v.to_bytes(2, "big") for v in cells)))
    assert math.isnan(reading.values["cell_voltage_v"][47])
    assert reading.values["cell_voltage_v"][46] == 3.7
    (notice,) = reading.notices
    assert notice.code == "critical_fault_code" and "service fuse" in notice.message


def test_a_dead_cell_elsewhere_stays_a_cell():
    cells = [3700] * 62
    cells[2], cells[3] = 0, 0xFFFF
    reading = said(answer(b"\x61\x41" + b"".join(v.to_bytes(2, "big") for v in cells)))
    assert reading.values["cell_voltage_v"][2] == 0.0
    assert math.isnan(reading.values["cell_voltage_v"][3])
    assert not reading.notices


def test_balancing():
    frames = listed(
        "10 0E 61 07 A5 3C 00 FF|21 81 10 42 80 01 55 AA|22 0F 55 55 55 55 55 55",
        ANSWER,
    )
    values = said(frames).values
    assert values["balancing"] is True
    cells = values["zoe_balancing_cells"]
    assert len(cells) == 96 and set(cells) == {0.0, 1.0}
    numbers = [i + 1 for i, balanced in enumerate(cells) if balanced]
    assert numbers[:8] == [1, 3, 6, 8, 11, 12, 13, 14]
    assert numbers[-4:] == [93, 94, 95, 96]
    assert said(answer(b"\x61\x07" + bytes(12))).values["balancing"] is False


def status_payload(**changes: int) -> bytes:
    payload = bytearray(47)
    payload[:2] = b"\x61\x01"
    fields = {
        "current": (2, 2, 5000 - 123),
        "charge": (22, 2, 1500),
        "discharge": (24, 2, 4200),
        "supply": (28, 2, 1275),
        "soc": (36, 4, 849_800),
        "accepted": (42, 2, 2200),
        "flags": (44, 1, 0b1001),
        "isolation": (45, 2, 20_000),
    }
    for name, (at, n, raw) in fields.items():
        payload[at : at + n] = changes.get(name, raw).to_bytes(n, "big")
    return bytes(payload)


def test_status():
    # Positions and scales of CanZE ZOE/LBC_Fields.csv, value = (raw - offset) * scale.
    values = said(answer(status_payload())).values
    assert values == {
        "current_a": pytest.approx(-12.3),
        "max_charge_power_w": 15_000,
        "max_discharge_power_w": 42_000,
        "aux_voltage_v": 12.75,
        "soc": pytest.approx(0.8498),
        "zoe_accepted_charge_power_w": 22_000,
        "interlock_closed": True,
        "zoe_service_disconnect_closed": True,
        "isolation_ohm": 2_000_000,
    }


def test_status_without_values():
    values = said(
        answer(status_payload(current=0xFFFF, supply=0xFFFF, isolation=0xFFFF, flags=0))
    ).values
    assert not {"current_a", "aux_voltage_v", "isolation_ohm"} & set(values)
    assert values["interlock_closed"] is False


def test_the_answer_of_a_leaf_is_not_taken():
    # Group 01 of a ZE1 (OVMS vehicle_nissanleaf.cpp): the same head, another meaning.
    frames = listed(
        "10 35 61 01 FF FF FC 18|21 02 AF FF FF FB 62 FF|22 FF F0 DD 0B 1C 30 D4"
        "|23 95 1D 33 06 03 95 00|24 01 70 00 26 9A 00 0C|25 44 B5 00 11 0B B8 80"
        "|26 00 01 FF FF FB 62 FF|27 FF FC AA 01 AD",
        ANSWER,
    )
    assert "Leaf" in refused(frames).error.hint


def test_fault_codes():
    frames = answer("59020F 33E200 09 D00000 08 33D700 40")
    reading = said(frames)
    assert reading.values == {"fault_codes": ("P33E2", "U1000")}
    (notice,) = reading.notices
    assert notice.code == "critical_fault_code" and "P33E2" in notice.message
    assert said(answer("59020F")).values == {"fault_codes": ()}


def test_a_refusal_names_what_was_asked():
    frames = [
        Frame(0.0, "c", "tx", bytes.fromhex("0221610000000000"), 0x79B),
        Frame(0.1, "c", "rx", bytes.fromhex("037F2178AAAAAAAA"), ANSWER),
        Frame(0.2, "c", "rx", bytes.fromhex("037F2112AAAAAAAA"), ANSWER),
    ]
    rejected = refused(frames)
    assert rejected.message == "health" and rejected.time_s == 0.2
    assert "not supported" in rejected.error.message


def test_an_answer_too_short_is_refused_by_name():
    assert refused(answer(b"\x61\x41" + bytes(100))).message == "cells_1_62"


def test_a_lost_frame_is_refused_by_name():
    frames = answer(b"\x61\x41" + bytes(124))
    assert refused(frames[:5] + frames[6:]).message == "cells_1_62"


BROADCASTS = {
    "155": ("0007D00084C80000", {"current_a": 0, "soc": pytest.approx(0.8498)}),
    "424": (
        "00003C3C3A63553D",
        {
            "reported_soh": 0.99,
            "zoe_temperature_min_degc": 18,
            "zoe_temperature_max_degc": 21,
            "zoe_flags": (),
            "zoe_regen_limit_w": 30_000,
            "zoe_discharge_limit_w": 30_000,
        },
    ),
    "425": ("00000000021C010E", {"zoe_max_cell_v": 3.7, "zoe_min_cell_v": 3.7}),
    "427": ("0000000000003700", {"zoe_available_energy_wh": 22_000}),
    "42E": ("0000005C80078000", {"voltage_v": 370, "zoe_temperature_avg_degc": 20}),
    "654": ("0000005500000000", {"zoe_dash_soc": 0.85}),
    "658": ("000000004E000000", {"zoe_dash_soh": 0.78}),
}


@pytest.mark.parametrize("name", BROADCASTS)
def test_broadcasts(name):
    data, values = BROADCASTS[name]
    reading = said(one(data, int(name, 16)))
    assert reading.message == f"broadcast_{name}"
    assert {k: reading.values[k] for k in values} == values


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("155", "FF0FFF00FFFFFFFF"),
        ("424", "0000FFFFFFFFFFFF"),
        ("425", "FFFFFFFFFFFFFFFF"),
        ("427", "FFFFFFFFFFFFFFFF"),
        ("42E", "FFFFFFFFFFFFFFFF"),
        ("654", "FFFFFFFFFFFFFFFF"),
        ("658", "FFFFFFFFFFFFFFFF"),
    ],
)
def test_all_ones_are_no_value(name, data):
    values = said(one(data, int(name, 16))).values
    assert {k: v for k, v in values.items() if k != "zoe_flags"} == {}


def test_flags_of_the_lbc():
    reading = said(one("04 80 3C3C3A63553D", 0x424))
    assert reading.values["zoe_flags"] == ("low_isolation", "cell_overvoltage")
    assert {n.code for n in reading.notices} == {"critical_fault_code"}
    unknown = said(one("0F FF 3C3C3A63553D", 0x424))
    assert unknown.values["zoe_flags"] == ()


def test_a_short_broadcast_is_refused():
    assert refused(one("0007D00084C8", 0x155)).message == "broadcast_155"


def test_the_second_lbc():
    second = protocol("zoe_gen1", address=2)
    assert second.device == "2" and not second.signature
    assert {r.identifier for r in second.requests({})} == {0x796}
    health = bytes.fromhex("6161000A8C00C8C8C8C0C00000BB7C000023E4FF")
    assert said(answer(health, 0x7B6), second).device == "2"
    assert not decode(second, answer(health)).readings
    assert not decode(second, one(BROADCASTS["155"][0], 0x155)).readings
    with pytest.raises(InputError, match="no address 3"):
        protocol("zoe_gen1", address=3)


def test_the_keep_alive_changes_every_five_frames():
    beats = ZOE.keep_alive
    assert ZOE.keep_alive_s == 0.1
    assert {b.allow for b in beats} == {Allow.WAKE}
    assert {b.identifier for b in beats} == {0x423}
    assert [b.data.hex() for b in beats] == ["071d00025d805dc8"] * 5 + [
        "071d0002b280b2c8"
    ] * 5


def test_what_may_be_sent():
    permitted = list(ZOE.permitted)
    for request in (*ZOE.requests({}), *ZOE.probes, *ZOE.clear_faults, *ZOE.keep_alive):
        assert request in permitted
    assert ZOE.requests({})[0].data == bytes.fromhex("10C0")
    assert {r.allow for r in ZOE.probes} == {Allow.READ}
    (clear,) = ZOE.clear_faults
    assert clear.data == bytes.fromhex("14FFFFFF") and clear.allow is Allow.WRITE
    assert said(answer("54")).message == clear.name
    reading = [r.data[0] for r in permitted if r.allow is Allow.READ]
    assert set(reading) <= {0x10, 0x19, 0x21}


def test_the_mark_of_a_simulated_bus_is_not_a_message():
    frames = [Frame(0.0, "c", "rx", b"BL-SIMUL", 0x7FD)]
    got = decode(ZOE, frames)
    assert not got.readings and not got.rejected
