"""What may happen to a recorded discharge: NASA B0045, altered one way at a time.

The cell is real and shipped; its owner's own figure comes along in the file, so each
alteration has a known answer: the same figure, or a refusal.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from battlife.estimators import build
from battlife.estimators.soh import state_of_health
from battlife.model import STEP_KINDS, Pack, Provenance, StepTable, Trace
from battlife.readers import read
from support import DATASETS

CUTOFF_V = 2.7
PACK = Pack("B0045", nominal_ah=2.0, reference_degc=4.0)
SAMPLED = ("current_a", "voltage_v", "temperature_degc")
CHOSEN = 8
"""Discharge that is altered, with seven sound ones before and after it."""


@dataclass(frozen=True)
class Operation:
    """One charge or discharge of the file: samples, and the owner's capacity."""

    kind: str
    time_s: np.ndarray
    columns: dict[str, np.ndarray]
    capacity_ah: float


@pytest.fixture(scope="module")
def operations() -> list[Operation]:
    (trace,) = read(DATASETS / "demo" / "nasa" / "B0045.mat")
    steps, found, discharges = trace.steps, [], 0
    slices = trace.segments()
    for row in range(len(steps)):
        kind = STEP_KINDS[int(steps.kind[row])]
        segment = steps.column("segment")[row]
        if kind not in ("charge", "discharge") or not np.isfinite(segment):
            continue
        part = slices[int(segment)]
        columns = {q: trace.column(q)[part] for q in SAMPLED}
        capacity_ah = steps.column("discharge_capacity_ah")[row]
        found.append(Operation(kind, trace.time_s[part], columns, float(capacity_ah)))
        discharges += kind == "discharge"
        if discharges > CHOSEN + 7:
            break
    return found


def position(operations, discharge=CHOSEN):
    places = [k for k, o in enumerate(operations) if o.kind == "discharge"]
    return places[discharge]


def joined(operations, *, stated=True) -> Trace:
    sizes = [o.time_s.size for o in operations]
    starts = np.cumsum([0, *sizes[:-1]])[np.array(sizes) > 0]
    segment = np.where(
        np.array(sizes) > 0, np.cumsum(np.array(sizes) > 0) - 1.0, np.nan
    )
    columns = {"segment": segment, "ambient_temperature_degc": np.full(len(sizes), 4.0)}
    if stated:
        columns["discharge_capacity_ah"] = np.array([o.capacity_ah for o in operations])
    kinds = np.array([STEP_KINDS.index(o.kind) for o in operations])
    return Trace(
        "B0045",
        None,
        np.concatenate([o.time_s for o in operations]),
        starts,
        {q: np.concatenate([o.columns[q] for o in operations]) for q in SAMPLED},
        steps=StepTable(kinds, columns),
        provenance=Provenance(header={"vendor.capacity_cutoff_v": "2.7"}),
    )


def measured(operations, discharge=CHOSEN, *, stated=True, cutoff=CUTOFF_V):
    method = build("capacity", {"cutoff_v": str(cutoff)})
    estimates = method.estimate(joined(operations, stated=stated), PACK)
    assert [e.cycle for e in estimates] == list(range(len(estimates)))
    others = [e for e in estimates if e.cycle != discharge]
    assert {e.status for e in others} == {"ok"}, "a neighbour suffered"
    return estimates[discharge]


def capacity(estimate):
    return estimate.measurements["discharge_capacity_ah"].value


def altered(operations, change, capacity_ah=None, discharge=CHOSEN):
    """Return the operations with `change(time, columns)` done to one discharge."""
    at = position(operations, discharge)
    old = operations[at]
    time, columns = change(
        old.time_s.copy(), {q: c.copy() for q, c in old.columns.items()}
    )
    new = replace(
        old,
        time_s=time,
        columns=columns,
        capacity_ah=old.capacity_ah if capacity_ah is None else capacity_ah,
    )
    return [*operations[:at], new, *operations[at + 1 :]]


def keep(mask_of):
    def change(time, columns):
        mask = mask_of(time, columns)
        return time[mask], {q: c[mask] for q, c in columns.items()}

    return change


def reached(columns):
    return int(np.flatnonzero(columns["voltage_v"] < CUTOFF_V)[0])


