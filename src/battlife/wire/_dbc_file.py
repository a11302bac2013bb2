"""Loads a DBC file with cantools, within bounds."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from battlife.errors import InputError
from battlife.model import Notice, Severity
from battlife.wire._dbc_signals import MessageReader, message_reader

if TYPE_CHECKING:
    from cantools.database.can import Database

MAX_BYTES: Final = 16 << 20
MAX_MESSAGES: Final = 20_000
MAX_LENGTH: Final = 1785
"""Longest message in bytes: J1939's transport protocol, the longest a DBC describes."""
_HINT: Final = "check that it is a DBC file, and that it is whole"
_INDEPENDENT: Final = 0xC0000000
"""Identifier under which Vector's editor keeps signals of no message."""
_STATEMENT: Final = re.compile(
    r"^\s*(?:BO_\s+(?P<id>\d{1,12})\s+\w+\s*:\s*(?P<bytes>\d{1,12})"
    r"|SG_\s[^:\n]{0,300}:\s*(?P<at>\d{1,12})\|(?P<bits>\d{1,12})@)",
    re.MULTILINE,
)
_SECTION: Final = re.compile(r"^\s*(BO_|BS_|BU_)(?=[\s:])", re.MULTILINE)


@dataclass(frozen=True)
class DbcFile:
    """What a DBC file describes.

    Attributes
    ----------
    messages : by identifier and whether it is of 29 bits
    notices : what had to be done to load it
    """

    messages: dict[tuple[int, bool], MessageReader]
    notices: tuple[Notice, ...]


def load(path: Path) -> DbcFile:
    """Return the messages of a DBC file.

    A file without the sections BS_ and BU_ is completed in memory. One whose signals
    overlap, or do not fit into their message, is loaded all the same, with a notice.

    Raises
    ------
    InputError
        It cannot be read, is too large, or is no DBC file.
    """
    text = _text(path)
    told = _counted(path, text)
    notices = []
    present = {found[1] for found in _SECTION.finditer(text)}
    missing = [name for name in ("BS_", "BU_") if name not in present]
    if missing:
        text = _completed(text, missing)
        notices.append(
            Notice(
                "dbc_completed",
                f"{path.name} has no section {' and no '.join(missing)}: added in "
                "memory, empty",
                Severity.INFO,
            )
        )
    database, loose = _parsed(path, text)
    if loose is not None:
        notices.append(
            Notice(
                "dbc_not_strict",
                f"{path.name} contradicts itself and is taken as it stands: {loose}",
            )
        )
    messages = {
        (message.frame_id, message.is_extended_frame): message_reader(message)
        for message in database.messages
    }
    known = sum(1 + len(message.signals) for message in database.messages)
    if not messages or told > known:
        raise InputError(
            f"{path}: {told} messages and signals are written, {known} are understood",
            _HINT,
        )
    return DbcFile(messages, tuple(notices))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened: {error.strerror}", "check the path"
        ) from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: more than {MAX_BYTES} bytes", _HINT)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _counted(path: Path, text: str) -> int:
    """Return how many messages and signals are written.

    Refuses what cantools would take at its word, and much memory for. It also passes
    over a statement that is cut off, which the number tells.
    """
    identifiers: set[int] = set()
    told = 0
    apart = False
    most = MAX_LENGTH * 8
    for found in _STATEMENT.finditer(text):
        if found["id"] is not None:
            identifier = int(found["id"])
            apart = identifier == _INDEPENDENT
            if int(found["bytes"]) > MAX_LENGTH:
                raise InputError(
                    f"{path}: a message of {found['bytes']} bytes",
                    "no bus carries such a one",
                )
            if identifier in identifiers:
                raise InputError(
                    f"{path}: two messages have the identifier {identifier}",
                    "remove one of them",
                )
            identifiers.add(identifier)
        elif int(found["at"]) >= most or int(found["bits"]) > most:
            raise InputError(
                f"{path}: a signal of {found['bits']} bits at bit {found['at']}",
                "no message has so many",
            )
        told += not apart
    if not identifiers:
        raise InputError(f"{path}: the DBC file describes no message", _HINT)
    if len(identifiers) > MAX_MESSAGES:
        raise InputError(f"{path}: more than {MAX_MESSAGES} messages", _HINT)
    return told


def _completed(text: str, missing: list[str]) -> str:
    """Return the text with its missing sections in front of the first message."""
    found = re.search(r"^\s*BO_\s", text, re.MULTILINE)
    assert found is not None
    added = "\n".join(f"{name}:" for name in missing)
    return f"{text[: found.start()]}\n{added}\n{text[found.start() :]}"


def _parsed(path: Path, text: str) -> "tuple[Database, str | None]":
    """Return the database, and what a strict reading finds wrong with it."""
    from cantools.database import load_string
    from cantools.database.can import Database
    from cantools.database.errors import Error

    loose = None
    try:
        try:
            database = load_string(text, "dbc", strict=True)
        except Error as error:
            loose = str(error)
            database = load_string(text, "dbc", strict=False)
    # cantools raises whatever its parser stumbles over; this is its boundary.
    except Exception as error:
        raise InputError(f"{path}: not readable as DBC: {error}", _HINT) from error
    if not isinstance(database, Database):
        raise InputError(f"{path}: no DBC file", _HINT)
    return database, loose
