"""Seplos v2: the frame of esphome-seplos-bms with the values its comment states."""

import pytest

from battlife.errors import InputError
from battlife.model import Frame
from battlife.wire import decode, protocol
from battlife.wire.ascii_rs485 import WrongShapeError
from battlife.wire.seplos_v2 import COMMANDS, VERSION, alarms, analog

REAL = (
    b"~2000460010960001100CD70CE90CF40CD60CEF0CE50CE10CDC0CE90CF00CE80CEF0CEA0CDA0CDE"
    b"0CD8060BA60BA00B970BA60BA50BA2FD5C14A0344E0A426803134650004603E8149F0000000000"
    b"000000DC6C\r"
)
ASK, ASK_ALARMS = (c.request(VERSION, 0, 0).data for c in COMMANDS[:2])


def said(answer: bytes, sent: bytes = b""):
    sent_frames = [Frame(0.0, "line", "tx", sent)] if sent else []
    frames = [*sent_frames, Frame(0.1, "line", "rx", answer)]
    return decode(protocol("seplos_v2"), frames)


def test_the_requests_are_those_of_the_vendor():
    # SEPLOS BMS Communication Protocol V2.0, tables 7 and 10.
    assert ASK == b"~20004642E00200FD37\r" and ASK_ALARMS == b"~20004644E00200FD35\r"
    eleven = protocol("seplos_v2", address=11).permitted
    assert [r.data for r in eleven[:2]] == [
        bytes.fromhex("7E3230304234363432453030323042464431330D"),
        bytes.fromhex("7E3230304234363434453030323042464431310D"),
    ]


@pytest.mark.parametrize("sent", [ASK, b""])
def test_the_real_frame(sent):
    (reading,) = said(REAL, sent).readings
    assert (reading.device, reading.message, reading.raw) == ("0", "analog", REAL)
    values = reading.values
    assert values["cell_voltage_v"] == (
        3.287,
        3.305,
        3.316,
        3.286,
        3.311,
        3.301,
        3.297,
        3.292,
        3.305,
        3.312,
        3.304,
        3.311,
        3.306,
        3.290,
        3.294,
        3.288,
    )
    assert values["temperature_degc"] == (25.1, 24.5, 23.6, 25.1)
    assert values["seplos_ambient_temperature_degc"] == 25.0
    assert values["seplos_power_temperature_degc"] == 24.7
    assert values["current_a"] == -6.76 and values["voltage_v"] == 52.80
    assert values["remaining_capacity_ah"] == 133.90
    assert values["full_capacity_ah"] == 170.0
    assert values["design_capacity_ah"] == 180.0
    assert values["soc"] == 0.787 and values["reported_soh"] == 1.0
    assert values["cycle_count"] == 70 and values["seplos_port_voltage_v"] == 52.79


def test_it_is_no_answer_about_alarms():
    result = said(REAL, ASK_ALARMS)
    assert not result.readings
    assert [r.message for r in result.rejected] == ["alarms"]


def alarm_info(**items: int) -> bytes:
    """Return an INFO as table 11 of the vendor's protocol lays it out."""
    item = bytearray(20)
    for name, value in items.items():
        item[int(name[1:])] = value
    return bytes([0, 0, 16, *bytes(16), 6, *bytes(6), 0, 0, 20, *item])


def test_alarms_by_name():
    quiet = alarms(alarm_info(_6=0b11))
    assert quiet.values["fault_codes"] == () and quiet.notices == ()
    assert quiet.values["charge_enabled"] is True
    assert quiet.values["discharge_enabled"] is True
    assert quiet.values["balancing"] is False
    loud = alarms(alarm_info(_1=0b1010, _4=0x20, _6=1, _7=4, _11=1, _3=0x40))
    assert loud.values["fault_codes"] == (
        "cell over-voltage protection",
        "cell under-voltage protection",
        "output short circuit protection",
        "cell 9 disconnected",
    )
    assert [n.code for n in loud.notices] == ["critical_fault_code"] * 2
    assert loud.values["charge_enabled"] is False
    assert loud.values["seplos_balancing_cells"][:4] == (0.0, 0.0, 1.0, 0.0)
    assert loud.values["seplos_heating"] is True
    assert len(alarm_info()) == 49  # as the vendor's document states


@pytest.mark.parametrize("cut", range(49))
def test_a_cut_off_info_says_nothing(cut):
    with pytest.raises(WrongShapeError):
        alarms(alarm_info()[:cut])
    with pytest.raises(WrongShapeError):
        analog(bytes.fromhex(REAL[13:-5].decode())[:cut])


def test_an_address_that_is_none():
    with pytest.raises(InputError):
        protocol("seplos_v2", address=16)
