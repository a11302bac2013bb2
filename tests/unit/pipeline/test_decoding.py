"""Captured text as frames, and bus logs as units that are graded and verified."""

import tomllib
from pathlib import Path

import pytest

from battlife.errors import FormatError, InputError
from battlife.pipeline.decoding import (
    DecodedReader,
    Decoding,
    from_toml,
    to_toml,
)
from battlife.pipeline.sources import LoadOptions, load_units_of
from battlife.pipeline.typed_frames import parse_hex
from battlife.readers import read
from support import DATASETS

RELAY = DATASETS / "captures" / "kona" / "main_relay_on.asc"
DBC = DATASETS / "bus_logs" / "kona" / "pcan.dbc"


@pytest.mark.parametrize(
    ("text", "direction", "identifier", "extended", "data"),
    [
        ("DDA50300FFFD77", "rx", None, False, "DDA50300FFFD77"),
        (">dd a5:03", "tx", None, False, "DDA503"),
        ("< 0xA5 0x40", "rx", None, False, "A540"),
        ("7EC#0462", "rx", 0x7EC, False, "0462"),
        ("18DAF1DB#05.62", "rx", 0x18DAF1DB, True, "0562"),
        ("00000123#01", "rx", 0x123, True, "01"),
        ("1db##1AABB", "rx", 0x1DB, False, "AABB"),
        ("~20024642E00202FD33", "rx", None, False, b"~20024642E00202FD33\r".hex()),
    ],
)
def test_one_frame_as_text(text, direction, identifier, extended, data):
    (frame,) = parse_hex(text)
    assert (frame.direction, frame.identifier, frame.extended) == (
        direction,
        identifier,
        extended,
    )
    assert frame.data == bytes.fromhex(data)
    assert frame.fd == ("##" in text)


def test_several_frames_keep_their_order():
    sent, answer = parse_hex(">0104, <0105")
    assert (sent.direction, answer.direction) == ("tx", "rx")


@pytest.mark.parametrize("text", ["", ",", "xyz", "123", "7EC#1", "FFFFFFFF#00", "~é"])
def test_what_is_no_hex_is_refused(text):
    with pytest.raises(InputError):
        parse_hex(text)


def test_a_real_bus_log_is_a_unit():
    """Kona on the bench: 360.8 V in the broadcast 595 of the capture."""
    (trace,) = read(RELAY, DecodedReader(Decoding("kona")))
    assert trace.unit_id == "main_relay_on"
    assert set(trace.column("voltage_v").tolist()) == {360.8}
    assert trace.provenance.header["vendor.bus_log"] == "vector_asc"


def test_the_wrong_protocol_is_told_with_the_right_one():
    with pytest.raises(InputError, match="nothing in its") as raised:
        read(RELAY, DecodedReader(Decoding("leaf")))
    assert "kona" in raised.value.hint


def test_a_bus_log_without_a_protocol_says_what_to_give():
    with pytest.raises(FormatError) as raised:
        load_units_of(RELAY, LoadOptions())
    assert "--protocol" in raised.value.hint


def test_the_settings_of_an_archive_give_the_same_trace(tmp_path: Path):
    signals = tmp_path / "signals.toml"
    signals.write_text('voltage_v = "Batt_HV_Status.VBatt"\n')
    decoding = Decoding("dbc", None, DBC, 0.5, signals)
    again = from_toml(tomllib.loads(to_toml(decoding, None)), tmp_path)
    (first,) = read(RELAY, DecodedReader(decoding))
    (second,) = read(RELAY, again)
    assert first.column("voltage_v").tolist() == second.column("voltage_v").tolist()
    assert set(first.column("voltage_v").tolist()) == {360.8}
