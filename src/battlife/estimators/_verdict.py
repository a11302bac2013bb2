"""Which fault explains the cells of a pack best: odds of each against all others.

Each cell has up to three numbers: its offset in charge (as a voltage), the logarithm
of its resistance and of its capacity relative to the median cell. Healthy cells
scatter normally around the median. A fault lets one cell, or two neighbours, depart in
its own way. The odds are ratios of the probability of the numbers, averaged over the
sizes a fault may have (Bayes factors: Kass, Raftery, J. Am. Stat. Assoc. 90 (1995)
773), times a prior that is the same for all faults and cells.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from battlife.model import Column

SCATTER: Final = {"offset": 0.002, "resistance": 0.05, "capacity": 0.01}
"""Least scatter of healthy cells: 2 mV in voltage; 5 % in resistance and 1 % in
capacity as new cells of one lot show (Rumpf et al., J. Energy Storage 14 (2017) 224;
Baumhoefer et al., J. Power Sources 247 (2014) 332)."""
WIDE_V: Final = 0.1
"""Size of an offset that a fault makes, standard deviation: a tenth of a volt is 10 %
of charge on a steep curve; a broken sense wire makes volts and is far out anyway."""
RESISTANCE_UP: Final = (0.7, 0.5)
"""Mean and standard deviation of the logarithm of a faulty resistance: twice, between
1.2 and 3.3 times."""
CAPACITY_DOWN: Final = (-0.25, 0.15)
"""The same of a faulty capacity: 78 %, between 67 % and 90 %."""
PRIOR_FAULT: Final = 0.05
"""That a pack has any of these faults; packs come to a bench because something is
wrong with some. Shared among the kinds and cells."""
DECIDED: Final = 0.9
"""Probability from which a verdict is given."""
WEAK: Final = ("soc_imbalance", "weak_capacity", "high_resistance", "aged")
"""Faults of a cell itself; "aged" is both a lower capacity and a higher resistance."""
LINEAR: Final = 0.25
"""Share of the logarithm of a capacity ratio by which its first-order estimate may be
off: a curve that bends by a quarter over the shift of a cell."""
UNEXPLAINED: Final = 5.0
"""Uncertainty of a cell over that of its neighbours from which it does what no named
cause explains."""
EFFICIENCY: Final = 0.37
"""Of a median absolute deviation beside a standard deviation: with n cells it is as
sure as a standard deviation of 0.37 n (Rousseeuw, Croux, J. Am. Stat. Assoc. 88 (1993)
1273). The scatter is taken one standard error higher than it comes out."""
TAIL: Final = 1e-6
"""Share of healthy cells that lie anywhere: one absurd number must not decide."""


@dataclass(frozen=True)
class Verdict:
    """What explains the cells best.

    Attributes
    ----------
    kind : "nothing_found", one of WEAK, "weak_cell" where one of them is sure and not
        which, "sense_wire" (of `cell` and the next), "string_lost", or "cannot_tell"
    cell : index of the likeliest cell, -1 if none
    probability : of the kind
    best, second : the likeliest kind and the next, whatever the verdict
    margin : natural logarithm of the odds of the best over the second kind
    """

    kind: str
    cell: int
    probability: float
    best: str
    second: str
    margin: float


@dataclass(frozen=True, eq=False)
class Numbers:
    """Per-cell numbers and their uncertainties, NaN where unknown.

    Attributes
    ----------
    offset, u_offset : (n_cells,) V beside the median
    resistance, u_resistance : (n_cells,) ln of the ratio to the median
    capacity, u_capacity : (n_cells,) ln of the ratio to the median
    n_parallel : cells in parallel per group, 0 if unknown
    """

    offset: Column
    u_offset: Column
    resistance: Column
    u_resistance: Column
    capacity: Column
    u_capacity: Column
    n_parallel: int = 0

    def scatter(self) -> dict[str, float]:
        """Return the scatter of healthy cells, robustly: the faulty one is among them.

        The median absolute deviation, corrected for few cells (Croux, Rousseeuw, 1992:
        n / (n - 0.8) beyond nine) and for what the uncertainties explain.
        """
        found = {}
        for name in SCATTER:
            values: Column = getattr(self, name)
            u: Column = getattr(self, f"u_{name}")
            known = np.isfinite(values)
            if not known.any():
                found[name] = float("nan")
                continue
            n = int(known.sum())
            spread = np.abs(values[known] - np.median(values[known]))
            factor = 1.4826 * n / max(n - 0.8, 1.0)
            measured = float(np.median(u[known]))
            wide = factor * float(np.median(spread))
            wide *= 1.0 + 1.0 / float(np.sqrt(2.0 * EFFICIENCY * max(n - 1, 1)))
            found[name] = max(
                SCATTER[name], float(np.sqrt(max(wide**2 - measured**2, 0.0)))
            )
        return found

    def unexplained(self) -> int:
        """Return the cell whose numbers are uncertain as no other's are, -1 if none."""
        for name, sigma in self.scatter().items():
            u: Column = getattr(self, f"u_{name}")
            if not np.isfinite(u).any():
                continue
            worst = int(np.nanargmax(u))
            # What healthy cells scatter by anyway needs no explanation.
            usual = max(UNEXPLAINED * float(np.nanmedian(u)), 2.0 * sigma)
            if u[worst] > usual:
                return worst
        return -1


