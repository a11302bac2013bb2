"""Everything that must open the contactor, injected through the modelled peripherals.

One run: a random bridge (board, front ends, cells, limits) whose contactor is closed,
random healthy values at its inputs, a random wait so that the fault falls anywhere in
the scan and between two heartbeats, the fault, and the time until the coil is let go,
all in emulated time. benchmarks/firmware_cutoff.py makes a thousand of each.
"""

import json
import os
import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cell_bridge import Host, calibrated, flashed, ntc_code, wire

CHEMISTRIES = ((2700, 4200), (2500, 3650), (1500, 2800))
"""Limits in mV of NMC, LFP and LTO cells."""
AMPERE_CODES = 20.0
"""Codes of the converter for 1 A, from the scale in calibration_example.toml."""
WELL = ("afe dead 0", "afe stuck 0", "afe unconverted 0", "afe corrupt 0", "afe mute 2",
        "analog dead 0", "spi hung 0", "spi slow 0", "supply 5000", "reset line 0",
        "contactor welded 0", "contactor stuck_open 0")  # fmt: skip
HOST_MS = 1100
OTHER_MS = 50
SLOW_MS = 200
HUNG_MS = 150
WELDED_MS = 250
"""A contactor has 150 ms to follow (core/include/safety.h)."""


@dataclass(frozen=True)
class Layout:
    """A bridge as it may be built within the reference design.

    Attributes
    ----------
    board : "m328p" or "m2560"
    cells : at each front end
    options : of its calibration
    """

    board: str
    cells: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)

    def limit(self, name: str) -> int:
        return int(self.options[name])


def any_layout(rng: random.Random) -> Layout:
    """Return a random one; only what the firmware accepts."""
    low_mv, high_mv = rng.choice(CHEMISTRIES)
    cells = tuple(rng.randint(1, 12) for _ in range(rng.randint(1, 2)))
    options = {
        "n_front_ends": len(cells),
        "cells_first": cells[0],
        "cells_second": sum(cells[1:]),
        "n_temperatures": rng.randint(1, 4),
        "under_voltage_mv": low_mv + rng.randint(0, 100),
        "over_voltage_mv": high_mv - rng.randint(0, 100),
        "under_temperature_cdegc": rng.randint(-2000, 500),
        "over_temperature_cdegc": rng.randint(4500, 6000),
        "charge_max_ma": rng.randint(5_000, 50_000),
        "discharge_max_ma": rng.randint(5_000, 50_000),
    }
    return Layout(rng.choice(("m328p", "m2560")), cells, options)


def healthy(layout: Layout, rng: random.Random) -> list[str]:
    """Return control lines that give every used input some value within its limits."""
    low, high = layout.limit("under_voltage_mv"), layout.limit("over_voltage_mv")
    cold = layout.limit("under_temperature_cdegc") / 100 + 1.5
    hot = layout.limit("over_temperature_cdegc") / 100 - 1.5
    lines = [
        *WELL,
        f"afe chips {len(layout.cells)}",
        f"afe all {rng.randint(0, 57_000)}",
    ]
    for chip, n_cells in enumerate(layout.cells):
        lines += [
            f"afe cell {chip} {cell} {rng.randint(10 * low, 10 * high)}"
            for cell in range(n_cells)
        ]
    lines += [f"analog {i} {rng.randint(0, 4095)}" for i in range(1, 7)]
    lines += [
        f"analog {1 + i} {ntc_code(rng.uniform(cold, hot))}"
        for i in range(layout.limit("n_temperatures"))
    ]
    codes = [AMPERE_CODES * layout.limit(f"{way}_max_ma") / 1000 for way in WAYS]
    current = round(rng.uniform(-codes[1] + 1, codes[0] - 1))
    return [*lines, f"analog 0 {2048 + current}", f"analog 7 {rng.randint(1987, 2109)}"]


WAYS = ("charge", "discharge")
Lines = Callable[[Layout, random.Random], Sequence[str]]


def _cell(layout: Layout, rng: random.Random, low: int, high: int) -> list[str]:
    chip = rng.randrange(len(layout.cells))
    return [
        f"afe cell {chip} {rng.randrange(layout.cells[chip])} {rng.randint(low, high)}"
    ]


def _over_voltage(layout: Layout, rng: random.Random) -> list[str]:
    return _cell(layout, rng, 10 * layout.limit("over_voltage_mv") + 10, 57_000)


def _under_voltage(layout: Layout, rng: random.Random) -> list[str]:
    return _cell(layout, rng, 0, 10 * layout.limit("under_voltage_mv") - 1)


def _ntc(layout: Layout, rng: random.Random, code: int) -> list[str]:
    return [f"analog {rng.randint(1, layout.limit('n_temperatures'))} {code}"]


