"""Text formats of bus logs, line by line, as their documentation writes them."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from battlife.errors import InputError
from battlife.model import Frame, Notice
from battlife.readers.frame_logs.opening import all_frame_readers, recognised

Read = Callable[[str, str | bytes], tuple[list[Frame], dict[str, Notice]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read text as a format; return its frames and notices by code."""

    def of(name: str, text: str | bytes) -> tuple[list[Frame], dict[str, Notice]]:
        path = tmp_path / "log"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        log = all_frame_readers()[name].frames(path)
        frames = list(log)
        return frames, {n.code: n for n in log.notices}

    return of


def test_candump_log_forms(read: Read) -> None:
    frames, notices = read(
        "candump",
        "(1436509052.249713) vcan0 044#2A366C2BBA\n"
        "(1436509052.449847) vcan0 0F6#7ADFE07BD2 T\n"
        "(1436509052.650004) vcan0 12345678#01.02\n"
        "(1436509052.850131) vcan0 092#R8\n"
        "(1436509053.051303) vcan0 201##1AABBCCDDEEFF001122334455\n"
        "(1436509053.251303) vcan0 20000004#0004000000000000\n",
    )
    assert not notices
    assert frames[0] == Frame(0.0, "vcan0", "rx", bytes.fromhex("2A366C2BBA"), 0x44)
    assert frames[1].direction == "tx"
    assert frames[1].time_s == pytest.approx(0.200134, abs=1e-9)
    assert (frames[2].identifier, frames[2].extended) == (0x12345678, True)
    assert (frames[3].kind, frames[3].data) == ("remote", b"")
    assert frames[4].fd and len(frames[4].data) == 12
    assert frames[5].kind == "error"


def test_candump_start_is_utc(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("(1436509052.249713) can0 044#2A\n")
    log = all_frame_readers()["candump"].frames(path)
    assert log.start_utc is not None
    assert log.start_utc.isoformat() == "2015-07-10T06:17:32.249713+00:00"


def test_candump_on_the_screen(read: Read) -> None:
    frames, notices = read(
        "candump",
        "  can0  123   [3]  11 22 33\n"
        "  can0  1F334455   [8]  11 22 33 44 55 66 77 88   '.\"3DUfw.'\n"
        "  can0  123   [0]  remote request\n"
        "  can0  123  [12]  11 22 33 44 55 66 77 88 99 AA BB CC\n",
    )
    assert [f.data.hex() for f in frames[:2]] == ["112233", "1122334455667788"]
    assert frames[1].extended
    assert frames[2].kind == "remote"
    assert frames[3].fd and len(frames[3].data) == 12
    assert "no_times" in notices


def test_candump_with_direction_columns_and_local_dates(read: Read) -> None:
    frames, notices = read(
        "candump",
        " (2024-03-01 12:00:00.500000)  can0  TX - -  123   [1]  11\n"
        " (2024-03-01 12:00:01.750000)  can0  RX - -  124   [1]  12\n",
    )
    assert [f.direction for f in frames] == ["tx", "rx"]
    assert frames[1].time_s == 1.25
    assert "start_without_zone" in notices


def test_battery_emulator(read: Read) -> None:
    frames, notices = read(
        "candump",
        "(75.518) RX6 CF [8] E1 6D 2D AC 3F D0 07 00\n"
        "(75.165) TX6 16A954A6 [8] 12 E5 81 78 78 B8 8B BB",
    )
    first, second = frames
    assert (first.channel, first.direction, first.identifier) == ("6", "rx", 0xCF)
    assert (second.direction, second.extended) == ("tx", True)
    assert second.time_s == pytest.approx(-0.353)
    assert "0.353" in notices["clock_back"].message


@pytest.mark.parametrize(
    "line",
    [
        "(1.0) can0 044#2A3",
        "(1.0) can0 044#2A366C2BBA2A366C2B",
        "(1.0) can0 844#2A",
        "(1.0) can0 5FFFFFFF#2A",
        "(1.0) can0 044##1AABBCCDDEEFF00112233",
        "(1.0) can0 044#2G",
        " can0  123   [3]  11 22",
        " can0  123   [9]  11 22 33 44 55 66 77 88 99",
        "(1.0) can0",
        "\x00\x00\x00\x00",
    ],
)
def test_a_line_that_is_no_frame_is_counted(line: str, read: Read) -> None:
    good = "(0.5) can0 044#2A\n"
    frames, notices = read("candump", f"{good}{line}\n{good}")
    assert len(frames) == 2
    if line.strip("\x00"):
        assert "line 2" in notices["damaged_records"].message


def test_a_log_without_one_readable_frame_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match="no frame can be read") as raised:
        read("candump", "(1.0) can0 044#2\n(2.0) can0 044#2\n")
    assert "--format" in raised.value.hint


