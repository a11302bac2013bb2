"""JK display port: the traffic of a real device (esphome-jk-bms, Apache-2.0)."""

import pytest

from battlife.model import SIMULATED_LINE, Frame
from battlife.wire import decode, protocol
from support import DATASETS

DISPLAY = protocol("jk_display")
LINES = [
    bytes.fromhex(line.replace(":", ""))
    for line in (DATASETS / "captures/jk/traffic.log").read_text().split()
]
STATUS = LINES[0]


def said(*chunks: bytes):
    return decode(
        DISPLAY, [Frame(float(i), "p", "rx", c) for i, c in enumerate(chunks)]
    )


def changed(word: int, value: int) -> bytes:
    at = 6 + 2 * word
    return STATUS[:at] + value.to_bytes(2, "big") + STATUS[at + 2 :]


def test_a_status_of_the_capture():
    (reading,) = said(STATUS).readings
    assert reading.message == "status" and reading.raw == STATUS
    assert reading.values == {
        "voltage_v": 52.53,
        "current_a": 0.0,
        "soc": 0.99,
        "temperature_degc": (24.0,),
        "jk_mosfet_temperature_degc": 26.0,
        "jk_balance_switch": False,
        "charge_enabled": True,
        "discharge_enabled": True,
        "fault_codes": (),
        "cell_voltage_v": (
            *(4.048, 4.045, 4.049, 4.147, 4.143, 3.932, 3.923),
            *(4.035, 4.034, 4.047, 4.033, 4.047, 4.048),
        ),
    }


def test_the_whole_capture():
    """417 lines, 17 of them status messages; the rest are colours of the screen."""
    found = said(*LINES)
    assert len(LINES) == 417 and found.rejected == ()
    assert len(found.readings) == 17
    for reading in found.readings:
        assert sum(reading.values["cell_voltage_v"]) == pytest.approx(52.53, abs=0.012)


def test_fragments_junk_and_mark_change_nothing():
    stream = b"\xa5\xa5\x00" + SIMULATED_LINE + b"".join(LINES[:40])
    whole = said(stream)
    split = said(*(bytes([b]) for b in stream))
    assert [r.values for r in whole.readings] == [r.values for r in split.readings]
    assert len(whole.readings) == 2
    for length in range(len(STATUS)):
        assert said(STATUS[:length]).readings == ()


def test_cells_that_contradict_their_average_are_refused():
    for word in range(12, 25):
        for bit in range(7, 16):
            cell = int.from_bytes(STATUS[6 + 2 * word : 8 + 2 * word], "big")
            (rejected,) = said(changed(word, cell ^ 1 << bit)).rejected
            assert "where its cells give" in rejected.error.message
    (rejected,) = said(changed(36, 2)).rejected
    assert "neither 0 nor 1" in rejected.error.message


def test_a_message_that_lost_bytes_does_not_take_them_from_the_next():
    for start in range(4, 90, 5):
        for n_lost in (1, 2, 8, 40):
            damaged = STATUS[:start] + STATUS[start + n_lost :]
            (reading,) = said(damaged + LINES[1] + STATUS).readings
            assert reading.raw == STATUS


def test_signs_and_faults():
    (reading,) = said(changed(1, 0x10000 - 65)).readings
    assert reading.values["current_a"] == -6.5
    (reading,) = said(changed(6, 0x10000 - 7)).readings
    assert reading.values["temperature_degc"] == (-7.0,)
    (reading,) = said(changed(41, 1)).readings
    assert reading.values["fault_codes"] == ("short circuit",)
    assert [n.code for n in reading.notices] == ["critical_fault_code"]


def test_nothing_is_ever_sent():
    assert DISPLAY.permitted == () and DISPLAY.requests({}) == ()
    assert DISPLAY.signature == ("status",)
