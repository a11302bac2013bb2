"""Every route reached from samples, through the estimators, as a log would reach it."""

from dataclasses import replace

import numpy as np
import pytest

from battlife.grading import load_policy
from battlife.model import (
    Notice,
    Outcome,
    Pack,
    Provenance,
    Route,
    Severity,
    Trace,
)
from battlife.pipeline.evaluate import evaluate

POLICY = load_policy()
RATED_AH = 2.0
PACK = Pack(
    "cell",
    chemistry="NMC",
    nominal_ah=RATED_AH,
    nominal_wh=7.2,
    nominal_source="units.toml",
    cells_in_series=1,
    cutoff_v=2.7,
    reference_degc=25.0,
    sensor={"current_a": 0.001, "voltage_v": 0.001, "current_relative": 0.001},
    calibration="rig 1",
)


def ocv(soc):
    """Return a rising open-circuit voltage in V: 3.0 empty, 4.15 full."""
    return 3.4 + 0.75 * np.clip(soc, 0, 1) - 0.4 * np.exp(-25 * np.clip(soc, 0, 1))


def log(
    soh=1.0, ohm=0.03, *, degc=25.0, notices=(), pulses=True, gain_v=1.0, load_a=1.0
) -> Trace:
    """Return a charge, a rest, pulses of 10 s where wanted, and a discharge.

    An ohmic cell of `soh` times the rated capacity. Where it is loaded or rests, the
    sample is 0.25 s; in the long steps 5 s.
    """
    time, current = [0.0], [0.0]

    def step(amperes, seconds, every):
        count = round(seconds / every)
        time.extend(time[-1] + every * np.arange(1, count + 1))
        current.extend([amperes] * count)

    capacity_s = 3600 * RATED_AH * soh
    step(0.0, 900, 5.0)
    # As a charger would: never above 4.2 V.
    charge_a = min(1.0, 0.05 / ohm)
    step(charge_a, capacity_s / charge_a, 5.0)
    step(0.0, 1200, 5.0)
    for _ in range(3 if pulses else 0):
        step(0.0, 60, 0.25)
        step(-2.0, 12, 0.25)
        step(0.0, 60, 0.25)
    step(0.0, 1200, 5.0)
    step(-load_a, 1.02 * capacity_s / load_a, 5.0)
    t, i = np.array(time), np.array(current)
    mean = np.r_[0.0, 0.5 * (i[1:] + i[:-1])]
    soc = np.cumsum(mean * np.diff(t, prepend=t[0])) / capacity_s
    voltage = ocv(soc) + ohm * i
    # Below empty the voltage falls off, as a cell's does.
    voltage -= np.where(soc < 0, 2000.0 * -soc, 0.0)
    keep = slice(0, int(np.flatnonzero((i < 0) & (voltage < 2.6))[0]) + 1)
    columns = {"current_a": i[keep], "voltage_v": gain_v * voltage[keep]}
    if degc is not None:
        columns["temperature_degc"] = np.full(i[keep].size, degc)
    return Trace(
        "cell", None, t[keep], [0], columns, provenance=Provenance(notices=notices)
    )


def deciding(grade):
    return [r for r in grade.reasons if r.route == str(grade.route)]


@pytest.mark.parametrize(
    ("soh", "ohm", "rated_wh", "expected"),
    [
        (0.95, 0.03, 7.2, Route.REUSE),
        (0.95, 0.03, None, Route.REUSE),  # by resistance where no energy is rated
        (0.75, 0.03, 7.2, Route.REMANUFACTURE),
        (0.65, 0.03, 7.2, Route.REPURPOSE),
        (0.55, 0.03, 7.2, Route.REPURPOSE),  # low resistance is the second witness
        (0.50, 0.35, 7.2, Route.RECYCLE),
        (0.30, 0.22, 7.2, Route.RETEST),  # neither good nor bad enough: a person
    ],
)
def test_every_route_is_reached_from_samples(soh, ohm, rated_wh, expected):
    pack = replace(PACK, nominal_wh=rated_wh)
    result = evaluate(log(soh, ohm), pack, POLICY)
    assert result.refusal is None
    assert result.grade.route is expected
    assert deciding(result.grade), "no reason of the route that was taken"
    assert len(set(result.grade.reasons)) == len(result.grade.reasons)
    measured = {n for e in result.estimates for n in e.measurements}
    assert {"soh_capacity", "dcir_10s_ohm"} <= measured


