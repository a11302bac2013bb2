"""The same checks for every protocol: right values, or none.

Messages of tests/wire_samples.py are fed whole, in fragments, behind junk, echoes and
the mark of simulated devices, doubled, with every single bit flipped, cut off at every
byte, and mixed with noise.

Where a message has no checksum of its own, a flipped bit cannot be found in it. That
is so for payloads on CAN (each frame has a 15-bit CRC there, and adapters drop a frame
whose CRC is wrong, so a decoder never sees one) and for jk_display; see Guard.
"""

import gc
import math
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from types import FunctionType, ModuleType

import pytest

from battlife import wire
from battlife.model import (
    SIMULATED_DATA,
    SIMULATED_ID,
    SIMULATED_LINE,
    Allow,
    Decoder,
    Frame,
    Reading,
    Readings,
    Value,
    WireProtocol,
)
from wire_samples import SAMPLES, Sample

NAMES = wire.names()
CASES = [
    pytest.param(name, sample, id=f"{name}-{sample.message}-{i}")
    for name in NAMES
    for i, sample in enumerate(SAMPLES.get(name, ()))
]
SERIAL = [
    case
    for case in CASES
    if case.values[1].frames[0].identifier is None  # type: ignore[attr-defined]  # a Sample
]
ON_CAN = [case for case in CASES if case not in SERIAL]
NOISE_BYTES = 1_000_000
BOUND_BYTES = 200_000
"""What a decoder may hold: some messages of 4 KiB and what goes with them."""
JUNK = bytes.fromhex("00FF5BA73C0D0A80E1")


def device(name: str, sample: Sample) -> WireProtocol:
    return _device(name, tuple(sample.options.items()))


@cache  # a DBC file is read once
def _device(name: str, options: tuple[tuple[str, object], ...]) -> WireProtocol:
    return wire.protocol(name, **dict(options))


def heard(name: str, sample: Sample, frames: Sequence[Frame]) -> Readings:
    return wire.decode(device(name, sample), frames)


def sent(sample: Sample) -> list[Frame]:
    return [f for f in sample.frames if f.direction == "tx"]


def received(sample: Sample) -> bytes:
    return b"".join(f.data for f in sample.frames if f.direction == "rx")


def line(data: bytes, time_s: float = 0.1) -> Frame:
    return Frame(time_s, "line", "rx", data)


def same(one: Value, other: Value) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return one == other


def alike(one: Reading, other: Reading) -> bool:
    """Say whether two readings say the same of the same device."""
    return (
        (one.device, one.message) == (other.device, other.message)
        and one.values.keys() == other.values.keys()
        and all(same(v, other.values[k]) for k, v in one.values.items())
    )


def truth(name: str, sample: Sample) -> Reading:
    (reading,) = heard(name, sample, sample.frames).readings
    return reading


@pytest.mark.parametrize("name", NAMES)
def test_every_protocol_has_samples(name):
    assert SAMPLES.get(name), f"add messages of {name} to tests/wire_samples.py"


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_a_sample_says_what_its_source_says(name, sample):
    found = heard(name, sample, sample.frames)
    assert found.rejected == ()
    (reading,) = found.readings
    assert (reading.device, reading.message) == (sample.device, sample.message)
    assert reading.raw
    for key, value in sample.values.items():
        stated = reading.values[key]
        if isinstance(value, float):
            assert stated == pytest.approx(value, rel=1e-9, abs=1e-9), key
        else:
            assert stated == value, key


