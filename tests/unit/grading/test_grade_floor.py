"""The hold floor: computed from hand-made traces, and what it stops."""

from typing import Any

import numpy as np
import pytest

from battlife.grading import Evidence, HoldLimit, grade, hold_evidence, load_policy
from battlife.grading.chemistry import CellLimits, cell_limits
from battlife.grading.floor import check_floor
from battlife.model import (
    Module,
    Notice,
    Outcome,
    Pack,
    Provenance,
    Route,
    StepTable,
    Trace,
)
from battlife.model.pack import Cell

NMC = Pack("U1", chemistry="NMC", nominal_ah=2.0, cells_in_series=1)


def trace(
    time_s: object, provenance: Provenance | None = None, **columns: object
) -> Trace:
    return Trace(
        "U1",
        None,
        np.asarray(time_s, dtype=float),
        np.array([0]),
        {k: np.asarray(v, dtype=float) for k, v in columns.items()},
        provenance=provenance or Provenance(),
    )


def value(found: Any, name: str) -> float | None:
    entry = found[name]
    return None if entry is None else entry.value


def test_a_discharge_to_two_volts_is_a_test_but_a_rest_there_is_a_hold() -> None:
    # 1 h at 2 A down to 1.9 V under load, then 20 min of rest that recovers, or not.
    time = [0, 1800, 3600, 3601, 3900, 4800]
    current = [-2, -2, -2, 0, 0, 0]
    warm = [24.0] * 6
    recovers = trace(
        time,
        current_a=current,
        voltage_v=[4.1, 3.6, 1.9, 2.8, 3.1, 3.2],
        temperature_degc=warm,
    )
    found = hold_evidence(recovers, NMC)
    assert value(found, "cell_voltage_resting_min_v") == 3.2
    assert value(found, "cell_voltage_max_v") == 4.1
    assert value(found, "cell_voltage_discharging_median_v") == 3.6
    assert not check_floor(found, NMC, {}).hits
    sunk = trace(
        time,
        current_a=current,
        voltage_v=[4.1, 3.6, 1.0, 1.5, 1.8, 1.9],
        temperature_degc=warm,
    )
    hits = check_floor(hold_evidence(sunk, NMC), NMC, {}).hits
    assert [h.quantity for h in hits] == ["cell_voltage_resting_min_v"]
    assert hits[0].outcome is Outcome.NOT_MET
    assert hits[0].route == "QUARANTINE"


def test_a_rest_is_short_until_ten_minutes_have_passed() -> None:
    short = trace(
        [0, 10, 300, 609], current_a=[-2, 0, 0, 0], voltage_v=[3.0, 1.0, 1.1, 1.2]
    )
    found = hold_evidence(short, NMC)
    assert found["cell_voltage_resting_min_v"] is None
    assert "resting_voltage" in check_floor(found, NMC, {}).missing


def test_a_rest_does_not_reach_across_segments() -> None:
    two = Trace(
        "U1",
        None,
        np.array([0.0, 400.0, 0.0, 400.0]),
        np.array([0, 2]),
        {"current_a": np.zeros(4), "voltage_v": np.full(4, 3.5)},
    )
    assert hold_evidence(two, NMC)["cell_voltage_resting_min_v"] is None


def test_overvoltage_counts_at_any_moment() -> None:
    over = trace([0, 1], current_a=[1, 1], voltage_v=[4.1, 4.31])
    hits = check_floor(hold_evidence(over, NMC), NMC, {}).hits
    assert [h.quantity for h in hits] == ["cell_voltage_max_v"]


@pytest.mark.parametrize(
    ("chemistry", "median", "expected"),
    [
        ("NMC", None, CellLimits(4.30, 2.0)),
        ("lfp", None, CellLimits(3.75, 2.0)),
        ("LMO/NMC", 3.7, CellLimits(4.30, 2.0)),
        ("LFP-NMC", 3.7, CellLimits(3.75, 2.0)),
        ("", None, CellLimits(2.90, 2.0)),
        ("", 2.3, CellLimits(2.90, 2.0)),
        ("", 3.2, CellLimits(3.75, 2.0)),
        ("", 3.7, CellLimits(4.30, 2.0)),
        ("unobtainium", 3.2, CellLimits(3.75, 2.0)),
    ],
)
def test_limits_are_the_strictest_that_can_apply(
    chemistry: str, median: float | None, expected: CellLimits
) -> None:
    assert cell_limits(chemistry, median) == expected


def test_one_dead_cell_in_a_stack_is_a_hold_even_under_load() -> None:
    pack = Pack("P1", chemistry="LFP", cells_in_series=3)
    dead = trace(
        [0, 1, 2],
        current_a=[5, 5, 5],
        cell_voltage_v=[[3.3] * 3, [0.0] * 3, [3.3] * 3],
    )
    hits = check_floor(hold_evidence(dead, pack), pack, {}).hits
    assert [h.quantity for h in hits] == ["cell_voltage_peak_min_v"]


def test_a_silent_cell_is_missing_not_zero() -> None:
    pack = Pack("P1", chemistry="NMC", cells_in_series=3)
    nan = np.nan
    silent = trace([0, 1], cell_voltage_v=[[3.6, 3.6], [nan, nan], [3.6, 3.6]])
    found = hold_evidence(silent, pack)
    assert value(found, "cell_count") == 2
    hits = check_floor(found, pack, {}).hits
    assert [h.quantity for h in hits] == ["cell_count"]


