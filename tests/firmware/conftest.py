"""Firmware in emulation: the compiled image on a simulated ATmega, chips around it.

How to use it::

    def test_real_driver(pty_rig):               # real time at most, a pseudo-terminal
        rig = pty_rig("slcan_bridge")            # or ("cell_bridge", "m2560", speed=0)
        bus = can.Bus(interface="slcan", channel=rig.port, tty_baudrate=1_000_000, ...)
        assert rig.command("can sent") == "..."  # one control line, one answer

    def test_latency(lockstep):                    # emulated time alone: deterministic
        rig = lockstep("cell_bridge")
        rig.write(frame)
        rig.run_ms(50)
        assert rig.read() == ...
        at, level = rig.coil_log()[-1]             # (seconds, 0 or 1), cycle-exact

Both take every control line of sim/rig.c (``adc 0 2500``: channel 0 to 2.5 V;
``contactor welded 1``; ``reset 8``; ``stat``) and those of the chips (``can ...``,
see sim/model_mcp2515.c). `lockstep` is for times and losses, `pty_rig` for the real
drivers of the host; never assert wall time on the latter.

Missing tools fail the tests when CI=true or BATTLIFE_REQUIRE_EMU=1, and skip otherwise.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from toolchain import FIRMWARE, make, require

PROCESSORS = {"m328p": "atmega328p", "m2560": "atmega2560"}
CYCLES_PER_S = 16_000_000
PACKAGES = "gcc-avr avr-libc binutils-avr libsimavr-dev make gcc"


def missing_tools() -> list[str]:
    """Return what must be there to build and run the firmware but is not."""
    missing = [tool for tool in ("avr-gcc", "make", "gcc") if not shutil.which(tool)]
    if not Path("/usr/include/simavr/sim_avr.h").exists():
        missing.append("libsimavr")
    return missing


@pytest.fixture(scope="session")
def built() -> Path:
    """Build firmware and rig; return the folder of the results."""
    require(missing_tools(), PACKAGES)
    make("avr", "sim")
    return FIRMWARE / "build"


class PtyRig:
    """The rig as a program; `port` is the Arduino's serial port."""

    def __init__(self, built: Path, app: str, board: str, speed: float) -> None:
        elf = built / board / f"{app}.elf"
        self._process = subprocess.Popen(
            [str(built / "rig"), str(elf), PROCESSORS[board], str(speed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()
        self.port = self._next("PTY ")

    def command(self, line: str) -> str:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            return self._next("= ")

    def stat(self) -> dict[str, int]:
        return as_numbers(self.command("stat"))

    def unplug(self) -> None:
        """End it at once, as a cable that is drawn ends the port."""
        self._process.kill()
        self._process.wait(timeout=20)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()

    def _next(self, prefix: str) -> str:
        # libsimavr prints lines of its own on standard output.
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(prefix):
                return line[len(prefix) :].rstrip("\n")
        raise AssertionError(f"the rig ended with {self._process.wait()}")


class Lockstep:
    """The rig in this process: time passes only in `run`."""

    def __init__(self, library: Any, ffi: Any, elf: Path, processor: str) -> None:
        self._library, self._ffi = library, ffi
        self._rig = library.rig_open(str(elf).encode(), processor.encode())
        assert self._rig != ffi.NULL

    @property
    def time_s(self) -> float:
        return self._library.rig_cycle(self._rig) / CYCLES_PER_S

    def run_ms(self, duration_ms: float) -> None:
        self._library.rig_run(self._rig, round(duration_ms * CYCLES_PER_S / 1000))

    def write(self, data: bytes) -> None:
        """Queue bytes for the serial line; they arrive at line rate."""
        self._library.rig_write(self._rig, data, len(data))

    def read(self) -> bytes:
        """Return what the firmware sent since the last call."""
        buffer = self._ffi.new("uint8_t[]", 65536)
        taken = b""
        while n := self._library.rig_read(self._rig, buffer, len(buffer)):
            taken += bytes(self._ffi.buffer(buffer, n))
        return taken

    def paint_ram(self, first: int) -> None:
        """Paint the memory from an address on, before anything has run."""
        self._library.rig_paint_ram(self._rig, first)

    def painted_ram(self, first: int) -> int:
        """Return how many bytes from there are still painted."""
        return int(self._library.rig_painted_ram(self._rig, first))

    def command(self, line: str) -> str:
        answer = self._library.rig_command(self._rig, line.encode())
        return bytes(self._ffi.string(answer)).decode()

    def stat(self) -> dict[str, int]:
        return as_numbers(self.command("stat"))

    def coil_log(self) -> list[tuple[float, int]]:
        """Return (seconds, level) of the contactor line's changes since last asked."""
        pairs = (entry.split(":") for entry in self.command("coil log").split())
        return [(int(cycle) / CYCLES_PER_S, int(level)) for cycle, level in pairs]

    def close(self) -> None:
        self._library.rig_close(self._rig)


def as_numbers(answer: str) -> dict[str, int]:
    """Read ``key=number`` words."""
    return {key: int(value) for key, value in (w.split("=") for w in answer.split())}


@pytest.fixture
def pty_rig(built: Path) -> Iterator[Callable[..., PtyRig]]:
    with ExitStack() as stack:

        def start(app: str, board: str = "m328p", speed: float = 1.0) -> PtyRig:
            rig = PtyRig(built, app, board, speed)
            stack.callback(rig.close)
            return rig

        yield start


@pytest.fixture(scope="session")
def librig(built: Path) -> tuple[Any, Any]:
    import cffi

    ffi = cffi.FFI()
    header = (FIRMWARE / "sim" / "rig.h").read_text()
    ffi.cdef("\n".join(row for row in header.splitlines() if not row.startswith("#")))
    return ffi.dlopen(str(built / "librig.so")), ffi


def _starting(
    built: Path, librig: tuple[Any, Any]
) -> Iterator[Callable[..., Lockstep]]:
    with ExitStack() as stack:

        def start(app: str, board: str = "m328p") -> Lockstep:
            elf = built / board / f"{app}.elf"
            rig = Lockstep(*librig, elf, PROCESSORS[board])
            stack.callback(rig.close)
            return rig

        yield start


@pytest.fixture
def lockstep(built: Path, librig: tuple[Any, Any]) -> Iterator[Callable[..., Lockstep]]:
    yield from _starting(built, librig)


@pytest.fixture(scope="module")
def module_lockstep(
    built: Path, librig: tuple[Any, Any]
) -> Iterator[Callable[..., Lockstep]]:
    """The same for rigs that the tests of a module share: they must not change them."""
    yield from _starting(built, librig)


@pytest.fixture(scope="module")
def core_built() -> None:
    """Build the core for this computer, for host_core.py."""
    require([tool for tool in ("gcc", "make") if not shutil.which(tool)], "gcc make")
    if "BATTLIFE_HOST_CORE" not in os.environ:
        make("host")


@pytest.fixture
def no_undefined_behaviour(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Fail where the sanitizer of the core had something to say."""
    yield
    assert "runtime error" not in (said := capfd.readouterr().err), said


if sys.platform == "win32":
    collect_ignore_glob = ["test_*.py"]
