"""The portable core of the firmware, compiled for this computer: its bytes and values.

References: COBS by its definition and binascii's CRC (cell_bridge.py), a deque, whole
numbers of Python, and protocol/calibration.py. The contactor has test_core_safety.py,
SLCAN test_core_slcan.py.
"""

import binascii
from collections import deque
from fractions import Fraction
from itertools import product
from math import trunc

import pytest
from cell_bridge import (
    CALIBRATION,
    DEFINITION,
    MESSAGES,
    packed,
    refusals,
    stuffed,
    wire,
)
from host_core import Buffer, core, number_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("core_built", "no_undefined_behaviour")

SUM_MAX = 4 * 4095  # four conversions of 12 bits
MISSING = DEFINITION["missing"]
REFUSALS = {number: name for name, number in DEFINITION["refusal"].items()}
LONGEST = number_of("COBS_LONGEST")
PAYLOAD_MAX = number_of("FRAME_PAYLOAD_MAX")
WIRE_MAX = PAYLOAD_MAX + 12
zeros_often = st.lists(
    st.one_of(st.just(0), st.integers(0, 255)), max_size=LONGEST + 3
).map(bytes)
u16, u32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
headers = st.tuples(st.integers(0, 255), st.integers(0, 255), u16, u32)
payloads = st.one_of(st.binary(max_size=PAYLOAD_MAX), zeros_often).map(
    lambda data: data[:PAYLOAD_MAX]
)


def cobs_encode(data: bytes) -> bytes:
    out = Buffer(len(data) + 1)
    lib, _ = core()
    return out.take(lib.cobs_encode(data, len(data), out.at))


def cobs_decode(data: bytes) -> bytes:
    out = Buffer(max(len(data) - 1, 0))
    lib, _ = core()
    return out.take(lib.cobs_decode(data, len(data), out.at))


def destuffed(data: bytes) -> bytes:
    """Return what `data` is the COBS of, by the definition; none if of nothing."""
    blocks, at = [], 0
    while at < len(data):
        block = data[at + 1 : at + data[at]]
        if data[at] == 0 or len(block) != data[at] - 1 or 0 in block:
            return b""
        blocks.append(block)
        at += data[at]
    return b"\0".join(blocks)


def frame_of(header: tuple[int, int, int, int], payload: bytes):
    _, ffi = core()
    version, kind, sequence, time_ms = header
    return ffi.new(
        "frame_t *",
        {
            "version": version,
            "type": kind,
            "sequence": sequence,
            "time_ms": time_ms,
            "length": len(payload),
            "payload": payload,
        },
    )


def frame_encode(header: tuple[int, int, int, int], payload: bytes) -> bytes:
    lib, _ = core()
    out = Buffer(WIRE_MAX)
    return out.take(lib.frame_encode(frame_of(header, payload), out.at))


def frame_decode(line: bytes) -> tuple[tuple[int, int, int, int], bytes] | None:
    """Return header and payload of a line without delimiters; None if damaged."""
    lib, ffi = core()
    scratch, frame = ffi.new("uint8_t[]", line), ffi.new("frame_t *")
    if not lib.frame_decode(scratch, len(line), frame):
        return None
    header = (frame.version, frame.type, frame.sequence, frame.time_ms)
    return header, bytes(ffi.buffer(frame.payload, frame.length))


def raw_frame(header: tuple[int, int, int, int], payload: bytes) -> bytes:
    version, kind, sequence, time_ms = header
    raw = bytes([version, kind]) + sequence.to_bytes(2, "little")
    raw += time_ms.to_bytes(4, "little") + payload
    return raw + binascii.crc_hqx(raw, 0xFFFF).to_bytes(2, "little")


def test_the_sanitizer_is_heard(capfd):
    lib, ffi = core()
    data = ffi.new("uint8_t[]", ffi.sizeof("safety_t") + 8)
    lib.safety_closed(ffi.cast("safety_t *", data + 1))
    assert "runtime error" in capfd.readouterr().err


# -- COBS and CRC


@settings(deadline=None)
@given(zeros_often)
@example(bytes(LONGEST))
@example(bytes(LONGEST + 1))
@example(b"\1" * LONGEST)
def test_cobs_is_that_of_the_definition_and_comes_back(data):
    if len(data) > LONGEST:
        assert cobs_encode(data) == b""
        return
    encoded = cobs_encode(data)
    assert encoded == stuffed(data)
    assert 0 not in encoded
    assert len(encoded) == len(data) + 1
    assert cobs_decode(encoded) == data


