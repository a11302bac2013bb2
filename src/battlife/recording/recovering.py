"""Finish a recording that something interrupted."""

from pathlib import Path

from battlife.recording.sealing import Recorded, seal


def recover(journal: Path, out: Path, *, operator: str = "") -> Recorded:
    """Seal the journal of an interrupted recording; again does no harm.

    What was acknowledged is in the archive. A torn block at the end was never
    acknowledged: it is not used, and said (`tail_bytes`, notice "interrupted").

    Parameters
    ----------
    journal : left by the recording
    out : the archive to write; may be there already if it is this journal's
    operator : who recovers it, "" for whom the journal names

    Raises
    ------
    InputError
        The recording still runs, `out` is something else, or nothing was kept.
    """
    return seal(journal, out, operator=operator)