@pytest.mark.parametrize(("name", "sample"), SERIAL)
def test_any_fragmentation_gives_the_same(name, sample):
    true, data = truth(name, sample), received(sample)
    rng = random.Random(1)
    sizes = [[n] * (len(data) // n + 1) for n in (1, 2, 3, 5, 8, 13, 64)]
    sizes += [[rng.randint(1, 40) for _ in data] for _ in range(10)]
    for pieces in sizes:
        frames, at = sent(sample), 0
        for size in pieces:
            if data[at : at + size]:
                frames.append(line(data[at : at + size], 0.1 + 0.001 * at))
            at += size
        found = heard(name, sample, frames)
        assert found.rejected == ()
        (reading,) = found.readings
        assert alike(reading, true) and reading.raw == true.raw


@pytest.mark.parametrize(("name", "sample"), SERIAL)
def test_junk_echo_and_mark_in_front_change_nothing(name, sample):
    true, data = truth(name, sample), received(sample)
    echo = b"".join(f.data for f in sent(sample))
    for front in (JUNK, SIMULATED_LINE, echo, JUNK + SIMULATED_LINE + echo + JUNK[:2]):
        for frames in (
            [*sent(sample), line(front + data)],
            [*sent(sample), line(front), line(data, 0.2)],
        ):
            readings = heard(name, sample, frames).readings
            assert [r for r in readings if not alike(r, true)] == []
            assert len(readings) == 1
    # A log in which everything was received, what was sent too.
    (reading,) = heard(name, sample, [line(JUNK + echo + data)]).readings
    assert alike(reading, true)


@pytest.mark.parametrize(("name", "sample"), ON_CAN)
def test_foreign_frames_and_the_mark_change_nothing(name, sample):
    true = truth(name, sample)
    mark = Frame(0.0, "bus", "rx", SIMULATED_DATA, SIMULATED_ID)
    odd = Frame(0.0, "bus", "rx", b"", 0x7FE)
    remote = replace(sample.frames[-1], kind="remote", data=b"")
    error = replace(sample.frames[-1], kind="error", data=bytes(8))
    mixed = [g for f in sample.frames for g in (mark, odd, remote, f, error)]
    found = heard(name, sample, mixed)
    assert found.rejected == ()
    (reading,) = found.readings
    assert alike(reading, true)


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_no_flipped_bit_gives_another_value(name, sample):
    true = truth(name, sample)
    n_bits = 8 * len(received(sample))
    for bit in range(n_bits):
        for reading in heard(name, sample, _flipped(sample, bit)).readings:
            if sample.guard == "checksum":
                assert alike(reading, true), f"bit {bit}"
            assert reading.message  # without a checksum: no exception, no nonsense


def _flipped(sample: Sample, bit: int) -> list[Frame]:
    frames, at = [], bit // 8
    for frame in sample.frames:
        if frame.direction == "rx":
            if 0 <= at < len(frame.data):
                data = bytearray(frame.data)
                data[at] ^= 1 << bit % 8
                frame = replace(frame, data=bytes(data))
            at -= len(frame.data)
        frames.append(frame)
    return frames


@pytest.mark.parametrize(("name", "sample"), SERIAL)
def test_a_message_cut_off_gives_no_value(name, sample):
    data = received(sample)
    for length in range(len(data)):
        frames = [*sent(sample), line(data[:length])]
        assert heard(name, sample, frames).readings == (), f"{length} bytes"


@pytest.mark.parametrize(("name", "sample"), ON_CAN)
def test_frames_lost_on_a_bus_give_no_value(name, sample):
    mine = [i for i, f in enumerate(sample.frames) if f.direction == "rx"]
    for lost in mine:
        frames = [f for i, f in enumerate(sample.frames) if i != lost]
        found = heard(name, sample, frames)
        assert found.readings == ()
        assert found.rejected or len(mine) == 1
    for length in range(len(sample.frames[-1].data)):
        short = replace(sample.frames[-1], data=sample.frames[-1].data[:length])
        readings = heard(name, sample, [*sample.frames[:-1], short]).readings
        true = truth(name, sample)
        for reading in readings:  # of a frame that had padding or optional bytes
            for key, value in reading.values.items():
                assert same(value, true.values[key]), f"{key} of {length} bytes"


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_a_message_twice_is_two_equal_readings(name, sample):
    later = [replace(f, time_s=f.time_s + 10) for f in sample.frames]
    found = heard(name, sample, [*sample.frames, *later])
    assert found.rejected == ()
    one, two = found.readings
    assert alike(one, two) and alike(one, truth(name, sample))
    assert one.time_s < two.time_s


@pytest.mark.parametrize("name", [n for n in NAMES if n in SAMPLES])
def test_a_message_after_a_damaged_one_is_found(name):
    sample = SAMPLES[name][0]
    true, data = truth(name, sample), received(sample)
    if sample.frames[0].identifier is not None:
        cut = list(sample.frames[:-1])
        later = [replace(f, time_s=f.time_s + 10) for f in sample.frames]
        (reading,) = heard(name, sample, [*cut, *later]).readings
        assert alike(reading, true)
        return
    for start, n_lost in ((1, 1), (len(data) // 2, 1), (len(data) // 2, 4), (3, 5)):
        damaged = data[:start] + data[start + n_lost :]
        again = [replace(f, time_s=10.0) for f in sent(sample)]
        frames = [*sent(sample), line(damaged), *again, line(data, 10.1)]
        readings = heard(name, sample, frames).readings
        assert [r for r in readings if not alike(r, true)] == []
        assert len(readings) == 1


@pytest.mark.parametrize("name", [n for n in NAMES if n in SAMPLES])
def test_noise_gives_no_value_and_bounded_memory(name):
    """1 MB of random bytes, as a wrong baud rate gives; frames on a bus likewise.

    The chance of a false message is that of its start, length and checksum in one
    place: below 1e-3 per megabyte for the weakest (daly_uart, with a sum of 8 bits,
    a fixed length byte and few commands). The seed is fixed.
    """
    sample = SAMPLES[name][0]
    decoder = device(name, sample).decoder()
    rng = random.Random(20260101)
    identifier = sample.frames[-1].identifier
    readings = []
    before = held(decoder)
    if identifier is None:
        for at in range(0, NOISE_BYTES, 1000):
            frame = line(rng.randbytes(1000), at / 960)
            readings += [r for r in decoder.feed(frame) if isinstance(r, Reading)]
    else:
        for i in range(20_000):
            noise = replace(sample.frames[-1], time_s=i / 4000, data=rng.randbytes(8))
            for _ in decoder.feed(noise):
                pass
    assert readings == []
    assert held(decoder) - before < BOUND_BYTES


def held(decoder: Decoder) -> int:
    """Return the bytes of all objects a decoder holds, not of code."""
    seen: dict[int, object] = {}
    todo: list[object] = [decoder]
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, (type, ModuleType, FunctionType)):
            continue
        seen[id(item)] = item
        todo.extend(gc.get_referents(item))
    return sum(map(sys.getsizeof, seen.values()))


@pytest.mark.parametrize("name", [n for n in NAMES if n in SAMPLES])
def test_what_may_be_sent_is_complete_and_harmless(name):
    wired = device(name, SAMPLES[name][0])
    assert wired.name == name and wired.description and wired.bauds
    permitted = set(wired.permitted)
    asked = set(wired.requests({}))
    assert asked | set(wired.probes) | set(wired.keep_alive) <= permitted
    assert set(wired.clear_faults) <= permitted
    assert {r.allow for r in wired.probes} <= {Allow.READ}
    assert {r.allow for r in asked} <= {Allow.READ, Allow.UNSAFE_PROBE, Allow.WAKE}
    assert {r.allow for r in wired.keep_alive} <= {Allow.WAKE}
    assert {r.allow for r in wired.clear_faults} <= {Allow.WRITE}
    assert len({r.name for r in asked}) == len(asked)
    for request in permitted:
        assert request.name and request.data
        assert (request.identifier is None) == (wired.medium == "serial")


@pytest.mark.parametrize(("name", "sample"), SERIAL)
def test_a_request_has_the_name_of_its_answer(name, sample):
    wired = device(name, sample)
    asked = [f.data for f in sent(sample)]
    for request in wired.permitted:
        if asked and request.data == asked[-1]:
            assert request.name == sample.message
            return
    # Another device's request, or none: the name must be one that can be asked for.
    names = {r.name for r in wired.permitted}
    assert not names or sample.message in names
