"""Real bus logs: counts that others took, and frames read off the files by eye."""

import csv
import re
from pathlib import Path

import pytest

from battlife.model import Frame
from battlife.readers import open_frames
from support import DATASETS, SHARED, shared

BUS = DATASETS / "bus_logs"
CAPTURES = DATASETS / "captures"

FOLDERS = (
    "can_asc can_battery_emulator_log can_blf can_busmaster can_carbusanalyzer "
    "can_gvret can_mf4 can_microchip can_pcap can_trc doip_pcap bms_daly bms_jk "
    "bms_seplos"
).split()
# Of these the index counts packets; most of them carry no frame.
PACKETS = {"bms_jk/btsnoop", "doip_pcap/doip"}
COUNTS = {
    BUS / "kona" / "precharge_relay.asc": ("vector_asc", 879),
    BUS / "kona" / "car_scanner.csv": ("gvret_csv", 1845),
    BUS / "kona" / "power_on_head.csv": ("gvret_csv", 2000),
    BUS / "savvycan" / "CarBusAnalyzer.trc": ("car_bus_analyzer", 55),
    BUS / "savvycan" / "gvret_head.csv": ("gvret_csv", 300),
    BUS / "savvycan" / "busmaster_head.log": ("busmaster", 300),
    BUS / "savvycan" / "microchip_head.log": ("microchip_can", 300),
    BUS / "css" / "00000001.MF4": ("asam_mf4", 5588),
    CAPTURES / "daly" / "daly_bms_24cells.txt": ("hex_text", 2),
    CAPTURES / "jk" / "traffic.log": ("hex_text", 417),
    CAPTURES / "seplos" / "SP05B2312190075-all-frames.txt": ("hex_text", 207),
    CAPTURES / "seplos" / "SP05B2312190075-pib-frames.txt": ("hex_text", 85),
    # grep -c '>>>\|<<<', twice where a line has both.
    CAPTURES / "jbd" / "JBD-SP04S034-L4S-200A-B-U.txt": ("hex_text", 12),
    CAPTURES / "jbd" / "JBD-SP04S034-L4S-200A-B-U_MOS.txt": ("hex_text", 16),
    CAPTURES / "jbd" / "JBD-SP25S003-L16S-100A-100A-B.txt": ("hex_text", 4),
}


def of_index() -> list[tuple[str, int]]:
    listing = SHARED / "exports" / "index.csv"
    if not listing.exists():
        return []
    with listing.open(encoding="utf-8", newline="") as file:
        return [
            (row["path"], int(row["n_rows"]))
            for row in csv.DictReader(file)
            if row["path"].split("/")[0] in FOLDERS
        ]


def test_the_index_is_all_there() -> None:
    if not (SHARED / "exports").exists():
        pytest.skip("the shared data is not beside this checkout")
    assert len(of_index()) == 24


@pytest.mark.parametrize(("name", "count"), of_index())
def test_counts_of_the_index(name: str, count: int) -> None:
    log = open_frames(shared(f"exports/{name}"))
    frames = list(log)
    if any(name.startswith(start) for start in PACKETS):
        told = [n.message for n in log.notices if n.code == "other_packets"]
        found = re.search(r"(\d+) (?:records|packets), (\d+)", told[0])
        assert found is not None
        assert (int(found[1]), int(found[2])) == (count, len(frames))
    else:
        assert len(frames) == count
    lost = {"cut_off", "damaged_rest", "damaged_records", "messages_missing"}
    assert not lost & {n.code for n in log.notices}


@pytest.mark.parametrize(
    ("path", "expected"), COUNTS.items(), ids=lambda v: str(v)[-24:]
)
def test_counts_of_the_project(path: Path, expected: tuple[str, int]) -> None:
    log = open_frames(path)
    frames = list(log)
    assert (log.source.format, len(frames)) == expected


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("can_kona/Main Relay (+) On.asc", 738),
        ("can_kona/Precharge relay (On).asc", 879),
        ("can_kona/221210-1-2021-dcan-car-scanner-elm327.csv", 1845),
        ("can_kona/230112-7-2019-pcan-ccan-power-off-on-ready-off.csv", 39546),
    ],
)
def test_counts_of_whole_kona_logs(name: str, count: int) -> None:
    assert sum(1 for _ in open_frames(shared(name))) == count


def content(frame: Frame) -> tuple[object, ...]:
    return frame.identifier, frame.extended, frame.data


def test_one_capture_written_in_three_formats_is_the_same() -> None:
    logs = [
        list(open_frames(BUS / "savvycan" / name))
        for name in ("gvret_head.csv", "busmaster_head.log", "microchip_head.log")
    ]
    first, *others = [[content(frame) for frame in log] for log in logs]
    for other in others:
        assert other == first
    for log in logs:
        # All of them count milliseconds or better; the capture is 0.2 s long here.
        assert log[-1].time_s == pytest.approx(0.2, abs=1e-9)


