import numpy as np
import pytest

from battlife.estimators import ESTIMATORS
from battlife.model import Pack, Spectrum, Trace
from battlife.model.learned import Model
from battlife.pipeline.methods import choose, model_for

PACK = Pack("u")


def log(current=(0.0, 1.0, 0.0), period_s=1.0, spectra=(), **columns):
    n = len(current)
    time = np.arange(n) * period_s
    filled = {"current_a": current, "voltage_v": np.full(n, 3.7)} | columns
    return Trace("u", None, time, [0], filled, spectra=spectra)


def test_every_method_is_run_or_left_out_with_a_reason():
    chosen = choose(log(), PACK, None)
    assert set(chosen.methods) | set(chosen.left_out) >= set(ESTIMATORS)
    assert not set(chosen.methods) & set(chosen.left_out)
    assert all(chosen.left_out.values())
    assert chosen.methods == ("capacity", "dcir")


@pytest.mark.parametrize(
    ("trace", "method"),
    [
        (log(cell_voltage_v=np.full((2, 3), 3.7)), "spread"),
        (log(reported_soh=np.full(3, 1.0)), "anomaly"),
        (log(spectra=(Spectrum([1.0], [1.0], [0.0]),)), "eis"),
        (log(np.r_[1.0, np.zeros(100)], 300.0), "self_discharge"),
        (log(np.tile([1.0, -1.0], 12)), "knee"),
    ],
)
def test_what_a_log_holds_decides(trace, method):
    assert method in choose(trace, PACK, None).methods


def test_a_model_is_used_by_its_own_method_alone():
    model = Model("pulse", "1", "soh", "1")
    chosen = choose(log(), PACK, model)
    assert "pulse" in chosen.methods
    other = choose(log(), PACK, Model("partial_charge", "1", "soh", "1"))
    assert "pulse" in other.left_out


@pytest.mark.parametrize(
    "trace",
    [
        Trace("u", None, [], [0], {}),
        Trace("u", None, [], [0], {"current_a": [], "voltage_v": []}),
        log(np.full(3, np.nan)),
    ],
    ids=["empty", "no samples", "nan"],
)
def test_a_trace_without_anything_chooses_without_failing(trace):
    assert choose(trace, PACK, None).methods == ("capacity", "dcir")


@pytest.mark.parametrize("made_for", ["soc_ekf", "soc_spkf", "awtls"])
def test_a_model_of_the_cell_gives_its_total_capacity(made_for):
    chosen = choose(log(), PACK, Model(made_for, "1", "soc", "1"))
    assert "awtls" in chosen.methods
    assert "awtls" not in chosen.left_out


@pytest.mark.parametrize(
    ("made_for", "given_to"),
    [
        ("soc_ekf", {"soc_ekf", "awtls"}),
        ("awtls", {"awtls"}),
        ("pulse", {"pulse"}),
        ("knee", {"knee"}),
    ],
)
def test_a_model_is_given_to_no_method_that_it_was_not_made_for(made_for, given_to):
    model = Model(made_for, "1", "soh", "1")
    assert {m for m in ESTIMATORS if model_for(m, model) is model} == given_to
    assert all(model_for(m, None) is None for m in ESTIMATORS)
