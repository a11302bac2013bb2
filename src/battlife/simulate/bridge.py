"""The cell bridge: no imitation, but its compiled firmware on an emulated processor.

The rig of firmware_bridges/sim runs it as a program of its own, with models of the
chips around it; here a simulated pack is put in front of their inputs, and the bytes of
its serial line are handed on. Needs a source checkout, a compiler for the AVR and
libsimavr, and a POSIX system.
"""

import contextlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from battlife.errors import HardwareError
from battlife.model.frame import SIMULATED_LINE
from battlife.simulate.faults import Disturbance
from battlife.simulate.pack_model import PackModel, PackSpec

FIRMWARE: Final = Path(__file__).resolve().parents[3] / "firmware_bridges"
PACKAGES: Final = "gcc-avr avr-libc binutils-avr libsimavr-dev make gcc"
SPECS: Final = {
    "m328p": PackSpec(
        n_cells=12, capacity_ah=50.0, chemistry="nmc", resistance_ohm=0.0012
    )
}
"""The pack that firmware_bridges/protocol/calibration_example.toml is made for."""

_PROCESSORS: Final = {"m328p": "atmega328p"}
_EEPROM_SECTION: Final = 0x810000  # where avr-ld puts the EEPROM
_UPDATE_S: Final = 0.05  # the cells of a pack do not change faster than a load step
_MARK_PERIOD_S: Final = 10.0
_FIRST_WRITE: Final = 0x10  # requests from here on change the bridge
_MAX_CODE: Final = 65_534  # of a cell, in 0.1 mV; the next one means "cleared"
_AMPERE_CODES: Final = 20.0  # 20 mV/A, 1 mV for a code; 0 A at 2048
_NTC_B: Final = 3977.0  # Vishay NTCLE100E3103, as firmware_bridges/drivers/ntc.h


