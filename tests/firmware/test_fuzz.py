"""Any bytes from outside, by libFuzzer with its sanitizers.

Each target of firmware_bridges/check/fuzz runs for a bounded time from the committed
inputs, with a fixed seed. Damaged copies of the core show that what is there to be
found is found.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from host_core import damaged
from toolchain import FIRMWARE, make, require

TARGETS = ("slcan", "bridge", "calibration")
PACKAGES = "clang-14 libfuzzer-14-dev libclang-rt-14-dev make"
RUN_S = 4
FIND_S = 60
"""Given up after; each is found within a second or two."""
FEWEST = 500
"""Inputs tried in RUN_S, even on a slow machine; fewer is no test."""


@pytest.fixture(scope="module")
def clang() -> None:
    missing = [tool for tool in ("clang-14", "make") if not shutil.which(tool)]
    if not list(Path("/usr/lib").glob("llvm-14/lib/clang/*/lib/linux/*fuzzer-x*")):
        missing.append("libfuzzer-14-dev")
    require(missing, PACKAGES)


def fuzz(binary: Path, target: str, folder: Path, seconds: int):
    new = folder / "corpus"
    new.mkdir()
    options = [f"-max_total_time={seconds}", "-seed=1", "-print_final_stats=1"]
    options += [f"-artifact_prefix={folder}/", "-rss_limit_mb=1024", "-timeout=20"]
    seeds = FIRMWARE / "check" / "fuzz" / "corpus" / target
    return subprocess.run(
        [str(binary), *options, str(new), str(seeds)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_break_it(clang, target, tmp_path):
    make(f"build/fuzz/{target}")
    done = fuzz(FIRMWARE / "build" / "fuzz" / target, target, tmp_path, RUN_S)
    assert done.returncode == 0, done.stderr[-4000:]
    (tried,) = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
    assert int(tried) >= FEWEST


PLANTED = {
    "read beyond the line": (
        "slcan",
        ("slcan.c", "if ((n != 9u) ||", "if ((n > 9u) ||"),
        "heap-buffer-overflow",
    ),
    "nine data bytes": (
        "slcan",
        ("slcan.c", "frame->dlc > CAN_DATA_MAX", "frame->dlc > 9u"),
        "deadly signal",
    ),
    "a block longer than its line": (
        "bridge",
        ("cobs.c", "(code > (n - i))", "(code > 200u)"),
        "heap-buffer-overflow",
    ),
    "closed without valid scans": (
        "bridge",
        ("safety.c", "safety->valid_scans >= SAFETY_SCANS", "true"),
        "deadly signal",
    ),
    "a product beyond 32 bits": (
        "calibration",
        ("calibration.c", "(read->current_ua <= CURRENT_MAX_UA)", "true"),
        "signed integer overflow",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defect_is_found(clang, name, tmp_path):
    target, damage, said = PLANTED[name]
    core = damaged(tmp_path, *damage)
    make(f"CORE_OF={core}", f"BUILD={tmp_path}", f"{tmp_path}/fuzz/{target}")
    done = fuzz(tmp_path / "fuzz" / target, target, tmp_path, FIND_S)
    assert done.returncode != 0
    assert said in done.stderr
