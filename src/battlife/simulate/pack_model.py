"""A battery pack with cells that differ, and what its BMS shows of it."""

import math
import random
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Chemistry = Literal["lfp", "nmc"]
Load = Literal["rest", "constant", "drive"]
Truth = float | bool | tuple[float, ...] | tuple[str, ...]

# Open-circuit voltage in V at equal steps of SOC, 0 to 1. Rounded shapes, not the
# measurement of any one cell: a flat LFP plateau at 3.3 V, an NMC slope from 3.0 to
# 4.2 V. Nothing but the plausibility of the simulated cells rests on them.
_OCV: Final = {
    "lfp": (2.60, 3.20, 3.24, 3.27, 3.285, 3.29, 3.295, 3.32, 3.33, 3.335, 3.45),
    "nmc": (3.00, 3.45, 3.55, 3.60, 3.63, 3.67, 3.75, 3.85, 3.94, 4.05, 4.18),
}
_TAU_S: Final = 30.0  # polarisation of a large cell: tens of seconds
_HEAT_CAPACITY_J_PER_K_AH: Final = 25.0  # about 1 kJ/(kg K) at 25 g per Ah
_COOLING_S: Final = 1800.0  # half an hour to the air of the bench
_AMBIENT_DEGC: Final = 22.0
_LOAD_SEGMENT_S: Final = 5.0
_MAX_STEP_S: Final = 1.0


@dataclass(frozen=True)
class PackSpec:
    """What a pack is made of.

    Attributes
    ----------
    n_cells : cells in series
    capacity_ah : Ah, what the cells were rated when new
    chemistry : "lfp" or "nmc"
    soc : fraction, mean at the start
    health : fraction of the rated capacity that is left, mean of the cells
    claimed_soh : fraction, what the BMS says
    resistance_ohm : ohm, mean ohmic resistance of a cell
    n_sensors : temperature sensors
    load : "rest"; "constant" discharge at C/5; "drive": pulses of both signs
    cycle_count : full cycles so far
    """

    n_cells: int = 16
    capacity_ah: float = 100.0
    chemistry: Chemistry = "lfp"
    soc: float = 0.6
    health: float = 0.87
    claimed_soh: float = 0.91
    resistance_ohm: float = 0.0008
    n_sensors: int = 4
    load: Load = "drive"
    cycle_count: int = 343


@dataclass(frozen=True)
class Shown:
    """What the BMS of a pack shows; faults of its wires and memory included.

    Attributes
    ----------
    voltage_v : V at the terminals
    current_a : A, positive while charging
    cell_voltage_v : V of each cell
    temperature_degc : degC of each sensor
    soc, soh : fractions
    remaining_ah, full_ah, design_ah : Ah
    charge_throughput_ah, energy_throughput_wh : Ah and Wh charged so far
    isolation_ohm : ohm
    balancing : of each cell
    alarms : subset of "cell_overvoltage", "cell_undervoltage", "over_temperature",
        "short_circuit", "low_isolation"
    """

    voltage_v: float
    current_a: float
    cell_voltage_v: tuple[float, ...]
    temperature_degc: tuple[float, ...]
    soc: float
    soh: float
    remaining_ah: float
    full_ah: float
    design_ah: float
    cycle_count: int
    charge_throughput_ah: float
    energy_throughput_wh: float
    isolation_ohm: float
    contactors_closed: bool
    charge_enabled: bool
    discharge_enabled: bool
    balancing: tuple[bool, ...]
    alarms: frozenset[str]
    aux_voltage_v: float


