"""Numbers a grade must not rest on: unknown temperature, percent, absurd ratings."""

import numpy as np
import pytest

from battlife.errors import InputError
from battlife.grading import grade, hold_evidence, load_policy
from battlife.grading.evidence import Evidence
from battlife.grading.loading import parse_policy
from battlife.model import Pack, Route, Trace

POLICY = load_policy(None)
PACK = Pack("U", chemistry="NMC", nominal_ah=30.0, nominal_wh=111.0)


def soh(name, degc):
    return Evidence(name, 0.89, 0.91, 0.9, "1", "measured", degc)


@pytest.mark.parametrize(("degc", "route"), [(25.0, Route.REUSE), (None, Route.RETEST)])
def test_an_soh_at_unknown_temperature_is_no_evidence(degc, route):
    evidence = {name: soh(name, degc) for name in ("soh_capacity", "soh_energy")}
    result = grade(POLICY, "U", evidence, PACK)
    assert result.route is route
    said = any("temperature_unknown" in r.message for r in result.reasons)
    assert said == (degc is None)


@pytest.mark.parametrize("limit", ["80", "-0.8", "1.6"])
def test_a_threshold_of_a_fraction_in_percent_is_refused(limit):
    text = POLICY.toml.replace("limit = 0.80", f"limit = {limit}", 1)
    with pytest.raises(InputError, match=r"limit must be a number from 0 to 1\.5"):
        parse_policy(text.encode(), "mine")


def test_a_rating_that_cannot_be_turns_no_load_into_a_rest():
    # An hour of 30 A down to 2.5 V, then a rest at 3.2 V.
    time = np.arange(0.0, 7200.0, 10.0)
    loaded = time < 3600.0
    current = np.where(loaded, -30.0, 0.0)
    voltage = np.where(loaded, 4.1 - 1.6 * time / 3600.0, 3.2)
    columns = {"current_a": current, "voltage_v": voltage}
    trace = Trace("U", None, time, [0], columns)
    for rated in (33.1, 33100.0):
        found = hold_evidence(trace, Pack("U", nominal_ah=rated))
        assert found["cell_voltage_resting_min_v"].value == pytest.approx(3.2)


def test_an_offset_at_rest_is_still_a_rest():
    time = np.arange(0.0, 3600.0, 10.0)
    columns = {
        "current_a": np.full(time.size, -0.3),
        "voltage_v": np.full(time.size, 1.5),
    }
    found = hold_evidence(
        Trace("U", None, time, [0], columns), Pack("U", nominal_ah=200.0)
    )
    assert found["cell_voltage_resting_min_v"].value == 1.5
