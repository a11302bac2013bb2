"""Collects bench_*.py, and prints each group as ratios to its baseline."""

from pathlib import Path

import pytest

BASELINE = "numpy]"
"""Every group has a benchmark whose name ends so; ratios are against it."""


def pytest_collect_file(file_path: Path, parent: pytest.Collector):
    named = parent.session.isinitpath(file_path)  # pytest collects such a file itself
    if file_path.match("bench_*.py") and not named:
        return pytest.Module.from_parent(parent, path=file_path)
    return None


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    if session is None:
        return
    groups: dict[str, list] = {}
    for bench in session.benchmarks:
        if bench.stats.rounds:
            groups.setdefault(bench.group or "", []).append(bench)
    for group, benches in sorted(groups.items()):
        terminalreporter.write_line("")
        terminalreporter.write_line(group)
        base = next((b for b in benches if b.name.endswith(BASELINE)), None)
        for bench in sorted(benches, key=lambda b: b.stats.min):
            rows = bench.extra_info.get("rows")
            rate = f"{rows / bench.stats.min:10.3g} rows/s" if rows else ""
            ratio = f"{base.stats.min / bench.stats.min:8.3g} x" if base else ""
            terminalreporter.write_line(f"  {bench.name:42s} {rate} {ratio}")
