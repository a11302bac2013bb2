"""Spread and its verdict on made packs whose fault is known."""

from dataclasses import replace

import numpy as np
import pytest

from battlife.errors import EstimateError, InputError
from battlife.estimators import build
from battlife.estimators.spread import CellSpread
from battlife.grading import findings
from battlife.model import Cell, Module, Pack, Route, Trace
from pack_samples import Made, made_pack

PACK = Pack("cell", sensor={"voltage_v": 0.002, "current_a": 0.1}, calibration="rig 1")
SEEDS = range(6)


def verdicts(**how) -> list[tuple[str, int | None]]:
    found = []
    for seed in SEEDS:
        trace = made_pack(Made(seed=seed, step_s=4.0, **how))
        (estimate,) = CellSpread(n_parallel=3).estimate(trace, PACK)
        kind = estimate.conditions["verdict"]
        found.append((str(kind), estimate.conditions["verdict_cell"]))
    return found


def test_healthy_packs_raise_no_alarm():
    for chemistry in ("nmc", "lfp"):
        kinds = [kind for kind, _ in verdicts(chemistry=chemistry)]
        assert set(kinds) <= {"nothing_found", "cannot_tell"}
        assert kinds.count("nothing_found") >= 4


def test_what_a_flat_curve_hides_is_said_where_nothing_is_found():
    """A fifth of the capacity of an LFP cell is lost, and cannot be seen."""
    for chemistry, hidden in (("lfp", True), ("nmc", False)):
        made = Made(seed=0, step_s=4.0, chemistry=chemistry)
        trace = made_pack(replace(made, fault="capacity", size=0.2))
        (found,) = CellSpread(n_parallel=3).estimate(trace, PACK)
        assert ("capacity_not_compared" in found.reasons) == hidden
        assert (found.conditions["verdict"] == "nothing_found") == hidden
        assert "resistance_not_compared" not in found.reasons


def test_a_cell_and_a_lost_string_of_the_same_figures_ask_for_a_retest():
    """Two thirds of the capacity, 1.5 times the resistance: one record cannot tell."""
    for seed in range(3):
        trace = made_pack(Made(seed=seed, step_s=4.0, fault="parallel", size=1))
        (found,) = CellSpread(n_parallel=3).estimate(trace, PACK)
        (reason,) = findings([found])
        assert reason.route == Route.RETEST
        assert reason.message.startswith("cell 6: ")


@pytest.mark.parametrize(
    ("how", "kinds"),
    [
        ({"fault": "capacity", "size": 0.2}, {"weak_capacity", "weak_cell"}),
        (
            {"fault": "resistance", "size": 2.5},
            {"high_resistance", "weak_cell", "aged"},
        ),
        ({"fault": "soc", "size": -0.12}, {"soc_imbalance", "weak_cell"}),
    ],
)
def test_a_weak_cell_is_found(how, kinds):
    found = verdicts(**how)
    assert sum(kind in kinds and cell == 5 for kind, cell in found) >= 4
    assert all(cell == 5 for kind, cell in found if kind in kinds)
    assert not any(kind in ("sense_wire", "string_lost") for kind, _ in found)


@pytest.mark.parametrize("size", [0.08, -0.3, 1.9])
def test_neighbours_equal_and_opposite_are_a_sense_wire(size):
    found = verdicts(fault="sense", size=size)
    assert sum(f == ("sense_wire", 5) for f in found) >= 5


def test_an_open_sense_wire_reads_nothing_and_both():
    trace = made_pack(Made(step_s=4.0))
    cells = trace.column("cell_voltage_v").copy()
    cells[3], cells[4] = 0.0, cells[3] + cells[4]
    columns = {**trace.columns, "cell_voltage_v": cells}
    (found,) = CellSpread().estimate(replace(trace, columns=columns), PACK)
    assert found.conditions["verdict"] == "sense_wire"
    assert found.conditions["verdict_cell"] == 3
    assert found.measurements["cell_voltage_spread_v"].value > 7.0


