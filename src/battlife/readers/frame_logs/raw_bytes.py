"""A serial line dumped into a file, byte for byte; only by its name."""

from collections.abc import Iterator
from typing import BinaryIO, Final

from battlife.model import Frame, Severity
from battlife.readers.frame_logs.findings import Findings, LogReader

RUN_BYTES: Final = 4096


def _read(file: BinaryIO, findings: Findings) -> Iterator[Frame]:
    findings.count(
        "no_times", "the log gives no times", "every byte is at 0 s", Severity.INFO
    )
    while run := file.read(RUN_BYTES):
        yield Frame(0.0, "", "rx", run)


READER: Final = LogReader(
    "raw_bytes",
    "bytes of a serial line as they came; only with --format raw_bytes",
    lambda head: False,
    _read,
)
