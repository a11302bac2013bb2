"""Bus logs that are cut off or have a flipped bit.

The right frames up to the damage and a notice, or a typed error: never another
exception, and never fewer frames without a word where the format lets that be known.
"""

import random
from pathlib import Path

import pytest

from battlife.errors import InputError
from battlife.model import Frame, Notice
from battlife.readers.frame_logs.opening import all_frame_readers
from frame_log_samples import samples

NAMES = (
    "candump candump_plain asc asc_python_can trc gvret python_can_csv python_can_db "
    "crtd busmaster microchip car_bus blf pcap pcapng mf4 btsnoop hex_text"
).split()
# These announce what they hold, or close it: a cut anywhere can be known.
COUNTED = {"asc", "car_bus", "blf", "python_can_db"}
# A log of bytes has no length of its own: a cut run is still what was on the line.
BYTES = {"hex_text", "btsnoop"}
TRIES = 200


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, bytes]]:
    return samples(tmp_path_factory.mktemp("samples"))


def read(
    path: Path, name: str, data: bytes
) -> tuple[list[Frame], tuple[Notice, ...]] | None:
    """Return frames and notices; None for a typed error."""
    path.write_bytes(data)
    frames: list[Frame] = []
    try:
        log = all_frame_readers()[name].frames(path)
        frames.extend(log)
    except InputError as error:
        assert error.message
        assert error.hint
        return None
    return frames, tuple(log.notices)


def content(frame: Frame) -> tuple[object, ...]:
    """Return all but the time, which counts from the first frame that is there."""
    return (
        frame.identifier,
        frame.extended,
        frame.fd,
        frame.kind,
        frame.direction,
        frame.channel,
        frame.data,
    )


def begun_records(path: Path, reader: str, data: bytes, at: int) -> int | None:
    """Return the frames of the lines that a cut at `at` leaves a part of."""
    if reader in ("pcap", "asam_mf4"):
        return None
    lines = data.replace(b"\r\n", b" \n")
    if reader == "car_bus_analyzer" or not lines[:at].rstrip(b" \t"):
        return None
    begun = lines[:at].rstrip(b" \t")
    if not begun.endswith(b"\n"):
        begun = lines[: lines.find(b"\n", at) + 1 or len(lines)]
    found = read(path, reader, begun)
    return None if found is None else len(found[0])


def small(name: str, data: bytes) -> bytes:
    """Cut the largest logs to a size that 400 readings take no minute of."""
    if name == "mf4":
        return data[:30_000]
    if name in ("asc", "gvret", "busmaster", "microchip"):
        end = b"end triggerblock\n" if name == "asc" else b""
        return data[: data.rfind(b"\n", 0, 5_000) + 1] + end
    return data


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_log_is_read_without_complaint(name: str, logs, tmp_path: Path) -> None:
    reader, data = logs[name]
    found = read(tmp_path / "log", reader, data)
    assert found is not None
    frames, notices = found
    assert len(frames) >= 4
    codes = {notice.code for notice in notices}
    assert not codes & {"cut_off", "damaged_records", "damaged_rest", "no_frames"}


@pytest.mark.parametrize("name", NAMES)
def test_cut_anywhere(name: str, logs, tmp_path: Path) -> None:
    reader, data = logs[name]
    data = small(name, data)
    path = tmp_path / "log"
    whole = read(path, reader, data)
    assert whole is not None
    expected = [content(frame) for frame in whole[0]]
    rng = random.Random(name)
    silent = 0
    for _ in range(TRIES):
        at = rng.randrange(1, len(data))
        found = read(path, reader, data[:at])
        if found is None:
            continue
        frames, notices = found
        got = [content(frame) for frame in frames]
        if name in BYTES and got and got[-1] != expected[len(got) - 1]:
            last = got.pop()
            assert expected[len(got)][-1].startswith(last[-1])
        assert got == expected[: len(got)], at
        if len(got) < len(expected):
            new = set(notices) - set(whole[1])
            if not new:
                silent += 1
                assert name not in COUNTED, at
                # Nothing is missing of what had begun: a cut between two records.
                begun = begun_records(path, reader, data, at)
                assert begun is None or begun == len(frames), at
    assert silent <= TRIES // 5


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit(name: str, logs, tmp_path: Path) -> None:
    reader, data = logs[name]
    data = small(name, data)
    path = tmp_path / "log"
    whole = read(path, reader, data)
    assert whole is not None
    expected = [content(frame) for frame in whole[0]]
    known = set(expected)
    rng = random.Random(name)
    for _ in range(TRIES):
        flipped = bytearray(data)
        at = rng.randrange(len(data))
        flipped[at] ^= 1 << rng.randrange(8)
        found = read(path, reader, bytes(flipped))
        if found is None:
            continue
        frames, notices = found
        got = [content(frame) for frame in frames]
        if len(got) < len(expected):
            assert set(notices) != set(whole[1]), at
        # One bit is in one record: at most that one is another.
        other = [item for item in got if item not in known]
        assert len(other) <= (0 if name == "blf" else 1), at