class PackModel:
    """Cells under a load, in simulated time.

    Parameters
    ----------
    spec : what it is made of
    seed : of the spread of the cells and of the load
    faults : names of :data:`battlife.simulate.faults.FAULTS`
    clock : s, monotonic; where None time moves by :meth:`advance` alone
    rate : simulated seconds in a second of the clock
    """

    def __init__(
        self,
        spec: PackSpec | None = None,
        *,
        seed: int = 0,
        faults: frozenset[str] = frozenset(),
        clock: Callable[[], float] | None = None,
        rate: float = 1.0,
    ) -> None:
        self.spec = spec = spec or PackSpec()
        self.faults = faults
        self.time_s = 0.0
        self.cleared = False
        self._seed = seed
        self._clock = clock
        self._rate = rate
        self._start_s = clock() if clock else 0.0
        spread = random.Random(f"cells {seed}")
        n = spec.n_cells
        self._capacity_ah = [
            spec.capacity_ah * spec.health * spread.gauss(1.0, 0.01) for _ in range(n)
        ]
        self._r0 = [spec.resistance_ohm * spread.gauss(1.0, 0.05) for _ in range(n)]
        self._soc = [
            min(max(spec.soc + spread.gauss(0.0, 0.01), 0.02), 0.98) for _ in range(n)
        ]
        self._degc = [_AMBIENT_DEGC + spread.uniform(0.0, 2.0) for _ in range(n)]
        self._polarisation_v = [0.0] * n
        self._charged_ah = spec.cycle_count * spec.capacity_ah
        self._charged_wh = self._charged_ah * _ocv(spec.chemistry, 0.5) * n
        if "weak_cell" in faults and n > 2:
            self._capacity_ah[2] *= 0.7
            self._r0[2] *= 3.0
        self._first: Shown | None = None

    @property
    def current_a(self) -> float:
        """The load in A, positive while charging."""
        load, ah = self.spec.load, self.spec.capacity_ah
        if load == "rest" or "blown_service_fuse" in self.faults:
            return 0.0
        if load == "constant":
            return -0.2 * ah
        segment = int(self.time_s // _LOAD_SEGMENT_S)
        return ah * random.Random(f"load {self._seed} {segment}").uniform(-0.8, 0.5)

    def advance(self, duration_s: float) -> None:
        """Let the load act for a while."""
        left = duration_s
        while left > 0:
            in_segment = _LOAD_SEGMENT_S - self.time_s % _LOAD_SEGMENT_S
            step = min(left, in_segment, _MAX_STEP_S)
            self._step(step)
            left -= step

    def catch_up(self) -> None:
        """Advance to the present of the clock."""
        if self._clock is not None:
            present_s = (self._clock() - self._start_s) * self._rate
            self.advance(present_s - self.time_s)

    def shown(self) -> Shown:
        """Return what the BMS shows now."""
        shown = self._measured()
        if "stuck_value" not in self.faults:
            return shown
        self._first = self._first or shown
        return self._first

    def truth(self) -> dict[str, Truth]:
        """Return what is true of the pack, by the names of the contract.

        `reported_soh`, `cycle_count` and `fault_codes` are what the BMS claims;
        `full_capacity_ah` is what the weakest cell really holds.
        """
        cells = self._cell_voltages()
        voltage = 0.0 if "blown_service_fuse" in self.faults else sum(cells)
        shown = self._measured()
        return {
            "voltage_v": voltage,
            "current_a": self.current_a,
            "cell_voltage_v": tuple(cells),
            "temperature_degc": self._temperatures(),
            "soc": self._pack_soc(),
            "reported_soh": shown.soh,
            "full_capacity_ah": min(self._capacity_ah),
            "design_capacity_ah": self.spec.capacity_ah,
            "cycle_count": float(shown.cycle_count),
            "isolation_ohm": shown.isolation_ohm,
            "contactors_closed": shown.contactors_closed,
            "charge_throughput_ah": self._charged_ah,
            "energy_throughput_wh": self._charged_wh,
            "fault_codes": tuple(sorted(shown.alarms)),
        }

    def clear_faults(self) -> None:
        """Forget the stored fault codes; a fault that is still there stays."""
        self.cleared = True

    def _step(self, step_s: float) -> None:
        current = self.current_a
        decay = math.exp(-step_s / _TAU_S)
        voltage = 0.0
        for i, r0 in enumerate(self._r0):
            self._soc[i] += current * step_s / 3600 / self._capacity_ah[i]
            self._polarisation_v[i] = self._polarisation_v[i] * decay + (
                current * r0 * (1 - decay)
            )
            heat_k = (
                2 * current**2 * r0 * step_s
                / (_HEAT_CAPACITY_J_PER_K_AH * self.spec.capacity_ah)
            )  # fmt: skip
            cooling = (self._degc[i] - _AMBIENT_DEGC) * step_s / _COOLING_S
            self._degc[i] += heat_k - cooling
            voltage += self._cell_voltage(i, current)
        charged_ah = max(current, 0.0) * step_s / 3600
        self._charged_ah += charged_ah
        self._charged_wh += charged_ah * voltage
        self.time_s += step_s

    def _cell_voltage(self, i: int, current_a: float) -> float:
        if "dead_cell" in self.faults and i == 1:
            return 0.4
        rest = _ocv(self.spec.chemistry, self._soc[i])
        return max(rest + self._polarisation_v[i] + current_a * self._r0[i], 0.0)

    def _cell_voltages(self) -> list[float]:
        current = self.current_a
        return [self._cell_voltage(i, current) for i in range(self.spec.n_cells)]

    def _temperatures(self) -> tuple[float, ...]:
        n, cells = self.spec.n_sensors, self.spec.n_cells
        degc = [self._degc[i * cells // n] for i in range(n)]
        if "over_temperature" in self.faults and degc:
            degc[0] = 72.0
        return tuple(degc)

    def _pack_soc(self) -> float:
        return min(max(sum(self._soc) / len(self._soc), 0.0), 1.0)

    def _measured(self) -> Shown:
        faults, spec = self.faults, self.spec
        cells = self._cell_voltages()
        blown = "blown_service_fuse" in faults
        voltage = 0.0 if blown else sum(cells)
        alarms = set()
        if "fault_codes" in faults and not self.cleared:
            alarms |= {"cell_overvoltage", "short_circuit"}
        if "over_temperature" in faults:
            alarms.add("over_temperature")
        if "low_isolation" in faults:
            alarms.add("low_isolation")
        if "dead_cell" in faults:
            alarms.add("cell_undervoltage")
        if "open_sense_wire" in faults and len(cells) > 1:
            i = min(3, len(cells) - 2)
            cells[i], cells[i + 1] = 0.0, cells[i] + cells[i + 1]
        mean = sum(cells) / len(cells)
        soh = 1.0 if "bms_reset" in faults else spec.claimed_soh
        full = spec.capacity_ah * soh
        soc = self._pack_soc()
        return Shown(
            voltage_v=voltage,
            current_a=self.current_a,
            cell_voltage_v=tuple(cells),
            temperature_degc=self._temperatures(),
            soc=soc,
            soh=soh,
            remaining_ah=full * soc,
            full_ah=full,
            design_ah=spec.capacity_ah,
            cycle_count=spec.cycle_count,
            charge_throughput_ah=self._charged_ah,
            energy_throughput_wh=self._charged_wh,
            isolation_ohm=20e3 if "low_isolation" in faults else 2e6,
            contactors_closed=not blown,
            charge_enabled=not alarms and not blown,
            discharge_enabled="short_circuit" not in alarms and not blown,
            balancing=tuple(v > mean + 0.02 for v in cells),
            alarms=frozenset(alarms),
            aux_voltage_v=12.6,
        )


def _ocv(chemistry: Chemistry, soc: float) -> float:
    table = _OCV[chemistry]
    if soc < 0:
        return max(table[0] + soc * 20, 0.0)  # falls off a cliff when empty
    position = soc * (len(table) - 1)
    i = min(bisect_right(range(len(table)), position) - 1, len(table) - 2)
    return table[i] + (position - i) * (table[i + 1] - table[i])
