"""A small log of every bus-log format, for the tests that damage them.

Real logs where their licence lets them travel with the project; the others are real
frames of a Kona, written by python-can (BLF, its CSV and database), or as their
documentation says (candump, TRC, CRTD, pcapng).
"""

import struct
import warnings
from pathlib import Path

from battlife.model import Frame
from battlife.readers.frame_logs import tables
from support import DATASETS

BUS = DATASETS / "bus_logs"
CAPTURES = DATASETS / "captures"
START_S = 1_700_000_000


def kona(count: int = 60) -> list[Frame]:
    """Return the first frames of a real log."""
    log = tables.GVRET.frames(BUS / "kona" / "power_on_head.csv")
    return [frame for frame, _ in zip(log, range(count), strict=False)]


def candump() -> bytes:
    return b"".join(
        b"(%d.%06d) can0 %03X#%s\n"
        % (START_S + i // 50, i % 50 * 20000, f.identifier, f.data.hex().encode())
        for i, f in enumerate(kona())
    )


def candump_plain() -> bytes:
    return b"".join(
        b" (%d.%06d)  can0  %03X   [%d]  %s\n"
        % (START_S, i, f.identifier, len(f.data), f.data.hex(" ").upper().encode())
        for i, f in enumerate(kona())
    )


def crtd() -> bytes:
    return b"".join(
        b"%d.%06d 1R11 %03X %s\n"
        % (START_S, i, f.identifier, f.data.hex(" ").upper().encode())
        for i, f in enumerate(kona())
    )


def trc() -> bytes:
    head = (
        b";$FILEVERSION=2.1\r\n;$STARTTIME=43008.920986006946\r\n"
        b";$COLUMNS=N,O,T,B,I,d,R,L,D\r\n;\r\n;   Message   Time    Type\r\n"
    )
    return head + b"".join(
        b"%7d %13.3f DT 1 %9s Rx -  %d    %s \r\n"
        % (
            i,
            i * 0.25,
            b"%04X" % f.identifier,
            len(f.data),
            f.data.hex(" ").upper().encode(),
        )
        for i, f in enumerate(kona(), 1)
    )


def pcap(order: str = ">", count: int = 60) -> bytes:
    """LINKTYPE_CAN_SOCKETCAN, identifiers in the given byte order."""
    made = struct.pack("<LHHlLLL", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 227)
    for i, f in enumerate(kona(count)):
        body = struct.pack(order + "LBxxx", f.identifier, len(f.data)) + f.data
        at = START_S + i // 1000, i % 1000 * 1000
        made += struct.pack("<LLLL", *at, len(body), len(body)) + body
    return made


def pcapng() -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += b"\0" * (-len(body) % 4)
        size = len(body) + 12
        return struct.pack("<LL", kind, size) + body + struct.pack("<L", size)

    made = block(0x0A0D0D0A, struct.pack("<LHHq", 0x1A2B3C4D, 1, 0, -1))
    # One interface of link type 227 with nanoseconds (option 9 is 9), then its end.
    made += block(1, struct.pack("<HHLHHB3xHH", 227, 0, 65535, 9, 1, 9, 0, 0))
    for i, f in enumerate(kona()):
        body = struct.pack(">LBxxx", f.identifier, len(f.data)) + f.data
        time_ns = START_S * 10**9 + i * 1000
        made += block(
            6,
            struct.pack("<5L", 0, time_ns >> 32, time_ns & 0xFFFFFFFF, *[len(body)] * 2)
            + body,
        )
    return made


def written_by_python_can(folder: Path, suffix: str, count: int = 60) -> bytes:
    """What python-can's writer for a suffix makes of real frames."""
    import can

    path = folder / f"written{suffix}"
    writer: can.BLFWriter | can.CSVWriter | can.SqliteWriter | can.ASCWriter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinds = {
            ".blf": can.BLFWriter,
            ".csv": can.CSVWriter,
            ".db": can.SqliteWriter,
            ".asc": can.ASCWriter,
        }
        writer = kinds[suffix](str(path))
        for i, f in enumerate(kona(count)):
            writer.on_message_received(
                can.Message(
                    timestamp=START_S + i / 1000,
                    arbitration_id=f.identifier,
                    is_extended_id=False,
                    data=f.data,
                    channel=0,
                )
            )
        writer.stop()
    return path.read_bytes()


def samples(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Return format and bytes of each sample, by its name."""
    logs = BUS / "savvycan"
    jk = CAPTURES / "jk" / "btsnoop_hci_jk-bd6a24s10p_hw8x_sw806g.log"
    jbd = CAPTURES / "jbd" / "JBD-SP25S003-L16S-100A-100A-B.txt"
    return {
        "candump": ("candump", candump()),
        "candump_plain": ("candump", candump_plain()),
        "asc": ("vector_asc", (BUS / "kona" / "precharge_relay.asc").read_bytes()),
        "asc_python_can": ("vector_asc", written_by_python_can(folder, ".asc")),
        "trc": ("peak_trc", trc()),
        "gvret": ("gvret_csv", (logs / "gvret_head.csv").read_bytes()),
        "python_can_csv": ("python_can_csv", written_by_python_can(folder, ".csv")),
        "python_can_db": ("python_can_db", written_by_python_can(folder, ".db")),
        "crtd": ("crtd", crtd()),
        "busmaster": ("busmaster", (logs / "busmaster_head.log").read_bytes()),
        "microchip": ("microchip_can", (logs / "microchip_head.log").read_bytes()),
        "car_bus": ("car_bus_analyzer", (logs / "CarBusAnalyzer.trc").read_bytes()),
        "blf": ("vector_blf", written_by_python_can(folder, ".blf")),
        "pcap": ("pcap", pcap()),
        "pcapng": ("pcap", pcapng()),
        "mf4": ("asam_mf4", (BUS / "css" / "00000001.MF4").read_bytes()),
        "btsnoop": ("btsnoop", jk.read_bytes()),
        "hex_text": ("hex_text", jbd.read_bytes()),
    }
