"""JK records: frames of real BMSs over RS485 and Bluetooth.

THREE_* were captured on the RS485 bus of a JK_PB2A16S20P with address 3
(dbus-serialbattery, tests of its JK PB driver); MASTER on the cable of a pack with
address 0, whose owner states 52.036 V, 7.98 A discharging, 63 %, 191 cycles;
B24S and JK04 are in Bluetooth captures of esphome-jk-bms (docs/, Apache-2.0).
"""

import random

import pytest

from battlife.errors import InputError
from battlife.model import SIMULATED_LINE, Allow, Frame
from battlife.readers.frame_logs import btsnoop
from battlife.wire import decode, protocol
from battlife.wire.checksums import sum8
from support import shared


def record(text: str) -> bytes:
    """Return a record; "00*8" are eight zeros."""
    data = b""
    for word in text.split():
        run, _, times = word.partition("*")
        data += bytes.fromhex(run) * int(times or 1)
    assert len(data) == 300 and sum8(data[:299]) == data[299]
    return data


THREE_STATUS = record(
    "55aaeb900200dd0cdd0cdd0cdd0cdd0cdd0cde0cdd0cde0cde0cde0cde0cde0c "
    "dd0cde0cdd0c 00*32 "
    "ffff0000dd0c01000100330034003f0042004d00580066007100770071006600 "
    "62005a004400400036 00*33 cb0000000000d7cd 00*10 c300c6 00*8 "
    "37535e0200c04504003e00000086b70901640000000422e5020101 00*14 "
    "ff00010000009703000000001671404000000000951400000001010100060000 "
    "b4e3af0000000000cb00c200c7009703863ec40b100900008051010000000302 00*8 "
    "01feff7fdc2f0101b0cf07000021"
)
THREE_SETTINGS = record(
    "55aaeb900100ac0d00008c0a0000550b0000420e0000740d000005000000750d "
    "0000540b00007a0d0000160d0000c409000060ea0000030000003c000000a086 "
    "01002c0100003c00000005000000d00700005e010000400100005e0100004001 "
    "0000320000004600000020030000bc0200001000000001000000010000000100 "
    "0000c0450400dc050000700d 00*130 03 00*7 "
    "60e316000033000a18feffffff9fe99d030000000034"
)
THREE_ABOUT = record(
    "55aaeb9003004a4b5f5042324131365332305000000031354100000000003135 "
    "2e34310000001c29e5021600000042423032 00*12 31323334 00*12 "
    "3234303931340000343031313934393134383000303030004a4b2d424d53 00*10 "
    "313336393133 00*10 4a4b2d424d53 00*10 "
    "ffffffff8fe99d0300000000901f00000000c0d8e7fe3f000001 00*9 04ff67 00*14 ff0f "
    "00*14 01ff67 00*13 09080001640000005f0000003c00000032 00*12 2f00000a78011e "
    "00*17 fe9fe9ff0f 00*7 f6"
)
MASTER_STATUS = record(
    "55aaeb900200b60cb50cb40cb40cb10cb40cb40cb30cb60cb50cb60cb60cb50c "
    "b30cb30cb30c 00*32 "
    "ffff0000b40c0500000444004300450042004500420045004200450044004600 "
    "430046004400470044 00*33 6f010000000044cb00000b560600d4e0ffff69016601 00*7 "
    "3f313a020070820300bf0000000af0a0026400000023ba51020101 00*14 "
    "ff0001000000b6030000150044303e4000000000531400000001010100060100 "
    "baaf0f00000000006f0172017301ba037890770c950800008051010000000301 00*8 "
    "01feff7fdc2f0101b00f00000089"
)
B24S = record(
    "55aaeb90020ad30ba00be10bdf0bd90b110cb20bff0baf0b250b8d0bd30bc90b "
    "bf0be70be30b 00*16 "
    "ffff0000c50bec0005094c014b0146014401430142013f0140013d013a013b01 "
    "3c013f01440144013f01 00*22 52bc 00*10 d800d600d0 00*6 "
    "12f8110000a861000008000000e43f03006400dd0844a3110001017f06 00*12 "
    "0700010000000f050000000039c840400000000058aafdff0000000100040000 90d95e "
    "00*82 89"
)
JK04 = record(
    "55aaeb900206298b5d409e0a5740be225740b6655940bbe35740b9a45840d43e "
    "5a4016ae59407ef2564035c6594055de5940d67d594055de5940b665594035c6 "
    "5940940e5a40 00*32 "
    "e815053ea4b1103e9a921f3e832c1f3e4b3ee13d6ee3d83d3a5ec43d59fcc53d "
    "3e34e23d411a1a3e5a8a0c3e85470f3e1e360e3e4b9fe73d9d4aee3d752de63d 00*36 "
    "974d59406015d33d00000000ffff000000080201004003c0 00*7 d8b2294b40 00*22 "
    "0101cc 00*23 98fa07 00*6 30224000dc"
)
ACKS = {
    "status": bytes.fromhex("03101620000105a9"),
    "settings": bytes.fromhex("0310161e00016465"),
    "about": bytes.fromhex("0310161c0001c5a5"),
}
ACK_0 = bytes.fromhex("001016200001059a")
ASK_STATUS = bytes.fromhex("031016200001020000cf91")
THREE = {
    "status": THREE_STATUS,
    "settings": THREE_SETTINGS,
    "about": THREE_ABOUT,
}


