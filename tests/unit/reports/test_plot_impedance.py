"""Pictures of spectra and pulses hold what the estimates say."""

import pytest

from battlife.estimators.ecm import PulseCircuit
from battlife.estimators.eis import ImpedanceSpectrum
from battlife.estimators.power import PowerCapability
from battlife.model import Pack
from battlife.reports.method_plots import plot_method
from eis_samples import noisy, spectrum_trace
from pulse_samples import hppc

PACK = Pack("cell", sensor={"current_a": 0.004, "voltage_v": 0.002})


def results(method, trace):
    return [
        (e, method.curves(trace, PACK, e))
        for e in method.estimate(trace, PACK)
        if e.status == "ok"
    ]


def drawn(name, trace, found, tmp_path):
    path = tmp_path / f"{name}.svg"
    plot_method(name, trace, found, path)
    again = tmp_path / f"{name}-again.svg"
    plot_method(name, trace, found, again)
    assert path.read_bytes() == again.read_bytes()
    return path.read_text("utf-8")


def test_a_spectrum_is_drawn_with_its_circuit(tmp_path):
    trace = spectrum_trace(noisy())
    found = results(ImpedanceSpectrum(), trace)
    svg = drawn("eis", trace, found, tmp_path)
    assert "#0 L-R-ZARC-W" in svg
    for text in ("Kramers–Kronig residual / %", "Relaxation time / s", "Re Z / mΩ"):
        assert text in svg


def test_pulses_are_drawn_over_the_charge_taken(tmp_path):
    trace = hppc()
    found = results(PulseCircuit(), trace)
    svg = drawn("ecm", trace, found, tmp_path)
    for text in ("R0, discharge", "R2, charge", "Ah below top", "Resistance / mΩ"):
        assert text in svg
    # Six pulses of one direction, not all eighteen.
    assert svg.count("Ah below top") == 6


def test_power_is_drawn_beside_its_pulses(tmp_path):
    trace = hppc()
    found = results(PowerCapability(min_v=3.3, max_v=4.2), trace)
    svg = drawn("power", trace, found, tmp_path)
    for text in ("Resistance / mΩ", "charge pulses", "discharge, bars ± 2u"):
        assert text in svg


@pytest.mark.parametrize(("name", "text"), [("eis", "spectrum"), ("ecm", "pulse")])
def test_nothing_accepted_is_said(name, text, tmp_path):
    svg = drawn(name, spectrum_trace(), [], tmp_path)
    assert f"every {text} was refused" in svg
