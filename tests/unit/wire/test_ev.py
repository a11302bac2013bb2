"""What the EV packs share, and what holds for every one of them."""

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from battlife.errors import ProtocolError
from battlife.model import VALUE_KINDS, Allow, Frame, Reading, Rejected
from battlife.wire import _ev, decode, kona, leaf, meb, protocol, zoe_gen1, zoe_gen2
from battlife.wire._leaf_messages import MESSAGES as LEAF_MESSAGES
from battlife.wire.checksums import crc8
from ev_frames import segments

MESSAGES = {
    "zoe_gen1": zoe_gen1.MESSAGES,
    "zoe_gen2": zoe_gen2.ASKED,
    "leaf": LEAF_MESSAGES,
    "kona": (*kona.KONA, *kona.IONIQ),
    "meb": meb.MESSAGES,
}
BROADCASTS = {
    "zoe_gen1": zoe_gen1.BROADCASTS,
    "leaf": leaf.BROADCASTS,
    "kona": kona.BROADCASTS,
    "meb": meb.BROADCASTS,
}
NAMES = sorted(MESSAGES)


def every(name):
    """Return frames of nothing in particular for the identifiers of a protocol."""
    device = protocol(name)
    request = device.requests({})[-1]
    identifiers = [(request.answer, request.extended)]
    identifiers += [(request.identifier, request.extended)]
    identifiers += list(BROADCASTS.get(name, {}))
    return identifiers


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_answer_is_a_reading_or_an_error(name, data):
    message = data.draw(st.sampled_from(MESSAGES[name]))
    rest = data.draw(st.binary(max_size=360))
    payload = message.head + rest
    got = decode(protocol(name), [Frame(0.0, "c", "rx", payload, None, kind="data")])
    assert len(got.readings) + len(got.rejected) == 1
    for reading in got.readings:
        assert reading.raw == payload and len(payload) >= message.length
        for key, value in reading.values.items():
            if VALUE_KINDS.get(key) == "number":
                assert math.isfinite(value)
    for rejected in got.rejected:
        assert isinstance(rejected.error, ProtocolError) and rejected.error.hint


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_frames_are_survived(name, data):
    frame = st.builds(
        lambda pair, raw, direction, kind, time_s: Frame(
            time_s, "c", direction, raw, pair[0], pair[1], kind=kind
        ),
        st.sampled_from(every(name)),
        st.binary(max_size=12),
        st.sampled_from(["rx", "tx"]),
        st.sampled_from(["data", "data", "data", "error", "remote"]),
        st.floats(0, 10),
    )
    decoder = protocol(name).decoder()
    for one in data.draw(st.lists(frame, max_size=40)):
        for item in decoder.feed(one):
            assert isinstance(item, (Reading, Rejected))
    list(decoder.finish())


@pytest.mark.parametrize("name", sorted(BROADCASTS))
@settings(max_examples=100, deadline=None)
@given(raw=st.binary(min_size=8, max_size=8))
def test_any_broadcast_is_a_reading_or_an_error(name, raw):
    for (identifier, extended), broadcast in BROADCASTS[name].items():
        variants = [raw, raw[:7] + bytes([crc8(raw[:7], 0x85)])]
        for data in variants:
            frame = Frame(0.0, "c", "rx", data, identifier, extended)
            got = decode(protocol(name), [frame])
            (item,) = (*got.readings, *got.rejected)
            assert item.message == broadcast.name and item.raw == data


@pytest.mark.parametrize("name", NAMES)
def test_every_request_is_answered_by_the_message_of_its_name(name):
    device = protocol(name)
    for request in (*device.requests({}), *device.clear_faults):
        head = _ev.uds.head(request.data)
        message = next(
            m
            for m in (*MESSAGES[name], _ev.clearing())
            if m.head == head and m.name == request.name
        )
        payload = head + bytes(max(message.length - len(head), 0))
        frames = segments(payload, request.answer, extended=request.extended)
        got = decode(device, frames)
        (item,) = (*got.readings, *got.rejected)
        assert item.message == request.name


@pytest.mark.parametrize("name", NAMES)
def test_names_and_beginnings_are_told_apart(name):
    requests = protocol(name).requests({})
    assert len({r.name for r in requests}) == len(requests)
    assert len({r.data for r in requests}) == len(requests)
    assert all(r.allow is Allow.READ for r in requests)
    heads = [m.head for m in MESSAGES[name] if m.name != "fault_codes"]
    assert len(set(heads)) == len(heads)


@pytest.mark.parametrize("name", NAMES)
def test_the_tester_heard_as_received_is_not_an_answer(name):
    device = protocol(name)
    frames = [
        Frame(
            float(i),
            "c",
            "rx",
            bytes([len(r.data), *r.data]).ljust(8, b"\0"),
            r.identifier,
            r.extended,
        )
        for i, r in enumerate(device.requests({}))
    ]
    got = decode(device, frames)
    assert not got.readings and not got.rejected


def test_bits_are_counted_from_the_most_significant():
    assert _ev.bits(bytes.fromhex("FFC0B9EA"), 16, 10) == 743
    assert _ev.bits(b"\x80", 0, 1) == 1
    assert _ev.bits(b"\x01", 7, 1) == 1


def test_scales_of_one_over_a_whole_number_divide():
    assert _ev.scaled(3925, 0.001) == 3.925
    assert _ev.scaled(1443_6, 0.1) == 1443.6
    assert _ev.scaled(0x374C, 1 / 4096) == 0x374C / 4096
    assert _ev.scaled(200, 250.0) == 50_000
    assert _ev.scaled(None, 0.1) is None


def test_numbers():
    assert _ev.unsigned(b"\x12\xff\xff", 1) is None
    assert _ev.unsigned(b"\x12\xff\xfe", 1) == 0xFFFE
    assert _ev.signed(b"\xff\xff\xfc\x4e", 0, 4) == -946
    assert _ev.flag(2, 2, 1) is True
    assert _ev.flag(1, 2, 1) is False
    assert _ev.flag(3, 2, 1) is None


def test_nothing_heavy_is_loaded():
    code = (
        "import sys; from battlife.wire import protocol, decode\n"
        f"for n in {NAMES}: decode(protocol(n), [])\n"
        "bad = {'numba', 'scipy', 'pandas', 'h5py', 'can', 'isotp', 'udsoncan', "
        "'cantools'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