def answer(name: str) -> bytes:
    """Return all that the BMS with address 3 puts on the bus."""
    return THREE[name] + b"\0" + ACKS[name] + b"\0"


def resummed(data: bytearray) -> bytes:
    """Return a record with the right checksum."""
    data[299] = sum8(bytes(data[:299]))
    return bytes(data)


def said(*runs: bytes):
    frames = [Frame(float(i), "bus", "rx", run) for i, run in enumerate(runs)]
    return decode(protocol("jk_pb", address=3), frames)


def test_the_requests_are_those_of_the_bus():
    wire = protocol("jk_pb", address=3)
    asks = {r.name: r for r in wire.permitted}
    assert asks["status"].data == ASK_STATUS
    # Modbus writes by their form: never sent to a device nobody named.
    assert wire.probes == () and {r.allow for r in wire.permitted} == {Allow.READ}
    names = [r.name for r in wire.requests({})]
    assert names.index("settings") + 1 == names.index("status")
    assert 0.1 <= asks["settings"].gap_s < 0.2


def test_a_status_of_address_3():
    (reading,) = said(ASK_STATUS, answer("status")).readings
    assert (reading.device, reading.message) == ("3", "status")
    assert reading.raw == THREE_STATUS + ACKS["status"]
    values = reading.values
    assert len(values["cell_voltage_v"]) == 16
    assert values["cell_voltage_v"][:7] == (3.293,) * 6 + (3.294,)
    assert values["voltage_v"] == 52.695 and values["current_a"] == 0.0
    assert sum(values["cell_voltage_v"]) == pytest.approx(52.695, abs=0.02)
    assert values["temperature_degc"] == (19.5, 19.8, 19.4, 19.9)
    assert values["jk_mosfet_temperature_degc"] == 20.3
    assert values["soc"] == 0.55 and values["remaining_capacity_ah"] == 155.219
    assert values["full_capacity_ah"] == 280.0 and values["reported_soh"] == 1.0
    assert values["cycle_count"] == 62 and values["fault_codes"] == ()
    assert values["jk_cycle_capacity_ah"] == 17414.022
    assert values["charge_enabled"] is True and values["discharge_enabled"] is True
    assert values["balancing"] is False and reading.notices == ()


def test_settings_and_about_of_address_3():
    values = said(answer("settings"), answer("about")).merged("3")
    assert values["jk_n_cells"] == 16 and values["design_capacity_ah"] == 280.0
    assert values["jk_balance_switch"] is True
    assert values["jk_model"] == "JK_PB2A16S20P"
    assert values["hardware_version"] == "15A"
    assert values["software_version"] == "15.41"
    assert values["serial_number"] == "40119491480"


def test_a_master_that_nobody_asked():
    # On this cable the acknowledgement follows without a byte between.
    (reading,) = said(MASTER_STATUS + ACK_0).readings
    values = reading.values
    assert reading.device == "0" and values["voltage_v"] == 52.036
    assert values["current_a"] == -7.98 and values["soc"] == 0.63
    assert values["cycle_count"] == 191
    assert values["remaining_capacity_ah"] == 145.969
    assert sum(values["cell_voltage_v"]) == pytest.approx(52.036, abs=0.03)
    assert values["temperature_degc"] == (36.1, 35.8, 37.0, 37.1)


def test_a_record_belongs_to_whom_its_acknowledgement_names():
    # Two devices; the first one's acknowledgement is lost.
    ask_0 = protocol("jk_pb", address=0).permitted[-1].data
    result = said(ASK_STATUS, THREE_STATUS, ask_0, MASTER_STATUS + ACK_0)
    assert [r.device for r in result.readings] == ["0"]
    (rejected,) = result.rejected
    assert rejected.message == "status" and "whose record" in rejected.error.message


def test_another_kind_than_acknowledged_is_refused():
    result = said(ASK_STATUS, THREE_STATUS + b"\0" + ACKS["settings"])
    assert not result.readings and len(result.rejected) == 1


def test_a_lost_record_is_told_once():
    result = said(ASK_STATUS, THREE_STATUS[5:] + b"\0" + ACKS["status"])
    assert not result.readings
    assert [(r.device, r.message) for r in result.rejected] == [("3", "status")]
    damaged = bytearray(answer("status"))
    damaged[50] ^= 1
    result = said(ASK_STATUS, bytes(damaged))
    assert not result.readings and [r.message for r in result.rejected] == ["status"]


