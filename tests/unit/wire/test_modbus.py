"""Modbus RTU overheard, on frames of real batteries; see the families' tests."""

import random

import pytest

from battlife.model import SIMULATED_LINE, Frame, Reading, Rejected
from battlife.wire import decode, protocol
from battlife.wire._ev import Said
from battlife.wire.modbus import (
    ANSWER_WITHIN_S,
    LATE_WITHIN_S,
    MOST_ASKED,
    Block,
    ModbusDecoder,
)
from battlife.wire.modbus_messages import Answer, Read, is_sound, with_crc

# Request and answer: aiobmsble docs/pylontech_bms.md; esphome-seplos-bms
# docs/pdus/v3/SG16S200A-SP57B-A-all-frames.txt; esphome-daly-bms
# docs/pdus/daly_bms_blue_series_80_registers.txt; aiobmsble tests (Renogy).
DIALOGUES = {
    "pylontech_modbus": (
        "01031016000D610B",
        "01031A052CFFD00CF00CEF00960096005B0063003F00000B9003E803E845D8",
    ),
    "seplos_v3": (
        "01041000001134C6",
        "01042214CDFF776B4080E80122034003E7000A0CFF0B7F0D000CFF0B810B7E000000B400B4"
        "D32E",
    ),
    "seplos_v3 cells": (
        "01041100001A74FD",
        "0104340CFF0CFF0D000D000D000CFF0D000CFF0D000D000D000D000D000CFF0CFF0D00"
        "0B820B7F0B810B7E0AAB0AAB0AAB0AAB0B8C0B7F0113",
    ),
    "seplos_v3 bits": ("000122000050379F", "00010A010000000000004300007FE1"),
    "daly_modbus": (
        "D2030000003ED7B9",
        "D2037C0D6E0D690D590DD70D0B0D0B0D0C0D0B"
        + "0000" * 24
        + "003D00280028"
        + "0000" * 5
        + "010F753003E80DD70D0B003D003D000000FA00080001000000000001000"
        "10D4600CC0000000000000000" + "0000" + "0EE1",
    ),
    "renogy_modbus": ("300313B20007A48A", "30030EFFAA008800017BB0000186A0000FE01E"),
}
KEYS = sorted(DIALOGUES)


def wire(key):
    return protocol(key.partition(" ")[0])


def rx(data, time_s=0.0):
    return Frame(time_s, "line", "rx", data)


def tx(data, time_s=0.0):
    return Frame(time_s, "line", "tx", data)


def dialogue(key):
    request, answer = DIALOGUES[key]
    return bytes.fromhex(request), bytes.fromhex(answer)


def said(key, frames):
    found = decode(wire(key), frames)
    return [(r.device, r.message, dict(r.values), r.raw) for r in found.readings]


def true(key):
    request, answer = dialogue(key)
    found = said(key, [tx(request), rx(answer)])
    assert len(found) == 1 and found[0][2] and found[0][3] == answer
    assert repr(found[0]) == repr(found[0])
    return repr(found)


@pytest.mark.parametrize("key", KEYS)
def test_the_request_is_the_real_one(key):
    request, answer = dialogue(key)
    assert is_sound(request) and is_sound(answer)
    start, count = request[2] << 8 | request[3], request[4] << 8 | request[5]
    assert Read(request[0], request[1], start, count).data == request


@pytest.mark.parametrize("key", KEYS)
def test_any_fragments_give_the_same(key):
    request, answer = dialogue(key)
    expected = true(key)
    for cut in range(1, len(answer)):
        frames = [tx(request), rx(answer[:cut]), rx(answer[cut:])]
        assert repr(said(key, frames)) == expected
    single = [tx(request), *(rx(bytes([b])) for b in answer)]
    assert repr(said(key, single)) == expected
    sent = [*(tx(bytes([b])) for b in request), rx(answer)]
    assert repr(said(key, sent)) == expected


@pytest.mark.parametrize("key", KEYS)
def test_echo_junk_and_the_simulation_mark_change_nothing(key):
    request, answer = dialogue(key)
    expected = true(key)
    rng = random.Random(1)
    for before in (request, SIMULATED_LINE, b"\0", b"\xff" * 7, answer[:3]):
        assert repr(said(key, [tx(request), rx(before + answer)])) == expected
        assert repr(said(key, [tx(request), rx(before), rx(answer)])) == expected
    for _ in range(50):
        junk = rng.randbytes(rng.randrange(1, 40))
        assert repr(said(key, [tx(request), rx(junk + answer + junk)])) == expected
    # a log in which everything was received
    assert repr(said(key, [rx(request), rx(answer)])) == expected
    assert repr(said(key, [rx(b"\x55" + request + answer)])) == expected


