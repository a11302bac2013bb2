"""Capacities against the figures their owners recorded."""

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from battlife.estimators import build
from battlife.model import Pack, Trace
from battlife.readers import read
from support import DATASETS, shared

SENSOR = {"current_a": 0.005, "voltage_v": 0.001}
NASA_LABELS = Path(__file__).parent / "nasa_capacity_labels.csv"
"""NASA's own figures (PCoE repository, Saha and Goebel 2007; a US Government work)."""
NASA_CELLS = ("B0025", "B0029", "B0030", "B0038", "B0045")


def data(relative: str) -> Path:
    """Return a file of the shipped datasets, else of the shared ones beside them."""
    shipped = next(DATASETS.rglob(Path(relative).name), None)
    return shipped if shipped is not None else shared(relative)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def nasa(cell: str) -> Trace:
    (trace,) = read(data(f"nasa_pcoe/{cell}.mat"))
    return trace


def capacity(estimate):
    return estimate.measurements["discharge_capacity_ah"].value


@pytest.mark.parametrize("cell", NASA_CELLS)
def test_nasa_figures_within_0_02_percent_and_crashes_refused(cell):
    labels = {
        int(r["discharge_index"]): float(r["capacity_to_2V7_Ah"])
        for r in rows(NASA_LABELS)
        if r["cell"] == cell
    }
    pack = Pack(cell, nominal_ah=2.0, reference_degc=24.0, sensor=SENSOR)
    estimates = build("capacity", {"cutoff_v": "2.7"}).estimate(nasa(cell), pack)
    assert [e.cycle for e in estimates] == list(range(len(labels)))
    for estimate in estimates:
        label = labels[estimate.cycle]
        if label == 0:  # NASA's mark of a run that its software lost
            assert estimate.status == "refused"
            assert "cutoff_not_reached" in estimate.reasons
        else:
            assert estimate.status == "ok", (estimate.cycle, estimate.reasons)
            assert capacity(estimate) == pytest.approx(label, rel=2e-4)
    assert sum(e.status == "refused" for e in estimates) == (
        2 if cell == "B0045" else 0
    )


def test_nasa_conditions_tell_cold_mixed_and_pulsed_apart():
    pack = Pack("u", nominal_ah=2.0, reference_degc=24.0, sensor=SENSOR)
    method = build("capacity", {"cutoff_v": "2.7"})
    cold = [e for e in method.estimate(nasa("B0045"), pack) if e.status == "ok"]
    at_4_degc = [e for e in cold if e.conditions["ambient_temperature_degc"] == 4.0]
    assert len(at_4_degc) > 50
    assert all("not_at_reference_temperature" in e.reasons for e in at_4_degc)
    mixed = method.estimate(nasa("B0038"), pack)
    assert all({"mixed_loads", "mixed_temperatures"} <= set(e.reasons) for e in mixed)
    pulsed = method.estimate(nasa("B0025"), pack)
    assert {e.conditions["load"] for e in pulsed} == {"pulsed"}


def bitrode(name: str) -> tuple[Trace, list[str]]:
    """Return a Leaf record and the tester's mode at each sample."""
    with data(f"leaf_ornl/{name}").open(newline="") as file:
        table = [r for r in csv.reader(file) if r and r[0] == "No"]
    columns = {
        "current_a": [float(r[8]) for r in table],
        "voltage_v": [float(r[9]) for r in table],
    }
    trace = Trace("leaf", None, [float(r[1]) for r in table], [0], columns)
    return trace, [r[13] for r in table]


def test_leaf_1c_within_0_05_percent_of_the_raw_trapezoid():
    trace, mode = bitrode("1C-Discharge-Bitrode-data.csv")
    edges = [0, *(k for k in range(1, len(mode)) if mode[k] != mode[k - 1]), len(mode)]
    truth = [
        -np.trapezoid(trace.column("current_a")[a:b], trace.time_s[a:b]) / 3600
        for a, b in pairwise(edges)
        if mode[a] == "DCHG"
    ]
    pack = Pack("leaf", nominal_ah=33.1, sensor=SENSOR)
    estimates = build("capacity", {"cutoff_v": "3.0"}).estimate(trace, pack)
    assert [e.status for e in estimates] == ["ok"] * 4
    found = [capacity(e) for e in estimates]
    assert found == pytest.approx(truth, rel=5e-4)
    assert found == pytest.approx([30.33, 30.34, 30.30, 30.29], abs=0.01)


