"""ASAM MDF 4 bus logs: groups of CAN_DataFrame, sorted or as a logger left them.

Source: "ASAM MDF bus logging" as CSS Electronics and asammdf document it. An
unfinalised file (UnFinMF, a logger that lost its power) is read as it is: its last
block of data goes to the end of the file.
"""

import heapq
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import BinaryIO, Final

from battlife.model import Severity
from battlife.model.frame import Frame
from battlife.readers.frame_logs.findings import EPOCH, BadRecord, Findings, LogReader
from battlife.readers.frame_logs.mdf_blocks import Block, Blocks, Run, Stream
from battlife.readers.frame_logs.mdf_groups import (
    MAX_RECORD,
    Group,
    Row,
    channel_group,
    row,
)

MAX_WAITING: Final = 4096
"""Records of an unsorted file that may wait for their bytes."""
_OFFSETS_UNKNOWN: Final = 64


def _read(file: BinaryIO, findings: Findings) -> Iterator[Frame]:
    head = file.read(64)
    if len(head) < 64 or not head.startswith((b"MDF     ", b"UnFinMF ")):
        raise findings.refused("no MDF file", "is it another format?")
    if not head[8:9] == b"4":
        raise findings.refused(
            f"MDF version {ascii(head[8:12].decode('latin-1'))}, not 4",
            "convert it to MDF 4, or to ASC or BLF",
        )
    unfinished = head.startswith(b"UnFin")
    flags = struct.unpack_from("<H", head, 60)[0] if unfinished else 0
    if unfinished:
        findings.count(
            "not_closed",
            "the logger did not close the file",
            "its records are counted as they are; the last ones may be missing",
            Severity.INFO,
        )
    blocks = Blocks(file, findings, unfinished)
    header = blocks.at(64, b"##HD")
    _start(header, findings)
    runs: list[Iterator[Row]] = []
    n_can = 0
    for _, data_group in blocks.chain(header.link(0), b"##DG"):
        groups = [
            channel_group(blocks, where, block)
            for where, block in blocks.chain(data_group.link(1), b"##CG")
        ]
        if not any(group.kind for _, group in groups):
            continue
        n_can += 1
        stream = blocks.stream(data_group.link(2))
        size = data_group.data[0] if data_group.data else 0
        if size:
            for _, group in groups:
                if group.bytes_link and group.bytes_link not in dict(groups):
                    raise blocks.damaged("bytes of mixed records in another place")
            runs.append(
                _unsorted(stream, size, groups, findings, flags, not unfinished)
            )
        else:
            runs.append(_sorted(blocks, stream, groups, findings, unfinished))
    if not n_can:
        raise findings.refused(
            "the MDF file holds signals, not frames of a bus",
            "export its signals as CSV, and read that with --mapping FILE.toml",
        )
    findings.starts_at(0)
    for time_ns, frame in heapq.merge(*runs, key=lambda made: made[0]):
        yield replace(frame, time_s=findings.seconds(time_ns))