def test_the_number_of_cells_may_come_from_the_modules() -> None:
    pack = Pack("P1", chemistry="NMC", modules=(Module("m", (Cell(), Cell())),))
    one = trace([0], cell_voltage_v=[[3.6]])
    hits = check_floor(hold_evidence(one, pack), pack, {}).hits
    assert [h.quantity for h in hits] == ["cell_count"]


def test_a_stack_without_cell_columns_is_judged_by_its_mean_and_stays_open() -> None:
    pack = Pack("P1", chemistry="NMC", cells_in_series=10)
    high = trace([0], voltage_v=[43.5])
    result = check_floor(hold_evidence(high, pack), pack, {})
    assert [h.quantity for h in result.hits] == ["cell_voltage_max_v"]
    assert {"cell_count", "cell_spread", "fault_codes"} <= set(result.missing)
    unknown = Pack("P1", chemistry="NMC")
    assert hold_evidence(high, unknown)["cell_voltage_max_v"] is None


def test_spread_counts_at_rest_only() -> None:
    pack = Pack("P1", chemistry="NMC", nominal_ah=50.0, cells_in_series=2)
    cells = [[3.9, 3.9, 3.9], [3.0, 3.7, 3.7]]
    found = hold_evidence(
        trace([0, 1, 700], current_a=[-50, 0, 0], cell_voltage_v=cells), pack
    )
    assert value(found, "cell_spread_resting_max_v") == pytest.approx(0.2)


def test_heat_under_load_is_a_test_and_at_rest_a_hold() -> None:
    def hits(current_a: float, degc: float) -> list[str]:
        found = hold_evidence(
            trace(
                [0, 700],
                current_a=[current_a] * 2,
                voltage_v=[3.7, 3.7],
                temperature_degc=[degc] * 2,
            ),
            NMC,
        )
        return [h.quantity for h in check_floor(found, NMC, {}).hits]

    assert hits(-4.0, 69.9) == []
    assert hits(0.0, 65.0) == ["temperature_resting_max_degc"]
    assert hits(-4.0, 81.0) == ["temperature_max_degc"]


@pytest.mark.parametrize(
    ("ambient", "start_degc", "expected"),
    [
        (None, 30.0, 1.2),  # 12 K in 10 min at rest
        ([25.0, 31.0, 37.0], 30.0, 0.0),  # the room warmed as much
        (None, 5.0, 0.0),  # a cold cell that warms up to 17 degC
    ],
)
def test_self_heating_at_rest(
    ambient: list[float] | None, start_degc: float, expected: float
) -> None:
    columns: dict[str, object] = {
        "current_a": [0, 0, 0],
        "voltage_v": [3.7] * 3,
        "temperature_degc": [start_degc, start_degc + 6, start_degc + 12],
    }
    if ambient is not None:
        columns["ambient_temperature_degc"] = ambient
    found = hold_evidence(trace([0, 300, 600], **columns), NMC)
    rate = value(found, "temperature_resting_rate_k_per_min")
    assert rate == pytest.approx(expected)


def test_declared_damage_and_critical_faults_are_holds() -> None:
    good = {"soh_capacity": Evidence("soh_capacity", 0.9, 0.9, 0.9, "1", "m", 25.0)}
    crashed = Pack("U1", chemistry="NMC", damage=("swollen",))
    assert grade(load_policy(), "U1", good, crashed).route is Route.QUARANTINE
    fault = Notice("critical_fault_code", "P0AA6 isolation fault")
    assert grade(load_policy(), "U1", good, NMC, (fault,)).route is Route.QUARANTINE
    found = hold_evidence(trace([0], Provenance(notices=(fault,))), NMC)
    assert value(found, "critical_fault_count") == 1


def test_a_step_table_without_samples_is_judged_by_its_steps() -> None:
    steps = StepTable(
        np.array([1, 0, 2, 0]),
        {
            "duration_s": np.array([3600.0, 1800.0, 3600.0, 1800.0]),
            "end_voltage_v": np.array([4.2, 4.15, 2.7, 1.9]),
            "max_voltage_v": np.array([4.2, 4.2, 4.15, 2.7]),
        },
    )
    table = Trace("U1", None, np.empty(0), np.array([0]), {}, steps)
    found = hold_evidence(table, NMC)
    assert value(found, "cell_voltage_max_v") == 4.2
    hits = check_floor(found, NMC, {}).hits
    assert [h.quantity for h in hits] == ["cell_voltage_resting_min_v"]


def test_an_empty_trace_is_no_evidence_of_safety() -> None:
    found = hold_evidence(trace([]), Pack("U1"))
    result = check_floor(found, Pack("U1"), {})
    assert not result.hits
    assert {"cell_voltage", "resting_voltage", "temperature"} <= set(result.missing)


def test_all_nan_columns_are_no_evidence_of_safety() -> None:
    nan = [np.nan] * 3
    found = hold_evidence(
        trace([0, 1, 2], voltage_v=nan, current_a=nan, temperature_degc=nan), NMC
    )
    for name in ("cell_voltage_max_v", "temperature_max_degc"):
        assert found[name] is None


def test_a_policy_limit_applies_where_it_is_stricter() -> None:
    found = {
        "cell_voltage_resting_min_v": Evidence(
            "cell_voltage_resting_min_v", 2.5, 2.5, 2.5, "V", "trace"
        )
    }
    porsche = {"cell_voltage_resting_min_v": HoldLimit(2.8, "Porsche")}
    hits = check_floor(found, NMC, porsche).hits
    assert hits[0].limit == 2.8
    weak = {"cell_voltage_resting_min_v": HoldLimit(1.6, "weaker than NMC's")}
    assert not check_floor(found, NMC, weak).hits
