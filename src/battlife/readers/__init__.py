"""One module per foreign log format; a vendor CSV is a column mapping in TOML.

:func:`read` is the way in: it detects the format, reads, stamps the source with its
hash and runs the checks that every trace must pass. A bus log holds frames, not
columns: :func:`open_frames` is the way into it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from battlife import _plugins
from battlife.errors import BattlifeError, FormatError, InputError
from battlife.model import Notice, Reader, Source, Trace
from battlife.readers._checks import checked
from battlife.readers.documents import describe_document
from battlife.readers.files import (
    HEAD_BYTES,
    MAX_FILE_BYTES,
    file_head,
    file_state,
    hash_file,
)
from battlife.readers.frame_logs.opening import (
    OpenLog,
    all_frame_readers,
    detect_frames,
    open_frames,
    recognised,
)

GROUP = "battlife.readers"
STRAY_SHARE = 0.01
"""Share of another unit's samples up to which a unit may be a damaged row or two."""

__all__ = [
    "HEAD_BYTES",
    "MAX_FILE_BYTES",
    "OpenLog",
    "all_frame_readers",
    "all_readers",
    "detect",
    "detect_frames",
    "hash_file",
    "open_frames",
    "read",
]


def all_readers() -> dict[str, Reader]:
    """Return every reader known here, by name.

    An entry point of the group ``battlife.readers`` is a Reader, or a sequence of
    Readers (the shipped mappings are one such sequence).
    """
    readers: dict[str, Reader] = {}
    for loaded in _plugins.load(GROUP).values():
        for reader in loaded if isinstance(loaded, (tuple, list)) else (loaded,):
            readers[reader.name] = reader
    return dict(sorted(readers.items()))


def detect(path: Path) -> Reader:
    """Return the one reader that recognises a file.

    Raises
    ------
    InputError
        The file is missing, empty or cannot be opened.
    FormatError
        No reader recognises it, or several do.
    """
    head = file_head(path)
    found = [r for r in all_readers().values() if r.recognises(head, path.name)]
    if len(found) == 1:
        return found[0]
    if not found:
        buses = recognised(head, path.name)
        if buses:
            raise FormatError(
                f"{path}: this is a bus log ({', '.join(r.name for r in buses)}); it "
                "holds frames, not columns",
                "give --protocol NAME, which says what the frames mean (see `battlife "
                "formats`); for a DBC file --protocol dbc --dbc FILE",
            )
        what = describe_document(head)
        if what is not None:
            raise FormatError(
                f"{path}: not a log: this is {what}",
                "name the tester's own export",
            )
        raise FormatError(
            f"{path}: no reader recognises this file",
            "see `battlife formats`; name one with --format, or describe the columns "
            "with --mapping FILE.toml",
        )
    names = ", ".join(r.name for r in found)
    raise FormatError(
        f"{path}: several readers recognise this file: {names}",
        "choose one with --format NAME",
    )


def read(
    path: Path, reader: Reader | None = None, *, max_bytes: int = MAX_FILE_BYTES
) -> Sequence[Trace]:
    """Read a file into one Trace per unit, hashed and checked.

    The file is hashed before and, where its size or time stamp moved meanwhile,
    again after reading: the hash in the provenance is that of the bytes read.

    Parameters
    ----------
    path : the file
    reader : overrules detection
    max_bytes : larger files are refused

    Raises
    ------
    InputError
        Missing, empty, too large, truncated beyond use, not what the reader
        expects, or changed while it was read.
    FormatError
        No reader, or several.
    """
    reader = reader if reader is not None else detect(path)
    file_head(path)
    before = file_state(path)
    if before[0] > max_bytes:
        raise InputError(
            f"{path}: {before[0]} bytes, more than the {max_bytes} that are read",
            "split the export, or raise max_bytes",
        )
    digest, size = hash_file(path)
    try:
        traces = reader.read(path)
    except BattlifeError:
        raise
    except (OSError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if file_state(path) != before and hash_file(path) != (digest, size):
        raise InputError(
            f"{path}: the file changed while it was read",
            "wait until the tester has finished writing, or read a copy",
        )
    source = Source(str(path), digest, size, reader.name)
    stamped = _with_strays_named([_stamped(trace, source) for trace in traces])
    return tuple(checked(trace) for trace in stamped)


def _with_strays_named(traces: Sequence[Trace]) -> Sequence[Trace]:
    """Warn on every unit where one has next to no samples beside the others.

    A damaged channel or serial number in a row makes a unit of its own, and the row
    is missing where it belongs.
    """
    most = max((t.n_samples for t in traces), default=0)
    strays = [t.unit_id for t in traces if 0 < t.n_samples <= STRAY_SHARE * most]
    if not strays:
        return traces
    notice = Notice(
        "stray_unit",
        f"{', '.join(strays[:5])}: {len(strays)} of {len(traces)} units have next to "
        "no samples: rows with a damaged unit name?",
    )
    return [replace(t, provenance=t.provenance.with_notices(notice)) for t in traces]


def _stamped(trace: Trace, source: Source) -> Trace:
    return replace(trace, provenance=replace(trace.provenance, sources=(source,)))
