"""What a channel group of an MDF 4 bus log says of its records.

Source: "ASAM MDF bus logging" as CSS Electronics and asammdf document it.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from battlife.model.frame import (
    MAX_CAN_ID,
    MAX_EXTENDED_ID,
    Direction,
    Frame,
    FrameKind,
)
from battlife.readers.frame_logs.findings import BadRecord
from battlife.readers.frame_logs.lines import CAN_BYTES, FD_LENGTHS
from battlife.readers.frame_logs.mdf_blocks import Block, Blocks

MAX_RECORD: Final = 1 << 16
_CG: Final = struct.Struct("<QQHH4xLL")
_CN: Final = struct.Struct("<BBBBLLL")
_KINDS: Final[dict[str, FrameKind]] = {
    "CAN_DataFrame": "data",
    "CAN_RemoteFrame": "remote",
    "CAN_ErrorFrame": "error",
}
_VARIABLE: Final = 1
_LITTLE: Final = 0
_BIG: Final = 1
_FLOAT: Final = 4
_EXTENDED: Final = 0x8000_0000

Take = Callable[[bytes], int]
# Time in ns, and the frame, whose own time is not set yet.
Row = tuple[int, Frame]


@dataclass
class Group:
    """A channel group: how to take its records apart.

    Attributes
    ----------
    name : "CAN_DataFrame" and the like, "" for another kind
    record_id : what stands before each of its records in an unsorted file
    cycles : number of records it announces
    length : bytes of a record
    variable : True for bytes of variable length, each with its own length
    time_ns : takes the time out of a record
    fields : takes the other numbers
    bytes_at : where the bytes of the frame are, or their offset elsewhere
    bytes_link : the group or block that holds them, 0 if the record does
    kind : kind of its frames, None if it holds none
    """

    name: str
    record_id: int
    cycles: int
    length: int
    variable: bool = False
    time_ns: Take | None = None
    fields: dict[str, Take] = field(default_factory=dict)
    bytes_at: tuple[int, int] = (0, 0)
    bytes_link: int = 0
    kind: FrameKind | None = None


def channel_group(blocks: Blocks, where: int, block: Block) -> tuple[int, Group]:
    """Return where a channel group is, and what its channels say.

    Raises
    ------
    InputError
        It is damaged, or a frame cannot be made of it.
    """
    if len(block.data) < _CG.size:
        raise blocks.damaged(f"a channel group at byte {where}")
    record_id, cycles, flags, _, n_bytes, n_invalid = _CG.unpack_from(block.data)
    if flags & 1:
        return where, Group("", record_id, cycles, 0, variable=True)
    length = n_bytes + n_invalid
    if length > MAX_RECORD:
        raise blocks.damaged(f"records of {length} bytes")
    group = Group("", record_id, cycles, length)
    for _, channel in blocks.chain(block.link(1), b"##CN"):
        _channel(blocks, channel, group, top=True)
        for _, part in _parts(blocks, channel):
            _channel(blocks, part, group, top=False)
    if group.kind is not None:
        needed = {"BusChannel"} if group.kind == "error" else {"BusChannel", "ID"}
        if group.kind == "data":
            needed |= {"DataLength"}
            if not group.bytes_at[1]:
                needed |= {"DataBytes"}
        missing = sorted(needed - set(group.fields))
        if missing == ["BusChannel"]:
            missing = []
        if missing or group.time_ns is None:
            what = ", ".join(missing) or "time"
            raise blocks.damaged(f"{group.name} without {what}")
    return where, group


def _parts(blocks: Blocks, channel: Block) -> Iterator[tuple[int, Block]]:
    link = channel.link(1)
    if link and channel.data[:1] == b"\0":
        yield from blocks.chain(link, b"##CN")


def _channel(blocks: Blocks, channel: Block, group: Group, top: bool) -> None:
    if len(channel.data) < _CN.size:
        raise blocks.damaged("a channel")
    kind, sync, data_type, bit, at, bits, _ = _CN.unpack_from(channel.data)
    name = blocks.text(channel.link(2))
    if top and sync == 1 and kind in (2, 3):
        group.time_ns = _time(blocks, channel, group.length, (data_type, at, bit, bits))
        return
    frame, _, part = name.partition(".")
    if top and frame in _KINDS:
        group.name = frame
        group.kind = _KINDS[frame]
    part = part or ("" if top else name)
    if part == "DataBytes":
        size = (bits + 7) // 8
        if at + size > group.length:
            raise blocks.damaged("DataBytes outside its record")
        group.bytes_at = (at, at + size)
        group.bytes_link = channel.link(5) if kind == _VARIABLE else 0
        if kind == _VARIABLE and not group.bytes_link:
            raise blocks.damaged("DataBytes without its bytes")
    elif part and data_type in (_LITTLE, _BIG) and 0 < bits <= 64:
        group.fields[part] = _integer(blocks, group.length, data_type, at, bit, bits)


def _integer(
    blocks: Blocks, length: int, data_type: int, at: int, bit: int, bits: int
) -> Take:
    end = at + (bit + bits + 7) // 8
    if end > length:
        raise blocks.damaged("a channel outside its record")
    mask = (1 << bits) - 1
    order: Literal["little", "big"] = "little" if data_type == _LITTLE else "big"

    def take(record: bytes) -> int:
        return int.from_bytes(record[at:end], order) >> bit & mask

    return take


def _time(
    blocks: Blocks, channel: Block, length: int, layout: tuple[int, int, int, int]
) -> Take:
    data_type, at, bit, bits = layout
    offset, factor = 0.0, 1.0
    if channel.link(4):
        rule = blocks.at(channel.link(4), b"##CC")
        kind = rule.data[0] if rule.data else 255
        if kind == 1 and len(rule.data) >= 40:
            offset, factor = struct.unpack_from("<2d", rule.data, 24)
        elif kind != 0:
            raise blocks.damaged("time by a conversion that is not linear")
    if data_type == _FLOAT and bits == 64 and at + 8 <= length:
        number = struct.Struct("<d")

        def from_float(record: bytes) -> int:
            (raw,) = number.unpack_from(record, at)
            return _ns(offset + factor * raw)

        return from_float
    if data_type not in (_LITTLE, _BIG) or not 0 < bits <= 64:
        raise blocks.damaged("time of an unknown type")
    whole = _integer(blocks, length, data_type, at, bit, bits)

    def from_integer(record: bytes) -> int:
        return _ns(offset + factor * whole(record))

    return from_integer


def _ns(seconds: float) -> int:
    if not -1e9 < seconds < 1e11:
        raise BadRecord(f"a time of {seconds:g} s")
    return round(seconds * 1e9)


def row(group: Group, record: bytes, data: bytes | None) -> Row:
    """Return a record as a frame; `data` are its bytes where they are elsewhere.

    Raises
    ------
    BadRecord
        No frame has such an identifier or length.
    """
    assert group.kind is not None
    assert group.time_ns is not None
    values = {name: take(record) for name, take in group.fields.items()}
    time_ns = group.time_ns(record)
    channel = str(values.get("BusChannel", ""))
    direction: Direction = "tx" if values.get("Dir") else "rx"
    if group.kind == "error":
        return time_ns, Frame(0.0, channel, direction, b"", 0, kind="error")
    raw = values["ID"]
    extended = bool(values.get("IDE", raw & _EXTENDED))
    identifier = raw & ~_EXTENDED
    if identifier > (MAX_EXTENDED_ID if extended else MAX_CAN_ID):
        raise BadRecord(f"{identifier:X} is no identifier")
    fd = bool(values.get("EDL"))
    if group.kind == "remote":
        data = b""
    else:
        length = values["DataLength"]
        if data is None:
            begin, end = group.bytes_at
            data = record[begin:end][:length]
        if len(data) != length:
            raise BadRecord(f"{len(data)} bytes where {length} are announced")
        code = values.get("DLC")
        if code is not None and (
            code > 15 or length != (FD_LENGTHS[code] if fd else min(code, CAN_BYTES))
        ):
            raise BadRecord(f"{length} bytes of a length code {code}")
    return time_ns, Frame(
        0.0, channel, direction, data, identifier, extended, fd, group.kind
    )
