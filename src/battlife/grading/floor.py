"""The hold floor: limits no policy can loosen.

A unit beyond any of them goes to QUARANTINE, whatever its health. The floor looks at
the state of the unit, not at what an ageing test does to it on purpose: a discharge to
2.0 V or a surface of 65 degC under a 2C load is a test, the same at rest is a hazard.
So low voltage, spread, warmth and self-heating are judged after a rest; only over-
voltage and dangerous heat count at any moment. The figures come from an OEM's module
test, a vehicle-battery controller and the regulations named beside each; they are
vehicle-specific where the sources are, and rounded to the safe side.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from battlife.grading.chemistry import (
    CELL_LIMITS,
    CellLimits,
    cell_limits,
    chemistry_reasons,
    declared_chemistries,
)
from battlife.grading.evidence import Evidence
from battlife.grading.policy import HoldLimit
from battlife.model import Outcome, Pack, Reason, Route


@dataclass(frozen=True)
class Floor:
    """One limit.

    Attributes
    ----------
    op : "<=" or ">=": how the quantity must lie to pass
    limit : threshold in `unit`, None where it depends on the unit
    unit : unit of the quantity
    source : where the limit comes from
    settle : what to do where the quantity is missing
    action : what to do where the limit is exceeded
    clears : the gap in the clearance where the quantity is missing, "" for none
    """

    op: str
    limit: float | None
    unit: str
    source: str
    settle: str
    action: str
    clears: str = ""


ISOLATION_CLEAR_OHM_PER_V: Final = 500.0
"""Below this isolation is no evidence for clearance (UN R100, AC-coupled circuits)."""

FLOORS: Final[Mapping[str, Floor]] = MappingProxyType(
    {
        "cell_voltage_max_v": Floor(
            "<=",
            None,
            "V",
            "charge voltage of the chemistry + 0.1 V (Battery-Emulator)",
            "record the voltage of every cell, and state cells_in_series",
            "do not charge it; set it apart and look at every cell",
            "cell_voltage",
        ),
        "cell_voltage_resting_min_v": Floor(
            ">=",
            None,
            "V",
            "floors in common use, copper dissolution below; Mitsubishi 2.085 V",
            "let it rest for 10 min without current and record the voltage",
            "do not charge it; a cell discharged this deep is set apart",
            "resting_voltage",
        ),
        "cell_voltage_peak_min_v": Floor(
            ">=",
            None,
            "V",
            "a cell that never rises above its relaxed minimum is dead or not sensed",
            "record the voltage of every cell",
            "a dead cell or a broken sense wire: set it apart and measure by hand",
        ),
        "temperature_max_degc": Floor(
            "<=",
            80.0,
            "degC",
            "Porsche module test: danger above 80 degC",
            "record a temperature at the cells",
            "set it apart, away from what burns, and look for the cause",
            "temperature",
        ),
        "temperature_resting_max_degc": Floor(
            "<=",
            60.0,
            "degC",
            "Porsche module test: quarantine from 60 to 80 degC",
            "record a temperature over a rest of 10 min",
            "set it apart, away from what burns, until it is cold",
        ),
        "temperature_resting_rate_k_per_min": Floor(
            "<=",
            1.0,
            "K/min",
            "self-heating at rest of 1 K/min: stop gate in use",
            "record a temperature over a rest of 5 min",
            "it heats itself: set it apart in the open and watch it",
        ),
        "cell_spread_resting_max_v": Floor(
            "<=",
            0.5,
            "V",
            "reasoned: 0.5 V at rest is more than half of the range of charge, so "
            "charging the stack takes a cell beyond its limit",
            "rest for 10 min and record the voltage of every cell",
            "do not charge the stack; measure its cells one by one",
            "cell_spread",
        ),
        "cell_count": Floor(
            ">=",
            None,
            "1",
            "fewer cells answer than the unit has",
            "state cells_in_series and record every cell",
            "find the silent cell or its broken sense wire",
            "cell_count",
        ),
        "isolation_ohm_per_v": Floor(
            ">=",
            100.0,
            "ohm/V",
            "UN R100: at least 100 ohm/V for DC",
            "measure the isolation resistance",
            "do not touch it without protection; find the leak",
        ),
        "critical_fault_count": Floor(
            "<=",
            0.0,
            "1",
            "Porsche module test: critical fault code",
            "read the fault codes of the BMS",
            "settle the fault by the maker's instructions first",
            "fault_codes",
        ),
        "damage_count": Floor(
            "<=",
            0.0,
            "1",
            "EN 18061, ADR SP376: damage is assessed before use",
            "inspect it and enter what is seen in units.toml",
            "have the damage assessed",
        ),
    }
)

STRICTEST: Final = (
    "chemistry not stated: add chemistry to units.toml; this is the limit of the "
    "strictest it may be: if it is another, declare chemistry in units.toml and grade "
    "again"
)

_STACK_ONLY = ("cell_count", "cell_spread", "fault_codes")


def loosest(quantity: str) -> float | None:
    """Return the loosest built-in limit of a floor quantity, None if it has none."""
    floor = FLOORS[quantity]
    if floor.limit is not None or quantity == "cell_count":
        return floor.limit
    if floor.op == "<=":
        return max(c.max_v for c in CELL_LIMITS.values())
    return min(c.min_v for c in CELL_LIMITS.values())


def expected_cells(pack: Pack) -> int | None:
    """Return how many cells in series the unit should have, None if unknown."""
    return pack.cells_in_series or sum(len(m.cells) for m in pack.modules) or None


@dataclass(frozen=True)
class FloorResult:
    """How the floor came out: every reason, the hits among them, what is missing."""

    reasons: tuple[Reason, ...]
    hits: tuple[Reason, ...]
    missing: tuple[str, ...]


def check_floor(
    evidence: Mapping[str, Evidence | None],
    pack: Pack,
    tightened: Mapping[str, HoldLimit],
) -> FloorResult:
    """Compare a unit with the hold floor.

    Parameters
    ----------
    evidence : by quantity, from :func:`battlife.grading.hold_evidence`
    pack : declared chemistry, number of cells
    tightened : stricter limits of the policy

    Returns
    -------
    The worst bound of each quantity is compared. A quantity that is missing or not a
    number does not pass: it is a gap in the clearance.
    """
    median = _usable(evidence.get("cell_voltage_discharging_median_v"))
    top = _usable(evidence.get("cell_voltage_discharging_top_v"))
    telling = top or median
    telling_v = telling.value if telling else None
    limits = cell_limits(pack.chemistry, telling_v)
    n_cells = expected_cells(pack)
    counted = _usable(evidence.get("cell_count"))
    single = n_cells == 1 or (
        n_cells is None and counted is not None and counted.value == 1
    )
    reasons, hits, missing = [], [], []
    for quantity, floor in FLOORS.items():
        limit, source = _effective(quantity, floor, limits, n_cells, tightened)
        reason = _compare(
            quantity, floor, limit, source, evidence.get(quantity), single
        )
        if reason.outcome is Outcome.NOT_MET:
            if "cell_voltage" in quantity and not declared_chemistries(pack.chemistry):
                reason = replace(reason, message=f"{reason.message}; {STRICTEST}")
            hits.append(reason)
        if (
            reason.outcome is Outcome.MISSING
            and floor.clears
            and not (single and floor.clears in _STACK_ONLY)
        ):
            missing.append(floor.clears)
        reasons.append(reason)
    limited = any("cell_voltage" in hit.quantity for hit in hits)
    chemistry = chemistry_reasons(
        pack.chemistry, telling_v, deep=top is not None, limited=limited
    )
    hits.extend(r for r in chemistry if r.outcome is Outcome.NOT_MET)
    reasons.extend(chemistry)
    return FloorResult(tuple(reasons), tuple(hits), tuple(missing))


def _usable(evidence: Evidence | None) -> Evidence | None:
    return evidence if evidence is not None and evidence.usable else None


def _effective(
    quantity: str,
    floor: Floor,
    limits: CellLimits,
    n_cells: int | None,
    tightened: Mapping[str, HoldLimit],
) -> tuple[float | None, str]:
    limit = floor.limit
    if quantity == "cell_voltage_max_v":
        limit = limits.max_v
    elif quantity in ("cell_voltage_resting_min_v", "cell_voltage_peak_min_v"):
        limit = limits.min_v
    elif quantity == "cell_count":
        limit = None if n_cells is None else float(n_cells)
    stricter = tightened.get(quantity)
    if stricter is None or limit is None:
        return limit, floor.source
    narrows = stricter.limit < limit if floor.op == "<=" else stricter.limit > limit
    return (stricter.limit, stricter.source) if narrows else (limit, floor.source)


def _compare(
    quantity: str,
    floor: Floor,
    limit: float | None,
    source: str,
    evidence: Evidence | None,
    single: bool,
) -> Reason:
    rule = f"hold_{quantity}"
    found = _usable(evidence)
    if found is None or limit is None:
        why = f"{quantity} is not known: {floor.settle}"
        if single and floor.clears in _STACK_ONLY:
            why = f"{quantity}: a single cell, nothing to compare"
        return Reason(
            rule, Outcome.MISSING, quantity, limit=limit, unit=floor.unit, message=why
        )
    passes = found.high <= limit if floor.op == "<=" else found.low >= limit
    worst = found.high if floor.op == "<=" else found.low
    unit = "" if floor.unit == "1" else f" {floor.unit}"
    word = "within" if passes else "beyond"
    message = (
        f"{quantity} {worst:.4g}{unit} is {word} the hold floor "
        f"{floor.op} {limit:.4g}{unit} ({source})"
    )
    return Reason(
        rule,
        Outcome.MET if passes else Outcome.NOT_MET,
        quantity,
        found.low,
        found.high,
        limit,
        floor.unit,
        "" if passes else str(Route.QUARANTINE),
        message if passes else f"{message}: {floor.action}",
    )