def test_the_numbers_behind_a_route_are_those_of_the_cell():
    result = evaluate(log(0.95, 0.05), PACK, POLICY)
    found = {r.quantity: r for r in result.grade.reasons if r.low is not None}
    soh = found["soh_capacity"]
    assert soh.low <= 0.95 <= soh.high
    assert soh.high - soh.low < 0.01
    # R C / V: 0.05 ohm, and what 10 s take off the open-circuit voltage, 0.75 V over
    # the whole capacity.
    ohm = 0.05 + 0.75 * 10.0 / (3600 * 0.95 * RATED_AH)
    drop = found["voltage_drop_1c"]
    assert drop.low <= ohm * 2.0 / 3.6 <= drop.high
    assert drop.high - drop.low < 0.01


def test_a_straddle_asks_for_the_uncertainty_that_settles_it():
    coarse = replace(PACK, sensor={"current_relative": 0.02, "voltage_v": 0.001})
    result = evaluate(log(0.79), coarse, POLICY)
    assert result.grade.route is Route.RETEST
    (last,) = deciding(result.grade)
    assert last.rule == "retest_straddles"
    assert "REUSE is open" in last.message
    assert "standard uncertainty of at most" in last.message
    soh = next(r for r in result.grade.reasons if r.rule == "reuse_soh_capacity")
    assert soh.low < 0.80 < soh.high
    # And with a finer sensor the same cell has a route.
    assert evaluate(log(0.79), PACK, POLICY).grade.route is Route.REMANUFACTURE


def test_a_suspect_trace_is_estimated_and_not_graded():
    doubled = Notice("current_doubled", "counter says half", Severity.SUSPECT)
    result = evaluate(log(notices=(doubled,)), PACK, POLICY)
    assert result.grade is None
    assert "current_doubled" in result.refusal.reasons
    assert {e.status for e in result.estimates} == {"refused"}
    assert not any(e.measurements for e in result.estimates)


def test_cold_evidence_is_no_evidence():
    result = evaluate(log(0.95, degc=4.0), PACK, POLICY)
    assert result.grade.route is Route.RETEST
    (last,) = deciding(result.grade)
    assert "at the reference temperature" in last.message
    drop = next(r for r in result.grade.reasons if r.quantity == "voltage_drop_1c")
    assert drop.outcome is Outcome.MISSING
    assert "4.0 degC" in drop.message


def test_a_resistance_of_unknown_temperature_recycles_nothing():
    result = evaluate(log(0.50, 0.35, degc=None), PACK, POLICY)
    assert result.grade.route is Route.RETEST


def test_without_a_rated_capacity_there_is_no_soh():
    bare = replace(PACK, nominal_ah=None, nominal_wh=None)
    result = evaluate(log(0.95), bare, POLICY)
    assert result.grade.route is Route.RETEST
    assert "--nominal-ah" in deciding(result.grade)[0].message


def test_a_wrong_reference_gives_no_soh():
    """SOH of 915 %: a rated capacity in the wrong unit."""
    wrong = replace(PACK, nominal_ah=RATED_AH / 9.63)
    result = evaluate(log(0.95), wrong, POLICY)
    assert result.grade.route is Route.RETEST
    refused = [e for e in result.estimates if e.method == "soh_capacity"]
    assert refused[0].reasons == ("wrong_reference",)
    assert "cannot be that of this unit (0.207684 Ah" in (
        deciding(result.grade)[0].message
    )


def test_what_a_cell_warms_by_under_load_is_part_of_its_test():
    """The chamber had 24 degC; a mean of 34 degC of the cell is no other test."""
    trace = log(0.95)
    columns = dict(trace.columns)
    loaded = columns["current_a"] < -0.5
    columns["temperature_degc"] = np.where(loaded, 35.0, 25.0)
    columns["ambient_temperature_degc"] = np.full(trace.n_samples, 24.0)
    result = evaluate(replace(trace, columns=columns), PACK, POLICY)
    soh = next(r for r in result.grade.reasons if r.quantity == "soh_capacity")
    assert soh.outcome is Outcome.MET
    assert result.grade.route is Route.REUSE


def test_overvoltage_goes_before_everything():
    result = evaluate(log(0.95, gain_v=1.06), PACK, POLICY)
    assert result.grade.route is Route.QUARANTINE
    (hit,) = deciding(result.grade)
    assert hit.rule == "hold_cell_voltage_max_v"
    assert "do not charge it" in hit.message


def test_an_undeclared_cell_that_is_held_is_told_to_declare():
    """The discharge of LFP, charged to 4.2 V, with nothing declared."""
    trace = log(0.95, pulses=False)
    plateau = np.clip(trace.column("voltage_v"), None, 3.3)
    charging = trace.column("current_a") > 0
    columns = dict(trace.columns) | {"voltage_v": np.where(charging, 4.2, plateau)}
    result = evaluate(
        replace(trace, columns=columns), replace(PACK, chemistry=""), POLICY
    )
    assert result.grade.route is Route.QUARANTINE
    assert any("declare chemistry" in r.message for r in deciding(result.grade))


