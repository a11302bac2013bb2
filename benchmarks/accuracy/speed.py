"""The chapter on speed, from what pytest-benchmark measured."""

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """What one kind of work is to reach.

    Attributes
    ----------
    work : in words
    group : regular expression of the benchmark groups
    ours, peers : of the names within them
    kind : "rows/s", "ms", or "x" for a ratio to the fastest peer
    value : the goal; at least for rates and ratios, at most for times
    """

    work: str
    group: str
    ours: str
    peers: str
    kind: str
    value: float


PEERS = "numpy|scipy|ampworks|cellpy|beep|impedance_py|pyimpspec|filterpy|pandas"
GOALS = (
    Goal(
        "charge counted, any data",
        "^random 1e",
        "charge_kernel",
        "split_by",
        "rows/s",
        3e8,
    ),
    Goal(
        "charge counted, smooth",
        "^smooth 1e",
        "charge_kernel",
        "split_by",
        "rows/s",
        1e9,
    ),
    Goal("dQ/dV at 1 mV", "^dQ/dV", r"test_kernel\[", "ampworks|cellpy", "rows/s", 5e8),
    Goal("cycles and steps", "^cycles", "test_kernels", "beep", "rows/s", 1e7),
    Goal("LLI/LAM fit", "^half-cell fit", "test_align", "ampworks", "ms", 20.0),
    Goal("HPPC, 15,838 rows", "^hppc", "test_extraction", "ampworks", "ms", 1.0),
    Goal("Kalman filter", "filter", "ekf|spkf", "filterpy", "rows/s", 2e7),
    Goal("circuit fit", "^eis circuit", r"_fit$|test_circuit$", PEERS, "ms", 5.0),
    Goal("Kramers-Kronig", "^eis kramers", "test_kramers_kronig$", PEERS, "ms", 1.0),
    Goal(".xlsx", "^xlsx", r"\[battlife\]", "pandas", "x", 10.0),
)
"""The speed table that the project is measured by."""


def chapter(path):
    """Return the lines of the chapter, and the rows that do not reach their goal.

    Parameters
    ----------
    path : JSON of ``pytest --benchmark-json``
    """
    found = json.loads(path.read_text("utf-8"))
    cpu = found["machine_info"]["cpu"]
    benches = found["benchmarks"]
    lines = [
        "",
        "## Speed",
        "",
        f"`make bench` on {cpu.get('brand_raw', 'a machine')}, {cpu.get('count', '?')} "
        "cores; best of the rounds, ours and the peers in one run. Of several sizes "
        "the largest counts, of several cells the slowest; a peer by its best.",
        "",
        "| work | ours | fastest peer | times faster | goal | met |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    missed = []
    for goal in GOALS:
        line, row = _judged(goal, benches)
        lines.append(line)
        if row is not None:
            missed.append(row)
    return lines + _everything(benches), missed


def _judged(goal, benches):
    group = [b for b in benches if re.search(goal.group, b["group"] or "")]
    peers = [b for b in group if re.search(goal.peers, b["name"])]
    ours = [b for b in group if re.search(goal.ours, b["name"]) and b not in peers]
    wanted = {"rows/s": "{:.3g} rows/s", "ms": "{:.3g} ms", "x": "{:.3g} times"}
    target = wanted[goal.kind].format(goal.value)
    if not ours:
        return f"| {goal.work} | not measured | – | – | {target} | – |", None
    mine = max(ours, key=lambda b: (b["extra_info"].get("rows", 0), _least(b)))
    # At the same size where the peer was run at it.
    beside = [b for b in peers if b["group"] == mine["group"]] or peers
    peer = min(beside, key=_cost) if beside else None
    ratio = _cost(peer) / _cost(mine) if peer else None
    reached = {"rows/s": _rate(mine), "ms": 1e3 * _least(mine), "x": ratio}[goal.kind]
    met = reached is not None and (
        reached <= goal.value if goal.kind == "ms" else reached >= goal.value
    )
    told = _named(peer, goal) if peer else "not measured"
    times = f"{ratio:.3g}" if ratio else "–"
    line = (
        f"| {goal.work} | {_named(mine, goal)} | {told} | {times} | {target} | "
        f"{'yes' if met else '**no**'} |"
    )
    if met:
        return line, None
    shown = wanted[goal.kind].format(reached) if reached is not None else "–"
    return line, {
        "task": "Speed",
        "data": goal.work,
        "figure": mine["name"],
        "ours": shown,
        "target": target,
    }


def _least(bench):
    return bench["stats"]["min"]


def _rate(bench):
    rows = bench["extra_info"].get("rows")
    return rows / _least(bench) if rows else None


def _cost(bench):
    """Return seconds, per row where the work has rows."""
    return _least(bench) / bench["extra_info"].get("rows", 1)


def _named(bench, goal):
    name = bench["name"].removeprefix("test_")
    rate = _rate(bench)
    if goal.kind == "rows/s" and rate:
        return f"{rate:.3g} rows/s ({name})"
    return f"{1e3 * _least(bench):.3g} ms ({name})"


def _everything(benches):
    lines = [
        "",
        "| work | implementation | time / ms | rows per s | times the slowest |",
        "| --- | --- | --- | --- | --- |",
    ]
    groups = {}
    for bench in benches:
        groups.setdefault(bench["group"] or "", []).append(bench)
    for group, members in sorted(groups.items()):
        slowest = max(_least(b) for b in members)
        for bench in sorted(members, key=_least):
            rate = _rate(bench)
            lines.append(
                f"| {group} | {bench['name']} | {1e3 * _least(bench):.4g} | "
                f"{f'{rate:.3g}' if rate else '–'} | {slowest / _least(bench):.3g} |"
            )
    return lines
