"""The portable core of the firmware, compiled for this computer, called through cffi.

``lib`` and ``ffi`` come from `core()`. Undefined behaviour in the C is written to
standard error by its sanitizer: tests that call into it say::

    pytestmark = pytest.mark.usefixtures("core_built", "no_undefined_behaviour")

BATTLIFE_HOST_CORE names another folder with libcore.so and core.cdef, see
test_coverage.py.
"""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from toolchain import FIRMWARE

CANARY = 0xA5
"""What stands in front of and behind a buffer, and must stand there afterwards."""
MARGIN = 8


@functools.cache
def core() -> tuple[Any, Any]:
    """Return the library and its cffi."""
    import cffi

    folder = Path(os.environ.get("BATTLIFE_HOST_CORE", FIRMWARE / "build" / "host"))
    ffi = cffi.FFI()
    ffi.cdef((folder / "core.cdef").read_text())
    return ffi.dlopen(str(folder / "libcore.so")), ffi


def number_of(name: str) -> int:
    """Return a number that a header of the core defines, such as SAFETY_SCANS."""
    text = "".join(p.read_text() for p in FIRMWARE.glob("core/include/*.h"))
    (value,) = re.findall(rf"^#define {name} (\d+)u\b", text, re.MULTILINE)
    return int(value)


class Buffer:
    """Bytes of an exact size for the C to write to; it notes what is written beside."""

    def __init__(self, size: int) -> None:
        _, ffi = core()
        self._size = size
        self._all = ffi.new("uint8_t[]", [CANARY] * (size + 2 * MARGIN))
        self.at = self._all + MARGIN

    def take(self, n: int) -> bytes:
        """Return the first n bytes; nothing was written beyond the buffer."""
        _, ffi = core()
        data = bytes(ffi.buffer(self._all))
        beside = data[:MARGIN] + data[MARGIN + self._size :]
        assert beside == bytes([CANARY]) * 2 * MARGIN
        assert 0 <= n <= self._size
        return data[MARGIN : MARGIN + n]


def damaged(folder: Path, file: str, old: str, new: str) -> Path:
    """Return a copy of core/ below `folder` in which one piece of text is another."""
    copy = folder / "core"
    shutil.copytree(FIRMWARE / "core", copy)
    text = (copy / file).read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} times: {old}"
    (copy / file).write_text(text.replace(old, new))
    return copy


def damaged_library(folder: Path, file: str, old: str, new: str) -> Any:
    """Return the library of that file, so damaged."""
    copy = damaged(folder, file, old, new)
    library = folder / "libcore.so"
    flags = ["-std=c11", "-fPIC", "-shared", f"-I{copy / 'include'}"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(copy / file)], check=True)
    _, ffi = core()
    return ffi.dlopen(str(library))
