"""Frames of an RT12100G31: aiobmsble docs/pylontech_bms.md and tests/bms."""

import pytest

from battlife.errors import InputError
from battlife.model import Frame
from battlife.wire import decode, protocol

ANSWER = "01031A052CFFD00CF00CEF00960096005B0063003F00000B9003E803E845D8"


def conversation(request, answer):
    return [
        Frame(0.0, "line", "tx", bytes.fromhex(request)),
        Frame(0.1, "line", "rx", bytes.fromhex(answer)),
    ]


def only(request, answer):
    found = decode(protocol("pylontech_modbus"), conversation(request, answer))
    assert found.rejected == ()
    (reading,) = found.readings
    return reading


def test_a_real_pack():
    reading = only("01031016000D610B", ANSWER)
    assert reading.message == "pack" and reading.device == "1"
    assert reading.values == {
        "voltage_v": 13.24,
        "current_a": -4.8,
        "pylontech_cell_voltage_max_v": 3.312,
        "pylontech_cell_voltage_min_v": 3.311,
        "pylontech_temperature_max_degc": 15.0,
        "pylontech_temperature_min_degc": 15.0,
        "soc": 0.91,
        "reported_soh": 0.99,
        "pylontech_energy_counter_wh": 296000.0,
        "pylontech_current_limit_a": 100.0,
        "design_capacity_ah": 100.0,
    }


def test_temperatures_below_zero():
    cold = "01031A052CFFD00CF00CEFFFECFFEC005B0063003F00000B9003E803E8BD16"
    values = only("01031016000D610B", cold).values
    assert values["pylontech_temperature_min_degc"] == -2.0


def test_a_serial_number():
    answer = "0103104132333130313530303030303030303185 04"
    reading = only("0103200000084FCC", answer)
    assert reading.values == {"serial_number": "A231015000000001"}
    none = only("0103200000084FCC", "010310" + "00" * 16 + "E459")
    assert none.message == "serial" and none.values == {}


def test_requests_are_those_of_the_sources():
    requests = protocol("pylontech_modbus").requests({})
    assert [r.data.hex().upper() for r in requests] == [
        "01031016000D610B",
        "0103200000084FCC",
    ]


def test_the_address_is_that_of_the_answers():
    with pytest.raises(InputError):
        protocol("pylontech_modbus", address=0)
    device = protocol("pylontech_modbus", address=7)
    assert device.device == "7" and device.permitted[0].data[0] == 7