@settings(deadline=None)
@given(st.one_of(zeros_often, st.lists(st.integers(0, 5), max_size=12).map(bytes)))
@example(bytes([LONGEST + 1]) + b"\1" * LONGEST)
@example(bytes([LONGEST + 2]) + b"\1" * (LONGEST + 1))
def test_cobs_of_any_bytes_is_decoded_as_defined_or_refused(data):
    expected = destuffed(data) if len(data) <= LONGEST + 1 else b""
    assert cobs_decode(data) == expected


@given(st.binary(max_size=300))
@example(b"123456789")
def test_crc_is_that_of_binascii(data):
    lib, _ = core()
    expected = binascii.crc_hqx(data, 0xFFFF)
    assert lib.crc16(data, len(data)) == expected
    assert data != b"123456789" or expected == 0x29B1
    assert data != b"123456789" or expected == 0x29B1


# -- frames


@settings(deadline=None)
@given(headers, payloads)
@example((255, 255, 65535, 2**32 - 1), b"\xff" * PAYLOAD_MAX)
@example((0, 0, 0, 0), bytes(PAYLOAD_MAX))
def test_a_frame_is_as_defined_and_comes_back(header, payload):
    line = frame_encode(header, payload)
    assert line == stuffed(raw_frame(header, payload)) + b"\0"
    assert frame_decode(line[:-1]) == (header, payload)


def test_a_payload_too_long_is_no_frame():
    lib, _ = core()
    frame = frame_of((1, 2, 3, 4), b"")
    frame.length = PAYLOAD_MAX + 1
    out = Buffer(0)
    assert out.take(lib.frame_encode(frame, out.at)) == b""


@settings(deadline=None)
@example(stuffed(raw_frame((1, 2, 3, 4), bytes(PAYLOAD_MAX + 1))))
@given(
    st.one_of(
        st.binary(max_size=WIRE_MAX + 3),
        payloads.map(lambda raw: stuffed(raw[:LONGEST])),
        st.tuples(headers, payloads).map(lambda args: stuffed(raw_frame(*args))),
    )
)
def test_any_line_is_a_frame_if_its_length_and_crc_are_right(line):
    raw = destuffed(line)
    right = (
        10 <= len(raw) <= PAYLOAD_MAX + 10
        and binascii.crc_hqx(raw[:-2], 0xFFFF).to_bytes(2, "little") == raw[-2:]
    )
    frame = frame_decode(line)
    assert (frame is not None) == right
    assert frame is None or raw_frame(*frame) == raw


def requests() -> list[bytes]:
    """Every frame that a host sends."""
    asked = [name for name, m in MESSAGES.items() if m["code"] < 0x80]
    return [wire(name, i) for name, i in product(asked, range(16))]


def answers() -> list[bytes]:
    """One of each shape that a bridge sends, with small, large and zero bytes."""
    made = []
    for kind, size in ((0x81, 28), (0x82, 52), (0x82, 76), (0x83, 11)):
        for seed in range(4):
            body = bytes((i * (37 + 60 * seed)) % 256 for i in range(size))
            made.append(
                b"\0" + frame_encode((1, kind, seed, 10**seed), body[:PAYLOAD_MAX])
            )
    return made


@pytest.mark.parametrize("frames", [requests, answers])
def test_every_corruption_of_one_byte_is_detected(frames):
    for sent in frames():
        assert frame_decode(sent[1:-1]) is not None
        for at, wrong in product(range(len(sent)), range(1, 256)):
            heard = sent[:at] + bytes([sent[at] ^ wrong]) + sent[at + 1 :]
            if at in (0, len(sent) - 1):
                # A delimiter: what comes with it is no frame (its neighbours have
                # delimiters of their own).
                line = heard[:-1] if at == 0 else heard[1:]
                assert frame_decode(line) is None
                continue
            for line in heard[1:-1].split(b"\0"):
                assert frame_decode(line) is None