@pytest.mark.parametrize("key", KEYS)
def test_a_flipped_bit_never_gives_other_values(key):
    request, answer = dialogue(key)
    expected = true(key)
    n_rejected = 0
    for bit in range(8 * len(answer)):
        damaged = bytearray(answer)
        damaged[bit // 8] ^= 1 << bit % 8
        found = decode(wire(key), [tx(request), rx(bytes(damaged))])
        assert found.readings == ()
        n_rejected += len(found.rejected)
    # Only where the header is hit can the damage pass for junk.
    assert n_rejected >= 8 * (len(answer) - 3)
    for bit in range(8 * len(request)):
        damaged = bytearray(request)
        damaged[bit // 8] ^= 1 << bit % 8
        assert repr(said(key, [tx(request), rx(bytes(damaged) + answer)])) == expected
        found = said(key, [rx(bytes(damaged) + answer)])
        assert found == [] or repr(found) == expected


@pytest.mark.parametrize("key", KEYS)
def test_an_answer_cut_off_is_rejected(key):
    request, answer = dialogue(key)
    for length in range(len(answer)):
        found = decode(wire(key), [tx(request), rx(answer[:length])])
        assert found.readings == ()
        assert len(found.rejected) == (length >= 3)
        again = [tx(request), rx(answer[:length]), tx(request, 1.0), rx(answer, 1.1)]
        found = decode(wire(key), again)
        assert len(found.readings) == 1
        assert repr(dict(found.readings[0].values)) in true(key)


@pytest.mark.parametrize("key", KEYS)
def test_a_wrong_checksum_names_the_message(key):
    request, answer = dialogue(key)
    damaged = answer[:-1] + bytes([answer[-1] ^ 1])
    (rejected,) = decode(wire(key), [tx(request), rx(damaged)]).rejected
    (reading,) = decode(wire(key), [tx(request), rx(answer)]).readings
    assert rejected.message == reading.message
    assert rejected.device == reading.device
    assert "CRC" in rejected.error.message and rejected.error.hint
    assert rejected.raw == damaged


@pytest.mark.parametrize("key", KEYS)
def test_an_exception_is_the_answer(key):
    request, answer = dialogue(key)
    refusal = with_crc(bytes([request[0], request[1] | 0x80, 2]))
    (rejected,) = decode(wire(key), [tx(request), rx(request + refusal)]).rejected
    (reading,) = decode(wire(key), [tx(request), rx(answer)]).readings
    assert rejected.message == reading.message
    assert "does not have these registers" in rejected.error.message


@pytest.mark.parametrize("name", sorted({key.partition(" ")[0] for key in KEYS}))
def test_requests_are_reads_and_permitted(name):
    device = protocol(name)
    permitted = {r.data for r in device.permitted}
    for request in (*device.requests({}), *device.probes):
        assert request.data in permitted
    for request in device.permitted:
        assert request.allow == "read" and is_sound(request.data)
        assert request.data[1] in (1, 2, 3, 4) and len(request.data) == 8
    names = [r.name for r in device.permitted]
    assert len(set(names)) == len(names)
    # An answer that comes late must not pass for that to the next request.
    lengths = set()
    for request in device.permitted:
        count = request.data[4] << 8 | request.data[5]
        lengths.add((request.data[1], count))
    assert len(lengths) >= len(names) - 1


# What follows is of no real device.

REGISTERS = Block(
    "registers", 3, 100, 4, lambda a: Said({"voltage_v": _float(a.u16(100))}), stop=120
)
COILS = Block("coils", 1, 0x300, 20, lambda a: Said({"balancing": a.bit(0x313)}))


def _float(raw):
    return None if raw is None else float(raw)


def decoder(assumed=None):
    blocks = (REGISTERS, COILS)
    return ModbusDecoder(blocks, assumed) if assumed else ModbusDecoder(blocks)


def answered(unit, *words):
    data = b"".join(w.to_bytes(2, "big") for w in words)
    return with_crc(bytes([unit, 3, len(data)]) + data)


def feed(decoder, *frames):
    return [item for frame in frames for item in decoder.feed(frame)]


def test_answers_of_several_units_keep_their_places():
    d = decoder()
    frames = []
    for unit in (1, 2, 3):
        frames += [tx(Read(unit, 3, 100, 4).data), rx(answered(unit, unit, 0, 0, 0))]
    items = feed(d, *frames)
    assert [(i.device, i.values["voltage_v"]) for i in items] == [
        ("1", 1.0),
        ("2", 2.0),
        ("3", 3.0),
    ]


def test_late_answers_find_their_requests():
    d = decoder()
    items = feed(
        d,
        tx(Read(1, 3, 100, 4).data),
        tx(Read(2, 3, 100, 4).data, 0.5),
        rx(answered(1, 11, 0, 0, 0), 0.6),
        rx(answered(2, 22, 0, 0, 0), 0.7),
    )
    assert [(i.device, i.values["voltage_v"]) for i in items] == [
        ("1", 11.0),
        ("2", 22.0),
    ]


def test_an_answer_that_fits_two_requests_is_rejected():
    d = decoder()
    (item,) = feed(
        d,
        tx(Read(1, 3, 100, 4).data),
        tx(Read(1, 3, 200, 4).data, 0.5),
        rx(answered(1, 11, 0, 0, 0), 0.6),
    )
    assert isinstance(item, Rejected) and "2 blocks" in item.error.message


def test_a_request_long_unanswered_is_no_rival():
    d = decoder()
    (item,) = feed(
        d,
        tx(Read(1, 3, 200, 4).data),
        tx(Read(1, 3, 100, 4).data, LATE_WITHIN_S + 0.1),
        rx(answered(1, 11, 0, 0, 0), LATE_WITHIN_S + 0.2),
    )
    assert item.values["voltage_v"] == 11.0


def test_an_answer_to_an_old_request_is_rejected():
    d = decoder()
    late = ANSWER_WITHIN_S + 0.1
    (item,) = feed(d, tx(Read(1, 3, 100, 4).data), rx(answered(1, 11, 0, 0, 0), late))
    assert isinstance(item, Rejected) and "no request" in item.error.message


def test_an_answer_without_a_request_is_rejected_or_known():
    (item,) = feed(decoder(), rx(answered(1, 11, 0, 0, 0)))
    assert isinstance(item, Rejected) and item.message == ""
    (item,) = feed(
        decoder(lambda unit, function, data: Read(unit, function, 100, 4)),
        rx(answered(1, 11, 0, 0, 0)),
    )
    assert isinstance(item, Reading) and item.values["voltage_v"] == 11.0


def test_other_spans_are_read_by_register():
    d = decoder()
    items = feed(
        d,
        tx(Read(1, 3, 98, 3).data),
        rx(answered(1, 7, 8, 9)),
        tx(Read(1, 3, 101, 2).data),  # without the register that says something
        rx(answered(1, 7, 8)),
        tx(Read(1, 3, 500, 2).data),  # of another device
        rx(answered(1, 7, 8)),
    )
    assert [dict(i.values) for i in items] == [{"voltage_v": 9.0}]


def test_an_answer_as_long_as_a_request_is_no_request():
    # Of 17 to 24 bits from 0x03.. on: 8 bytes both.
    request = Read(1, 1, 0x300, 20)
    answer = with_crc(bytes([1, 1, 3, 0, 0, 8]))
    (item,) = feed(decoder(), tx(request.data), rx(request.data), rx(answer))
    assert item.values == {"balancing": True}
    assert feed(decoder(), tx(request.data), rx(request.data)) == []


def test_writes_of_another_master_are_passed_over():
    write = with_crc(bytes([1, 6, 0, 1, 0, 2]))
    d = decoder()
    (item,) = feed(
        d, rx(write + write), tx(Read(1, 3, 100, 4).data), rx(answered(1, 5, 0, 0, 0))
    )
    assert item.values["voltage_v"] == 5.0


def test_a_request_nobody_can_answer_says_nothing():
    # Real: esphome-seplos-bms asks for 0x900 bits at once and is refused.
    request, refusal = bytes.fromhex("0101120009003F22"), bytes.fromhex("018102C191")
    assert feed(decoder(), rx(request)) == []
    (item,) = feed(decoder(), tx(request), rx(request + refusal))
    assert isinstance(item, Rejected) and item.message == ""


def test_a_damaged_answer_is_told_once_where_everything_was_received():
    read = Read(1, 3, 100, 4)
    damaged = bytearray(answered(1, 9, 0, 0, 0))
    damaged[4] ^= 1
    log = read.data + bytes(damaged) + read.data + answered(1, 5, 0, 0, 0)
    for frames in ([rx(log)], [rx(bytes([b])) for b in log]):
        items = feed(decoder(), *frames)
        assert [type(i) for i in items] == [Rejected, Reading]
        assert items[0].message == "registers"
        assert items[1].values["voltage_v"] == 5.0


@pytest.mark.parametrize("accident", [bytes([12, 0x84, 2]), bytes([9, 4, 2, 0, 1])])
def test_registers_that_look_like_a_message_do_not_break_their_answer(accident):
    # A refusal, or the answer to a read nobody made: with a CRC that fits by chance.
    request, answer = dialogue("seplos_v3 cells")
    body = bytearray(answer[:-2])
    body[12 : 12 + len(accident) + 2] = with_crc(accident)
    answer = with_crc(bytes(body))
    for frames in ([rx(answer)], [rx(bytes([b])) for b in answer]):
        (item,) = feed(wire("seplos_v3").decoder(), tx(request), *frames)
        assert isinstance(item, Reading) and item.raw == answer


def test_a_refusal_counts_where_an_answer_was_cut_off():
    # All of one direction: only the refusal says that the first answer is over.
    first, second = Read(1, 4, 0x1100, 0x1A), Read(1, 4, 0x1000, 0x12)
    refusal = with_crc(bytes([1, 0x84, 2]))
    log = first.data + with_crc(bytes([1, 4, 0x34]) + bytes(52))[:20]
    log += second.data + refusal
    for frames in ([rx(log)], [rx(bytes([b])) for b in log]):
        items = feed(wire("seplos_v3").decoder(), *frames)
        assert items[-1].message == "pack" and items[-1].raw == refusal


def test_noise_gives_no_reading_and_bounded_memory():
    rng = random.Random(7)
    d = decoder(lambda unit, function, data: None)
    feed(d, tx(Read(1, 3, 100, 4).data))
    for _ in range(1000):
        for item in feed(d, rx(rng.randbytes(200)), tx(rng.randbytes(3))):
            assert isinstance(item, Rejected)
        assert len(d._heard) <= 460 and len(d._sent) < 8
        assert len(d._asked) <= MOST_ASKED


def test_requests_without_answers_are_forgotten():
    d = decoder()
    for i in range(100):
        feed(d, tx(Read(1, 3, i, 1 + i).data))
    assert len(d._asked) <= MOST_ASKED


def test_numbers_of_an_answer():
    answer = Answer(Read(1, 4, 10, 4), bytes.fromhex("FFFE0001000241C2"))
    assert answer.u16(10) == 0xFFFE and answer.s16(10) == -2
    assert answer.u32(10) == 0xFFFE0001
    assert answer.u32_low_first(11) == 0x00020001
    assert answer.s32_low_first(10) == 0x0001FFFE
    assert answer.u16(9) is None and answer.u16(14) is None
    assert answer.u32(13) is None and answer.bit(10) is None
    assert answer.text(13, 1) is None
    negative = Answer(Read(1, 4, 0, 2), bytes.fromhex("FFF3FFFF"))
    assert negative.s32_low_first(0) == -13
    bits = Answer(Read(1, 1, 8, 9), b"\x81\x01")
    assert [bits.bit(i) for i in (7, 8, 9, 15, 16, 17)] == [
        None,
        True,
        False,
        True,
        True,
        None,
    ]
    assert bits.u16(8) is None


def test_pymodbus_agrees_on_requests_and_answers():
    from pymodbus import pdu
    from pymodbus.framer import FramerRTU

    framer = FramerRTU(pdu.DecodePDU(is_server=True))
    for key in KEYS:
        request, _ = dialogue(key)
        used, unit, _, body = framer.decode(request)
        assert (used, unit, body) == (8, request[0], request[1:-2])
    framer = FramerRTU(pdu.DecodePDU(is_server=False))
    for key in KEYS:
        _, answer = dialogue(key)
        used, unit, _, body = framer.decode(answer)
        assert (used, unit, body) == (len(answer), answer[0], answer[1:-2])
