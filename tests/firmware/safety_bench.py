"""Every input of core/safety.c in any order, beside what its header promises.

`Bench` is a machine of hypothesis: it calls the compiled logic and keeps a record of
its own of what it has told it. What follows from that record (`Record`) is written from
core/include/safety.h with a clock that never wraps; the C gets its lower 32 bits.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from typing import Any

from cell_bridge import DEFINITION, FAULTS, OUTCOMES, STATES
from host_core import core, number_of
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

MISSING = DEFINITION["missing"]
TIMING = DEFINITION["timing"]
SCANS = number_of("SAFETY_SCANS")
FILTER = number_of("SAFETY_FILTER")
FILTER_SLOW = number_of("SAFETY_FILTER_SLOW")
STALE_MS = number_of("SAFETY_STALE_MS")
FOLLOW_MS = number_of("SAFETY_FOLLOW_MS")
SILENT_MS = TIMING["host_silent_ms"]
HEARTBEATS = TIMING["heartbeats"]
CYCLE_MS = TIMING["scan_ms"]

SLOW = {"over_temperature", "under_temperature", "temperature_sensor"}
FAST = {
    "over_voltage",
    "under_voltage",
    "over_current",
    "front_end_pec",
    "front_end_stuck",
    "current_sensor",
}
LIMITS = {
    "over_voltage_mv": 4200,
    "under_voltage_mv": 2700,
    "over_temperature_cdegc": 5500,
    "under_temperature_cdegc": -500,
    "charge_max_ma": 50_000,
    "discharge_max_ma": 40_000,
}


@dataclass(frozen=True)
class Scan:
    """What one scan measured; valid as it stands."""

    cell_mv: tuple[int, ...] = (2700, 3600, 4200)
    temperature_cdegc: tuple[int, ...] = (-500, 2500, 5500)
    current_ma: int = 0
    pec_ok: bool = True
    converted: bool = True

    def faults(self) -> set[str]:
        found = set()
        if not self.pec_ok:
            found.add("front_end_pec")
        elif not self.converted or not self.cell_mv:
            found.add("front_end_stuck")
        else:
            if max(self.cell_mv) > LIMITS["over_voltage_mv"]:
                found.add("over_voltage")
            if min(self.cell_mv) < LIMITS["under_voltage_mv"]:
                found.add("under_voltage")
        known = [t for t in self.temperature_cdegc if t != MISSING["i16"]]
        if len(known) < len(self.temperature_cdegc):
            found.add("temperature_sensor")
        if any(t > LIMITS["over_temperature_cdegc"] for t in known):
            found.add("over_temperature")
        if any(t < LIMITS["under_temperature_cdegc"] for t in known):
            found.add("under_temperature")
        if self.current_ma == MISSING["i32"]:
            found.add("current_sensor")
        elif not (
            -LIMITS["discharge_max_ma"] <= self.current_ma <= LIMITS["charge_max_ma"]
        ):
            found.add("over_current")
        return found


def _around(*limits: int, rare: tuple[int, ...] = ()) -> st.SearchStrategy[int]:
    inside = [limits[0] + 1, limits[-1] - 1, *limits]
    return st.sampled_from(inside * 4 + [limits[0] - 1, limits[-1] + 1, *rare])


scans = st.builds(
    Scan,
    cell_mv=st.lists(_around(2700, 4200, rare=(0, 65535)), max_size=24).map(tuple),
    temperature_cdegc=st.lists(
        _around(-500, 5500, rare=(MISSING["i16"], -32767, 32767)), max_size=4
    ).map(tuple),
    current_ma=_around(
        -40_000, 50_000, rare=(MISSING["i32"], MISSING["i32"] + 1, 2**31 - 1)
    ),
    pec_ok=st.sampled_from([True] * 7 + [False]),
    converted=st.sampled_from([True] * 7 + [False]),
)
spans_ms = st.one_of(
    st.integers(0, STALE_MS),
    st.just(2**31),
    st.sampled_from([STALE_MS, FOLLOW_MS, SILENT_MS]).flatmap(
        lambda span: st.integers(span - 1, span + 1)
    ),
    st.integers(0, 2**32 - 1 - SILENT_MS),
)


@dataclass
class Record:
    """What the logic was told since its reset, and what it must say for that."""

    now_ms: int
    scans: list[set[str]] = field(default_factory=list)
    scanned_ms: int = 0
    heard_ms: int | None = None
    heartbeat: int = 0
    commanded_ms: int = 0
    counted_from: int = 0  # the first scan that counts for arming
    closed: bool = False
    live: set[str] = field(default_factory=set)
    latched: set[str] = field(default_factory=set)

    def in_row(self, is_so: Callable[[set[str]], Any], since: int = 0) -> int:
        counted = islice(reversed(self.scans), len(self.scans) - since)
        return sum(1 for _ in takewhile(is_so, counted))

    @property
    def valid_scans(self) -> int:
        return self.in_row(lambda found: not found, self.counted_from)

    @property
    def silent(self) -> bool:
        return self.heard_ms is None or self.now_ms - self.heard_ms > SILENT_MS

    @property
    def state(self) -> str:
        if self.latched:
            return "tripped"
        if self.closed:
            return "closed"
        return "ready" if self.valid_scans >= SCANS else "starting"

    def judge(self, judged: set[str], live: Iterable[str]) -> None:
        self.live = (self.live - judged) | set(live)
        self.latched |= self.live
        if self.closed and self.latched:
            self.command(False)

    def command(self, closed: bool) -> None:
        if closed != self.closed:
            self.closed, self.commanded_ms = closed, self.now_ms

    def scan(self, found: set[str]) -> None:
        self.scans.append(found)
        self.scanned_ms = self.now_ms
        live = set()
        if self.in_row(lambda f: f & FAST) >= FILTER:
            live |= found & FAST
        if self.in_row(lambda f: f & SLOW) >= FILTER_SLOW:
            live |= found & SLOW
        self.judge(FAST | SLOW, live)

    def tick(self, feedback: bool) -> None:
        settled = self.now_ms - self.commanded_ms > FOLLOW_MS
        there = {
            "host_silent": self.closed and self.silent,
            "stale_data": self.now_ms - self.scanned_ms > STALE_MS,
            "contactor_welded": settled and feedback and not self.closed,
            "contactor_not_closing": settled and self.closed and not feedback,
        }
        self.judge(set(there), (name for name in there if there[name]))

    def hear(self, number: int) -> None:
        if number == (self.heartbeat + 1) % HEARTBEATS:
            self.heard_ms = self.now_ms
        if number < HEARTBEATS:
            self.heartbeat = number

    def arm(self) -> str:
        if self.state in ("tripped", "starting"):
            return {"tripped": "tripped", "starting": "not_ready"}[self.state]
        if self.silent:
            return "host_silent"
        self.command(True)
        return "done"

    def clear(self) -> str:
        if self.closed:
            return "closed"
        if self.live or (self.scans and self.scans[-1]):
            return "still_faulty"
        self.latched = set()
        self.counted_from = len(self.scans)
        return "done"


class Bench(RuleBasedStateMachine):
    """The logic under every input it has."""

    library: Any = None
    """Another library than the one that was built (a damaged one)."""

    def __init__(self) -> None:
        super().__init__()
        own, self.ffi = core()
        self.c = self.library or own
        self.safety = self.ffi.new("safety_t *")

    @property
    def now(self) -> int:
        return self.record.now_ms % 2**32

    @property
    def closed(self) -> bool:
        return bool(self.c.safety_closed(self.safety))

    def names(self, bits: int) -> set[str]:
        return {name for name, bit in FAULTS.items() if bits >> bit & 1}

    # -- inputs

    @initialize(
        now_ms=st.one_of(st.just(0), st.integers(0, 2**32 - 1)),
        calibrated=st.sampled_from([True] * 9 + [False]),
        bad_reset=st.sampled_from([False] * 4 + [True]),
    )
    def reset(
        self, now_ms: int = 0, calibrated: bool = True, bad_reset: bool = False
    ) -> None:
        limits = self.ffi.new("safety_limits_t *", LIMITS)
        self.record = Record(now_ms, scanned_ms=now_ms, commanded_ms=now_ms)
        self.record.judge(set(), [] if calibrated else ["calibration"])
        self.record.latched |= {"reset"} if bad_reset else set()
        self.c.safety_init(self.safety, limits, calibrated, bad_reset, self.now)

    # Rarely: it takes everything back.
    @rule(
        seldom=st.integers(0, 9),
        calibrated=st.booleans(),
        bad_reset=st.booleans(),
    )
    def reset_again(self, seldom: int, calibrated: bool, bad_reset: bool) -> None:
        if seldom == 0:
            self.reset(self.record.now_ms, calibrated, bad_reset)

    @rule(scan=scans, times=st.sampled_from([1, 1, 1, 2, 4, 5]))
    def scan(self, scan: Scan, times: int = 1) -> None:
        for _ in range(times):
            self._scan(scan)

    def _scan(self, scan: Scan) -> None:
        cells = self.ffi.new("uint16_t[]", scan.cell_mv or (0,))
        temperatures = self.ffi.new("int16_t[]", scan.temperature_cdegc or (0,))
        given = self.ffi.new(
            "safety_scan_t *",
            {
                "cell_mv": cells,
                "temperature_cdegc": temperatures,
                "current_ma": scan.current_ma,
                "n_cells": len(scan.cell_mv),
                "n_temperatures": len(scan.temperature_cdegc),
                "pec_ok": scan.pec_ok,
                "converted": scan.converted,
            },
        )
        self.c.safety_scan(self.safety, given, self.now)
        self.record.scan(scan.faults())

    @rule(ahead=st.sampled_from([1, 1, 1, 0, 2, 15]))
    def heartbeat(self, ahead: int = 1) -> None:
        self.hear((self.record.heartbeat + ahead) % HEARTBEATS)

    @rule(number=st.integers(0, 2**16 - 1))
    def hear(self, number: int) -> None:
        self.c.safety_heartbeat(self.safety, number, self.now)
        self.record.hear(number)

    @rule(span_ms=spans_ms, times=st.sampled_from([1, 1, 2]))
    def wait(self, span_ms: int, times: int = 1) -> None:
        for _ in range(times):
            self.record.now_ms += span_ms
            self.tick(self.closed)
            self.as_recorded()

    @rule(feedback=st.booleans())
    def tick(self, feedback: bool) -> None:
        self.c.safety_tick(self.safety, feedback, self.now)
        self.record.tick(feedback)
        assert self.safety.host_alive == (not self.record.silent)
        # The promise itself, apart from what the record makes of it:
        if self.closed:
            r = self.record
            assert r.now_ms - r.scanned_ms <= STALE_MS
            assert r.heard_ms is not None and r.now_ms - r.heard_ms <= SILENT_MS
            assert not all(found & FAST for found in r.scans[-FILTER:])
            assert not all(found & SLOW for found in r.scans[-FILTER_SLOW:])

    @rule(cycles=st.sampled_from([3, 16, SCANS - 1, SCANS]), alive=st.booleans())
    def work(self, cycles: int, alive: bool = True) -> None:
        """Pass some time with nothing wrong."""
        for i in range(cycles):
            self.record.now_ms += CYCLE_MS
            self._scan(Scan(current_ma=i))
            if alive and i % 10 == 0:
                self.heartbeat()
            self.tick(self.closed)

    @rule(cycles=st.sampled_from([SCANS - 1, SCANS, 3 * SCANS]), alive=st.booleans())
    def start(self, cycles: int = SCANS, alive: bool = True) -> None:
        """Do everything that closes a contactor where nothing is wrong."""
        self.work(1, alive)
        self.clear()
        self.work(cycles, alive)
        self.arm()

    @rule()
    def ask_arm(self) -> None:
        self.arm()

    def arm(self) -> str:
        was_closed = self.closed
        outcome = OUTCOMES[self.c.safety_arm(self.safety, self.now)]
        if self.closed and not was_closed:  # The promise itself, again:
            assert len(self.record.scans) >= SCANS
            assert not any(self.record.scans[-SCANS:])
            assert not self.record.latched and not self.record.silent
        assert outcome == self.record.arm()
        return outcome

    @rule()
    def disarm(self) -> None:
        assert OUTCOMES[self.c.safety_disarm(self.safety, self.now)] == "done"
        assert not self.closed
        self.record.command(False)

    @rule()
    def ask_clear(self) -> None:
        self.clear()

    def clear(self) -> str:
        outcome = OUTCOMES[self.c.safety_clear(self.safety, self.now)]
        assert outcome == self.record.clear()
        return outcome

    @precondition(lambda self: self.closed)
    @rule(scan=scans)
    def scan_closed(self, scan: Scan) -> None:
        self.scan(scan, FILTER)

    # -- what must hold after each of them

    @invariant()
    def as_recorded(self) -> None:
        r = self.record
        assert self.closed == r.closed
        assert STATES[self.safety.state] == r.state
        assert self.names(self.safety.live) == r.live
        assert self.names(self.safety.latched) == r.latched


def valid_but(**changes: Any) -> Scan:
    """Return a valid scan with something else in it."""
    return replace(Scan(), **changes)