def test_each_discharge_alone_and_first(operations):
    for discharge in (0, CHOSEN):
        at = position(operations, discharge)
        alone = [operations[at], *operations[at + 1 : at + 3]]
        estimate = measured(alone, 0)
        assert estimate.status == "ok"
        assert "charge_not_seen" in estimate.reasons
        assert capacity(estimate) == pytest.approx(operations[at].capacity_ah, rel=2e-4)


def test_a_discharge_that_stops_at_the_cutoff(operations):
    """Cells that stop at 2.7 V end with the load still on or with a recovery."""
    at = position(operations)
    label = operations[at].capacity_ah
    no_more = keep(lambda t, c: np.arange(t.size) <= reached(c))
    estimate = measured(altered(operations, no_more))
    assert estimate.status == "ok"
    assert capacity(estimate) == pytest.approx(label, rel=2e-4)

    def recovered(time, columns):
        stop = reached(columns)
        columns["current_a"][stop + 1 :] = -0.002
        columns["voltage_v"][stop + 1 :] = 3.2
        return time, columns

    estimate = measured(altered(operations, recovered))
    assert estimate.status == "ok"
    assert "voltage_recovers_above_cutoff" not in estimate.reasons
    assert capacity(estimate) == pytest.approx(label, rel=2e-4)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("stated", [0.0, np.nan, None])
def test_a_crashed_run_is_refused(operations, share, stated):
    def cut(time, columns):
        stop = max(3, int(share * reached(columns)))
        return time[:stop], {q: c[:stop] for q, c in columns.items()}

    changed = altered(operations, cut, 0.0 if stated is None else stated)
    estimate = measured(changed, stated=stated is not None)
    assert estimate.status == "refused"
    assert "cutoff_not_reached" in estimate.reasons
    assert not estimate.measurements


def test_runs_without_a_discharge_are_refused(operations):
    def unloaded(time, columns):
        columns["current_a"][:] = -0.001
        columns["voltage_v"][:] = 4.19
        return time, columns

    def one_sample(time, columns):
        return time[2:3], {q: c[2:3] for q, c in columns.items()}

    def nothing(time, columns):
        return time[:0], {q: c[:0] for q, c in columns.items()}

    for change, code in (
        (unloaded, "empty"),
        (one_sample, "empty"),
        (nothing, "no_samples"),
    ):
        estimate = measured(altered(operations, change, 0.0))
        assert (estimate.status, estimate.reasons[0]) == ("refused", code)


def test_a_cell_that_is_low_before_the_load_is_refused(operations):
    def low(time, columns):
        columns["voltage_v"] -= 1.8
        return time, columns

    estimate = measured(altered(operations, low, 0.0))
    assert estimate.status == "refused"
    assert {"starts_below_cutoff", "no_capacity_in_source"} <= set(estimate.reasons)
    assert measured(altered(operations, low), stated=False).status == "refused"


def test_the_owner_says_that_a_run_gave_nothing(operations):
    """A run its owner gives no capacity is no discharge, whatever its samples say."""
    estimate = measured(altered(operations, lambda t, c: (t, c), np.nan))
    assert estimate.status == "refused"
    assert "no_capacity_in_source" in estimate.reasons


def test_a_scaled_discharge_contradicts_its_owner(operations):
    def scaled(time, columns):
        columns["current_a"] *= 1.02
        return time, columns

    estimate = measured(altered(operations, scaled))
    assert estimate.status == "refused"
    assert "counter_contradicts_current" in estimate.reasons


def test_a_glitch_ends_the_count_but_not_silently(operations):
    """The rule is the FIRST sample at the cut-off; that it was wild is said."""
    at = position(operations)
    middle = reached(operations[at].columns) // 2
    time, current = operations[at].time_s, operations[at].columns["current_a"]
    label = -np.trapezoid(current[: middle + 1], time[: middle + 1]) / 3600

    def glitch(time, columns):
        columns["voltage_v"][middle] = 0.0
        return time, columns

    changed = altered(operations, glitch, label)
    estimate = measured(changed)
    assert estimate.status == "ok"
    assert capacity(estimate) == pytest.approx(label, rel=2e-4)
    assert "voltage_recovers_above_cutoff" in estimate.reasons
    # With the whole figure stated, the two contradict each other.
    assert measured(altered(operations, glitch)).status == "refused"
    # Nothing is concluded of the cell's health from it.
    estimates = build("capacity", {"cutoff_v": "2.7"}).estimate(
        joined(changed[: position(changed) + 1]), PACK
    )
    soh = state_of_health(estimates, PACK)[0]
    assert soh.conditions["discharge"] == CHOSEN - 1


