"""Bus logs and captures of serial lines: one reader per format, each yields Frames.

Every reader streams: it holds a record, never the file. What is lost or damaged is a
notice or a typed error; where a format counts its records, they are counted.
"""

from collections.abc import Sequence
from typing import Final

from battlife.model import FrameReader
from battlife.readers.frame_logs import (
    analysers,
    asc,
    blf,
    btsnoop,
    candump,
    crtd,
    database,
    hex_text,
    mdf,
    pcap,
    raw_bytes,
    tables,
    trc,
)

READERS: Final[Sequence[FrameReader]] = (
    candump.READER,
    asc.READER,
    blf.READER,
    pcap.READER,
    mdf.READER,
    btsnoop.READER,
    trc.READER,
    tables.GVRET,
    tables.PYTHON_CAN,
    database.READER,
    crtd.READER,
    analysers.BUSMASTER,
    analysers.MICROCHIP,
    analysers.CAR_BUS,
    hex_text.READER,
    raw_bytes.READER,
)
