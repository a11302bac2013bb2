"""Frames of Pylontech US5000, both dialects: setfirelabs.com, "Pylontech battery CAN
comms v1.2 vs v1.3". The other frames are built by hand from the scales."""

import math
import random

import pytest

from battlife.errors import ProtocolError
from battlife.model import Allow, Frame, Reading, Rejected
from battlife.wire import decode, protocol
from battlife.wire.lv_can import BROADCASTS


def frame(identifier, text, time_s=0.0, **changes):
    given = {"direction": "rx", "extended": False} | changes
    return Frame(
        time_s,
        "can0",
        given["direction"],
        bytes.fromhex(text),
        identifier,
        given["extended"],
    )


def only(identifier, text):
    found = decode(protocol("lv_can"), [frame(identifier, text)])
    assert not found.rejected
    (reading,) = found.readings
    return reading


OLD = [
    (0x351, "1402C012C012C201"),
    (0x355, "58005E00"),
    (0x356, "7A13F2FE6B01"),
    (0x359, "0000000006504E"),
    (0x35C, "C000"),
    (0x35E, "50594C4F4E202020"),
]
NEW = [
    (0x351, "1002C012C012C201"),
    (0x355, "540060000000"),
    (0x356, "7B13E9FE6B01"),
    (0x35A, "0000000000000000"),
    (0x35E, "50594C4F4E202020"),
    (0x35F, "4C4901033C02AA00"),
]


def test_the_older_dialect_of_a_real_pack():
    merged = decode(protocol("lv_can"), [frame(*f) for f in OLD]).merged()
    assert merged == {
        "lv_charge_voltage_limit_v": 53.2,
        "lv_charge_current_limit_a": 480.0,
        "lv_discharge_current_limit_a": 480.0,
        "lv_discharge_voltage_limit_v": 45.0,
        "soc": 0.88,
        "reported_soh": 0.94,
        "voltage_v": 49.86,
        "current_a": -27.0,
        "temperature_degc": (36.3,),
        "fault_codes": (),
        "lv_warnings": (),
        "lv_n_modules": 6.0,
        "charge_enabled": True,
        "discharge_enabled": True,
        "lv_force_charge_requested": False,
        "lv_full_charge_requested": False,
        "lv_maker": "PYLON",
    }


def test_the_newer_dialect_of_a_real_pack():
    merged = decode(protocol("lv_can"), [frame(*f) for f in NEW]).merged()
    assert merged["soc"] == 0.84  # the fine value it does not have is 0
    assert merged["reported_soh"] == 0.96
    assert merged["voltage_v"] == 49.87
    assert merged["current_a"] == -27.9
    assert merged["fault_codes"] == ()
    assert merged["lv_chemistry"] == "LI"
    assert merged["lv_bms_version"] == "0103"
    assert merged["lv_capacity_ah"] == 572.0


def test_a_fine_state_of_charge_is_taken_where_it_fits_the_coarse_one():
    assert only(0x355, "5800640060220000").values["soc"] == pytest.approx(0.88)
    assert only(0x355, "5800640088220000").values["soc"] == pytest.approx(0.8840)
    assert only(0x355, "58006400D2040000").values["soc"] == 0.88


def test_extremes_are_millivolts_and_kelvin():
    values = only(0x373, "B80CEA0C22012B01").values
    assert values == {
        "lv_cell_voltage_min_v": 3.256,
        "lv_cell_voltage_max_v": 3.306,
        "lv_temperature_min_degc": 17.0,
        "lv_temperature_max_degc": 26.0,
    }
    assert only(0x373, "0000000000000000").values == {}


@pytest.mark.parametrize(
    ("identifier", "text", "faults", "critical"),
    [
        (0x359, "08000000 01504E", ("over-temperature",), True),
        (0x359, "8601 0000 01", None, False),
        (0x35A, "0400000000000000", ("over-voltage",), False),
        (0x35A, "0800000000000000", (), False),  # 10 says: not active
        (0x35A, "0000100000000000", ("short circuit",), True),
        (0x35A, "0000400000000000", ("internal fault",), True),
    ],
)
def test_faults_by_name(identifier, text, faults, critical):
    reading = only(identifier, text)
    if faults is None:
        faults = (
            "over-voltage",
            "under-voltage",
            "discharge over-current",
            "charge over-current",
        )
    assert reading.values["fault_codes"] == faults
    assert [n.code for n in reading.notices] == ["critical_fault_code"] * critical


def test_warnings_are_no_faults():
    assert only(0x359, "00000800").values["lv_warnings"] == ("over-temperature",)
    reading = only(0x35A, "0000000040000000")
    assert reading.values["fault_codes"] == ()
    assert reading.values["lv_warnings"] == ("over-temperature",)
    assert reading.notices == ()


def test_sentinels_are_absent():
    assert only(0x355, "FFFFFFFF").values == {}
    values = only(0x356, "FFFFFF7FFF7F").values
    assert values == {}
    assert only(0x378, "0000000000000000").values == {}
    assert only(0x379, "0000").values == {}


def test_a_serial_number_is_one_reading_of_two_frames():
    frames = [frame(0x380, b"AB123456".hex()), frame(0x381, b"7890\0\0\0\0".hex(), 0.1)]
    (reading,) = decode(protocol("lv_can"), frames).readings
    assert reading.message == "serial"
    assert reading.values == {"serial_number": "AB1234567890"}
    assert reading.raw == frames[0].data + frames[1].data
    assert decode(protocol("lv_can"), frames[1:]).readings == ()
    late = [frames[0], frame(0x381, b"7890".hex(), 60.0)]
    assert decode(protocol("lv_can"), late).readings == ()


@pytest.mark.parametrize("identifier", sorted(BROADCASTS))
def test_a_short_frame_is_rejected_with_its_name(identifier):
    broadcast = BROADCASTS[identifier]
    data = bytes(broadcast.length - 1).hex()
    found = decode(protocol("lv_can"), [frame(identifier, data)])
    assert found.readings == ()
    (rejected,) = found.rejected
    assert rejected.message == broadcast.name
    assert isinstance(rejected.error, ProtocolError) and rejected.error.hint


def test_an_impossible_state_of_charge_is_rejected():
    found = decode(protocol("lv_can"), [frame(0x355, "A0006400")])
    assert found.readings == () and found.rejected[0].message == "soc"


def test_other_traffic_says_nothing():
    frames = [
        frame(0x351, "1402C012C012C201", extended=True),
        frame(0x351, "1402C012C012C201", direction="tx"),
        frame(0x7FD, b"BL-SIMUL".hex()),
        frame(0x305, "00" * 8),
        Frame(0.0, "can0", "rx", b"", 0x351, kind="error"),
    ]
    found = decode(protocol("lv_can"), frames)
    assert found.readings == () and found.rejected == ()


def test_any_frame_gives_a_reading_or_a_typed_error():
    rng = random.Random(1)
    for identifier in [*BROADCASTS, 0x370, 0x371, 0x380, 0x381]:
        for _ in range(200):
            data = rng.randbytes(rng.randrange(9)).hex()
            found = decode(protocol("lv_can"), [frame(identifier, data)])
            for item in (*found.readings, *found.rejected):
                assert isinstance(item, Reading | Rejected)
            for reading in found.readings:
                for value in reading.values.values():
                    if isinstance(value, float):
                        assert math.isfinite(value)


def test_the_heartbeat_is_all_that_may_be_sent():
    wire = protocol("lv_can")
    assert [r.identifier for r in wire.permitted] == [0x305]
    assert wire.permitted[0].allow is Allow.WAKE
    assert wire.requests({}) == () and wire.probes == ()
