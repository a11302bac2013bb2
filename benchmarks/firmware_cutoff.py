"""Time from a fault to the open contactor of the emulated cell bridge, worst case.

``python benchmarks/firmware_cutoff.py OUT --runs 1000 --seed 1``: for every fault of
tests/firmware/cell_faults.py so many randomised runs in lockstep, in emulated time
alone. A bridge (board, front ends, cells, limits) is drawn, its contactor closed, and
the process then forked for each run, so that every run starts from that same state.

OUT is a folder: the images that are tried, ``runs.jsonl`` with a line per bridge, and
at the end ``cutoff.json`` and ``cutoff.md``. Started again with the same OUT it goes on
where it was stopped. Exit code 1 if one run was too late. Needs the packages of
``make deps``.
"""

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cffi

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS / "firmware"))

from cell_bridge import FIRMWARE  # noqa: E402
from cell_faults import CASES, any_layout, apart, powered  # noqa: E402

from conftest import PROCESSORS, Lockstep  # noqa: E402

PAGE = """# Time from a fault to the open contactor

Made by `python benchmarks/firmware_cutoff.py OUT --runs 1000 --seed 1`; nothing here is
by hand. Emulated time in ms, from the fault at an input of a chip model (or from the
last heartbeat that counts) to the contactor line of the processor; the contactor's own
release time comes on top. Every run draws board, front ends, cells, limits and healthy
values, and where in the scan and between two heartbeats the fault falls. After each,
the fault must be latched, `arm` refused and the line still low, or the run has failed.

What is no measurement: `brown_out`, `supply_lost` and `reset_line` are 0 because the
rig's supply model makes every pin an input at once, as the data sheet says it is. They
show that nothing closes the contactor afterwards, and what is latched. `stale_data`
slows each SPI byte down by 0.6 to 3 ms: the faster ones end as stale data, the slower
ones by the watchdog, whose oscillator differs in a real chip. `contactor_welded` is the
time from the open line to the measurement that tells of it. A broken sense wire has no
row: the firmware does not look for one.
"""
RUNS_PER_BRIDGE = 20
IMAGES = [f"{board}/cell_bridge.elf" for board in PROCESSORS]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("out", type=Path)
    options.add_argument("--runs", type=int, default=1000, help="per fault")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", nargs="*", choices=tuple(CASES), default=[*CASES])
    given = options.parse_args()
    facts = prepared(given.out, given.seed)
    done = rows(given.out)
    n_bridges = -(-given.runs // RUNS_PER_BRIDGE)
    begun, n_made = time.monotonic(), 0
    for number in range(n_bridges):
        missing = [c for c in given.only if (number, c) not in done]
        if not missing:
            continue
        for row in bridge_rows(given.out, given.seed, number, missing):
            with (given.out / "runs.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
        n_made += 1
        left = n_bridges - number - 1
        minutes = (time.monotonic() - begun) / n_made * left / 60
        print(
            f"bridge {number + 1} of {n_bridges}, {minutes:.0f} min to go",
            file=sys.stderr,
            flush=True,
        )
    return concluded(given.out, facts, given.only)


def prepared(out: Path, seed: int) -> dict[str, Any]:
    """Return what is tried; the images are kept, so that a later build changes none."""
    kept = out / "facts.json"
    if kept.exists():
        facts: dict[str, Any] = json.loads(kept.read_text())
        if facts["seed"] != seed:
            raise SystemExit(f"{out} was begun with seed {facts['seed']}")
        return facts
    subprocess.run(["make", "-s", "-C", str(FIRMWARE), "avr", "sim"], check=True)
    facts = {"schema": 1, "seed": seed, "sha256": {}}
    for name in [*IMAGES, "librig.so"]:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(FIRMWARE / "build" / name, out / name)
        facts["sha256"][name] = hashlib.sha256((out / name).read_bytes()).hexdigest()
    kept.write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def rows(out: Path) -> dict[tuple[int, str], dict[str, Any]]:
    """Return what was measured so far, by bridge and fault."""
    path = out / "runs.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    made = [json.loads(line) for line in lines if line.endswith("}")]
    return {(row["bridge"], row["fault"]): row for row in made}


def bridge_rows(
    out: Path, seed: int, number: int, faults: list[str]
) -> Iterator[dict[str, Any]]:
    """Close the contactor of one bridge and try each fault on it."""
    ffi = cffi.FFI()
    header = (FIRMWARE / "sim" / "rig.h").read_text()
    ffi.cdef("\n".join(row for row in header.splitlines() if not row.startswith("#")))
    library = ffi.dlopen(str(out.resolve() / "librig.so"))

    def start(image: str, board: str) -> Lockstep:
        return Lockstep(library, ffi, Path(image + ".elf"), PROCESSORS[board])

    layout = any_layout(random.Random(f"{seed}/{number}"))
    with tempfile.TemporaryDirectory() as folder:
        host = powered(layout, out, Path(folder), start)
    for fault in faults:
        found = [
            apart(host, layout, fault, random.Random(f"{seed}/{number}/{fault}/{run}"))
            for run in range(RUNS_PER_BRIDGE)
        ]
        yield {
            "bridge": number,
            "fault": fault,
            "board": layout.board,
            "cells": layout.cells,
            "delays_ms": [f if isinstance(f, float) else None for f in found],
            "failures": [f for f in found if isinstance(f, str)],
        }


def concluded(out: Path, facts: dict[str, Any], faults: list[str]) -> int:
    """Write and print the table of everything measured; 1 if something was late."""
    made = rows(out)
    table, late = {}, 0
    for fault in faults:
        here = [row for (_, name), row in made.items() if name == fault]
        delays = sorted(d for row in here for d in row["delays_ms"] if d is not None)
        failures = [f for row in here for f in row["failures"]]
        if not here:
            continue
        bound = CASES[fault].within_ms
        late += len(failures) + sum(d > bound for d in delays)
        n = len(delays)
        table[fault] = {
            "n": n + len(failures),
            "n_bridges": len(here),
            "n_failed": len(failures),
            "failures": failures[:5],
            "min_ms": round(delays[0], 3) if delays else None,
            "median_ms": round(delays[n // 2], 3) if delays else None,
            "p99_ms": round(delays[max(0, -(-99 * n // 100) - 1)], 3)
            if delays
            else None,
            "max_ms": round(delays[-1], 3) if delays else None,
            "bound_ms": bound,
        }
    result = {**facts, "faults": table, "late": late}
    (out / "cutoff.json").write_text(json.dumps(result, indent=1) + "\n")
    (out / "cutoff.md").write_text("\n".join([*head(result), *lines(table), ""]))
    print("\n".join(lines(table)), flush=True)
    return int(late > 0)


def head(result: dict[str, Any]) -> Iterator[str]:
    """Yield what stands above the table on its page."""
    yield PAGE
    yield f"Seed {result['seed']}, files tried, by SHA-256:"
    yield ""
    for name, value in result["sha256"].items():
        yield f"- {name} `{value}`"
    yield ""


def lines(table: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield the table for people; times in ms."""
    yield "| Fault | runs | bridges | min | median | 99 % | max | bound | failed |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for fault, row in table.items():
        times = " | ".join(
            "–" if row[f"{word}_ms"] is None else f"{row[f'{word}_ms']:.2f}"
            for word in ("min", "median", "p99", "max")
        )
        yield (
            f"| {fault} | {row['n']} | {row['n_bridges']} | {times} | "
            f"{row['bound_ms']:g} | {row['n_failed']} |"
        )


if __name__ == "__main__":
    sys.exit(main())
