"""Time from a fault to the open contactor of the emulated cell bridge, worst case.

``python benchmarks/firmware_cutoff.py --runs 1000 --seed 1``: randomised runs in
lockstep, the faults of tests/firmware/cell_faults.py in turn; all times emulated.
Needs the packages of ``make deps``.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import cffi

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS / "firmware"))

from cell_bridge import FIRMWARE, Host, calibrated, flashed  # noqa: E402
from cell_faults import CASES, cut_off_ms  # noqa: E402

from conftest import PROCESSORS, Lockstep  # noqa: E402


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=1000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--board", choices=tuple(PROCESSORS), default="m328p")
    given = options.parse_args()
    subprocess.run(["make", "-s", "-C", str(FIRMWARE), "avr", "sim"], check=True)
    build = FIRMWARE / "build"
    ffi = cffi.FFI()
    header = (FIRMWARE / "sim" / "rig.h").read_text()
    ffi.cdef("\n".join(row for row in header.splitlines() if not row.startswith("#")))
    library = ffi.dlopen(str(build / "librig.so"))
    delays: dict[str, list[float]] = {name: [] for name in CASES}
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        elf = build / given.board / "cell_bridge.elf"
        image = Path(flashed(elf, Path(folder), calibrated()) + ".elf")
        host = Host(Lockstep(library, ffi, image, PROCESSORS[given.board]))
        host.close_contactor()
        for i in range(given.runs):
            name = tuple(CASES)[i % len(CASES)]
            delays[name].append(cut_off_ms(host, CASES[name], rng))
            if i % 100 == 99:
                print(f"{i + 1} runs", file=sys.stderr, flush=True)
    print(f"{given.runs} runs, seed {given.seed}, {given.board}")
    for name, found in delays.items():
        if found:
            bound, middle = CASES[name].within_ms, sorted(found)[len(found) // 2]
            print(
                f"{name:18} n={len(found):4} median={middle:8.2f} "
                f"worst={max(found):8.2f} bound={bound:6g} ms "
                f"{'ok' if max(found) <= bound else 'TOO LATE'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
