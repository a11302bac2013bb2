"""Filters on measured drive cycles; the data are private and not shipped.

The models are fitted to the same records, so that these figures say that nothing broke,
not how well another profile is followed.
"""

import numpy as np
import pytest
from scipy.io import loadmat

from battlife.estimators.cell_models import calibrate_cell_model, esc_cell_model
from battlife.estimators.soc_ekf import ExtendedFilter
from battlife.model import Pack, Trace
from battlife.pipeline.sources import LoadOptions, load_units_of
from battlife.readers.esc_model import read_esc_numbers
from support import SHARED

FOLDER = SHARED / "drive_cycles"
PACK = Pack("cell", sensor={"current_relative": 0.003, "voltage_v": 0.0006})
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the private drive cycles are not here"
)


def load(name):
    (unit,) = load_units_of(FOLDER / name, LoadOptions())
    return unit.trace


def part(trace, start, stop):
    columns = {n: c[start:stop] for n, c in trace.columns.items()}
    return Trace(trace.unit_id, None, trace.time_s[start:stop], [0], columns)


def scored(method, trace, truth):
    """Return RMSE after 10 min, share inside the bound then, and before."""
    (found,) = method.estimate(trace, PACK)
    assert found.status == "ok", found.reasons
    curve = method.curves(trace, PACK, found)[0].columns
    late = curve["time_s"] - curve["time_s"][0] > 600
    inside = (truth >= curve["soc_low"]) & (truth <= curve["soc_high"])
    error = (curve["soc"] - truth)[late]
    rmse = float(np.sqrt(np.mean(error**2)))
    return rmse, float(inside[late].mean()), float(inside[~late].mean())


def test_lfp_from_the_middle_of_its_plateau():
    trace = load("A123_DST.csv")
    units = [(load("A123_OCV_charge_C20.csv"), PACK), (trace, PACK)]
    model, fits = calibrate_cell_model(units)
    assert fits[1].half_rmse_v < 0.005
    time, current = trace.time_s, trace.column("current_a")
    mean = 0.5 * (current[1:] + current[:-1])
    charge = np.concatenate([[0.0], np.cumsum(np.diff(time) * mean)]) / 3600
    top = int(charge.argmax())
    soc = 1.0 + (charge - charge[top]) / 1.055
    stop = int(np.searchsorted(time, 14990.0))
    for begin, wrong in ((1.0, None), (0.6, None), (0.6, 0.85), (0.6, 0.35)):
        start = top + int(np.argmax(soc[top:] <= begin))
        rmse, held, early = scored(
            ExtendedFilter(soc_initial=wrong, model=model),
            part(trace, start, stop),
            soc[start:stop],
        )
        assert rmse < 0.02
        assert min(held, early) > 0.95


@pytest.mark.parametrize("based", [False, True])
def test_nmc_at_25_degc(based):
    path = FOLDER / "E2_DYN_35_P25.mat"
    data = loadmat(str(path), squeeze_me=True, struct_as_record=False)["DYNData"]
    truth = data.script1.soc
    trace = load(path.name)
    base = esc_cell_model(*read_esc_numbers(FOLDER / "E2model.mat")) if based else None
    model, _ = calibrate_cell_model([(trace, PACK)], base=base)
    for begin in (1.0, 0.6):
        start = int(np.argmax(truth <= begin))
        rmse, held, early = scored(
            ExtendedFilter(model=model),
            part(trace, start, truth.size),
            truth[start:],
        )
        assert rmse < 0.01
        assert min(held, early) > 0.95


def test_the_wrong_cell_is_refused():
    base = esc_cell_model(*read_esc_numbers(FOLDER / "E2model.mat"))
    (found,) = ExtendedFilter(model=base).estimate(load("A123_DST.csv"), PACK)
    assert found.reasons == ("voltage_outside_model",)
