"""Says what a recognised file is when this version has no reader for it.

A bus log holds raw frames; what they mean is a protocol's business, so no column of
it may be guessed by a delimited-text reader.
"""

import re
from typing import Final

_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"LOGG", "Vector BLF bus log"),
    (b"MDF     ", "ASAM MDF measurement or bus log"),
    (b"UnFinMF ", "unfinalised ASAM MDF measurement or bus log"),
    (b"btsnoop\x00", "Bluetooth HCI capture (btsnoop)"),
    (b"\xd4\xc3\xb2\xa1", "network capture (pcap)"),
    (b"\xa1\xb2\xc3\xd4", "network capture (pcap)"),
    (b"\x4d\x3c\xb2\xa1", "network capture (pcap)"),
    (b"\xa1\xb2\x3c\x4d", "network capture (pcap)"),
    (b"\x0a\x0d\x0d\x0a", "network capture (pcapng)"),
)
"""First bytes of binary captures, from the formats' public descriptions."""

_HEX = rb"(?:0[xX])?[0-9A-Fa-f]{2}"
# Bytes without one letter may as well be decimal columns.
_HEX_LETTER = rb"\b(?=[0-9 :,]{0,200}[A-Fa-fxX])"
_TEXT: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = tuple(
    (re.compile(pattern, re.MULTILINE), what)
    for pattern, what in (
        (rb"^\s*;\$(FILEVERSION|STARTTIME)=", "PEAK trace (.trc)"),
        (rb"^\s*;\s*Message Number\b", "PEAK trace (.trc)"),
        (rb"^\*{3}BUSMASTER|^\*{3}[^\r\n]{0,60}Kvaser", "BUSMASTER log"),
        (rb"Microchip Technology Inc\.\s+CAN BUS", "Microchip CAN log"),
        (rb"^(base\s+(hex|dec)\b|begin triggerblock)", "Vector ASC bus log"),
        (rb"^Time Stamp,ID,Extended,(Dir,)?Bus,LEN", "GVRET (SavvyCAN) CAN log"),
        (rb"\A@ TEXT @ \d+ @ \d+ @", "Car Bus Analyzer CAN log"),
        (
            rb"^\s*\(\s*\d+[.:]\d+\)\s+\S+\s+[0-9A-Fa-f]{3,8}(#|\s+\[\d+\])",
            "candump CAN log",
        ),
        (
            rb"^[^\r\n]{0,40}\b[0-9A-Fa-f]{3,8}\s+\[\d{1,2}\](\s+[0-9A-Fa-f]{2})+",
            "candump-like CAN log",
        ),
        (rb"^(>>>|<<<)\s*" + _HEX, "BMS frames in hex"),
        (
            _HEX_LETTER + rb"(?:" + _HEX + rb"[ :,]\s*){7}" + _HEX + rb"\b",
            "BMS frames in hex",
        ),
    )
)

_DOCUMENTS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"{\\rtf", "a text document (RTF)"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"EC-LAB SETTING FILE", "the settings of an EC-Lab test, without samples"),
    (b"BT-LAB SETTING FILE", "the settings of a BT-Lab test, without samples"),
    (b"EC-Lab LOG FILE", "the log of an EC-Lab test, without samples"),
    (b"BT-Lab LOG FILE", "the log of a BT-Lab test, without samples"),
    (b"\x1f\x8b", "a gzip archive, to be unpacked first"),
    (b"BZh", "a bzip2 archive, to be unpacked first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document"),
)


def describe(head: bytes, name: str) -> str | None:
    """Return what kind of bus log a file is, None if it looks like none.

    Parameters
    ----------
    head : first 4 KiB
    name : file name; unused as evidence, since names lie

    Returns
    -------
    A noun phrase such as ``"Vector BLF bus log"``.
    """
    del name
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return what
    text = head.removeprefix(b"\xef\xbb\xbf")
    for pattern, what in _TEXT:
        if pattern.search(text):
            return what
    return None


def describe_document(head: bytes) -> str | None:
    """Return what a file is that is certainly no log, None if unknown.

    A zip file is not among them: workbooks and .ndax are zip files too.
    """
    stripped = head.lstrip()
    for magic, what in _DOCUMENTS:
        if stripped.startswith(magic):
            return what
    if head.startswith(b"PK\x03\x04"):
        if b"word/" in head or b"mimetypeapplication/vnd.oasis" in head:
            return "an office document"
        return "a zip archive or workbook of a layout that is not known here"
    return None
