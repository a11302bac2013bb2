"""A trace whose values contradict themselves is named suspect; a sound one is not."""

import csv

import numpy as np
import pytest

from battlife.model import Provenance, Severity, StepTable, Trace
from battlife.readers._checks import checked
from support import DATASETS

LEAF = DATASETS / "demo" / "leaf_ornl" / "1C-Discharge-Bitrode-data.csv"


def trace(time_s, steps=None, header=None, starts=(0,), **columns) -> Trace:
    return Trace(
        "u",
        None,
        np.asarray(time_s, float),
        np.array(starts),
        {k: np.asarray(v, float) for k, v in columns.items()},
        steps,
        provenance=Provenance(header=header or {}),
    )


def found(t: Trace) -> dict[str, Severity]:
    notices = checked(t).provenance.notices
    order = list(Severity)
    worst: dict[str, Severity] = {}
    for n in notices:
        worst[n.code] = max(n.severity, worst.get(n.code, n.severity), key=order.index)
    return worst


def message(t: Trace, code: str) -> str:
    return next(n.message for n in checked(t).provenance.notices if n.code == code)


@pytest.fixture(scope="module")
def leaf() -> dict[str, np.ndarray]:
    """Four 1C cycles as the tester wrote them: 0.01 A, 0.01 Ah, 60 s."""
    with LEAF.open(newline="") as file:
        rows = list(csv.reader(file))
    number = np.array([[float(r[k]) for k in (1, 8, 9, 10, 11, 12)] for r in rows])
    names = ("time_s", "current_a", "voltage_v", "power_w", "capacity", "energy")
    return dict(zip(names, number.T, strict=True))


def leaf_trace(leaf: dict[str, np.ndarray], scale=1.0, time=1.0, **columns) -> Trace:
    given = {
        "current_a": leaf["current_a"] * scale,
        "voltage_v": leaf["voltage_v"],
        "step_capacity_ah": np.abs(leaf["capacity"]),
    }
    return trace(leaf["time_s"] * time, **(given | columns))


def test_a_sound_file_raises_no_suspicion(leaf) -> None:
    energy = np.abs(leaf["energy"])
    both = leaf_trace(leaf, power_w=leaf["power_w"], step_energy_wh=energy)
    assert Severity.SUSPECT not in found(both).values()


@pytest.mark.parametrize("scale", [1.1, 0.9, 2.0, 0.5, 1000.0, 0.001])
def test_a_scaled_current_is_suspect(leaf, scale: float) -> None:
    codes = found(leaf_trace(leaf, scale))
    assert codes["capacity_counter_disagrees"] is Severity.SUSPECT


def test_a_doubled_current_is_called_doubled(leaf) -> None:
    text = message(leaf_trace(leaf, 2.0), "capacity_counter_disagrees")
    assert "current counted twice" in text


@pytest.mark.parametrize(("factor", "word"), [(3600.0, "3600"), (1 / 3600, "hours")])
def test_a_wrong_time_unit_is_named(leaf, factor: float, word: str) -> None:
    text = message(leaf_trace(leaf, time=factor), "capacity_counter_disagrees")
    assert "time" in text
    assert word in text


def test_a_section_with_another_scale_is_suspect(leaf) -> None:
    current = leaf["current_a"].copy()
    current[:400] *= 1.5  # the first charge alone, of four
    codes = found(leaf_trace(leaf, current_a=current))
    assert codes["capacity_counter_disagrees"] is Severity.SUSPECT


def test_a_reversed_current_is_suspect(leaf) -> None:
    assert found(leaf_trace(leaf, -1.0))["sign_suspect"] is Severity.SUSPECT
    assert "sign_suspect" not in found(leaf_trace(leaf))


def test_power_that_is_not_voltage_times_current_is_suspect(leaf) -> None:
    codes = found(leaf_trace(leaf, 1.1, power_w=leaf["power_w"]))
    assert codes["power_disagrees"] is Severity.SUSPECT


def test_millivolts_read_as_volts_show_in_the_energy(leaf) -> None:
    given = {"voltage_v": leaf["voltage_v"] * 1000, "step_energy_wh": leaf["energy"]}
    codes = found(leaf_trace(leaf, **given))
    assert codes["energy_counter_disagrees"] is Severity.SUSPECT
    assert codes["implausible_values"] is Severity.SUSPECT


def test_a_coarse_current_is_a_warning_and_the_counter_is_trusted() -> None:
    # 0.17 mA logged as 0.2 mA: 18 % too much, inside half a digit of 0.1 mA.
    time_s = np.arange(0.0, 360000.0, 600.0)
    coarse = trace(
        time_s,
        current_a=np.r_[0.0001, np.full(time_s.size - 1, 0.0002)],
        charge_capacity_ah=np.round(0.00017 * time_s / 3600, 4),
    )
    assert found(coarse) == {"capacity_counter_disagrees": Severity.WARNING}


