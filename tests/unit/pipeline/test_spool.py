"""Readings are kept in a file as they were said."""

import errno
import itertools
from pathlib import Path

import pytest

from battlife.errors import InputError
from battlife.model import Notice, Reading
from battlife.pipeline.spool import BATCH, Spool


def reading(number: int) -> Reading:
    values = {"soc": number / 7, "balancing": number % 2 == 0, "fault_codes": ("P1",)}
    notices = (Notice("odd", f"{number}"),) if number % 3 == 0 else ()
    return Reading(float(number), "1", "state", values, b"", 0x7BB, notices)


@pytest.mark.parametrize("count", [0, 1, BATCH, 2 * BATCH + 3])
def test_readings_come_back_as_often_as_asked(tmp_path: Path, count: int) -> None:
    truth = [(f"d{i % 2}", reading(i)) for i in range(count)]
    with Spool(tmp_path) as spool:
        for source, item in truth:
            spool.put(source, item)
        assert list(spool) == truth
        assert list(spool) == truth
        half = itertools.islice(spool, count // 2)
        both = list(zip(half, spool, strict=False))
        assert [b for _, b in both] == truth[: count // 2]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("battlife.pipeline.spool.pickle.dump", full)
    with Spool(tmp_path) as spool:
        spool.put("d0", reading(0))
        with pytest.raises(InputError, match="No space left"):
            list(spool)