def _hot(layout: Layout, rng: random.Random) -> list[str]:
    degc = layout.limit("over_temperature_cdegc") / 100
    return _ntc(layout, rng, ntc_code(rng.uniform(degc + 1, 94)))


def _cold(layout: Layout, rng: random.Random) -> list[str]:
    degc = layout.limit("under_temperature_cdegc") / 100
    return _ntc(layout, rng, ntc_code(rng.uniform(-29, degc - 1)))


def _over_charge(layout: Layout, rng: random.Random) -> list[str]:
    least = 2048 + round(AMPERE_CODES * layout.limit("charge_max_ma") / 1000) + 1
    return [f"analog 0 {rng.randint(least, 4095)}"]


def _over_discharge(layout: Layout, rng: random.Random) -> list[str]:
    most = 2048 - round(AMPERE_CODES * layout.limit("discharge_max_ma") / 1000) - 1
    return [f"analog 0 {rng.randint(0, most)}"]


def _always(*lines: str) -> Lines:
    return lambda layout, rng: lines


def _heartbeat(message: str, **changes: Any) -> Callable[[int], bytes]:
    return lambda number: wire(message, number, **changes)


def _damaged(number: int) -> bytes:
    frame = bytearray(wire("heartbeat", number))
    frame[3 + number % 6] ^= 1 << number % 8
    return bytes(frame)


@dataclass(frozen=True)
class Case:
    """A fault.

    Attributes
    ----------
    latched : one of these is reported afterwards; () after a start that is no fault
    within_ms : from the fault to the open coil, at most
    lines : control lines of the rig that cause it
    host : "" for one that goes on as before, else what becomes of its heartbeats
    until_told : the time is that from the open coil to the measurement that has this
        among the live faults
    """

    latched: tuple[str, ...]
    within_ms: float
    lines: Lines = _always()
    host: str = ""
    until_told: str = ""


CASES = {
    "over_voltage": Case(("over_voltage",), OTHER_MS, _over_voltage),
    "under_voltage": Case(("under_voltage",), OTHER_MS, _under_voltage),
    "over_temperature": Case(("over_temperature",), SLOW_MS, _hot),
    "under_temperature": Case(("under_temperature",), SLOW_MS, _cold),
    "over_current_charge": Case(("over_current",), OTHER_MS, _over_charge),
    "over_current_discharge": Case(("over_current",), OTHER_MS, _over_discharge),
    "bad_pec": Case(("front_end_pec",), OTHER_MS, _always("afe corrupt 1000000")),
    "stuck_front_end": Case(("front_end_stuck",), OTHER_MS, _always("afe stuck 1")),
    "no_conversion": Case(("front_end_stuck",), OTHER_MS, _always("afe unconverted 1")),
    "dead_front_end": Case(("front_end_pec",), OTHER_MS, _always("afe dead 1")),
    "broken_chain": Case(
        ("front_end_pec",),
        OTHER_MS,
        lambda layout, rng: [f"afe mute {rng.randrange(len(layout.cells))}"],
    ),
    "dead_converter": Case(("current_sensor",), OTHER_MS, _always("analog dead 1")),
    "wrong_reference": Case(
        ("current_sensor",),
        OTHER_MS,
        lambda layout, rng: [
            f"analog 7 {rng.choice((rng.randint(0, 1986), rng.randint(2110, 4095)))}"
        ],
    ),
    "ntc_open": Case(
        ("temperature_sensor",), SLOW_MS, lambda layout, rng: _ntc(layout, rng, 4095)
    ),
    "ntc_shorted": Case(
        ("temperature_sensor",), SLOW_MS, lambda layout, rng: _ntc(layout, rng, 0)
    ),
    # Transfers that take long: a scan that is late while the program runs on. Slower
    # still, and the watchdog is what ends it.
    "stale_data": Case(
        ("stale_data", "reset"),
        HUNG_MS,
        lambda layout, rng: [f"spi slow {rng.randint(600, 3000)}"],
    ),
    "hung_firmware": Case(("reset",), HUNG_MS, _always("spi hung 1")),
    "brown_out": Case(
        ("reset",), OTHER_MS, lambda layout, rng: [f"supply {rng.randint(1300, 4299)}"]
    ),
    "supply_lost": Case(
        (), OTHER_MS, lambda layout, rng: [f"supply {rng.randint(0, 1299)}"]
    ),
    "reset_line": Case((), OTHER_MS, _always("reset line 1")),
    "contact_lost": Case(
        ("contactor_not_closing",), OTHER_MS, _always("contactor stuck_open 1")
    ),
    "contactor_welded": Case(
        ("contactor_welded",),
        WELDED_MS,
        lambda layout, rng: ["contactor welded 1", *_over_voltage(layout, rng)],
        until_told="contactor_welded",
    ),
    "host_stops": Case(("host_silent",), HOST_MS, host="stops"),
    "host_repeats": Case(("host_silent",), HOST_MS, host="repeats"),
    "host_skips": Case(("host_silent",), HOST_MS, host="skips"),
    "host_damaged": Case(("host_silent",), HOST_MS, host="damaged"),
    "host_foreign": Case(("host_silent",), HOST_MS, host="foreign"),
    "host_only_asks": Case(("host_silent",), HOST_MS, host="asks"),
}


