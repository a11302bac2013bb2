"""Bus logs and captured bytes through a protocol: readings, and Traces of units."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from battlife import wire
from battlife.errors import FormatError, InputError
from battlife.model import (
    Frame,
    FrameReader,
    Notice,
    Provenance,
    Reading,
    Rejected,
    Trace,
    WireProtocol,
)
from battlife.pipeline.journals import MarkFinder
from battlife.readers import (
    OpenLog,
    all_frame_readers,
    all_readers,
    detect_frames,
    open_frames,
)
from battlife.wire.align import align, numbers

READER: Final = "decoded"
"""Name of the reader of an archive's source that is a bus log."""
PERIOD_S: Final = 1.0
MAX_AGE_S: Final = 10.0
"""A slow message of a pack comes each few seconds; older than this is missing."""
LOOK_FRAMES: Final = 20_000
"""Frames of a log that are tried to tell which protocols know it."""
MAX_DEVICES: Final = 256


@dataclass(frozen=True)
class Decoding:
    """How the frames of a log become values.

    Attributes
    ----------
    protocol : name of the protocol
    address : of the device, None for the protocol's own
    dbc : DBC file, where the protocol needs one
    map : which signals of the DBC file are which quantity, TOML; see docs/mappings.md
    period_s : s between two samples of a Trace
    """

    protocol: str
    address: int | None = None
    dbc: Path | None = None
    period_s: float = PERIOD_S
    map: Path | None = None

    def wire(self) -> WireProtocol:
        """Return the protocol.

        Raises
        ------
        InputError
            No such protocol, or it does not take these options.
        """
        return wire.protocol(
            self.protocol, address=self.address, dbc=self.dbc, map=self.map
        )


@dataclass(frozen=True)
class Item:
    """One thing a log says, and on which channel."""

    channel: str
    what: Reading | Rejected


def decode_frames(device: WireProtocol, frames: Iterator[Frame]) -> Iterator[Item]:
    """Yield what frames say, in order; each channel has a decoder of its own."""
    decoders: dict[str, Any] = {}
    for frame in frames:
        decoder = decoders.get(frame.channel)
        if decoder is None:
            if len(decoders) >= MAX_DEVICES:
                raise InputError(f"more than {MAX_DEVICES} channels in one log")
            decoder = decoders[frame.channel] = device.decoder()
        for what in decoder.feed(frame):
            yield Item(frame.channel, what)
    for channel, decoder in decoders.items():
        for what in decoder.finish():
            yield Item(channel, what)


def frame_reader(name: str | None, path: Path) -> FrameReader | None:
    """Return the reader of a bus log by name or by its first bytes, None if none.

    Raises
    ------
    InputError
        The file cannot be opened.
    FormatError
        Several readers recognise it.
    """
    if name is not None:
        return all_frame_readers().get(name)
    return detect_frames(path)


def open_log(path: Path, format_name: str | None) -> OpenLog | None:
    """Open a file if it is a bus log, None if it is something else.

    Raises
    ------
    InputError
        It cannot be opened.
    """
    if not path.is_file() or format_name in all_readers():
        return None
    reader = frame_reader(format_name, path)
    return None if reader is None else open_frames(path, reader)


def decode_file(
    path: Path, decoding: Decoding, format_name: str | None = None
) -> Iterator[Item]:
    """Yield what a bus log says.

    Raises
    ------
    InputError
        The log cannot be read, here or on the way.
    """
    log = open_frames(path, frame_reader(format_name, path))
    yield from decode_frames(decoding.wire(), iter(log))


def suggestions(path: Path, reader: FrameReader) -> str:
    """Return which protocols know the beginning of a log, in words, "" if none."""
    found = []
    for name in wire.names():
        if name == "dbc":
            continue
        device = wire.protocol(name)
        frames = _first(iter(open_frames(path, reader)), LOOK_FRAMES)
        items = decode_frames(device, frames)
        # Answers without values, such as "session", are alike in many families.
        count = sum(isinstance(i.what, Reading) and bool(i.what.values) for i in items)
        if count:
            found.append((count, name))
    return ", ".join(
        f"{name} ({count} messages)" for count, name in sorted(found)[::-1]
    )


def _first(frames: Iterator[Frame], n: int) -> Iterator[Frame]:
    for _, frame in zip(range(n), frames, strict=False):
        yield frame


@dataclass(frozen=True)
class DecodedReader:
    """Reads a bus log through a protocol, as any log is read: one Trace per device.

    Attributes
    ----------
    decoding : how its frames become values
    format : name of the frame reader, None to detect
    """

    decoding: Decoding
    format: str | None = None

    name: str = READER
    description: str = "a bus log, decoded"

    def recognises(self, head: bytes, name: str) -> bool:
        """Never: it is chosen by --protocol."""
        del head, name
        return False

    def read(self, path: Path) -> tuple[Trace, ...]:
        """Read a bus log into one Trace per device.

        Raises
        ------
        InputError
            It cannot be read, or nothing in it is of this protocol.
        """
        reader = frame_reader(self.format, path)
        if reader is None:
            raise FormatError(
                f"{path}: is no bus log, and --protocol {self.decoding.protocol} was "
                "given",
                "leave --protocol out for a tester's export",
            )
        device = self.decoding.wire()
        seen = _survey(path, reader, device)
        units = [key for key, n in seen.numeric.items() if n]
        if not units:
            raise self._nothing(path, reader, seen)
        return tuple(
            align(
                lambda key=key: seen.again(key),  # type: ignore[misc]  # binds the key
                unit_id=_unit_id(path, key, units),
                start_utc=seen.start_utc,
                period_s=self.decoding.period_s,
                max_age_s=max(MAX_AGE_S, self.decoding.period_s),
                provenance=seen.provenance(self.decoding.protocol),
            )
            for key in units
        )

    def _nothing(self, path: Path, reader: FrameReader, seen: "_Survey") -> InputError:
        known = suggestions(path, reader)
        rejected = (
            f", {seen.n_rejected} messages were not right" if (seen.n_rejected) else ""
        )
        return InputError(
            f"{path}: nothing in its {seen.n_frames} frames is of "
            f"{self.decoding.protocol}{rejected}",
            f"it looks like: {known}" if known else "no protocol known here decodes it",
        )


