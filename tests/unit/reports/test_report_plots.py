"""Pictures: deterministic, no spike is lost, nothing is said that is not known."""

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from battlife.errors import InputError
from battlife.model import (
    STEP_KINDS,
    Estimate,
    Measurement,
    Notice,
    Provenance,
    Severity,
    Spectrum,
    StepTable,
    Trace,
)
from battlife.reports._panels import (
    clock_of,
    draw_capacity,
    draw_quantity,
    draw_spectra,
    draw_steps,
    draw_used,
    quantities_of,
    step_panels,
)
from battlife.reports.plots import (
    MAX_BINS,
    decimated,
    plot_capacity,
    plot_overview,
    plot_trace,
)

pytest.importorskip("matplotlib")


def small(unit: str = "U$1", **more: Any) -> Trace:
    return Trace(
        unit,
        None,
        np.array([0.0, 60.0, 0.0, 60.0]),
        np.array([0, 2]),
        {"voltage_v": np.array([3.0, 3.1, 3.2, np.nan]), "current_a": np.ones(4)},
        **more,
    )


def estimates() -> list[Estimate]:
    value = Measurement("discharge_capacity_ah", 1.9, 0.01, "Ah")
    name = "discharge_capacity_ah"
    refused = {"status": "refused", "reasons": ("cutoff_not_reached",)}
    return [
        Estimate("U", "capacity", "1", measurements={name: value}, cycle=0),
        Estimate("U", "capacity", "1", **refused, cycle=1),
    ]


def spectrum() -> Spectrum:
    frequency_hz = np.geomspace(0.01, 1e4, 60)
    z = 0.01 + 0.03 / (1 + 2j * np.pi * frequency_hz * 0.1)
    return Spectrum(frequency_hz, z.real, z.imag)


def axes(n: int = 1) -> list[Any]:
    from matplotlib.figure import Figure

    return list(np.ravel(Figure().subplots(n, 1)))


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
    assert len(list(tmp_path.iterdir())) == 2


def test_a_page_loads_nothing_and_escapes_the_unit(tmp_path: Path) -> None:
    plot_trace(small("<b>&U\u202e"), tmp_path / "p.html")
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "<title>&lt;b&gt;&amp;U" in text
    assert "<script" not in text
    assert "@import" not in text
    assert 'href="#' in text  # glyphs within the file; nothing else is referred to
    assert text.count("href=") == text.count('href="#')


