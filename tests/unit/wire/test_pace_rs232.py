"""Pace: the frames that esphome-pace-bms gives as examples of version 25."""

import pytest

from battlife.errors import InputError
from battlife.model import Frame
from battlife.wire import decode, protocol
from battlife.wire.pace_rs232 import COMMANDS, VERSION, alarms, analog

ANALOG = (
    b"~25014600F07A0001100CC70CC80CC70CC70CC70CC50CC60CC70CC70CC60CC70CC60CC60CC70CC6"
    b"0CC7060B9B0B990B990B990BB30BBCFF1FCCCD12D303286A008C2710E1E4\r"
)
ALARMS = (
    b"~25014600004C00011000000000000000000000000000000000060000000000000000000"
    b"0000E000000000000EF3A\r"
)
SOFTWARE = b"~25014600602850313653313030412D313831322D312E30302000F58E\r"
SERIAL = (
    b"~25014600B05031383132313031333830333039442020202020202020202020202020202020"
    b"202020202020202020EE0F\r"
)
ASK = {c.name: c.request(VERSION, 1, 1).data for c in COMMANDS}


def said(answer: bytes, asked: str):
    frames = [
        Frame(0.0, "line", "tx", ASK[asked]),
        Frame(0.1, "line", "rx", answer),
    ]
    return decode(protocol("pace_rs232", address=1), frames)


def test_the_requests_are_those_of_the_examples():
    assert ASK == {
        "analog": b"~25014642E00201FD30\r",
        "alarms": b"~25014644E00201FD2E\r",
        "software": b"~250146C10000FD9A\r",
        "serial_number": b"~250146C20000FD99\r",
    }


def test_analog():
    (reading,) = said(ANALOG, "analog").readings
    assert (reading.device, reading.raw) == ("1", ANALOG)
    values = reading.values
    assert values["cell_voltage_v"][:2] == (3.271, 3.272)
    assert len(values["cell_voltage_v"]) == 16
    assert sum(values["cell_voltage_v"]) == pytest.approx(52.429, abs=0.2)
    assert values["voltage_v"] == 52.429 and values["current_a"] == -2.25
    assert values["remaining_capacity_ah"] == 48.19
    assert values["full_capacity_ah"] == 103.46
    assert values["design_capacity_ah"] == 100.0 and values["cycle_count"] == 140
    assert values["temperature_degc"] == (24.1, 23.9, 23.9, 23.9)
    assert values["pace_mosfet_temperature_degc"] == 26.5
    assert values["pace_ambient_temperature_degc"] == 27.4


def test_alarms():
    (reading,) = said(ALARMS, "alarms").readings
    assert reading.values["fault_codes"] == () and reading.notices == ()
    assert reading.values["charge_enabled"] is True
    assert reading.values["discharge_enabled"] is True
    assert reading.values["balancing"] is False


def test_alarms_by_name():
    info = bytearray.fromhex(ALARMS[13:-5].decode())
    info[29:31] = 0x40, 0x01  # short circuit; charge over-temperature
    info[3] = 0xF0
    loud = alarms(bytes(info))
    assert loud.values["fault_codes"] == (
        "cell 1 voltage other fault",
        "short circuit protection",
        "charge over-temperature protection",
    )
    assert len(loud.notices) == 2


def test_texts():
    values = said(SOFTWARE, "software").merged()
    assert values["software_version"] == "P16S100A-1812-1.00"
    values = said(SERIAL, "serial_number").merged()
    assert values == {"pace_bms_serial_number": "1812101380309D"}


def test_another_makers_layout_is_refused():
    info = bytearray.fromhex(ANALOG[13:-5].decode())
    info[-7] = 4
    with pytest.raises(Exception, match="4 items"):
        analog(bytes(info))


def test_an_address_that_is_none():
    with pytest.raises(InputError):
        protocol("pace_rs232", address=16)