def test_a_line_of_megabytes_is_passed_over_in_bounded_memory(read: Read) -> None:
    import tracemalloc

    text = b"(0.5) can0 044#2A\n" + b"\x00A" * (4 << 20) + b"\n(0.6) can0 044#2B\n"
    tracemalloc.start()
    frames, notices = read("candump", text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [f.data for f in frames] == [b"\x2a", b"\x2b"]
    assert "damaged_records" in notices
    assert peak < 2 << 20


ASC = """date Sam Sep 30 15:06:13.191 2017
base {base}  timestamps {stamps}
internal events logged
Begin Triggerblock Sam Sep 30 15:06:13.191 2017
   0.000000 Start of measurement
{lines}
End TriggerBlock
"""


def asc(lines: str, base: str = "hex", stamps: str = "absolute") -> str:
    return ASC.format(lines=lines, base=base, stamps=stamps)


def test_asc_frames(read: Read) -> None:
    frames, notices = read(
        "vector_asc",
        asc(
            "   1.000000 1  18EBFF00x  Rx d 8 01 A0 0F A6 60 3B D1 40  Length = 273910 "
            "BitCount = 141 ID = 418119424x\n"
            "   1.500000 2  6F9        Tx d 3 05 0C 00\n"
            "   1.600000 2  100        Tx r\n"
            "   1.700000 1 ErrorFrame\n"
            "   1.800000 CANFD   3 Rx  4EE  Name_1  1 0 9 12 "
            "01 02 03 04 05 06 07 08 09 0A 0B 0C 102203 133 303000 e0006659 0 0 0 0\n"
            "   1.900000 CAN 1 Status:chip status error active\n"
            "   2.000000 1  Statistic: D 2 R 0 XD 0 XR 0 E 0 O 0 B 0.04%"
        ),
    )
    assert [f.kind for f in frames] == ["data", "data", "remote", "error", "data"]
    assert frames[0] == Frame(
        1.0, "1", "rx", bytes.fromhex("01A00FA6603BD140"), 0x18EBFF00, True
    )
    assert (frames[1].direction, frames[1].time_s) == ("tx", 1.5)
    assert frames[4].fd and len(frames[4].data) == 12
    assert set(notices) == {"start_without_zone", "other_lines"}


def test_asc_decimal_and_relative(read: Read) -> None:
    frames, _ = read(
        "vector_asc",
        asc(
            "   0.250000 1 100 Rx d 2 10 255\n   0.250000 1 101x Rx d 1 9",
            base="dec",
            stamps="relative",
        ),
    )
    assert [(f.time_s, f.identifier, f.data) for f in frames] == [
        (0.25, 100, bytes([10, 255])),
        (0.5, 101, bytes([9])),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "1.0 1 6F9 Rx d 3 05 0C",
        "1.0 1 6F9 Rx d 1 05 0C",
        "1.0 1 8F9 Rx d 1 05",
        "1.0 1 6F9 Zx d 1 05",
        "1.0 1 6F9 Rx d 1 5",
        "1.0 CANFD 1 Rx 4EE 1 0 9 11 01 02 03 04 05 06 07 08 09 0A 0B",
        "1.0 CANFD 1 Rx 4EE 1 0 9 0 0",
        "what is this",
        "1.0",
    ],
)
def test_asc_lines_that_are_no_frame(line: str, read: Read) -> None:
    good = "   1.500000 2  6F9        Tx d 3 05 0C 00"
    frames, notices = read("vector_asc", asc(f"{line}\n{good}"))
    assert len(frames) == 1
    assert "damaged_records" in notices


