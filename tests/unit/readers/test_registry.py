"""Finding the reader, and what reading adds: hash, bounds, hints."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from battlife import readers
from battlife.errors import FormatError, InputError
from battlife.model import Trace
from battlife.readers import detect, hash_file, read
from battlife.readers.documents import describe_document
from battlife.readers.frame_logs.opening import recognised
from support import shared


@dataclass
class Fake:
    """Claims files that begin with a mark, and does something while reading."""

    mark: bytes
    name: str = "fake"
    description: str = "test"
    sizes: dict[str, int] = field(default_factory=lambda: {"u": 3})
    during: object = None

    def recognises(self, head: bytes, name: str) -> bool:
        return head.startswith(self.mark)

    def read(self, path: Path) -> list[Trace]:
        if callable(self.during):
            self.during(path)
        return [
            Trace(u, None, np.arange(float(n)), np.array([0]), {})
            for u, n in self.sizes.items()
        ]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    found: list[Fake] = []
    monkeypatch.setattr(readers, "all_readers", lambda: {r.name: r for r in found})
    return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.dat"
    path.write_bytes(b"MARK and more")
    return path


def test_one_reader_is_found_and_stamps_what_it_read(known, log: Path) -> None:
    known.append(Fake(b"MARK"))
    assert detect(log).name == "fake"
    (trace,) = read(log)
    (source,) = trace.provenance.sources
    # printf 'MARK and more' | sha256sum
    assert (source.sha256, source.size_bytes) == hash_file(log)
    assert source.size_bytes == 13
    assert (source.format, source.path) == ("fake", str(log))


def test_hash_file(tmp_path: Path) -> None:
    # The empty message and "abc" of FIPS 180-4.
    path = tmp_path / "x"
    path.write_bytes(b"")
    digest, size = hash_file(path)
    assert digest.startswith("e3b0c44298fc1c14") and size == 0
    path.write_bytes(b"abc")
    assert hash_file(path)[0].startswith("ba7816bf8f01cfea")
    with pytest.raises(InputError, match="cannot be read"):
        hash_file(tmp_path / "none")


def test_several_readers_are_listed(known, log: Path) -> None:
    known.extend([Fake(b"MARK", "one"), Fake(b"MA", "two")])
    with pytest.raises(FormatError, match="one, two") as raised:
        detect(log)
    assert "--format" in raised.value.hint


def test_no_reader_suggests_a_mapping(known, log: Path) -> None:
    with pytest.raises(FormatError, match="no reader") as raised:
        detect(log)
    assert "--mapping" in raised.value.hint


def test_what_cannot_be_opened(known, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    for name, word in (("none", "opened"), ("empty", "empty"), (".", "folder")):
        with pytest.raises(InputError, match=word):
            detect(tmp_path / name)


def test_a_file_beyond_the_bound_is_refused_unless_allowed(known, log: Path) -> None:
    known.append(Fake(b"MARK"))
    with pytest.raises(InputError, match="13 bytes"):
        read(log, max_bytes=12)
    assert len(read(log, max_bytes=13)) == 1


def test_a_file_that_changes_while_it_is_read_is_refused(known, log: Path) -> None:
    def append(path: Path) -> None:
        with path.open("ab") as file:
            file.write(b"!")

    known.append(Fake(b"MARK", during=append))
    with pytest.raises(InputError, match="changed"):
        read(log)


def test_a_file_that_is_only_touched_is_read(known, log: Path) -> None:
    known.append(Fake(b"MARK", during=lambda p: os.utime(p, (1, 1))))
    assert len(read(log)) == 1


def test_a_file_that_vanishes_is_a_typed_error(known, log: Path) -> None:
    known.append(Fake(b"MARK", during=lambda p: p.unlink()))
    with pytest.raises(InputError, match="cannot be read"):
        read(log)


@pytest.mark.parametrize("error", [OSError("disk"), MemoryError()])
def test_a_failing_disk_is_a_typed_error(known, log: Path, error) -> None:
    def fail(path: Path) -> None:
        raise error

    known.append(Fake(b"MARK", during=fail))
    with pytest.raises(InputError, match="cannot be read"):
        read(log)


def test_a_unit_of_a_row_or_two_beside_a_long_one_is_named(known, log: Path) -> None:
    known.append(Fake(b"MARK", sizes={"cell-7": 500, "cell-3": 1}))
    for trace in read(log):
        (notice,) = trace.provenance.notices
        assert notice.code == "stray_unit"
        assert "cell-3" in notice.message
    known[0].sizes = {"cell-7": 500, "cell-3": 400}
    assert all(not t.provenance.notices for t in read(log))


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"LOGG\x90\x00", "vector_blf"),
        (b"MDF     4.10", "asam_mf4"),
        (b"UnFinMF 4.10", "asam_mf4"),
        (b"btsnoop\x00\x00", "btsnoop"),
        (b"\xd4\xc3\xb2\xa1\x02", "pcap"),
        (b"\n\r\r\n\x1c", "pcap"),
        (b";$FILEVERSION=2.1\n;$STARTTIME=1\n", "peak_trc"),
        (b"date Sam Sep 30 15:06:13 2017\nbase hex  timestamps absolute\n", "asc"),
        (b"begin triggerblock\n 0.01 1 123x Rx d 8\n", "asc"),
        (b"\xef\xbb\xbfTime Stamp,ID,Extended,Dir,Bus,LEN,D1\n", "gvret_csv"),
        (b"***BUSMASTER Ver 2.4.0***\n", "busmaster"),
        (b"(1436509052.249713) can0 12345678#01.02\n", "candump"),
        (b" (0.5) RX0 17F0007B [8] 01 02 03 04 05 06 07 08\n", "candump"),
        (b" can0  123   [8]  11 22 33 44 55 66 77 88\n", "candump"),
        (b">>> DD:A5:03:00:FF:FD:77\n<<< DD:03:00:1B\n", "hex_text"),
        (b"0xA5, 0x40, 0x90, 0x08, 0x00, 0x00, 0x00, 0x00, 0x7D\n", "hex_text"),
    ],
)
def test_a_bus_log_is_named(head: bytes, what: str, known, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(head)
    with pytest.raises(FormatError, match=rf"bus log \([a-z_]*{what}\)") as raised:
        detect(path)
    assert "--protocol" in raised.value.hint


@pytest.mark.parametrize(
    "head",
    [
        b"Test_Time(s),Current(A),Voltage(V)\n1.0,2.0,3.0\n",
        b"No,1.0,1,1,1,1,3,1.0,0.00,3.147,0.0,0.00,0.00,REST, ,\n" * 40,
        b"2020-01-01 10:00:00,12,13,14,15,16,17,18,19\n" * 20,
        b"27.403047\t27.935473\t27.523188\t25.598316\n" * 20,
    ],
)
def test_columns_are_no_bus_log(head: bytes) -> None:
    assert recognised(head, "x.csv") == []
    assert describe_document(head) is None


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"PK\x03\x04word/document.xml", "office"),
        (b"PK\x03\x04whatever", "zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Microsoft Office"),
        (b"\n<!DOCTYPE html>", "web page"),
    ],
)
def test_a_document_is_no_log(head: bytes, what: str, known, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(head)
    with pytest.raises(FormatError, match=rf"not a log.*{what}"):
        detect(path)


BUS_FOLDERS = (
    "can_asc can_blf can_busmaster can_carbusanalyzer can_gvret can_mf4 can_microchip "
    "can_pcap can_trc doip_pcap bms_daly bms_jk bms_seplos can_battery_emulator_log"
).split()


@pytest.mark.parametrize("folder", BUS_FOLDERS)
def test_real_bus_logs_are_named(folder: str) -> None:
    for path in sorted(shared(f"exports/{folder}").iterdir()):
        with pytest.raises(FormatError, match="bus log"):
            detect(path)
