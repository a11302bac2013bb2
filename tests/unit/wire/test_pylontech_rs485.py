"""Pylontech: frames of real US2000 and US3000 packs.

FIRST is in protocol notes of the python-pylontech users; the US3000C conversation is
what the ESP32 Pylontech web page answers in its debug view; US2000 and COLD come from
the test of a PHP decoder. Their values were worked out by hand from the layout of
python-pylontech.
"""

import pytest

from battlife.errors import InputError, ProtocolError
from battlife.model import Allow, Frame
from battlife.wire import decode, protocol
from battlife.wire.pylontech_rs485 import COMMANDS, VERSION

FIRST = (
    b"~20024600F07A11020F0CC50CC30CC50CC40CC40CC60CC50CC40CC70CC50CC60CC60CC50CC60CC6"
    b"050B370B230B230B2D0B2DFFE0BF8DFFFF04FFFF001B00BBE4012110E1D6\r"
)
US3000C = (
    b"~20024600F07A00020F0D0B0D0D0D0A0D0E0D0A0D0A0D0A0D0B0D0B0D0B0D0B0D0C0D0A0D0D0D0A"
    b"050BBD0BAE0BAB0BAB0BAD0017C3A7FFFF04FFFF003700C394012110E21E\r"
)
US2000 = (
    b"~20014600C06E11010F0D450D440D450D440D450D440D3E0D450D4A0D4A0D4B0D4A0D4A0D4A0D4A"
    b"050BC30BC30BC30BCD0BCD0000C725BF6802C3500002E553\r"
)
COLD = (
    b"~20024600F07A11020F0CE00CDF0CE50CDF0CE40CE60CE60CE00CD90CDE0CE40CE00CE40CE40CE3"
    b"050B9B0B870B870B870B870004C139FFFF04FFFF00000070BC012110E209\r"
)
ALARMS = b"~20024600A04200020F" + b"0" * 30 + b"05" + b"0" * 18 + b"0E40000000F105\r"
MANAGEMENT = b"~20024600B01402D002AFC80172FE8EC0F91C\r"
PARAMETERS = b"~20024600B032100E420BEA0AF00D030A470384D2F0B3B0A7F80D030A47FC7CF27F\r"
MAKER = b"~20024600C04055533330303043000000010350796C6F6E" + b"2D" * 15 + b"EFC0\r"
SERIAL = b"~20024600C0220248323232303033433332323230343539F6D8\r"
UNKNOWN = b"~200246040000FDAE\r"

REQUESTS = {c.name: c.request(VERSION, 2, 2).data for c in COMMANDS}


def said(answer: bytes, asked: str | None = None, address: int = 2):
    frames = [Frame(0.1, "line", "rx", answer)]
    if asked is not None:
        frames.insert(0, Frame(0.0, "line", "tx", REQUESTS[asked]))
    return decode(protocol("pylontech_rs485", address=address), frames)


def test_the_request_is_the_known_one():
    assert REQUESTS["analog"] == b"~20024642E00202FD33\r"
    wire = protocol("pylontech_rs485")
    assert {r.allow for r in wire.permitted} == {Allow.READ}
    assert set(wire.probes) | set(wire.requests({})) <= set(wire.permitted)


@pytest.mark.parametrize("asked", ["analog", None])
def test_the_first_real_frame(asked):
    (reading,) = said(FIRST, asked).readings
    assert (reading.device, reading.message, reading.raw) == ("2", "analog", FIRST)
    values = reading.values
    assert len(values["cell_voltage_v"]) == 15
    assert values["cell_voltage_v"][:3] == (3.269, 3.267, 3.269)
    assert values["pylontech_bms_temperature_degc"] == 14.0
    assert values["temperature_degc"] == (12.0, 12.0, 13.0, 13.0)
    assert values["current_a"] == -3.2 and values["voltage_v"] == 49.037
    assert values["cycle_count"] == 27 and values["soc"] == 0.65
    assert values["remaining_capacity_ah"] == 48.1
    assert values["full_capacity_ah"] == 74.0
    assert sum(values["cell_voltage_v"]) == pytest.approx(49.037, abs=0.02)


