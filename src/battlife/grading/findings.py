"""What diagnosis found: reasons that stand before every route of a policy.

A finding is not a threshold on health but a doubt about the unit or about its data. A
cell that leaks may have an internal short: nobody is to charge it, so QUARANTINE. Where
what is wrong may be the measurement, or the claim of a BMS, the unit is measured again.
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


def findings(estimates: Sequence[Estimate]) -> tuple[Reason, ...]:
    """Return a reason for everything that diagnosis found, in order, once each."""
    found: dict[str, Reason] = {}
    for estimate in estimates:
        for code in estimate.reasons if estimate.status == "ok" else ():
            if code not in _FOUND:
                continue
            route, advice = _FOUND[code]
            cell = estimate.conditions.get("cell")
            where = ""
            if isinstance(cell, int | float) and cell >= 0:
                where = f"cell {int(cell) + 1}: "
            found[code] = Reason(
                f"finding_{code.removeprefix('alarm_').removeprefix('verdict_')}",
                Outcome.NOT_MET,
                quantity=estimate.method,
                route=str(route),
                message=f"{where}{advice} ({estimate.method})",
            )
    return tuple(found.values())
