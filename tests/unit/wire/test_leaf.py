"""Nissan Leaf: real answers and broadcasts of all three generations."""

import math

import pytest

from battlife.errors import InputError
from battlife.model import Allow, Frame, Severity
from battlife.wire import decode, protocol
from battlife.wire.checksums import crc8
from ev_frames import listed, one, segments

LEAF = protocol("leaf")
ANSWER = 0x7BB

# 30 kWh, OVMS issue #162.
GROUP_01_AZE0 = (
    "10 2B 61 01 FF FF FC 4E|21 02 8A FF FF FF 46 FF|22 FF FF FF 12 90 2A F8"
    "|23 8F CD 32 DE 03 8B 00|24 5C 1F 3D 00 08 96 C6|25 00 0B 32 90 80 00 01|26 00 00"
)
# ZE1, comment in OVMS vehicle_nissanleaf.cpp.
GROUP_01_ZE1 = (
    "10 35 61 01 FF FF FC 18|21 02 AF FF FF FB 62 FF|22 FF F0 DD 0B 1C 30 D4"
    "|23 95 1D 33 06 03 95 00|24 01 70 00 26 9A 00 0C|25 44 B5 00 11 0B B8 80"
    "|26 00 01 FF FF FB 62 FF|27 FF FC AA 01 AD"
)
# Logs in Battery-Emulator PR #248.
FLOW = "FF C0 B9 EA 00 00 03 D8"
POWER = "6E 0F 8F FD 0C E4 E0 D1"


def said(frames, device=LEAF):
    got = decode(device, frames)
    assert not got.rejected, got.rejected
    (reading,) = got.readings
    return reading


def signed_frame(data: str, identifier: int):
    raw = bytes.fromhex(data)
    return one((raw + bytes([crc8(raw, 0x85)])).hex(), identifier)


def group(number: int, data: bytes):
    return segments(bytes((0x61, number)) + data, ANSWER)


def test_group_01_of_a_30_kwh_pack():
    reading = said(listed(GROUP_01_AZE0, ANSWER))
    values = reading.values
    assert values["hx"] == 0.7997
    assert values["full_capacity_ah"] == 73.384
    assert values["soc"] == pytest.approx(0.5629, abs=5e-5)
    assert values["leaf_pack_voltage_v"] == 368.13
    assert values["aux_voltage_v"] == 13.022
    assert values["isolation_ohm"] == 907_000
    assert values["leaf_current_1_a"] == pytest.approx(-0.92, abs=0.005)
    assert values["leaf_soh_from_ah"] == pytest.approx(73.384 / 80)
    assert not reading.notices


def test_group_01_of_a_ze1():
    reading = said(listed(GROUP_01_ZE1, ANSWER))
    values = reading.values
    assert values["hx"] == pytest.approx(0.965, abs=1e-4)
    assert values["full_capacity_ah"] == pytest.approx(111.711, abs=5e-4)
    assert values["soc"] == pytest.approx(0.8040, abs=5e-5)
    assert values["leaf_pack_voltage_v"] == 381.73
    assert values["aux_voltage_v"] == 13.062
    assert values["isolation_ohm"] == 917_000
    assert values["leaf_generation"] == "ze1"
    # 40 or 62 kWh: the reference is not guessed.
    assert "leaf_soh_from_ah" not in values
    (notice,) = reading.notices
    assert notice.severity is Severity.INFO and "as_new_ah" in notice.message


def test_the_as_new_capacity_can_be_given():
    leaf = protocol("leaf", as_new_ah=115.44)
    reading = said(listed(GROUP_01_ZE1, ANSWER), leaf)
    assert reading.values["leaf_soh_from_ah"] == pytest.approx(111.711 / 115.44, 1e-5)
    assert not reading.notices


def test_group_01_just_after_waking():
    got = decode(LEAF, group(1, bytes(42)))
    (rejected,) = got.rejected
    assert rejected.message == "group_01" and "waking" in rejected.error.message


@pytest.mark.parametrize("n", [20, 38, 40, 45, 50, 52])
def test_group_01_of_no_known_leaf(n):
    (rejected,) = decode(LEAF, group(1, bytes(n))).rejected
    assert rejected.message == "group_01"