def test_each_direction_has_its_own_counter_and_resets() -> None:
    # 1 A for an hour each way, three times; counters restart with every cycle.
    time_s = np.arange(0.0, 6 * 3600.0, 10.0)
    phase = (time_s // 3600).astype(int)
    inside = (time_s % 3600) / 3600
    charging = phase % 2 == 0
    current = np.where(charging, 1.0, -1.0)
    columns = {
        "charge_capacity_ah": np.where(charging, inside, 1.0),
        "discharge_capacity_ah": np.where(charging, 0.0, inside),
        "net_capacity_ah": np.where(charging, inside, 1.0 - inside),
    }
    assert found(trace(time_s, current_a=current, **columns)) == {}
    wrong = found(trace(time_s, current_a=current * 1.1, **columns))
    assert wrong == {"capacity_counter_disagrees": Severity.SUSPECT}


@pytest.mark.parametrize("scale", [1.0, 1.1])
def test_a_net_counter_of_the_other_sign_is_named_and_still_compared(scale) -> None:
    time_s = np.arange(0.0, 3600.0, 10.0)
    codes = found(
        trace(
            time_s,
            current_a=np.full(time_s.size, -1.0 * scale),
            net_capacity_ah=time_s / 3600,
        )
    )
    assert codes["counter_turned"] is Severity.WARNING
    assert ("capacity_counter_disagrees" in codes) is (scale != 1.0)


def test_a_counter_that_never_moves_is_a_warning() -> None:
    time_s = np.arange(0.0, 3600.0, 10.0)
    codes = found(
        trace(time_s, current_a=np.ones(time_s.size), charge_capacity_ah=0.0 * time_s)
    )
    assert codes == {"counter_silent": Severity.WARNING}


def test_gaps_between_segments_are_not_integrated() -> None:
    time_s = np.r_[np.arange(0.0, 3600.0, 10.0), np.arange(1e6, 1e6 + 3600.0, 10.0)]
    hours = np.r_[np.arange(360), np.arange(360)] / 360
    columns = {"current_a": np.ones(720), "charge_capacity_ah": hours}
    assert found(trace(time_s, starts=(0, 360), **columns)) == {}


@pytest.mark.parametrize(("scale", "suspect"), [(1.0, False), (1.1, True), (2, True)])
def test_steps_without_samples_are_current_times_duration(scale, suspect) -> None:
    steps = StepTable(
        np.array([2, 1, 1]),
        {
            "duration_s": [3600.0, 7200.0, 1800.0],
            "start_current_a": [-10.0 * scale, 5.0 * scale, 5.0 * scale],
            # The last step is constant voltage: its current says nothing.
            "end_current_a": [-10.0 * scale, 5.0 * scale, 0.2 * scale],
            "discharge_capacity_ah": [10.0, np.nan, np.nan],
            "charge_capacity_ah": [np.nan, 10.0, 1.0],
        },
    )
    codes = found(trace([], steps))
    assert ("capacity_counter_disagrees" in codes) is suspect


@pytest.mark.parametrize(
    ("scale", "header", "suspect"),
    [
        (1.0, {}, False),
        (2.0, {}, True),
        (0.5, {}, True),
        (1.0, {"vendor.capacity_cutoff_v": "2.7"}, False),
        (1.1, {"vendor.capacity_cutoff_v": "2.7"}, True),
    ],
)
def test_a_capacity_to_a_cutoff_is_a_bound(scale, header, suspect) -> None:
    # 1 A for an hour to 2.7 V, then ten minutes more to 2.0 V.
    time_s = np.arange(0.0, 4201.0, 1.0)
    voltage = np.where(time_s <= 3600, 4.2 - 1.5 * time_s / 3600, 2.69)
    steps = StepTable(np.array([2]), {"segment": [0], "discharge_capacity_ah": [1.0]})
    codes = found(
        trace(
            time_s,
            steps,
            header,
            current_a=np.full(time_s.size, -1.0 * scale),
            voltage_v=voltage,
        )
    )
    assert (codes.get("capacity_counter_disagrees") is Severity.SUSPECT) is suspect


@pytest.mark.parametrize("factor", [3600.0, 60.0, 1 / 3600])
def test_time_against_the_wall_clock(factor: float) -> None:
    wall = np.arange(1.6e9, 1.6e9 + 7200.0, 10.0)
    good = wall - wall[0]
    assert found(trace(good, unix_time_s=wall)) == {}
    codes = found(trace(good * factor, unix_time_s=wall))
    assert codes == {"time_scale_suspect": Severity.SUSPECT}


def test_absurd_and_missing_values_are_counted() -> None:
    values = np.full(1000, 25.0)
    values[3] = 5000.0
    values[4:14] = np.nan
    t = trace(np.arange(1000.0), temperature_degc=values)
    assert found(t) == {
        "implausible_values": Severity.WARNING,
        "missing_values": Severity.INFO,
    }
    assert "1 values" in message(t, "implausible_values")
    assert "10 of 1000" in message(t, "missing_values")


def test_a_few_absurd_voltages_warn_and_many_are_suspect() -> None:
    few = np.full(1000, 3.7)
    few[5] = 5000.0
    assert found(trace(np.arange(1000.0), voltage_v=few)) == {
        "implausible_values": Severity.WARNING
    }
    assert found(trace(np.arange(1000.0), voltage_v=few * 0 + 3700.0)) == {
        "implausible_values": Severity.SUSPECT
    }


def test_checking_twice_adds_nothing(leaf) -> None:
    once = checked(leaf_trace(leaf, 2.0))
    assert checked(once).provenance.notices == once.provenance.notices


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_few_samples_prove_nothing(n: int) -> None:
    columns = {"current_a": np.ones(n), "voltage_v": np.ones(n)}
    assert found(trace(np.arange(n), charge_capacity_ah=np.zeros(n), **columns)) == {}
