"""Encoders of the simulated CAN devices against frames of real ones.

Each frame names its source; values are those its source states or a hand calculation
gives.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from battlife.errors import InputError
from battlife.simulate import (
    daly_can,
    dbc_device,
    kona,
    leaf,
    lv_can,
    meb,
    zoe_gen1,
    zoe_gen2,
)
from battlife.simulate.bits import big, held, packed, put
from battlife.simulate.can_bus import PackView, measured_ah
from battlife.simulate.pack_model import PackModel, PackSpec, Shown

NMC = PackSpec(n_cells=96, chemistry="nmc", capacity_ah=80.0)
BASE = PackModel(NMC).shown()
QUIET = replace(BASE, alarms=frozenset(), contactors_closed=True)


def test_bits_run_as_in_a_dbc_file() -> None:
    data = bytearray(3)
    put(data, 7, 11, -2)
    assert data == bytes.fromhex("FFC000")
    put(data, 13, 10, 0b10_0000_0001)
    assert data == bytes.fromhex("FFE010")
    with pytest.raises(ValueError, match="does not fit"):
        put(data, 7, 2, 4)
    with pytest.raises(ValueError, match="run over"):
        put(data, 16, 2, 1)


def test_numbers_stay_at_the_end_of_their_range() -> None:
    assert held(300.4, 8) == 255
    assert held(-1, 8) == 0
    assert held(-200, 8, signed=True) == -128
    assert big(-2, 2, signed=True) == b"\xff\xfe"
    assert packed((True, False, False, False, False, False, False, False, True)) == (
        b"\x80\x80"
    )


def test_leaf_power_of_a_real_pack() -> None:
    # Battery-Emulator pull request 248; byte 4 holds the usable SOC since AZE0.
    real = bytes.fromhex("FFC0B9EA000003D8")
    shown = replace(QUIET, current_a=-1.0, voltage_v=371.5, soc=0.0)
    assert leaf.power("aze0", shown, number=3) == real


def test_leaf_limits_of_a_real_pack() -> None:
    real = bytes.fromhex("6E0F8FFD0CE4E0D1")
    ours = leaf.limits(0, discharge_kw=110.0, charge_kw=62.0, charger_kw=92.3)
    # Bits 25 and 24 are not among the three limits; ours repeats a state of 1.
    assert ours[:3] == real[:3]
    assert ours[3] & 0xFC == real[3] & 0xFC
    assert ours[4:7] == real[4:7]
    assert leaf.with_crc(real[:7]) == real


def test_leaf_crc_of_two_commands_of_a_real_car() -> None:
    for real in ("F70700000746007B", "F7070000474600BC"):
        assert leaf.with_crc(bytes.fromhex(real)[:7]) == bytes.fromhex(real)


def test_leaf_30_kwh_state_of_a_real_pack() -> None:
    # OVMS issue 162: 368.13 V, 13.022 V, 907 kohm, Hx 79.97 %, SOC 56.29, 73.384 Ah.
    real = bytes.fromhex(
        "FFFFFC4E028AFFFFFF46FFFFFFFF12902AF88FCD32DE038B005C1F3D000896C6000B3290"
        "8000010000"
    )
    shown = replace(
        QUIET,
        current_a=-946 / 1024,
        voltage_v=368.13,
        aux_voltage_v=13.022,
        isolation_ohm=907e3,
        soc=0.562886,
    )
    ours = leaf.state("aze0", shown, 73.384, hx=0.7997)
    # The second current (6 to 9) is a measurement of its own in the real one.
    assert ours[:6] + ours[10:] == real[:6] + real[10:]
    assert len(ours) == 41
    assert len(leaf.state("ze0", shown, 60.0)) == 39


def test_leaf_40_kwh_state_of_a_real_pack() -> None:
    # Comment in OVMS vehicle_nissanleaf.cpp: 381.73 V, 917 kohm, SOC 80.40.
    real = bytes.fromhex(
        "FFFFFC1802AFFFFFFB62FFFFF0DD0B1C30D4951D3306039500017000269A000C44B50011"
        "0BB8800001FFFFFB62FFFFFCAA01AD"
    )
    shown = replace(
        QUIET,
        current_a=-1000 / 1024,
        voltage_v=381.73,
        aux_voltage_v=13.062,
        isolation_ohm=917e3,
        soc=0.804021,
    )
    ours = leaf.state("ze1", shown, 111.7112, hx=9882 / 10_240)
    assert ours[:6] + ours[10:] == real[:6] + real[10:]
    assert len(ours) == len(real) == 51


def test_leaf_groups_have_the_lengths_of_real_ones() -> None:
    def length(variant: str, number: int) -> int:
        data = leaf.group(variant, bytes([0x21, number]), QUIET, 70.0)
        assert data is not None
        return len(data)

    assert [length("aze0", n) for n in (0x02, 0x04, 0x06)] == [196, 14, 24]
    assert [length("ze1", n) for n in (0x04, 0x61)] == [29, 329]
    assert leaf.group("aze0", b"\x21\x61", QUIET, 70.0) is None
    assert leaf.group("aze0", b"\x22\x01", QUIET, 70.0) is None


def test_leaf_reset_claims_all_and_keeps_the_ah() -> None:
    spec = leaf.SPECS["aze0"]
    fresh = PackModel(spec, faults=frozenset({"bms_reset"}))
    honest = PackModel(spec)
    assert leaf.gids("aze0", fresh.shown())[4] >> 1 == 100
    assert leaf.gids("aze0", honest.shown())[4] >> 1 == 85
    assert measured_ah(fresh) == measured_ah(honest) < 0.87 * 80


def test_leaf_temperatures_leave_the_third_place_empty() -> None:
    shown = replace(QUIET, temperature_degc=(11.9, 12.3, 13.0))
    data = leaf.group("aze0", b"\x21\x04", shown, 70.0)
    assert data is not None
    assert data[2::3][:4] == bytes([12, 12, 0xFF, 13])
    assert data[6:9] == b"\xff\xff\xff"
    # 593 is what a real one showed at 12 degC.
    assert int.from_bytes(data[:2], "big") == pytest.approx(593, abs=1)


def test_zoe_gen1_groups_of_a_real_log() -> None:
    # Battery-Emulator log 28_RenaultZoe1_base_pid.
    real = "6161000A8C00C8C8C8C0C00000BB7C000023E4FF"
    assert zoe_gen1.lifetime(69.12, 0.96, 47_996, 9_188) == bytes.fromhex(real)[2:]
    real = "610301941F8521320000000001950193000000FFFFFFFF01207B000000"
    shown = replace(
        QUIET,
        cell_voltage_v=(4.03, 4.05, 4.04),
        soc=0.8315,
        contactors_closed=False,
    )
    ours = zoe_gen1.voltages(
        shown, open_v=4.04, lowest_soc=0.8069, highest_soc=0.8498, relays=0
    )
    assert ours == bytes.fromhex(real)[2:]


def test_zoe_gen1_broadcasts_of_a_real_log() -> None:
    shown = replace(QUIET, current_a=0.0, soc=0.8498)
    assert zoe_gen1.power(shown)[1:6] == bytes.fromhex("07D00084C8")
    shown = replace(QUIET, soh=0.99, temperature_degc=(18.0, 21.0))
    assert zoe_gen1.flags(shown, 0) == bytes.fromhex("00003C3C3A63553D")
    shown = replace(QUIET, cell_voltage_v=(3.7, 3.7))
    assert zoe_gen1.cells(shown)[4:] == bytes.fromhex("021C010E")


def test_zoe_gen1_fields_lie_where_their_bits_are_counted_from_the_front() -> None:
    def field(data: bytes, first: int, last: int) -> int:
        bits = "".join(f"{byte:08b}" for byte in data)
        return int(bits[first : last + 1], 2)

    shown = replace(QUIET, voltage_v=361.5, temperature_degc=(21.0,), soc=0.42, soh=0.9)
    assert field(zoe_gen1.voltage(shown), 25, 34) == 723
    assert field(zoe_gen1.voltage(shown), 44, 50) == 61
    assert field(zoe_gen1.charge(shown), 25, 31) == 42
    assert field(zoe_gen1.health(shown), 33, 39) == 90
    kwh = shown.remaining_ah * 3.7 * 96 / 1000
    assert field(zoe_gen1.energy(shown), 49, 57) == round(kwh * 10)


def test_zoe_gen1_fuse_shows_in_the_cell_between_the_halves() -> None:
    first = zoe_gen1.group(b"\x21\x41", QUIET, 60.0, fuse_blown=True)
    second = zoe_gen1.group(b"\x21\x42", QUIET, 60.0, fuse_blown=True)
    assert first is not None and second is not None
    assert (len(first), len(second)) == (124, 68)
    mv = [int.from_bytes(first[2 * i : 2 * i + 2], "big") for i in range(62)]
    assert mv[47] < 100 < min(mv[:47] + mv[48:])


def test_zoe_gen1_temperatures_end_in_lowest_mean_highest() -> None:
    shown = replace(QUIET, temperature_degc=(18.0, 21.0, 24.0))
    data = zoe_gen1.group(b"\x21\x04", shown, 60.0, fuse_blown=False)
    assert data is not None
    answer = b"\x61\x04" + data
    assert answer[4:12:3] == bytes([58, 61, 64])
    assert answer[13] == 0xFF
    assert answer[74:77] == bytes([58, 61, 64])


def test_zoe_gen2_current_of_a_real_pack() -> None:
    # Battery-Emulator issue 2819: 7F 80 is no current.
    assert zoe_gen2.value(0x925D, replace(QUIET, current_a=0.0)) == b"\x7f\x80"
    assert zoe_gen2.value(0x925D, replace(QUIET, current_a=-10.0)) == big(32_320, 2)


def test_zoe_gen2_has_each_cell_once() -> None:
    volt = tuple(3.0 + i / 1024 for i in range(96))
    shown = replace(QUIET, cell_voltage_v=volt)
    found = {}
    for did in range(0x9021, 0x9084):
        data = zoe_gen2.value(did, shown)
        if data is not None:
            found[did] = int.from_bytes(data, "big") - 3072
    assert list(found.values()) == list(range(96))
    assert (found[0x9021], found[0x903F], found[0x9041]) == (0, 30, 31)
    assert (found[0x905F], found[0x9061], found[0x907F]) == (61, 62, 92)
    assert (found[0x9081], found[0x9083]) == (93, 95)


def test_zoe_gen2_scales() -> None:
    shown = replace(
        QUIET, soc=0.5, soh=0.95, voltage_v=360.1, temperature_degc=(20.0, 22.0)
    )
    got = {did: zoe_gen2.value(did, shown) for did in (0x9001, 0x9003, 0x9005, 0x9131)}
    assert got == {
        0x9001: big(5300, 2),
        0x9003: big(9500, 2),
        0x9005: big(3601, 2),
        0x9131: big(960, 2),
    }
    assert zoe_gen2.value(0x9133, shown) is None
    assert zoe_gen2.value(0xFFFF, shown) is None


def test_kona_state_of_a_real_pack() -> None:
    # evDash CarKiaEniro.cpp: 17.7 A discharge, 383.8 V, 1443.6 and 1370.1 Ah.
    real = bytes.fromhex(
        "620101FFF7E7FF99000000000300B10EFE120F11100F12000018C438C30B0000840000386400"
        "0035850000153A00001374000647010D017F0BDA0BDA03E8"
    )
    volt = [3.91] * 98
    volt[55], volt[10] = 3.92, 3.90
    shown = replace(
        QUIET,
        soc=0.765,
        current_a=-17.7,
        voltage_v=383.8,
        cell_voltage_v=tuple(volt),
        temperature_degc=(17.0, 16.0, 15.0, 18.0),
        aux_voltage_v=13.2,
        charge_throughput_ah=1443.6,
        energy_throughput_wh=543_400.0,
        isolation_ohm=1e6,
    )
    ours = kona.state(
        shown,
        inlet_degc=24.0,
        discharged_ah=1370.1,
        discharged_wh=498_000.0,
        available_kw=(0.0, 0.0),
    )
    # The inverter's voltage (54, 55) and its motor's speed (56 to 59) are not ours.
    assert ours[:51] == real[3:54]
    assert ours[57:] == real[60:]
    assert len(ours) == len(real) - 3


def test_kona_pages() -> None:
    volt = tuple(4.06 if i < 32 else 3.6 + i / 1000 for i in range(98))
    shown = replace(QUIET, cell_voltage_v=volt, soh=1.0, soc=0.86)
    first = kona.page(b"\x22\x01\x02", shown)
    assert first == b"\xff" * 4 + b"\xcb" * 32  # 620102FFFFFFFFCB.. of a real one
    fifth = kona.page(b"\x22\x01\x05", shown)
    assert fifth is not None
    answer = b"\x62\x01\x05" + fifth
    assert answer[:7] == bytes.fromhex("620105003FFF90")
    assert (answer[28:30], answer[34]) == (b"\x03\xe8", 0xAC)
    assert answer[37:39] == bytes([round(volt[96] * 50), round(volt[97] * 50)])
    assert kona.page(b"\x22\x01\x07", shown) is None
    assert kona.page(b"\x22\x02\x01", shown) is None


def test_meb_values_of_real_packs() -> None:
    # OBDb Volkswagen-ID.4, answers of its test cases.
    degc = (10.0, 10.5, 10.0, 11.0, 11.375)
    cells = (3.328,) + (3.4,) * 8 + (0x374C / 4096,)
    shown = replace(QUIET, voltage_v=329.5, cell_voltage_v=cells, temperature_degc=degc)
    assert meb.value(0x1E3B, shown) == bytes.fromhex("0526")
    assert meb.value(0x1E40, shown) == bytes.fromhex("0918")
    assert meb.value(0x1E0E, shown) == bytes.fromhex("02D80005")
    assert meb.value(0x1E33, shown) == bytes.fromhex("374C000A")
    assert meb.current(replace(shown, current_a=-5.94)) == bytes.fromhex("0002479E")
    assert meb.current(replace(shown, current_a=0.0)) == bytes.fromhex("000249F0")
    cold = replace(shown, temperature_degc=(6.875,))
    assert meb.value(0x1EAE, cold) == bytes.fromhex("0177")


@pytest.mark.parametrize("variant", meb.SPECS)
def test_meb_places_without_a_cell_say_so(variant: str) -> None:
    spec = meb.SPECS[variant]
    shown = PackModel(spec).shown()
    raw = [meb.value(0x1E40 + i, shown) for i in range(108)]
    assert raw.count(b"\x0f\xfe") == 108 - spec.n_cells
    assert meb.value(0x1E40 + 108, shown) is None


def test_meb_cells_out_of_the_field_stay_at_its_ends() -> None:
    shown = replace(QUIET, cell_voltage_v=(0.0, 7.3))
    # 0xFFE and 0xFFF have meanings of their own.
    assert meb.value(0x1E40, shown) == b"\x00\x00"
    assert meb.value(0x1E41, shown) == b"\x0f\xfd"


def test_zoe_relays_open_with_a_blown_fuse() -> None:
    # CanZE: 1 closed, 2 opened, in bits 3 and 2; 1 allowed in the last two.
    closed = zoe_gen1.voltages(QUIET)
    opened = zoe_gen1.voltages(replace(QUIET, contactors_closed=False))
    assert (closed[21], opened[21]) == (0b0101, 0b1001)


def test_zoe_gen2_names_a_cell_in_one_byte() -> None:
    shown = replace(QUIET, cell_voltage_v=(3.5, 3.7, 3.4))
    assert (zoe_gen2.value(0x9008, shown), zoe_gen2.value(0x900A, shown)) == (
        b"\x02",
        b"\x03",
    )


def test_lv_can_of_a_real_pack() -> None:
    # setfirelabs.com, Pylontech US5000 with version 1.3.
    shown = replace(
        QUIET,
        soc=0.84,
        soh=0.96,
        voltage_v=49.87,
        current_a=-27.9,
        temperature_degc=(36.3,),
        charge_enabled=True,
        discharge_enabled=True,
    )
    assert lv_can.charge(shown) == bytes.fromhex("540060000000")
    assert lv_can.measured(shown) == bytes.fromhex("7B13E9FE6B01")
    ours = lv_can.limits(shown, charge_v=52.8, limit_a=480.0, discharge_v=45.0)
    assert ours == bytes.fromhex("1002C012C012C201")


def test_lv_can_extremes_and_their_places() -> None:
    shown = replace(
        QUIET, cell_voltage_v=(3.3, 3.25, 3.35), temperature_degc=(20.0, 25.0)
    )
    assert lv_can.extremes(shown) == bytes.fromhex("B20C160D25012A01")
    assert [p.rstrip(b"\0") for p in lv_can.places(shown)] == [b"2", b"3", b"1", b"2"]
    quiet = lv_can.alarms(shown)
    hot = lv_can.alarms(replace(shown, alarms=frozenset({"over_temperature"})))
    assert (quiet[0] >> 6, hot[0] >> 6) == (0b10, 0b01)


def test_daly_can_of_a_real_board() -> None:
    # dbus-serialbattery issues 212 and 215: 26.3 V, 0.0 A, 70.0 %.
    model = PackModel(PackSpec(n_cells=8))

    class Fixed(PackView):
        def __call__(self) -> Shown:
            return replace(QUIET, voltage_v=26.3, current_a=0.0, soc=0.7)

    (frame,) = daly_can.answers(Fixed(model), 0x90, 1)
    assert frame.identifier == 0x18904001
    # Bytes 2 and 3 are the voltage gathered, 0 in the real frame as well.
    assert frame.data == bytes.fromhex("01070000753002BC")


def test_dbc_packs_say_what_the_model_shows() -> None:
    import cantools

    database = cantools.database.load_string(dbc_device.PACK_DBC, "dbc")
    pack = PackModel(dbc_device.SPECS["8s"])
    shown = pack.shown()
    found = {}
    for message in database.messages:
        data = dbc_device.encoded(message, shown, 0)
        found.update(database.decode_message(message.frame_id, data))
    assert found["PackVoltage"] == pytest.approx(shown.voltage_v, abs=0.0051)
    assert found["PackCurrent"] == pytest.approx(shown.current_a, abs=0.051)
    assert found["StateOfCharge"] == pytest.approx(shown.soc * 100, abs=0.251)
    for i, volt in enumerate(shown.cell_voltage_v):
        assert found[f"CellVoltage{i + 1}"] == pytest.approx(volt, abs=0.00051)


def test_dbc_multiplexed_messages_take_turns() -> None:
    import cantools

    text = """VERSION ""

NS_ :

BS_:

BU_: BMS

BO_ 800 Cells: 3 BMS
 SG_ Page M : 0|8@1+ (1,0) [0|1] "" BMS
 SG_ CellVoltage1 m0 : 8|16@1+ (0.001,0) [0|65] "V" BMS
 SG_ CellVoltage2 m1 : 8|16@1+ (0.001,0) [0|65] "V" BMS
"""
    database = cantools.database.load_string(text, "dbc")
    shown = replace(QUIET, cell_voltage_v=(3.1, 70.0))
    message = database.messages[0]
    assert dbc_device.encoded(message, shown, 0) == bytes.fromhex("001C0C")
    assert dbc_device.encoded(message, shown, 3) == bytes.fromhex("01FFFF")


def test_a_file_that_is_no_dbc_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "pack.dbc"
    wrong.write_text("no messages here {")
    pack = PackModel(dbc_device.SPECS["8s"])
    for path in (wrong, tmp_path / "absent.dbc"):
        with pytest.raises(InputError) as caught:
            dbc_device.station(pack, frozenset(), 0, variant="8s", dbc=path)
        assert "DBC" in caught.value.message