def test_asc_without_its_end(read: Read) -> None:
    text = asc("   1.500000 2  6F9        Tx d 3 05 0C 00").replace("End Tri", "//")
    _, notices = read("vector_asc", text)
    assert "not_closed" in notices


TRC_1 = {
    "": "     1)      1841  0001  3  01 02 03\n",
    ";$FILEVERSION=1.1\n": "  1)   1841.5  Rx  0001  3  01 02 03\n",
    ";$FILEVERSION=1.2\n": "  1)   1841.50 2  Rx  0001  3  01 02 03\n",
    ";$FILEVERSION=1.3\n": "  1)   1841.5 2  Rx  0001 - 3    01 02 03\n",
}


@pytest.mark.parametrize("head", TRC_1)
def test_trc_of_version_1(head: str, read: Read) -> None:
    (frame,), _ = read("peak_trc", head + ";   comment\n" + TRC_1[head])
    assert (frame.identifier, frame.data.hex()) == (1, "010203")
    assert frame.time_s == pytest.approx(1.841, abs=6e-4)


def test_trc_of_version_2(read: Read) -> None:
    frames, notices = read(
        "peak_trc",
        ";$FILEVERSION=2.0\n;$STARTTIME=43008.920986006946\n"
        "      1      2501.000 DT  00C8 Tx 2  09 08\n"
        "      2     17876.708 RR  18EF12CC Rx 8\n"
        "      3     17877.000 FB  0123 Rx 9  01 02 03 04 05 06 07 08 09 0A 0B 0C\n"
        "      4     17878.000 ST     - Rx 4  00 00 00 08\n"
        "      5     17879.000 ER     - Rx 5  04 00 00 00 00\n"
        "      7     17880.000 DT  0123 Rx 1  FF\n",
    )
    assert [f.kind for f in frames] == ["data", "remote", "data", "error", "data"]
    assert frames[0].direction == "tx" and frames[0].time_s == 2.501
    assert frames[1].extended and frames[2].fd and len(frames[2].data) == 12
    assert "2017-09-30 22:06:13.191" in notices["start_without_zone"].message
    assert "5 is followed by 7" in notices["messages_missing"].message


def test_trc_of_an_unknown_version_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match=r"version 1\.9"):
        read("peak_trc", ";$FILEVERSION=1.9\n  1) 1 Rx 0001 1 00\n")


def test_gvret_with_direction_padding_and_fd(read: Read) -> None:
    frames, notices = read(
        "gvret_csv",
        "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n"
        "166064000,0000021A,false,Tx,1,2,FE,36,00,00,00,00,00,00,\n"
        "166064250,18DAF110,true,Rx,0,12," + "0A," * 12 + "\n"
        "166064300,0000021A,maybe,Rx,0,1,FE\n"
        "166064300,0000021A,false,Rx,0,3,FE,01\n",
    )
    assert frames[0] == Frame(0.0, "1", "tx", b"\xfe\x36", 0x21A)
    assert frames[1].fd and frames[1].extended
    assert frames[1].time_s == pytest.approx(250e-6)
    assert "the first of 2" in notices["damaged_records"].message


def test_gvret_with_other_columns_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match="not those of GVRET"):
        read("gvret_csv", "Time Stamp,ID,Extended,Bus,Length,D1\n1,1,false,0,1,AA\n")


def test_python_can_csv(read: Read) -> None:
    data = base64.b64encode(b"\x01\x02").decode()
    frames, notices = read(
        "python_can_csv",
        "timestamp,arbitration_id,extended,remote,error,dlc,data\n"
        f"1700000000.5,0x123,0,0,0,2,{data}\n"
        f"1700000000.75,0x18daf110,1,0,0,2,{data}\n"
        "1700000000.8,0x123,0,1,0,4,\n"
        f"1700000000.9,0x123,0,0,0,3,{data}\n"
        "1700000000.9,0x123,0,0,0,2,!!!\n",
    )
    assert [(f.time_s, f.kind, f.data) for f in frames] == [
        (0.0, "data", b"\x01\x02"),
        (0.25, "data", b"\x01\x02"),
        (pytest.approx(0.3), "remote", b""),
    ]
    assert frames[1].extended
    assert "the first of 2" in notices["damaged_records"].message