@settings(deadline=None, max_examples=30)
@given(headers, payloads)
def test_a_wrong_byte_among_others_is_always_detected(header, payload):
    # Where neither the old nor the new byte bounds a block: for any frame whatever.
    line = frame_encode(header, payload)[:-1]
    bounds = {0}
    at = 0
    while (at := at + line[at]) < len(line):
        bounds.add(at)
    for at in set(range(len(line))) - bounds:
        for value in set(range(1, 256)) - {line[at]}:
            assert frame_decode(line[:at] + bytes([value]) + line[at + 1 :]) is None


# -- the ring


@settings(deadline=None)
@given(st.integers(1, 255), st.lists(st.booleans(), max_size=600))
@example(255, [True] * 255 + [False] * 255)
@example(1, [True, False] * 4)
@example(3, [True, True, False, True, True, False, False, False, False])
def test_the_ring_is_a_queue(size, puts):
    lib, ffi = core()
    ring, slots, model = ffi.new("ring_t *"), [0] * size, deque()
    lib.ring_init(ring, size)
    for number, put in enumerate(puts):
        assert lib.ring_is_full(ring) == (len(model) == size)
        assert lib.ring_is_empty(ring) == (not model)
        if put and len(model) < size:
            slots[lib.ring_put(ring)] = number
            model.append(number)
        elif not put:
            if model:
                assert slots[lib.ring_front(ring)] == model.popleft()
            lib.ring_drop(ring)
    while model:
        assert slots[lib.ring_front(ring)] == model.popleft()
        lib.ring_drop(ring)
    assert lib.ring_is_empty(ring)


# -- the calibration

RANGES = {"u8": (0, 255), "u16": (0, 65535), "i8": (-128, 127)}
RANGES |= {"i16": (-32768, 32767), "i32": (-(2**31), 2**31 - 1)}


@st.composite
def calibrations(draw):
    """Values of a record, mostly within the design, one or two anywhere."""
    values = dict(CALIBRATION)
    fields = {f[0]: f[1:] for f in DEFINITION["calibration"]["fields"]}
    for name in draw(st.lists(st.sampled_from(sorted(values)), max_size=3)):
        kind, *count = fields[name]
        low, high = RANGES[kind]
        near = values[name] if isinstance(values[name], int) else 0
        number = st.one_of(
            st.integers(low, high),
            st.integers(max(low, near - 3), min(high, near + 3)),
            st.sampled_from([low, high, max(low, 0), 1, 2, 12]),
        )
        values[name] = draw(st.lists(number, max_size=count[0]) if count else number)
    return values


REFUSED = {
    "n_front_ends": (0, 3),
    "cells_first": (0, 13),
    "cells_second": (1, 13),
    "n_temperatures": (0, 5),
    "over_voltage_mv": (4201, 2700, 0),
    "under_voltage_mv": (1499, 4200, 65535),
    "over_temperature_cdegc": (6001, 0),
    "under_temperature_cdegc": (-2001, 5500),
    "charge_max_ma": (0, -1, 50_001),
    "discharge_max_ma": (0, -1, 50_001),
    "current_zero": (-1, SUM_MAX + 1, 0, SUM_MAX),
    "current_ua": (0, 100_001, -100_001, 1),
    "temperature_offset_cdegc": ([301], [0, -301]),
    "cell_gain_ppm": ([5001], [0] * 23 + [-5001]),
}
TWO = {"n_front_ends": 2, "cells_second": 12}


def calibration_read(record: bytes):
    lib, ffi = core()
    read = ffi.new("calibration_t *")
    return bool(lib.calibration_read(record, read)), read


def is_close_to_the_margin(values) -> bool:
    """Whether rounding to mA decides if the sensor shows enough."""
    share = 1 - DEFINITION["design"]["sensor_margin_percent"] / 100
    ends = [
        share * abs(code - values["current_zero"]) * abs(values["current_ua"]) / 1000
        for code in (0, SUM_MAX)
    ]
    limits = values["charge_max_ma"], values["discharge_max_ma"]
    return any(abs(end - limit) < 12 for end, limit in product(ends, limits))