@pytest.mark.parametrize("soc", ["FFFF00", "000000"])
def test_the_answer_of_a_zoe_is_not_taken(soc):
    # Status of a Zoe, as long as a ZE1's group 01; 43 kW stand where the supply does.
    zoe = bytearray(53)
    zoe[:4] = b"\x61\x01" + (5000).to_bytes(2, "big")
    zoe[22:24] = (4300).to_bytes(2, "big")
    zoe[33:36] = bytes.fromhex(soc)
    (rejected,) = decode(LEAF, segments(bytes(zoe), ANSWER)).rejected
    assert "Zoe" in rejected.error.hint


def test_cells_and_pack_voltage():
    cells = [3900 + i for i in range(96)]
    cells[5], cells[6] = 0xFFFF, 5000
    data = b"".join(v.to_bytes(2, "big") for v in (*cells, 36_813, 36_700))
    values = said(group(2, data)).values
    assert values["voltage_v"] == 368.13 and values["leaf_bus_voltage_v"] == 367.0
    assert len(values["cell_voltage_v"]) == 96
    assert values["cell_voltage_v"][95] == 3.995
    assert [i for i, v in enumerate(values["cell_voltage_v"]) if math.isnan(v)] == [
        5,
        6,
    ]


def test_temperatures():
    # Battery-Emulator: 593/12, 589/13, none, 589/13 degC, then a fifth of 12.
    reading = said(group(4, bytes.fromhex("02510C024D0DFFFFFF024D0D0C00")))
    first, second, third, fourth = reading.values["temperature_degc"]
    assert (first, second, fourth) == (12, 13, 13) and math.isnan(third)
    assert reading.values["leaf_fifth_temperature_degc"] == 12
    assert reading.values["leaf_thermistor_adc"][:2] == (593, 589)


def test_temperatures_below_zero():
    reading = said(group(4, bytes.fromhex("031AF6031BF5FFFFFF031AF6F600")))
    assert reading.values["temperature_degc"][:2] == (-10, -11)
    assert reading.values["leaf_fifth_temperature_degc"] == -10


def test_shunts_are_given_as_they_are():
    # A comment in Battery-Emulator NISSAN-LEAF-BATTERY.cpp.
    frames = listed(
        "10 1A 61 06 14 55 55 51|21 50 55 41 2B 56 54 15|22 51 FF FF FF FF FF FF"
        "|23 FF FF FF FF FF FF FF",
        ANSWER,
    )
    values = said(frames).values
    assert values == {"leaf_shunts": "145555515055412b56541551"}


def test_group_61_of_a_ze1():
    values = said(group(0x61, bytes((0, 0, 0x25, 0x1C)) + bytes(325))).values
    assert values == {"reported_soh": 0.95}


def test_charge_counts():
    values = said(group(0x62, bytes.fromhex("0123FFFF00000000"))).values
    assert values == {"leaf_normal_charges": 291}


def test_part_and_serial_number():
    # Comments in Battery-Emulator NISSAN-LEAF-BATTERY.cpp.
    part = listed(
        "10 1A 61 83 33 4E 4B 32|21 41 52 42 05 17 00 00|22 00 00 00 02 10 13 11"
        "|23 00 00 00 00 00 80 FF",
        ANSWER,
    )
    assert said(part).values == {"leaf_part_number": "3NK2ARB"}
    serial = listed(
        "10 16 61 84 32 33 30 55|21 4B 31 31 39 32 45 30|22 30 31 34 38 32 20 A0"
        "|23 00 00 00 00 00 00 00",
        ANSWER,
    )
    assert said(serial).values == {"serial_number": "UK1192E001482"}


def test_fault_codes():
    # test/battery/NissanLeafTest.cpp, a real reply.
    frames = listed(
        "10 13 59 02 4E D0 00 00|21 4E 33 D7 00 4E 33 D9|22 00 4E 33 DD 00 4E FF",
        ANSWER,
    )
    reading = said(frames)
    assert reading.message == "fault_codes"
    assert reading.values["fault_codes"] == ("U1000", "P33D7", "P33D9", "P33DD")