def test_a_cold_cell_that_dips_as_the_load_comes_on(operations):
    at = position(operations)
    on = int(np.flatnonzero(operations[at].columns["current_a"] < -0.5)[0])
    time, current = operations[at].time_s, operations[at].columns["current_a"]
    label = -np.trapezoid(current[: on + 1], time[: on + 1]) / 3600

    def dip(time, columns):
        columns["voltage_v"][on] = 2.5
        return time, columns

    estimate = measured(altered(operations, dip, label))
    assert estimate.status == "ok"
    assert {"cutoff_at_load_on", "voltage_recovers_above_cutoff"} <= set(
        estimate.reasons
    )
    assert capacity(estimate) == pytest.approx(label, rel=1e-9)
    # Where nobody says what the run gave, it is no capacity.
    assert measured(altered(operations, dip), stated=False).status == "refused"


def test_a_second_discharge_without_a_charge_between(operations):
    """It gave what it gave; it did not begin from full, and no SOH comes of it."""
    at = position(operations)
    rest = operations[at]
    begin = reached(rest.columns) // 2
    part = {q: np.r_[rest.columns[q][:2], c[begin:]] for q, c in rest.columns.items()}
    part["voltage_v"][:2] = 3.6
    time = np.r_[
        rest.time_s[:2], rest.time_s[begin:] - rest.time_s[begin - 2] + rest.time_s[0]
    ]
    stop = reached(part)
    label = -np.trapezoid(part["current_a"][: stop + 1], time[: stop + 1]) / 3600
    again = Operation("discharge", time + 1e5, part, label)
    later = [replace(o, time_s=o.time_s + 2e5) for o in operations[at + 1 :]]
    changed = [*operations[: at + 1], again, *later]
    estimate = measured(changed, CHOSEN + 1)
    assert estimate.status == "ok"
    assert "not_from_full" in estimate.reasons
    assert capacity(estimate) == pytest.approx(label, rel=2e-4)
    estimates = build("capacity", {"cutoff_v": "2.7"}).estimate(
        joined(changed[: at + 2]), PACK
    )
    assert state_of_health(estimates, PACK)[0].conditions["discharge"] == CHOSEN


@pytest.mark.parametrize("every", [2, 3])
def test_dropped_samples_change_the_figure_by_little(operations, every):
    at = position(operations)
    stop = reached(operations[at].columns)

    def thinned(time, columns):
        mask = (np.arange(time.size) % every == 0) | (np.arange(time.size) >= stop - 1)
        mask[:3] = True
        return time[mask], {q: c[mask] for q, c in columns.items()}

    estimate = measured(altered(operations, thinned))
    assert estimate.status == "ok"
    assert capacity(estimate) == pytest.approx(operations[at].capacity_ah, rel=2e-3)


def test_an_aged_cell_far_below_its_rating_is_not_refused(operations):
    """A tenth of the rated capacity is a capacity, with the owner's word or without."""
    at = position(operations)
    label = operations[at].capacity_ah / 10
    assert label < 0.1 * PACK.nominal_ah

    def fast(time, columns):
        return time[0] + (time - time[0]) / 10, columns

    for stated in (True, False):
        estimate = measured(altered(operations, fast, label), stated=stated)
        assert estimate.status == "ok"
        assert "unlike_neighbours" in estimate.reasons
        assert capacity(estimate) == pytest.approx(label, rel=2e-4)


def test_a_programmed_end_is_not_met_by_a_wild_sample(operations):
    """Without a stated cut-off a crashed run stays one, whatever a sample says."""

    def crashed(time, columns):
        stop = reached(columns) // 2
        columns["voltage_v"][stop // 2] = 1.0
        return time[:stop], {q: c[:stop] for q, c in columns.items()}

    changed = altered(operations, crashed)
    estimates = build("capacity").estimate(joined(changed, stated=False), PACK)
    assert estimates[CHOSEN].status == "refused"
    assert "cutoff_not_reached" in estimates[CHOSEN].reasons
