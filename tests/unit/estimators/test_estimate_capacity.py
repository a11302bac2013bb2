"""Capacity of a simulated cell whose charge is known."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_cells import PACK, cycle, ocv, trace_of

from battlife.errors import EstimateError, InputError
from battlife.estimators import ESTIMATORS, build, options_of
from battlife.estimators.capacity import DischargeCapacity
from battlife.model import (
    STEP_KINDS,
    Notice,
    Pack,
    Provenance,
    Severity,
    StepTable,
    Trace,
)

CUTOFF = 2.6


def one(trace, pack=PACK, **options):
    (estimate,) = DischargeCapacity(cutoff_v=CUTOFF, **options).estimate(trace, pack)
    return estimate


def value(estimate, name="discharge_capacity_ah"):
    return estimate.measurements[name].value


def test_the_charge_to_the_cutoff_by_hand():
    trace = trace_of(cycle())
    estimate = one(trace)
    assert estimate.status == "ok"
    assert estimate.reasons == ()
    voltage = trace.column("voltage_v")
    first = int(np.flatnonzero(trace.column("current_a") < 0)[0])
    below = next(k for k in range(first, trace.n_samples) if voltage[k] <= CUTOFF)
    assert (estimate.start_sample, estimate.stop_sample) == (first, below + 1)
    assert value(estimate) == pytest.approx(2.0 * (below - first) * 10 / 3600)
    conditions = estimate.conditions
    assert conditions["cutoff_v"] == CUTOFF
    assert conditions["load"] == "constant"
    assert conditions["c_rate"] == pytest.approx(1.0)
    assert conditions["ambient_temperature_degc"] is None
    assert conditions["start_temperature_degc"] == 25.0
    assert conditions["start_voltage_v"] == pytest.approx(float(ocv(1.0)), abs=0.01)
    assert conditions["calibration"] == "rig 1, 2026-01"


def test_the_edge_counts_only_when_asked():
    trace = trace_of(cycle())
    plain, edge = one(trace), one(trace, edges="include")
    assert value(edge) - value(plain) == pytest.approx(0.5 * 2.0 * 10 / 3600)
    assert edge.start_sample == plain.start_sample - 1
    assert "last sample before load" in edge.conditions["rule"]


def test_charge_before_and_efficiency():
    trace = trace_of(np.concatenate([cycle(), cycle()]))
    _, second = DischargeCapacity(cutoff_v=CUTOFF).estimate(trace, PACK)
    charged = value(second, "charge_capacity_ah")
    # 360 samples of 2 A at 10 s, a ramp of 10 s on either side.
    assert charged == pytest.approx(2.0, rel=1e-12)
    assert value(second, "coulombic_efficiency") == pytest.approx(359 / 360)
    assert value(second, "charge_energy_wh") > value(second, "discharge_energy_wh")


def test_pulses_do_not_split_a_discharge_and_regeneration_counts_back():
    # Two minutes of charge in the middle of the discharge.
    current = np.insert(cycle(), 500, np.ones(12))
    estimate = one(trace_of(current))
    plain = one(trace_of(cycle()))
    assert estimate.status == "ok"
    assert estimate.conditions["load"] == "mixed"
    # The cell reaches the same charge, later.
    assert value(estimate) == pytest.approx(value(plain), abs=2 * 2.0 * 10 / 3600)


def test_a_square_wave_is_one_pulsed_discharge():
    load = np.where(np.arange(720) % 2 == 0, -2.0, 0.0)
    current = np.concatenate([np.zeros(9), np.full(360, 2.0), np.zeros(9), load])
    estimate = one(trace_of(np.concatenate([current, np.zeros(9)])))
    assert estimate.conditions["load"] == "pulsed"
    assert estimate.conditions["c_rate"] == pytest.approx(0.5, rel=0.01)
    assert estimate.status == "ok"


@pytest.mark.parametrize(
    ("trace", "code"),
    [
        (trace_of(cycle()[:500]), "fragment"),  # ends under load
        (trace_of(cycle(hours=0.5)), "cutoff_not_reached"),  # stopped half-way
        (trace_of(np.concatenate([cycle(), cycle()])[500:], soc=0.78), "fragment"),
    ],
    ids=["file ends", "crashed", "file starts"],
)
def test_what_is_not_a_whole_discharge_is_refused(trace, code):
    estimates = DischargeCapacity(cutoff_v=CUTOFF).estimate(trace, PACK)
    assert estimates[0].status == "refused"
    assert code in estimates[0].reasons
    assert not estimates[0].measurements


def test_a_discharge_from_half_full_is_refused():
    half = np.concatenate(
        [np.zeros(30), np.full(360, 2.0), np.zeros(30), np.full(100, -2.0)]
    )
    rest = np.concatenate([np.zeros(60), np.full(90, 0.5), np.zeros(60)])
    current = np.concatenate([half, rest, np.full(300, -2.0), np.zeros(30)])
    estimates = DischargeCapacity(cutoff_v=CUTOFF).estimate(trace_of(current), PACK)
    assert estimates[-1].status == "refused"
    assert "not_from_full" in estimates[-1].reasons


def test_missing_current_within_the_discharge_is_refused():
    trace = trace_of(cycle())
    current = trace.column("current_a").copy()
    current[500] = np.nan
    broken = replace(trace, columns={**trace.columns, "current_a": current})
    estimate = one(broken)
    assert estimate.reasons[0] == "current_missing"


def test_a_load_that_collapses_at_once_is_no_capacity():
    trace = trace_of(cycle())
    voltage = trace.column("voltage_v").copy()
    voltage[trace.column("current_a") < 0] = 1.0
    estimate = one(replace(trace, columns={**trace.columns, "voltage_v": voltage}))
    assert {"cutoff_at_load_on", "implausibly_small"} <= set(estimate.reasons)


def test_a_suspect_source_refuses_every_part():
    notice = Notice("scale", "current was doubled", Severity.SUSPECT)
    trace = trace_of(cycle(), provenance=Provenance(notices=(notice,)))
    assert one(trace).reasons[0] == "suspect_source"


def test_wrong_sign_is_refused():
    trace = trace_of(np.concatenate([cycle(), cycle()]))
    flipped = {**trace.columns, "current_a": -trace.column("current_a")}
    estimates = DischargeCapacity(cutoff_v=CUTOFF).estimate(
        replace(trace, columns=flipped), PACK
    )
    assert all(e.status == "refused" for e in estimates)
    assert "voltage_rises_in_discharge" in estimates[0].reasons


@pytest.mark.parametrize("missing", ["current_a", "voltage_v"])
def test_no_current_or_voltage_raises(missing):
    trace = trace_of(cycle())
    columns = {k: v for k, v in trace.columns.items() if k != missing}
    with pytest.raises(EstimateError) as caught:
        one(replace(trace, columns=columns))
    assert caught.value.reasons == (f"{missing.split('_')[0]}_missing",)


def test_no_discharge_raises():
    with pytest.raises(EstimateError) as caught:
        one(trace_of(cycle()[:390]))
    assert caught.value.reasons == ("no_discharge",)


def test_without_a_cutoff_the_usual_end_is_taken():
    half_charge = np.delete(cycle(), np.arange(100, 280))
    parts = [cycle(), cycle(), cycle(hours=0.5), half_charge]
    trace = trace_of(np.concatenate(parts))
    estimates = DischargeCapacity().estimate(trace, Pack("cell"))
    assert [e.status for e in estimates] == ["ok", "ok", "refused", "ok"]
    assert estimates[0].conditions["cutoff_source"] == "lowest voltage, as programmed"
    assert value(estimates[0]) == pytest.approx(2.0 * 359 / 360)
    assert {"uncertainty_unknown", "cutoff_not_stated"} <= set(estimates[0].reasons)
    assert estimates[0].measurements["discharge_capacity_ah"].uncertainty is None


@pytest.mark.parametrize(("degc", "code"), [(4.0, "not_at_"), (None, "temperature_un")])
def test_temperature_is_remarked_on(degc, code):
    estimate = one(trace_of(cycle(), degc=degc))
    assert estimate.status == "ok"
    assert any(r.startswith(code) for r in estimate.reasons)


def operations(*parts):
    """Return a trace with one segment per operation: (kind, current or None)."""
    time, current, starts, segment, kind = [], [], [], [], []
    for name, values in parts:
        kind.append(STEP_KINDS.index(name))
        if values is None:
            segment.append(np.nan)
            continue
        segment.append(len(starts))
        starts.append(sum(len(c) for c in current))
        current.append(np.asarray(values, float))
        time.append(np.arange(len(values)) * 10.0)
    i = np.concatenate(current)
    whole = trace_of(i)
    return Trace(
        "cell",
        None,
        np.concatenate(time),
        starts,
        whole.columns,
        StepTable(kind, {"segment": segment}),
    )


def test_operations_are_discharges_empty_ones_included():
    zero = np.zeros(3)
    load = np.concatenate([zero, np.full(360, -2.0), zero])
    trace = operations(
        ("charge", np.full(360, 2.0)),
        ("discharge", load),
        ("impedance", None),
        ("discharge", None),
        ("discharge", zero),
    )
    first, second, third = DischargeCapacity(cutoff_v=CUTOFF).estimate(trace, PACK)
    assert [e.cycle for e in (first, second, third)] == [0, 1, 2]
    assert first.status == "ok"
    # The operation begins before its load: all of its samples belong to it.
    assert first.start_sample == 360
    assert second.reasons == ("no_samples",)
    assert third.reasons == ("empty",)


def nebula(**changes):
    """Return a source of steps without samples, as of a Nebula tester."""
    columns = {
        "duration_s": [30, 2655, 900, 2178.5, 900],
        "start_voltage_v": [3.8506, 3.9482, 4.1947, 4.0598, 2.1528],
        "end_voltage_v": [3.8506, 4.1999, 4.1634, 1.9997, 2.7372],
        "max_voltage_v": [3.8506, 4.2, 4.1947, 4.0598, 2.7372],
        "start_current_a": [0, 9.986, 0, -9.9876, 0],
        "end_current_a": [0, 0.4986, 0, -10.0, 0],
        "charge_capacity_ah": [0, 1.6488, 0, 0, 0],
        "discharge_capacity_ah": [0, 0, 0, 6.0513, 0],
        "discharge_energy_wh": [0, 0, 0, 19.8057, 0],
    }
    columns |= changes
    kinds = [STEP_KINDS.index(k) for k in ("rest", "charge", "rest", "discharge")]
    return Trace("nebula", None, [], [0], {}, StepTable([*kinds, 0], columns))


def test_a_testers_counter_is_taken_where_there_are_no_samples():
    (estimate,) = DischargeCapacity(cutoff_v=2.0).estimate(nebula(), PACK)
    assert estimate.status == "ok"
    assert value(estimate) == 6.0513
    assert estimate.conditions["rule"].startswith("tester's counter")
    assert estimate.conditions["current_times_duration_ah"] == pytest.approx(
        9.9938 * 2178.5 / 3600
    )
    assert estimate.measurements["discharge_capacity_ah"].uncertainty > 0


def test_a_counter_that_contradicts_its_current_is_refused():
    doubled = nebula(discharge_capacity_ah=[0, 0, 0, 12.1, 0])
    (estimate,) = DischargeCapacity(cutoff_v=2.0).estimate(doubled, PACK)
    assert estimate.reasons == ("counter_contradicts_current",)


def test_options_from_text():
    assert build("capacity", {"cutoff_v": "2.7"}) == DischargeCapacity(cutoff_v=2.7)
    assert build("capacity", {"cutoff_v": "none"}) == DischargeCapacity()
    assert build("dcir", {"times_s": "1,10"}).times_s == (1.0, 10.0)
    assert options_of("capacity") == ("cutoff_v", "edges")
    for name, settings, hint in (
        ("nonsense", {}, "capacity"),
        ("capacity", {"cutof_v": "2.7"}, "cutoff_v, edges"),
        ("capacity", {"cutoff_v": "2,7"}, "decimal point"),
        ("capacity", {"cutoff_v": "nan"}, "decimal point"),
    ):
        with pytest.raises(InputError) as caught:
            build(name, settings)
        assert hint in caught.value.hint
    for settings in ({"cutoff_v": "-1"}, {"edges": "maybe"}):
        with pytest.raises(InputError):
            build("capacity", settings)
    with pytest.raises(InputError):
        build("dcir", {"times_s": "-1"})


def test_the_list_of_methods_loads_no_heavy_library():
    import subprocess
    import sys

    code = (
        "import sys, battlife.estimators;"
        "print([m for m in ('numba', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert {"capacity", "dcir"} <= set(ESTIMATORS)


def test_a_wrong_rating_hides_no_discharge():
    absurd = replace(PACK, nominal_ah=500.0)
    assert "implausibly_small" in one(trace_of(cycle()), absurd).reasons
