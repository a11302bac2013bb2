"""Read a policy file, strictly."""

import hashlib
import math
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from battlife.errors import InputError
from battlife.grading.evidence import known, limits_of
from battlife.grading.floor import FLOORS, loosest
from battlife.grading.policy import HoldLimit, Instrument, Policy, RouteRules, Rule
from battlife.model import Route

SCHEMA: Final = 1
MAX_BYTES: Final = 1 << 20
"""A policy of more than 1 MiB is not a policy."""

ORDER: Final = (Route.REUSE, Route.REMANUFACTURE, Route.REPURPOSE, Route.RECYCLE)
"""Routes a policy may lead to, best first."""

_TOP = {
    "schema",
    "name",
    "version",
    "coverage_factor",
    "coverage_source",
    "reference_window_k",
    "reference_window_source",
    "traceability",
    "traceability_source",
    "instrument",
    "route",
}
_SENSOR = (
    "voltage_v",
    "current_a",
    "temperature_degc",
    "voltage_relative",
    "current_relative",
)
_RULE = {"code", "quantity", "op", "limit", "unit", "source"}
_RULE_OPTIONAL = {"required", "at_reference"}


def load_policy(path: Path | None = None) -> Policy:
    """Return a policy from a TOML file.

    Parameters
    ----------
    path : the file; None takes the policy shipped with battlife

    Raises
    ------
    InputError
        The file cannot be read or is not a valid policy: an unknown or missing key,
        operator, route, quantity or unit is named, and so is what is allowed. A
        policy that would loosen the hold floor, or recycle on one kind of evidence
        alone, is refused.
    """
    if path is None:
        shipped = files("battlife.grading") / "default_policy.toml"
        return parse_policy(shipped.read_bytes(), "the default policy")
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{path}: the policy cannot be read: {error.strerror}",
            "give an existing file with --policy, or leave it out for the default",
        ) from error
    return parse_policy(content, str(path))


