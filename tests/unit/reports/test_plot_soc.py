"""Pictures of filters, also of records whose clock starts again."""

import numpy as np
import pytest

import filter_samples as cells
from battlife.estimators.soc_ekf import ExtendedFilter
from battlife.model import Pack, Trace
from battlife.reports.method_plots import plot_method

PACK = Pack("cell", sensor={"current_a": 0.006, "voltage_v": 0.001})


@pytest.mark.parametrize(("starts", "label"), [(2, ", segments in a row"), (1, "")])
def test_segments_are_drawn_one_after_the_other(tmp_path, starts, label):
    one = cells.drive()
    columns = {n: np.tile(c, starts) for n, c in one.columns.items()}
    time = np.tile(one.time_s, starts)
    first = [k * one.n_samples for k in range(starts)]
    trace = Trace("cell", None, time, first, columns)
    method = ExtendedFilter(model=cells.model())
    found = [(e, method.curves(trace, PACK, e)) for e in method.estimate(trace, PACK)]
    assert len(found) == starts
    path = tmp_path / "soc.svg"
    plot_method("soc_ekf", trace, found, path)
    assert f"<!-- Time / h{label} -->" in path.read_text("utf-8")
