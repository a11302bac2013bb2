import subprocess
import sys
from dataclasses import replace

import pytest

from battlife import wire
from battlife.model import Allow, Reading, Rejected
from battlife.wire import _bridge_protocol as bl
from battlife.wire.bridge import ARM, CLEAR, DISARM, HEARTBEATS, Bridge, unstuffed
from support import DATASETS
from wire_samples import SAMPLES

GENERATE = DATASETS.parent / "firmware_bridges" / "protocol" / "generate.py"


def test_header_and_constants_are_what_the_definition_says():
    done = subprocess.run(
        [sys.executable, str(GENERATE), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_moves_a_contactor_must_be_named():
    assert {r.allow for r in (ARM, DISARM, CLEAR)} == {Allow.WRITE}
    assert {r.allow for r in HEARTBEATS} == {Allow.WAKE}
    assert len({r.data for r in HEARTBEATS}) == bl.HEARTBEATS == 16
    assert set(Bridge().probes) & {ARM, DISARM, CLEAR, *HEARTBEATS} == set()


def test_another_hash_is_refused_with_reflash(monkeypatch):
    monkeypatch.setattr(bl, "HASH", bl.HASH ^ 1)
    for sample in SAMPLES["bridge"]:
        found = wire.decode(Bridge(), sample.frames)
        assert found.readings == ()
        (rejected,) = found.rejected
        assert rejected.message == sample.message
        assert "reflash" in rejected.error.hint


def test_missing_answers_are_told():
    (asked, heard) = SAMPLES["bridge"][1].frames
    (_, later) = SAMPLES["bridge"][3].frames
    found = wire.decode(Bridge(), [asked, heard, replace(later, time_s=0.2)])
    (notice,) = found.readings[1].notices
    assert (notice.code, "2 answers" in notice.message) == ("frames_lost", True)


@pytest.mark.parametrize("data", [b"\x03\x01", b"\x05\x01\x02", b"\xff"])
def test_what_is_no_cobs_is_none(data):
    assert unstuffed(data) is None


def test_a_damaged_frame_is_told_once():
    data = bytearray(SAMPLES["bridge"][1].frames[1].data)
    data[20] ^= 0x40
    frame = replace(SAMPLES["bridge"][1].frames[1], data=bytes(data))
    decoder = Bridge().decoder()
    items = [*decoder.feed(frame), *decoder.finish()]
    assert [type(i) for i in items] == [Rejected]
    assert not any(isinstance(i, Reading) for i in items)