def _start(header: Block, findings: Findings) -> None:
    if len(header.data) < 13:
        raise findings.refused("the MDF head is cut off", "get the whole file")
    start_ns, _, _, flags = struct.unpack_from("<QhhB", header.data)
    try:
        moment = EPOCH + timedelta(microseconds=start_ns // 1000)
    except OverflowError:
        raise findings.refused(
            "a start no clock can have", "the MDF head is damaged"
        ) from None
    if flags & 1:
        findings.local_start(moment.replace(tzinfo=None).isoformat(" "))
    elif start_ns:
        findings.start_utc = moment


def _sorted(
    blocks: Blocks,
    stream: Stream,
    groups: list[tuple[int, Group]],
    findings: Findings,
    unfinished: bool,
) -> Iterator[Row]:
    """Yield the records of a data group that has one channel group."""
    _, group = groups[0]
    if len(groups) > 1 or not group.length:
        raise blocks.damaged("several groups of records that are not told apart")
    elsewhere = blocks.stream(group.bytes_link) if group.bytes_link else None
    run = Run(stream)
    n = 0
    while True:
        if not unfinished and n == group.cycles:
            break
        record = _taken(run, group.length, findings)
        if len(record) < group.length:
            if record:
                findings.cut("the last record is cut off", f"record {n + 1}")
            break
        n += 1
        try:
            data = None
            if elsewhere is not None:
                data = _elsewhere(elsewhere, record, group)
            yield row(group, record, data)
        except BadRecord as error:
            findings.damage(
                "records that are no frames are left out", f"record {n}, {error}"
            )
    if not unfinished and (n != group.cycles or stream.length != n * group.length):
        findings.cut(
            f"{group.name}: the file announces another number of records",
            f"{group.cycles}, and {n} are readable",
        )


def _taken(run: Run, length: int, findings: Findings) -> bytes:
    """Return the next bytes, none where their piece cannot be unpacked."""
    try:
        return run.take(length)
    except BadRecord as error:
        findings.damage(
            "what follows the damage is not read", str(error), "damaged_rest"
        )
        return b""


def _elsewhere(stream: Stream, record: bytes, group: Group) -> bytes:
    begin, end = group.bytes_at
    where = int.from_bytes(record[begin:end], "little")
    head = stream.read(where, 4)
    length = int.from_bytes(head, "little")
    if len(head) < 4 or length > 64:
        raise BadRecord(f"no bytes of a frame at {where}")
    return stream.read(where + 4, length)


def _unsorted(
    stream: Stream,
    size: int,
    groups: list[tuple[int, Group]],
    findings: Findings,
    flags: int,
    counted: bool,
) -> Iterator[Row]:
    """Yield the records of a data group whose groups are mixed, as a logger writes."""
    by_id = {group.record_id: (where, group) for where, group in groups}
    parts = {where: _Variable() for where, group in groups if group.variable}
    in_order = bool(flags & _OFFSETS_UNKNOWN)
    waiting: deque[tuple[Group, bytes, int]] = deque()
    seen = dict.fromkeys(by_id, 0)
    run = Run(stream)
    while lead := _taken(run, size, findings):
        at = run.where - len(lead)
        where, group = by_id.get(int.from_bytes(lead, "little"), (0, None))
        if group is None:
            findings.damage(
                "what follows the damage is not read",
                f"byte {at} of the records, no record begins there",
                "damaged_rest",
            )
            break
        length = group.length
        if group.variable:
            lead = _taken(run, 4, findings)
            length = int.from_bytes(lead, "little")
            if length > MAX_RECORD:
                findings.damage(
                    "what follows the damage is not read",
                    f"byte {at} of the records, {length} bytes in one",
                    "damaged_rest",
                )
                break
        record = _taken(run, length, findings)
        if len(record) < length or (group.variable and len(lead) < 4):
            findings.cut("the last record is cut off", f"byte {at} of the records")
            break
        seen[group.record_id] += 1
        if group.variable:
            parts[where].put(record)
        elif group.kind is not None:
            waiting.append((group, record, seen[group.record_id]))
        yield from _ready(waiting, parts, in_order, findings, MAX_WAITING)
    # A record whose offset is damaged keeps those behind it waiting, no longer.
    yield from _ready(waiting, parts, in_order, findings, 0)
    if counted:
        _compare(groups, seen, findings)


def _ready(
    waiting: deque[tuple[Group, bytes, int]],
    parts: dict[int, "_Variable"],
    in_order: bool,
    findings: Findings,
    patience: int,
) -> Iterator[Row]:
    """Yield the records whose bytes are there, in their order.

    Parameters
    ----------
    patience : how many may wait behind one whose bytes have yet to come
    """
    while waiting:
        group, record, n = waiting[0]
        source = parts.get(group.bytes_link)
        try:
            data = None
            if source is not None:
                data = source.get(record, group, in_order)
                if data is None and len(waiting) < patience:
                    return
                if data is None:
                    raise BadRecord("its bytes are missing")
            made = row(group, record, data)
        except BadRecord as error:
            findings.damage(
                "records that are no frames are left out",
                f"record {n} of {group.name}, {error}",
            )
        else:
            yield made
        waiting.popleft()


def _compare(
    groups: list[tuple[int, Group]], seen: dict[int, int], findings: Findings
) -> None:
    for _, group in groups:
        if group.kind is not None and group.cycles != seen[group.record_id]:
            findings.cut(
                f"{group.name}: the file announces another number of records",
                f"{group.cycles}, and {seen[group.record_id]} are readable",
            )


class _Variable:
    """Bytes of variable length between the records, found by their offset."""

    def __init__(self) -> None:
        self._end = 0
        self._kept: dict[int, bytes] = {}

    def put(self, data: bytes) -> None:
        """Take the next run of bytes."""
        if len(self._kept) > MAX_WAITING:
            del self._kept[next(iter(self._kept))]
        self._kept[self._end] = data
        self._end += 4 + len(data)

    def get(self, record: bytes, group: Group, in_order: bool) -> bytes | None:
        """Return the bytes a record stands for, None if they have yet to come."""
        begin, end = group.bytes_at
        if in_order:
            where = next(iter(self._kept), self._end)
        else:
            where = int.from_bytes(record[begin:end], "little")
        if where not in self._kept and where < self._end:
            raise BadRecord(f"no bytes begin at {where}")
        return self._kept.pop(where, None)


READER: Final = LogReader(
    "asam_mf4",
    "ASAM MDF 4 bus log (.mf4), finalised or not (CANedge, Vector, asammdf)",
    lambda head: head.startswith((b"MDF     ", b"UnFinMF ")),
    _read,
)
