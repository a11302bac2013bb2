"""Binary bus logs: written by python-can, or byte by byte as they are specified."""

import sqlite3
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from battlife.errors import InputError
from battlife.model import Frame, Notice
from battlife.readers.frame_logs.opening import all_frame_readers
from frame_log_samples import START_S, kona, pcap, pcapng, written_by_python_can
from support import DATASETS

Read = Callable[[str, bytes], tuple[list[Frame], dict[str, Notice]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def of(name: str, data: bytes) -> tuple[list[Frame], dict[str, Notice]]:
        path = tmp_path / "log"
        path.write_bytes(data)
        log = all_frame_readers()[name].frames(path)
        frames = list(log)
        return frames, {n.code: n for n in log.notices}

    return of


def same(frames: list[Frame], expected: list[Frame]) -> bool:
    return [(f.identifier, f.extended, f.data) for f in frames] == [
        (f.identifier, f.extended, f.data) for f in expected
    ]


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        (".blf", "vector_blf"),
        (".db", "python_can_db"),
        (".csv", "python_can_csv"),
        (".asc", "vector_asc"),
    ],
)
def test_what_python_can_writes(
    suffix: str, name: str, read: Read, tmp_path: Path
) -> None:
    frames, _ = read(name, written_by_python_can(tmp_path, suffix, 300))
    assert same(frames, kona(300))
    assert frames[299].time_s - frames[0].time_s == pytest.approx(0.299, abs=1e-5)


def mixed(folder: Path) -> tuple[bytes, list[object]]:
    """Return a BLF of FD, remote, error and extended frames, and its messages."""
    import can

    path = folder / "mixed.blf"
    messages = [
        can.Message(1000.0, 0x18DAF110, True, data=b"\x01\x02", is_rx=False, channel=2),
        can.Message(
            1000.5, 0x123, False, is_fd=True, bitrate_switch=True, data=bytes(range(12))
        ),
        can.Message(1001.0, 0x124, False, is_remote_frame=True, dlc=4),
        can.Message(1001.5, is_error_frame=True),
    ]
    writer = can.BLFWriter(str(path))
    for message in messages:
        writer.on_message_received(message)
    writer.stop()
    return path.read_bytes(), messages


def test_blf_kinds_of_frames(read: Read, tmp_path: Path) -> None:
    data, _ = mixed(tmp_path)
    frames, notices = read("vector_blf", data)
    assert [f.kind for f in frames] == ["data", "data", "remote", "error"]
    first, second, third, _ = frames
    assert first.direction == "tx" and first.extended and first.data == b"\x01\x02"
    assert second.fd and second.data == bytes(range(12))
    assert third.identifier == 0x124 and third.data == b""
    assert [f.time_s - frames[0].time_s for f in frames] == pytest.approx(
        [0.0, 0.5, 1.0, 1.5]
    )
    assert not {"cut_off", "not_closed"} & set(notices)


def test_blf_of_a_logger_that_was_killed(read: Read, tmp_path: Path) -> None:
    data = bytearray(written_by_python_can(tmp_path, ".blf"))
    # The head that python-can writes first: size 144, no objects counted.
    data[16:24] = struct.pack("<Q", 144)
    data[32:36] = struct.pack("<L", 0)
    frames, notices = read("vector_blf", bytes(data))
    assert same(frames, kona())
    assert "60 objects are there" in notices["not_closed"].message


def test_blf_with_fewer_objects_than_announced(read: Read, tmp_path: Path) -> None:
    data = bytearray(written_by_python_can(tmp_path, ".blf"))
    data[32:36] = struct.pack("<L", 61)
    _, notices = read("vector_blf", bytes(data))
    assert "61, and 60 are readable" in notices["cut_off"].message


