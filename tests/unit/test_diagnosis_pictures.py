"""The pictures of knee, spread, anomaly and self-discharge are drawn."""

import pytest

import knee_samples
import pack_samples
import rest_samples
from battlife.estimators import build
from battlife.reports.method_plots import plot_method
from estimator_samples import PACK

TRACES = {
    "knee": knee_samples.ageing,
    "spread": pack_samples.driven,
    "anomaly": pack_samples.cycled,
    "self_discharge": rest_samples.charged,
}


@pytest.mark.parametrize("method", sorted(TRACES))
@pytest.mark.parametrize("empty", [False, True])
def test_a_picture_is_drawn(method, empty, tmp_path):
    trace = TRACES[method]()
    built = build(method)
    found = [] if empty else built.estimate(trace, PACK)
    results = [(e, built.curves(trace, PACK, e)) for e in found]
    target = tmp_path / f"{method}.png"
    plot_method(method, trace, results, target)
    assert target.read_bytes().startswith(b"\x89PNG")