def powered(
    layout: Layout, build: Path, folder: Path, start: Callable[..., Any]
) -> Host:
    """Return a bridge whose contactor is closed; `start` takes image and board."""
    elf = build / layout.board / "cell_bridge.elf"
    host = Host(start(flashed(elf, folder, calibrated(**layout.options)), layout.board))
    _say(host, healthy(layout, random.Random(0)))
    host.close_contactor()
    host.run_ms(150)  # for so long it need not have followed (core/include/safety.h)
    return host


def cut_off_ms(host: Host, layout: Layout, case: Case, rng: random.Random) -> float:
    """Run one fault against a bridge whose contactor is closed; return ms to open.

    Ends with the fault over and latched.
    """
    rig = host.rig
    host.due_s = rig.time_s + rng.uniform(0.0, 0.2)
    _say(host, healthy(layout, rng))
    host.run_ms(rng.uniform(25, 45))
    assert (rig.coil_log(), rig.command("contactor")) == ([], "coil=1 contact=1")
    begun = rig.time_s
    if case.host:
        begun = host.beat()  # counted from the last heartbeat that counts
        host.frame = _heartbeats(case.host, host.number, rng)
    _say(host, case.lines(layout, rng))
    opened = _opened(host, case.within_ms + 200)
    assert opened >= begun
    if case.until_told:
        begun, opened = opened, _told(host, case)
    _check_latched(host, layout, case, rng)
    return 1000 * (opened - begun)


def apart(host: Host, layout: Layout, fault: str, rng: random.Random) -> float | str:
    """Run one fault in a process of its own: `host` stays as it is.

    Returns
    -------
    ms to the open contactor, or what went wrong
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Later Pythons warn of threads, of which the child uses none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            answer: float | str = cut_off_ms(host, layout, CASES[fault], rng)
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, json.dumps(answer).encode()[:4096])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        text = file.read()
    os.waitpid(child, 0)
    found: float | str = json.loads(text) if text else "the run ended by itself"
    return found


def _heartbeats(
    host: str, last: int, rng: random.Random
) -> Callable[[int], bytes] | None:
    """Return what a host sends instead of heartbeats; None if nothing."""
    step = rng.randint(2, 15)
    return {
        "stops": lambda number: b"",
        "repeats": lambda number: wire("heartbeat", last),
        "skips": lambda number: wire("heartbeat", (last + step * (number - last)) % 16),
        "damaged": _damaged,
        "foreign": _heartbeat("heartbeat", hash_=rng.getrandbits(32)),
        "asks": _heartbeat("ask_measurement"),
    }[host]


def _say(host: Host, lines: Sequence[str]) -> None:
    for line in lines:
        assert host.rig.command(line) == "ok", line


def _opened(host: Host, at_most_ms: float) -> float:
    end = host.rig.time_s + at_most_ms / 1000
    while host.rig.time_s < end:
        host.run_ms(5)
        for at, level in host.rig.coil_log():
            assert level == 0
            return float(at)
    raise AssertionError(f"the contactor is closed after {at_most_ms} ms")


def _told(host: Host, case: Case) -> float:
    """Return when a fault was in a measurement, asked for all the time."""
    end = host.rig.time_s + case.within_ms / 1000
    while case.until_told not in host.ask("ask_measurement").faults("live"):
        assert host.rig.time_s < end, f"{case.until_told} is not told"
    return float(host.rig.time_s)


def _check_latched(host: Host, layout: Layout, case: Case, rng: random.Random) -> None:
    host.frame = None
    _say(host, healthy(layout, rng))
    # The longest start of the processor is 65 ms.
    host.run_ms(15 if case.latched and "reset" not in case.latched else 100)
    found = host.ask("ask_measurement")
    if case.latched:
        assert found.state == "tripped"
        assert not found.faults().isdisjoint(case.latched), found.faults()
        assert host.ask("ask_arm").outcome == "tripped"
    else:
        assert (found.state, found.faults()) == ("starting", set())
        assert host.ask("ask_arm").outcome == "not_ready"
    assert host.rig.coil_log() == []
    assert host.rig.command("contactor") == "coil=0 contact=0"
