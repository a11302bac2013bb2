"""Write docs/accuracy.md: every figure of it is computed here, none is typed.

    python benchmarks/accuracy ../shared/data docs/accuracy.md --bench BENCH.json

Each module of TOPICS has ``rows(shared)``: a list of dicts with the texts or numbers
task, data, protocol, figure, ours, baseline, target, met, note.
"""

import argparse
import platform
import sys
import time
from importlib import import_module
from pathlib import Path

import numba
import numpy
import scipy
import speed

import battlife

TOPICS = {
    "screening": "Screening: units no model saw",
    "partial_charge": "Screening: part of a charge",
    "impedance_screening": "Screening: impedance spectra",
    "degradation_modes": "dQ/dV and degradation modes",
    "impedance": "Impedance, pulses and power",
    "filters": "State of charge by filters",
    "knee": "Knee and remaining life",
    "diagnosis": "Cells within a pack (simulated)",
}
"""Module of this folder to the heading of its table, in the order of the page."""

COLUMNS = ("task", "data", "figure", "ours", "baseline", "target", "met")


def cell(value):
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("|", "/")


def table(rows):
    lines = [" | ".join(("", *COLUMNS, "")).strip()]
    lines.append("|" + " --- |" * len(COLUMNS))
    for row in rows:
        lines.append("| " + " | ".join(cell(row.get(c)) for c in COLUMNS) + " |")
    return lines


def topic(name, heading, shared):
    """Return the lines of one chapter, and its rows."""
    started = time.monotonic()
    rows = import_module(name).rows(shared)
    print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    lines = ["", f"## {heading}", ""]
    for protocol in dict.fromkeys(r["protocol"] for r in rows):
        lines += [protocol, ""]
    lines += table(rows)
    notes = list(dict.fromkeys(r["note"] for r in rows if r.get("note")))
    lines += ["", *(f"- {note}" for note in notes)]
    return lines, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--only", action="append")
    given = parser.parse_args()
    if not given.shared.is_dir():
        parser.error(f"{given.shared}: the measured data are not there")
    lines = [
        "# Accuracy",
        "",
        "Made by `make accuracy`; nothing here is typed by hand. Figures are of units "
        "that were left out of everything that was chosen or fitted, grouped by "
        "physical cell, unless a protocol says otherwise.",
        "",
        f"battlife {battlife.__version__}, Python {platform.python_version()}, NumPy "
        f"{numpy.__version__}, SciPy {scipy.__version__}, Numba {numba.__version__}, "
        f"{platform.machine()}.",
    ]
    missed = []
    for name, heading in TOPICS.items():
        if given.only and name not in given.only:
            continue
        chapter, rows = topic(name, heading, given.shared)
        lines += chapter
        missed += [r for r in rows if r.get("met") is False]
    if given.bench:
        told, slow = speed.chapter(given.bench)
        lines += told
        missed += slow
    lines += ["", "## What does not reach its target", ""]
    lines += [
        f"- {r['task']}, {r['data']}: {r['figure']} {cell(r['ours'])}, target "
        f"{cell(r['target'])}. {r.get('why', 'No reason is known.')}"
        for r in missed
    ] or ["Everything listed reaches its target."]
    given.page.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
