"""Keep a second writer off a file, for as long as the first one lives."""

import importlib
import os
from pathlib import Path
from typing import Any, Final

from battlife.errors import InputError

_FAR: Final = 1 << 40
"""Windows locks byte ranges against reading too: one that no journal reaches."""


def lock_file(descriptor: int, path: Path) -> None:
    """Lock an open file until it is closed or its process dies.

    Raises
    ------
    InputError
        Another process holds it.
    """
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt: Any = importlib.import_module("msvcrt")
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_END)
    except OSError as error:
        raise InputError(
            f"{path}: another process is writing it",
            "a recording is running: stop it first, or `battlife watch` it",
        ) from error
