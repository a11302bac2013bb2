"""Several methods on one quantity: agreement is confirmed, contradiction is RETEST."""

from collections.abc import Sequence
from dataclasses import replace

from battlife.grading.evidence import Evidence
from battlife.model import Outcome, Reason, Route


def combined(several: Sequence[Evidence]) -> tuple[Evidence | None, Reason | None]:
    """Return what several methods together say, or why they cannot all be true.

    Parameters
    ----------
    several : at least one, of one quantity of one unit

    Returns
    -------
    The narrowest interval where all overlap, with the others named as witnesses. It is
    not narrowed further: methods that saw the same record share its errors, so their
    agreement confirms a value without adding information of known size. Where two do
    not overlap, no evidence and a reason for RETEST.
    """
    usable = [e for e in several if e.usable]
    if not usable:
        return several[0], None
    best = min(usable, key=lambda e: e.high - e.low)
    low, high = max(usable, key=lambda e: e.low), min(usable, key=lambda e: e.high)
    if low.low > high.high:
        return None, Reason(
            "retest_contradiction",
            Outcome.MISSING,
            quantity=best.quantity,
            unit=best.unit,
            route=str(Route.RETEST),
            message=f"{best.quantity} cannot be both {_said(low)} and {_said(high)}: "
            "check the unit's identity and rating, then measure its capacity fully",
        )
    others = [e.source for e in usable if e is not best]
    if not others:
        return best, None
    return replace(best, source=f"{best.source}; agrees: {', '.join(others)}"), None


def _said(found: Evidence) -> str:
    return f"{found.low:.4g} to {found.high:.4g} ({found.source})"