def judge(numbers: Numbers) -> Verdict:
    """Return the verdict over all kinds and cells."""
    scatter = numbers.scatter()
    n = numbers.offset.size
    healthy, offset_free = {}, np.zeros(n)
    for name, sigma in scatter.items():
        values: Column = getattr(numbers, name)
        u: Column = getattr(numbers, f"u_{name}")
        seen = np.isfinite(values)
        log = np.zeros(n)
        log[seen] = _normal(values[seen], 0.0, np.hypot(sigma, u[seen]))
        healthy[name] = log
    # Relative to every cell being healthy, each fault changes the terms of its cells.
    seen = np.isfinite(numbers.offset)
    total = np.hypot(scatter["offset"], numbers.u_offset)
    offset_free[seen] = (
        _normal(numbers.offset[seen], 0.0, np.hypot(WIDE_V, total[seen]))
        - healthy["offset"][seen]
    )
    # A voltage far beyond WIDE_V is a fault of some kind all the same.
    offset_free = np.maximum(offset_free, -np.log(50.0) - healthy["offset"])
    offset_free[~seen] = 0.0
    up = _free(numbers.resistance, numbers.u_resistance, RESISTANCE_UP, healthy, 0)
    down = _free(numbers.capacity, numbers.u_capacity, CAPACITY_DOWN, healthy, 1)
    either = np.logaddexp(offset_free, 0.0) - np.log(2.0)
    odds = {
        "soc_imbalance": offset_free,
        "high_resistance": up,
        "weak_capacity": down + either,
        "aged": up + down + either,
        "sense_wire": _pair(numbers, scatter, healthy),
    }
    if numbers.n_parallel > 1:
        odds["string_lost"] = _strings(numbers, scatter, healthy) + either
    # What rests on a number that nobody has is no explanation; where only the capacity
    # is not known, a resistance alone may be of an aged cell or a lost string.
    unknown = ~np.isfinite(numbers.capacity)
    odds["weak_capacity"] = np.where(unknown, -np.inf, odds["weak_capacity"])
    odds["aged"] = np.where(unknown, up + either, odds["aged"])
    for kind in ("high_resistance", "aged", "string_lost"):
        if kind in odds:
            odds[kind] = np.where(np.isfinite(numbers.resistance), odds[kind], -np.inf)
    verdict = _decided(odds, n)
    odd = numbers.unexplained()
    if verdict.kind == "nothing_found" and odd >= 0:
        return replace(verdict, kind="cannot_tell", cell=odd)
    return verdict


