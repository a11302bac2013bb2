"""Sound messages are found wherever they begin, each as often as asked."""

import random

import pytest

from battlife.wire._modbus_heard import Heard
from battlife.wire.modbus_messages import LONGEST, Read, is_sound, lengths, with_crc


def plainly(data: bytes, n_checked: int) -> list[tuple[int, bytes]]:
    return [
        (at, data[at : at + length])
        for at in range(len(data) - 4)
        for length in lengths(data, at)
        if n_checked < at + length <= len(data) and is_sound(data[at : at + length])
    ]


def line(rng: random.Random) -> bytes:
    parts = []
    for _ in range(12):
        read = Read(rng.randrange(1, 4), rng.choice((1, 3, 4)), 0, rng.randrange(1, 40))
        head = bytes([read.unit, read.function, read.n_bytes])
        inner = with_crc(bytes([read.unit, read.function | 0x80, 2]))
        filled = (inner + rng.randbytes(read.n_bytes))[: read.n_bytes]
        parts += [read.data, with_crc(head + filled), inner, rng.randbytes(5), head]
    return b"".join(parts)


@pytest.mark.parametrize("size", [1, 7, 256])
def test_the_same_messages_as_by_computing_every_crc(size: int) -> None:
    whole = line(random.Random(size))
    heard, kept, n_checked, n_found = Heard(), b"", 0, 0
    for at in range(0, len(whole), size):
        heard.add(whole[at : at + size])
        kept += whole[at : at + size]
        found = list(heard.messages())
        assert found == plainly(kept, n_checked)
        n_found += len(found)
        heard.checked()
        n_checked = len(kept)
        if len(kept) > 400:
            heard.drop(140)
            kept, n_checked = kept[140:], n_checked - 140
        assert bytes(heard.data) == kept and len(heard) == len(kept)
    assert n_found > 12
    heard.unchecked()
    assert list(heard.messages()) == plainly(kept, 0)


def test_what_is_dropped_is_forgotten() -> None:
    message = Read(1, 3, 0, 2).data
    heard = Heard()
    heard.add(message)
    heard.drop(1)
    assert list(heard.messages()) == []
    heard.drop(len(heard))
    heard.add(message)
    assert list(heard.messages()) == [(0, message)]
    for _ in range(1000):
        heard.drop(len(heard))
        heard.add(bytes([1, 3, 250]) * 3)
    heard.drop(len(heard))
    assert not heard.data and len(heard._ending) <= 2 * LONGEST
