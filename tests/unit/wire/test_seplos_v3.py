"""The worked examples of XZH BMS Modbus-RTU Protocol V0.3, and frames of two packs:
esphome-seplos-bms, docs/pdus/v3 (SG16S200A-SP57B-A, with its requests, and
SP05B2312190075, without)."""

import math
import re

import pytest

from battlife.errors import InputError
from battlife.model import Frame
from battlife.wire import decode, protocol
from battlife.wire.modbus_messages import is_sound, with_crc
from support import DATASETS

# Request and answer, in the order of the capture.
SYSTEM = (
    "00042000001A7BD0",
    "00043414CD0000FFF3FFFF6B40000080E80000012200008" + "0E8000000010000000000000708"
    "000007080000024001D00001000A034003E7F2CC",
)
EXTREMES_REFUSED = ("00042100001A7A2C", "0084029301")
SYSTEM_STATUS = ("000122000050379F", "00010A010000000000004300007FE1")
VERSIONS = (
    "000417000033B47A",
    "000466585A482D456C6563546563682043 6F2E2C4C7464534731365332303041 2D535035"
    "37422D410000003135535035 37422D41323530363132303032320000" + "00" * 41 + "634B",
)
INVERTER = (
    "000418000024F760",
    "000448000001F453554E2D332E364B2D53473033 50312D4555"
    + "00" * 14
    + "50796C6F6E2043414E2050726F746F636F6C"
    + "00" * 14
    + "323000004129",
)
PACK = (
    "01041000001134C6",
    "01042214CDFF776B4080E80122034003E7000A0CFF0B7F0D000CFF0B810B7E000000B400B4D32E",
)
CELLS = (
    "01041100001A74FD",
    "0104340CFF0CFF0D000D000D000CFF0D000CFF0D000D000D000D000D000CFF0CFF0D00"
    "0B820B7F0B810B7E0AAB0AAB0AAB0AAB0B8C0B7F0113",
)
STATUS_REFUSED = ("0101120009003F22", "018102C191")
CAPTURE = (
    SYSTEM,
    EXTREMES_REFUSED,
    SYSTEM_STATUS,
    VERSIONS,
    INVERTER,
    PACK,
    CELLS,
    STATUS_REFUSED,
)


def frames_of(*pairs):
    frames = []
    for i, (request, answer) in enumerate(pairs):
        frames.append(Frame(float(i), "line", "tx", bytes.fromhex(request)))
        frames.append(Frame(i + 0.1, "line", "rx", bytes.fromhex(answer)))
    return frames


def heard(*pairs):
    return decode(protocol("seplos_v3"), frames_of(*pairs))


def unasked(data):
    return decode(protocol("seplos_v3"), [Frame(0.0, "line", "rx", data)])


def test_a_captured_cycle():
    found = heard(*CAPTURE)
    said = [(r.device, r.message) for r in found.readings]
    assert said == [
        ("0", "system"),
        ("0", "system_status"),
        ("0", "versions"),
        ("0", "inverter"),
        ("1", "pack"),
        ("1", "cells"),
    ]
    assert [(r.device, r.message) for r in found.rejected] == [
        ("0", "extremes"),
        ("1", ""),  # it asked for more bits than a read can have
    ]
    assert found.merged("1") == {
        "voltage_v": 53.25,
        "current_a": -1.37,
        "remaining_capacity_ah": 274.56,
        "full_capacity_ah": 330.0,
        "seplos_discharged_ah": 2900.0,
        "soc": 0.832,
        "reported_soh": 0.999,
        "cycle_count": 10.0,
        "seplos_discharge_current_limit_a": 180.0,
        "seplos_charge_current_limit_a": 180.0,
        "cell_voltage_v": tuple(
            v / 1000
            for v in [3327, 3327, 3328, 3328, 3328, 3327, 3328, 3327]
            + [3328, 3328, 3328, 3328, 3328, 3327, 3327, 3328]
        ),
        "temperature_degc": (21.5, 21.2, 21.4, 21.1),
        "seplos_ambient_degc": 22.5,
        "seplos_mosfet_degc": 21.2,
    }
    system = found.merged("0")
    assert system["voltage_v"] == 53.25
    assert system["current_a"] == -1.3
    assert system["design_capacity_ah"] == 330.0
    assert system["seplos_state"] == "discharge"
    assert system["charge_enabled"] and system["discharge_enabled"]
    assert system["fault_codes"] == () and system["seplos_warnings"] == ()
    assert system["seplos_maker"] == "XZH-ElecTech Co.,Ltd"
    assert system["hardware_version"] == "SG16S200A-SP57B-A"
    assert system["software_version"] == "15"
    assert system["serial_number"] == "SP57B-A2506120022"
    assert system["seplos_inverter_protocol"] == "Pylon CAN Protocol"