@settings(deadline=None)
@given(calibrations())
@example(CALIBRATION)
def test_a_record_is_read_as_it_was_written_or_refused_for_the_same_reason(values):
    lib, ffi = core()
    read_right, read = calibration_read(packed(values))
    refused = next(iter(refusals(values)), "none")
    if not (is_close_to_the_margin(values) and refused in ("none", "sensor")):
        assert REFUSALS[read.refusal] == refused
    assert read_right == (REFUSALS[read.refusal] == "none")
    cells = [values["cells_first"], values["cells_second"]]
    if not read_right:
        assert read.limits.charge_max_ma == read.limits.discharge_max_ma == 0
        assert lib.calibration_current(read, 0) == MISSING["i32"]
        assert lib.calibration_cells(read) == 12
        return
    for name in ("over_voltage_mv", "under_voltage_mv", "over_temperature_cdegc"):
        assert getattr(read.limits, name) == values[name]
    for name in ("under_temperature_cdegc", "charge_max_ma", "discharge_max_ma"):
        assert getattr(read.limits, name) == values[name]
    assert list(read.cells) == cells
    assert lib.calibration_cells(read) == sum(cells)
    for name in ("n_front_ends", "n_temperatures", "current_zero", "current_ua"):
        assert getattr(read, name) == values[name]
    for name in ("temperature_offset_cdegc", "cell_gain_ppm", "cell_offset_100uv"):
        given_ = list(values[name])
        stored = list(getattr(read, name))
        assert stored == given_ + [0] * (len(stored) - len(given_))


@pytest.mark.parametrize("name", REFUSED)
def test_a_value_beyond_the_design_is_refused(name):
    for value, layout in product(REFUSED[name], ({}, TWO)):
        values = CALIBRATION | layout | {name: value}
        read_right, read = calibration_read(packed(values))
        expected = next(iter(refusals(values)), "none")
        assert REFUSALS[read.refusal] == expected
        assert read_right == (expected == "none")
        assert not read_right or name == "cells_second"  # of one front end: none


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_record_of_another_layout_is_none_although_its_crc_is_right(at):
    record = bytearray(packed(CALIBRATION)[:-2])
    record[at] += 1
    crc = binascii.crc_hqx(record, 0xFFFF).to_bytes(2, "little")
    read_right, read = calibration_read(bytes(record) + crc)
    assert not read_right
    assert REFUSALS[read.refusal] == "no_record"


def test_every_corruption_of_one_byte_of_a_record_is_refused():
    record = packed(CALIBRATION)
    assert calibration_read(record)[0]
    for at, wrong in product(range(len(record)), range(1, 256)):
        damaged = record[:at] + bytes([record[at] ^ wrong]) + record[at + 1 :]
        right, read = calibration_read(damaged)
        assert not right
        assert REFUSALS[read.refusal] == "no_record"


@settings(deadline=None)
@given(
    calibrations(),
    st.integers(0, 23),
    st.integers(0, 3),
    st.one_of(u16, st.integers(SUM_MAX - 1, SUM_MAX + 1), st.integers(65533, 65535)),
    st.one_of(st.integers(-32768, 32767), st.sampled_from([-32768, -32767, 32767])),
)
@example(CALIBRATION | {"current_ua": 100_000, "current_zero": 0}, 0, 0, 65534, 0)
@example(CALIBRATION | {"cell_offset_100uv": [-128]}, 0, 0, 127, 0)
@example(CALIBRATION | {"cell_gain_ppm": [5000]}, 0, 0, 65534, 0)
@example(CALIBRATION | {"temperature_offset_cdegc": [300]}, 0, 0, 0, 32767)
@example(CALIBRATION | {"temperature_offset_cdegc": [-300]}, 0, 0, 0, -32767)
def test_corrected_values_are_those_of_whole_numbers(values, cell, sensor, code, cdegc):
    lib, _ = core()
    read_right, read = calibration_read(packed(values))
    gain, offset = read.cell_gain_ppm[cell], read.cell_offset_100uv[cell]
    ideal = code + trunc(Fraction(code * gain, 10**6)) + offset
    expected = MISSING["u16"] if code == MISSING["u16"] else min(max(ideal, 0), 65534)
    assert lib.calibration_cell(read, cell, code) == expected

    ideal = cdegc + read.temperature_offset_cdegc[sensor]
    limited = min(max(ideal, -32767), 32767)
    expected = MISSING["i16"] if cdegc == MISSING["i16"] else limited
    assert lib.calibration_temperature(read, sensor, cdegc) == expected

    # More than four conversions can give comes from no converter that works.
    ideal = trunc(Fraction((code - read.current_zero) * read.current_ua, 1000))
    known = read_right and code <= SUM_MAX
    expected = ideal if known else MISSING["i32"]
    assert lib.calibration_current(read, code) == expected
