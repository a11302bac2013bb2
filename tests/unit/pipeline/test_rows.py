"""Objects of the contract: missing is null, numbers are numbers."""

import math

from battlife.errors import InputError
from battlife.model import Measurement, Notice, Outcome, Reason
from battlife.pipeline import rows


def test_missing_is_none_and_never_zero() -> None:
    assert rows.measured(None) is None
    nan = Measurement("x_v", math.nan, math.inf, "V")
    assert rows.measured(nan) == {"value": None, "uncertainty": None, "unit": "V"}


def test_an_interval_is_shown_where_there_is_one() -> None:
    found = rows.measured(Measurement("soh", 0.8, 0.01, "1", 0.78, 0.82, 0.9))
    assert found == {
        "value": 0.8,
        "uncertainty": 0.01,
        "unit": "1",
        "low": 0.78,
        "high": 0.82,
        "coverage": 0.9,
    }


def test_an_error_keeps_its_type_and_hint() -> None:
    assert rows.error_row(InputError("broken", "mend it")) == {
        "type": "InputError",
        "message": "broken",
        "hint": "mend it",
    }


def test_repeated_notices_are_shown_once() -> None:
    notice = Notice("a", "b")
    assert rows.notice_rows([notice, notice]) == [
        {"code": "a", "severity": "warning", "message": "b"}
    ]


def test_straddling_counts_as_missing_evidence() -> None:
    found = rows.reason_row(Reason("r", Outcome.STRADDLES, "soh", 0.7, 0.9, 0.8))
    assert found["outcome"] == "missing"
    assert found["straddles"] is True
