"""Write docs/accuracy.md: every figure of it is computed here, none is typed.

    python benchmarks/accuracy ../shared/data docs/accuracy.md --bench BENCH.json

With ``--kept FOLDER`` the rows of each topic are kept as JSON with the commit they were
computed at, and topics left out by ``--only`` are taken from there: topics can run side
by side, and one can be computed again without the others.

Each module of TOPICS has ``rows(shared)``: a list of dicts with the texts or numbers
task, data, protocol, figure, ours, baseline, target, met, note.
"""

import argparse
import json
import platform
import subprocess
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


def commit():
    """Return the commit of the sources, and whether they differ from it."""
    git = ["git", "describe", "--always", "--abbrev=12", "--dirty"]
    told = subprocess.run(git, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def rows_of(name, given):
    """Return the rows of a topic and the commit: computed now, or kept."""
    kept = given.kept and given.kept / f"{name}.json"
    if given.only and name not in given.only:
        if not (kept and kept.exists()):
            return None
        told = json.loads(kept.read_text("utf-8"))
        return told["rows"], told["commit"]
    started, at = time.monotonic(), commit()
    rows = import_module(name).rows(given.shared)
    rows = json.loads(json.dumps(rows, default=plain))  # the same, kept or not
    print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"commit": at, "rows": rows}), "utf-8")
    return rows, at


def plain(value):
    """Return a NumPy scalar as the Python number it is."""
    return value.item()


def chapter(heading, rows, at):
    """Return the lines of one chapter."""
    lines = ["", f"## {heading}", "", f"Computed at commit {at}.", ""]
    for protocol in dict.fromkeys(r["protocol"] for r in rows):
        lines += [protocol, ""]
    lines += table(rows)
    notes = list(dict.fromkeys(r["note"] for r in rows if r.get("note")))
    lines += ["", *(f"- {note}" for note in notes)]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--only", action="append")
    parser.add_argument("--kept", type=Path)
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
        found = rows_of(name, given)
        if found is None:
            continue
        rows, at = found
        lines += chapter(heading, rows, at)
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