def test_the_vendors_examples():
    pack = (
        "0004100000127516",
        "00042414A100004E204E20000003E803E800000CE40B800CE60CE40B820B7F000000B400B4"
        "03E8DBF6",
    )
    cells = (
        "00041100001A752C",
        "0004340CE60CE40CE50CE40CE40CE50CE50CE40CE40CE40CE50CE50CE40CE50CE40CE4"
        "0B810B820B7F0B7F0AAB0AAB0AAB0AAB0B910B8334DE",
    )
    status = ("00011200009038CF", "0001120000000000000000100000000000000300006A24")
    found = heard(pack, cells, status)
    assert found.rejected == ()
    values = found.merged()
    assert values["voltage_v"] == 52.81 and values["current_a"] == 0.0
    assert values["remaining_capacity_ah"] == 200.0 and values["soc"] == 1.0
    assert values["cell_voltage_v"][0] == 3.302
    assert values["temperature_degc"] == (21.4, 21.5, 21.2, 21.2)
    assert values["seplos_ambient_degc"] == 23.0
    assert values["seplos_state"] == "standby"
    assert values["charge_enabled"] and values["discharge_enabled"]
    assert values["balancing"] is False
    assert values["seplos_balancing_cells"] == (0.0,) * 16
    requests = {r.name: r.data for r in protocol("seplos_v3").requests({})}
    for name, pair in (("pack", pack), ("cells", cells), ("status", status)):
        assert requests[name] == bytes.fromhex(pair[0])


def test_the_vendors_examples_of_the_system():
    system = (
        "00042000001A7BD0",
        "00043414A40000FF9CFFFF058C00002710000000030000271000000001000000000000"
        "0320000003200000024001D000010003008E03E8",
    )
    extremes = (
        "0004210000167A29",
        "00042C0CE70CE60007000014A414A40000000000B300AD00AF00030001008E008E000003E8"
        "00A400A400A4000000000107",
    )
    body = bytes.fromhex(system[1])
    found = heard((system[0], with_crc(body).hex()), extremes)
    assert found.rejected == ()
    values = found.merged()
    assert with_crc(body)[-2:].hex() == "9df2"
    assert values["voltage_v"] == 52.84 and values["current_a"] == -10.0
    assert values["remaining_capacity_ah"] == 14.2 and values["soc"] == 0.142
    assert values["full_capacity_ah"] == 100.0 and values["cycle_count"] == 3.0
    assert values["seplos_discharged_ah"] == 30.0
    assert values["seplos_cell_voltage_max_v"] == 3.303
    assert values["seplos_temperature_max_degc"] == 17.9
    assert values["seplos_temperature_min_degc"] == 17.3


def test_the_facts_page_request():
    request = next(r for r in protocol("seplos_v3").permitted if r.name == "system")
    assert request.data == bytes.fromhex("00042000001A7BD0")


def capture_lines():
    text = (DATASETS / "captures/seplos/SP05B2312190075-all-frames.txt").read_text()
    return [
        bytes(int(b, 16) for b in re.findall(r"0x([0-9a-f]{2})", line))
        for line in text.splitlines()
        if line.startswith("0x")
    ]


def test_the_capture_without_requests_as_it_is():
    # Whoever wrote the file turned every 0x0A (and 0x0D) into 0x5C, and 0x14 once
    # into "x14": most messages do not have the checksum they state any more.
    lines = capture_lines()
    assert len(lines) == 207
    frames = [Frame(float(i), "line", "rx", data) for i, data in enumerate(lines)]
    found = decode(protocol("seplos_v3"), frames)
    assert {r.message for r in found.readings} == {"inverter", "status"}
    assert all(is_sound(r.raw) for r in found.readings)
    assert sum(r.message == "status" for r in found.readings) == sum(
        line.count(bytes.fromhex("010112000000000000000010000000000000030000"))
        for line in lines
    )
    assert {r.error.message.partition(":")[0] for r in found.rejected} == {
        "unit 0 refuses function 4"
    }


def test_the_capture_without_requests_mended():
    lines = [line.replace(b"\x5c", b"\n") for line in capture_lines()]
    frames = [Frame(float(i), "line", "rx", data) for i, data in enumerate(lines)]
    found = decode(protocol("seplos_v3"), frames)
    by_name = {}
    for reading in found.readings:
        assert is_sound(reading.raw)
        by_name.setdefault((reading.device, reading.message), []).append(reading.values)
    assert set(by_name) == {
        ("0", "system"),
        ("0", "extremes"),
        ("1", "cells"),
        ("1", "status"),
        ("224", "inverter"),
    }
    # The 61 lines that hold nothing else, as on the facts page but for the cycles.
    assert len(by_name["0", "system"]) == 61
    for values in by_name["0", "system"]:
        assert values["voltage_v"] == 52.86 and values["current_a"] == 0.0
        assert values["remaining_capacity_ah"] == 134.4
        assert values["full_capacity_ah"] == 280.0
        assert values["soc"] == 0.48 and values["reported_soh"] == 0.999
        assert values["cycle_count"] == 10.0
    # Every line that begins with the extremes holds one and repeats what came before.
    assert len(by_name["0", "extremes"]) >= 73
    for values in by_name["0", "extremes"]:
        assert values["seplos_cell_voltage_max_v"] == 3.304
        assert values["seplos_cell_voltage_min_v"] in (3.303, 3.304)
        assert values["seplos_temperature_max_degc"] == 22.9
    for values in by_name["1", "cells"]:
        assert len(values["cell_voltage_v"]) == 16
        assert set(values["cell_voltage_v"]) <= {3.303, 3.304}
        assert values["temperature_degc"] == (22.9, 22.1, 22.2, 22.8)
        assert sum(values["cell_voltage_v"]) == pytest.approx(52.86, abs=0.01)


