"""The small drawing: nothing refused is lost, and nothing is out of its frame."""

import re
from typing import Any

import pytest

from battlife.reports.capacity_svg import capacity_svg


def entries(n: int, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "cycle": i,
            "discharge_capacity_ah": 2.0,
            "uncertainty": 0.01,
            "status": "ok",
            "reasons": [],
            **changes,
        }
        for i in range(n)
    ]


def test_one_discharge_has_one_tick_and_stands_in_the_middle() -> None:
    svg = capacity_svg(entries(1))
    ticks = re.findall(r'y="221">(-?[\d.]+)<', svg)
    assert ticks == ["0"]
    assert 'cx="386.0"' in svg
    assert "discharge 0: 2 Ah ± 0.02 Ah (k = 2)" in svg


def test_refused_discharges_are_counted_by_reason_in_words() -> None:
    refused = entries(2, status="refused", reasons=["cutoff_not_reached"])
    empty = entries(1, discharge_capacity_ah=None)
    svg = capacity_svg([*entries(3), *refused, *empty])
    assert "3 accepted" in svg
    assert "3 refused (crosses): 2 cut-off voltage not reached, 1 no capacity" in svg
    assert svg.count('class="x"') == 2
    assert svg.count("<circle") == 3


def test_a_long_history_keeps_its_extremes_and_says_what_is_left_out() -> None:
    history = entries(100_000)
    history[54_321]["discharge_capacity_ah"] = 0.5
    svg = capacity_svg(history, budget_bytes=12_000)
    assert len(svg) < 15_000
    assert re.search(r"100000 accepted.* of them drawn, the extremes", svg)
    heights = {y for _, y in re.findall(r"M([\d.]+) ([\d.]+)h0", svg)}
    assert len(heights) == 2


def test_the_rated_capacity_is_a_line_unless_it_cannot_be() -> None:
    assert "rated 2.5 Ah" in capacity_svg(entries(2), 2.5)
    assert "rated" not in capacity_svg(entries(2), 2500.0)
    assert "rated" not in capacity_svg(entries(2), -1.0)


@pytest.mark.parametrize("value", [1e-320, 1e300, -3.0, 0.0])
@pytest.mark.parametrize("cycle", [10**18, -5, 0.25, "x", None, float("nan")])
def test_absurd_numbers_stay_inside_the_frame(value: float, cycle: object) -> None:
    history = entries(3, discharge_capacity_ah=value, uncertainty=1e300)
    svg = capacity_svg([*history, *entries(1, cycle=cycle)])
    numbers = [float(n) for n in re.findall(r'c[xy]="([^"]+)"', svg)]
    assert len(numbers) == 8
    assert all(0.0 <= n <= 720.0 for n in numbers)