class EmulatedBridge:
    """The firmware behind a byte stream, as a Station of battlife.simulate.serving.

    Parameters
    ----------
    pack : what it measures
    disturbance : what the line does to answers
    board : its board

    Raises
    ------
    HardwareError
        It cannot be built or run here; the hint says what to install.
    """

    def __init__(
        self, pack: PackModel, disturbance: Disturbance, board: str = "m328p"
    ) -> None:
        self.received = bytearray()
        self.writes: list[bytes] = []
        self.backlog = 0
        self._pack = pack
        self._disturbance = disturbance
        self._unread = b""
        self._request = b""
        self._shown: dict[str, str] = {}
        self._marked_s: float | None = None
        self._updated_s = -math.inf
        build = _built(board)
        self._folder = tempfile.TemporaryDirectory(prefix="battlife-")
        image = _with_eeprom(build / board / "cell_bridge.elf", Path(self._folder.name))
        self._rig = subprocess.Popen(
            [str(build / "rig"), str(image), _PROCESSORS[board], "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line = os.open(
            self._said("PTY "), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK
        )
        self._show()

    def connected(self) -> None:
        """Note that a client came: it has not seen the mark yet."""
        self._marked_s = None

    def take(self, data: bytes, now_s: float) -> bytes:
        """Hand on what arrived; return what the firmware has said."""
        self.received += data
        *requests, self._request = (self._request + data).split(b"\0")
        # Behind the first COBS byte: version and type, neither of which is ever 0.
        self.writes += [r for r in requests if len(r) > 2 and r[2] >= _FIRST_WRITE]
        with contextlib.suppress(BlockingIOError):  # a full line loses bytes
            os.write(self._line, data)
        return self.due(now_s)

    def due(self, now_s: float) -> bytes:
        """Return what the firmware has said, whole frames, the mark first where due."""
        if now_s - self._updated_s >= _UPDATE_S:
            self._updated_s = now_s
            self._show()
        with contextlib.suppress(BlockingIOError):
            self._unread += os.read(self._line, 4096)
        end = self._unread.rfind(b"\0") + 1
        if self._unread[:end].endswith(b"\0\0"):
            end -= 1  # it opens the next frame, and stays with it
        if end < 2:  # nothing, or what opens a frame alone
            return b""
        answer = self._disturbance.disturbed(self._unread[:end], now_s)
        self._unread = self._unread[end:]
        if answer and (
            self._marked_s is None or now_s - self._marked_s >= _MARK_PERIOD_S
        ):
            self._marked_s = now_s
            return SIMULATED_LINE + answer
        return answer

    def close(self) -> None:
        """End the emulation."""
        os.close(self._line)
        assert self._rig.stdin is not None and self._rig.stdout is not None
        self._rig.stdin.close()  # it ends when nobody holds the other end
        self._rig.stdout.close()
        self._rig.wait()
        self._folder.cleanup()

    def _show(self) -> None:
        """Put the pack in front of the inputs of the chip models."""
        self._pack.catch_up()
        shown = self._pack.shown()
        inputs = {
            f"afe cell 0 {i}": f"{min(max(0, round(v * 10_000)), _MAX_CODE)}"
            for i, v in enumerate(shown.cell_voltage_v)
        }
        codes = [2048 + _AMPERE_CODES * shown.current_a]
        codes += [ntc_code(degc) for degc in shown.temperature_degc]
        inputs |= {
            f"analog {i}": f"{min(max(0, round(code)), 4095)}"
            for i, code in enumerate(codes)
        }
        lines = [
            f"{name} {code}"
            for name, code in inputs.items()
            if self._shown.get(name) != code
        ]
        if not lines:
            return
        self._shown = inputs
        assert self._rig.stdin is not None
        try:
            self._rig.stdin.write("\n".join([*lines, ""]))
            self._rig.stdin.flush()
        except OSError as error:
            raise HardwareError(f"the emulated bridge ended: {error}") from error
        for _ in lines:
            self._said("= ")

    def _said(self, prefix: str) -> str:
        """Return what follows a prefix; libsimavr says other things in between."""
        assert self._rig.stdout is not None
        for row in self._rig.stdout:
            if row.startswith(prefix):
                return row[len(prefix) :].rstrip("\n")
        raise HardwareError(f"the emulated bridge ended with code {self._rig.wait()}")


def station(
    pack: PackModel, faults: frozenset[str], seed: int, *, variant: str
) -> EmulatedBridge:
    """Return the emulated bridge with a pack at its inputs."""
    return EmulatedBridge(pack, Disturbance(faults, seed), variant)


def ntc_code(degc: float) -> float:
    """Return what the MCP3208 converts an NTC of 10 kohm under 10 kohm to.

    References
    ----------
    Vishay NTCLE100E3 data sheet 29049: R = R25 exp(B (1/T - 1/T25)).
    """
    ratio = math.exp(_NTC_B * (1 / (degc + 273.15) - 1 / 298.15))
    return 4096 * ratio / (ratio + 1)


def missing() -> Sequence[str]:
    """Return what is needed to build and run the firmware and is not here."""
    found = [
        tool
        for tool in ("avr-gcc", "avr-objcopy", "make", "gcc")
        if not shutil.which(tool)
    ]
    if not Path("/usr/include/simavr/sim_avr.h").exists():
        found.append("libsimavr")
    return found


def _built(board: str) -> Path:
    """Build what is not built yet; return the folder."""
    if not hasattr(os, "openpty"):
        raise HardwareError(
            "the emulated bridge needs Linux or another POSIX system",
            "read a real one, or simulate it in WSL",
        )
    if not (FIRMWARE / "Makefile").exists():
        raise HardwareError(
            "the firmware of the bridge is not here: it is not part of the package",
            "simulate it from a source checkout of battlife",
        )
    if lacking := missing():
        raise HardwareError(
            f"to emulate the bridge is missing: {', '.join(lacking)}",
            f"make deps, or: apt-get install --no-install-recommends {PACKAGES}",
        )
    import fcntl  # POSIX alone

    build = FIRMWARE / "build"
    build.mkdir(exist_ok=True)
    with (build / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run("make", "-C", str(FIRMWARE), f"build/{board}/cell_bridge.elf", "build/rig")
    return build


def _with_eeprom(elf: Path, folder: Path) -> Path:
    """Return a copy of an image with the example calibration in its EEPROM."""
    protocol = FIRMWARE / "protocol"
    record, data, image = (folder / n for n in ("cell.hex", "cell.eep", "cell.elf"))
    _run(
        sys.executable,
        str(protocol / "calibration.py"),
        str(protocol / "calibration_example.toml"),
        str(record),
    )
    _run("avr-objcopy", "-I", "ihex", "-O", "binary", str(record), str(data))
    _run(
        *("avr-objcopy", "--add-section", f".eeprom={data}"),
        *("--set-section-flags", ".eeprom=contents,alloc,load"),
        *("--change-section-address", f".eeprom={_EEPROM_SECTION}"),
        *(str(elf), str(image)),
    )
    return image


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HardwareError(
            f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}",
            "make -C firmware_bridges clean, then try again",
        )
