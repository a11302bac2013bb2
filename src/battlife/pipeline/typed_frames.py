"""Frames typed or pasted as text."""

import re
from dataclasses import replace
from typing import Final

from battlife.errors import InputError
from battlife.model import Frame

CAN_ID: Final = re.compile(r"([0-9A-Fa-f]{1,8})(##?)(.*)", re.DOTALL)
MAX_CAPTURE: Final = 1 << 20
"""Most characters; more belongs into a file."""


def parse_hex(text: str) -> tuple[Frame, ...]:
    """Return the frames of a text: separated by commas, in their order.

    ">" stands before one that was sent, "<" or nothing before one received; a CAN
    frame is ID#DATA (ID##FDATA with one digit of flags for CAN FD), as candump writes
    it; bytes may be apart by blanks, colons or "0x"; "~..." is a line of an ASCII
    protocol as it stands.

    Raises
    ------
    InputError
        It is not hex, or an identifier is too large.
    """
    if len(text) > MAX_CAPTURE:
        raise InputError(f"more than {MAX_CAPTURE} characters", "name a file instead")
    frames = []
    for token in text.split(","):
        token = token.strip()
        if not token:
            continue
        sent = token.startswith(">")
        frame = _one_frame(token.lstrip("<>").strip())
        frames.append(replace(frame, direction="tx") if sent else frame)
    if not frames:
        raise InputError("no frames were given", "e.g. --hex 7EC#0462010100")
    return tuple(frames)


def _one_frame(token: str) -> Frame:
    if token.startswith("~"):
        line = token.replace("\\r", "\r").rstrip("\r") + "\r"
        try:
            return Frame(0.0, "hex", "rx", line.encode("ascii"))
        except UnicodeEncodeError as error:
            raise InputError(f"{token[:40]!r} is not ASCII") from error
    can = CAN_ID.fullmatch(token)
    if can is None:
        return Frame(0.0, "hex", "rx", _bytes(token))
    digits, marks, rest = can.groups()
    identifier = int(digits, 16)
    if identifier > 0x1FFFFFFF:
        raise InputError(f"{digits}: a CAN identifier has at most 29 bits")
    extended = len(digits) > 3 or identifier > 0x7FF
    fd = marks == "##"
    if fd:
        rest = rest[1:]  # the flags say nothing about what the data mean
    if rest.upper().startswith("R"):
        return Frame(0.0, "hex", "rx", b"", identifier, extended, kind="remote")
    return Frame(0.0, "hex", "rx", _bytes(rest), identifier, extended, fd)


def _bytes(text: str) -> bytes:
    plain = re.sub(r"0[xX](?=[0-9A-Fa-f]{2}\b)|[\s:.\-]", "", text)
    try:
        return bytes.fromhex(plain)
    except ValueError as error:
        raise InputError(
            f"{text[:40]!r} is not hex",
            "give whole bytes, such as DDA50300FFFD77, or ID#DATA for CAN",
        ) from error