def test_broadcast_of_current_and_voltage():
    values = said(one(FLOW, 0x1DB)).values
    assert values["current_a"] == -1.0  # an idle car draws it: discharge
    assert values["voltage_v"] == 371.5
    assert values["contactors_closed"] is True
    assert values["interlock_closed"] is True


def test_broadcast_of_limits():
    values = said(one(POWER, 0x1DC)).values
    assert values["max_discharge_power_w"] == 110_000
    assert values["max_charge_power_w"] == 62_000
    assert "leaf_charger_limit_w" not in values  # all ones


@pytest.mark.parametrize(("data", "identifier"), [(FLOW, 0x1DB), (POWER, 0x1DC)])
def test_one_flipped_bit_is_found(data, identifier):
    raw = bytes.fromhex(data)
    for bit in range(64):
        flipped = (int.from_bytes(raw, "big") ^ 1 << bit).to_bytes(8, "big")
        got = decode(LEAF, one(flipped.hex(), identifier))
        assert not got.readings and len(got.rejected) == 1
        assert got.rejected[0].message == f"broadcast_{identifier:X}"


def test_voltage_right_after_a_reset():
    values = said(signed_frame("0000FFEA000003", 0x1DB)).values
    assert "voltage_v" not in values


def test_charge_and_isolation_sensor():
    # SOC 62.7 %, sensor wave 0x2A3 of 1024 at 5 V.
    values = said(signed_frame("9CC00000A8C000", 0x55B)).values
    assert values["soc"] == 0.627
    assert values["leaf_isolation_sensor_v"] == pytest.approx(0x2A3 * 5 / 1024)
    assert values["leaf_empty"] is False
    broken = said(signed_frame("9CC00000A8C180", 0x55B))
    assert broken.values["leaf_isolation_sensor_broken"] is True
    assert broken.values["leaf_empty"] is True
    assert broken.notices[0].code == "isolation_not_measured"
    assert "soc" not in said(signed_frame("FFC00000A8C000", 0x55B)).values


def energy(gids: int, soh: int, *, most: bool = False, degc: int = 20) -> str:
    data = bytearray(8)
    data[0], data[1] = gids >> 2, (gids & 3) << 6
    data[3], data[4], data[5] = degc + 40, soh << 1, most << 4
    return data.hex()


def test_gids():
    values = said(one(energy(250, 91), 0x5BC)).values
    assert values["leaf_gids"] == 250 and values["reported_soh"] == 0.91
    assert values["leaf_remaining_energy_wh"] == 20_000
    assert said(one(energy(363, 91, most=True), 0x5BC)).values["leaf_max_gids"] == 363
    other = protocol("leaf", wh_per_gid=77.0)
    values = said(one(energy(250, 91), 0x5BC), other).values
    assert values["leaf_remaining_energy_wh"] == 19_250
    unknown = said(one(energy(1023, 0), 0x5BC)).values
    assert unknown == {}


def test_a_reset_pack_is_flagged():
    frames = one(energy(250, 100), 0x5BC) + listed(GROUP_01_AZE0, ANSWER)
    first, second = decode(LEAF, frames).readings
    assert not first.notices
    assert second.values["leaf_soh_from_ah"] == pytest.approx(0.9173)
    assert [n.code for n in second.notices] == ["reported_soh_disagrees"]
    assert "100 %" in second.notices[0].message and "92 %" in second.notices[0].message
    assert "reported_soh" not in second.values


def test_the_order_of_the_two_does_not_matter():
    frames = (
        listed(GROUP_01_AZE0, ANSWER)
        + one(energy(250, 100), 0x5BC)
        + one(energy(249, 100), 0x5BC)
    )
    notices = [r.notices for r in decode(LEAF, frames).readings]
    assert notices[0] == () and len(notices[1]) == 1
    assert notices[2] == ()  # said once


@pytest.mark.parametrize(("published", "n"), [(90, 0), (92, 0), (88, 0), (80, 1)])
def test_what_agrees_is_not_flagged(published, n):
    frames = one(energy(250, published), 0x5BC) + listed(GROUP_01_AZE0, ANSWER)
    assert len(decode(LEAF, frames).readings[1].notices) == n


