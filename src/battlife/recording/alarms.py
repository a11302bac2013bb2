"""Limits and readings in, alarms out; pure, with the time of the readings.

The rules:

- Cell voltage and temperature: each cell and sensor by itself, at its limit or beyond.
- Temperature rate: a sensor that rises, within any 60 s, by more than the limit allows
  in 60 s. A sensor's coarse step alone is no rate, and a runaway needs no 60 s.
- Spread: highest less lowest cell, of cells heard lately.
- Missing cells: fewer cells of a unit heard lately than `n_cells`, after every device
  had time for its first three rounds.
- Silence: no right message of a device for `silence_s`.
- Stuck: every voltage of a device unchanged for `silence_s` and ten answers while it
  says that at least 1 A flows (at rest constant voltages are right), where it tells
  voltages coarsely the current too; or one cell unchanged while the median of its
  message moved by 30 mV, or by more than three of the steps it tells.
- A critical fault code, until the same message comes without it.

An alarm ends when the value is back by a margin, so that noise does not make many.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from typing import Final

from battlife.model import Reading
from battlife.recording.rig import Limits

CRITICAL_FAULT: Final = "critical_fault_code"
RATE_WINDOW_S: Final = 60.0
"""One minute, so that a rise in K within it is a rate in K/min."""
RATE_STEP_S: Final = 1.0
"""Temperatures kept for the rate are at least this far apart."""
ROUNDS: Final = 3
"""Rounds after which a cell not heard again is missing."""
STUCK_ANSWERS: Final = 10
STUCK_CURRENT_A: Final = 1.0
STUCK_MOVE_V: Final = 0.030
"""Well above the resolution and noise of a BMS that tells a mV or ten."""
STUCK_STEPS: Final = 3.5
"""Others, rounded, may move by two steps while a cell keeps within one."""
STUCK_FINE_V: Final = 0.015
"""Beyond it (20 and 100 mV are known) voltages may stand still for long."""
BACK_V: Final = 0.010
BACK_SPREAD_V: Final = 0.002
BACK_K: Final = 1.0
BACK_RATE: Final = 0.9


@dataclass(frozen=True)
class Watched:
    """One device: name, the unit it measures, s between two questions."""

    name: str
    unit_id: str
    period_s: float


@dataclass(frozen=True)
class Alarm:
    """One limit that was passed.

    Attributes
    ----------
    code : cell_over_voltage, cell_under_voltage, over_temperature, temperature_rate,
        cell_spread, missing_cells, silence, stuck, critical_fault_code
    device : name in the rig
    unit_id : unit under test
    which : "cell 12", "sensor 3", the fault, or ""
    value, limit : in `unit`, NaN where there is no number
    started_s : s since the start of the recording
    ended_s : the same, None while it lasts
    """

    code: str
    device: str
    unit_id: str
    which: str
    value: float
    limit: float
    unit: str
    started_s: float
    ended_s: float | None = None

    @property
    def message(self) -> str:
        """What happened, for a screen or a record."""
        words = " ".join(filter(None, (self.device, self.which)))
        text = f"{words}: {self.code.replace('_', ' ')}"
        if not math.isnan(self.value):
            text += f" {self.value:.6g} {self.unit} (limit {self.limit:.6g})"
        return text


@dataclass
class _State:
    """What is known of one device."""

    watched: Watched
    cells: list[float] = field(default_factory=list)
    cell_s: list[float] = field(default_factory=list)
    middle_v: list[float] = field(default_factory=list)
    """Per cell: the median of its message when it last changed."""
    step_v: float = math.inf
    """Smallest difference between two cells so far: at least the resolution."""
    temperatures: list[deque[tuple[float, float]]] = field(default_factory=list)
    heard_s: float = 0.0
    current_a: float = math.nan
    current_moved: bool = False
    voltage_v: float = math.nan
    moved_s: float = 0.0
    unchanged: int = 0
    faults: dict[str, set[str]] = field(default_factory=dict)


@dataclass
class _At:
    """Whose reading, when, and the changes found so far."""

    state: _State
    now_s: float
    changes: list[Alarm]


class AlarmWatch:
    """Watches the readings of a rig.

    Parameters
    ----------
    limits : what is watched
    devices : of the rig
    """

    def __init__(self, limits: Limits, devices: Sequence[Watched]) -> None:
        self._limits = limits
        self._states = {d.name: _State(d) for d in devices}
        self._active: dict[tuple[str, str, str], Alarm] = {}

    @property
    def active(self) -> tuple[Alarm, ...]:
        """Alarms that last."""
        return tuple(self._active.values())

    def feed(self, device: str, reading: Reading) -> list[Alarm]:
        """Return the alarms that a reading begins or ends."""
        state = self._states[device]
        at = _At(state, reading.time_s, [])
        if at.now_s - state.heard_s > ROUNDS * state.watched.period_s:
            state.moved_s, state.unchanged = at.now_s, 0  # silent is not still
        state.heard_s = max(at.now_s, state.heard_s)
        self._set(at, "silence", "", False)
        cells = _vector(reading.values.get("cell_voltage_v"))
        current = reading.values.get("current_a")
        if isinstance(current, (int, float)):
            state.current_moved |= current != state.current_a
            state.current_a = float(current)
        self._take_voltages(at, cells, reading)
        self._check_cells(at, cells)
        temperatures = _vector(reading.values.get("temperature_degc"))
        self._check_temperatures(at, temperatures)
        self._check_faults(at, reading)
        return at.changes

    def tick(self, now_s: float) -> list[Alarm]:
        """Return the alarms that the passing of time alone begins or ends."""
        changes: list[Alarm] = []
        silence_s = self._limits.silence_s
        for state in self._states.values():
            if silence_s is not None:
                quiet_s = now_s - state.heard_s
                if quiet_s > silence_s:
                    at = _At(state, now_s, changes)
                    self._set(at, "silence", "", True, quiet_s, silence_s, "s")
        if self._limits.n_cells is not None:
            self._check_missing(changes, self._limits.n_cells, now_s)
        return changes

    def _take_voltages(self, at: _At, cells: Sequence[float], reading: Reading) -> None:
        """Learn the voltages; tell those that do not move though they should."""
        state = at.state
        pack = reading.values.get("voltage_v")
        pack_v = float(pack) if isinstance(pack, (int, float)) else math.nan
        if not cells and math.isnan(pack_v):
            return
        moved = pack_v != state.voltage_v and not math.isnan(pack_v)
        if not math.isnan(pack_v):
            state.voltage_v = pack_v
        if (grown := len(cells) - len(state.cells)) > 0:
            state.cells += [math.nan] * grown
            state.cell_s += [-math.inf] * grown
            state.middle_v += [math.nan] * grown
        heard = [i for i, value in enumerate(cells) if not math.isnan(value)]
        changed = {i for i in heard if cells[i] != state.cells[i]}
        told = pairwise(sorted({cells[i] for i in heard}))
        state.step_v = min([state.step_v, *(high - low for low, high in told)])
        for i in heard:
            state.cells[i], state.cell_s[i] = cells[i], at.now_s
        moved |= state.step_v > STUCK_FINE_V and state.current_moved
        state.current_moved = False
        if changed or moved or not abs(state.current_a) >= STUCK_CURRENT_A:
            state.moved_s, state.unchanged = at.now_s, 0
        else:
            state.unchanged += 1
        self._check_stuck(at, heard, changed)

    def _check_stuck(self, at: _At, heard: Sequence[int], changed: set[int]) -> None:
        state = at.state
        silence_s = self._limits.silence_s
        if silence_s is None:
            return
        still_s = at.now_s - state.moved_s
        stuck = still_s > silence_s and state.unchanged >= STUCK_ANSWERS
        if stuck or state.unchanged == 0:
            self._set(at, "stuck", "all voltages", stuck, still_s, silence_s, "s")
        if len(heard) < 3:
            return
        # Of this message alone: cells heard at other times tell another load.
        middle = median(state.cells[i] for i in heard)
        limit_v = max(STUCK_MOVE_V, STUCK_STEPS * state.step_v)
        for i in heard:
            moved_v = abs(middle - state.middle_v[i])
            if i in changed:
                state.middle_v[i] = middle
                self._set(at, "stuck", f"cell {i + 1}", False)
            elif moved_v >= limit_v:
                self._set(at, "stuck", f"cell {i + 1}", True, moved_v, limit_v, "V")

    def _check_cells(self, at: _At, cells: Sequence[float]) -> None:
        limits = self._limits
        for i, value in enumerate(cells):
            if math.isnan(value):
                continue
            which = f"cell {i + 1}"
            high, low = limits.cell_voltage_max_v, limits.cell_voltage_min_v
            if high is not None:
                back = high - BACK_V
                self._level(at, "cell_over_voltage", which, value, high, back, "V")
            if low is not None:
                back = low + BACK_V
                self._level(at, "cell_under_voltage", which, value, low, back, "V")
        if limits.cell_spread_max_v is not None and cells:
            fresh = self._fresh(at.state, at.now_s)
            if len(fresh) > 1:
                limit = limits.cell_spread_max_v
                spread = max(fresh) - min(fresh)
                back = limit - BACK_SPREAD_V
                self._level(at, "cell_spread", "", spread, limit, back, "V")

    def _check_temperatures(self, at: _At, values: Sequence[float]) -> None:
        state = at.state
        high = self._limits.temperature_max_degc
        rate = self._limits.temperature_rate_max_k_per_min
        while len(state.temperatures) < len(values):
            state.temperatures.append(deque())
        for i, value in enumerate(values):
            if math.isnan(value):
                continue
            which = f"sensor {i + 1}"
            if high is not None:
                back = high - BACK_K
                self._level(at, "over_temperature", which, value, high, back, "degC")
            if rate is not None:
                rise = _rise(state.temperatures[i], at.now_s, value)
                # Beyond the limit, not at it: a sensor may step by 1 K.
                above = math.nextafter(rate, math.inf)
                back = BACK_RATE * rate
                self._level(at, "temperature_rate", which, rise, above, back, "K/min")

    def _check_faults(self, at: _At, reading: Reading) -> None:
        state = at.state
        now = {n.message for n in reading.notices if n.code == CRITICAL_FAULT}
        before = state.faults.get(reading.message, set())
        for which in sorted(now | before):
            on = which in now
            self._set(at, CRITICAL_FAULT, which, on)
        if now or before:
            state.faults[reading.message] = now

    def _check_missing(self, changes: list[Alarm], n_cells: int, now_s: float) -> None:
        units: dict[str, list[_State]] = {}
        for state in self._states.values():
            units.setdefault(state.watched.unit_id, []).append(state)
        for states in units.values():
            if now_s < max(self._age_s(s) for s in states):
                continue
            found = max(len(self._fresh(s, now_s)) for s in states)
            at = _At(states[0], now_s, changes)
            short = found < n_cells
            self._set(at, "missing_cells", "", short, found, n_cells, "cells")

    def _age_s(self, state: _State) -> float:
        """Return s after which a cell that was not heard again is missing."""
        return max(ROUNDS * state.watched.period_s, self._limits.silence_s or 5.0)

    def _fresh(self, state: _State, now_s: float) -> list[float]:
        oldest = now_s - self._age_s(state)
        pairs = zip(state.cells, state.cell_s, strict=True)
        return [v for v, when in pairs if when >= oldest]

    def _level(
        self,
        at: _At,
        code: str,
        which: str,
        value: float,
        limit: float,
        back: float,
        unit: str,
    ) -> None:
        """Begin at `limit`, end beyond `back`, which lies on the safe side of it."""
        upper = back <= limit
        if value >= limit if upper else value <= limit:
            self._set(at, code, which, True, value, limit, unit)
        elif value < back if upper else value > back:
            self._set(at, code, which, False)

    def _set(
        self,
        at: _At,
        code: str,
        which: str,
        on: bool,
        value: float = math.nan,
        limit: float = math.nan,
        unit: str = "",
    ) -> None:
        state = at.state
        watched = state.watched
        key = (watched.name, code, which)
        active = self._active.get(key)
        if on and active is None:
            alarm = Alarm(
                code, watched.name, watched.unit_id, which, value, limit, unit, at.now_s
            )
            self._active[key] = alarm
            at.changes.append(alarm)
        elif not on and active is not None:
            del self._active[key]
            at.changes.append(replace(active, ended_s=at.now_s))


def alarms_of(
    limits: Limits,
    devices: Sequence[Watched],
    readings: Iterable[tuple[str, Reading]],
) -> list[Alarm]:
    """Return every alarm that readings in order raise, each at its latest state.

    Parameters
    ----------
    readings : name of the device in the rig, and what it said
    """
    watch = AlarmWatch(limits, devices)
    found: dict[tuple[str, str, str, float], Alarm] = {}
    for device, reading in readings:
        for alarm in [*watch.tick(reading.time_s), *watch.feed(device, reading)]:
            found[_key(alarm)] = alarm
    return list(found.values())


def _key(alarm: Alarm) -> tuple[str, str, str, float]:
    return alarm.device, alarm.code, alarm.which, alarm.started_s


def _vector(value: object) -> Sequence[float]:
    return value if isinstance(value, tuple) else ()


def _rise(kept: deque[tuple[float, float]], now_s: float, value: float) -> float:
    """Return how far a temperature lies above its lowest of the last window, in K."""
    while kept and kept[0][0] < now_s - RATE_WINDOW_S:
        kept.popleft()
    lowest = min((v for _, v in kept), default=value)
    if not kept or now_s - kept[-1][0] >= RATE_STEP_S:
        kept.append((now_s, value))
    elif value < kept[-1][1]:
        kept[-1] = (kept[-1][0], value)
    return max(value - lowest, 0.0)


def as_facts(alarm: Alarm) -> Mapping[str, object]:
    """Return an alarm as the JSON object of journal, archive and command line."""

    def number(value: float) -> float | None:
        return None if math.isnan(value) else value

    return {
        "code": alarm.code,
        "device": alarm.device,
        "unit_id": alarm.unit_id,
        "which": alarm.which,
        "value": number(alarm.value),
        "limit": number(alarm.limit),
        "unit": alarm.unit,
        "started_s": alarm.started_s,
        "ended_s": alarm.ended_s,
    }
