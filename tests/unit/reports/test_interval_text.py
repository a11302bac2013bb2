"""Numbers as people read them: two digits of the uncertainty, at any size."""

import math
import re

import pytest

from battlife.cli._output import quantity_text
from battlife.reports.wording import interval


@pytest.mark.parametrize(
    ("value", "u", "text"),
    [
        (3e-6, 2e-7, "(3.00 ± 0.40)e-6"),
        (-2.2e-8, 1e-9, "(-2.20 ± 0.20)e-8"),
        (0.0028758, 1.8e-5, "0.002876 ± 0.000036"),
        (1.9876, 0.006, "1.988 ± 0.012"),
        (123456.7, 300.0, "123457 ± 600"),
        (1e-9, 5e-3, "0.000 ± 0.010"),
        (0.0, 1e-8, "(0.0 ± 2.0)e-8"),
        (3.7, 1e-12, "3.7 ± 2e-12"),
        (5.0, 0.0, "5 ± 0"),
        (0.0, 0.0, "0 ± 0"),
        (0.87123, None, "0.8712"),
        (2.5e-7, None, "2.5e-07"),
        (math.nan, 1.0, ""),
        (True, 1.0, ""),
    ],
)
def test_an_interval_shows_two_digits_of_its_uncertainty(value, u, text):
    assert interval(value, u) == text


@pytest.mark.parametrize("exponent", range(-12, 7))
@pytest.mark.parametrize("relative", [1e-5, 1e-3, 0.2, 5.0])
def test_neither_value_nor_uncertainty_is_rounded_away(exponent, relative):
    value = 3.1416 * 10.0**exponent
    u = relative * value
    text = interval(value, u)
    a, b, power = re.fullmatch(r"\(?(\S+) ± ([^)]+)\)?(?:e(-?\d+))?", text).groups()
    scale = 10.0 ** int(power or 0)
    assert float(b) * scale == pytest.approx(2 * u, rel=0.06)
    assert float(a) * scale == pytest.approx(value, abs=0.1 * u + 1e-6 * value)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (None, "–"),
        ({"value": None, "unit": "V"}, "–"),
        ({"value": 0.871, "uncertainty": 0.01, "unit": "1"}, "87.1 ± 2.0 %"),
        ({"value": 3e-6, "uncertainty": 2e-7, "unit": "A"}, "(3.00 ± 0.40)e-6 A"),
        ({"value": 2.0, "uncertainty": None, "unit": "Ah"}, "2 Ah"),
        (
            {"value": 0.871, "unit": "1", "low": 0.85, "high": 0.893, "coverage": 0.9},
            "87.1 % (85.0 to 89.3)",
        ),
        (
            {"value": 3e-8, "unit": "A", "low": 0.0, "high": 5e-8, "coverage": 0.95},
            "3e-08 A (0 to 5e-08)",
        ),
    ],
)
def test_a_measured_object_has_its_unit_beside_the_value(row, text):
    assert quantity_text(row) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("knee_cycle", "619 (587 to 644)"),
        ("capacity_fade_per_cycle", "61900 % (58700 to 64400)"),
    ],
)
def test_a_number_of_cycles_is_no_percentage(name, text):
    row = {"value": 619.0, "unit": "1", "low": 587.0, "high": 644.0, "coverage": 0.9}
    assert quantity_text(row, name) == text
