"""One self-contained page of grades: no network, no fonts, no foreign scripts."""

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from battlife.grading import CLEARANCE_TEXT
from battlife.model import Route
from battlife.reports._writing import write_whole
from battlife.reports.capacity_svg import FRAME_BYTES, capacity_svg
from battlife.reports.page_assets import SCRIPT, STYLE
from battlife.reports.page_rows import details, graded_row, passed_row, text_of
from battlife.reports.wording import escaped

PAGE_BYTES: Final = 19_000_000
"""What a page may weigh; plots get what its words leave, so that 2,000 units stay
below 20 MB."""

LAZY_ABOVE: Final = 200
"""Units from which details wait in <template> elements, which a browser does not lay
out until they are opened; a smaller page works without its script."""

STATUSES: Final = ("graded", "refused", "error", "skipped", "duplicate")

_HEADS: Final = (
    ("Unit", "t"),
    ("Route", "n"),
    ("Capacity SOH / %", "n"),
    ("Energy SOH / %", "n"),
    ("Capacity / Ah", "n"),
    ("10 s resistance / mΩ", "n"),
    ("Why", ""),
    ("Measured, source, archive", "t"),
)

_PASSED_HEADS: Final = ("File or unit", "Status", "Why, and what to do")


def write_page(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the page; it appears whole or not at all.

    Parameters
    ----------
    results : objects of ``battlife grade --json``, each with an optional ``history``:
        a list of cycle, discharge_capacity_ah, uncertainty (k = 1), status, reasons
    path : file to write

    Raises
    ------
    InputError
        The file cannot be written.
    """
    write_whole(path, _bytes(page(results)))


def _bytes(text: str) -> bytes:
    # A path that is not UTF-8 comes as surrogates, which UTF-8 cannot hold.
    return text.encode("utf-8", errors="replace")


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the page as text; every value from outside is escaped."""
    graded = [r for r in results if r.get("status") == "graded"]
    passed = [r for r in results if r.get("status") != "graded"]
    lines = [(r, graded_row(r), *details(r)) for r in graded]
    lines += [(r, passed_row(r), *details(r)) for r in passed]
    words = sum(len(_bytes(row + above + below)) for _, row, above, below in lines)
    budget = _plot_budget(words, sum(bool(r.get("history")) for r in results))
    lazy = len(results) > LAZY_ABOVE
    groups = [
        _group(r, row, above + _plot(r, budget) + below, lazy)
        for r, row, above, below in lines
    ]
    security = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{security}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Battery grades</title><style>{STYLE}</style></head>\n<body><main>"
        f'<h1>Battery grades</h1><p class="warn" role="note">'
        f"{escaped(CLEARANCE_TEXT[0].upper() + CLEARANCE_TEXT[1:])}. "
        "A route is not a permission.</p>"
        f"<p>{_totals(results)}</p>{_policies(graded)}{_tools(graded)}\n"
        f"{_graded_table(groups[: len(graded)])}"
        f"{_passed_table(passed, groups[len(graded) :])}</main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _plot_budget(word_bytes: int, n_plots: int) -> int:
    """Return what the points of one plot may cost."""
    share = (PAGE_BYTES - word_bytes) // max(n_plots, 1) - FRAME_BYTES
    return min(max(share, 0), 120_000)


def _plot(result: Mapping[str, Any], budget_bytes: int) -> str:
    history = result.get("history")
    if not history:
        return ""
    drawing = capacity_svg(history, result.get("nominal_ah"), budget_bytes)
    return f"<h3>Capacity over cycles</h3>{drawing}"


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _totals(results: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(text_of(r.get("status")) for r in results)
    names = [s for s in STATUSES if s in counts]
    names += sorted(set(counts) - set(STATUSES))
    parts = " + ".join(f"{counts[n]} {escaped(n or 'without status')}" for n in names)
    return f"<b>{len(results)}</b> lines = {parts or 'none'}"


def _policies(graded: Sequence[Mapping[str, Any]]) -> str:
    found: dict[str, None] = {}
    for result in graded:
        policy = result.get("policy")
        if isinstance(policy, Mapping):
            name, version = policy.get("name"), policy.get("version")
            sha256 = text_of(policy.get("sha256"))[:16]
            found[f"policy {name} {version}, sha256 {sha256}…"] = None
        if result.get("software"):
            found[text_of(result["software"])] = None
    return f'<p class="s">Decided by {escaped("; ".join(found))}</p>' if found else ""


def _tools(graded: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(text_of(r.get("route")) for r in graded)
    names = [str(r) for r in Route if str(r) in counts]
    names += sorted(set(counts) - set(names))
    chips = "".join(
        f'<button type="button" aria-pressed="false" data-r="{escaped(n)}">'
        f"<b>{counts[n]}</b> {escaped(n or 'no route')}</button>"
        for n in names
    )
    return (
        '<div class="tools" hidden role="search"><input id="f" type="search" '
        'placeholder="Filter: unit, route, reason, file" aria-label="Filter the lines">'
        f'{chips}<span id="c" class="dim" role="status"></span></div>'
    )


def _graded_table(groups: Sequence[str]) -> str:
    if not groups:
        return "<p>No unit was graded.</p>"
    heads = "".join(
        f'<th scope="col"{_class(title)} data-t="{kind}" aria-sort="none">'
        f'<button type="button">{escaped(title)}</button></th>'
        if kind
        else f'<th scope="col" data-plain>{escaped(title)}</th>'
        for title, kind in _HEADS
    )
    return (
        '<table class="g k"><caption>Intervals are ± two standard uncertainties '
        "(k = 2). SOH: of the rated value, at the reference temperature.</caption>"
        f"<thead><tr>{heads}</tr></thead>{''.join(groups)}</table>"
    )


def _class(title: str) -> str:
    return ' class="n"' if " / " in title else ""


def _passed_table(passed: Sequence[Mapping[str, Any]], groups: Sequence[str]) -> str:
    if not groups:
        return ""
    counts = Counter(text_of(r.get("status")) or "without status" for r in passed)
    words = ", ".join(f"{n} {s}" for s, n in sorted(counts.items()))
    heads = "".join(f'<th scope="col">{escaped(h)}</th>' for h in _PASSED_HEADS)
    return (
        f"<section><h2>Not graded: {escaped(words)}</h2>"
        f'<table class="g"><thead><tr>{heads}</tr></thead>{"".join(groups)}</table>'
        "</section>"
    )


def _group(result: Mapping[str, Any], row: str, inside: str, lazy: bool) -> str:
    """Return one unit: its row, and a row that opens."""
    more = ""
    columns = len(_HEADS) if result.get("status") == "graded" else len(_PASSED_HEADS)
    if inside:
        inside = f'<div class="in">{inside}</div>'
        if lazy:
            inside = f"<template>{inside}</template>"
        more = (
            f'<tr class="d"><td colspan="{columns}"><details><summary>'
            f"Reasons, capacity over cycles, record</summary>{inside}</details></td>"
            "</tr>"
        )
    route = escaped(text_of(result.get("route")))
    return f'<tbody data-r="{route}"><tr>{row}</tr>{more}</tbody>\n'