@dataclass
class _Survey:
    """What a first pass over a log finds, and the way to its readings again."""

    path: Path
    reader: FrameReader
    device: WireProtocol
    start_utc: Any = None
    n_frames: int = 0
    n_rejected: int = 0
    first_error: str = ""
    simulated: bool = False
    notices: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        self.numeric: dict[tuple[str, str], int] = {}

    def again(self, key: tuple[str, str]) -> Iterator[Reading]:
        """Yield the readings of one device of one channel."""
        log = open_frames(self.path, self.reader)
        for item in decode_frames(self.device, iter(log)):
            if isinstance(item.what, Reading) and _key(item) == key:
                yield item.what

    def provenance(self, protocol: str) -> Provenance:
        notices = list(self.notices)
        if self.n_rejected:
            notices.append(
                Notice(
                    "rejected_messages",
                    f"{self.n_rejected} messages were not right and are not used; the "
                    f"first: {self.first_error}",
                )
            )
        header = {"vendor.protocol": protocol, "vendor.bus_log": self.reader.name}
        return Provenance(
            header=header, notices=tuple(notices), simulated=self.simulated
        )


def _survey(path: Path, reader: FrameReader, device: WireProtocol) -> _Survey:
    seen = _Survey(path, reader, device)
    log = open_frames(path, reader)
    marks = MarkFinder([])

    def counted() -> Iterator[Frame]:
        for frame in log:
            seen.n_frames += 1
            marks.feed(frame)
            yield frame

    for item in decode_frames(device, counted()):
        if isinstance(item.what, Rejected):
            seen.n_rejected += 1
            seen.first_error = seen.first_error or item.what.error.message
            continue
        key = _key(item)
        if key not in seen.numeric and len(seen.numeric) >= MAX_DEVICES:
            raise InputError(f"{path}: more than {MAX_DEVICES} devices")
        seen.numeric[key] = seen.numeric.get(key, 0) + bool(numbers(item.what.values))
    seen.start_utc = log.start_utc
    seen.simulated = marks.found
    seen.notices = tuple(log.notices)
    return seen


def _key(item: Item) -> tuple[str, str]:
    return item.channel, item.what.device


def _unit_id(path: Path, key: tuple[str, str], units: list[tuple[str, str]]) -> str:
    """Return the stem of the log, with channel and device where there are several."""
    channel, device = key
    parts = [path.stem]
    if len({c for c, _ in units}) > 1:
        parts.append(channel)
    if len({d for _, d in units}) > 1:
        parts.append(device or "0")
    return "-".join(parts)


def to_toml(decoding: Decoding, format_name: str | None) -> str:
    """Return what an archive keeps so that a log can be decoded again."""
    lines = ["[decoding]", f"protocol = {_quoted(decoding.protocol)}"]
    if decoding.address is not None:
        lines.append(f"address = {decoding.address}")
    lines.append(f"period_s = {float(decoding.period_s)!r}")
    if format_name is not None:
        lines.append(f"format = {_quoted(format_name)}")
    for key, path in (("dbc", decoding.dbc), ("map", decoding.map)):
        if path is not None:
            lines.append(f"{key} = {_quoted(path.read_bytes().decode('latin-1'))}")
    return "\n".join(lines) + "\n"


def from_toml(table: Mapping[str, Any], folder: Path) -> DecodedReader:
    """Return the reader that an archive's settings describe.

    Parameters
    ----------
    table : the parsed text of :func:`to_toml`
    folder : where the DBC file is put

    Raises
    ------
    InputError
        The settings are not such.
    """
    try:
        facts = table["decoding"]
        files: dict[str, Path | None] = {"dbc": None, "map": None}
        for key in files:
            if key in facts:
                path = files[key] = folder / f"decoding.{key}"
                path.write_bytes(facts[key].encode("latin-1"))
        decoding = Decoding(
            str(facts["protocol"]),
            facts.get("address"),
            files["dbc"],
            float(facts["period_s"]),
            files["map"],
        )
        return DecodedReader(decoding, facts.get("format"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the settings of the decoding are wrong: {error!r}"
        ) from error


def _quoted(text: str) -> str:
    """Return text as a TOML basic string."""
    escaped = "".join(
        f"\\u{ord(c):04X}" if c in '"\\' or ord(c) < 32 or ord(c) == 127 else c
        for c in text
    )
    return f'"{escaped}"'
