"""The one table of quantity names: unit, BDF name, plausible range.

A Trace has no column whose name is not in this table. The plausible range is wide:
a value outside it is physically absurd for a cell, module or pack and is reported by
the readers, never changed.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Quantity:
    """One named quantity.

    Attributes
    ----------
    name : the only spelling used inside battlife; ends in its unit
    unit : unit of the values, "1" for counts and fractions
    bdf_name : machine-readable column name of the Battery Data Format, "" if none
    bdf_label : human-readable column label of the Battery Data Format, "" if none
    low, high : plausible range in `unit`
    per_cell : True if the shape is (n_cells, n), False if it is (n,)
    description : what it is, with its sign
    """

    name: str
    unit: str
    bdf_name: str
    bdf_label: str
    low: float
    high: float
    per_cell: bool
    description: str


def _table(*rows: Quantity) -> dict[str, Quantity]:
    return {row.name: row for row in rows}


# BDF names: Battery Data Format of the Battery Data Alliance, version of 2026.
QUANTITIES: Final[dict[str, Quantity]] = _table(
    Quantity(
        "time_s",
        "s",
        "test_time_second",
        "Test Time / s",
        0.0,
        1e10,
        False,
        "Time since the start of the trace.",
    ),
    Quantity(
        "unix_time_s",
        "s",
        "unix_time_second",
        "Unix Time / s",
        0.0,
        1e10,
        False,
        "Wall-clock time, seconds since 1970-01-01 UTC.",
    ),
    Quantity(
        "step_time_s",
        "s",
        "step_time_second",
        "Step Time / s",
        0.0,
        1e10,
        False,
        "Time since the tester began its present step.",
    ),
    Quantity(
        "voltage_v",
        "V",
        "voltage_volt",
        "Voltage / V",
        -10.0,
        2000.0,
        False,
        "Terminal voltage of the unit.",
    ),
    Quantity(
        "current_a",
        "A",
        "current_ampere",
        "Current / A",
        -1e4,
        1e4,
        False,
        "Current through the unit; positive charges it.",
    ),
    Quantity(
        "power_w",
        "W",
        "power_watt",
        "Power / W",
        -1e7,
        1e7,
        False,
        "Power into the unit; positive charges it.",
    ),
    Quantity(
        "temperature_degc",
        "degC",
        "surface_temperature_t1_celsius",
        "Surface Temperature T1 / degC",
        -60.0,
        300.0,
        False,
        "Temperature of the unit itself.",
    ),
    Quantity(
        "temperature_2_degc",
        "degC",
        "surface_temperature_t2_celsius",
        "Surface Temperature T2 / degC",
        -60.0,
        300.0,
        False,
        "Second temperature sensor on the unit.",
    ),
    Quantity(
        "temperature_3_degc",
        "degC",
        "surface_temperature_t3_celsius",
        "Surface Temperature T3 / degC",
        -60.0,
        300.0,
        False,
        "Third temperature sensor on the unit.",
    ),
    Quantity(
        "temperature_4_degc",
        "degC",
        "surface_temperature_t4_celsius",
        "Surface Temperature T4 / degC",
        -60.0,
        300.0,
        False,
        "Fourth temperature sensor on the unit.",
    ),
    Quantity(
        "ambient_temperature_degc",
        "degC",
        "ambient_temperature_celsius",
        "Ambient Temperature / degC",
        -60.0,
        300.0,
        False,
        "Temperature of the chamber or room.",
    ),
    Quantity("cell_voltage_v", "V", "", "", -10.0, 10.0, True, "Voltage of each cell."),
    Quantity(
        "cell_temperature_degc",
        "degC",
        "",
        "",
        -60.0,
        300.0,
        True,
        "Temperature at each cell or sensor of a pack.",
    ),
    Quantity(
        "cycle_index",
        "1",
        "cycle_count",
        "Cycle Count / 1",
        -1.0,
        1e7,
        False,
        "The tester's own cycle counter.",
    ),
    Quantity(
        "step_index",
        "1",
        "step_index",
        "Step Index / 1",
        -1.0,
        1e7,
        False,
        "The tester's own index of the programmed step.",
    ),
    Quantity(
        "step_count",
        "1",
        "step_count",
        "Step Count / 1",
        -1.0,
        1e9,
        False,
        "The tester's count of executed steps, increasing over the test.",
    ),
    Quantity(
        "charge_capacity_ah",
        "Ah",
        "charging_capacity_ah",
        "Charging Capacity / Ah",
        0.0,
        1e6,
        False,
        "The tester's own charge counter, unsigned, with its own resets.",
    ),
    Quantity(
        "discharge_capacity_ah",
        "Ah",
        "discharging_capacity_ah",
        "Discharging Capacity / Ah",
        0.0,
        1e6,
        False,
        "The tester's own discharge counter, unsigned, with its own resets.",
    ),
    Quantity(
        "step_capacity_ah",
        "Ah",
        "step_capacity_ah",
        "Step Capacity / Ah",
        0.0,
        1e6,
        False,
        "The tester's one counter for both directions, unsigned, with its own resets.",
    ),
    Quantity(
        "net_capacity_ah",
        "Ah",
        "net_capacity_ah",
        "Net Capacity / Ah",
        -1e6,
        1e6,
        False,
        "The tester's signed counter: charge minus discharge.",
    ),
    Quantity(
        "charge_energy_wh",
        "Wh",
        "charging_energy_wh",
        "Charging Energy / Wh",
        0.0,
        1e8,
        False,
        "The tester's own charge energy counter, unsigned.",
    ),
    Quantity(
        "discharge_energy_wh",
        "Wh",
        "discharging_energy_wh",
        "Discharging Energy / Wh",
        0.0,
        1e8,
        False,
        "The tester's own discharge energy counter, unsigned.",
    ),
    Quantity(
        "step_energy_wh",
        "Wh",
        "step_energy_wh",
        "Step Energy / Wh",
        0.0,
        1e8,
        False,
        "The tester's one energy counter for both directions, unsigned.",
    ),
    Quantity(
        "internal_resistance_ohm",
        "ohm",
        "internal_resistance_ohm",
        "Internal Resistance / ohm",
        -1e3,
        1e6,
        False,
        "Resistance as the tester reports it, by its own method.",
    ),
    Quantity(
        "pressure_pa",
        "Pa",
        "ambient_pressure_pa",
        "Ambient Pressure / Pa",
        -1e6,
        1e9,
        False,
        "Mechanical or ambient pressure.",
    ),
    Quantity(
        "load_voltage_v",
        "V",
        "",
        "",
        -100.0,
        2000.0,
        False,
        "Voltage at the charger or load rather than at the unit.",
    ),
    Quantity(
        "load_current_a",
        "A",
        "",
        "",
        -1e4,
        1e4,
        False,
        "Current at the charger or load, as the source gives it.",
    ),
)
