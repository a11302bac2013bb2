"""A grade in the words of the person at the bench."""

import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from battlife.model import Route

LABELS: Final[Mapping[str, str]] = {
    "soh_capacity": "capacity SOH",
    "soh_energy": "energy SOH",
    "soh_capacity_at_temperature": "capacity SOH at the temperature of the test",
    "discharge_capacity_ah": "discharge capacity",
    "charge_capacity_ah": "charge capacity",
    "discharge_energy_wh": "discharge energy",
    "charge_energy_wh": "charge energy",
    "coulombic_efficiency": "coulombic efficiency",
    "self_discharge_v_per_day": "self-discharge",
    "cell_self_discharge_v_per_day": "self-discharge of the worst cell",
    "total_capacity_ah": "capacity between full and empty at rest",
    "voltage_drop_1c": "voltage drop at 1C",
    "resistance_growth": "resistance growth",
    "cell_voltage_max_v": "highest cell voltage",
    "cell_voltage_resting_min_v": "lowest resting cell voltage",
    "cell_voltage_peak_min_v": "peak voltage of the weakest cell",
    "temperature_max_degc": "highest temperature",
    "temperature_resting_max_degc": "highest temperature at rest",
    "temperature_resting_rate_k_per_min": "heating rate at rest",
    "cell_spread_resting_max_v": "cell spread at rest",
    "cell_count": "number of cells",
    "isolation_ohm_per_v": "isolation",
    "critical_fault_count": "number of critical faults",
    "damage_count": "number of damages",
}
"""What a quantity of a rule is called at a bench."""

EVIDENCE: Final[Mapping[str, str]] = {
    "isolation": "isolation test",
    "visual": "visual inspection",
    "self_discharge": "self-discharge test",
    "temperature": "temperature record",
    "cell_voltage": "cell voltages",
    "resting_voltage": "resting voltage",
    "cell_spread": "voltage of every cell",
    "cell_count": "number of cells",
    "fault_codes": "fault codes",
    "traceability": "origin and date of manufacture",
    "hold_released": "release from quarantine",
    "real_unit": "measurement of a real unit (this one is simulated)",
}
"""What is missing for clearance, as a thing to do or to find."""

CODES: Final[Mapping[str, str]] = {
    "no_reference_capacity": "no rated capacity given",
    "no_reference_energy": "no rated energy given",
    "cutoff_not_reached": "cut-off voltage not reached",
    "cutoff_at_load_on": "cut-off reached as the load came on",
    "cutoff_not_stated": "cut-off voltage not stated",
    "fragment": "cut off by the edge of the file",
    "start_not_seen": "start not recorded",
    "not_from_full": "not from full charge",
    "charge_ended_early": "charge before it ended early",
    "charge_not_seen": "charge before it not recorded",
    "unlike_neighbours": "unlike the discharges around it",
    "not_at_reference_temperature": "not at reference temperature",
}
"""Codes that read badly with blanks for underscores alone."""

_SENTENCE: Final = 230
"""Characters of a sentence that are read at a glance: five lines of the column."""

_IDENTIFIER: Final = re.compile(r"(?<![\w/.-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w/-])")


_DECIMALS: Final = 6
"""Decimals beyond which a power of ten reads better."""
_FINEST: Final = 1e-6

_NBSP: Final = "\u00a0"
"""Keeps a number and its unit on one line."""


_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
"""Characters that change what a reader sees of the text around them."""


def escaped(text: str) -> str:
    """Return text that cannot become markup, nor turn the text around it."""
    return html.escape(_UNSEEN.sub("\ufffd", text))


def label(quantity: str) -> str:
    """Return what a quantity is called."""
    pulse = re.fullmatch(r"dcir_(\d+(?:p\d+)?)s_ohm", quantity)
    if pulse:
        return f"{pulse[1].replace('p', '.')} s resistance"
    return LABELS.get(quantity, quantity.replace("_", " "))


def code_text(code: str) -> str:
    """Return a reason code of an estimate in words."""
    return CODES.get(code, code.replace("_", " "))


