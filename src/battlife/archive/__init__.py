"""The audit archive: one sealed HDF5 file per test, written once, verified offline."""

from battlife.archive.read import Archive, open_archive
from battlife.archive.records import (
    ArchivedSource,
    ArchivedUnit,
    Evaluation,
    from_text,
    to_text,
)
from battlife.archive.seal import is_archive, require_seal
from battlife.archive.verify import Verification, verify_archive
from battlife.archive.write import (
    append_evaluation,
    remove_leftovers,
    write_archive,
)

__all__ = [
    "Archive",
    "ArchivedSource",
    "ArchivedUnit",
    "Evaluation",
    "Verification",
    "append_evaluation",
    "from_text",
    "is_archive",
    "open_archive",
    "remove_leftovers",
    "require_seal",
    "to_text",
    "verify_archive",
    "write_archive",
]
