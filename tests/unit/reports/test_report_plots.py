"""Pictures: deterministic, and no spike is lost."""

from pathlib import Path

import numpy as np
import pytest

from battlife.errors import InputError
from battlife.model import Estimate, Measurement, Trace
from battlife.reports.plots import MAX_BINS, decimated, plot_capacity, plot_overview

pytest.importorskip("matplotlib")


def small() -> Trace:
    return Trace(
        "U$1",
        None,
        np.array([0.0, 60.0, 0.0, 60.0]),
        np.array([0, 2]),
        {"voltage_v": np.array([3.0, 3.1, 3.2, np.nan]), "current_a": np.ones(4)},
    )


def estimates() -> list[Estimate]:
    value = Measurement("discharge_capacity_ah", 1.9, 0.01, "Ah")
    name = "discharge_capacity_ah"
    return [
        Estimate("U", "capacity", "1", measurements={name: value}, cycle=0),
        Estimate("U", "capacity", "1", status="refused", reasons=("empty",), cycle=1),
    ]


def test_decimation_keeps_a_single_spike() -> None:
    y = np.zeros(1_000_000)
    y[123_457] = 5.0
    y[700_001] = -5.0
    x, kept = decimated(np.arange(y.size, dtype=float), y)
    assert x.size <= 2 * MAX_BINS
    assert (np.diff(x) > 0).all()
    assert x[kept == 5.0].tolist() == [123_457.0]
    assert x[kept == -5.0].tolist() == [700_001.0]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".html"])
def test_the_same_trace_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    first, again = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    plot_overview(small(), estimates(), first)
    plot_overview(small(), estimates(), again)
    assert first.read_bytes() == again.read_bytes()
    assert first.stat().st_size > 5000


def test_capacities_alone_and_an_unknown_suffix(tmp_path: Path) -> None:
    plot_capacity(estimates(), tmp_path / "c.svg")
    assert (tmp_path / "c.svg").read_bytes().startswith(b"<?xml")
    with pytest.raises(InputError, match=r"\.bmp"):
        plot_capacity(estimates(), tmp_path / "c.bmp")