def number(value: Any) -> float | None:
    """Return a finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def interval(
    value: Any,
    uncertainty: Any,
    scale: float = 1.0,
    bounds: tuple[Any, Any] | None = None,
) -> str:
    """Return value ± two standard uncertainties, to two digits of the latter.

    Parameters
    ----------
    value, uncertainty : k = 1; without an uncertainty the value stands alone, to four
        digits; what is no finite number gives ""
    scale : factor to the unit that is shown
    bounds : a stated interval; it is shown as "value (low to high)" instead, to two
        digits of half its width
    """
    found, one_sigma = number(value), number(uncertainty)
    if found is None:
        return ""
    low, high = (number(b) for b in bounds or (None, None))
    if low is not None and high is not None:
        half = 0.5 * scale * abs(high - low)
        numbers = [scale * found, scale * low, scale * high]
        shape, ends = "{} ({} to {})", numbers
    elif one_sigma is not None:
        half = 2.0 * scale * abs(one_sigma)
        shape, ends = "{} ± {}", [scale * found, half]
    else:
        return f"{scale * found:.4g}"
    size = max(abs(scale * found), half)
    if half < _FINEST * size:
        # Digits beyond a millionth are those of arithmetic, not of a measurement.
        return shape.format(*(f"{x:.7g}" for x in ends))
    decimals = 1 - math.floor(math.log10(half)) if half else 0
    if decimals <= _DECIMALS:
        return shape.format(*(f"{x:.{max(decimals, 0)}f}" for x in ends))
    if low is not None:
        return shape.format(*(f"{x:.3g}" for x in ends))
    power = math.floor(math.log10(size))
    written = shape.format(*(f"{x / 10.0**power:.{decimals + power}f}" for x in ends))
    return f"({written})e{power}"


def clearance_text(names: Sequence[str]) -> str:
    """Return the missing evidence as a list in words."""
    return ", ".join(EVIDENCE.get(n, n.replace("_", " ")) for n in names)


def sentence(row: Mapping[str, Any]) -> str:
    """Return the one sentence that says why a unit has its route or has none.

    Parameters
    ----------
    row : object of ``battlife grade --json``
    """
    error = row.get("error")
    if isinstance(error, Mapping):
        return _closed(str(error.get("message") or error.get("type") or ""))
    route = str(row.get("route") or "")
    reasons = [r for r in row.get("reasons") or () if isinstance(r, Mapping)]
    parts = _distinct([c for r in deciding(reasons, route) for c in clauses(_words(r))])
    parts = _gathered(parts)
    better = _better(reasons, route)
    if better:
        parts.append(better)
    said = 1
    while said < len(parts) and len("; ".join(parts[: said + 1])) <= _SENTENCE:
        said += 1
    left = len(parts) - said
    more = [f"{left} more below"] if left > 0 else []
    return _closed("; ".join([*parts[:said], *more]))


def _gathered(parts: list[str]) -> list[str]:
    """Return several clauses "head: x is missing: what it needs" as one list of x."""
    found = [re.match(r"(?:([^:]+): )?([^:]+) is missing\b", p) for p in parts]
    names = [m[2] for m in found if m]
    if len(parts) < 2 or len(names) < len(parts) or found[0] is None:
        return parts
    head = found[0][1] or "evidence is incomplete"
    return [f"{head}: no {', no '.join(names)}", "what each needs is below"]


def clauses(text: str) -> list[str]:
    """Return what stands between semicolons, those in parentheses left alone."""
    return re.split(r"; (?![^(]*\))", text)


def deciding(
    reasons: Sequence[Mapping[str, Any]], route: str
) -> list[Mapping[str, Any]]:
    """Return the reasons that gave the route, the most telling first."""
    of_route = [r for r in reasons if r.get("route") == route and route]
    if route == Route.RETEST:
        return of_route
    wanted = "not_met" if route == Route.QUARANTINE else "met"
    told = [r for r in of_route if r.get("outcome") == wanted]
    # The rule that sums the others up says nothing that they do not.
    return [r for r in told if _bounds(r)] or told


def plain(message: str) -> str:
    """Return a message with the names of quantities as they are said."""
    return _IDENTIFIER.sub(lambda m: _known(m[0]), message)


def _known(name: str) -> str:
    spoken = label(name)
    return spoken if name in LABELS or name.startswith("dcir_") else name


def _words(reason: Mapping[str, Any]) -> str:
    bounds, limit = _bounds(reason), number(reason.get("limit"))
    outcome = reason.get("outcome")
    if bounds is None or limit is None or outcome not in ("met", "not_met"):
        return plain(str(reason.get("message") or reason.get("rule") or ""))
    low, high = bounds
    quantity = str(reason.get("quantity") or "")
    unit = str(reason.get("unit") or "")
    found = _value(quantity, low, unit)
    if low != high:
        found = f"{_value(quantity, low, unit, bare=True)} to "
        found += _value(quantity, high, unit)
    # A rule that is met can be met from either side, so the side comes from the data.
    side = "above" if 0.5 * (low + high) > limit else "below"
    if low == high == limit:
        side = "at"
    kind = "safety limit" if str(reason.get("rule")).startswith("hold_") else "limit"
    route = str(reason.get("route") or "")
    of = f"{route} {kind}" if route and kind == "limit" else kind
    if unit == "1" and not quantity.endswith("_count"):
        threshold = f"{100.0 * limit:g}{_NBSP}%"
    else:
        threshold = _value(quantity, limit, unit)
    return f"{label(quantity)} {found}, {side} the {of} of {threshold}"


def _better(reasons: Sequence[Mapping[str, Any]], route: str) -> str:
    """Return what kept the best route that no rule closed from being taken."""
    order = [str(r) for r in (Route.REUSE, Route.REMANUFACTURE, Route.REPURPOSE)]
    if route not in order:
        return ""
    for better in order[: order.index(route)]:
        rules = [r for r in reasons if r.get("route") == better]
        if not rules or any(r.get("outcome") == "not_met" for r in rules):
            continue
        lacking = [r.get("quantity") for r in rules if r.get("outcome") == "missing"]
        names = list(dict.fromkeys(label(str(q)) for q in lacking if q))
        if names:
            return f"{better} cannot be shown without {', '.join(names)}"
    return ""


def _bounds(reason: Mapping[str, Any]) -> tuple[float, float] | None:
    low, high = number(reason.get("low")), number(reason.get("high"))
    return None if low is None or high is None else (low, high)


def _value(quantity: str, value: float, unit: str, bare: bool = False) -> str:
    if unit == "1":
        if quantity.endswith("_count"):
            return f"{value:g}"
        return f"{100.0 * value:.1f}" + ("" if bare else f"{_NBSP}%")
    shown = unit.replace("degC", "°C").replace("ohm", "Ω")
    return f"{value:.4g}" + ("" if bare else f"{_NBSP}{shown}")


def _distinct(texts: Sequence[str]) -> list[str]:
    return [t for t in dict.fromkeys(texts) if t]


def _closed(text: str) -> str:
    """Return text as a sentence: a capital in front, a full stop behind."""
    text = text.strip()
    # The first word may be a path or an id, which keeps its letters.
    if re.match(r"[a-z]+( |$)", text):
        text = text[0].upper() + text[1:]
    return text if not text or text[-1] in ".!?" else f"{text}."