def test_charging_is_positive():
    values = said(US3000C, "analog").merged()
    assert values["current_a"] == 2.3 and values["voltage_v"] == 50.087
    assert sum(values["cell_voltage_v"]) == pytest.approx(50.087, abs=0.02)
    assert values["remaining_capacity_ah"] == 50.068 and values["cycle_count"] == 55


def test_a_pack_of_50_ah_has_no_wide_fields():
    (reading,) = said(US2000).readings
    assert reading.device == "1"
    values = reading.values
    assert values["remaining_capacity_ah"] == 49.0
    assert values["full_capacity_ah"] == 50.0 and values["cycle_count"] == 2
    assert values["voltage_v"] == 50.981 and values["current_a"] == 0.0
    assert values["temperature_degc"] == (28.0, 28.0, 29.0, 29.0)


def test_a_fourth_pack():
    values = said(COLD, "analog").merged()
    assert values["current_a"] == 0.4 and values["voltage_v"] == 49.465
    assert values["remaining_capacity_ah"] == 28.860
    assert values["temperature_degc"] == (22.0,) * 4


def test_the_other_answers():
    alarms = said(ALARMS, "alarms")
    values = alarms.merged()
    assert values["fault_codes"] == () and alarms.readings[0].notices == ()
    assert values["charge_enabled"] is True and values["discharge_enabled"] is True
    values = said(MANAGEMENT, "management").merged()
    assert values["pylontech_charge_voltage_limit_v"] == 53.25
    assert values["pylontech_discharge_voltage_limit_v"] == 45.0
    assert values["pylontech_charge_current_limit_a"] == 37.0
    assert values["pylontech_discharge_current_limit_a"] == -37.0
    assert values["pylontech_charge_allowed"] is True
    values = said(PARAMETERS, "system_parameters").merged()
    assert values["pylontech_cell_high_limit_v"] == 3.65
    assert values["pylontech_charge_high_temperature_degc"] == 60.0
    assert values["pylontech_charge_low_temperature_degc"] == -10.0
    assert values["pylontech_module_under_limit_v"] == 43.0
    values = said(MAKER, "manufacturer").merged()
    assert values["hardware_version"] == "US3000C"
    assert values["pylontech_manufacturer"] == "Pylon"
    values = said(SERIAL, "serial_number").merged()
    assert values["serial_number"] == "H222003C32220459"


def test_an_alarm_is_told_by_name_and_heat_forbids_handling():
    # Cell 1 above its limit; status 1 with bits 0 and 6.
    info = bytes.fromhex("00020F02" + "00" * 14 + "05" + "00" * 8 + "41" + "00" * 4)
    said_ = COMMANDS[1].understand(info)
    assert said_.values["fault_codes"] == (
        "cell 1 voltage above upper limit",
        "module over-voltage",
        "charge over-temperature",
    )
    assert [n.code for n in said_.notices] == ["critical_fault_code"]
    assert said_.values["charge_enabled"] is False


def test_an_error_answers_what_was_asked():
    result = said(UNKNOWN, "management")
    (rejected,) = result.rejected
    assert (rejected.device, rejected.message) == ("2", "management")
    assert isinstance(rejected.error, ProtocolError)
    assert "does not know the command" in rejected.error.message
    assert rejected.error.hint and not result.readings


def test_an_answer_to_something_else_is_not_believed():
    result = said(FIRST, "alarms")
    assert not result.readings
    assert [r.message for r in result.rejected] == ["alarms"]
    assert not said(MANAGEMENT).readings  # without its request it could be anything


def test_two_packs_answer_between_each_other():
    other = US2000
    ask_other = COMMANDS[0].request(VERSION, 1, 1).data
    frames = [
        Frame(0.0, "line", "tx", REQUESTS["analog"]),
        Frame(0.1, "line", "tx", ask_other),
        Frame(0.2, "line", "rx", FIRST[:40]),
        Frame(0.3, "line", "rx", FIRST[40:] + other),
    ]
    result = decode(protocol("pylontech_rs485", address=2), frames)
    assert [r.device for r in result.readings] == ["2", "1"]
    assert not result.rejected


def test_an_address_that_is_none():
    with pytest.raises(InputError):
        protocol("pylontech_rs485", address=300)
