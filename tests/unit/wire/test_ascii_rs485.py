"""What a line does to ASCII frames: fragments, noise, echoes, damage."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from battlife.model import SIMULATED_LINE, Frame
from battlife.wire import decode, protocol
from battlife.wire.ascii_rs485 import (
    RETURN_CODES,
    build,
    celsius,
    length_field,
    look,
    parse,
)

# Real frames; see the tests of the three families.
PYLONTECH = (
    b"~20024600F07A11020F0CC50CC30CC50CC40CC40CC60CC50CC40CC70CC50CC60CC60CC50CC60CC6"
    b"050B370B230B230B2D0B2DFFE0BF8DFFFF04FFFF001B00BBE4012110E1D6\r"
)
SEPLOS = (
    b"~2000460010960001100CD70CE90CF40CD60CEF0CE50CE10CDC0CE90CF00CE80CEF0CEA0CDA0CDE"
    b"0CD8060BA60BA00B970BA60BA50BA2FD5C14A0344E0A426803134650004603E8149F0000000000"
    b"000000DC6C\r"
)
PACE = (
    b"~25014600F07A0001100CC70CC80CC70CC70CC70CC50CC60CC70CC70CC60CC70CC60CC60CC70CC6"
    b"0CC7060B9B0B990B990B990BB30BBCFF1FCCCD12D303286A008C2710E1E4\r"
)
FAMILIES = {
    "pylontech_rs485": (2, PYLONTECH, b"~20024642E00202FD33\r"),
    "seplos_v2": (0, SEPLOS, b"~20004642E00200FD37\r"),
    "pace_rs232": (1, PACE, b"~25014642E00201FD30\r"),
}
EVERY = pytest.mark.parametrize("family", FAMILIES)


def frames(*runs: bytes) -> list[Frame]:
    """Return received runs; one with ">" in front was sent."""
    return [
        Frame(i / 1000, "line", "tx", run[1:])
        if run[:1] == b">"
        else Frame(i / 1000, "line", "rx", run)
        for i, run in enumerate(runs)
    ]


def said(family: str, *runs: bytes):
    return decode(protocol(family, address=FAMILIES[family][0]), frames(*runs))


def test_the_frame_of_the_vendors_example():
    # Seplos V2.0, 3.3 and 3.2.2: the checksum, and the length checksum of 18.
    assert look(b"~1203400456ABCEFEFC72\r").verdict == "wrong"  # its LENGTH is fancy
    assert length_field(18) == 0xD012 and length_field(0) == 0
    assert build(0x20, 2, 0x42, b"\x02") == b"~20024642E00202FD33\r"
    frame = parse(PYLONTECH)
    assert (frame.version, frame.address, frame.cid1, frame.code) == (0x20, 2, 0x46, 0)
    assert len(frame.info) == 0x7A // 2


def test_no_temperature_is_nan():
    assert celsius(2731) == 0.0 and celsius(2871) == 14.0
    assert celsius(0) != celsius(0) and celsius(0xFFFF) != celsius(0xFFFF)


@EVERY
def test_echo_junk_and_mark_change_nothing(family):
    _, answer, ask = FAMILIES[family]
    (clean,) = said(family, answer).readings
    for stream in (
        (b">" + ask, answer),
        (b">" + ask, ask + answer),
        (ask + answer,),
        (SIMULATED_LINE + answer,),
        (b"\x00\xff~~20\r\n~2", answer),
        (b">" + ask, b"\n" + answer[:50], answer[50:]),
    ):
        result = said(family, *stream)
        assert [(r.values, r.raw) for r in result.readings] == [(clean.values, answer)]


@EVERY
@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(1, 200), max_size=12))
def test_any_fragmentation(family, cuts):
    _, answer, ask = FAMILIES[family]
    stream = ask + answer + b"\r\n" + ask + answer
    edges = [0, *sorted({c for c in cuts if c < len(stream)}), len(stream)]
    pieces = [stream[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    assert b"".join(pieces) == stream
    result = said(family, *pieces)
    (one,) = said(family, ask, answer).readings
    assert [r.values for r in result.readings] == [one.values] * 2
    assert not result.rejected


@EVERY
def test_every_flipped_bit(family):
    _, answer, ask = FAMILIES[family]
    (true,) = said(family, answer).readings
    n_rejected = 0
    for i in range(len(answer) * 8):
        damaged = bytearray(answer)
        damaged[i // 8] ^= 1 << i % 8
        result = said(family, b">" + ask, bytes(damaged), b">" + ask, answer)
        # Only the whole one is believed, or a letter changed its case.
        assert {tuple(r.values.items()) for r in result.readings} == {
            tuple(true.values.items())
        }
        assert len(result.readings) == 1 or answer[i // 8] ^ damaged[i // 8] == 0x20
        n_rejected += len(result.rejected)
    assert n_rejected > 0.9 * len(answer) * 8


@EVERY
def test_every_truncation(family):
    _, answer, ask = FAMILIES[family]
    for length in range(len(answer)):
        assert not said(family, b">" + ask, answer[:length]).readings
        # What follows a cut-off answer is understood.
        result = said(family, b">" + ask, answer[:length], b">" + ask, answer)
        assert len(result.readings) == 1


@EVERY
def test_a_lost_byte_anywhere(family):
    _, answer, ask = FAMILIES[family]
    for i in range(len(answer)):
        damaged = answer[:i] + answer[i + 1 :]
        assert not said(family, b">" + ask, damaged).readings


@EVERY
def test_answers_of_the_other_families_are_not_taken(family):
    address = FAMILIES[family][0]
    for other, (_, answer, _) in FAMILIES.items():
        if other == family:
            continue
        asked = build(0x20, parse(answer).address, 0x42, bytes([address]))
        result = said(family, b">" + asked, answer)
        assert not result.readings and len(result.rejected) == 1
        assert not said(family, answer).readings


@EVERY
@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 0x90, 0x91, 0xE4])
def test_return_codes_have_a_meaning(family, code):
    address, _, ask = FAMILIES[family]
    (rejected,) = said(family, b">" + ask, build(0x20, address, code)).rejected
    assert RETURN_CODES[code] in rejected.error.message
    assert (rejected.message, rejected.device) == ("analog", str(address))


@EVERY
def test_noise_says_nothing(family):
    noise = random.Random(7).randbytes(200_000)
    digits = b"~" + bytes(random.Random(8).choices(b"0123456789ABCDEF", k=100_000))
    assert not said(family, noise[:100_000], noise[100_000:], digits, digits).readings