def test_blf_bombs_are_bounded(read: Read, tmp_path: Path) -> None:
    head = written_by_python_can(tmp_path, ".blf")[:144]
    packed = zlib.compress(bytes(64 << 20), 9)
    bomb = struct.pack("<4sHHLLH6xL4x", b"LOBJ", 16, 1, 32 + len(packed), 10, 2, 1000)
    tracemalloc.start()
    with pytest.raises(InputError, match="no frame can be read"):
        read("vector_blf", head + bomb + packed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
    huge = struct.pack("<4sHHLL", b"LOBJ", 16, 1, 0xFFFFFFF0, 10)
    with pytest.raises(InputError, match="no container begins there"):
        read("vector_blf", head + huge + bytes(100))


@pytest.mark.parametrize("order", [">", "<"])
def test_socketcan_in_both_byte_orders(order: str, read: Read) -> None:
    frames, notices = read("pcap", pcap(order))
    assert same(frames, kona())
    assert ("byte_order" in notices) == (order == "<")
    assert frames[1].time_s == pytest.approx(0.001)


def test_pcapng_with_nanoseconds(read: Read, tmp_path: Path) -> None:
    frames, notices = read("pcap", pcapng())
    assert same(frames, kona())
    assert frames[59].time_s == pytest.approx(59e-6, abs=1e-9)
    assert not notices
    (tmp_path / "x").write_bytes(pcapng())
    log = all_frame_readers()["pcap"].frames(tmp_path / "x")
    assert log.start_utc is not None
    assert log.start_utc.timestamp() == START_S


def packet(link: int, bodies: list[bytes], cut: int = 0) -> bytes:
    made = struct.pack("<LHHlLLL", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    for i, body in enumerate(bodies):
        made += struct.pack("<LLLL", START_S + i, 0, len(body) - cut, len(body))
        made += body[: len(body) - cut]
    return made


def test_socketcan_kinds(read: Read) -> None:
    def frame(raw: int, data: bytes, flags: int = 0) -> bytes:
        return struct.pack(">LBBxx", raw, len(data), flags) + data

    frames, notices = read(
        "pcap",
        packet(
            227,
            [
                frame(0x98DAF110, b"\x01"),
                frame(0x40000123, b""),
                frame(0x20000004, bytes(8)),
                frame(0x00000123, bytes(12), 4),
                frame(0x00000123, bytes(12)),
                b"\0\0",
            ],
        ),
    )
    assert [f.kind for f in frames] == ["data", "remote", "error", "data"]
    assert frames[0].extended and frames[3].fd
    assert "the first of 2" in notices["damaged_records"].message


def test_packets_that_were_kept_in_part(read: Read) -> None:
    body = struct.pack(">LBxxx", 0x123, 4) + bytes(4)
    with pytest.raises(InputError, match="only in part"):
        read("pcap", packet(227, [body], cut=2))


def ethernet(source: int, target: int, sequence: int, data: bytes, flags: int) -> bytes:
    tcp = struct.pack(">HHLLBBHHH", source, target, sequence, 0, 0x50, flags, 0, 0, 0)
    ends = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
    first, second = ends if target == 13400 else ends[::-1]
    length = 40 + len(data)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, 6, 0) + first + second
    # Ethernet fills a short frame up to 60 bytes; that is not data.
    return (bytes(12) + b"\x08\x00" + ip + tcp + data).ljust(60, b"\0")


def doip(payload: bytes, source: int = 0x0E80, target: int = 0x4010) -> bytes:
    body = struct.pack(">HH", source, target) + payload
    return struct.pack(">BBHL", 2, 0xFD, 0x8001, len(body)) + body


def test_doip_in_pieces_repeated_and_with_a_gap(read: Read) -> None:
    asked, answer = doip(b"\x22\xf1\x90"), doip(b"\x62\xf1\x90", 0x4010, 0x0E80)
    port = 50000
    packets = [
        ethernet(port, 13400, 99, b"", 2),
        ethernet(port, 13400, 100, asked[:5], 16),
        ethernet(port, 13400, 105, asked[5:], 16),
        ethernet(port, 13400, 105, asked[5:], 16),
        ethernet(13400, port, 7, answer + doip(b"\x50\x03", 0x4010, 0x0E80), 16),
        ethernet(port, 13400, 100 + len(asked) + 50, doip(b"\x3e\x00"), 16),
    ]
    frames, notices = read("pcap", packet(1, packets))
    assert [(f.direction, f.data.hex()) for f in frames] == [
        ("tx", "22f190"),
        ("rx", "62f190"),
        ("rx", "5003"),
        ("tx", "3e00"),
    ]
    assert {f.channel for f in frames} == {"doip:0E80:4010"}
    assert "50 bytes" in notices["stream_gap"].message


def snoop(packets: list[tuple[int, bytes]], drops: int = 0) -> bytes:
    """HCI over UART (1002); flags and packet each."""
    made = b"btsnoop\x00" + struct.pack(">LL", 1, 1002)
    for i, (flags, body) in enumerate(packets):
        time_us = 0x00DCDDB30F2F8000 + (START_S + i) * 1_000_000
        made += struct.pack(">LLLLq", len(body), len(body), flags, drops * i, time_us)
        made += body
    return made


def attribute(opcode: int, value: bytes) -> bytes:
    body = struct.pack("<BH", opcode, 0x0E) + value
    return struct.pack("<HH", len(body), 4) + body


def acl(content: bytes, boundary: int = 2, handle: int = 0x40) -> bytes:
    return b"\x02" + struct.pack("<HH", handle | boundary << 12, len(content)) + content


def test_btsnoop_joins_what_bluetooth_splits(read: Read) -> None:
    told = attribute(0x1B, b"U\xaa\xeb\x90" + bytes(60))
    frames, notices = read(
        "btsnoop",
        snoop(
            [
                (0, acl(attribute(0x52, b"\xaaU"), 0)),
                (3, b"\x04\x13\x05\x01\x40\x00\x01\x00"),
                (1, acl(told[:20])),
                (0, acl(attribute(0x12, b"\x01"), 0)),
                (1, acl(told[20:], 1)),
                (1, acl(attribute(0x0B, b"read"))),
            ],
            drops=1,
        ),
    )
    assert [(f.direction, len(f.data)) for f in frames] == [
        ("tx", 2),
        ("tx", 1),
        ("rx", 64),
    ]
    assert frames[2].time_s == 4.0
    assert {f.channel for f in frames} == {"hci:040"}
    assert "frames_lost" in notices
    assert "6 records, 3" in notices["other_packets"].message


def test_btsnoop_of_another_link_is_refused(read: Read) -> None:
    data = bytearray(snoop([]))
    data[15] = 0x01
    with pytest.raises(InputError, match="data link"):
        read("btsnoop", bytes(data))


def test_mf4_of_signals_and_of_version_3_is_refused(read: Read, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="version") as raised:
        read("asam_mf4", b"MDF     3.30    " + bytes(100))
    assert "MDF 4" in raised.value.hint
    data = bytearray((DATASETS / "bus_logs" / "css" / "00000001.MF4").read_bytes())
    at = 0
    while (at := data.find(b"CAN_", at)) >= 0:
        data[at : at + 4] = b"NAC_"
    with pytest.raises(InputError, match="signals, not frames"):
        read("asam_mf4", bytes(data))


def test_mf4_lists_that_go_round_are_refused(read: Read) -> None:
    data = bytearray((DATASETS / "bus_logs" / "css" / "00000001.MF4").read_bytes())
    first = struct.unpack_from("<Q", data, 64 + 24)[0]
    struct.pack_into("<Q", data, first + 24, first)
    with pytest.raises(InputError, match="goes round"):
        read("asam_mf4", bytes(data))


def test_mf4_whose_offsets_are_unknown_pairs_in_order(read: Read) -> None:
    """Flag 64 of an unfinalised file: the offsets of the bytes are not set."""
    whole = (DATASETS / "bus_logs" / "css" / "00000001.MF4").read_bytes()[:40_000]
    expected, _ = read("asam_mf4", whole)
    data = bytearray(whole)
    struct.pack_into("<H", data, 60, struct.unpack_from("<H", data, 60)[0] | 64)
    # Records of 1 + 22 bytes (id 1), each followed by its bytes (id 2).
    at = 0x3910 + 24
    while at + 23 <= len(data):
        if data[at] == 1:
            data[at + 15 : at + 23] = bytes(8)
            at += 23
        else:
            at += 5 + struct.unpack_from("<L", data, at + 1)[0]
    frames, _ = read("asam_mf4", bytes(data))
    assert frames == expected
    assert len(frames) > 600


def test_database_with_a_view_for_a_table_is_refused(
    read: Read, tmp_path: Path
) -> None:
    path = tmp_path / "view.db"
    base = sqlite3.connect(path)
    base.execute(
        "CREATE VIEW messages AS WITH RECURSIVE n(ts) AS (SELECT 1 UNION ALL SELECT "
        "ts + 1 FROM n) SELECT ts, 1 arbitration_id, 0 extended, 0 remote, 0 error, "
        "0 dlc, x'' data FROM n"
    )
    base.commit()
    base.close()
    with pytest.raises(InputError, match="no table of messages"):
        read("python_can_db", path.read_bytes())


def test_database_rows_of_other_types_are_left_out(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "odd.db"
    base = sqlite3.connect(path)
    base.execute(
        "CREATE TABLE messages (ts REAL, arbitration_id INTEGER, extended INTEGER, "
        "remote INTEGER, error INTEGER, dlc INTEGER, data BLOB)"
    )
    rows: list[tuple[object, ...]] = [
        (1.0, 0x123, 0, 0, 0, 1, b"\x01"),
        ("x", 0x123, 0, 0, 0, 1, b"\x01"),
        (1.0, 0x823, 0, 0, 0, 1, b"\x01"),
        (1.0, 0x123, 0, 0, 0, 2, b"\x01"),
        (float("inf"), 0x123, 0, 0, 0, 1, b"\x01"),
        (1.0, 0x123, 5, 0, 0, 1, b"\x01"),
    ]
    base.executemany("INSERT INTO messages VALUES (?,?,?,?,?,?,?)", rows)
    base.commit()
    base.close()
    frames, notices = read("python_can_db", path.read_bytes())
    assert len(frames) == 1
    assert "the first of 5" in notices["damaged_records"].message


@pytest.mark.parametrize("name", ["vector_blf", "pcap", "asam_mf4"])
def test_memory_does_not_grow_with_the_log(name: str, tmp_path: Path) -> None:
    """Eight times the frames need no more memory (MF4: the sample as it is)."""
    peaks = []
    for count in (250, 2000):
        path = tmp_path / f"{count}"
        if name == "vector_blf":
            path.write_bytes(written_by_python_can(tmp_path, ".blf", count))
        elif name == "pcap":
            path.write_bytes(pcap(count=count))
        else:
            data = (DATASETS / "bus_logs" / "css" / "00000001.MF4").read_bytes()
            path.write_bytes(data[: 14632 + count * 20])
        reader = all_frame_readers()[name]
        for _ in reader.frames(path):
            pass
        tracemalloc.start()
        for _ in reader.frames(path):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 400_000
