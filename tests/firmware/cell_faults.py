"""Everything that must open the contactor, injected through the modelled peripherals.

One run: a healthy bridge with a closed contactor, a random wait so that the fault falls
anywhere in the scan, the fault, and the time until the coil is let go, in emulated
time. benchmarks/firmware_cutoff.py repeats it a thousand times.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cell_bridge import Host, ntc_code

N_CELLS = 12
HEALTHY = ("afe dead 0", "afe stuck 0", "afe unconverted 0", "afe corrupt 0",
           "afe all 36000", "analog dead 0", "spi hung 0",
           *(f"analog {i} 2048" for i in range(8)))  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A fault.

    Attributes
    ----------
    latched : what the bridge reports afterwards
    within_ms : from the fault to the open coil, at most
    lines : control lines of the rig that cause it; () is a host that falls silent
    """

    latched: str
    within_ms: float
    lines: Callable[[random.Random], Sequence[str]]


def _cell(rng: random.Random, low: int, high: int) -> list[str]:
    return [f"afe cell 0 {rng.randrange(N_CELLS)} {rng.randint(low, high)}"]


def _current(rng: random.Random, low: int, high: int) -> list[str]:
    return [f"analog 0 {rng.randint(low, high)}"]


def _ntc(rng: random.Random, code: int) -> list[str]:
    return [f"analog {rng.randint(1, 4)} {code}"]


CASES = {
    # Limits of cell_bridge.CALIBRATION: 2.7 to 4.2 V, 0 to 55 degC, 50 A both ways.
    "over_voltage": Case("over_voltage", 50, lambda r: _cell(r, 42_010, 57_000)),
    "under_voltage": Case("under_voltage", 50, lambda r: _cell(r, 0, 26_999)),
    "dead_front_end": Case("front_end_pec", 50, lambda r: ["afe dead 1"]),
    "mute_chain": Case("front_end_pec", 50, lambda r: ["afe mute 0"]),
    "bad_pec": Case("front_end_pec", 50, lambda r: ["afe corrupt 1000000"]),
    "stuck_front_end": Case("front_end_stuck", 50, lambda r: ["afe stuck 1"]),
    "no_conversion": Case("front_end_stuck", 50, lambda r: ["afe unconverted 1"]),
    "over_current": Case("over_current", 50, lambda r: _current(r, 3049, 4095)),
    "over_discharge": Case("over_current", 50, lambda r: _current(r, 0, 1047)),
    "dead_converter": Case("current_sensor", 50, lambda r: ["analog dead 1"]),
    "wrong_reference": Case(
        "current_sensor", 50, lambda r: [f"analog 7 {r.choice((0, 1900, 2200, 4095))}"]
    ),
    "over_temperature": Case(
        "over_temperature", 200, lambda r: _ntc(r, ntc_code(r.uniform(56, 94)))
    ),
    "under_temperature": Case(
        "under_temperature", 200, lambda r: _ntc(r, ntc_code(r.uniform(-29, -1)))
    ),
    "ntc_open": Case("temperature_sensor", 200, lambda r: _ntc(r, 4095)),
    "ntc_shorted": Case("temperature_sensor", 200, lambda r: _ntc(r, 0)),
    "silent_host": Case("host_silent", 1100, lambda r: []),
    "hung_firmware": Case("reset", 150, lambda r: ["spi hung 1"]),
}


def cut_off_ms(host: Host, case: Case, rng: random.Random) -> float:
    """Run one fault against a bridge whose contactor is closed; return ms to open.

    Ends with the bridge healthy, cleared, and closed again.
    """
    rig = host.rig
    assert rig.command("contactor") == "coil=1 contact=1"
    rig.coil_log()
    rig.run_ms(rng.uniform(0, 25))
    if case.latched == "host_silent":
        begun = host.beat()  # counted from the last heartbeat
        host.beats = False
    else:
        begun = rig.time_s
    lines = case.lines(rng)
    for line in lines:
        assert rig.command(line) == "ok"
    opened = _opened(host, case.within_ms + 200)
    delay_ms = 1000 * (opened - begun)
    _recover(host, case)
    return delay_ms


def _opened(host: Host, at_most_ms: float) -> float:
    end = host.rig.time_s + at_most_ms / 1000
    while host.rig.time_s < end:
        host.run_ms(5)
        for at, level in host.rig.coil_log():
            assert level == 0
            return at
    raise AssertionError(f"the contactor is closed after {at_most_ms} ms")


def _recover(host: Host, case: Case) -> None:
    rig = host.rig
    for line in (*HEALTHY, "afe mute 2"):
        assert rig.command(line) == "ok"
    host.beats = True
    host.run_ms(100)
    found = host.ask("ask_measurement")
    assert found.state == "tripped"
    assert case.latched in found.faults()
    assert host.ask("ask_arm").outcome == "tripped"  # it is latched
    assert rig.command("contactor") == "coil=0 contact=0"
    assert host.ask("ask_clear").outcome == "done"
    assert host.ask("ask_arm").outcome == "not_ready"
    host.close_contactor()