def test_capacity_marks_an_aze0():
    # 59E: nine bits from bit 4 of byte 2 on, 100 Wh.
    data = bytearray(8)
    raw = 236
    data[2], data[3] = raw >> 4, (raw & 0xF) << 4
    reading = said(one(data.hex(), 0x59E))
    assert reading.values["leaf_full_capacity_wh"] == 23_600
    assert reading.values["leaf_generation"] == "aze0"


def history(kind: int) -> Frame:
    data = bytes((kind << 6, 0, 122, 10, 5 << 1, 50 << 2, 0, 0))
    return Frame(1.0, "bus", "rx", data, 0x5C0)


def test_history_is_read_of_an_aze0_only():
    mark = one(bytes(8).hex(), 0x59E)
    values = decode(LEAF, [*mark, history(1), history(3)]).merged()
    assert values["leaf_temperature_max_degc"] == 21
    assert values["leaf_temperature_min_degc"] == 21
    assert values["leaf_cell_max_v"] == 3.9
    assert decode(LEAF, [history(1)]).merged() == {}
    ze1 = [*mark, Frame(0.5, "bus", "rx", bytes(8), 0x5EB), history(1)]
    assert "leaf_temperature_max_degc" not in decode(LEAF, ze1).merged()


def test_usable_soc_since_the_aze0():
    raw = bytes.fromhex("FFC0B9EA3C0003")
    flow = Frame(1.0, "bus", "rx", raw + bytes([crc8(raw, 0x85)]), 0x1DB)
    mark = one(bytes(8).hex(), 0x59E)
    assert decode(LEAF, [*mark, flow]).merged()["leaf_usable_soc"] == 0.6
    assert "leaf_usable_soc" not in decode(LEAF, [flow]).merged()


def test_mean_temperature_of_a_ze0():
    old = protocol("leaf", generation="ze0")
    data = energy(250, 80, degc=17)
    assert said(one(data, 0x5BC), old).values["leaf_temperature_avg_degc"] == 17
    assert "leaf_temperature_avg_degc" not in said(one(data, 0x5BC)).values
    # Only a ZE0 fits the third sensor.
    fitted = group(4, bytes.fromhex("02510C024D0D024D0D024D0D0C00"))
    values = decode(LEAF, [*fitted, *one(data, 0x5BC)]).merged()
    assert values["leaf_temperature_avg_degc"] == 17


def test_group_61_is_asked_of_a_ze1_only():
    names = {r.name for r in LEAF.requests({})}
    assert "group_61" not in names
    assert {r.name for r in LEAF.requests({"leaf_generation": "ze1"})} == names | {
        "group_61"
    }


def test_the_frames_that_keep_it_awake_carry_their_checksum():
    beats = LEAF.keep_alive
    assert LEAF.keep_alive_s == 0.05 and {b.allow for b in beats} == {Allow.WAKE}
    assert [b.identifier for b in beats] == [0x50B, 0x50C] * 4
    counters = []
    for beat in beats[1::2]:
        assert crc8(beat.data[:5], 0x85) == beat.data[5]
        counters.append(beat.data[3])
    assert counters == [0, 1, 2, 3]
    assert {b.data.hex() for b in beats[::2]} == {"000006c0000000"}


def test_what_may_be_sent():
    permitted = list(LEAF.permitted)
    asked = LEAF.requests({"leaf_generation": "ze1"})
    for request in (*asked, *LEAF.probes, *LEAF.clear_faults, *LEAF.keep_alive):
        assert request in permitted
    assert [r.data.hex() for r in LEAF.probes] == ["2101"]
    assert {r.data[0] for r in permitted if r.allow is Allow.READ} == {0x19, 0x21}
    assert "19020e" in {r.data.hex() for r in permitted}
    (clear,) = LEAF.clear_faults
    assert clear.allow is Allow.WRITE and clear.data == bytes.fromhex("14FFFFFF")


@pytest.mark.parametrize(
    "options", [{"as_new_ah": 0.0}, {"wh_per_gid": 800.0}, {"generation": "ze9"}]
)
def test_options_that_no_leaf_has(options):
    with pytest.raises(InputError):
        protocol("leaf", **options)