def test_crtd(read: Read) -> None:
    frames, notices = read(
        "crtd",
        "1320745424.000 CXX OVMS CRTD\n"
        "1320745424.002 R11 402 FA 01 C3 A0 96 00 07 01\n"
        "1320745424.015 2T29 18DB33F1 02 01 05\n"
        "1320745424.020 CEV overflow of a buffer\n"
        "1320745424.025 R11 C02 FA\n"
        "1320745424.030 R11 402 FA 0",
    )
    assert [f.identifier for f in frames] == [0x402, 0x18DB33F1]
    assert (frames[1].direction, frames[1].channel) == ("tx", "2")
    assert {"frames_lost", "damaged_records", "cut_off"} <= set(notices)


def test_busmaster_through_midnight(read: Read) -> None:
    frames, notices = read(
        "busmaster",
        "***BUSMASTER Ver 3.2.2***\n***START DATE AND TIME 23:9:2015 23:59:59:9***\n"
        "***HEX***\n***SYSTEM MODE***\n"
        "23:59:59:9500 Rx 1 0x123 s 2 FE 36\n"
        "00:00:00:0500 Tx 1 18DAF110 x 1 01\n"
        "00:00:00:0600 Tx 1 123 sr 0\n"
        "***[STOP LOGGING SESSION]***\n",
    )
    assert [f.time_s for f in frames] == pytest.approx([0.0, 0.1, 0.11])
    assert frames[1].extended and frames[2].kind == "remote"
    assert set(notices) == {"start_without_zone"}


def test_busmaster_decimal_and_relative(read: Read) -> None:
    frames, _ = read(
        "busmaster",
        "***BUSMASTER Ver 3.2.2***\n***DEC***\n0:0:1:0 Rx 1 291 s 2 254 54\n",
    )
    assert (frames[0].identifier, frames[0].data) == (0x123, b"\xfe\x36")
    with pytest.raises(InputError, match="relative"):
        read("busmaster", "***BUSMASTER***\n***RELATIVE MODE***\n")


def test_car_bus_analyzer_counts(read: Read) -> None:
    record = "46,016\t1\t0004\t45A\t2\t5A 04\t00000000\tZ\t\r"
    head = "@ TEXT @ 2 @ 64 @ 0 @ {} @ 10078 @ 00:00:10.078 @\r"
    frames, notices = read("car_bus_analyzer", head.format(1) + record)
    assert frames[0].data == b"\x5a\x04" and not notices
    _, notices = read("car_bus_analyzer", head.format(2) + record)
    assert "2, and 1 are readable" in notices["cut_off"].message


def test_hex_text_styles(read: Read) -> None:
    frames, notices = read(
        "hex_text",
        "# a comment with DD:A5\n"
        "0xA5, 0x40, 0x90, 0x08,\n"
        "A5:40:95:08\n"
        "A5 40 96 08\n"
        "A5409708\n"
        "[12:00:01.500][D][uart:1]: >>> DD:A5:03:00 <<< DD:03:00\n"
        "[12:00:01.750][D][uart:1]: <<< 01.02\n"
        "[12:00:02.000] something else\n"
        "A5:40:98:08:00:0",
    )
    assert [f.data.hex() for f in frames[:4]] == [
        "a5409008",
        "a5409508",
        "a5409608",
        "a5409708",
    ]
    assert [(f.direction, f.data.hex()) for f in frames[4:6]] == [
        ("tx", "dda50300"),
        ("rx", "dd0300"),
    ]
    assert all(f.identifier is None for f in frames)
    assert {"other_lines", "cut_off", "damaged_records"} <= set(notices)


def test_hex_text_times(read: Read) -> None:
    frames, _ = read(
        "hex_text",
        "[23:59:59.500] >>> DD:A5:03:00\n[00:00:00.250] <<< DD:03:00:01\n",
    )
    assert [f.time_s for f in frames] == [0.0, 0.75]


def test_raw_bytes_only_by_name(tmp_path: Path) -> None:
    data = bytes(range(256)) * 40
    path = tmp_path / "dump.bin"
    path.write_bytes(data)
    assert recognised(data[:4096], "dump.bin") == []
    frames = list(all_frame_readers()["raw_bytes"].frames(path))
    assert b"".join(f.data for f in frames) == data
    assert max(len(f.data) for f in frames) == 4096
