"""What diagnosis found: reasons that stand before every route of a policy.

A finding is not a threshold on health but a doubt about the unit or about its data. A
cell that leaks may have an internal short: nobody is to charge it, so QUARANTINE. Where
what is wrong may be the measurement, or the claim of a BMS, the unit is measured again.
So is one whose record a method refused because it contradicts itself.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from battlife.model import Estimate, Outcome, Reason, Route

_FOUND: Final[Mapping[str, tuple[Route, str]]] = MappingProxyType(
    {
        "alarm_leak": (
            Route.QUARANTINE,
            "a cell loses charge beside the others over time: possibly an internal "
            "short; do not charge it, store it apart, look at that cell",
        ),
        "alarm_outlier": (
            Route.RETEST,
            "a cell is unlike all others: find out whether the cell or its wire is at "
            "fault, then measure again",
        ),
        "alarm_stuck": (
            Route.RETEST,
            "values stand still while the unit works: check the wiring and the BMS, "
            "then record again",
        ),
        "alarm_reset": (
            Route.RETEST,
            "the BMS claims a health that its own counters contradict: it was probably "
            "reset; measure the capacity",
        ),
        "alarm_counted": (
            Route.RETEST,
            "the charge counted does not fit the state of charge that the BMS tells: "
            "measure the capacity with a sensor of your own",
        ),
        "verdict_dead_cell": (
            Route.QUARANTINE,
            "a cell has no voltage while the pack lacks it: a dead or reversed cell",
        ),
        "verdict_sense_wire": (
            Route.RETEST,
            "two neighbours depart equally and oppositely: a sense wire is open or "
            "loose; repair it before any cell is judged",
        ),
        "verdict_string_lost": (
            Route.RETEST,
            "one group has the resistance and capacity of a string less: look for a "
            "blown fuse or a broken tab",
        ),
    }
)
"""Code of an estimate to the route it asks for, and what to do."""


_CONTRADICTED: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("eis", "kk_failed"): (
            "no steady linear cell has this impedance (Kramers-Kronig): let the unit "
            "rest at one temperature, use a smaller amplitude, measure again"
        ),
        ("dcir", "voltage_leads_current"): (
            "the voltage moved before the current did, so the two are not of the same "
            "moment: read both at once, then repeat the pulse"
        ),
        ("ocv_fit", "curves_do_not_fit"): (
            "no shift of the half-cell curves gives this open-circuit voltage: check "
            "the chemistry and the curves, then repeat the slow cycle"
        ),
    }
)
"""Method and the code of its refusal to what to do: the record contradicts itself or
what the method is told of the unit."""

_UNCERTAIN: Final = "verdict_cannot_tell"
_CONNECTION: Final = frozenset({"sense_wire", "string_lost", "dead_cell"})
"""Causes of a departing cell that its capacity and resistance do not already tell."""


def findings(estimates: Sequence[Estimate]) -> tuple[Reason, ...]:
    """Return a reason for everything that diagnosis found, in order, once each.

    One without a route is shown and decides nothing.
    """
    found: dict[str, Reason] = {}
    answered = {e.method for e in estimates if e.status == "ok"}
    for estimate in estimates:
        if estimate.status != "ok":
            # Another pulse or spectrum of the record that holds speaks for the unit.
            if estimate.method not in answered:
                found |= _contradicted(estimate)
            continue
        if _UNCERTAIN in estimate.reasons:
            found[_UNCERTAIN] = _uncertain(estimate)
        for code in estimate.reasons:
            if code not in _FOUND:
                continue
            route, advice = _FOUND[code]
            where = _where(estimate, "cell", "verdict_cell")
            found[code] = Reason(
                f"finding_{code.removeprefix('alarm_').removeprefix('verdict_')}",
                Outcome.NOT_MET,
                quantity=estimate.method,
                route=str(route),
                message=f"{where}{advice} ({estimate.method})",
            )
    return tuple(found.values())


def _where(estimate: Estimate, *names: str) -> str:
    """Return "cell 5: " for cell 4 of the first condition that names one."""
    for name in names:
        cell = estimate.conditions.get(name)
        if isinstance(cell, int | float) and cell >= 0:
            return f"cell {int(cell) + 1}: "
    return ""


def _contradicted(estimate: Estimate) -> dict[str, Reason]:
    worst = estimate.conditions.get("kk_worst_hz")
    where = f"; largest residuals at {worst} Hz" if worst else ""
    return {
        code: Reason(
            f"finding_{code}",
            Outcome.NOT_MET,
            quantity=method,
            route=str(Route.RETEST),
            message=f"{advice}{where} ({method})",
        )
        for (method, code), advice in _CONTRADICTED.items()
        if method == estimate.method and code in estimate.reasons
    }


def _uncertain(estimate: Estimate) -> Reason:
    """Return what a departing cell of unknown cause asks for.

    RETEST where a lost string, a wire or a dead cell is among the two likeliest; else
    capacity and resistance of the unit already hold what the cell costs it.
    """
    likeliest = [
        cause
        for name in ("verdict_best", "verdict_second")
        if isinstance(cause := estimate.conditions.get(name), str)
    ]
    retest = not _CONNECTION.isdisjoint(likeliest)
    causes = " or ".join(c.replace("_", " ") for c in likeliest) or "unknown"
    advice = (
        "look for a loose wire, a blown fuse or a broken tab, then measure again"
        if retest
        else "measure that cell alone if it matters"
    )
    return Reason(
        "finding_cannot_tell",
        Outcome.MISSING,
        quantity=estimate.method,
        route=str(Route.RETEST) if retest else "",
        message=f"{_where(estimate, 'verdict_cell')}unlike the others, cause not told "
        f"(likeliest: {causes}): {advice} ({estimate.method})",
    )
