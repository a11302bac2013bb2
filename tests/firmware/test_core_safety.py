"""The logic of the contactor, compiled for this computer: core/safety.c.

safety_bench.py has the machine of hypothesis and what it checks after every step. A
test with damaged copies of the C shows that it finds what it is there to find.
"""

from collections.abc import Callable
from typing import Any

import pytest
from cell_bridge import FAULTS
from host_core import damaged_library
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from safety_bench import (
    CYCLE_MS,
    FILTER,
    FILTER_SLOW,
    FOLLOW_MS,
    MISSING,
    SCANS,
    SILENT_MS,
    STALE_MS,
    Bench,
    Scan,
    valid_but,
)

pytestmark = pytest.mark.usefixtures("core_built", "no_undefined_behaviour")

Bench.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None
)
TestEveryInputInAnyOrder = Bench.TestCase


def ready(**changes: Any) -> Bench:
    """Return a bench after its scans, not yet armed."""
    bench = Bench()
    bench.reset(**changes)
    bench.work(SCANS)
    bench.as_recorded()
    return bench


def closed() -> Bench:
    bench = ready()
    assert bench.arm() == "done"
    assert bench.closed
    bench.work(30)
    assert bench.closed
    return bench


def silent_host(bench: Bench) -> None:
    bench.work(SILENT_MS // CYCLE_MS + 1, alive=False)


def repeated_heartbeat(bench: Bench) -> None:
    for _ in range(SILENT_MS // CYCLE_MS + 1):
        bench.work(1, alive=False)
        bench.hear(7)


def stale(bench: Bench) -> None:
    bench.wait(STALE_MS + 1)


def open_feedback(bench: Bench) -> None:
    for _ in range(FOLLOW_MS // CYCLE_MS + 2):
        bench.record.now_ms += CYCLE_MS
        bench.scan(Scan())
        bench.heartbeat()
        bench.tick(False)


def scans(count: int, **changes: Any) -> Callable[[Bench], None]:
    def act(bench: Bench) -> None:
        for _ in range(count):
            bench.record.now_ms += CYCLE_MS
            bench.scan(valid_but(**changes))

    return act


def taking_turns(first: dict[str, Any], second: dict[str, Any]) -> Any:
    def act(bench: Bench) -> None:
        scans(1, **first)(bench)
        scans(1, **second)(bench)

    return act


OPENING = {
    "over_voltage": scans(FILTER, cell_mv=(3000, 4201)),
    "under_voltage": scans(FILTER, cell_mv=(2699, 3000)),
    "over_temperature": scans(FILTER_SLOW, temperature_cdegc=(5501,)),
    "under_temperature": scans(FILTER_SLOW, temperature_cdegc=(2500, -501)),
    "temperature_sensor": scans(FILTER_SLOW, temperature_cdegc=(MISSING["i16"],)),
    "over_current": scans(FILTER, current_ma=50_001),
    "over_current (discharge)": scans(FILTER, current_ma=-40_001),
    "current_sensor": scans(FILTER, current_ma=MISSING["i32"]),
    "front_end_pec": scans(FILTER, pec_ok=False),
    "front_end_stuck": scans(FILTER, converted=False),
    "front_end_stuck (no cells)": scans(FILTER, cell_mv=()),
    "stale_data": stale,
    "host_silent": silent_host,
    "host_silent (repeated heartbeat)": repeated_heartbeat,
    "contactor_not_closing": open_feedback,
    "over_voltage (in turns with a wrong PEC)": taking_turns(
        {"pec_ok": False}, {"cell_mv": (4201,)}
    ),
    "under_voltage (in turns with over-voltage)": taking_turns(
        {"cell_mv": (4201,)}, {"cell_mv": (2699,)}
    ),
}


@pytest.mark.parametrize("name", OPENING)
def test_a_fault_opens_and_latches_and_arms_again_only_after_clear(name):
    bench = closed()
    OPENING[name](bench)
    bench.as_recorded()
    assert not bench.closed
    fault = name.split(" (")[0]
    assert fault in bench.names(bench.safety.latched)

    bench.work(2 * SCANS)  # it is over; the latch stays
    assert bench.safety.live == 0
    assert bench.arm() == "tripped"
    assert fault in bench.names(bench.safety.latched)
    assert bench.clear() == "done"
    assert bench.arm() == "not_ready"
    bench.work(SCANS)
    assert not bench.closed, "closed without being armed"
    assert bench.arm() == "done"
    assert bench.closed


def test_every_fault_of_the_definition_is_looked_at():
    elsewhere = {"reset", "calibration", "contactor_welded"}  # tests below
    assert {name.split(" (")[0] for name in OPENING} | elsewhere == set(FAULTS)


BRIEF = {
    "over_voltage": scans(FILTER - 1, cell_mv=(4201,)),
    "front_end_pec": scans(FILTER - 1, pec_ok=False),
    "over_temperature": scans(FILTER_SLOW - 1, temperature_cdegc=(5501,)),
    "host_silent": lambda bench: bench.work(SILENT_MS // CYCLE_MS - 10, alive=False),
}


@pytest.mark.parametrize("name", BRIEF)
def test_what_is_over_in_time_opens_nothing(name):
    bench = closed()
    for _ in range(4):
        BRIEF[name](bench)
        bench.work(1)
        bench.as_recorded()
        assert bench.closed
        assert bench.safety.latched == 0


def test_a_bad_reset_is_latched_and_can_be_cleared():
    bench = ready(bad_reset=True)
    assert bench.names(bench.safety.latched) == {"reset"}
    assert bench.arm() == "tripped"
    assert bench.clear() == "done"
    bench.work(SCANS)
    assert bench.arm() == "done"


def test_without_a_calibration_nothing_is_ever_armed():
    bench = ready(calibrated=False)
    assert bench.arm() == "tripped"
    assert bench.clear() == "still_faulty"
    bench.work(SCANS)
    assert bench.arm() == "tripped"


def test_a_welded_contactor_is_told_and_keeps_it_from_being_cleared():
    bench = closed()
    bench.disarm()
    for i in range(2 * FOLLOW_MS // CYCLE_MS):
        bench.record.now_ms += CYCLE_MS
        bench.scan(Scan())
        bench.tick(True)
        bench.as_recorded()
        late = (i + 1) * CYCLE_MS > FOLLOW_MS
        assert ("contactor_welded" in bench.names(bench.safety.live)) == late
    assert bench.clear() == "still_faulty"
    bench.tick(False)
    assert bench.clear() == "done"


def test_a_contactor_has_its_time_to_close():
    bench = ready()
    assert bench.arm() == "done"
    for i in range(FOLLOW_MS // CYCLE_MS + 1):
        bench.record.now_ms += CYCLE_MS
        bench.scan(Scan())
        bench.tick(False)
        bench.as_recorded()
        assert bench.closed == ((i + 1) * CYCLE_MS <= FOLLOW_MS)
    assert bench.names(bench.safety.latched) == {"contactor_not_closing"}


def test_stale_data_opens_after_its_span_and_not_before():
    bench = closed()
    bench.wait(STALE_MS)
    assert bench.closed
    bench.wait(1)
    assert not bench.closed
    assert bench.names(bench.safety.latched) == {"stale_data"}


def test_a_fault_stays_when_the_clock_comes_round():
    bench = ready()
    bench.wait(STALE_MS + 1)
    for _ in range(3):
        bench.wait(2**31 - STALE_MS // 2)
        bench.as_recorded()
        assert bench.names(bench.safety.live) == {"stale_data"}
        assert bench.clear() == "still_faulty"


def test_an_invalid_scan_before_arming_starts_the_count_again():
    bench = ready()
    bench.scan(valid_but(cell_mv=(4201,)))
    assert bench.arm() == "not_ready"
    bench.work(SCANS - 1)
    assert bench.arm() == "not_ready"
    bench.work(1)
    assert bench.arm() == "done"


def test_clear_is_refused_while_a_fault_is_on_its_way():
    bench = ready(bad_reset=True)
    bench.scan(valid_but(temperature_cdegc=(5501,)))
    assert bench.clear() == "still_faulty"
    bench.scan(Scan())
    assert bench.clear() == "done"


def test_clear_is_for_an_open_contactor():
    bench = closed()
    assert bench.clear() == "closed"
    assert bench.closed


DAMAGE = {
    "armed at once": ("safety->valid_scans >= SAFETY_SCANS", "true"),
    "armed without host": (
        "} else if (is_host_silent(safety, now_ms)) {",
        "} else if (false) {",
    ),
    "armed although tripped": (
        "if (safety->state == BL_STATE_TRIPPED) {",
        "if (false) {",
    ),
    "any heartbeat counts": ("number == expected", "number < 99u"),
    "silence is not looked at": ("closed && silent", "false"),
    "stale is not looked at": (
        "expired(&safety->scanned_ms, SAFETY_STALE_MS, now_ms)",
        "false",
    ),
    "opened, not latched": ("safety->latched |= faults;", ""),
    "latched, not opened": ("enter(safety, BL_STATE_TRIPPED, now_ms);", ""),
    "cleared although there": (
        "const bool over = (safety->live == 0u)",
        "const bool over = true",
    ),
    "clear arms": ("safety->valid_scans = 0u;\n        rest", "rest"),
    "no discharge limit": (
        "scan->current_ma < -safety->limits.discharge_max_ma",
        "false",
    ),
    "sensor is not looked at": ("cdegc == BL_MISSING_I16", "false"),
    "wrong values are judged": (
        "} else if ((!scan->converted) || (scan->n_cells == 0u)) {",
        "} else if (false) {",
    ),
    "one fault more": ("fast_scans >= SAFETY_FILTER)", "fast_scans > SAFETY_FILTER)"),
    "a limit off by one": ("scan->cell_mv[i] > safety", "scan->cell_mv[i] >= safety"),
    "the clock comes round": ("*since_ms = now_ms - span_ms - 1u;", ""),
    "calibration is not looked at": (
        "BL_FAULT_CALIBRATION, !calibrated",
        "BL_FAULT_CALIBRATION, false",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_logic_is_found_out(damage, tmp_path):
    library = damaged_library(tmp_path, "safety.c", *DAMAGE[damage])

    class Damaged(Bench):
        pass

    Damaged.library = library
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Damaged,
            settings=settings(
                max_examples=150,
                stateful_step_count=30,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                print_blob=False,
            ),
        )
