"""The SQLite database that python-can's logger writes.

Source: python-can's documentation of SqliteWriter: table ``messages`` with ts,
arbitration_id, extended, remote, error, dlc, data.
"""

import sqlite3
from collections.abc import Iterator
from typing import BinaryIO, Final
from urllib.parse import quote

from battlife.model.frame import MAX_CAN_ID, MAX_EXTENDED_ID, Frame, FrameKind
from battlife.readers.frame_logs.findings import BadRecord, Findings, LogReader
from battlife.readers.frame_logs.lines import CAN_BYTES

_MAGIC: Final = b"SQLite format 3\x00"
_QUERY: Final = (
    "SELECT ts, arbitration_id, extended, remote, error, dlc, data FROM messages "
    "NOT INDEXED ORDER BY rowid"
)


def _read(file: BinaryIO, findings: Findings) -> Iterator[Frame]:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise findings.refused("no SQLite database", "is it another format?")
    # Immutable: no journal beside it is applied, and nothing is written.
    name = quote(str(findings.path.resolve()))
    try:
        base = sqlite3.connect(f"file:{name}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error as error:
        raise findings.refused(
            f"the database cannot be opened: {error}", "get the whole file"
        ) from error
    try:
        yield from _rows(base, findings)
    except (sqlite3.Error, OverflowError) as error:
        if not findings.n_frames:
            raise findings.refused(
                f"the database is damaged: {error}", "get the whole file"
            ) from error
        findings.damage(
            "what follows the damage is not read",
            f"row {findings.n_frames + 1}, {error}",
            "damaged_rest",
        )
    finally:
        base.close()


def _rows(base: sqlite3.Connection, findings: Findings) -> Iterator[Frame]:
    base.text_factory = bytes
    base.execute("PRAGMA trusted_schema=OFF")
    kind = base.execute(
        "SELECT type FROM sqlite_master WHERE name='messages' AND sql LIKE 'CREATE "
        "TABLE%'"
    ).fetchone()
    # A view could be an endless query.
    if kind != (b"table",):
        raise findings.refused(
            "the database has no table of messages", "is it python-can's log?"
        )
    said = base.execute("PRAGMA quick_check(1)").fetchone()
    if said != (b"ok",):
        # Which rows a damaged database hides cannot be known.
        raise findings.refused(
            f"the database is damaged: {ascii(said and said[0])[:80]}",
            "recover it with `sqlite3 FILE .recover`, and read what that gives",
        )
    for number, row in enumerate(base.execute(_QUERY), 1):
        try:
            yield _frame(row, findings)
        except BadRecord as error:
            findings.damage(
                "rows that are no frames are left out", f"row {number}, {error}"
            )


def _frame(row: tuple[object, ...], findings: Findings) -> Frame:
    time_s, identifier, extended, remote, error, length, data = row
    if data is None:
        data = b""
    if not (
        isinstance(time_s, (int, float))
        and isinstance(identifier, int)
        and isinstance(length, int)
        and isinstance(data, bytes)
        and all(flag in (0, 1) for flag in (extended, remote, error))
    ):
        raise BadRecord("values of other types")
    if not -1e9 < time_s < 1e11:
        raise BadRecord(f"a time of {time_s:g} s")
    kind: FrameKind = "error" if error else "remote" if remote else "data"
    if not 0 <= identifier <= (MAX_EXTENDED_ID if extended or error else MAX_CAN_ID):
        raise BadRecord(f"{identifier:X} is no identifier")
    if len(data) > 64 or (kind == "data" and len(data) != length):
        raise BadRecord(f"{len(data)} bytes where {length} are announced")
    at_s = findings.seconds(round(time_s * 1e6) * 1000)
    fd = len(data) > CAN_BYTES
    return Frame(at_s, "", "rx", data, identifier, bool(extended), fd, kind)


READER: Final = LogReader(
    "python_can_db",
    "python-can SQLite database (.db)",
    lambda head: head.startswith(_MAGIC) and b"messages" in head,
    _read,
)
