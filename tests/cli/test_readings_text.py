"""Values as people read them."""

import pytest

from battlife.cli._readings import value_text
from battlife.model import Value


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("reported_soh", 0.87, "87 %"),
        ("leaf_soh_from_ah", 0.853, "85.3 %"),
        ("kona_display_soc", 0.5, "50 %"),
        ("hx", 0.925, "92.5 %"),
        ("leaf_as_new_ah", 65.6, "65.6 Ah"),
        ("voltage_v", 364.25, "364.25 V"),
        ("isolation_ohm", float("nan"), "missing"),
        ("dbc_BMS_soc", 87.0, "87"),
        ("balancing", False, "no"),
        ("fault_codes", (), "none"),
    ],
)
def test_a_value_has_its_own_unit(name: str, value: Value, text: str) -> None:
    assert value_text(name, value) == text