@pytest.mark.parametrize(
    ("pack_too", "kind"), [(True, "dead_cell"), (False, "sense_wire")]
)
@pytest.mark.parametrize("n", [8, 600])
def test_a_cell_at_nothing_is_dead_or_not_measured(pack_too, kind, n):
    trace = made_pack(Made(step_s=4.0))
    cells = trace.column("cell_voltage_v")[:, :n].copy()
    pack = trace.column("voltage_v")[:n].copy()
    if pack_too:
        pack -= cells[7]
    cells[7] = 0.0
    columns = {
        "cell_voltage_v": cells,
        "voltage_v": pack,
        "current_a": trace.column("current_a")[:n],
    }
    short = Trace("cell", None, trace.time_s[:n], [0], columns)
    (found,) = CellSpread().estimate(short, PACK)
    assert found.conditions["verdict"] == kind
    assert found.conditions["verdict_cell"] == 7


def test_a_lost_string_is_never_called_healthy():
    for lost in (1, 2):
        found = verdicts(fault="parallel", size=lost)
        assert all(kind != "nothing_found" for kind, _ in found)
        assert all(cell == 5 for _, cell in found)


def test_what_a_flat_curve_hides_is_not_called_healthy_without_saying_so():
    trace = made_pack(Made(chemistry="lfp", load="constant", step_s=4.0))
    (found,) = CellSpread().estimate(trace, PACK)
    assert "charge" not in str(found.conditions["told_apart"]).split(",")


def test_spread_by_state_is_that_of_the_cells():
    trace = made_pack(Made(fault="soc", size=-0.1, soc_spread=0.0, step_s=4.0))
    (found,) = CellSpread().estimate(trace, PACK)
    rest = found.measurements["cell_voltage_spread_v"].value
    at = found.conditions["lowest_cell"]
    assert at == 5
    assert rest == pytest.approx(0.07, abs=0.03)  # 10 % of charge on this curve
    assert set(found.measurements) >= {
        "cell_voltage_spread_load_v",
        "cell_voltage_spread_low_v",
        "cell_voltage_spread_high_v",
    }


def test_noise_alone_makes_no_spread():
    made = Made(load="rest", soc_spread=0.0, noise_v=0.01, step_s=4.0)
    (found,) = CellSpread().estimate(made_pack(made), PACK)
    assert found.measurements["cell_voltage_spread_v"].value < 0.002


def test_cells_permuted_give_the_same_spread_and_weak_cell():
    trace = made_pack(Made(fault="capacity", size=0.25, step_s=4.0, gradient_k=0.0))
    order = np.roll(np.arange(16), 3)
    cells = trace.column("cell_voltage_v")[order]
    turned = replace(trace, columns={**trace.columns, "cell_voltage_v": cells})
    (one,), (other,) = (CellSpread().estimate(t, PACK) for t in (trace, turned))
    name = "cell_voltage_spread_v"
    assert one.measurements[name] == other.measurements[name]
    assert order[other.conditions["verdict_cell"]] == one.conditions["verdict_cell"]


def test_strings_come_from_the_pack_where_it_states_them():
    cells = tuple(Cell(n_parallel=3) for _ in range(16))
    pack = replace(PACK, modules=(Module(cells=cells),))
    trace = made_pack(Made(fault="parallel", size=1, step_s=4.0))
    (stated,) = CellSpread().estimate(trace, pack)
    (given,) = CellSpread(n_parallel=3).estimate(trace, PACK)
    assert stated.conditions["verdict_best"] == given.conditions["verdict_best"]


def test_two_cells_and_a_wrong_sign_are_refused():
    trace = made_pack(Made(step_s=4.0))
    two = {**trace.columns, "cell_voltage_v": trace.column("cell_voltage_v")[:2]}
    with pytest.raises(EstimateError) as caught:
        CellSpread().estimate(replace(trace, columns=two), PACK)
    assert caught.value.reasons == ("too_few_cells",)
    flipped = {**trace.columns, "current_a": -trace.column("current_a")}
    with pytest.raises(EstimateError) as caught:
        CellSpread().estimate(replace(trace, columns=flipped), PACK)
    assert caught.value.reasons == ("wrong_sign",)
    with pytest.raises(InputError):
        build("spread", {"n_parallel": "0"})


def test_curves_have_one_point_per_cell():
    trace = made_pack(Made(step_s=4.0))
    method = CellSpread()
    (found,) = method.estimate(trace, PACK)
    (curve,) = method.curves(trace, PACK, found)
    assert len(curve) == 16
    assert np.isfinite(curve.columns["resistance_ratio"]).all()