def test_frames_read_off_the_files() -> None:
    first = next(iter(open_frames(BUS / "savvycan" / "gvret_head.csv")))
    assert first == Frame(0.0, "0", "rx", bytes.fromhex("FE3612FE690507AD"), 0x21A)
    relay = list(open_frames(BUS / "kona" / "precharge_relay.asc"))
    assert relay[-1] == Frame(
        4.57677, "0", "rx", bytes.fromhex("806504005E01180E"), 0x5D8
    )
    bus = list(open_frames(BUS / "savvycan" / "CarBusAnalyzer.trc"))
    assert bus[5].time_s == pytest.approx(48.437 - 46.016)
    assert content(bus[5]) == (0x7C0, False, bytes.fromhex("013E000000000000"))


def test_starts_that_are_stated_in_utc() -> None:
    starts = {
        BUS / "kona" / "precharge_relay.asc": "2023-11-08T21:21:54+00:00",
        BUS / "css" / "00000001.MF4": "2022-01-06T11:46:01+00:00",
    }
    for path, start in starts.items():
        log = open_frames(path)
        assert log.start_utc is not None
        assert log.start_utc.isoformat() == start
    busmaster = open_frames(BUS / "savvycan" / "busmaster_head.log")
    assert busmaster.start_utc is None
    assert "start_without_zone" in {n.code for n in busmaster.notices}


def test_a_scanner_asks_and_the_car_answers() -> None:
    """OBD service 01 of an ELM327 app: request 7DF, answers 7EB and 7EC."""
    log = list(open_frames(BUS / "kona" / "car_scanner.csv"))
    assert [f.identifier for f in log[:3]] == [0x7DF, 0x7EB, 0x7EC]
    assert log[1].time_s == pytest.approx(0.0061)


def test_a_phone_talks_to_a_bms() -> None:
    log = list(
        open_frames(CAPTURES / "jk" / "btsnoop_hci_jk-bd6a24s10p_hw8x_sw806g.log")
    )
    asked, told = log[1], log[2]
    assert asked.direction == "tx" and asked.data.startswith(b"\xaa\x55\x90\xeb\x97")
    assert told.direction == "rx" and told.data.startswith(b"\x55\xaa\xeb\x90\x03")
    assert b"JK-BD6A24S10P" in told.data
    assert asked.channel == told.channel


def test_jbd_bytes_and_directions() -> None:
    log = list(open_frames(CAPTURES / "jbd" / "JBD-SP25S003-L16S-100A-100A-B.txt"))
    assert [f.direction for f in log] == ["tx", "rx", "tx", "rx"]
    assert log[0].data == bytes.fromhex("DDA50300FFFD77")
    # Sixteen cells, the last of which is dead.
    assert len(log[3].data) == 4 + 32 + 3
    assert log[3].data[-5:-3] == b"\0\0"


def test_socketcan_of_a_machine_and_of_the_network() -> None:
    log = open_frames(shared("exports/can_pcap/candump_uds_scanner.pcap"))
    frames = list(log)
    assert content(frames[0]) == (0x00A, False, b"ECURESET")
    assert content(frames[1]) == (0x201, False, bytes.fromhex("14D400DBF0"))
    assert "byte_order" in {n.code for n in log.notices}
    fd = list(open_frames(shared("exports/can_pcap/canfd.pcap")))
    assert [f.direction for f in fd] == ["tx", "rx"] * 2
    assert all(f.fd and f.identifier == 0x123 and len(f.data) == 12 for f in fd)


def test_uds_over_ethernet() -> None:
    frames = list(open_frames(shared("exports/doip_pcap/doip.pcap")))
    assert all(f.identifier is None for f in frames)
    assert {f.channel for f in frames} == {"doip:0E80:4010"}
    # Session control 10 03 is answered 50 03, 10 02 first refused: 7F 10 78.
    said = [(f.direction, f.data.hex()) for f in frames[1:8]]
    assert said[:2] == [("tx", "1003"), ("rx", "5003003201f4")]
    assert said[4:] == [("tx", "1002"), ("rx", "7f1078"), ("rx", "5002003201f4")]


def test_mf4_as_asammdf_reads_it(tmp_path: Path) -> None:
    """Sorted, packed and transposed, asammdf and this reader see the same frames."""
    import asammdf

    source = BUS / "css" / "00000001.MF4"
    with asammdf.MDF(source) as mdf:
        columns = {
            name: mdf.get(f"CAN_DataFrame.{name}", group=0, raw=True)
            for name in ("ID", "IDE", "DataLength", "DataBytes", "Dir", "BusChannel")
        }
        times = columns["ID"].timestamps
        expected = [
            (
                round(float(times[i]) * 1e6),
                int(columns["ID"].samples[i]),
                bool(columns["IDE"].samples[i]),
                bytes(columns["DataBytes"].samples[i])[
                    : int(columns["DataLength"].samples[i])
                ],
                "tx" if columns["Dir"].samples[i] else "rx",
                str(columns["BusChannel"].samples[i]),
            )
            for i in range(len(times))
        ]
        saved = [
            Path(mdf.save(tmp_path / f"{how}.mf4", compression=how, overwrite=True))
            for how in (0, 1, 2)
        ]
    assert len(expected) == 5588
    for path in (source, *saved):
        log = open_frames(path)
        got = [
            (
                round(f.time_s * 1e6),
                f.identifier,
                f.extended,
                f.data,
                f.direction,
                f.channel,
            )
            for f in log
        ]
        assert got == expected
        closed = "not_closed" not in {n.code for n in log.notices}
        assert closed == (path != source)
