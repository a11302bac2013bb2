"""Frames of aiobmsble tests/bms/test_renogy_bms.py (an RBT100LFP12-BT)."""

import pytest

from battlife.errors import InputError
from battlife.model import Frame
from battlife.wire import decode, protocol
from battlife.wire.modbus_messages import with_crc

PACK = ("300313B20007A48A", "30030EFFAA008800017BB0000186A0000FE01E")
CELLS = (
    "300313880022455C",
    "3003440004002300210021002100000000000000000000000000000000000000000000000000"
    "0200AA00AA" + "0000" * 14 + "2574",
)
STATUS = ("300313EC0008855C", "3003100000000000000000000000000000000096A1")
IDENTITY = (
    "300313F0001C4495",
    "3003380000000000060000000000C8323032313035323600000000000000002020202020202020"
    "5242543130304C465031322D425420203031303055 2F",
)


def decoded(*pairs):
    frames = []
    for request, answer in pairs:
        frames.append(Frame(0.0, "line", "tx", bytes.fromhex(request)))
        frames.append(Frame(0.1, "line", "rx", bytes.fromhex(answer)))
    return decode(protocol("renogy_modbus"), frames)


def status(*words):
    data = b"".join(w.to_bytes(2, "big") for w in words)
    answer = with_crc(bytes([0x30, 3, len(data)]) + data)
    (reading,) = decoded((STATUS[0], answer.hex())).readings
    return reading


def test_a_real_pack():
    found = decoded(PACK, CELLS, STATUS)
    assert found.rejected == ()
    assert [r.message for r in found.readings] == ["pack", "cells", "status"]
    assert {r.device for r in found.readings} == {"48"}
    assert found.merged() == {
        "current_a": -0.86,
        "voltage_v": 13.6,
        "remaining_capacity_ah": 97.2,
        "full_capacity_ah": 100.0,
        "cycle_count": 15.0,
        "cell_voltage_v": (3.5, 3.3, 3.3, 3.3),
        "temperature_degc": (17.0, 17.0),
        "charge_enabled": False,
        "discharge_enabled": False,
        "renogy_fully_charged": False,
        "renogy_heating": False,
        "renogy_warnings": (),
        "fault_codes": (),
    }


def test_its_identity():
    found = decoded(IDENTITY)
    assert found.rejected == ()
    values = {r.message: r.values for r in found.readings}
    assert values["identity"] == {
        "serial_number": "20210526",
        "hardware_version": "RBT100LFP12-BT",
        "software_version": "0100",
    }
    # The same read has the two status words, but not the alarms of the cells.
    assert values["status"]["charge_enabled"] is True
    assert "fault_codes" not in values["status"]


def test_faults_by_name():
    reading = status(0, 0b1001, 0, 0b01, 0, 0, 0x0001 | 0x0100 | 0x0006, 0x2002)
    assert reading.values["fault_codes"] == (
        "short circuit",
        "cell over-voltage",
        "cell 1 voltage below its limit",
        "cell 2 voltage above its limit",
        "cell 1 temperature below its limit",
    )
    assert reading.values["charge_enabled"] and reading.values["discharge_enabled"]
    assert reading.values["renogy_heating"]
    assert reading.values["renogy_warnings"] == ("cell voltage high",)
    assert [n.code for n in reading.notices] == ["critical_fault_code"]


def test_everything_set():
    reading = status(*[0xFFFF] * 8)
    assert len(reading.values["fault_codes"]) == 13 + 16 + 16
    assert len(reading.values["renogy_warnings"]) == 8


def test_more_cells_than_it_can_have_is_rejected():
    data = (17).to_bytes(2, "big") + bytes(66)
    answer = with_crc(bytes([0x30, 3, len(data)]) + data)
    found = decoded((CELLS[0], answer.hex()))
    assert found.readings == () and found.rejected[0].message == "cells"


def test_requests_are_those_of_the_sources():
    requests = protocol("renogy_modbus").requests({})
    assert [r.data.hex().upper() for r in requests] == [
        PACK[0],
        CELLS[0],
        STATUS[0],
        IDENTITY[0],
    ]
    assert protocol("renogy_modbus", address=247).device == "247"
    with pytest.raises(InputError):
        protocol("renogy_modbus", address=248)