def test_a_simulated_unit_is_never_real():
    trace = log(0.95)
    trace = replace(trace, provenance=Provenance(simulated=True))
    grade = evaluate(trace, PACK, POLICY).grade
    assert grade.simulated
    assert "real_unit" in grade.clearance.missing


def test_the_same_trace_gives_the_same_bits():
    one, two = (evaluate(log(0.72, 0.06), PACK, POLICY) for _ in range(2))
    assert one.estimates == two.estimates
    assert one.grade == two.grade


def hostile():
    sound = log(0.9, pulses=False)
    n = sound.n_samples
    nothing = np.full(n, np.nan)

    def changed(**columns):
        return replace(sound, columns=dict(sound.columns) | columns)

    yield "no samples", Trace("u", None, [], [0], {"current_a": [], "voltage_v": []})
    yield (
        "one sample",
        Trace("u", None, [0.0], [0], {"current_a": [-1.0], "voltage_v": [3.5]}),
    )
    yield "no columns", Trace("u", None, [0.0, 1.0], [0], {})
    yield "all missing", changed(current_a=nothing, voltage_v=nothing)
    yield "current missing", changed(current_a=nothing)
    yield "temperature missing", changed(temperature_degc=nothing)
    holes = sound.column("voltage_v").copy()
    holes[::2] = np.nan
    yield "every other voltage missing", changed(voltage_v=holes)
    holes = sound.column("current_a").copy()
    holes[1::2] = np.nan
    yield "every other current missing", changed(current_a=holes)
    yield "rest only", changed(current_a=np.zeros(n))
    yield "constant current", changed(current_a=np.full(n, -1.0))
    yield "wrong sign", changed(current_a=-sound.column("current_a"))
    yield (
        "huge values",
        changed(current_a=1e30 * sound.column("current_a"), voltage_v=np.full(n, 1e30)),
    )
    yield "stamps repeat", replace(sound, time_s=np.zeros(n))
    yield "a segment each", replace(sound, segment_start=np.arange(n))
    middle = n // 2
    back = np.r_[sound.time_s[:middle], sound.time_s[middle:] - sound.time_s[middle]]
    yield "clock restarts", replace(sound, time_s=back, segment_start=[0, middle])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("trace", [pytest.param(t, id=name) for name, t in hostile()])
def test_a_hostile_trace_is_graded_or_refused(trace):
    result = evaluate(trace, PACK, POLICY)
    assert result.grade is not None
    assert result.grade.route in (
        Route.RETEST,
        Route.QUARANTINE,
        Route.REPURPOSE,
        Route.REMANUFACTURE,
        Route.REUSE,
    )
    for estimate in result.estimates:
        for measurement in estimate.measurements.values():
            assert np.isfinite(measurement.value), measurement
    assert deciding(result.grade)


def test_thousands_of_short_discharges_take_no_quadratic_time():
    """2,500 shallow cycles: the neighbours of each are found without comparing all."""
    n, half = 250_000, 50
    sign = np.where(np.arange(n) // half % 2 == 0, 1.0, -1.0)
    columns = {"current_a": sign, "voltage_v": 3.6 + 0.6 * sign}
    result = evaluate(Trace("u", None, np.arange(n), [0], columns), PACK, POLICY)
    assert sum(e.method == "capacity" for e in result.estimates) == 2500


def test_a_square_wave_does_not_make_an_estimate_of_every_edge():
    """50,000 pulses in one record: the last 2,000 that can support a resistance."""
    k = np.arange(500_000)
    current = np.where(k % 10 < 5, 0.0, -1.0)
    columns = {"current_a": current, "voltage_v": 3.6 + 0.05 * current}
    trace = Trace("u", None, k * 0.3, [0], columns)
    pulses = [e for e in evaluate(trace, PACK, POLICY).estimates if e.method == "dcir"]
    assert len(pulses) == 2000
    assert pulses[-1].cycle == 49_999
    assert pulses[-1].conditions["pulses_in_record"] == 50_000
    assert pulses[-1].measurements["dcir_1s_ohm"].value == pytest.approx(0.05)


def test_noise_on_every_sample_of_a_record_of_days_is_handled():
    """A quarter of a million noisy samples: a bounded number of estimates."""
    rng = np.random.default_rng(7)
    n = 250_000
    columns = {
        "current_a": np.where(np.arange(n) % 50_000 < 25_000, 1.0, -1.0)
        + rng.normal(0, 0.05, n),
        "voltage_v": 3.6 + rng.normal(0, 0.01, n),
    }
    result = evaluate(Trace("u", None, np.arange(n), [0], columns), PACK, POLICY)
    assert len(result.estimates) < 100
