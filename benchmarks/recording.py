"""Figures of a recording: kills, a full bus on one core, alarm latency, a week.

Run from the checkout, e.g. `taskset -c 0 python benchmarks/recording.py load`; the
parts are `kills`, `load`, `week`. What is recorded comes from another process over
pseudo-terminals, through the real drivers; only the device families are a test's own.
"""

import argparse
import itertools
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

import scripted_families  # noqa: E402
from battlife.archive import open_archive  # noqa: E402
from battlife.archive.journal import (  # noqa: E402
    BlockKind,
    JournalReader,
    frames_of,
)
from battlife.model import Frame  # noqa: E402
from battlife.pipeline.journals import extracted  # noqa: E402
from battlife.recording.alarms import Alarm  # noqa: E402
from battlife.recording.recorder import record  # noqa: E402
from battlife.recording.rig import Limits, Rig, RigDevice  # noqa: E402
from killing import kill_once  # noqa: E402
from scripted_rig import (  # noqa: E402
    COUNT_ID,
    ScriptedLine,
    cells_frame,
    connected,
    count_frame,
    state_frame,
)

N_SERIAL = 8
FRAMES_PER_S = 4000
HIGH_MV = 4300
"""What the served pack says now and then, beyond the limit of the rig."""


def kills(count: int) -> None:
    rng = random.Random(2026)
    with tempfile.TemporaryDirectory() as name:
        outcomes = [kill_once(Path(name) / f"{i}.h5", rng) for i in range(count)]
    stages = Counter(o.stage for o in outcomes)
    print(f"kill -9: {count}, at stages {dict(stages)}")
    print(f"frames acknowledged {sum(o.acknowledged for o in outcomes)}")
    print(f"acknowledged and lost {sum(o.lost for o in outcomes)}; unreadable files 0")


