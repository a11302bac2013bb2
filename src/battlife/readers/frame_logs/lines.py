"""Text logs, line by line, in bounded memory."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final, Protocol

from battlife.model import Frame, Severity
from battlife.readers.frame_logs.findings import NS, BadRecord, Findings, Frames

MAX_LINE: Final = 1 << 16
"""Longest line; a serial dump may put some kilobytes into one."""
CAN_BYTES: Final = 8
FD_LENGTHS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
"""Bytes of a CAN FD frame by its length code (ISO 11898-1)."""
_BOM: Final = b"\xef\xbb\xbf"
_HEX_PAIRS: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_DECIMAL: Final = re.compile(r"([0-9]{1,12})(?:[.,]([0-9]{1,9}))?")


class LineParser(Protocol):
    """Understands the lines of one format, one after the other."""

    def tells_length(self, line: str) -> bool:
        """Say whether the line would show that its frame lost an end."""
        ...

    def frames(self, line: str) -> Iterable[Frame]:
        """Return the frames of a line, none for a line of another kind.

        Raises
        ------
        BadRecord
            It looks like a frame and is none, or like nothing the format knows.
        """
        ...

    def end(self) -> None:
        """Note what is missing at the end of the log."""
        ...


def line_frames(
    parser: Callable[[Findings], LineParser], newline: bytes = b"\n"
) -> Frames:
    """Return the frames function of a text format.

    Parameters
    ----------
    parser : makes a parser that has seen no line
    newline : what ends a line
    """

    def read(file: BinaryIO, findings: Findings) -> Iterator[Frame]:
        understand = parser(findings)
        number = 0
        for line, ended in _lines(file, findings, newline):
            number += 1
            if not line or line.isspace():
                continue
            if not ended and not understand.tells_length(line):
                findings.cut("the last line has no end and is left out", line[:60])
                break
            try:
                yield from understand.frames(line)
            except BadRecord as error:
                what = f"line {number}, {error}: {ascii(line[:60])}"
                if ended:
                    findings.damage("lines that are no frames are left out", what)
                else:
                    findings.cut("the last line is cut off and left out", what)
        understand.end()

    return read


def _lines(
    file: BinaryIO, findings: Findings, newline: bytes
) -> Iterator[tuple[str, bool]]:
    """Yield each line without its end, and whether it had one."""
    first = True
    rest = b""
    overlong = False
    while block := file.read(MAX_LINE):
        if first:
            block = block.removeprefix(_BOM)
            first = False
        parts = (rest + block).split(newline)
        rest = parts.pop()
        for part in parts:
            if overlong:
                overlong = False
                continue
            yield part.decode("latin-1").strip("\r\x00"), True
        if len(rest) > MAX_LINE:
            findings.damage(
                "lines that are no frames are left out",
                f"more than {MAX_LINE} bytes without an end of line",
            )
            rest, overlong = b"", True
    if rest and not overlong:
        yield rest.decode("latin-1").strip("\r\x00"), False


def nanoseconds(text: str, unit_ns: int = NS) -> int:
    """Return a decimal number of seconds (or of another unit) in ns, exactly.

    Raises
    ------
    BadRecord
        It is no such number.
    """
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise BadRecord(f"{ascii(text[:20])} is no time")
    whole, fraction = found.groups()
    part: str = fraction or "0"
    return int(whole) * unit_ns + int(part) * unit_ns // int("1" + "0" * len(part))


def hex_bytes(text: str, length: int | None = None) -> bytes:
    """Return bytes given as pairs of hex digits, with blanks between or without.

    Raises
    ------
    BadRecord
        They are no pairs, or not `length`.
    """
    pairs = text.split()
    joined = "".join(pairs)
    if _HEX_PAIRS.fullmatch(joined) is None or any(len(p) % 2 for p in pairs):
        raise BadRecord(f"{ascii(text[:20])} is no run of bytes")
    data = bytes.fromhex(joined)
    if length is not None and len(data) != length:
        raise BadRecord(f"{len(data)} bytes where {length} are announced")
    return data


def number(text: str, base: int, most: int, what: str) -> int:
    """Return a whole number in its bounds.

    Raises
    ------
    BadRecord
        It is none, or out of bounds.
    """
    if not text.isascii() or not text.isalnum():
        raise BadRecord(f"{ascii(text[:20])} is no {what}")
    try:
        value = int(text, base)
    except ValueError:
        raise BadRecord(f"{ascii(text[:20])} is no {what}") from None
    if value > most:
        raise BadRecord(f"{text[:20]} is more than a {what} can be")
    return value


def other_line(findings: Findings, line: str) -> tuple[Frame, ...]:
    """Count a line of another kind; it gives no frame."""
    findings.count(
        "other_lines",
        "lines of another kind, which hold no frame, are passed over",
        ascii(line[:60]),
        Severity.INFO,
    )
    return ()


def matches(*patterns: bytes) -> Callable[[bytes], bool]:
    """Return a test of the first bytes of a text file, line by line."""
    compiled = [re.compile(pattern, re.MULTILINE) for pattern in patterns]

    def looks_right(head: bytes) -> bool:
        text = head.removeprefix(_BOM)
        return any(pattern.search(text) for pattern in compiled)

    return looks_right
