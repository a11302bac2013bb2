"""State of health: which discharge, against which reference, at which temperature."""

from dataclasses import replace

import pytest
from simulated_cells import PACK

from battlife.errors import EstimateError
from battlife.estimators.soh import state_of_health
from battlife.model import Estimate, Measurement


def capacity(ah, cycle=0, degc=25.0, *, load=-2.0, u=0.01, reasons=(), status="ok"):
    """Return a capacity estimate as the capacity method makes them."""
    measurements = {
        "discharge_capacity_ah": Measurement("discharge_capacity_ah", ah, u, "Ah"),
        "discharge_energy_wh": Measurement(
            "discharge_energy_wh", 3.6 * ah, None if u is None else 4 * u, "Wh"
        ),
    }
    return Estimate(
        unit_id="cell",
        method="capacity",
        method_version="1",
        status=status,
        reasons=reasons,
        measurements=measurements if status == "ok" else {},
        conditions={
            "ambient_temperature_degc": degc,
            "cutoff_v": 2.7,
            "load": "constant",
            "load_current_a": load,
            "c_rate": 1.0,
            "rule": "trapezoid",
        },
        cycle=cycle,
        trace_sha256="ab",
    )


def test_charge_and_energy_are_two_things_with_their_references():
    by_charge, by_energy = state_of_health([capacity(1.8, 4)], PACK)
    assert by_charge.method == "soh_capacity"
    assert by_charge.measurements["soh_capacity"].value == pytest.approx(0.9)
    assert by_charge.measurements["soh_capacity"].uncertainty == pytest.approx(0.005)
    assert by_energy.measurements["soh_energy"].value == pytest.approx(6.48 / 7.4)
    assert by_energy.measurements["soh_energy"].unit == "1"
    conditions = by_charge.conditions
    assert conditions["reference"] == "nominal_ah"
    assert conditions["nominal_ah"] == 2.0
    assert conditions["nominal_source"] == "units.toml"
    assert conditions["discharge"] == 4
    assert conditions["c_rate"] == 1.0
    assert by_charge.trace_sha256 == "ab"


def test_scatter_of_the_last_three_enters_the_uncertainty():
    values = (2.0, 1.78, 1.80, 1.82)  # the first is older than three
    series = [capacity(v, k) for k, v in enumerate(values)]
    soh, _ = state_of_health(series, PACK)
    found = soh.measurements["soh_capacity"]
    assert found.value == pytest.approx(0.91)
    assert found.uncertainty == pytest.approx((0.01**2 + 0.02**2) ** 0.5 / 2)
    assert soh.conditions["repeats"] == "1,2,3"


def test_unlike_loads_are_no_repeats():
    series = [capacity(1.4, 0, load=-4.0), capacity(1.8, 1)]
    soh, _ = state_of_health(series, PACK)
    assert soh.conditions["repeats"] == "1"
    assert soh.measurements["soh_capacity"].uncertainty == pytest.approx(0.005)


def test_a_capacity_at_4_degc_is_not_a_25_degc_soh():
    for estimate in state_of_health([capacity(1.0, degc=4.0)], PACK):
        assert estimate.status == "ok"
        assert estimate.reasons == ("not_at_reference_temperature",)
        assert list(estimate.measurements) == [f"{estimate.method}_at_temperature"]


def test_a_recent_discharge_at_reference_is_preferred_an_old_one_is_not():
    cold = [capacity(1.0, k, 4.0) for k in range(1, 10)]
    soh, _ = state_of_health([capacity(1.8, 0), *cold], PACK)
    assert soh.conditions["discharge"] == 0
    later = [capacity(1.0, 10, 4.0)]
    soh, _ = state_of_health([capacity(1.8, 0), *cold, *later], PACK)
    assert soh.conditions["discharge"] == 10
    assert "soh_capacity" not in soh.measurements


def test_an_unknown_temperature_is_said():
    soh, _ = state_of_health([capacity(1.8, degc=None)], PACK)
    assert soh.reasons == ("temperature_unknown",)
    assert "soh_capacity" in soh.measurements


@pytest.mark.parametrize("ah", [18.3, 0.03])
def test_an_soh_that_cannot_be_is_refused(ah):
    soh, _ = state_of_health([capacity(ah)], PACK)
    assert soh.status == "refused"
    assert soh.reasons == ("wrong_reference",)
    assert not soh.measurements
    assert soh.conditions["nominal_ah"] == 2.0


def test_without_a_reference_there_is_none():
    bare = replace(PACK, nominal_ah=None, nominal_wh=None)
    by_charge, by_energy = state_of_health([capacity(1.8)], bare)
    assert by_charge.reasons == ("no_reference_capacity",)
    assert by_energy.reasons == ("no_reference_energy",)


def test_refused_and_doubtful_discharges_do_not_count():
    refused = capacity(1.0, 2, status="refused", reasons=("fragment",))
    unlike = capacity(1.0, 3, reasons=("unlike_neighbours",))
    soh, _ = state_of_health([capacity(1.8, 1), refused, unlike], PACK)
    assert soh.conditions["discharge"] == 1
    soh, _ = state_of_health([refused, unlike], PACK)
    assert soh.reasons == ("no_complete_discharge",)
    with pytest.raises(EstimateError):
        state_of_health([], PACK)


def test_unknown_uncertainty_stays_unknown():
    soh, _ = state_of_health([capacity(1.8, u=None)], PACK)
    assert soh.measurements["soh_capacity"].uncertainty is None
    assert soh.reasons == ("uncertainty_unknown",)