def parse_policy(content: bytes, name: str) -> Policy:
    """Return a policy from the bytes of a TOML file.

    Parameters
    ----------
    content : UTF-8 TOML
    name : how errors call it

    Raises
    ------
    InputError
        As :func:`load_policy`.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"{name}: larger than {MAX_BYTES} bytes, not a policy")
    try:
        text = content.decode("utf-8")
        table = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(
            f"{name}: not a TOML file: {error}", "docs/policy.md shows one"
        ) from error
    _keys(table, name, _TOP, {"hold"})
    if table["schema"] != SCHEMA or isinstance(table["schema"], bool):
        raise InputError(
            f"{name}: schema {table['schema']!r} is not known",
            f"this version of battlife reads schema {SCHEMA}",
        )
    traceability = _text(table, "traceability", name)
    if traceability not in ("clearance", "required"):
        raise InputError(
            f"{name}: traceability {traceability!r}", 'one of "clearance", "required"'
        )
    for key in ("coverage_source", "reference_window_source", "traceability_source"):
        _text(table, key, name)
    return Policy(
        name=_text(table, "name", name),
        version=_text(table, "version", name),
        sha256=hashlib.sha256(content).hexdigest(),
        toml=text,
        instrument=_instrument(table["instrument"], f"{name}: [instrument]"),
        # k below 1 would compare less than one standard uncertainty.
        coverage_factor=_number(table, "coverage_factor", name, 1.0, 10.0),
        reference_window_k=_number(table, "reference_window_k", name, 0.0, 20.0),
        traceability_required=traceability == "required",
        routes=_routes(table["route"], name),
        hold=_hold(table.get("hold", {}), f"{name}: [hold]"),
    )


def _instrument(table: Any, where: str) -> Instrument:
    _keys(table, where, {"name", "source", *_SENSOR}, set())
    sensor = {key: _number(table, key, where, 0.0, 1e3) for key in _SENSOR}
    return Instrument(
        _text(table, "name", where), _text(table, "source", where), sensor
    )


def _routes(tables: Any, where: str) -> tuple[RouteRules, ...]:
    if not isinstance(tables, list) or not tables:
        raise InputError(f"{where}: no [[route]]", "a policy needs at least one route")
    routes = tuple(_route(t, f"{where}: route {i}") for i, t in enumerate(tables, 1))
    ranks = [ORDER.index(r.route) for r in routes]
    if ranks != sorted(ranks):
        raise InputError(
            f"{where}: routes out of order: {', '.join(r.route for r in routes)}",
            f"the first match wins, so list them best first: {', '.join(ORDER)}",
        )
    _unique((r.code for r in routes), f"{where}: route code")
    for route in routes:
        _unique(
            (rule.code for rule in route.rules), f"{where}: {route.code}: rule code"
        )
    return routes


def _route(table: Any, where: str) -> RouteRules:
    _keys(table, where, {"route", "code", "rule"}, set())
    code = _text(table, "code", where)
    where = f"{where} ({code})"
    route = _text(table, "route", where)
    if route not in ORDER:
        raise InputError(
            f"{where}: unknown route {route!r}",
            f"one of {', '.join(ORDER)}; RETEST follows from the evidence and "
            "QUARANTINE from the hold floor",
        )
    if not isinstance(table["rule"], list) or not table["rule"]:
        raise InputError(f"{where}: no [[route.rule]]")
    rules = tuple(
        _rule(t, f"{where}: rule {i}") for i, t in enumerate(table["rule"], 1)
    )
    required = [rule for rule in rules if rule.required]
    if not required:
        raise InputError(
            f"{where}: no rule is required, so the route would need no evidence"
        )
    families = {k.family for r in required if (k := known(r.quantity)) is not None}
    if route == Route.RECYCLE and len(families) < 2:
        raise InputError(
            f"{where}: would recycle on one kind of evidence ({', '.join(families)})",
            "add a required rule on another kind, e.g. voltage_drop_1c: the sources "
            "disagree on what a low SOH alone means",
        )
    return RouteRules(code, Route(route), rules)


def _rule(table: Any, where: str) -> Rule:
    _keys(table, where, _RULE, _RULE_OPTIONAL)
    code = _text(table, "code", where)
    where = f"{where} ({code})"
    quantity = _text(table, "quantity", where)
    entry = known(quantity)
    if entry is None:
        raise InputError(
            f"{where}: unknown quantity {quantity!r}",
            "docs/policy.md lists the quantities a rule may name",
        )
    unit = _text(table, "unit", where)
    if unit != entry.unit:
        raise InputError(f"{where}: unit {unit!r}", f"{quantity} is in {entry.unit!r}")
    op = _text(table, "op", where)
    if op not in (">=", "<="):
        raise InputError(f"{where}: unknown op {op!r}", 'one of ">=", "<="')
    return Rule(
        code=code,
        quantity=quantity,
        op=op,
        limit=_number(table, "limit", where, *limits_of(quantity)),
        unit=unit,
        source=_text(table, "source", where),
        required=_flag(table, "required", where, True),
        at_reference=_flag(table, "at_reference", where, False),
    )


def _hold(table: Any, where: str) -> dict[str, HoldLimit]:
    tunable = {q for q in FLOORS if loosest(q) is not None}
    _keys(table, where, set(), tunable)
    found = {}
    for quantity, entry in table.items():
        inside = f"{where} {quantity}"
        _keys(entry, inside, {"limit", "source"}, set())
        limit = _number(entry, "limit", inside, -1e12, 1e12)
        bound = loosest(quantity)
        assert bound is not None
        op = FLOORS[quantity].op
        if (op == "<=" and limit > bound) or (op == ">=" and limit < bound):
            raise InputError(
                f"{inside}: {limit:g} would loosen the built-in {op} {bound:g} "
                f"{FLOORS[quantity].unit}",
                "a policy can only tighten the hold floor",
            )
        found[quantity] = HoldLimit(limit, _text(entry, "source", inside))
    return found


def _keys(table: Any, where: str, needed: set[str], optional: set[str]) -> None:
    if not isinstance(table, dict):
        raise InputError(f"{where}: not a table")
    unknown = sorted(set(table) - needed - optional)
    if unknown:
        raise InputError(
            f"{where}: unknown key {', '.join(map(repr, unknown))}",
            f"known: {', '.join(sorted(needed | optional))}",
        )
    absent = sorted(needed - set(table))
    if absent:
        raise InputError(f"{where}: missing key {', '.join(map(repr, absent))}")


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table[key]
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}: {key} must be a text, not {value!r}")
    return value


def _number(
    table: Mapping[str, Any], key: str, where: str, low: float, high: float
) -> float:
    value = table[key]
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not numeric or not math.isfinite(value) or not low <= value <= high:
        raise InputError(
            f"{where}: {key} must be a number from {low:g} to {high:g}, not {value!r}"
        )
    return float(value)


def _flag(table: Mapping[str, Any], key: str, where: str, default: bool) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise InputError(f"{where}: {key} must be true or false, not {value!r}")
    return value


def _unique(codes: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for code in codes:
        if code in seen:
            raise InputError(f"{what} {code!r} is used twice")
        seen.add(code)
