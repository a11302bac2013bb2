"""Text files as lines: encoding, line ends, size."""

import re
from pathlib import Path
from typing import Final

from battlife.errors import InputError

MAX_BYTES: Final = 1 << 30
"""Largest text file read: about ten million records, five times its size in memory."""

_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def decode(data: bytes, encoding: str = "") -> str:
    """Return bytes as text: the encoding given, else what the bytes show.

    Byte-order marks decide first, then valid UTF-8, then Chinese double bytes, then
    Windows-1252; a stray byte never stops the reading.
    """
    if encoding:
        try:
            return data.decode(encoding, errors="replace").removeprefix("\ufeff")
        except LookupError:
            raise InputError(
                f"unknown encoding {encoding!r}", "for example utf-8 or cp1252"
            ) from None
    if data.startswith(_UTF16_BOMS):
        return data.decode("utf-16", errors="replace")
    if len(data) > 8 and data[1:8:2] == b"\0\0\0\0"[: len(data[1:8:2])]:
        return data.decode("utf-16-le", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.end == len(data):
            return data[: error.start].decode("utf-8-sig")
    if data.startswith(b"\xef\xbb\xbf"):
        return data.decode("utf-8-sig", errors="replace")
    if _is_double_byte(data):
        return data.decode("gb18030", errors="replace")
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _is_double_byte(data: bytes) -> bool:
    """Say whether high bytes come in pairs, as Chinese text has them."""
    runs = [len(r) for r in re.findall(rb"[\x80-\xff]+", data[:65536])]
    even = sum(n for n in runs if n % 2 == 0)
    if sum(runs) < 4 or even < 0.9 * sum(runs):
        return False
    try:
        data[:65536].decode("gb18030")
    except UnicodeDecodeError as error:
        return error.end >= min(len(data), 65536) - 4
    return True


def split_lines(text: str) -> list[str]:
    """Return the lines of a text with any of the three line ends."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")


def read_text(path: Path, encoding: str = "") -> str:
    """Return a text file decoded.

    Raises
    ------
    InputError
        It is larger than :data:`MAX_BYTES`, or binary.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(
            f"{path}: {size} bytes of text, the limit is {MAX_BYTES}",
            "split the export, or convert it to Parquet",
        )
    data = path.read_bytes()
    text = decode(data, encoding)
    if text[:4096].count("\0") > 8:
        raise InputError(
            f"{path}: is binary, not text",
            "name its format with --format; a text file with zero bytes in its head "
            "is damaged: export it again",
        )
    return text