def test_leaf_resistance_is_1_6_times_higher_at_10_degc():
    pack = Pack("leaf", nominal_ah=33.1, sensor=SENSOR)

    def middle(name: str) -> float:
        trace, _ = bitrode(name)
        pulses = build("dcir").estimate(trace, pack)
        found = [
            e.measurements["dcir_10s_ohm"].value
            for e in pulses
            if e.conditions["direction"] == "discharge"
            and e.conditions["pulse_current_a"] == -30.0
            and 3.7 < e.conditions["start_voltage_v"] < 4.0
        ]
        assert len(found) >= 5
        return float(np.median(found))

    cold = middle("NissanLeaf-cell-Low-Current-HPPC-10C.csv")
    warm = middle("NissanLeaf-cell-Low-Current-HPPC-25C-2.csv")
    assert 0.0015 < warm < 0.0025
    assert 1.55 < cold / warm < 1.75


@pytest.mark.parametrize("with_steps", [True, False], ids=["steps", "bare"])
@pytest.mark.parametrize(("cell", "artefacts"), [("CS2_35", 0), ("CS2_36", 1)])
def test_calce_within_0_05_percent_and_fragments_refused(cell, artefacts, with_steps):
    import polars

    table = polars.read_parquet(shared(f"calce_cs2/{cell}_timeseries.parquet"))
    labels = rows(shared(f"calce_cs2/{cell}_capacity_labels.csv"))
    named = {"current_a": "i_A", "voltage_v": "v_V"}
    if with_steps:
        named |= {"step_index": "step", "discharge_capacity_ah": "q_dchg_Ah"}
    columns = {k: table[v].to_numpy().astype(float) for k, v in named.items()}
    restarts = np.flatnonzero(np.diff(table["file_no"].to_numpy())) + 1
    time = table["t_s"].to_numpy().astype(float)
    trace = Trace(cell, None, time, [0, *restarts], columns)
    pack = Pack(cell, nominal_ah=1.1, sensor=SENSOR)
    estimates = build("capacity", {"cutoff_v": "2.7"}).estimate(trace, pack)
    assert len(estimates) == len(labels)
    contradictions = recoveries = 0
    for estimate, label in zip(estimates, labels, strict=True):
        trapezoid = float(label["capacity_trapz_Ah"])
        cut = label["complete_discharge"].lower() == "false"
        if cut or label["fragment"].lower() == "true":
            # A cell that recovered over a pause is whole, however unlike the others:
            # complete, after a charge with its full taper.
            whole = estimate.status == "ok" and not cut
            recoveries += whole
            assert whole or estimate.status == "refused"
            continue
        assert estimate.status == "ok", (estimate.cycle, estimate.reasons)
        counter = float(label["capacity_arbin_Ah"])
        if abs(trapezoid / counter - 1) > 0.01:
            contradictions += 1  # the label disagrees with the tester's own counter
            continue
        assert capacity(estimate) == pytest.approx(trapezoid, rel=5e-4)
    assert contradictions == artefacts
    assert recoveries == (2 if cell == "CS2_35" else 0)


def test_nebula_one_row_per_step():
    name = "LMO_C_10_B_2_SOC_5-55_Part_1-1_ID_PIP15827A00221240.xlsx"
    (trace,) = read(data(f"pulsebat/tester_exports/{name}"))
    pack = Pack("LMO", nominal_ah=10.0, cutoff_v=2.0, sensor=SENSOR)
    first = build("capacity").estimate(trace, pack)[0]
    assert first.status == "ok"
    assert capacity(first) == pytest.approx(6.0513, abs=1e-9)
    assert first.conditions["rule"].startswith("tester's counter")
