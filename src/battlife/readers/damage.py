"""What is said of lines and fields that do not fit their table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from battlife.model import Notice, Severity

if TYPE_CHECKING:
    import polars as pl


def nameless(frame: "pl.DataFrame", n_names: int) -> list[Notice]:
    """Report records with more fields than the header has names.

    Which name goes with which field is then unknown: decimal commas in a file
    separated by commas, or row numbers without a name of their own.
    """
    filled = [
        name
        for name in frame.columns[n_names:]
        if (frame.get_column(name).fill_null("").str.strip_chars(' "\t') != "").sum()
        > frame.height / 2
    ]
    if not filled:
        return []
    return [
        Notice(
            "more_fields_than_names",
            f"the header has {n_names} names, most records have "
            f"{n_names + len(filled)} fields: which name goes with which field is not "
            "known",
            Severity.SUSPECT,
        )
    ]


def fieldless(names: Sequence[str], width: int) -> list[Notice]:
    """Report names of the header that no record has a field for."""
    if width >= len(names):
        return []
    return [
        Notice(
            "fewer_fields_than_names",
            f"the header has {len(names)} names, the records {width} fields: nothing "
            f"is read for {', '.join(names[width:][:10])}",
        )
    ]


def unreadable_lines(lost: Sequence[int], why: str) -> Notice:
    """Return the notice for lines left out in the middle of a file."""
    shown = ", ".join(str(n) for n in lost[:5]) + (", ..." if len(lost) > 5 else "")
    return Notice(
        "unreadable_rows",
        f"{len(lost)} lines {why} and are left out: {shown}",
        Severity.WARNING,
    )


def cut_end(lines: Sequence[str]) -> list[Notice]:
    """Report a last line without an end, or an end of zero bytes."""
    if lines and "\0" in lines[-1]:
        return [
            Notice(
                "padded_end",
                "the file ends in zero bytes: its last records may be missing, as "
                "after a power failure",
            )
        ]
    if not lines or not lines[-1].strip():
        return []
    return [
        Notice(
            "unterminated_last_line",
            "the file ends without a line break: it may have been cut, and the last "
            "field may be short",
        )
    ]