def load(seconds: float) -> None:
    """Record a full bus and eight serial devices served by another process."""
    child = subprocess.Popen(
        [sys.executable, __file__, "serve", "--seconds", str(seconds + 60)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    ports = child.stdout.readline().split()
    scripted_families.install()
    devices = [RigDevice("bus", f"scripted@slcan:{ports[0]}", 1.0, "pack")]
    devices += [
        RigDevice(f"s{i}", f"scripted_serial@{port}?address={i}", 0.2, f"unit {i}")
        for i, port in enumerate(ports[1:], start=1)
    ]
    rig = Rig("bench", tuple(devices), limits=Limits(cell_voltage_max_v=4.2))
    latencies: list[float] = []
    begun = time.monotonic()

    def alarmed(alarm: Alarm) -> None:
        if alarm.ended_s is None:
            latencies.append(time.monotonic() - begun - alarm.started_s)

    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "load.h5"
        before, marked = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        spent: list[float] = []

        def ended(_: object) -> None:
            now = resource.getrusage(resource.RUSAGE_SELF)
            used = now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime
            spent[:] = [used, time.monotonic() - marked]

        found = record(
            rig,
            out,
            duration_s=seconds,
            on_update=ended,
            on_alarm=alarmed,
            clock=lambda: time.monotonic() - begun,
        )
        child.terminate()
        child.wait()
        frames = _embedded(out)
    numbers = [
        struct.unpack(">Q", f.data)[0] for f in frames if f.identifier == COUNT_ID
    ]
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    bus = sum(f.identifier is not None for f in frames)
    print(f"{found.n_frames} frames in {found.duration_s:.1f} s; CAN {bus} = ", end="")
    print(f"{bus / found.duration_s:.0f}/s; numbered frames missing {missing}")
    print(f"lost by count {found.n_lost}, rejected {found.n_rejected}, ", end="")
    print(f"timeouts {found.n_timeouts}")
    print(f"CPU {100 * spent[0] / spent[1]:.0f} % of one core while recording")
    latencies.sort()
    if latencies:
        middle = latencies[len(latencies) // 2] * 1e3
        late = latencies[int(0.99 * (len(latencies) - 1))] * 1e3
        print(f"frame to alarm, {len(latencies)} alarms: ", end="")
        print(f"median {middle:.2f} ms, p99 {late:.2f} ms")


def serve(seconds: float) -> None:
    """Serve an SLCAN adapter with a full bus, and serial devices, on ptys."""
    import tty

    from scripted_serial import answer

    pairs = [os.openpty() for _ in range(1 + N_SERIAL)]
    for _, client in pairs:
        tty.setraw(client)
    print(*(os.ttyname(client) for _, client in pairs), flush=True)

    def answers(server: int, address: int) -> None:
        held = b""
        while True:
            held += os.read(server, 100)
            while len(held) >= 2:
                os.write(server, answer(address, [3700] * 16))
                held = held[2:]

    for i, (server, _) in enumerate(pairs[1:], start=1):
        threading.Thread(target=answers, args=(server, i), daemon=True).start()
    bus = pairs[0][0]
    told = b""
    while not told.endswith(b"O\r") and b"O\r" not in told:
        told += os.read(bus, 100)
        os.write(bus, b"\r")
    begun = time.monotonic()
    sent = 0
    while (now := time.monotonic() - begun) < seconds:
        due = int(now * FRAMES_PER_S) - sent
        lines = bytearray()
        for number in range(sent, sent + due):
            lines += b"t%03X8%016X\r" % (COUNT_ID, number)
            if number % 20 == 0:
                high = number // 20 % 50 == 0
                mv = HIGH_MV if high else 3700
                lines += b"t1008%04X0E740E740E74\r" % mv
        sent += due
        view = memoryview(lines)
        while view:
            view = view[os.write(bus, view) :]
        time.sleep(0.001)


def week(days: float) -> None:
    """Record a pack once a second for a week of a clock that is moved by hand."""
    scripted_families.install()
    moment = [0.0]
    stop = threading.Event()
    total = round(days * 86400)
    sizes: list[int] = []

    def bus() -> Iterator[list[Frame]]:
        for second in itertools.count():
            moment[0] = float(second)
            if second >= total:
                stop.set()
                yield []
            if second % (total // 10) == 0:
                sizes.append(_resident_kb())
            volts = 3.7 + 0.1 * (second % 3600) / 3600
            yield [
                cells_frame(moment[0], volts, volts, volts, volts),
                state_frame(moment[0], (second % 100) / 10, 20 + second % 5),
                count_frame(moment[0], second),
            ]

    rig = Rig(
        "week",
        (RigDevice("d0", "scripted@can0", 1.0),),
        limits=Limits(temperature_rate_max_k_per_min=50, cell_voltage_max_v=4.2),
    )
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "week.h5"
        line = ScriptedLine("can0", ["d0"], bus())
        found = record(
            rig,
            out,
            unit="4711",
            stop=stop,
            connect=connected([line]),
            clock=lambda: moment[0],
            utc_ns=lambda: int(moment[0] * 1e9) + 10**18,
        )
        size = out.stat().st_size
    print(
        f"{days:g} days: {found.n_frames} frames, {found.n_samples} samples, ", end=""
    )
    print(f"archive {size / 1e6:.1f} MB")
    print(f"resident, MB: {', '.join(f'{kb / 1e3:.0f}' for kb in sizes)} ", end="")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"while recording; after sealing {_resident_kb() / 1e3:.0f}, ", end="")
    print(f"peak {peak / 1e3:.0f}")


def _embedded(out: Path) -> list[Frame]:
    with tempfile.TemporaryDirectory() as name, open_archive(out) as archive:
        reader = JournalReader(extracted(archive, Path(name)))
        channels: list[str] = []
        frames: list[Frame] = []
        for block in reader.blocks():
            if block.kind is BlockKind.HEADER:
                channels = block.json()["channels"]
            if block.kind is BlockKind.FRAMES:
                frames += frames_of(block, channels)
    return frames


def _resident_kb() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["kills", "load", "week", "serve"])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--days", type=float, default=7.0)
    given = parser.parse_args()
    if "BATTLIFE_HOME" not in os.environ:
        os.environ["BATTLIFE_HOME"] = tempfile.mkdtemp(prefix="battlife-bench-")
    if given.part == "kills":
        scripted_families.install()
        kills(given.count)
    elif given.part == "load":
        load(given.seconds)
    elif given.part == "serve":
        serve(given.seconds)
    else:
        week(given.days)


if __name__ == "__main__":
    main()
