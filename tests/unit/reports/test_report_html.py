"""The page: nothing from outside becomes markup, and it stays small."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from battlife.errors import InputError
from battlife.reports.html import page, write_page

EVIL = '<script>alert("x")</script>\' onload="y'


def result(unit: str = "U1") -> dict[str, object]:
    return {
        "unit": unit,
        "route": "REUSE",
        "status": "graded",
        "soh_capacity": {"value": 0.9123, "uncertainty": 0.004, "unit": "1"},
        "clearance": {"cleared": False, "missing": [unit]},
        "reasons": [{"rule": unit, "outcome": "not_met", "message": unit}],
        "policy": {"name": unit, "version": unit, "sha256": "0"},
        "sources": [{"path": unit, "sha256": "0"}],
        "error": {"type": unit, "message": unit, "hint": unit},
        "history": [
            {"cycle": i, "discharge_capacity_ah": 2.0 - i / 1e4, "status": unit}
            for i in range(600)
        ],
    }


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_nothing_from_outside_becomes_markup() -> None:
    tags = Tags()
    text = page([result(EVIL)])
    tags.feed(text)
    assert [t for t, _ in tags.seen].count("script") == 1
    assert not any("onload" in attrs for _, attrs in tags.seen)
    assert "http" not in text


def test_the_page_says_what_was_found() -> None:
    text = page([result(), {"unit": "B", "status": "error", "route": None}])
    assert "91.2 ± 0.4" in text
    assert "<b>1</b> REUSE" in text
    assert "<b>1</b> error" in text
    assert "not cleared to charge, transport or install" in text
    assert '<td class="n" data-k="">–</td>' in text


def test_two_thousand_units_stay_below_20_mb_and_plots_wait() -> None:
    text = page([result()] * 2000)
    assert len(text.encode()) < 20_000_000
    assert text.count("<template>") == 4000


def test_writing(tmp_path: Path) -> None:
    path = tmp_path / "p.html"
    write_page([result()], path)
    assert path.read_text(encoding="utf-8") == page([result()])
    with pytest.raises(InputError, match="nowhere"):
        write_page([], tmp_path / "nowhere" / "p.html")
