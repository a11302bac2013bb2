"""Diagnostic answers: refusals and trouble codes."""

import pytest

from battlife.errors import ProtocolError
from battlife.wire import uds


@pytest.mark.parametrize(
    ("code", "text"),
    [
        # Battery-Emulator test/battery/NissanLeafTest.cpp
        ("D00000", "U1000"),
        ("33D700", "P33D7"),
        ("D0002F", "U1000-2F"),
        # SAE J2012: two bits choose the letter
        ("0AA600", "P0AA6"),
        ("400100", "C0001"),
        ("9B4E12", "B1B4E-12"),
    ],
)
def test_codes_as_they_are_printed(code, text):
    assert uds.dtc_text(bytes.fromhex(code)) == text


def test_codes_whose_test_never_ran_are_not_present():
    ran, never = uds.trouble_codes(bytes.fromhex("5902FF33D7000933D90040"))
    assert ran.present and ran.text == "P33D7"
    assert not never.present


def test_no_codes_is_an_answer_too():
    # BMS of a Kona, hyundai-kona-ev-can-logs 221210-1
    assert uds.trouble_codes(bytes.fromhex("5902FF")) == ()


@pytest.mark.parametrize("data", ["5902", "5902FF33D7", "5902FF33D70009AA"])
def test_a_list_that_ends_within_a_code(data):
    with pytest.raises(ProtocolError, match="ends within"):
        uds.trouble_codes(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("7F1811", "service 18: service not supported"),
        ("7F2231", "request out of range"),
        ("7F227F", "service not supported in active session"),
        ("7F2299", "does not name"),
        ("7F22", "without a reason"),
    ],
)
def test_refusals_say_what_was_refused_and_why(data, words):
    error = uds.refusal(bytes.fromhex(data))
    assert words in error.message and error.hint


def test_pending_is_not_the_answer():
    assert uds.is_pending(bytes.fromhex("7F2278"))
    assert not uds.is_pending(bytes.fromhex("7F2231"))
    assert not uds.is_pending(bytes.fromhex("6201787878"))


def test_how_an_answer_begins():
    assert uds.head(bytes.fromhex("220101")) == bytes.fromhex("620101")
    assert uds.head(bytes.fromhex("2161")) == bytes.fromhex("6161")
    assert uds.head(bytes.fromhex("19020F")) == bytes.fromhex("5902")
    assert uds.head(bytes.fromhex("14FFFFFF")) == b"\x54"