def test_what_the_font_lacks_is_a_box_and_no_warning(tmp_path: Path) -> None:
    plot_overview(small("电池 1\n\x00"), estimates(), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_segments_that_restart_stand_end_to_end_and_the_line_breaks() -> None:
    trace = small()
    clock = clock_of(trace)
    assert clock.x.tolist() == [0.0, 60.0, 60.0, 120.0]
    assert clock.edges.tolist() == [60.0]
    assert clock.label == "Time / s; 2 segments end to end, pauses unknown"
    (axis,) = axes()
    draw_quantity(axis, trace, clock, "current_a")
    drawn = axis.lines[0].get_xdata()
    assert np.isnan(drawn).tolist() == [False, False, True, False, False]
    assert "positive charges" in axis.get_ylabel()


def test_a_pause_on_one_clock_is_seen() -> None:
    time_s = np.array([0.0, 60.0, 36_000.0, 36_060.0])
    trace = Trace("U", None, time_s, np.array([0, 2]), {"voltage_v": np.ones(4)})
    clock = clock_of(trace)
    assert clock.label == "Time / h"
    assert clock.x[2] == 10.0


def test_an_empty_quantity_is_not_drawn() -> None:
    columns = {"voltage_v": np.full(2, np.nan), "current_a": np.zeros(2)}
    trace = Trace("U", None, np.arange(2.0), np.array([0]), columns)
    assert quantities_of(trace) == ("current_a",)


def test_refused_discharges_are_crossed_and_told_in_words() -> None:
    (axis,) = axes()
    draw_capacity(axis, estimates())
    _, labels = axis.get_legend_handles_labels()
    assert "refused (1): cut-off voltage not reached" in labels
    assert "accepted (1), bars ± 2u" in labels
    (bars,) = axis.collections
    assert bars.get_segments()[0].tolist() == [[0.0, 1.88], [0.0, 1.92]]
    assert axis.get_ylim()[0] == 0.0
    assert axis.get_ylim()[1] > 1.92


def test_what_an_estimate_saw_is_marked() -> None:
    (axis,) = axes()
    seen = Estimate("U", "capacity", "1", start_sample=2, stop_sample=4)
    beyond = Estimate("U", "capacity", "1", start_sample=2, stop_sample=9)
    draw_used(axis, clock_of(small()), [seen, beyond])
    (bar,) = axis.collections[0].get_paths()
    assert bar.get_extents().x0 == 60.0
    assert bar.get_extents().x1 == 120.0


def test_a_spectrum_is_a_nyquist_diagram_with_equal_axes() -> None:
    nyquist, bode = axes(2)
    draw_spectra(nyquist, bode, [spectrum()])
    assert nyquist.get_aspect() == 1.0
    x, y = nyquist.lines[0].get_data()
    assert "mΩ" in nyquist.get_xlabel()
    assert x.max() == pytest.approx(40.0, rel=1e-3)
    assert y.max() == pytest.approx(15.0, rel=1e-2)  # half the diameter, upwards
    texts = [t.get_text() for t in nyquist.texts]
    assert "1 Hz" in texts
    assert len(texts) == len(set(texts))


def test_steps_are_drawn_with_the_sign_of_the_current() -> None:
    steps = StepTable(
        np.array([STEP_KINDS.index(k) for k in ("charge", "rest", "discharge")]),
        {
            "charge_capacity_ah": np.array([2.0, 0.0, 0.0]),
            "discharge_capacity_ah": np.array([0.0, 0.0, 1.5]),
            "start_voltage_v": np.array([3.0, 4.2, 4.1]),
            "end_voltage_v": np.array([4.2, 4.1, 3.0]),
        },
    )
    panels = step_panels(steps)
    assert panels == ("charge", "voltage")
    drawn = axes(2)
    draw_steps(drawn, steps, panels)
    ends = [c.get_segments()[0][1].tolist() for c in drawn[0].collections]
    assert ends == [[0.5, 2.0], [2.5, -1.5]]


def test_every_kind_of_source_becomes_a_picture(tmp_path: Path) -> None:
    none = np.array([])
    steps = StepTable(
        np.array([1, 2]),
        {n: np.ones(2) for n in ("discharge_capacity_ah", "max_temperature_degc")},
    )
    cells = {"cell_voltage_v": np.array([[3.0, 3.1], [3.2, np.nan]])}
    doubt = Notice("scaled", "current was doubled", Severity.SUSPECT)
    sources = {
        "steps": Trace("U", None, none, np.array([0]), {}, steps),
        "spectra": Trace(
            "U", None, none, np.array([0]), {}, None, tuple([spectrum()] * 12)
        ),
        "cells": Trace("U", None, np.arange(2.0), np.array([0]), cells),
        "empty": Trace("U", None, none, np.array([0]), {}),
        "suspect": small(provenance=Provenance(notices=(doubt,), simulated=True)),
    }
    for name, trace in sources.items():
        plot_trace(trace, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 3000


def test_capacities_alone_and_an_unknown_suffix(tmp_path: Path) -> None:
    plot_capacity(estimates(), tmp_path / "c.svg")
    assert (tmp_path / "c.svg").read_bytes().startswith(b"<?xml")
    plot_capacity([], tmp_path / "none.svg")
    with pytest.raises(InputError, match=r"\.bmp"):
        plot_capacity(estimates(), tmp_path / "c.bmp")


def test_a_failure_leaves_the_old_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        plot_trace(small(), tmp_path / "nowhere" / "a.png")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match=r"a\.png"):
        plot_trace(small(), tmp_path / "a.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_without_matplotlib_the_hint_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    level = logging.getLogger("matplotlib").level
    with pytest.raises(InputError, match="not installed") as caught:
        plot_trace(small(), tmp_path / "a.png")
    assert caught.value.hint == 'pip install "battlife[report]"'
    assert logging.getLogger("matplotlib").level == level
    assert list(tmp_path.iterdir()) == []
