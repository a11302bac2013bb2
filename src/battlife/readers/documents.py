"""Says what a file is that is certainly no log."""

from typing import Final

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
