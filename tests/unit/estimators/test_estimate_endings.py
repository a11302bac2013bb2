"""A discharge that was broken off is not taken for a whole one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulated_cells import PACK, cycle, trace_of

from battlife.estimators.capacity import DischargeCapacity
from battlife.estimators.dcir import PulseResistance
from battlife.estimators.soh import doubtful, state_of_health
from battlife.model import STEP_KINDS, Estimate, Pack, StepTable, Trace
from battlife.readers import read

DEMO = Path(__file__).parents[3] / "datasets" / "demo"
LEAF = DEMO / "leaf_ornl" / "1C-Discharge-Bitrode-data.csv"
FIRST, LENGTH, REST = 346, 119, 60
"""Rows of the first discharge, its length, and the rows of rest put after a cut."""


def leaf(folder, kept):
    """Return the estimates of the Leaf log cut after `kept` rows of a discharge."""
    rows = LEAF.read_text("utf-8").splitlines()
    cut, clock = FIRST + kept, float(rows[FIRST + kept - 1].split(",")[1])
    rest = []
    for k in range(REST):
        cells = rows[FIRST + LENGTH + k].split(",")
        cells[10:13] = rows[cut - 1].split(",")[10:13]
        cells[1] = f"{clock + 60.0 * (k + 1):.1f}"
        rest.append(",".join(cells))
    path = folder / "cut.csv"
    path.write_text("\n".join([*rows[:cut], *rest]) + "\n", "utf-8")
    (trace,) = read(path)
    pack = Pack("leaf", nominal_ah=33.1, nominal_source="command line")
    return DischargeCapacity().estimate(trace, pack), pack


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.95])
def test_a_discharge_broken_off_has_no_capacity_and_no_soh(tmp_path, share):
    (estimate,), pack = leaf(tmp_path, int(share * LENGTH))
    assert estimate.status == "refused"
    assert {"partial_discharge", "cutoff_not_stated"} <= set(estimate.reasons)
    by_charge, _ = state_of_health([estimate], pack)
    assert by_charge.status == "refused"
    assert "partial_discharge" in by_charge.reasons


def test_the_same_discharge_kept_whole_is_accepted(tmp_path):
    (estimate,), _ = leaf(tmp_path, LENGTH)
    assert estimate.status == "ok"
    assert estimate.measurements["discharge_capacity_ah"].value == pytest.approx(
        30.34, abs=0.02
    )


def test_a_stated_cutoff_needs_no_other_sign():
    trace = trace_of(cycle(hours=0.5))
    (refused,) = DischargeCapacity().estimate(trace, Pack("cell"))
    assert "partial_discharge" in refused.reasons
    (accepted,) = DischargeCapacity(cutoff_v=3.55).estimate(trace, Pack("cell"))
    assert accepted.status == "ok"


def test_two_discharges_of_a_step_table_to_one_voltage_were_ended_by_a_program():
    kinds = [STEP_KINDS.index(k) for k in ("charge", "discharge") * 2]
    for second, status in ((3.6, "ok"), (3.5, "refused")):
        columns = {
            "end_voltage_v": [4.2, 3.6, 4.2, second],
            "max_voltage_v": [4.2, 4.15, 4.2, 4.15],
            "start_voltage_v": [3.6, 4.15, 3.6, 4.15],
            "start_current_a": [1.0, -1.0, 1.0, -1.0],
            "end_current_a": [1.0, -1.0, 1.0, -1.0],
            "duration_s": [3600.0] * 4,
            "charge_capacity_ah": [1.0, 0.0, 1.0, 0.0],
            "discharge_capacity_ah": [0.0, 1.0, 0.0, 1.0],
        }
        trace = Trace("u", None, [], [0], {}, StepTable(kinds, columns))
        last = DischargeCapacity().estimate(trace, PACK)[-1]
        assert last.status == status
        assert ("partial_discharge" in last.reasons) == (status == "refused")


def test_neither_end_known_is_no_state_of_health():
    def capacity(*reasons):
        return Estimate("u", "capacity", "2", reasons=reasons)

    assert doubtful(capacity("cutoff_not_stated", "start_not_seen"))
    assert doubtful(capacity("cutoff_not_stated", "charge_not_seen"))
    assert not doubtful(capacity("cutoff_not_stated"))
    assert not doubtful(capacity("charge_not_seen"))


def counted(scale, name="discharge_capacity_ah"):
    """Return a simulated cycle with a counter beside it, and its current scaled."""
    current = cycle()
    given = np.cumsum(np.maximum(-current, 0.0)) * 10.0 / 3600
    plain = trace_of(current)
    columns = {**plain.columns, name: given, "current_a": current * scale}
    return replace(plain, columns=columns)


@pytest.mark.parametrize("scale", [1.1, 0.5])
@pytest.mark.parametrize("name", ["discharge_capacity_ah", "step_capacity_ah"])
def test_a_counter_that_parts_from_the_current_bars_a_state_of_health(scale, name):
    (estimate,) = DischargeCapacity(cutoff_v=2.6).estimate(counted(scale, name), PACK)
    assert "counter_disagrees" in estimate.reasons
    by_charge, _ = state_of_health([estimate], PACK)
    assert by_charge.reasons == ("no_complete_discharge", "counter_disagrees")


def test_a_counter_that_agrees_or_restarts_bars_nothing():
    trace = counted(1.0)
    column = trace.column("discharge_capacity_ah").copy()
    column[600:] -= column[599]  # the tester began a new step here
    for counter in (trace.column("discharge_capacity_ah"), column):
        columns = {**trace.columns, "discharge_capacity_ah": counter}
        found = DischargeCapacity(cutoff_v=2.6).estimate(
            replace(trace, columns=columns), PACK
        )
        assert found[0].reasons == ()


def test_a_declared_temperature_stands_in_for_a_sensor_and_never_against_one():
    pack = replace(PACK, test_degc=4.0)
    for degc, expected in ((None, 4.0), (25.0, None)):
        (found,) = DischargeCapacity(cutoff_v=2.6).estimate(
            trace_of(cycle(), degc=degc), pack
        )
        assert found.conditions["ambient_temperature_degc"] == expected
        away = "not_at_reference_temperature" in found.reasons
        assert away == (degc is None)


def test_a_declared_temperature_is_that_of_a_resistance_too():
    pack = replace(PACK, test_degc=4.0)
    for degc, expected in ((None, 4.0), (25.0, None)):
        trace = trace_of(cycle(dt_s=1.0), dt_s=1.0, degc=degc)
        found = PulseResistance(times_s=(10.0,)).estimate(trace, pack)
        assert {e.conditions["ambient_temperature_degc"] for e in found} == {expected}
