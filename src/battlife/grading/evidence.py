"""What a policy compares: bounds of named quantities, and which names exist."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from battlife.grading.chemistry import declared_chemistries


@dataclass(frozen=True)
class Evidence:
    """Bounds of one quantity of one unit.

    Attributes
    ----------
    quantity : name, one of :data:`QUANTITIES` or ``dcir_<seconds>s_ohm``
    low, high : bounds in `unit`, low <= high; the interval a rule compares
    value : best estimate in `unit`
    unit : "1" for fractions and counts
    source : where it comes from, e.g. "measured"
    temperature_degc : temperature of the measurement, None if not stated
    """

    quantity: str
    low: float
    high: float
    value: float
    unit: str
    source: str
    temperature_degc: float | None = None

    @property
    def usable(self) -> bool:
        """True if all three numbers are finite and in order: NaN never passes."""
        finite = all(math.isfinite(x) for x in (self.low, self.high, self.value))
        return finite and self.low <= self.value <= self.high


@dataclass(frozen=True)
class Known:
    """A quantity a policy may name.

    Attributes
    ----------
    unit : unit of its bounds and thresholds
    family : kind of evidence; two rules of one family are not two witnesses
    settle : the measurement that narrows its interval
    needs : what it cannot be computed without
    """

    unit: str
    family: str
    settle: str
    needs: str = "a measurement of it"


_CAPACITY_TEST = (
    "repeat the capacity test at the reference temperature with a calibrated sensor"
)
_COMPLETE = "a complete discharge from full"
_PULSE = "a current step from rest, sampled at least every 0.5 s for 10 s"
_PULSE_TEST = (
    "repeat the 10 s pulse at the reference temperature, sampled at least every "
    "0.5 s, with a calibrated sensor"
)

QUANTITIES: Final[Mapping[str, Known]] = MappingProxyType(
    {
        "soh_capacity": Known(
            "1",
            "capacity",
            _CAPACITY_TEST,
            f"{_COMPLETE} and the rated capacity (--nominal-ah, or nominal_ah in "
            "units.toml)",
        ),
        "soh_energy": Known(
            "1",
            "capacity",
            _CAPACITY_TEST,
            f"{_COMPLETE} and the rated energy (nominal_wh in units.toml)",
        ),
        "discharge_capacity_ah": Known("Ah", "capacity", _CAPACITY_TEST, _COMPLETE),
        "charge_capacity_ah": Known("Ah", "capacity", _CAPACITY_TEST, _COMPLETE),
        "discharge_energy_wh": Known("Wh", "capacity", _CAPACITY_TEST, _COMPLETE),
        "charge_energy_wh": Known("Wh", "capacity", _CAPACITY_TEST, _COMPLETE),
        "coulombic_efficiency": Known(
            "1", "loss", "repeat the full cycle with a calibrated current sensor"
        ),
        "self_discharge_v_per_day": Known(
            "V/d", "loss", "rest longer and record the voltage and the temperature"
        ),
        "cell_self_discharge_v_per_day": Known(
            "V/d", "loss", "rest longer and record the voltage of every cell"
        ),
        "total_capacity_ah": Known(
            "Ah",
            "capacity",
            "rest for hours before and after a charge or discharge of most of the "
            "capacity, with a calibrated current sensor",
            "rests around a load, and a model of the cell (--model)",
        ),
        "resistance_growth": Known(
            "1", "resistance", _PULSE_TEST, "the resistance of this unit when new"
        ),
        "voltage_drop_1c": Known(
            "1",
            "resistance",
            _PULSE_TEST,
            f"{_PULSE}, and the rated capacity and voltage (nominal_ah with "
            "nominal_wh, or with chemistry and cells_in_series, in units.toml)",
        ),
        "cell_spread_resting_max_v": Known(
            "V", "spread", "rest for 30 min and read every cell with a calibrated meter"
        ),
    }
)
"""Quantities of rules. ``resistance_growth`` is R/R_new - 1; ``voltage_drop_1c`` is
made by :func:`derived`."""

_DCIR = re.compile(r"dcir_\d+(p\d+|\.\d+)?s_ohm")


def known(quantity: str) -> Known | None:
    """Return what is known of a quantity, None if no rule may name it."""
    if _DCIR.fullmatch(quantity):
        return Known("ohm", "resistance", _PULSE_TEST, _PULSE)
    return QUANTITIES.get(quantity)


def limits_of(quantity: str) -> tuple[float, float]:
    """Return the least and the largest threshold a quantity can have, in its unit.

    A fraction given in percent is the mistake this catches: 80 for 0.80.
    """
    entry = known(quantity)
    if quantity == "resistance_growth":
        return -1.0, 20.0
    if entry is not None and entry.unit == "1":
        return 0.0, 1.5
    if entry is not None and entry.unit in ("V/d", "V", "ohm"):
        return 0.0, 100.0
    return -1e6, 1e6


NOMINAL_CELL_V: Final[Mapping[str, float]] = MappingProxyType(
    {"LCO": 3.7, "NMC": 3.6, "NCA": 3.6, "LMO": 3.7, "LFP": 3.2, "LTO": 2.3}
)
"""Rated voltage of one cell in V, as cell makers' data sheets commonly state it; used
only where the unit's own rated energy is not known."""


def nominal_voltage_v(
    nominal_ah: float | None,
    nominal_wh: float | None,
    chemistry: str,
    cells_in_series: int | None,
) -> float | None:
    """Return the rated voltage of a unit in V, None if it cannot be told."""
    if nominal_ah and nominal_wh:
        return nominal_wh / nominal_ah
    # Of a blend the lowest: its drop is then the largest share.
    rated = [NOMINAL_CELL_V[part] for part in declared_chemistries(chemistry)]
    if not rated or not cells_in_series:
        return None
    return min(rated) * cells_in_series


def derived(
    evidence: Mapping[str, Evidence | None],
    nominal_ah: float | None,
    nominal_v: float | None,
) -> dict[str, Evidence | None]:
    """Return the evidence with ``voltage_drop_1c`` added where it can be made.

    The drop over the 10 s resistance at the rated 1C current, as a fraction of the
    rated voltage: R * C / V. It compares resistances of units of any size without a
    record of the new unit's resistance, which archives rarely hold.

    Parameters
    ----------
    evidence : by quantity; left unchanged
    nominal_ah : rated capacity in Ah
    nominal_v : rated voltage in V
    """
    found = dict(evidence)
    resistance = found.get("dcir_10s_ohm")
    if (
        found.get("voltage_drop_1c") is None
        and resistance is not None
        and nominal_ah
        and nominal_v
    ):
        factor = nominal_ah / nominal_v
        found["voltage_drop_1c"] = Evidence(
            quantity="voltage_drop_1c",
            low=resistance.low * factor,
            high=resistance.high * factor,
            value=resistance.value * factor,
            unit="1",
            source="dcir_10s_ohm at the rated 1C current over the rated voltage",
            temperature_degc=resistance.temperature_degc,
        )
    return found
