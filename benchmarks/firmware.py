"""How many frames a second the emulated SLCAN bridge carries, and what it loses.

    python benchmarks/firmware.py

Emulated time: the same figures on every machine. Frames of 8 bytes, standard
identifiers, a serial line of 1 Mbit/s; the bus is never idle, or the host never waits.
"""

import sys
from pathlib import Path

import cffi

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "firmware"))

from conftest import FIRMWARE, PROCESSORS, Lockstep, as_numbers, make  # noqa: E402

COUNT = 2000
RATES = {125_000: "S4", 250_000: "S5", 500_000: "S6", 1_000_000: "S8"}


def library() -> tuple[object, object]:
    ffi = cffi.FFI()
    header = (FIRMWARE / "sim" / "rig.h").read_text()
    ffi.cdef("\n".join(row for row in header.splitlines() if not row.startswith("#")))
    return ffi.dlopen(str(FIRMWARE / "build" / "librig.so")), ffi


def opened(board: str, rate: int, loaded: tuple[object, object]) -> Lockstep:
    elf = FIRMWARE / "build" / board / "slcan_bridge.elf"
    rig = Lockstep(*loaded, elf, PROCESSORS[board])
    rig.command(f"can bitrate {rate}")
    rig.run_ms(5)
    rig.write(f"{RATES[rate]}\rO\r".encode())
    rig.run_ms(5)
    rig.read()
    return rig


def from_bus(rig: Lockstep) -> str:
    start = rig.time_s
    rig.command(f"can load {COUNT} 0 123 8")
    while int(rig.command("can unsent")):
        rig.run_ms(1)
    took = rig.time_s - start
    rig.run_ms(30)
    came = rig.read().count(b"\r")
    lost = as_numbers(rig.command("can chip"))["lost"]
    rig.write(b"F\r")
    rig.run_ms(2)
    said = rig.read().decode().strip()
    return f"{COUNT / took:6.0f} {came / took:6.0f} {lost:5d}  {said}"


def from_host(rig: Lockstep) -> str:
    lines = (f"t1238{i:08X}{i ^ 0xFFFFFFFF:08X}\r" for i in range(COUNT))
    start = rig.time_s
    rig.write("".join(lines).encode())
    while rig.stat()["unsent"]:
        rig.run_ms(1)
    took = rig.time_s - start
    rig.run_ms(60)
    answers = rig.read()
    sent = len(rig.command("can sent").split())
    refused = answers.count(b"\a")
    silent = COUNT - sent - refused
    return f"{COUNT / took:6.0f} {sent / took:6.0f} {refused:5d} {silent:6d}"


def main() -> None:
    make("avr", "sim")
    loaded = library()
    for board in PROCESSORS:
        print(f"{board}: bus to host   offered/s came/s lost  F   (of {COUNT})")
        for rate in RATES:
            print(f"  {rate:9d}  {from_bus(opened(board, rate, loaded))}")
        print(f"{board}: host to bus   offered/s sent/s refused silent")
        for rate in RATES:
            print(f"  {rate:9d}  {from_host(opened(board, rate, loaded))}")


if __name__ == "__main__":
    main()