def events(*pairs):
    data = bytearray(10)
    for byte, bits in pairs:
        data[byte] = bits
    answer = with_crc(bytes([0, 1, 10]) + data)
    (reading,) = heard((SYSTEM_STATUS[0], answer.hex())).readings
    return reading


@pytest.mark.parametrize(
    ("byte", "bits", "faults", "warnings", "critical"),
    [
        (1, 0x02, ("cell over-voltage",), (), False),
        (1, 0x01, (), ("cell high-voltage alarm",), False),
        (2, 0x20, ("discharge over-temperature",), (), True),
        (3, 0x40, (), (), False),  # heating
        (4, 0x40, ("short circuit",), (), True),
        (6, 0x10, (), ("cell voltage difference alarm",), False),
        (7, 0x43, (), (), False),
        (9, 0x80, ("fire suppression alarm",), (), True),
        (9, 0x10, ("cell fault",), (), True),
    ],
)
def test_events_by_name(byte, bits, faults, warnings, critical):
    reading = events((byte, bits))
    assert reading.values["fault_codes"] == faults
    assert reading.values["seplos_warnings"] == warnings
    assert [n.code for n in reading.notices] == ["critical_fault_code"] * critical


def test_part_of_the_events_does_not_clear_the_rest():
    # 0x1240 to 0x124F: state and voltage events only.
    request = with_crc(bytes.fromhex("000112400010"))
    answer = with_crc(bytes.fromhex("0001021000"))
    assert heard((request.hex(), answer.hex())).readings == ()


def test_a_large_board_does_not_give_its_current():
    body = bytearray.fromhex(PACK[1])[:-2]
    body[3 + 30 : 3 + 34] = bytes.fromhex("012C012C")
    found = heard((PACK[0], with_crc(bytes(body)).hex()))
    (reading,) = found.readings
    assert "current_a" not in reading.values and reading.values["voltage_v"] == 53.25
    assert [n.code for n in reading.notices] == ["current_unit_unknown"]
    names = [r.name for r in protocol("seplos_v3").requests(reading.values)]
    assert "system" in names
    assert "system" not in [r.name for r in protocol("seplos_v3").requests({})]


def test_several_packs_do_not_pass_for_one():
    body = bytearray.fromhex(SYSTEM[1])[:-2]
    body[3 + 45] = 2
    (reading,) = heard((SYSTEM[0], with_crc(bytes(body)).hex())).readings
    assert "voltage_v" not in reading.values
    assert reading.values["seplos_system_voltage_v"] == 53.25
    assert reading.values["seplos_n_packs"] == 2.0


def test_cells_that_are_not_there():
    body = bytearray.fromhex(CELLS[1])[:-2]
    body[3 + 4 : 3 + 6] = b"\0\0"
    body[3 + 16 : 3 + 32] = bytes(16)
    (reading,) = heard((CELLS[0], with_crc(bytes(body)).hex())).readings
    cells = reading.values["cell_voltage_v"]
    assert len(cells) == 8 and math.isnan(cells[2]) and cells[3] == 3.328


def test_answers_without_requests_that_could_be_two_things_are_rejected():
    for body in (bytes([0, 4, 0x34]) + bytes(52), bytes([0, 1, 10]) + b"\xff" * 10):
        found = unasked(with_crc(body))
        assert found.readings == () and len(found.rejected) == 1
    for _, answer in (SYSTEM, PACK, CELLS, VERSIONS, INVERTER):
        found = unasked(bytes.fromhex(answer))
        assert len(found.readings) == 1 and found.rejected == ()


def test_the_capacity_setting():
    # 0x1358 of the capture's second block of settings, here in the whole block.
    words = [0] * 0x6A
    words[1], words[0x58], words[0x59] = 16, 0x80E8, 0x80E8
    data = b"".join(w.to_bytes(2, "big") for w in words)
    request = with_crc(bytes.fromhex("00041300006A"))
    answer = with_crc(bytes([0, 4, len(data)]) + data)
    (reading,) = heard((request.hex(), answer.hex())).readings
    assert reading.message == "settings"
    assert reading.values["design_capacity_ah"] == 330.0
    assert reading.values["seplos_n_cells"] == 16.0


def test_addresses():
    assert protocol("seplos_v3", address=15).device == "15"
    assert protocol("seplos_v3", address=15).probes[0].data[0] == 15
    with pytest.raises(InputError):
        protocol("seplos_v3", address=128)
