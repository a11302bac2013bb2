"""Peaks of cells whose dQ/dV is known in closed form, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from battlife.errors import EstimateError, InputError
from battlife.estimators._peaks import followed
from battlife.estimators.dva import DifferentialVoltage
from battlife.estimators.ica import IncrementalCapacity
from battlife.model import Pack, Trace

PLATEAUS = ((3.45, 0.015, 0.5), (3.65, 0.02, 0.9), (3.95, 0.03, 0.5))
"""Voltage, width and charge of each: a logistic step of the charge."""
SLOPE_AH_PER_V = 0.1
LOW_V, HIGH_V = 3.2, 4.2
PACK = Pack(
    "cell",
    nominal_ah=2.0,
    sensor={"current_a": 1e-4, "voltage_v": 0.002},
    calibration="rig 1",
)


def charge_at(volt, plateaus=PLATEAUS):
    total = SLOPE_AH_PER_V * (volt - LOW_V)
    for middle, width, charge in plateaus:
        total = total + charge / (1 + np.exp(-(volt - middle) / width))
    return total


def density(volt, smoothing_v=0.0, plateaus=PLATEAUS):
    """Return dQ/dV, as it is or smoothed by a Gaussian, in Ah/V."""
    offsets = np.linspace(-5, 5, 201) * smoothing_v
    weight = np.exp(-0.5 * np.linspace(-5, 5, 201) ** 2)
    result = 0.0
    for offset, w in zip(offsets, weight / weight.sum(), strict=True):
        part = SLOPE_AH_PER_V
        for middle, width, charge in plateaus:
            e = 1 / (1 + np.exp(-(volt - offset - middle) / width))
            part = part + charge * e * (1 - e) / width
        result = result + w * part
    return result


def cycle(
    hours=20.0,
    period_s=20.0,
    noise_v=0.0,
    quantum_v=0.0,
    seed=0,
    charging=True,
    plateaus=PLATEAUS,
    window_v=(LOW_V, HIGH_V),
):
    """Return rest, one constant-current half-cycle, and rest."""
    grid = np.linspace(*window_v, 20001)
    charge = charge_at(grid, plateaus)
    total = charge[-1] - charge[0]
    load = 2.0 / hours
    n = int(total / load * 3600 / period_s)
    taken = charge[0] + load * period_s / 3600 * np.arange(n)
    volts = np.interp(taken, charge, grid)
    if not charging:
        volts = volts[::-1]
    rest = np.full(10, 0.0)
    sign = 1.0 if charging else -1.0
    current = np.concatenate([rest, np.full(n, sign * load), rest])
    voltage = np.concatenate([rest + volts[0], volts, rest + volts[-1]])
    if noise_v:
        voltage = voltage + np.random.default_rng(seed).normal(0, noise_v, voltage.size)
    if quantum_v:
        voltage = np.round(voltage / quantum_v) * quantum_v
    columns = {"current_a": current, "voltage_v": voltage}
    return Trace("cell", None, np.arange(current.size) * period_s, [0], columns)


@pytest.mark.parametrize("charging", [True, False])
def test_the_peaks_of_dqdv_are_the_plateaus(charging):
    (estimate,) = IncrementalCapacity().estimate(cycle(charging=charging), PACK)
    assert estimate.status == "ok"
    grid = np.linspace(LOW_V, HIGH_V, 100001)
    smooth = density(grid, 0.005)
    inner = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] > smooth[2:])
    tops = np.flatnonzero(inner) + 1
    assert tops.size == 3
    found = estimate.measurements
    for number, top in enumerate(tops, start=1):
        place = found[f"ica_peak_{number}_v"]
        height = found[f"ica_peak_{number}_ah_per_v"]
        assert place.value == pytest.approx(grid[top], abs=3e-4)
        assert height.value == pytest.approx(smooth[top], rel=3e-3)
        assert 0 < place.uncertainty < 0.003
    # The area lies between the places half-way down to the valleys on either side.
    low = tops[0] + int(np.argmin(smooth[tops[0] : tops[1]]))
    top = tops[1]
    high = top + int(np.argmin(smooth[top : tops[2]]))
    left = top - int(np.argmax(smooth[top:low:-1] <= (smooth[top] + smooth[low]) / 2))
    right = top + int(np.argmax(smooth[top:high] <= (smooth[top] + smooth[high]) / 2))
    area = np.trapezoid(smooth[left : right + 1], grid[left : right + 1])
    assert found["ica_peak_2_area_ah"].value == pytest.approx(area, rel=5e-3)


def test_smoothing_and_rate_are_stated():
    (estimate,) = IncrementalCapacity(smoothing_v=0.01).estimate(cycle(), PACK)
    states = estimate.conditions
    assert states["smoothing_sd_v"] == 0.01
    assert states["c_rate"] == pytest.approx(0.05, rel=0.01)
    assert states["direction"] == "charge"
    assert "0.2" in states["c_rate_rule"]


@pytest.mark.parametrize(
    ("noise_v", "quantum_v"), [(5e-4, 0.0), (2e-3, 0.0), (0.0, 1e-3), (3e-4, 2e-3)]
)
@pytest.mark.parametrize("method", [IncrementalCapacity(), DifferentialVoltage()])
def test_uncertainties_hold_what_they_promise(method, noise_v, quantum_v):
    """Against Monte Carlo: 95 % lie within two standard uncertainties."""
    (exact,) = method.estimate(cycle(), PACK)
    inside: list[bool] = []
    for seed in range(40):
        # Another phase of the quanta each time.
        window = (LOW_V + 1e-4 * seed, HIGH_V)
        record = cycle(noise_v=noise_v, quantum_v=quantum_v, seed=seed, window_v=window)
        shift = charge_at(window[0]) - charge_at(LOW_V)
        (found,) = method.estimate(record, PACK)
        for name, truth in exact.measurements.items():
            if name not in found.measurements:
                continue
            value = found.measurements[name]
            if name.startswith("dva") and name.endswith("_ah"):
                value = replace(value, value=value.value + shift)
            inside.append(abs(value.value - truth.value) <= 2 * value.uncertainty)
    assert len(inside) > 200
    assert np.mean(inside) > 0.93


def test_the_peaks_of_dvdq_lie_between_the_plateaus():
    (estimate,) = DifferentialVoltage().estimate(cycle(), PACK)
    grid = np.linspace(LOW_V, HIGH_V, 100001)
    slope = 1 / density(grid)
    inner = (slope[1:-1] > slope[:-2]) & (slope[1:-1] > slope[2:])
    tops = np.flatnonzero(inner) + 1
    assert tops.size == 2
    for number, top in enumerate(tops, start=1):
        place = estimate.measurements[f"dva_peak_{number}_ah"].value
        expected = charge_at(grid[top]) - charge_at(LOW_V)
        assert place == pytest.approx(expected, abs=0.01)
    assert estimate.measurements["dva_peak_1_v_per_ah"].unit == "V/Ah"


@pytest.mark.parametrize("method", [IncrementalCapacity(), DifferentialVoltage()])
@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (cycle(hours=2.0), "rate_too_fast"),
        (cycle(window_v=(3.6, 3.7)), "window_too_short"),
        (cycle(quantum_v=0.02), "voltage_too_coarse"),
        (cycle(period_s=2400.0), "sampling_too_coarse"),
    ],
    ids=["fast", "short", "quantum", "sampling"],
)
def test_what_cannot_show_a_peak_is_refused(method, record, reason):
    with pytest.raises(EstimateError) as caught:
        method.estimate(record, PACK)
    assert reason in caught.value.reasons


def test_a_faster_record_is_taken_only_when_asked():
    (estimate,) = IncrementalCapacity(max_c_rate=0.6).estimate(cycle(hours=2.0), PACK)
    assert estimate.status == "ok"
    assert "0.6" in estimate.conditions["c_rate_rule"]


def test_a_pack_of_unknown_cells_is_refused_and_of_known_ones_is_per_cell():
    trace = cycle()
    columns = {**trace.columns, "voltage_v": 10 * trace.column("voltage_v")}
    pack = replace(trace, columns=columns)
    with pytest.raises(EstimateError) as caught:
        IncrementalCapacity().estimate(pack, PACK)
    assert caught.value.reasons == ("cells_in_series_unknown",)
    (found,) = IncrementalCapacity().estimate(pack, replace(PACK, cells_in_series=10))
    (single,) = IncrementalCapacity().estimate(trace, PACK)
    assert found.measurements["ica_peak_1_v"].value == pytest.approx(
        single.measurements["ica_peak_1_v"].value
    )
    assert found.conditions["voltage_basis"] == "per cell"


def test_the_taper_of_a_charge_is_left_out():
    trace = cycle()
    n, load = 2000, 0.1
    taper = load * np.exp(-np.arange(n) / 400)
    current = np.concatenate([trace.column("current_a")[:-10], taper])
    top = trace.column("voltage_v")[-11]
    voltage = np.concatenate([trace.column("voltage_v")[:-10], np.full(n, top)])
    time = np.arange(current.size) * 20.0
    columns = {"current_a": current, "voltage_v": voltage}
    (found,) = IncrementalCapacity().estimate(
        Trace("cell", None, time, [0], columns), PACK
    )
    (plain,) = IncrementalCapacity().estimate(trace, PACK)
    # A taper within 5 % of the current still counts as constant: 20 samples.
    assert found.stop_sample - plain.stop_sample < 25
    assert found.measurements["ica_peak_3_v"].value == pytest.approx(
        plain.measurements["ica_peak_3_v"].value, abs=1e-4
    )


def test_a_current_that_wobbles_briefly_is_one_window():
    trace = cycle()
    current = trace.column("current_a").copy()
    for k in range(200, current.size - 200, 150):
        current[k : k + 10] *= 1.3
    (found,) = IncrementalCapacity().estimate(
        replace(trace, columns={**trace.columns, "current_a": current}), PACK
    )
    assert found.stop_sample - found.start_sample > 0.95 * trace.n_samples
    assert "current_unsteady" in found.reasons


def test_curves_are_those_of_the_estimate():
    method = IncrementalCapacity()
    trace = cycle()
    (estimate,) = method.estimate(trace, PACK)
    (curve,) = method.curves(trace, PACK, estimate)
    top = curve.columns["ica_ah_per_v"].max()
    heights = [
        m.value for n, m in estimate.measurements.items() if n.endswith("ah_per_v")
    ]
    assert top == pytest.approx(max(heights), rel=1e-3)
    counted = curve.columns["ica_unsmoothed_ah_per_v"].sum() * 0.001
    assert counted == pytest.approx(estimate.conditions["window_charge_ah"], rel=1e-9)
    (curve,) = DifferentialVoltage().curves(trace, PACK, estimate)
    assert curve.name == "dva"


def test_a_peak_keeps_its_number_over_life():
    rows = [[3.4, 3.6, 3.9], [3.42, 3.61], [3.44, 3.95, 4.05], [3.45, 3.62, 3.97]]
    assert followed(rows, 0.06) == ((1, 2, 3), (1, 2), (1, 3, 4), (1, 2, 3))
    assert followed([[], [3.5], [3.7]], 0.06) == ((), (1,), (2,))


def test_peaks_are_numbered_over_the_half_cycles_of_a_record():
    moved = tuple((v + 0.02, w, q) for v, w, q in PLATEAUS[1:])
    parts = [cycle(), cycle(charging=False), cycle(plateaus=moved)]
    columns = {
        name: np.concatenate([p.column(name) for p in parts])
        for name in ("current_a", "voltage_v")
    }
    time = np.arange(columns["current_a"].size) * 20.0
    found = IncrementalCapacity().estimate(
        Trace("cell", None, time, [0], columns), PACK
    )
    assert [e.conditions["direction"] for e in found] == [
        "charge",
        "discharge",
        "charge",
    ]
    assert "ica_peak_1_v" not in found[2].measurements
    for number in (2, 3):
        name = f"ica_peak_{number}_v"
        shift = found[2].measurements[name].value - found[0].measurements[name].value
        assert shift == pytest.approx(0.02, abs=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {"step_v": 0.0},
        {"smoothing_v": 1e-4},
        {"max_c_rate": 0.0},
        {"max_c_rate": 99.0},
        {"smoothing_v": 0.5},
    ],
)
def test_absurd_options_are_refused(settings):
    with pytest.raises(InputError):
        IncrementalCapacity(**settings)


def test_absurd_options_of_dva_are_refused():
    for settings in ({"smoothing": 0.0}, {"smoothing": 0.5}, {"max_c_rate": -1.0}):
        with pytest.raises(InputError):
            DifferentialVoltage(**settings)
