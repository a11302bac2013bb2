"""A capacity at an unknown temperature decides nothing until somebody states it."""

from dataclasses import replace
from pathlib import Path

import pytest

from battlife.errors import InputError
from battlife.grading import load_policy, parse_policy
from battlife.model import Pack, Route
from battlife.pipeline.evaluate import evaluate
from battlife.readers import read
from support import DATASETS

LEAF = DATASETS / "demo" / "leaf_ornl" / "1C-Discharge-Bitrode-data.csv"
SHIPPED = Path(__file__).parents[3] / "src/battlife/grading/default_policy.toml"


def test_unknown_temperature_is_missing_evidence_until_it_is_declared() -> None:
    (trace,) = read(LEAF)
    pack = Pack("leaf", nominal_ah=33.1, nominal_source="command line")
    unknown = evaluate(trace, pack, load_policy())
    assert unknown.grade is not None
    assert unknown.grade.route is Route.RETEST
    assert any("temperature_unknown" in r.message for r in unknown.grade.reasons)
    declared = evaluate(trace, replace(pack, test_degc=25.0), load_policy())
    assert declared.grade is not None
    assert declared.grade.route is Route.REPURPOSE
    cold = evaluate(trace, replace(pack, test_degc=4.0), load_policy())
    assert cold.grade is not None
    assert cold.grade.route is Route.RETEST


def test_a_limit_in_percent_is_refused() -> None:
    text = SHIPPED.read_text("utf-8").replace("limit = 0.80", "limit = 80", 1)
    with pytest.raises(InputError, match="limit"):
        parse_policy(text.encode(), "percent.toml")
