"""ISO-TP heard from the side: whole payloads or none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from battlife.model import Frame
from battlife.wire.isotp import MAX_PAYLOAD, Broken, Payload, Reassembler
from ev_frames import listed, one, segments

ASK, ANSWER = 0x79B, 0x7BB


def heard(frames, pairs=((ASK, ANSWER, False),)):
    reassembler = Reassembler(pairs)
    items = [item for frame in frames for item in reassembler.feed(frame)]
    return items + list(reassembler.finish())


def payloads(items):
    return [i.data for i in items if isinstance(i, Payload)]


def broken(items):
    return [i.error.message for i in items if isinstance(i, Broken)]


@pytest.mark.parametrize("n", [1, 7, 8, 9, 13, 14, 120, 198, MAX_PAYLOAD])
def test_what_can_isotp_segments_comes_whole(n):
    payload = bytes(i % 251 for i in range(n))
    (item,) = heard(segments(payload, ANSWER))
    assert isinstance(item, Payload)
    assert item.data == payload and item.identifier == ANSWER


@pytest.mark.parametrize("n", [1, 7, 8, 20, 62, 63, 64, 300])
def test_can_fd(n):
    payload = bytes(i % 251 for i in range(n))
    assert payloads(heard(segments(payload, ANSWER, fd=True))) == [payload]


def test_29_bit_identifiers_are_told_from_11_bit_ones():
    pairs = ((0x18DADBF1, 0x18DAF1DB, True),)
    frames = segments(b"\x62\x90\x01\x12\x34", 0x18DAF1DB, extended=True)
    assert payloads(heard(frames, pairs)) == [b"\x62\x90\x01\x12\x34"]
    short = one("03 62 90 01", 0x7BB, extended=True)
    assert heard(short) == []


def test_two_conversations_between_each_other():
    first, second = bytes(range(60)), bytes(range(100, 190))
    a = segments(first, ANSWER)
    b = segments(second, 0x7EC)
    mixed = [f for pair in zip(a, b, strict=False) for f in pair] + b[len(a) :]
    got = payloads(heard(mixed, ((ASK, ANSWER, False), (0x7E4, 0x7EC, False))))
    assert got == [first, second]


def test_the_request_is_heard_too():
    frames = [
        Frame(0.0, "c", "tx", bytes.fromhex("0221010000000000"), ASK),
        Frame(0.1, "c", "tx", bytes.fromhex("3000000000000000"), ASK),
    ]
    (item,) = heard(frames)
    assert (item.data, item.direction) == (b"\x21\x01", "tx")


def test_a_lost_frame_breaks_its_message_once():
    frames = segments(bytes(60), ANSWER)
    for i in range(1, len(frames)):
        items = heard(frames[:i] + frames[i + 1 :])
        assert payloads(items) == []
        assert len(broken(items)) == 1


def test_a_frame_twice_breaks_the_message():
    frames = segments(bytes(60), ANSWER)
    items = heard([*frames[:3], frames[2], *frames[3:]])
    assert payloads(items) == [] and len(broken(items)) == 1
    assert "frame 2 came where 3 was due" in broken(items)[0]


def test_a_new_message_ends_the_one_before():
    items = heard(segments(bytes(60), ANSWER)[:4] + segments(b"abc" * 9, ANSWER))
    assert payloads(items) == [b"abc" * 9]
    assert broken(items) == ["27 of 60 bytes of a message: another message began"]


def test_the_beginning_was_not_seen():
    items = heard(segments(bytes(60), ANSWER)[1:] + segments(b"\x61\x01", ANSWER))
    assert broken(items) == ["its beginning was not seen (ISO-TP)"]
    assert payloads(items) == [b"\x61\x01"]


def test_the_end_was_not_seen():
    items = heard(segments(bytes(60), ANSWER)[:-1])
    assert broken(items) == ["55 of 60 bytes of a message: the frames end"]


def test_what_comes_late_belongs_to_nothing():
    frames = listed("10 0A 61 01 01 02 03 04|21 05 06 07 08 AA AA AA", ANSWER)
    late = Frame(5.0, "bus", "rx", frames[1].data, ANSWER)
    assert payloads(heard(frames)) == [bytes.fromhex("61010102030405060708")]
    items = heard([frames[0], late])
    assert payloads(items) == [] and "after 5 s" in broken(items)[0]


def test_a_receiver_may_hold_the_sender_and_refuse_it():
    first, second = listed("10 0A 61 01 01 02 03 04|21 05 06 07 08 AA AA AA", ANSWER)

    def control(time_s, data):
        return Frame(time_s, "bus", "tx", bytes.fromhex(data), ASK)

    later = Frame(2.9, "bus", "rx", second.data, ANSWER)
    held = heard([first, control(1.5, "3100000000000000"), later])
    assert len(payloads(held)) == 1
    refused = heard([first, control(0.01, "3200000000000000"), later])
    assert payloads(refused) == [] and "refused" in broken(refused)[0]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("00 61 01 00 00 00 00 00", "announces 0"),
        ("08 61 01 00 00 00 00 00", "announces 8"),
        ("05 61 01", "announces 5"),
        ("10 2B 61 01 FF", "a first frame of 5 bytes"),
        ("10 06 61 01 FF FF FF FF", "fit a single frame"),
        ("10 00 00 00 FF FF 61 01", "65535 bytes announced"),
    ],
)
def test_frames_that_announce_nonsense(data, why):
    (item,) = heard(one(data, ANSWER))
    assert isinstance(item, Broken) and why in item.error.message
    assert item.error.hint


def test_a_short_consecutive_frame():
    frames = listed("10 20 61 01 01 02 03 04|21 05 06 07", ANSWER)
    assert broken(heard(frames)) == ["6 of 32 bytes of a message: frame 1 is 4 bytes"]


def test_a_payload_that_a_capture_put_together():
    payload = bytes.fromhex("620101FFF7E7FF99000000000300B10EFE")
    (item,) = heard([Frame(0.0, "c", "rx", payload, ANSWER)])
    assert item.data == payload


def test_others_and_error_frames_are_not_heard():
    frames = [
        Frame(0.0, "c", "rx", b"\x02\x61\x01", 0x7EC),
        Frame(0.0, "c", "rx", b"\x02\x61\x01", ANSWER, kind="error"),
        Frame(0.0, "c", "rx", b"", ANSWER),
        Frame(0.0, "c", "rx", b"\x02\x61\x01"),
    ]
    assert heard(frames) == []


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=8), max_size=40))
def test_any_frames_give_payloads_of_their_own_bytes(chunks):
    items = heard([Frame(0.0, "c", "rx", c, ANSWER) for c in chunks])
    everything = b"".join(chunks)
    for item in items:
        assert len(item.data) <= len(everything)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.binary(min_size=8, max_size=200), min_size=1, max_size=4),
    st.data(),
)
def test_one_loss_never_makes_a_wrong_payload(messages, data):
    frames, start_s = [], 0.0
    for message in messages:
        frames += segments(message, ANSWER, start_s=start_s)
        start_s += 1.0
    lost = data.draw(st.integers(0, len(frames) - 1))
    got = payloads(heard(frames[:lost] + frames[lost + 1 :]))
    assert len(got) == len(messages) - 1
    remaining = list(messages)
    for payload in got:
        remaining.remove(payload)
