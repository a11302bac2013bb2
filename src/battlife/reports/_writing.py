"""A file appears whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from battlife.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield an empty file to write; it takes the place of `path` at the end.

    A failure leaves the old file and removes the unfinished one. Permissions are those
    of any new file: a report is there to be shared.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    # Beside the target, so that the last step is a rename and not a copy; short, so
    # that a long name of the target does not become too long.
    partial = path.parent / f".battlife-{secrets.token_hex(6)}.part"
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror or error}",
            "close it elsewhere, or choose another folder",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`; errors as :func:`replacing`."""
    with replacing(path) as partial:
        partial.write_bytes(content)