def test_24_cells_over_bluetooth():
    (reading,) = said(B24S).readings
    values = reading.values
    assert reading.device == "" and values["voltage_v"] == 48.21
    assert len(values["cell_voltage_v"]) == 16
    assert values["cell_voltage_v"][:2] == (3.027, 2.976)
    assert values["temperature_degc"] == (21.6, 21.4)
    assert values["jk_mosfet_temperature_degc"] == 20.8
    assert values["soc"] == 0.18 and values["remaining_capacity_ah"] == 4.6
    assert values["full_capacity_ah"] == 25.0 and values["cycle_count"] == 8
    assert "reported_soh" not in values


def test_cells_as_floats_over_bluetooth():
    (reading,) = said(JK04).readings
    assert set(reading.values) == {"cell_voltage_v"}
    cells = reading.values["cell_voltage_v"]
    assert len(cells) == 16 and cells[0] == 3.4616 and cells[1] == 3.36


@pytest.mark.parametrize("at", [6, 8, 118])
def test_a_layout_that_the_voltages_do_not_prove_is_refused(at):
    wrong = bytearray(B24S)
    wrong[at + 1] ^= 0x04
    result = said(resummed(wrong))
    assert not result.readings
    assert "not proven" in result.rejected[0].error.message


def test_alarms_by_name_and_absent_sensors():
    loud = bytearray(THREE_STATUS)
    loud[166:170] = (1 << 4 | 1 << 14).to_bytes(4, "little")
    loud[214] = 0x06
    loud[164:166] = (-2000).to_bytes(2, "little", signed=True)
    (reading,) = said(resummed(loud) + b"\0" + ACKS["status"]).readings
    assert reading.values["fault_codes"] == (
        "cell over-voltage",
        "discharge short circuit",
    )
    assert [n.code for n in reading.notices] == ["critical_fault_code"]
    first, *others = reading.values["temperature_degc"]
    assert first == 19.5 and all(t != t for t in others)


def test_a_dead_last_cell_is_not_passed_over():
    dead = bytearray(THREE_STATUS)
    dead[36:38] = 0, 0
    (reading,) = said(resummed(dead) + b"\0" + ACKS["status"]).readings
    assert len(reading.values["cell_voltage_v"]) == 15
    assert [n.code for n in reading.notices] == ["cells_without_voltage"]


def test_echo_junk_mark_and_fragments_change_nothing():
    asks = {r.name: r.data for r in protocol("jk_pb", address=3).permitted}
    stream = b"\x55\xaa\x55\x10" + SIMULATED_LINE
    stream += asks["settings"] + answer("settings") + asks["status"] + answer("status")
    whole = said(stream)
    assert [r.message for r in whole.readings] == ["settings", "status"]
    assert not whole.rejected
    rng = random.Random(5)
    for size in [1, 2, 7, *(rng.randrange(3, 400) for _ in range(20))]:
        runs = [stream[i : i + size] for i in range(0, len(stream), size)]
        split = said(*runs)
        assert [r.values for r in split.readings] == [r.values for r in whole.readings]
        assert not split.rejected


@pytest.mark.parametrize("whole", [answer("status"), MASTER_STATUS + ACK_0])
def test_every_flipped_bit_on_the_bus(whole):
    (true,) = said(ASK_STATUS, whole).readings
    n_same = 0
    for i in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[i // 8] ^= 1 << i % 8
        for reading in said(ASK_STATUS, bytes(damaged)).readings:
            assert reading.values == true.values and reading.device == true.device
            n_same += 1
    assert n_same <= 16  # of the idle bytes around the acknowledgement


def test_every_flipped_bit_over_bluetooth():
    for i in range(len(B24S) * 8):
        damaged = bytearray(B24S)
        damaged[i // 8] ^= 1 << i % 8
        assert not said(bytes(damaged)).readings


def test_every_truncation():
    whole = MASTER_STATUS + ACK_0
    for length in range(len(whole)):
        assert not said(ASK_STATUS, whole[:length]).readings


def test_noise_says_nothing():
    assert not said(random.Random(4).randbytes(300_000)).readings


@pytest.mark.parametrize(
    ("name", "n_status"),
    [
        ("btsnoop_hci_jk-b2a16s_hw30_sw330.log", 49),
        ("btsnoop_hci_jk-bd6a24s10p_hw8x_sw806g.log", 53),
    ],
)
def test_whole_captures(name, n_status):
    frames = btsnoop.READER.frames(shared(f"exports/bms_jk/{name}"))
    result = decode(protocol("jk_pb"), frames)
    status = [r for r in result.readings if r.message == "status"]
    assert len(status) == n_status
    assert [r.message for r in result.readings].count("about") == 1
    for reading in status:
        cells = reading.values["cell_voltage_v"]
        assert len(cells) == 16 and all(2.7 < v < 3.6 for v in cells)
    # Settings with floats in them are the only thing not understood.
    assert all(r.message == "settings" for r in result.rejected)
    assert len(result.rejected) == (1 if "b2a16s" in name else 0)


def test_an_address_that_is_none():
    with pytest.raises(InputError):
        protocol("jk_pb", address=16)
