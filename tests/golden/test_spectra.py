"""Spectra of real exports: what they are known to be, and what must be refused."""

from pathlib import Path

import pytest

from battlife.estimators.eis import ImpedanceSpectrum
from battlife.model import Pack
from battlife.pipeline.sources import LoadOptions, load_units_of
from support import DATASETS, SHARED

EXPORTS = DATASETS / "exports"
RIG = Pack("cell", sensor={"current_relative": 0.005, "voltage_relative": 0.001})
PRIVATE = SHARED / "exports"


def spectra(path: Path):
    (unit,) = load_units_of(path, LoadOptions())
    return ImpedanceSpectrum().estimate(unit.trace, RIG)


def value(found, name):
    return found.measurements[name].value


def test_a_resistor_and_an_rc_agree_with_impedance_py():
    """impedance.py 1.7.1 fits R0-p(R1,C1) to it, weighted by modulus."""
    path = EXPORTS / "zplot_z" / "Circuit2_EIS_2.z"
    (chosen,) = spectra(path)
    # The leads have an inductance too, which its example does not look for.
    assert chosen.conditions["circuit"] == "L-R-RC"
    assert chosen.conditions["kk_rms"] < 0.002
    (unit,) = load_units_of(path, LoadOptions())
    (found,) = ImpedanceSpectrum(circuit="R-RC").estimate(unit.trace, RIG)
    for name, peer in (
        ("ohmic_resistance_ohm", 149.738581),
        ("arc1_resistance_ohm", 502.653699),
        ("arc1_time_constant_s", 502.653699 * 3.12061690e-08),
    ):
        assert value(found, name) == pytest.approx(peer, rel=5e-4), name


def test_versastudio_needs_three_arcs():
    (found,) = spectra(EXPORTS / "princeton_applied" / "exampleDataVersaStudio.par")
    assert found.conditions["circuit"] == "L-R-ZARC-ZARC-ZARC"
    assert found.conditions["fit_rms"] < 0.008
    total = value(found, "polarisation_resistance_ohm")
    total += value(found, "ohmic_resistance_ohm")
    # The lowest frequency is nearly real: 1516 ohm, and a little is still to come.
    assert 1516 < total < 1650
    assert value(found, "ac_resistance_1khz_ohm") == pytest.approx(75.1, rel=0.01)


@pytest.mark.parametrize(
    ("name", "reason", "worst_hz"),
    [
        # A wave of 4 % where the analyser changes its way of measuring; pyimpspec 5.1
        # leaves 1.3 to 2.2 %, as impedance or admittance, with times beyond the sweep.
        ("chinstruments_txt/exampleDataCHInstruments.txt", "kk_failed", 1.468),
        # 3 % noise on 64 ohm above 2 Hz; pyimpspec leaves 1.9 to 2.2 %.
        ("biologic_mpt/exampleDataBioLogic.mpt", "spectrum_noisy", 56.24),
    ],
)
def test_spectra_that_break_kramers_kronig_are_refused(name, reason, worst_hz):
    (found,) = spectra(EXPORTS / name)
    assert found.status == "refused"
    assert found.reasons == (reason,)
    assert found.conditions["kk_rms"] > 0.012
    named = [float(f) for f in found.conditions["kk_worst_hz"].split(", ")]
    assert len(named) == 3
    assert worst_hz in named
    assert not found.measurements


def test_zplot_without_comments_is_an_open_arc():
    (found,) = spectra(EXPORTS / "zplot_z" / "exampleDataZPlot_noComments.z")
    assert found.conditions["circuit"].endswith(("CPE", "W"))
    for name in ("arc1_resistance_ohm", "arc2_resistance_ohm"):
        # Its lower end is missing: the uncertainty must say so.
        m = found.measurements[name]
        assert m.uncertainty > 0.15 * m.value


@pytest.mark.skipif(not PRIVATE.is_dir(), reason="the shared data are not at hand")
def test_the_circuit_that_made_a_spectrum_is_found():
    """pyimpspec's test data: 100, 200 with 0.8 uF, 500 with a Warburg of 4e-4."""
    found = spectra(PRIVATE / "ivium" / "data.ids")
    assert len(found) == 2
    for estimate in found:
        assert value(estimate, "ohmic_resistance_ohm") == pytest.approx(100, rel=1e-4)
        assert value(estimate, "arc1_resistance_ohm") == pytest.approx(200, rel=1e-4)
        assert value(estimate, "arc1_time_constant_s") == pytest.approx(
            200 * 8e-7, rel=1e-3
        )
        assert value(estimate, "arc2_resistance_ohm") == pytest.approx(500, rel=1e-4)
        assert value(estimate, "arc2_time_constant_s") == pytest.approx(
            (500 * 4e-4) ** 2, rel=1e-3
        )
        assert estimate.conditions["arc2_exponent"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.skipif(not PRIVATE.is_dir(), reason="the shared data are not at hand")
def test_four_spectra_of_a_biologic_file_and_a_resistor():
    found = spectra(PRIVATE / "biologic_mpr" / "peis.issue_149.mpr")
    assert [e.cycle for e in found] == [0, 1, 2, 3]
    arcs = [value(e, "polarisation_resistance_ohm") for e in found]
    assert arcs == sorted(arcs, reverse=True)
    assert all(e.conditions["kk_rms"] < 0.001 for e in found)
    (resistor,) = spectra(PRIVATE / "palmsens" / "data.pssession")
    assert resistor.reasons == ("no_circuit_fits", "temperature_unknown")
    assert value(resistor, "ac_resistance_1khz_ohm") == pytest.approx(9985, rel=0.01)
