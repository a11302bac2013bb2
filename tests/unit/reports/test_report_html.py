"""The page: nothing from outside becomes markup, and it stays small."""

import base64
import hashlib
import os
import re
import stat
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from battlife.errors import InputError
from battlife.reports.html import page, write_page

EVIL = '<script>alert("x")</script>\' onload="y'


def result(text: str = "U1", **changes: Any) -> dict[str, Any]:
    hold = {
        "rule": text,
        "outcome": "met",
        "straddles": False,
        "quantity": text,
        "low": 4.2,
        "high": 4.2,
        "limit": 4.3,
        "unit": text,
        "route": "",
        "message": f"{text} is within the limit, as a source of some length says",
    }
    reuse = hold | {
        "rule": "reuse_soh_capacity",
        "quantity": "soh_capacity",
        "low": 0.9043,
        "high": 0.9203,
        "limit": 0.8,
        "unit": "1",
        "route": "REUSE",
    }
    return {
        "unit": text,
        "route": "REUSE",
        "status": "graded",
        "soh_capacity": {"value": 0.9123, "uncertainty": 0.004, "unit": "1"},
        "soh_refused": ["no_reference_energy", text],
        "discharge_capacity_ah": {"value": 30.2889, "uncertainty": None, "unit": "Ah"},
        "dcir": [
            {"pulse_s": 10.0, "value": 0.0028758, "uncertainty": 1.778e-5, "unit": text}
        ],
        "clearance": {"cleared": False, "missing": ["visual", text]},
        "reasons": [*([hold] * 20), reuse],
        "policy": {"name": text, "version": text, "sha256": text},
        "sources": [{"path": f"logs/{text}", "sha256": text}],
        "archive": f"archives/{text}",
        "warnings": [text],
        "not_applicable": {text: text},
        "methods": [{"name": text, "version": text}],
        "nominal_ah": 2.0,
        "nominal_source": text,
        "operator": text,
        "software": text,
        "sensor": text,
        "measured_local": text,
        "history": [
            {
                "cycle": i,
                "discharge_capacity_ah": None if i == 7 else 2.0 - i / 1e4,
                "uncertainty": 0.01,
                "status": "refused" if i == 7 else "ok",
                "reasons": [text] if i == 7 else [],
            }
            for i in range(600)
        ],
        "error": None,
    } | changes


def failed(text: str, status: str) -> dict[str, Any]:
    error = {"type": "InputError", "message": text, "hint": text}
    return {
        "unit": None,
        "status": status,
        "route": None,
        "sources": [{"path": text, "sha256": ""}],
        "error": error,
    }


class Tags(HTMLParser):
    """Names, attributes, and whether every element that opens is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self.open.pop() == tag


def test_nothing_from_outside_becomes_markup() -> None:
    evil = Tags(page([result(EVIL), failed(EVIL, EVIL), result(EVIL, route=EVIL)]))
    tame = Tags(page([result("a"), failed("a", "a"), result("a", route="a")]))
    assert evil.open == []
    assert [t for t, _ in evil.seen] == [t for t, _ in tame.seen]
    assert [sorted(a) for _, a in evil.seen] == [sorted(a) for _, a in tame.seen]


def test_no_network_and_only_the_one_script_may_run() -> None:
    text = page([result()])
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    assert not any("src" in a or "href" in a for _, a in Tags(text).seen)
    policy = next(a for t, a in Tags(text).seen if t == "meta" and "content" in a)
    assert "default-src 'none'" in str(policy["content"])
    for tag in ("script", "style"):
        (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in str(policy["content"])


def test_a_row_says_what_was_found_with_two_standard_uncertainties() -> None:
    text = page([result()])
    assert '<td class="n" data-k="0.9123">91.23 ± 0.80</td>' in text
    assert '>30.29<span class="s">uncertainty unknown</span>' in text
    assert '<td class="n" data-k="0.0028758">2.876 ± 0.036</td>' in text
    assert '<td class="n" data-k="">–<span class="s">no rated energy given' in text
    assert (
        "Capacity SOH 90.4 to 92.0\u00a0%, above the REUSE limit of 80\u00a0%." in text
    )
    assert "visual inspection" in text
    assert "Electrical evidence only, not cleared to charge, transport or" in text


def test_the_deciding_reason_comes_first() -> None:
    inside = page([result()]).split("<details>")[1]
    first, others = inside.split("Every other rule looked at")
    assert first.count("is within the limit") == 1
    assert "REUSE because" in first
    assert others.count("is within the limit") == 1  # twenty alike are told once


def test_a_capacity_away_from_the_reference_is_not_an_soh() -> None:
    away = {"value": 0.3035, "uncertainty": 0.0059, "unit": "1"}
    text = page([result(soh_capacity=None, soh_capacity_at_temperature=away)])
    assert 'data-k="">–<span class="s">30.3 ± 1.2 % away from reference' in text


def test_lines_reconcile_and_what_was_not_graded_has_its_section() -> None:
    text = page(
        [
            failed("x.txt: no reader", "skipped"),
            result(),
            failed("y.csv: empty", "error"),
            failed("z.csv: the same log as a.csv", "duplicate"),
        ]
    )
    assert "<b>4</b> lines = 1 graded + 1 error + 1 skipped + 1 duplicate" in text
    graded, other = text.split("<section>")
    assert "Not graded: 1 duplicate, 1 error, 1 skipped" in other
    assert "y.csv: empty." in other
    assert "y.csv: empty." not in graded
    assert page([]).count("No unit was graded") == 1


def test_columns_sort_by_keyboard_and_say_so() -> None:
    heads = [a for t, a in Tags(page([result()])).seen if t == "th" and "data-t" in a]
    assert len(heads) == 7
    assert all(a["aria-sort"] == "none" and a["scope"] == "col" for a in heads)
    assert [a["data-t"] for a in heads] == ["t", "n", "n", "n", "n", "n", "t"]


def test_two_thousand_units_stay_below_20_mb_and_details_wait() -> None:
    long = result()["history"][:150]
    text = page([result(f"U{i}", history=long) for i in range(2000)])
    assert len(text.encode()) < 20_000_000
    assert text.count("<template>") == 2000
    assert text.count("1 refused (crosses)") >= 2000
    assert "<template>" not in page([result()])


def test_writing(tmp_path: Path) -> None:
    path = tmp_path / "p.html"
    odd = result("caf\udce9")  # a file name that is not UTF-8
    write_page([odd], path)
    assert "caf?" in path.read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["p.html"]
    with pytest.raises(InputError, match="nowhere"):
        write_page([], tmp_path / "nowhere" / "p.html")


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_a_page_may_be_read_by_those_who_may_read_new_files(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_page([], tmp_path / "p.html")
    modes = [stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("other", "p.html")]
    assert modes[0] == modes[1]