def _decided(odds: dict[str, Column], n: int) -> Verdict:
    share = np.log(PRIOR_FAULT / (len(odds) * n))
    logs = {kind: values + share for kind, values in odds.items()}
    everything = np.concatenate([[np.log(1.0 - PRIOR_FAULT)], *logs.values()])
    top = float(np.max(everything))
    total = top + float(np.log(np.sum(np.exp(everything - top))))
    by_kind = {"nothing_found": float(np.log(1.0 - PRIOR_FAULT))}
    for kind, values in logs.items():
        high = float(np.max(values))
        if np.isfinite(high):
            by_kind[kind] = high + float(np.log(np.sum(np.exp(values - high))))
    ranked = sorted(by_kind, key=lambda k: (-by_kind[k], k))
    best, second = ranked[0], ranked[1] if len(ranked) > 1 else "nothing_found"
    probability = float(np.exp(by_kind[best] - total))
    cell = -1 if best == "nothing_found" else int(np.argmax(logs[best]))
    kind = best
    if probability < DECIDED:
        weak = [float(logs[k][cell]) for k in WEAK if k in logs and cell >= 0]
        together = float(np.sum(np.exp(np.array(weak) - total))) if weak else 0.0
        kind = "weak_cell" if together >= DECIDED else "cannot_tell"
        probability = max(probability, together)
    margin = by_kind[best] - by_kind[second]
    return Verdict(kind, cell, min(probability, 1.0), best, second, margin)


def _normal(x: Column, mean: float, sigma: Column) -> Column:
    """Return ln of the normal density with a thin uniform tail."""
    x = np.where(np.isfinite(x), x, mean)
    log: Column = (
        -0.5 * ((x - mean) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
    )
    return np.logaddexp(log, np.log(TAIL))


def _free(
    values: Column,
    u: Column,
    size: tuple[float, float],
    healthy: dict[str, Column],
    which: int,
) -> Column:
    """Return ln Bayes factor of an unknown departure against none, (n_cells,)."""
    base = healthy[("resistance", "capacity")[which]]
    result = np.full(values.size, -np.inf)
    seen = np.isfinite(values)
    width = np.hypot(size[1], u[seen])
    if which:
        width = np.hypot(width, LINEAR * values[seen])
    result[seen] = _normal(values[seen], size[0], width) - base[seen]
    return result


def _pair(
    numbers: Numbers, scatter: dict[str, float], healthy: dict[str, Column]
) -> Column:
    """Return ln Bayes factor of a sense wire between cells k and k + 1, (n_cells,).

    The two share an error of any size with opposite sign: their sum is as healthy
    cells' is, their difference is free.
    """
    n = numbers.offset.size
    result = np.full(n, -np.inf)
    first, second = numbers.offset[:-1], numbers.offset[1:]
    total = np.hypot(scatter["offset"], numbers.u_offset)
    around = np.hypot(total[:-1], total[1:])
    apart = 0.5 * (first - second)
    # Half the difference of two normal numbers has half the width of their sum; the
    # pair's density is that of sum and half difference, whose Jacobian is one.
    free = np.hypot(WIDE_V, 0.5 * around)
    log = _normal(first + second, 0.0, around)
    log = log + np.maximum(_normal(apart, 0.0, free), -np.log(50.0))
    with np.errstate(invalid="ignore"):
        result[:-1] = np.where(
            np.isfinite(first + second),
            log - healthy["offset"][:-1] - healthy["offset"][1:],
            -np.inf,
        )
    return result


def _strings(
    numbers: Numbers, scatter: dict[str, float], healthy: dict[str, Column]
) -> Column:
    """Return ln Bayes factor of m of p parallel cells lost, over every m, (n_cells,).

    Capacity falls to (p - m) / p and resistance rises by the inverse: a point for each
    m, as sharp as healthy cells scatter.
    """
    p = numbers.n_parallel
    logs = []
    if not np.isfinite(numbers.resistance).any():
        return np.full(numbers.resistance.size, -np.inf)
    told = np.isfinite(numbers.capacity)
    for m in range(1, p):
        step = float(np.log((p - m) / p))
        r = _normal(
            numbers.resistance,
            -step,
            np.hypot(scatter["resistance"], numbers.u_resistance),
        )
        wide = np.hypot(scatter["capacity"], numbers.u_capacity)
        wide = np.where(told, wide, 1.0)
        c = _normal(numbers.capacity, step, np.hypot(wide, LINEAR * step))
        by_charge = np.where(told, c - healthy["capacity"], 0.0)
        logs.append(r - healthy["resistance"] + by_charge)
    result: Column = np.logaddexp.reduce(logs, axis=0) - np.log(p - 1)
    return result
