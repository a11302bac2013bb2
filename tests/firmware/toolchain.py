"""Where the firmware is, how it is built, and what to say where a tool is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware_bridges"


def require(missing: list[str], packages: str) -> None:
    """Fail where the tools must be there, skip with the advice where they need not."""
    if not missing:
        return
    advice = (
        f"missing: {', '.join(missing)}; `make deps` or: "
        f"apt-get install --no-install-recommends {packages}"
    )
    if os.environ.get("CI") == "true" or os.environ.get("BATTLIFE_REQUIRE_EMU") == "1":
        pytest.fail(advice, pytrace=False)
    pytest.skip(advice)


def make(*arguments: str) -> None:
    """Run make in firmware_bridges, one at a time even with parallel workers."""
    import fcntl  # POSIX alone, as is the emulator

    lock = FIRMWARE / "build" / ".lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = subprocess.run(
            ["make", "-C", str(FIRMWARE), f"PYTHON={sys.executable}", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
